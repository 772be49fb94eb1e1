/* SPDX-License-Identifier: MIT
 * index_part.c -- a file's segments found and their indexes loaded or built. What a file says is bounded by its
 * size and the format's limits before anything is allocated; vlix.c checks that entries add up. */
#include "formats/index_part.h"
#include "formats/names.h"
#include "formats/segment_read.h"
#include "formats/tarhead.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- finding -------------------------------------------------------------------------------- */

static int add_part(vls_part_list *l, const vls_part *p, vl_err *e)
{
    if (l->n == l->cap) {
        size_t cap = l->cap ? l->cap * 2 : 16;
        vls_part *grown = vl_realloc(l->part, cap, sizeof *grown, e);
        if (!grown)
            return VL_ENOMEM;
        l->part = grown;
        l->cap = cap;
    }
    l->part[l->n++] = *p;
    return VL_OK;
}

/* Is the manifest raw[n] that of a wanted segment? 1, 0, or an error. The first one names the kind. */
static int wanted(const uint8_t *raw, size_t n, char name[], vl_err *e)
{
    char id[VLS_ID_HEX + 1];
    json_t *m = NULL;
    const char *kind;
    int rc = vls_head_parse(raw, n, &m, id, e);

    if (rc)
        return rc;
    kind = json_string_value(json_object_get(m, "kind"));
    if (!*name)
        strcpy(name, kind); /* vls_kind_check: at most VLS_KIND_MAX bytes */
    rc = !strcmp(name, kind);
    json_decref(m);
    return rc;
}

/* The frame f at byte `at`, decoded to raw (replaced). */
static int read_frame(int fd, uint64_t at, const vl_frame *f, vl_buf *raw, vl_err *e)
{
    vl_codec *c = NULL;
    uint8_t *comp = NULL;
    vl_frame got;
    vl_frame_walk w = {0};
    size_t need;
    int rc;

    if (f->csize < 13 || f->csize > VL_FRAME_COMP_MAX)
        return vl_fail(e, VL_EFORMAT, "the seek table says %" PRIu32 " bytes, 13 to %d allowed", f->csize,
                       VL_FRAME_COMP_MAX);
    rc = vl_codec_new(&c, e);
    if (!rc && !(comp = vl_alloc(1, f->csize, e)))
        rc = VL_ENOMEM;
    if (!rc)
        rc = vl_pread_all(fd, at, comp, f->csize, e);
    if (!rc)
        rc = vl_frame_step(&w, comp, f->csize, &need, &got, e);
    if (!rc && (need != f->csize || memcmp(&got, f, sizeof got)))
        rc = vl_fail(e, VL_EFORMAT, "frame and seek table disagree");
    raw->n = 0;
    if (!rc)
        rc = vl_buf_room(raw, f->dsize, e);
    if (!rc)
        rc = vl_frame_decode(c, comp, f, raw->p, e);
    if (!rc)
        raw->n = f->dsize;
    free(comp);
    vl_codec_free(c);
    return rc;
}

/* The record index of a span, if its table names one: its place, and how many records it says. */
static int find_vlix(int fd, const vl_seektab *t, vls_part *p, vl_err *e)
{
    vl_frame last = vl_seektab_get(t, t->n - 1);
    uint8_t head[8 + VLS_VLIX_HEAD];
    uint32_t keys;
    int rc;

    if (last.dsize)
        return VL_OK;
    if (last.csize < 8 + VLS_VLIX_FIXED)
        return vl_fail(e, VL_EFORMAT, "record index of %" PRIu32 " bytes", last.csize);
    p->vlix = p->span.table - last.csize;
    p->vlix_n = last.csize;
    rc = vl_pread_all(fd, p->vlix, head, sizeof head, e);
    if (rc)
        return rc;
    if (vl_le32(head) != VL_VLIX_MAGIC || vl_le32(head + 4) != last.csize - 8)
        return vl_fail(e, VL_EFORMAT, "no record index at byte %" PRIu64, p->vlix);
    return vls_vlix_head(head + 8, last.csize - 8, &p->n, &keys, e);
}

/* One span; *ordinal rises with segments, not with terminators. */
static int framed_part(int fd, const vl_span *s, uint32_t shard, uint64_t *ordinal, char name[],
                       vls_part_list *out, vl_err *e)
{
    vls_part p = {.shard = shard, .ordinal = *ordinal, .span = *s};
    vl_seektab t = {0};
    vl_buf raw = {0};
    vl_frame head;
    int rc = vl_seektab_load(fd, s, &t, e);

    if (rc)
        return rc;
    head = vl_seektab_get(&t, 0);
    rc = read_frame(fd, s->start, &head, &raw, e);
    if (!rc && t.n == 1 && head.sum == vl_le32(vl_term + 19) && head.dsize == VL_TERM_CONTENT)
        goto out; /* a terminator */
    ++*ordinal;
    if (!rc)
        rc = wanted(raw.p, raw.n, name, e);
    if (rc == 1) {
        rc = find_vlix(fd, &t, &p, e);
        if (!rc)
            rc = add_part(out, &p, e);
    }
out:
    free(raw.p);
    free(t.b.p);
    return rc;
}

static int plain_part(int fd, const vls_plain_span *s, uint32_t shard, uint64_t *ordinal, char name[],
                      vls_part_list *out, vl_err *e)
{
    vls_part p = {.shard = shard, .ordinal = *ordinal, .plain = true, .data = s->data};
    size_t n = (size_t)(s->data - s->start);
    uint8_t *raw;
    int rc;

    if (s->term)
        return VL_OK;
    ++*ordinal;
    raw = vl_alloc(1, n, e);
    rc = raw ? vl_pread_all(fd, s->start, raw, n, e) : VL_ENOMEM;
    if (!rc)
        rc = wanted(raw, n, name, e);
    if (rc == 1)
        rc = add_part(out, &p, e);
    free(raw);
    return rc;
}

int vls_parts_of(int fd, uint64_t file_bytes, uint32_t shard, char name[], vls_part_list *out, vl_err *e)
{
    vls_plain_span *plain = NULL;
    vl_span *spans = NULL;
    uint8_t magic[4] = {0};
    uint64_t ordinal = 0;
    size_t n = 0, i;
    int rc = file_bytes ? vl_pread_all(fd, 0, magic, sizeof magic, e)
                        : vl_fail(e, VL_EFORMAT, "truncated: file ends at byte 0");
    bool framed = vl_le32(magic) == VL_FRAME_MAGIC;

    if (!rc)
        rc = framed ? vl_seektab_walk(fd, file_bytes, &spans, &n, e)
                    : vls_plain_walk(fd, file_bytes, &plain, &n, e);
    for (i = 0; !rc && i < n; i++)
        rc = framed ? framed_part(fd, &spans[i], shard, &ordinal, name, out, e)
                    : plain_part(fd, &plain[i], shard, &ordinal, name, out, e);
    free(spans);
    free(plain);
    return rc;
}

/* ---- building ------------------------------------------------------------------------------- */

int vls_parts_scan(const char *path, const char *kind, bool all, vls_part *p, size_t n, vl_err *e)
{
    const vls_read_opts how = {
        .no_id = true}; /* an index serves single records, of which no id is computed either */
    const vls_segment *seg;
    vls_reader *r = NULL;
    vls_record rec;
    uint64_t last = 0;
    size_t i = 0;
    int rc = vls_reader_open(path, &how, &r, e);

    if (rc)
        return rc;
    while ((rc = vls_next(r, &rec, &seg, e)) == 1) {
        if (strcmp(seg->kind, kind))
            continue;
        for (; last < seg->ordinal; last++) /* segments without records count, too */
            i += !strcmp(vls_reader_segment(r, last)->kind, kind);
        if (i >= n)
            rc = vl_fail(e, VL_EFORMAT, "%s: changed while it was read", path);
        else if (all || !p[i].vlix)
            rc = vls_vlix_add(&p[i].x, &r->u.place, rec.key, e);
        if (rc < 0)
            break;
    }
    vls_reader_close(r);
    for (i = 0; !rc && i < n; i++) {
        if (!all && p[i].vlix)
            continue;
        p[i].n = (uint32_t)vls_vlix_n(&p[i].x);
        p[i].kept = true;
    }
    return rc;
}

/* ---- loading -------------------------------------------------------------------------------- */

uint64_t vls_part_file_at(const vls_part *p, uint32_t i)
{
    return ((const uint64_t *)(const void *)p->at.p)[2 * (size_t)i];
}

uint64_t vls_part_raw_at(const vls_part *p, uint32_t i)
{
    return ((const uint64_t *)(const void *)p->at.p)[2 * (size_t)i + 1];
}

static int load_frames(vls_part *p, int fd, vl_err *e)
{
    uint64_t at[2] = {p->span.start, 0};
    int rc = vl_seektab_load(fd, &p->span, &p->tab, e);

    p->at.n = 0;
    if (!rc)
        rc = vl_buf_room(&p->at, ((size_t)p->tab.n + 1) * sizeof at, e);
    for (uint32_t i = 0; !rc && i <= p->tab.n; i++) {
        rc = vl_buf_add(&p->at, at, sizeof at, e);
        if (i == p->tab.n)
            break;
        at[0] += vl_seektab_get(&p->tab, i).csize;
        at[1] += i ? vl_seektab_get(&p->tab, i).dsize : 0; /* HEAD is not DATA */
    }
    return rc;
}

static int load_vlix(vls_part *p, int fd, vl_err *e)
{
    uint8_t *raw = vl_alloc(1, p->vlix_n, e);
    int rc = raw ? vl_pread_all(fd, p->vlix, raw, p->vlix_n, e) : VL_ENOMEM;

    if (!rc) /* TAIL is among the frames, so this bounds DATA from above; a record's own sums do the rest */
        rc = vls_vlix_parse(raw + 8, p->vlix_n - 8, vls_part_raw_at(p, p->tab.n), &p->x, e);
    if (!rc && vls_vlix_n(&p->x) != p->n)
        rc = vl_fail(e, VL_EFORMAT, "changed since it was opened");
    free(raw);
    return rc;
}

int vls_part_load(vls_part *p, int fd, vl_err *e)
{
    int rc = VL_OK;

    if (p->loaded)
        return VL_OK;
    if (!p->plain)
        rc = load_frames(p, fd, e);
    if (!rc && !p->kept)
        rc = load_vlix(p, fd, e);
    if (rc)
        vls_part_drop(p);
    p->loaded = !rc;
    return rc;
}

size_t vls_part_bytes(const vls_part *p)
{
    return p->tab.b.cap + p->at.cap + (p->kept ? 0 : p->x.entries.cap + p->x.keys.cap);
}

void vls_part_drop(vls_part *p)
{
    free(p->tab.b.p);
    free(p->at.p);
    p->tab = (vl_seektab){0};
    p->at = (vl_buf){0};
    if (!p->kept)
        vls_vlix_free(&p->x);
    p->loaded = false;
}

void vls_part_free(vls_part *p)
{
    vls_part_drop(p);
    vls_vlix_free(&p->x);
}
