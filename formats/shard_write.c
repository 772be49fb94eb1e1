/* SPDX-License-Identifier: MIT
 * shard_write.c -- records become tar bytes, tar bytes become frames, frames become a segment.
 *
 *   vls_add -> [HEAD frame, once the first key is known] -> w->raw, cut into frames -> w->f
 *   vls_segment_end -> last DATA frame, TAIL frames, seek table, sync
 *
 * Invariants
 *   1. Where a frame ends depends on the tar bytes only: at the first member end at or past 1 MiB, or at
 *      exactly 8 MiB inside a longer member. So equal input gives equal frames.
 *   2. A record is checked whole before its first byte is taken: a refused record leaves no trace and the
 *      caller may go on with the next one.
 *   3. After a failed write the writer is stuck: every later call repeats the first error, and
 *      vls_writer_close removes the file. */
#include "formats/frame_queue.h"
#include "formats/keyset.h"
#include "formats/licence.h"
#include "formats/names.h"
#include "formats/outfile.h"
#include "formats/resume_find.h"
#include "formats/seektab.h"
#include "formats/tail.h"
#include "formats/tarhead.h"
#include "formats/vlix.h"
#include "formats/vlt.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

enum { THREADS_DEFAULT = 4, THREADS_MAX = 64 };
enum { FRAME_TARGET = 1 << 20, LEVEL_DATA = 1, LEVEL_TEXT = 3 };

struct vls_writer {
    vl_outfile *f;
    vls_write_opts opts;
    int threads;            /* in all, the caller's among them */
    vls_frame_queue *queue; /* NULL while no frame was full, and with one thread */
    vl_codec *codec;
    vl_sha *sha;      /* of the segment's DATA */
    vls_keyset keys;  /* of the whole shard */
    uint64_t ordinal; /* of the next segment */
    bool open;        /* a segment is open */
    bool head;        /* and its HEAD is written */
    bool indexed;     /* and it gets a record index */
    int level;        /* of its DATA frames, 0: by what they hold */
    json_t *manifest, *parents, *notes;
    json_t *rights; /* of the segment's parents and notes, NULL: none yet */
    bool silent;    /* a parent names no licence */
    char id[VLS_ID_HEX + 1];
    vl_buf raw;       /* tar bytes of the open frame, at most VL_FRAME_RAW_MAX */
    size_t packed;    /* bytes of raw that are compressed in themselves */
    vl_buf sums;      /* text of the sums member */
    vl_buf seams;     /* u32 positions in raw where planes of .vlt members end, for the compressor */
    vls_vlix index;   /* of the segment */
    vl_seektab tab;   /* frames of the segment */
    vls_totals sum;   /* of the segment */
    vls_resumed part; /* what was there */
    vl_err stuck;     /* .code != 0: the first failure */
};

/* More than a few do not help: the caller's thread copies and writes, and one hashes. */
static int default_threads(void)
{
    long n = sysconf(_SC_NPROCESSORS_ONLN);

    return n < 1 ? 1 : n > THREADS_DEFAULT ? THREADS_DEFAULT : (int)n;
}

/* Goes on behind the sealed segments of NAME.part, or begins it. */
static int open_part(vls_writer *w, vl_err *e)
{
    uint64_t there = vl_outfile_bytes(w->f);
    int rc = VL_OK;

    w->part.path = vl_outfile_part(w->f);
    if (!w->part.path || !there)
        return VL_OK;
    rc = vls_resume_find(w->part.path, &w->part.segments, &w->part.bytes, e);
    if (!rc && w->part.segments && !w->opts.resume)
        return vl_fail(e, VL_EARG, "%s: holds %" PRIu64 " sealed segments of an earlier run: %s",
                       w->part.path, w->part.segments, "resume it or remove the file");
    w->part.cut = there - w->part.bytes;
    if (!rc)
        rc = vl_outfile_cut(w->f, w->part.bytes, e);
    if (!rc && w->part.segments)
        rc = vls_resume_keys(w->part.path, &w->keys, e);
    w->ordinal = w->part.segments;
    return rc;
}

static int open_output(vls_writer *w, const char *path, vl_err *e)
{
    int rc;

    if (!w->opts.part)
        return vl_outfile_open(path, &w->f, e);
    if (w->opts.plain)
        return vl_fail(e, VL_EARG, "%s: the plain carrier cannot be resumed",
                       path ? path : "standard output");
    rc = vl_outfile_open_part(path, &w->f, e);
    return rc ? rc : open_part(w, e);
}

int vls_writer_open_opts(const char *path, const vls_write_opts *opts, vls_writer **out, vl_err *e)
{
    vls_writer *w = vl_alloc(1, sizeof *w, e);
    int rc;

    if (!w)
        return VL_ENOMEM;
    if (opts)
        w->opts = *opts;
    w->threads = w->opts.threads ? w->opts.threads : default_threads();
    if (w->threads < 1 || w->threads > THREADS_MAX) {
        rc = vl_fail(e, VL_EARG, "%d threads, 1 to %d allowed", w->threads, THREADS_MAX);
        free(w);
        return rc;
    }
    rc = vl_codec_new(&w->codec, e);
    if (!rc)
        rc = vl_sha_new(&w->sha, e);
    if (!rc)
        rc = open_output(w, path, e);
    if (rc)
        vls_writer_abort(w);
    else
        *out = w;
    return rc;
}

vls_resumed vls_writer_resumed(const vls_writer *w)
{
    return w->part;
}

int vls_writer_open(const char *path, vls_writer **out, vl_err *e)
{
    return vls_writer_open_opts(path, NULL, out, e);
}

static void drop_segment(vls_writer *w)
{
    json_decref(w->manifest);
    json_decref(w->parents);
    json_decref(w->notes);
    json_decref(w->rights);
    w->manifest = w->parents = w->notes = w->rights = NULL;
    w->silent = false;
    w->raw.n = w->sums.n = w->seams.n = w->packed = 0;
    vls_vlix_clear(&w->index);
    vl_seektab_clear(&w->tab);
    w->sum = (vls_totals){0};
    w->open = w->head = false;
}

static int put_head(vls_writer *w, const char *first_key, vl_err *e);

/* A stream cannot be taken back. Where it would end behind a sealed segment it gets a HEAD without a TAIL, so
 * that its reader finds it truncated; inside a segment it is that already. */
static void cut_stream(vls_writer *w)
{
    bool stream = w->f && !vl_outfile_part(w->f);
    json_t *m = stream && w->ordinal && !w->head && !w->stuck.code ? json_pack("{s:s}", "kind", "cut") : NULL;
    vl_err e;

    if (!m)
        return;
    json_decref(w->manifest);
    w->manifest = m;
    if (put_head(w, NULL, &e))
        w->stuck = e; /* nobody is left to be told */
}

void vls_writer_abort(vls_writer *w)
{
    if (!w)
        return;
    cut_stream(w);
    drop_segment(w);
    vls_frame_queue_free(w->queue); /* before what it borrows */
    vls_keyset_free(&w->keys);
    free(w->raw.p);
    free(w->sums.p);
    free(w->seams.p);
    free(w->tab.b.p);
    vls_vlix_free(&w->index);
    vl_sha_free(w->sha);
    vl_codec_free(w->codec);
    vl_outfile_abort(w->f);
    free(w);
}

void vls_writer_discard(vls_writer *w)
{
    if (w && w->f)
        vl_outfile_keep(w->f, false);
    vls_writer_abort(w);
}

static int stick(vls_writer *w, int rc, const vl_err *e)
{
    if (rc && e)
        w->stuck = *e;
    w->stuck.code = rc;
    return rc;
}

/* Is the writer fit for work on a segment that is open (or not, as wanted)? */
static int ready(const vls_writer *w, bool open, vl_err *e)
{
    if (w->stuck.code)
        return vl_fail(e, w->stuck.code, "%s", w->stuck.text[0] ? w->stuck.text : "an earlier write failed");
    if (w->open != open)
        return vl_fail(e, VL_EARG, "%s: %s segment is open", vl_outfile_name(w->f), open ? "no" : "a");
    return VL_OK;
}

/* ---- frames --------------------------------------------------------------------------------- */

/* Of the open frame: what the caller chose, else what its bytes are like. */
static int data_level(const vls_writer *w)
{
    if (w->level)
        return w->level;
    if (w->packed > w->raw.n / 2)
        return VL_LEVEL_PACKED;
    return w->seams.n ? VL_LEVEL_PLANES : LEVEL_DATA;
}

static int put_frame(vls_writer *w, const uint8_t *raw, size_t n, int level, vl_err *e)
{
    const uint32_t *seam = (const uint32_t *)(const void *)w->seams.p;
    size_t n_seams = w->seams.n / sizeof *seam;
    const uint8_t *comp;
    vl_frame f;
    int rc;

    if (w->opts.plain)
        return vl_outfile_write(w->f, raw, n, e);
    w->seams.n = 0;
    rc = vl_frame_encode_seams(w->codec, raw, n, level, seam, n_seams, &comp, &f, e);
    if (!rc)
        rc = vl_seektab_add(&w->tab, &f, e);
    if (!rc)
        rc = vl_outfile_write(w->f, comp, f.csize, e);
    return rc;
}

/* The open frame is full, or, without more, the segment ends. Threads start at the first full frame: a small
 * shard needs none. */
static int flush_data(vls_writer *w, bool more, vl_err *e)
{
    int rc, level;

    if (!w->raw.n)
        return VL_OK;
    w->sum.frames++;
    w->sum.bytes += w->raw.n;
    if (more && !w->queue && w->threads > 1) {
        rc = vls_frame_queue_new(w->threads - 1, w->opts.plain, w->f, w->sha, &w->tab, &w->queue, e);
        if (rc)
            return rc;
    }
    level = data_level(w);
    w->packed = 0;
    if (w->queue)
        return vls_frame_queue_put(w->queue, &w->raw, &w->seams, level, e);
    rc = vl_sha_add(w->sha, w->raw.p, w->raw.n, e);
    if (!rc)
        rc = put_frame(w, w->raw.p, w->raw.n, level, e);
    w->raw.n = 0;
    return rc;
}

/* Tar bytes into the open frame, which is written whenever it is full. */
static int put_data(vls_writer *w, const uint8_t *p, size_t n, vl_err *e)
{
    size_t k;
    int rc;

    for (; n; n -= k, p += k) {
        if (w->raw.n == VL_FRAME_RAW_MAX) {
            rc = flush_data(w, true, e);
            if (rc)
                return rc;
        }
        k = VL_FRAME_RAW_MAX - w->raw.n;
        k = n < k ? n : k;
        rc = vl_buf_add(&w->raw, p, k, e);
        if (rc)
            return rc;
    }
    return VL_OK;
}

/* The data of a .vlt member: a seam around each of its byte planes. */
static int put_planes(vls_writer *w, const vls_member *m, const vl_vlt *t, vl_err *e)
{
    size_t at = 0, k;
    uint32_t seam;
    int rc = VL_OK;

    for (; !rc && at < m->n; at += k) {
        k = vl_vlt_piece(t, m->n, at);
        rc = put_data(w, m->data + at, k, e);
        seam = (uint32_t)w->raw.n;
        if (!rc && seam < VL_FRAME_RAW_MAX)
            rc = vl_buf_add(&w->seams, &seam, sizeof seam, e);
    }
    return rc;
}

static bool is_packed(const char *ext)
{
    static const char *const kinds[] = {"jpg", "jpeg", "png", "webp"};
    size_t i;

    for (i = 0; i < sizeof kinds / sizeof *kinds && strcmp(ext, kinds[i]);)
        i++;
    return i < sizeof kinds / sizeof *kinds;
}

/* The data of an image file, counted for each frame that they fall into. */
static int put_packed(vls_writer *w, const vls_member *m, vl_err *e)
{
    size_t at, k;
    int rc = VL_OK;

    for (at = 0; !rc && at < m->n; at += k) {
        k = VL_FRAME_RAW_MAX - w->raw.n % VL_FRAME_RAW_MAX;
        k = m->n - at < k ? m->n - at : k;
        rc = put_data(w, m->data + at, k, e);
        w->packed += k;
    }
    return rc;
}

static int put_content(vls_writer *w, const vls_member *m, vl_err *e)
{
    vl_vlt t;

    if (!w->opts.plain && vl_vlt_is(m->ext) && !vl_vlt_parse(m->data, m->n, &t, NULL) &&
        vl_vlt_piece(&t, m->n, 0) < m->n)
        return put_planes(w, m, &t, e);
    return is_packed(m->ext) ? put_packed(w, m, e) : put_data(w, m->data, m->n, e);
}

static int put_head(vls_writer *w, const char *first_key, vl_err *e)
{
    vl_buf head = {0};
    int rc = vls_head_build(w->manifest, w->ordinal, first_key, &head, w->id, e);

    if (!rc)
        rc = put_frame(w, head.p, head.n, LEVEL_TEXT, e);
    w->head = true;
    free(head.p);
    return rc;
}

static int put_member(vls_writer *w, const char *name, const vls_member *m, vl_err *e)
{
    static const uint8_t zeros[VL_TAR_BLOCK];
    uint8_t head[VL_TAR_HEAD_MAX];
    size_t head_n;
    int rc = vl_tar_build(name, m->n, head, &head_n, e);

    if (!rc)
        rc = put_data(w, head, head_n, e);
    if (!rc)
        rc = put_content(w, m, e);
    if (!rc)
        rc = put_data(w, zeros, (size_t)vl_tar_padding(m->n), e);
    if (!rc)
        rc = vls_sums_line(name, XXH64(m->data, m->n, 0), &w->sums, e);
    if (!rc && w->raw.n >= FRAME_TARGET)
        rc = flush_data(w, true, e);
    w->sum.members++;
    return rc;
}

/* ---- segments ------------------------------------------------------------------------------- */

/* Pairs and embeddings are what is drawn from at random. A trajectory has one record a segment, of which there
 * are many, and a distilled set is read whole: an index would be bytes that nobody reads. */
static bool wants_index(const vls_writer *w, const char *kind)
{
    if (w->opts.plain || w->opts.index == VLS_INDEX_NEVER)
        return false;
    return w->opts.index == VLS_INDEX_ALWAYS || !strcmp(kind, "pairs") || !strcmp(kind, "embeddings");
}

int vls_segment_begin(vls_writer *w, const json_t *manifest, int level, vl_err *e)
{
    const char *kind = json_string_value(json_object_get(manifest, "kind"));
    vl_buf probe = {0};
    char id[VLS_ID_HEX + 1];
    int rc = ready(w, false, e);

    if (rc)
        return rc;
    if (level < 0 || level > 19)
        return vl_fail(e, VL_EARG, "zstd level %d, 1 to 19 allowed", level);
    if (!kind)
        return vl_fail(e, VL_EARG, "manifest has no kind");
    rc = vls_kind_check(kind, VL_EARG, e);
    if (!rc) /* too long or not JSON: said now, not at the first record */
        rc = vls_head_build(manifest, w->ordinal, NULL, &probe, id, e);
    free(probe.p);
    if (!rc)
        rc = vl_sha_reset(w->sha, e);
    if (rc)
        return rc;
    w->manifest = json_deep_copy(manifest);
    w->parents = json_array();
    w->notes = json_object();
    if (!w->manifest || !w->parents || !w->notes) {
        drop_segment(w);
        return vl_fail(e, VL_ENOMEM, "out of memory: manifest");
    }
    w->indexed = wants_index(w, kind);
    w->level = level;
    w->open = true;
    return VL_OK;
}

static int check_members(const vls_record *rec, vl_err *e)
{
    uint64_t bytes = 0;
    size_t i, k;
    int rc;

    if (rec->n_members < 1 || rec->n_members > VLS_RECORD_MEMBERS_MAX)
        return vl_fail(e, VL_EARG, "%zu members, 1 to %d allowed", rec->n_members, VLS_RECORD_MEMBERS_MAX);
    for (i = 0; i < rec->n_members; i++) {
        rc = vls_ext_check(rec->members[i].ext, VL_EARG, e);
        if (rc)
            return rc;
        if (strlen(rec->key) + 1 + strlen(rec->members[i].ext) > VL_TAR_NAME_MAX)
            return vl_fail(e, VL_EARG, "member name over %d bytes", VL_TAR_NAME_MAX);
        for (k = 0; k < i; k++)
            if (!strcmp(rec->members[i].ext, rec->members[k].ext))
                return vl_fail(e, VL_EARG, "extension '%s' is there twice", rec->members[i].ext);
        if (rec->members[i].n > VLS_RECORD_BYTES_MAX - bytes)
            return vl_fail(e, VL_EARG, "over %" PRIu64 " bytes", (uint64_t)VLS_RECORD_BYTES_MAX);
        bytes += rec->members[i].n;
    }
    return VL_OK;
}

/* Everything that can be wrong with a record, before a byte of it is taken. The key is noted last. */
static int check_record(vls_writer *w, const vls_record *rec, vl_err *e)
{
    int rc = vls_key_check(rec->key, VL_EARG, e);

    if (rc)
        return rc;
    rc = check_members(rec, e);
    if (rc)
        return vl_within(e, "record '%s'", rec->key);
    if (w->sum.records >= VLS_RECORDS_MAX || w->sum.members + rec->n_members > VLS_MEMBERS_MAX)
        return vl_fail(e, VL_EARG, "record '%s': the segment is full (%" PRIu64 " records)", rec->key,
                       w->sum.records);
    rc = vls_keyset_add(&w->keys, json_string_value(json_object_get(w->manifest, "kind")), rec->key, e);
    if (rc < 0)
        return rc;
    return rc ? VL_OK : vl_fail(e, VL_EARG, "record '%s': the key is there twice", rec->key);
}

int vls_add(vls_writer *w, const vls_record *rec, vl_err *e)
{
    char name[VL_TAR_NAME_MAX + 1];
    vls_place place;
    size_t i, line = w->sums.n;
    int rc = ready(w, true, e);

    if (!rc)
        rc = check_record(w, rec, e);
    if (rc)
        return rc;
    if (!w->head)
        rc = put_head(w, rec->key, e);
    place = (vls_place){.offset = w->sum.bytes + w->raw.n, .frame = (uint32_t)w->sum.frames + 1};
    for (i = 0; !rc && i < rec->n_members; i++) {
        snprintf(name, sizeof name, "%s.%s", rec->key, rec->members[i].ext);
        rc = put_member(w, name, &rec->members[i], e);
    }
    place.bytes = w->sum.bytes + w->raw.n - place.offset;
    if (!rc && w->indexed) {
        place.sum = XXH64(w->sums.p + line, w->sums.n - line, 0);
        rc = vls_vlix_add(&w->index, &place, rec->key, e);
    }
    w->sum.records++;
    return stick(w, rc, e);
}

int vls_add_parent(vls_writer *w, const vls_parent *p, vl_err *e)
{
    json_t *j;
    int rc = ready(w, true, e);

    if (!rc)
        rc = vls_kind_check(p->kind, VL_EARG, e);
    if (rc)
        return rc;
    if (strlen(p->id) != VL_SHA_HEX || strspn(p->id, "0123456789abcdef") != VL_SHA_HEX)
        return vl_fail(e, VL_EARG, "parent: '%s' is no content id", p->id);
    if (p->too_many)
        return vl_fail(e, VL_EARG, "parent %s: too many licences or sources", p->id);
    j = json_pack("{s:s, s:s}", "content_id", p->id, "kind", p->kind);
    if (!j || json_array_append_new(w->parents, j))
        return vl_fail(e, VL_ENOMEM, "out of memory: parents");
    w->silent |= !json_array_size(json_object_get(p->rights, "licences"));
    return vl_rights_merge(&w->rights, p->rights, e);
}

/* Takes value. */
static int add_rights(vls_writer *w, const char *name, json_t *value, vl_err *e)
{
    json_t *from = json_pack("{s:o}", name, value);
    int rc = from ? vl_rights_merge(&w->rights, from, e) : vl_fail(e, VL_ENOMEM, "out of memory: %s", name);

    json_decref(from);
    return rc;
}

int vls_segment_note(vls_writer *w, const char *name, json_t *value, vl_err *e)
{
    int rc = ready(w, true, e);

    if (!rc && vls_tail_reserved(name))
        rc = vl_fail(e, VL_EARG, "tail name '%s' is the writer's own", name);
    if (rc) {
        json_decref(value);
        return rc;
    }
    if (!strcmp(name, "licences") || !strcmp(name, "sources"))
        return add_rights(w, name, value, e);
    if (json_object_set_new(w->notes, name, value))
        return vl_fail(e, VL_EARG, "tail name '%s' cannot be set", name);
    return VL_OK;
}

/* The strictest licence is that of all that the segment says: of its parents, its notes and its manifest. */
static int note_rights(vls_writer *w, vl_err *e)
{
    json_t *all = NULL;
    bool none;
    int rc = VL_OK;

    if (w->rights && w->silent)
        rc = vl_rights_add(&w->rights, VL_LICENCE_UNKNOWN, NULL, e);
    if (rc || !w->rights)
        return rc;
    rc = vl_rights_segment(&all, w->manifest, w->rights, &none, e);
    if (!rc &&
        (json_object_update(w->notes, w->rights) ||
         (!none && json_object_set_new(w->notes, "licence",
                                       json_string(vl_licence_strictest(json_object_get(all, "licences")))))))
        rc = vl_fail(e, VL_ENOMEM, "out of memory: tail");
    json_decref(all);
    return rc;
}

static int note_signature(vls_writer *w, vl_err *e)
{
    json_t *signature = NULL;
    int rc;

    if (!w->opts.sign)
        return VL_OK;
    rc = vl_sign(w->opts.sign, w->sum.content_id, json_string_value(json_object_get(w->manifest, "kind")),
                 &signature, e);
    if (!rc && json_object_set_new(w->notes, "signature", signature))
        rc = vl_fail(e, VL_ENOMEM, "out of memory: tail");
    return rc;
}

/* TAIL follows the cutting rule of DATA: frames of at most 8 MiB. */
static int put_tail(vls_writer *w, vl_err *e)
{
    vl_buf tail = {0};
    size_t at, k;
    int rc = vl_sha_hex(w->sha, w->sum.content_id, e);

    if (!rc)
        rc = note_rights(w, e);
    if (!rc)
        rc = note_signature(w, e);
    if (!rc)
        rc = vls_tail_build(w->id, &w->sums, &w->sum, w->parents, w->notes, w->opts.plain, &tail, e);
    for (at = 0; !rc && at < tail.n; at += k) {
        k = tail.n - at < VL_FRAME_RAW_MAX ? tail.n - at : VL_FRAME_RAW_MAX;
        rc = put_frame(w, tail.p + at, k, LEVEL_TEXT, e);
    }
    free(tail.p);
    return rc;
}

/* The record index, where there is one, and the seek table. */
static int put_tables(vls_writer *w, vl_err *e)
{
    vl_frame vlix = {0, 0, VL_EMPTY_SUM};
    vl_buf out = {0};
    int rc = VL_OK;

    if (w->indexed) {
        rc = vls_vlix_build(&w->index, &out, e);
        vlix.csize = (uint32_t)out.n;
        if (!rc)
            rc = vl_seektab_add(&w->tab, &vlix, e);
    }
    if (!rc)
        rc = vl_seektab_build(&w->tab, &out, e);
    if (!rc)
        rc = vl_outfile_write(w->f, out.p, out.n, e);
    free(out.p);
    return rc;
}

int vls_segment_end(vls_writer *w, vl_err *e)
{
    int rc = ready(w, true, e);

    if (rc)
        return rc;
    if (!w->head)
        rc = put_head(w, NULL, e);
    if (!rc)
        rc = flush_data(w, false, e);
    if (w->queue) {
        int late = vls_frame_queue_drain(w->queue, rc ? NULL : e);
        rc = rc ? rc : late;
    }
    if (!rc)
        rc = put_tail(w, e);
    if (!rc && !w->opts.plain)
        rc = put_tables(w, e);
    if (!rc)
        rc = vl_outfile_sync(w->f, e);
    if (!rc)
        vl_outfile_keep(w->f, true);
    drop_segment(w);
    w->ordinal++;
    return stick(w, rc, e);
}

static int put_term(vls_writer *w, vl_err *e)
{
    static const uint8_t zeros[VL_TERM_CONTENT];

    return w->opts.plain ? vl_outfile_write(w->f, zeros, sizeof zeros, e)
                         : vl_outfile_write(w->f, vl_term, sizeof vl_term, e);
}

int vls_writer_close(vls_writer *w, vl_err *e)
{
    int rc = ready(w, false, e);

    if (!rc && !w->ordinal)
        rc = vl_fail(e, VL_EARG, "%s: a shard needs a segment", vl_outfile_name(w->f));
    if (!rc && w->opts.seal)
        rc = put_term(w, e);
    if (!rc) {
        rc = vl_outfile_commit(w->f, e);
        w->f = NULL;
    }
    vls_writer_abort(w);
    return rc;
}
