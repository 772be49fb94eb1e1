/* SPDX-License-Identifier: MIT */
#include "formats/peek.h"
#include "formats/seektab.h"
#include "formats/tail.h"

#include <stdlib.h>
#include <string.h>

#define PEEK_JSON_MAX ((uint64_t)64 << 20) /* bytes of all manifests and tails, as a reader has it */

typedef struct peeker {
    int fd;
    vl_codec *codec;
    vl_seektab tab;
    vl_buf comp, raw; /* the frame at hand; what was decoded */
    uint64_t json;    /* bytes so far */
} peeker;

void vls_briefs_free(vls_briefs *b)
{
    for (size_t i = 0; i < b->n; i++) {
        json_decref(b->seg[i].manifest);
        json_decref(b->seg[i].tail);
    }
    free(b->seg);
    *b = (vls_briefs){0};
}

/* Takes both in any case. */
static int keep(vls_briefs *b, json_t *manifest, json_t *tail, vl_err *e)
{
    if (!(b->n & (b->n - 1))) { /* grows at powers of two */
        vls_brief *more = vl_realloc(b->seg, b->n ? 2 * b->n : 1, sizeof *more, e);
        if (!more) {
            json_decref(manifest);
            json_decref(tail);
            return VL_ENOMEM;
        }
        b->seg = more;
    }
    b->seg[b->n++] = (vls_brief){manifest, tail};
    return VL_OK;
}

/* Frame i of the span, appended to p->raw. */
static int decode(peeker *p, const vl_span *s, uint32_t i, vl_err *e)
{
    vl_frame want = vl_seektab_get(&p->tab, i), f;
    vl_frame_walk w = {0};
    uint64_t at = s->start;
    size_t need = 0;
    int rc;

    for (uint32_t k = 0; k < i; k++)
        at += vl_seektab_get(&p->tab, k).csize;
    if (want.csize > VL_FRAME_COMP_MAX || want.dsize > VL_FRAME_RAW_MAX)
        return vl_fail(e, VL_EFORMAT, "seek table: a frame is too long");
    p->comp.n = 0;
    rc = vl_buf_room(&p->comp, want.csize, e);
    if (!rc)
        rc = vl_pread_all(p->fd, at, p->comp.p, want.csize, e);
    p->comp.n = want.csize;
    if (!rc)
        rc = vl_frame_step(&w, p->comp.p, want.csize, &need, &f, e);
    if (!rc && (need != want.csize || memcmp(&f, &want, sizeof f)))
        rc = vl_fail(e, VL_EFORMAT, "frame and seek table disagree");
    if (!rc)
        rc = vl_buf_room(&p->raw, f.dsize, e);
    if (!rc)
        rc = vl_frame_decode(p->codec, p->comp.p, &f, p->raw.p + p->raw.n, e);
    if (!rc)
        p->raw.n += f.dsize;
    return rc;
}

/* TAIL's first frame is the last one that begins with the segment's sums. */
static int find_tail(peeker *p, const vl_span *s, const char *id, uint32_t *first, vl_err *e)
{
    uint32_t i = p->tab.n;
    int rc = VL_OK;

    while (!rc && i-- > 1) {
        p->raw.n = 0;
        rc = decode(p, s, i, e);
        if (!rc && vls_is_sums(p->raw.p, p->raw.n, id)) {
            *first = i;
            return VL_OK;
        }
    }
    return rc ? rc : vl_fail(e, VL_EFORMAT, "a segment has no tail");
}

static int read_tail(peeker *p, const vl_span *s, const char *id, json_t **out, vl_err *e)
{
    vls_tail_reader t = {0};
    uint32_t i = 0;
    int rc = find_tail(p, s, id, &i, e);

    vls_tail_start(&t, id, NULL, 0, true);
    while (!rc) {
        rc = vl_buf_add(&t.b, p->raw.p, p->raw.n, e);
        if (!rc)
            rc = vls_tail_step(&t, e);
        if (rc)
            break;
        p->raw.n = 0;
        rc = ++i < p->tab.n ? decode(p, s, i, e) : vl_fail(e, VL_EFORMAT, "a tail is cut");
    }
    if (rc == 1) {
        p->json += t.b.n - t.at;
        *out = t.json;
        t.json = NULL;
        rc = VL_OK;
    }
    vls_tail_free(&t);
    return rc;
}

static int peek_span(peeker *p, const vl_span *s, vls_briefs *out, vl_err *e)
{
    json_t *manifest = NULL, *tail = NULL;
    char id[VLS_ID_HEX + 1];
    int rc = vl_seektab_load(p->fd, s, &p->tab, e);

    /* a record index is stepped over by every reader: it is not decoded here either */
    while (!rc && p->tab.n && !vl_seektab_get(&p->tab, p->tab.n - 1).dsize)
        p->tab.n--;
    p->raw.n = 0;
    if (!rc)
        rc = decode(p, s, 0, e);
    if (!rc && p->comp.n < VL_TERM_BYTES && !memcmp(p->comp.p, vl_term, p->comp.n))
        return VL_OK; /* a terminator */
    p->json += p->raw.n;
    if (!rc)
        rc = vls_head_parse(p->raw.p, p->raw.n, &manifest, id, e);
    if (!rc)
        rc = read_tail(p, s, id, &tail, e);
    if (!rc)
        rc = vls_tail_check(tail, NULL, true, false, e); /* its parents are well formed */
    if (!rc && p->json > PEEK_JSON_MAX)
        rc = vl_fail(e, VL_EFORMAT, "manifests and tails are too long together");
    if (!rc)
        return keep(out, manifest, tail, e);
    json_decref(manifest);
    json_decref(tail);
    return rc;
}

/* VL_EFORMAT: the tables do not chain, or say what is not there. */
static int peek_tables(const char *path, vls_briefs *out, vl_err *e)
{
    vl_source src = {.fd = -1};
    peeker p = {0};
    vl_span *span = NULL;
    size_t n = 0;
    int rc = vl_source_open(path, &src, e);

    p.fd = src.fd;
    if (!rc && !src.regular)
        rc = vl_fail(e, VL_EFORMAT, "not a file");
    if (!rc)
        rc = vl_seektab_walk(src.fd, src.size, &span, &n, e);
    if (!rc)
        rc = vl_codec_new(&p.codec, e);
    for (size_t i = 0; !rc && i < n; i++)
        rc = peek_span(&p, &span[i], out, e);
    vl_codec_free(p.codec);
    free(p.tab.b.p);
    free(p.comp.p);
    free(p.raw.p);
    free(span);
    vl_source_close(&src);
    return rc;
}

/* The long way round, which also finds the words for what is wrong. */
static int peek_all(const char *path, const char *name, vls_briefs *out, vl_err *e)
{
    vls_read_opts how = {.name = name};
    const vls_segment *seg;
    vls_reader *r = NULL;
    vls_record rec;
    int rc = vls_reader_open(path, &how, &r, e);

    if (rc)
        return rc;
    do
        rc = vls_next(r, &rec, &seg, e);
    while (rc == 1);
    for (uint64_t i = 0; !rc && (seg = vls_reader_segment(r, i)); i++)
        rc = keep(out, json_deep_copy(seg->manifest), json_deep_copy(vls_reader_tail(r, i)), e);
    vls_reader_close(r);
    return rc;
}

int vls_peek(const char *path, const char *name, vls_briefs *out, vl_err *e)
{
    int rc;

    *out = (vls_briefs){0};
    rc = peek_tables(path, out, e);
    if (rc == VL_EFORMAT) {
        vls_briefs_free(out);
        rc = peek_all(path, name, out, e); /* names the file itself */
    } else if (rc) {
        vl_within(e, "%s", name ? name : path);
    }
    if (rc)
        vls_briefs_free(out);
    return rc;
}
