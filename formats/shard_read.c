/* SPDX-License-Identifier: MIT
 * shard_read.c -- frames in file order, verified one by one, into records.
 *
 *   START -HEAD-> DATA -first frame of TAIL-> FLUSH (last record) -> TAIL -> SEEK -> START ... END
 *
 * A file and a pipe run through the same states. A file whose seek tables chain gives, on top, what
 * the table says of each frame before it is decoded, and a place to go on behind a bad one.
 *
 * Invariants
 *   1. No byte of a frame is looked at before its zstd checksum (and, in a file, its entry) agrees.
 *   2. r->seen holds every frame of the open segment as it was read; the segment counts only when
 *      its own table says the same. A table is believed about nothing but where to look.
 *   3. Memory: one frame, two that are decoded ahead, three on their way into the digest, one record, 8 bytes a member of the open
 *      segment (16 in a plain file), 12 bytes a frame of it, 16 bytes a key, and the JSON of all segments, 64 MiB of text at most. */
#include "formats/names.h"
#include "formats/licence.h"
#include "formats/segment_read.h"
#include "formats/tarhead.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- records -------------------------------------------------------------------------------- */

static int first_key_fits(const vls_reader *r, const char *key, vl_err *e)
{
    const char *first = json_string_value(json_object_get(vls_read_cur(r)->manifest, "first_key"));

    if (r->sum.records || r->gaps || (first && !strcmp(first, key)))
        return VL_OK;
    return vl_fail(e, VL_EFORMAT, "segment %" PRIu64 ": the first key is '%s', the manifest says '%s'",
                   vls_read_cur(r)->pub.ordinal, key, first ? first : "none");
}

/* The record's frame is looked up, and its place kept for the index. Places rise, so the search goes on where
 * it ended. */
static void note_place(vls_reader *r, const char *key)
{
    vls_place *p = &r->u.place;
    uint32_t bytes;

    while (!r->is_plain && r->place_frame < r->seen.n) {
        bytes = vl_seektab_get(&r->seen, r->place_frame).dsize;
        if (p->offset < r->place_start + bytes)
            break;
        r->place_start += bytes;
        r->place_frame++;
    }
    p->frame = r->is_plain ? 0 : r->place_frame;
    vls_vlix_digest_add(&r->places, p, key);
}

/* A record came out of unpack: it counts if its key is new. */
static int admit(vls_reader *r, const vls_record *rec, vl_err *e)
{
    int rc = first_key_fits(r, rec->key, e);

    if (rc)
        return rc;
    if (r->sum.records >= VLS_RECORDS_MAX)
        return vl_fail(e, VL_EFORMAT, "more than %" PRIu64 " records in a segment",
                       (uint64_t)VLS_RECORDS_MAX);
    rc = vls_keyset_add(&r->keys, vls_read_cur(r)->pub.kind, rec->key, e);
    if (rc < 0)
        return rc;
    if (!rc)
        return vl_fail(e, VL_EFORMAT,
                       "segment %" PRIu64 ", record %" PRIu64 ": key '%s' is there "
                       "twice",
                       vls_read_cur(r)->pub.ordinal, r->sum.records, rec->key);
    note_place(r, rec->key);
    r->sum.records++;
    r->counts.records++;
    rc = r->opts.skip_bad ? vls_note_given(r, rec->key, e) : VL_OK;
    return rc ? rc : 1;
}

/* The records of the bytes that are there. */
static int unpack(vls_reader *r, vls_record *rec, vl_err *e)
{
    uint64_t at = vls_ahead_at(r);
    int rc = vls_unpack_next(&r->u, rec, e);

    if (r->u.left_out != r->left_out) { /* a record of a plain shard that its sums do not know */
        int fault = vls_note_gap(r, e);
        if (fault)
            return fault;
        r->left_out = r->u.left_out;
    }
    if (rc < 0)
        return vl_within(e, "segment %" PRIu64 ", before byte %" PRIu64, vls_read_cur(r)->pub.ordinal, at);
    return rc ? admit(r, rec, e) : VL_OK;
}

static int flush(vls_reader *r, vls_record *rec, vl_err *e)
{
    int rc = vls_unpack_finish(&r->u, rec, e);

    r->gaps = r->gaps || r->u.left_out;
    r->tail.gaps = r->gaps;
    r->tail.n_lines =
        r->u.lines.n / sizeof(uint64_t); /* without those of a record that was left out just now */
    r->state = r->tail_lost ? SEEK : TAIL;
    return rc > 0 ? admit(r, rec, e) : rc;
}

/* One step of the machine. 1 = a record. */
static int step(vls_reader *r, vls_record *rec, vl_err *e)
{
    int rc = VL_OK;

    r->damaged = false;
    switch (r->state) {
    case START:
        rc = vls_read_head(r, e);
        break;
    case DATA:
        rc = unpack(r, rec, e);
        if (rc == VL_OK)
            rc = vls_read_data(r, e);
        break;
    case FLUSH:
        return flush(r, rec, e);
    case TAIL:
        rc = vls_read_tail(r, e);
        break;
    case SEEK:
        rc = vls_read_table(r, e);
        break;
    default:
        break;
    }
    return rc < 0 && r->damaged && r->opts.skip_bad ? vls_mend(r, rc, e) : rc;
}

int vls_next(vls_reader *r, vls_record *rec, const vls_segment **seg, vl_err *e)
{
    vl_err own;
    int rc = VL_OK;

    if (r->stuck.code) {
        if (e)
            *e = r->stuck;
        return r->stuck.code;
    }
    own.code = VL_OK;
    while (r->state != END && (rc == VL_OK || (rc == 1 && r->opts.heads_only)))
        rc = step(r, rec, &own);
    r->counts.file_bytes = vls_ahead_at(r);
    if (r->sha_queue && (rc < 0 || r->state == END)) { /* nobody looks at a digest that is still moving */
        vl_err late;
        int fault = vl_sha_queue_drain(r->sha_queue, &late);
        if (fault && rc >= 0) {
            own = late;
            rc = fault;
        }
    }
    if (rc < 0) {
        vl_within(&own, "%s", r->path);
        r->stuck = own;
        if (e)
            *e = own;
        return rc;
    }
    if (rc == 1 && r->state == END)
        rc = VL_OK;
    if (rc == 1)
        *seg = &vls_read_cur(r)->pub;
    return rc;
}

/* ---- opening and asking --------------------------------------------------------------------- */

/* Which carrier? Anything that looks like tar is taken for the plain one, which then says what it lacks. */
static int sniff(vls_reader *r, vl_err *e)
{
    static const char head[] = VLS_META ".manifest.";
    const uint8_t *p;
    size_t n, k;
    int rc = vl_source_peek(&r->src, VL_TAR_BLOCK, &p, &n, e);

    if (rc)
        return rc;
    k = n < sizeof head - 1 ? n : sizeof head - 1;
    r->is_plain = n && (!memcmp(p, head, k) || !p[0] || (n == VL_TAR_BLOCK && !memcmp(p + 257, "ustar", 5)));
    return VL_OK;
}

static int find_spans(vls_reader *r, vl_err *e)
{
    vl_err broken;
    int rc;

    if (!r->src.regular || r->opts.plain_fd || !r->src.size)
        return VL_OK;
    if (r->is_plain)
        rc = vls_plain_walk(r->src.fd, r->src.size, &r->plain, &r->n_plain, &broken);
    else
        rc = vl_seektab_walk(r->src.fd, r->src.size, &r->spans, &r->n_spans, &broken);
    if (rc == VL_EFORMAT) /* streaming gives the good records first and finds the place */
        return VL_OK;
    if (rc && e)
        *e = broken;
    return rc;
}

int vls_reader_open(const char *path, const vls_read_opts *opts, vls_reader **out, vl_err *e)
{
    const char *shown = opts && opts->name ? opts->name : strcmp(path, "-") ? path : "standard input";
    vls_reader *r = vl_alloc(1, sizeof *r, e);
    vl_err own;
    int rc = VL_ENOMEM;

    if (!r)
        return VL_ENOMEM;
    r->src.fd = -1;
    if (opts)
        r->opts = *opts;
    r->path = vl_strdup(shown, e);
    if (!r->path)
        goto out;
    rc = vl_codec_new(&r->codec, &own);
    if (!rc)
        rc = vl_sha_new(&r->sha_all, &own);
    if (!rc)
        rc = vl_sha_new(&r->sha_seg, &own);
    if (!rc)
        rc = vl_source_open(path, &r->src, &own);
    if (!rc)
        rc = sniff(r, &own);
    if (!rc)
        rc = find_spans(r, &own);
    while (!rc && r->state == START && !r->counts.segments) /* terminators may come first */
        rc = step(r, NULL, &own);
    if (rc) {
        vl_within(&own, "%s", shown);
        if (e)
            *e = own;
    }
out:
    if (rc)
        vls_reader_close(r);
    else
        *out = r;
    return rc;
}

const char *vls_reader_name(const vls_reader *r)
{
    return r->path;
}

void vls_reader_close(vls_reader *r)
{
    uint64_t i;

    if (!r)
        return;
    for (i = 0; i < r->counts.segments; i++) {
        json_decref(r->segs[i]->manifest);
        json_decref(r->segs[i]->tail);
        free(r->segs[i]);
    }
    free(r->segs);
    vls_losses_free(r);
    vls_keyset_free(&r->keys);
    vls_tail_free(&r->tail);
    vls_unpack_free(&r->u);
    free(r->comp.p);
    free(r->known.b.p);
    free(r->seen.b.p);
    free(r->spans);
    free(r->plain);
    free(r->want.p);
    vls_vlix_digest_free(&r->places);
    vl_sha_queue_free(r->sha_queue);
    vls_ahead_free(r->ahead);
    vl_sha_free(r->sha_all);
    vl_sha_free(r->sha_seg);
    vl_codec_free(r->codec);
    vl_source_close(&r->src);
    free(r->path);
    free(r);
}

const vls_member *vls_get(const vls_record *r, const char *ext)
{
    size_t i;

    for (i = 0; i < r->n_members; i++)
        if (!strcmp(r->members[i].ext, ext))
            return &r->members[i];
    return NULL;
}

const vls_read_counts *vls_reader_counts(const vls_reader *r)
{
    return &r->counts;
}

const vls_segment *vls_reader_segment(const vls_reader *r, uint64_t i)
{
    return i < r->counts.segments ? &r->segs[i]->pub : NULL;
}

const json_t *vls_reader_tail(const vls_reader *r, uint64_t ordinal)
{
    return ordinal < r->counts.segments ? r->segs[ordinal]->tail : NULL;
}

static void find_rights(const vls_reader *r, vls_parent *out)
{
    bool silent = false, one;
    int rc = VL_OK;
    vl_err e;

    for (uint64_t i = 0; !rc && i < r->counts.segments; i++) {
        rc = vl_rights_segment(&out->rights, r->segs[i]->pub.manifest, r->segs[i]->tail, &one, &e);
        silent |= one;
    }
    if (!rc && out->rights && silent)
        rc = vl_rights_add(&out->rights, VL_LICENCE_UNKNOWN, NULL, &e);
    out->too_many = rc != VL_OK;
}

void vls_reader_id(const vls_reader *r, vls_parent *out)
{
    const char *kind = r->counts.segments ? r->segs[0]->pub.kind : "empty";
    vl_err e;
    uint64_t i;

    *out = (vls_parent){0};
    for (i = 1; i < r->counts.segments; i++)
        if (strcmp(kind, r->segs[i]->pub.kind))
            kind = "mixed";
    strcpy(out->kind, kind); /* vls_kind_check: at most VLS_KIND_MAX bytes */
    if (r->sha_queue && vl_sha_queue_drain(r->sha_queue, NULL))
        return;
    if (!r->opts.heads_only && !r->opts.no_id && vl_sha_hex(r->sha_all, out->id, &e))
        out->id[0] = 0;
    find_rights(r, out);
}

void vls_parent_free(vls_parent *p)
{
    json_decref(p->rights);
    p->rights = NULL;
}

void vls_parents_free(vls_parent *p, size_t n)
{
    for (size_t i = 0; p && i < n; i++)
        vls_parent_free(&p[i]);
    free(p);
}
