/* SPDX-License-Identifier: MIT
 * sink_folder.c -- records as the files that `tar x` would make of the shard, metadata among them: the id, the
 * sums and the content id are those of the shard that a writer would have written. */
#include "formats/frame.h"
#include "formats/names.h"
#include "formats/outfolder.h"
#include "formats/tail.h"
#include "formats/tarhead.h"
#include "pipeline/sink.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

enum { FRAME_TARGET = 1 << 20 }; /* FORMAT.md section 2: where a frame of DATA ends */

typedef struct folder {
    vl_sink s;
    vl_outfolder *f;
    vl_sha *sha;
    uint64_t ordinal;
    bool head; /* the segment's manifest is written */
    char id[VLS_ID_HEX + 1];
    vl_buf sums, meta;
    vls_totals sum;
    uint64_t in_frame; /* bytes of the frame of DATA that is open */
} folder;

/* Every member of some tar bytes of ours as a file. */
static int put_members(folder *s, const uint8_t *p, size_t n, vl_err *e)
{
    char name[VL_TAR_NAME_MAX + 1];
    uint64_t size;
    size_t at = 0, used;
    int rc = VL_OK;

    while (!rc && at < n) {
        rc = vl_tar_parse(p + at, n - at, name, &size, &used, e);
        if (!rc)
            rc = vl_outfolder_put(s->f, name, p + at + used, (size_t)size, e);
        if (!rc && s->s.counts)
            s->s.counts->files++;
        at += used + (size_t)(size + vl_tar_padding(size));
    }
    return rc;
}

static int put_head(folder *s, const char *first_key, vl_err *e)
{
    int rc;

    s->meta.n = 0;
    rc = vls_head_build(s->s.manifest, s->ordinal, first_key, &s->meta, s->id, e);
    s->head = true;
    return rc ? rc : put_members(s, s->meta.p, s->meta.n, e);
}

/* Tar bytes that are not written, but count: in the content id and in the number of frames. */
static int count(folder *s, const void *p, size_t n, vl_err *e)
{
    s->sum.bytes += n;
    s->in_frame += n;
    while (s->in_frame > VL_FRAME_RAW_MAX) {
        s->sum.frames++;
        s->in_frame -= VL_FRAME_RAW_MAX;
    }
    return vl_sha_add(s->sha, p, n, e);
}

static void end_frame(folder *s, uint64_t at_least)
{
    if (s->in_frame >= at_least) {
        s->sum.frames++;
        s->in_frame = 0;
    }
}

static int put_member(folder *s, const char *name, const vls_member *m, vl_err *e)
{
    static const uint8_t zeros[VL_TAR_BLOCK];
    uint8_t head[VL_TAR_HEAD_MAX];
    size_t head_n;
    int rc = vl_tar_build(name, m->n, head, &head_n, e);

    if (!rc)
        rc = vl_outfolder_put(s->f, name, m->data, m->n, e);
    if (!rc)
        rc = count(s, head, head_n, e);
    if (!rc)
        rc = count(s, m->data, m->n, e);
    if (!rc)
        rc = count(s, zeros, (size_t)vl_tar_padding(m->n), e);
    if (!rc)
        rc = vls_sums_line(name, XXH64(m->data, m->n, 0), &s->sums, e);
    end_frame(s, FRAME_TARGET);
    s->sum.members++;
    if (s->s.counts)
        s->s.counts->files++;
    return rc;
}

/* ---- the sink ------------------------------------------------------------------------------------- */

static int folder_begin(vl_sink *sink, vl_err *e)
{
    folder *s = (folder *)sink;

    s->sum = (vls_totals){0};
    s->in_frame = s->sums.n = 0;
    s->head = false;
    return vl_sha_reset(s->sha, e);
}

static int folder_add(vl_sink *sink, const vls_record *rec, vl_err *e)
{
    folder *s = (folder *)sink;
    char name[VL_TAR_NAME_MAX + 1];
    int rc = vls_key_check(rec->key, VL_EARG, e);

    if (!rc && !s->head)
        rc = put_head(s, rec->key, e);
    for (size_t i = 0; !rc && i < rec->n_members; i++) {
        rc = vls_ext_check(rec->members[i].ext, VL_EARG, e);
        if (!rc && (size_t)snprintf(name, sizeof name, "%s.%s", rec->key, rec->members[i].ext) >= sizeof name)
            rc = vl_fail(e, VL_EARG, "record '%s': member name over %d bytes", rec->key, VL_TAR_NAME_MAX);
        if (!rc)
            rc = put_member(s, name, &rec->members[i], e);
    }
    s->sum.records++;
    return rc;
}

static int folder_end(vl_sink *sink, vl_err *e)
{
    folder *s = (folder *)sink;
    json_t *none = json_array(), *nothing = json_object();
    int rc = s->head ? VL_OK : put_head(s, NULL, e);

    end_frame(s, 1);
    s->meta.n = 0;
    if (!rc)
        rc = vl_sha_hex(s->sha, s->sum.content_id, e);
    if (!rc)
        rc = vls_tail_build(s->id, &s->sums, &s->sum, s->s.parents ? s->s.parents : none,
                            s->s.notes ? s->s.notes : nothing, false, &s->meta, e);
    if (!rc)
        rc = put_members(s, s->meta.p, s->meta.n, e);
    s->ordinal++;
    json_decref(none);
    json_decref(nothing);
    return rc;
}

static void folder_abort(vl_sink *sink)
{
    folder *s = (folder *)sink;

    if (!s)
        return;
    vl_outfolder_abort(s->f);
    vl_sha_free(s->sha);
    vl_sink_clear(sink);
    free(s->sums.p);
    free(s->meta.p);
    free(s);
}

static int folder_close(vl_sink *sink, vl_err *e)
{
    folder *s = (folder *)sink;
    int rc = vl_outfolder_commit(s->f, e);

    s->f = NULL;
    folder_abort(sink);
    return rc;
}

int vl_folder_open(const char *path, vl_sink_counts *counts, vl_sink **out, vl_err *e)
{
    folder *s = vl_alloc(1, sizeof *s, e);
    int rc;

    if (!s)
        return VL_ENOMEM;
    s->s = (vl_sink){.begin = folder_begin,
                     .add = folder_add,
                     .end = folder_end,
                     .close = folder_close,
                     .abort = folder_abort};
    s->s.counts = counts;
    rc = vl_sha_new(&s->sha, e);
    if (!rc)
        rc = vl_outfolder_open(path, &s->f, e);
    if (rc)
        folder_abort(&s->s);
    else
        *out = &s->s;
    return rc;
}
