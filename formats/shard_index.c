/* SPDX-License-Identifier: MIT
 * shard_index.c -- numbers and keys to records.
 *
 *   number -> part (binary search over first numbers) -> place (its index) -> frames (cache) -> unpack, verify
 *   key    -> hash table of all keys -> number
 *
 * Files, indexes and frames are kept while there is room; what was not used for the longest time goes first.
 * Invariant: what is borrowed by a caller lies in x->u, which only vls_index_get changes. */
#include "formats/shard_index.h"
#include "formats/index_part.h"
#include "formats/manifest.h"
#include "formats/tarhead.h"
#include "formats/unpack.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILES_OPEN = 32, FRAMES = 256 };
#define INDEX_BYTES   ((uint64_t)64 << 20)
#define CACHE_DEFAULT ((uint64_t)64 << 20)

typedef struct cached {
    const vls_part *part; /* NULL: empty */
    uint32_t frame;
    uint64_t used;
    vl_buf raw;
} cached;

typedef struct slot {
    uint64_t hash, number; /* number + 1; 0: empty */
} slot;

struct vls_index {
    char kind[VLS_KIND_MAX + 1];
    char **path;
    int *fd; /* -1: not open */
    uint64_t *fd_used;
    size_t n_paths, n_open;
    vls_part_list parts;
    uint64_t records, clock, index_bytes;
    vl_codec *codec;
    vl_buf comp;
    cached frame[FRAMES];
    uint64_t cache_bytes, cache_max;
    slot *table; /* NULL until a key is asked for */
    uint64_t table_n;
    vls_unpack u;
};

/* ---- files and indexes ---------------------------------------------------------------------- */

static void close_oldest(vls_index *x)
{
    size_t i, old = SIZE_MAX;

    for (i = 0; i < x->n_paths; i++)
        if (x->fd[i] >= 0 && (old == SIZE_MAX || x->fd_used[i] < x->fd_used[old]))
            old = i;
    close(x->fd[old]);
    x->fd[old] = -1;
    x->n_open--;
}

static int open_file(vls_index *x, uint32_t i, vl_err *e)
{
    x->fd_used[i] = ++x->clock;
    if (x->fd[i] >= 0)
        return VL_OK;
    if (x->n_open == FILES_OPEN)
        close_oldest(x);
    x->fd[i] = open(x->path[i], O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (x->fd[i] < 0)
        return vl_fail_errno(e, "open");
    x->n_open++;
    return VL_OK;
}

static void drop_oldest_index(vls_index *x, const vls_part *keep)
{
    vls_part *old = NULL, *p;

    for (size_t i = 0; i < x->parts.n; i++) {
        p = &x->parts.part[i];
        if (p->loaded && p != keep && (!old || p->used < old->used))
            old = p;
    }
    if (!old) {
        x->index_bytes = vls_part_bytes(keep);
        return;
    }
    x->index_bytes -= vls_part_bytes(old);
    vls_part_drop(old);
}

static int load(vls_index *x, vls_part *p, vl_err *e)
{
    int rc = open_file(x, p->shard, e);

    p->used = ++x->clock;
    if (rc || p->loaded)
        return rc;
    rc = vls_part_load(p, x->fd[p->shard], e);
    if (rc)
        return rc;
    for (x->index_bytes += vls_part_bytes(p);
         x->index_bytes > INDEX_BYTES && x->index_bytes > vls_part_bytes(p);)
        drop_oldest_index(x, p);
    return VL_OK;
}

/* ---- opening -------------------------------------------------------------------------------- */

static int add_shard(vls_index *x, uint32_t i, bool rebuild, vl_err *e)
{
    size_t first = x->parts.n, k;
    struct stat st;
    bool scan = rebuild;
    int rc = open_file(x, i, e);

    if (rc)
        return rc;
    if (fstat(x->fd[i], &st))
        return vl_fail_errno(e, "stat");
    if (!S_ISREG(st.st_mode))
        return vl_fail(e, VL_EIO, "single records are fetched from regular files only");
    rc = vls_parts_of(x->fd[i], (uint64_t)st.st_size, i, x->kind, &x->parts, e);
    for (k = first; !rc && k < x->parts.n; k++)
        scan = scan || !x->parts.part[k].vlix;
    if (!rc && scan && x->parts.n > first)
        rc = vls_parts_scan(x->path[i], x->kind, rebuild, x->parts.part + first, x->parts.n - first, e);
    for (k = first; !rc && k < x->parts.n; k++) {
        x->parts.part[k].first = x->records;
        x->records += x->parts.part[k].n;
    }
    return rc;
}

static int add_shards(vls_index *x, const char *const *paths, size_t n, bool rebuild, vl_err *e)
{
    for (size_t i = 0; i < n; i++) {
        int rc;
        if (!(x->path[i] = vl_strdup(paths[i], e)))
            return VL_ENOMEM;
        x->fd[i] = -1;
        x->n_paths++;
        rc = add_shard(x, (uint32_t)i, rebuild, e);
        if (rc) /* a reader that failed has named the file itself */
            return e && !strncmp(e->text, paths[i], strlen(paths[i])) ? rc : vl_within(e, "%s", paths[i]);
    }
    if (!x->parts.n)
        return vl_fail(e, VL_EFORMAT, "%s: no segment of kind '%s'", n ? paths[0] : "no shard", x->kind);
    return VL_OK;
}

int vls_index_open(const char *const *paths, size_t n, const vls_index_opts *opts, vls_index **out, vl_err *e)
{
    vls_index *x = vl_alloc(1, sizeof *x, e);
    int rc = x ? VL_OK : VL_ENOMEM;

    if (rc)
        return rc;
    x->cache_max = opts && opts->cache_bytes ? opts->cache_bytes : CACHE_DEFAULT;
    if (opts && opts->kind)
        rc = vls_kind_check(opts->kind, VL_EARG, e);
    if (!rc && opts && opts->kind)
        strcpy(x->kind, opts->kind);
    if (!rc && n > UINT32_MAX)
        rc = vl_fail(e, VL_EARG, "%zu shards", n);
    if (!rc && (!(x->path = vl_alloc(n, sizeof *x->path, e)) || !(x->fd = vl_alloc(n, sizeof *x->fd, e)) ||
                !(x->fd_used = vl_alloc(n, sizeof *x->fd_used, e))))
        rc = VL_ENOMEM;
    if (!rc)
        rc = vl_codec_new(&x->codec, e);
    if (!rc)
        rc = add_shards(x, paths, n, opts && opts->rebuild, e);
    if (rc)
        vls_index_close(x);
    else
        *out = x;
    return rc;
}

void vls_index_close(vls_index *x)
{
    size_t i;

    if (!x)
        return;
    for (i = 0; i < x->n_paths; i++) {
        if (x->fd[i] >= 0)
            close(x->fd[i]);
        free(x->path[i]);
    }
    for (i = 0; i < x->parts.n; i++)
        vls_part_free(&x->parts.part[i]);
    for (i = 0; i < FRAMES; i++)
        free(x->frame[i].raw.p);
    free(x->parts.part);
    free(x->path);
    free(x->fd);
    free(x->fd_used);
    free(x->table);
    free(x->comp.p);
    vls_unpack_free(&x->u);
    vl_codec_free(x->codec);
    free(x);
}

uint64_t vls_index_records(const vls_index *x)
{
    return x->records;
}

const char *vls_index_kind(const vls_index *x)
{
    return x->kind;
}

/* ---- by number ------------------------------------------------------------------------------ */

/* The part that holds record `number` < x->records: the last one that begins at or before it. */
static vls_part *part_of(const vls_index *x, uint64_t number)
{
    size_t lo = 0, hi = x->parts.n, mid;

    while (hi - lo > 1) {
        mid = lo + (hi - lo) / 2;
        if (x->parts.part[mid].first <= number)
            lo = mid;
        else
            hi = mid;
    }
    return &x->parts.part[lo];
}

static void empty(vls_index *x, cached *c)
{
    x->cache_bytes -= c->raw.cap;
    free(c->raw.p);
    *c = (cached){0};
}

/* A free slot of the cache, with room below its limit for n bytes if others can be given up for that. */
static cached *free_slot(vls_index *x, size_t n)
{
    cached *old, *c;

    for (;;) {
        cached *vacant = NULL;
        old = NULL;
        for (c = x->frame; c < x->frame + FRAMES; c++) {
            if (!c->part)
                vacant = c;
            else if (!old || c->used < old->used)
                old = c;
        }
        if (vacant && (!old || x->cache_bytes + n <= x->cache_max))
            return vacant;
        empty(x, old);
    }
}

static int decode(vls_index *x, const vls_part *p, uint32_t i, cached *c, vl_err *e)
{
    vl_frame want = vl_seektab_get(&p->tab, i), got;
    vl_frame_walk w = {0};
    size_t need;
    int rc;

    if (want.csize > VL_FRAME_COMP_MAX || want.dsize > VL_FRAME_RAW_MAX)
        return vl_fail(e, VL_EFORMAT, "the seek table says %" PRIu32 " bytes", want.csize);
    x->comp.n = 0;
    rc = vl_buf_room(&x->comp, want.csize, e);
    if (!rc)
        rc = vl_pread_all(x->fd[p->shard], vls_part_file_at(p, i), x->comp.p, want.csize, e);
    if (!rc)
        rc = vl_frame_step(&w, x->comp.p, want.csize, &need, &got, e);
    if (!rc && (need != want.csize || memcmp(&got, &want, sizeof got)))
        rc = vl_fail(e, VL_EFORMAT, "frame and seek table disagree");
    if (!rc)
        rc = vl_buf_room(&c->raw, want.dsize, e);
    if (!rc)
        rc = vl_frame_decode(x->codec, x->comp.p, &want, c->raw.p, e);
    c->raw.n = want.dsize;
    return rc;
}

static int frame_of(vls_index *x, const vls_part *p, uint32_t i, const cached **out, vl_err *e)
{
    cached *c;
    int rc;

    for (c = x->frame; c < x->frame + FRAMES; c++)
        if (c->part == p && c->frame == i) {
            c->used = ++x->clock;
            *out = c;
            return VL_OK;
        }
    c = free_slot(x, vl_seektab_get(&p->tab, i).dsize);
    rc = decode(x, p, i, c, e);
    if (rc) {
        free(c->raw.p);
        *c = (cached){0};
        return vl_within(e, "frame %" PRIu32 " (byte %" PRIu64 ")", i, vls_part_file_at(p, i));
    }
    c->part = p;
    c->frame = i;
    c->used = ++x->clock;
    x->cache_bytes += c->raw.cap;
    *out = c;
    return VL_OK;
}

/* The same from a plain shard, whose places come from a reading of it. */
static int read_plain(vls_index *x, const vls_part *p, const vls_place *at, vl_err *e)
{
    int rc = vl_buf_room(&x->u.raw, (size_t)at->bytes, e);

    if (!rc)
        rc = vl_pread_all(x->fd[p->shard], p->data + at->offset, x->u.raw.p, (size_t)at->bytes, e);
    x->u.raw.n += rc ? 0 : (size_t)at->bytes;
    return rc;
}

/* The record's bytes out of its frames, to x->u: memory follows what was verified, not what the index claims. */
static int gather(vls_index *x, const vls_part *p, const vls_place *at, vl_err *e)
{
    uint64_t from = at->offset, end = at->offset + at->bytes, lo, k;
    uint32_t i = at->frame;
    const cached *c = NULL;
    int rc;

    if (!i || i >= p->tab.n || vls_part_raw_at(p, i) > from || vls_part_raw_at(p, i + 1) <= from)
        return vl_fail(e, VL_EFORMAT, "record index: frame %" PRIu32 " does not hold byte %" PRIu64, i, from);
    for (; from < end; from += k, i++) {
        if (i >= p->tab.n)
            return vl_fail(e, VL_EFORMAT, "record index: the record ends behind the last frame");
        rc = frame_of(x, p, i, &c, e);
        if (rc)
            return rc;
        lo = from - vls_part_raw_at(p, i);
        k = c->raw.n - lo < end - from ? c->raw.n - lo : end - from;
        rc = vl_buf_add(&x->u.raw, c->raw.p + lo, (size_t)k, e);
        if (rc)
            return rc;
    }
    return VL_OK;
}

static int fetch(vls_index *x, vls_part *p, uint64_t i, vls_record *rec, vl_err *e)
{
    vls_place at;
    size_t key_at, key_n;
    int rc = load(x, p, e);

    if (rc)
        return rc;
    at = vls_vlix_get(&p->x, (size_t)i, &key_at, &key_n);
    vls_unpack_reset(&x->u);
    rc = p->plain ? read_plain(x, p, &at, e) : gather(x, p, &at, e);
    if (rc)
        return rc;
    rc = vls_unpack_next(&x->u, rec, e);
    if (!rc)
        rc = vls_unpack_finish(&x->u, rec, e);
    if (rc < 0)
        return rc;
    if (rc != 1 || x->u.place.bytes != at.bytes || x->u.place.sum != at.sum || strlen(rec->key) != key_n ||
        memcmp(rec->key, p->x.keys.p + key_at, key_n))
        return vl_fail(e, VL_EFORMAT, "the record is not what the record index says");
    return VL_OK;
}

int vls_index_get(vls_index *x, uint64_t number, vls_record *rec, vls_where *where, vl_err *e)
{
    vls_part *p;
    int rc;

    if (number >= x->records)
        return vl_fail(e, VL_EARG, "record %" PRIu64 " of %" PRIu64, number, x->records);
    p = part_of(x, number);
    if (where)
        *where = (vls_where){x->path[p->shard], p->ordinal, number - p->first};
    rc = fetch(x, p, number - p->first, rec, e);
    return rc ? vl_within(e, "%s: segment %" PRIu64 ", record %" PRIu64, x->path[p->shard], p->ordinal,
                          number - p->first)
              : VL_OK;
}

/* ---- by key --------------------------------------------------------------------------------- */

/* 1: record `number` has this key. */
static int has_key(vls_index *x, uint64_t number, const char *key, size_t n, vl_err *e)
{
    vls_part *p = part_of(x, number);
    size_t key_at, key_n;
    int rc = load(x, p, e);

    if (rc)
        return vl_within(e, "%s", x->path[p->shard]);
    vls_vlix_get(&p->x, (size_t)(number - p->first), &key_at, &key_n);
    return key_n == n && !memcmp(p->x.keys.p + key_at, key, n);
}

/* The slot of the key, or the empty one where it belongs. 1, 0, or an error. */
static int find(vls_index *x, const char *key, size_t n, uint64_t hash, slot **at, vl_err *e)
{
    uint64_t i = hash & (x->table_n - 1);
    int rc = 0;

    for (; x->table[i].number; i = (i + 1) & (x->table_n - 1))
        if (x->table[i].hash == hash) {
            rc = has_key(x, x->table[i].number - 1, key, n, e);
            if (rc)
                break;
        }
    *at = &x->table[i];
    return rc;
}

static int enter_keys(vls_index *x, vls_part *p, vl_err *e)
{
    char key[VL_TAR_NAME_MAX]; /* a copy: find may drop p's index */
    size_t key_at, key_n;
    uint64_t hash;
    slot *s;

    for (uint32_t i = 0; i < p->n; i++) {
        int rc = load(x, p, e);
        if (rc)
            return vl_within(e, "%s", x->path[p->shard]);
        vls_vlix_get(&p->x, i, &key_at, &key_n);
        memcpy(key, p->x.keys.p + key_at, key_n);
        hash = XXH3_64bits(key, key_n);
        rc = find(x, key, key_n, hash, &s, e);
        if (rc < 0)
            return rc;
        if (rc)
            return vl_fail(e, VL_EFORMAT, "%s: key '%.*s' is also in %s", x->path[p->shard], (int)key_n, key,
                           x->path[part_of(x, s->number - 1)->shard]);
        *s = (slot){hash, p->first + i + 1};
    }
    return VL_OK;
}

static int build_table(vls_index *x, vl_err *e)
{
    int rc = VL_OK;

    for (x->table_n = 16; x->table_n / 4 * 3 < x->records;)
        x->table_n *= 2;
    x->table = vl_alloc((size_t)x->table_n, sizeof *x->table, e);
    if (!x->table)
        return VL_ENOMEM;
    for (size_t i = 0; !rc && i < x->parts.n; i++)
        rc = enter_keys(x, &x->parts.part[i], e);
    if (rc) {
        free(x->table);
        x->table = NULL;
    }
    return rc;
}

int vls_index_find(vls_index *x, const char *key, uint64_t *number, vl_err *e)
{
    size_t n = strlen(key);
    slot *s;
    int rc = x->table ? VL_OK : build_table(x, e);

    if (!rc)
        rc = find(x, key, n, XXH3_64bits(key, n), &s, e);
    if (rc == 1)
        *number = s->number - 1;
    return rc;
}
