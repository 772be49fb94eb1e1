/* SPDX-License-Identifier: MIT
 * sink_shard.c -- records into shards; a segment that does not fit goes on in the next shard, with the same
 * manifest, parents and notes. What fits is counted in tar bytes, so the cut does not depend on zstd. */
#include "formats/keyset.h"
#include "formats/numbered.h"
#include "formats/tarhead.h"
#include "pipeline/dali_index.h"
#include "pipeline/sink.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct shards {
    vl_sink s;
    vl_shards_opts o;
    vls_writer *w;
    char *name;      /* of the shard that is open; NULL: standard output */
    uint64_t number; /* of the next shard */
    uint64_t records, bytes;
    vls_keyset keys; /* of all shards of a set */
    bool open;       /* a segment is open */
} shards;

static bool is_set(const shards *s)
{
    return s->o.records || s->o.bytes;
}

static int open_shard(shards *s, vl_err *e)
{
    vls_write_opts how = {.plain = s->o.plain, .seal = s->o.seal, .threads = s->o.threads, .sign = s->o.sign};

    if (is_set(s)) {
        s->name = vl_numbered_name(s->o.path, s->number, e);
        if (!s->name)
            return VL_ENOMEM;
    } else if (s->o.path && strcmp(s->o.path, "-")) {
        s->name = vl_strdup(s->o.path, e);
        if (!s->name)
            return VL_ENOMEM;
    }
    s->records = s->bytes = 0;
    if (s->s.counts)
        s->s.counts->shard = s->number;
    return vls_writer_open_opts(s->name, &how, &s->w, e);
}

static int write_index(const shards *s, vl_err *e)
{
    char *idx = vl_dali_name(s->name, e);
    int rc = idx ? vl_dali_index(s->name, idx, e) : VL_ENOMEM;

    free(idx);
    return rc;
}

static int close_shard(shards *s, vl_err *e)
{
    vls_writer *w = s->w;
    int rc;

    s->w = NULL;
    rc = vls_writer_close(w, e);
    s->number += !rc;
    if (!rc && s->o.dali)
        rc = write_index(s, e);
    free(s->name);
    s->name = NULL;
    return rc;
}

static int begin_segment(shards *s, vl_err *e)
{
    int rc = vls_segment_begin(s->w, s->s.manifest, 0, e);

    s->open = !rc;
    return rc;
}

static int end_segment(shards *s, vl_err *e)
{
    json_t *j;
    const char *name;
    size_t i;
    int rc = VL_OK;

    json_array_foreach (s->s.parents, i, j) {
        vls_parent p = {.rights = s->s.notes}; /* which have them, where any parent has */
        const char *id = json_string_value(json_object_get(j, "content_id"));
        const char *kind = json_string_value(json_object_get(j, "kind"));
        if (id)
            strncpy(p.id, id, sizeof p.id - 1);
        if (kind)
            strncpy(p.kind, kind, sizeof p.kind - 1);
        if (!rc)
            rc = vls_add_parent(s->w, &p, e);
    }
    json_object_foreach (s->s.notes, name, j)
        if (!rc)
            rc = vls_segment_note(s->w, name, json_incref(j), e);
    s->open = false;
    return rc ? rc : vls_segment_end(s->w, e);
}

/* ---- the sink ------------------------------------------------------------------------------------- */

static int shards_begin(vl_sink *sink, vl_err *e)
{
    return begin_segment((shards *)sink, e);
}

/* Tar bytes of the record, headers and padding with them. */
static int tar_bytes(const vls_record *rec, uint64_t *bytes, vl_err *e)
{
    uint8_t head[VL_TAR_HEAD_MAX];
    char name[VL_TAR_NAME_MAX + 1];
    size_t n;
    int rc = VL_OK;

    *bytes = 0;
    for (size_t i = 0; !rc && i < rec->n_members; i++) {
        const vls_member *m = &rec->members[i];
        if ((size_t)snprintf(name, sizeof name, "%s.%s", rec->key, m->ext) >= sizeof name)
            return vl_fail(e, VL_EARG, "record '%s': member name over %d bytes", rec->key, VL_TAR_NAME_MAX);
        rc = vl_tar_build(name, m->n, head, &n, e);
        *bytes += n + m->n + vl_tar_padding(m->n);
    }
    return rc;
}

static int next_shard(shards *s, vl_err *e)
{
    int rc = end_segment(s, e);

    if (!rc)
        rc = close_shard(s, e);
    if (!rc)
        rc = open_shard(s, e);
    return rc ? rc : begin_segment(s, e);
}

static int shards_add(vl_sink *sink, const vls_record *rec, vl_err *e)
{
    shards *s = (shards *)sink;
    uint64_t bytes = 0;
    int rc;

    if (!is_set(s))
        return vls_add(s->w, rec, e);
    rc = tar_bytes(rec, &bytes, e);
    if (!rc)
        rc = vls_keyset_add(&s->keys, json_string_value(json_object_get(s->s.manifest, "kind")), rec->key, e);
    if (rc == 0)
        return vl_fail(e, VL_EARG, "record '%s': the key is there twice", rec->key);
    if (rc < 0)
        return rc;
    rc = VL_OK;
    if (s->records &&
        ((s->o.records && s->records >= s->o.records) || (s->o.bytes && s->bytes + bytes > s->o.bytes)))
        rc = next_shard(s, e);
    if (!rc)
        rc = vls_add(s->w, rec, e);
    if (!rc) {
        s->records++;
        s->bytes += bytes;
    }
    return rc;
}

static int shards_end(vl_sink *sink, vl_err *e)
{
    return end_segment((shards *)sink, e);
}

static void clear(shards *s)
{
    vls_writer_abort(s->w);
    vls_keyset_free(&s->keys);
    vl_sink_clear(&s->s);
    free(s->name);
    free(s);
}

static void shards_abort(vl_sink *sink)
{
    shards *s = (shards *)sink;

    for (uint64_t i = 0; is_set(s) && i < s->number; i++) {
        char *name = vl_numbered_name(s->o.path, i, NULL), *idx = name ? vl_dali_name(name, NULL) : NULL;
        if (name)
            unlink(name);
        if (idx && s->o.dali)
            unlink(idx);
        free(idx);
        free(name);
    }
    clear(s);
}

static int shards_close(vl_sink *sink, vl_err *e)
{
    shards *s = (shards *)sink;
    int rc = close_shard(s, e);

    if (rc) {
        shards_abort(sink);
        return rc;
    }
    if (s->s.counts)
        s->s.counts->files = s->number;
    clear(s);
    return VL_OK;
}

static int refuse_existing(const char *pattern, vl_err *e)
{
    char *first;
    int rc = vl_numbered_check(pattern, e), there;

    if (rc)
        return rc;
    first = vl_numbered_name(pattern, 0, e);
    if (!first)
        return VL_ENOMEM;
    there = !access(first, F_OK);
    if (there)
        rc = vl_fail(e, VL_EIO, "%s: exists; a set of shards is not mixed with another", first);
    free(first);
    return rc;
}

int vl_shards_open(const vl_shards_opts *o, vl_sink_counts *counts, vl_sink **out, vl_err *e)
{
    shards *s;
    int rc = o->records || o->bytes ? refuse_existing(o->path, e) : VL_OK;

    if (rc)
        return rc;
    s = vl_alloc(1, sizeof *s, e);
    if (!s)
        return VL_ENOMEM;
    s->s = (vl_sink){.early = o->records || o->bytes,
                     .begin = shards_begin,
                     .add = shards_add,
                     .end = shards_end,
                     .close = shards_close,
                     .abort = shards_abort};
    s->o = *o;
    s->s.counts = counts;
    rc = open_shard(s, e);
    if (rc)
        clear(s);
    else
        *out = &s->s;
    return rc;
}
