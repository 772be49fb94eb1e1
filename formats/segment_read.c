/* SPDX-License-Identifier: MIT
 * segment_read.c -- the frames of one segment, in order: HEAD, DATA, TAIL, the table. */
#include "formats/names.h"
#include "formats/segment_read.h"
#include "formats/tarhead.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define JSON_TOTAL_MAX ((uint64_t)64 << 20)
enum { SHA_THREAD_BYTES = 3 << 20 };
enum { TERM_FRAME = 23, FRAME_MIN = 13 };

/* ---- frames --------------------------------------------------------------------------------- */

int vls_truncated(vls_reader *r, vl_err *e)
{
    r->damaged = true;
    return vl_fail(e, VL_EFORMAT, "truncated: no %s, %s ends at byte %" PRIu64,
                   r->is_plain ? "tail" : "seek table", r->src.regular ? "file" : "input", r->src.at);
}

static int in_frame(vls_reader *r, vl_err *e)
{
    r->damaged = true;
    return vl_within(e, "frame %" PRIu64 " (byte %" PRIu64 ")", r->counts.frames, r->frame_at);
}

int vls_read_exact(vls_reader *r, uint8_t *p, size_t n, vl_err *e)
{
    size_t got;
    int rc = vl_source_read(&r->src, p, n, &got, e);

    if (!rc && got < n)
        rc = vls_truncated(r, e);
    return rc;
}

int vls_read_known(vls_reader *r, uint32_t i, vl_buf *comp, vl_frame *f, vl_err *e)
{
    vl_frame want;
    vl_frame_walk w = {0};
    size_t need = 0;
    int rc;

    if (i >= r->known.n)
        return vl_fail(e, VL_EFORMAT, "the seek table ends before the segment's tail");
    want = vl_seektab_get(&r->known, i);
    if (want.csize < FRAME_MIN || want.csize > VL_FRAME_COMP_MAX)
        return vl_fail(e, VL_EFORMAT, "the seek table says %" PRIu32 " bytes, %d to %d allowed", want.csize,
                       FRAME_MIN, VL_FRAME_COMP_MAX);
    comp->n = 0;
    rc = vl_buf_room(comp, want.csize, e);
    if (!rc)
        rc = vls_read_exact(r, comp->p, want.csize, e);
    if (rc)
        return rc;
    comp->n = want.csize;
    rc = vl_frame_step(&w, comp->p, comp->n, &need, f, e);
    if (rc)
        return rc;
    if (need != comp->n || memcmp(f, &want, sizeof want))
        return vl_fail(e, VL_EFORMAT, "frame and seek table disagree");
    return VL_OK;
}

/* The next frame into r->comp. *more = 0 at the end of the input (r->comp.n bytes were there). */
static int pull(vls_reader *r, vl_frame *f, int *more, vl_err *e)
{
    int rc;

    *more = 1;
    r->frame_at = r->src.at;
    r->whole = false;
    if (r->known.n)
        return vls_read_known(r, r->seen.n, &r->comp, f, e);
    rc = vl_frame_pull(&r->src, &r->comp, f, more, e);
    r->whole = !rc && *more;
    return rc;
}

/* pull where a frame must come, decoded to the end of r->u's bytes or (tail) of r->tail.b. */
static int pull_here(vls_reader *r, vl_frame *f, bool tail, int *more, vl_err *e)
{
    uint8_t *dst;
    int rc = pull(r, f, more, e);

    if (rc || !*more)
        return rc;
    if (!tail) {
        rc = vls_unpack_room(&r->u, f->dsize, &dst, e);
    } else {
        rc = vl_buf_room(&r->tail.b, f->dsize, e);
        dst = r->tail.b.p + r->tail.b.n;
    }
    return rc ? rc : vl_frame_decode(r->codec, r->comp.p, f, dst, e);
}

/* The next frame, decoded and counted. The bytes of r->u or r->tail.b stay as many: the caller adds. */
static int pull_decode(vls_reader *r, vl_frame *f, bool tail, vl_err *e)
{
    int more = 1, rc = vls_ahead_take(r, f, tail, e);

    if (!rc)
        rc = pull_here(r, f, tail, &more, e);
    if (!more)
        return vls_truncated(r, e);
    if (rc >= 0)
        rc = vl_seektab_add(&r->seen, f, e);
    if (rc)
        return in_frame(r, e);
    r->counts.frames++;
    r->counts.raw_bytes += f->dsize;
    return VL_OK;
}

/* ---- segments ------------------------------------------------------------------------------- */

static int new_segment(vls_reader *r, vls_seg **out, vl_err *e)
{
    uint64_t n = r->counts.segments;
    vls_seg **segs;

    if (!(n & (n - 1))) { /* grows at powers of two */
        segs = vl_realloc(r->segs, n ? (size_t)n * 2 : 1, sizeof *segs, e);
        if (!segs)
            return VL_ENOMEM;
        r->segs = segs;
    }
    *out = vl_alloc(1, sizeof **out, e);
    if (!*out)
        return VL_ENOMEM;
    (*out)->pub.ordinal = n;
    r->segs[n] = *out;
    r->counts.segments++;
    return VL_OK;
}

vls_seg *vls_read_cur(const vls_reader *r)
{
    return r->segs[r->counts.segments - 1];
}

static int count_json(vls_reader *r, uint64_t n, vl_err *e)
{
    r->json_bytes += n;
    if (r->json_bytes > JSON_TOTAL_MAX)
        return vl_fail(e, VL_EFORMAT, "manifests and tails are over %" PRIu64 " bytes together",
                       (uint64_t)JSON_TOTAL_MAX);
    return VL_OK;
}

/* A terminator's 23-byte frame is at hand: its table must follow. */
static int step_over_term(vls_reader *r, vl_err *e)
{
    uint8_t rest[VL_TERM_BYTES - TERM_FRAME];
    int rc = vls_read_exact(r, rest, sizeof rest, e);

    if (rc)
        return rc;
    if (memcmp(rest, vl_term + TERM_FRAME, sizeof rest))
        return vl_fail(e, VL_EFORMAT, "byte %" PRIu64 ": a terminator without its seek table", r->frame_at);
    r->n_terms++;
    r->span++;
    return VL_OK;
}

int vls_take_head(vls_reader *r, const uint8_t *raw, size_t n, vl_err *e)
{
    json_t *m = NULL;
    char id[VLS_ID_HEX + 1];
    vls_seg *s;
    int rc = count_json(r, n, e);

    if (!rc)
        rc = vls_head_parse(raw, n, &m, id, e);
    if (!rc)
        rc = new_segment(r, &s, e);
    if (!rc)
        rc = vls_vlix_digest_reset(&r->places, e);
    if (!rc && r->sha_queue) /* a segment that lost its tail may still be in there */
        rc = vl_sha_queue_drain(r->sha_queue, e);
    if (!rc && r->counts.segments > 1)
        rc = vl_sha_reset(r->sha_seg, e);
    if (rc) {
        json_decref(m);
        return rc;
    }
    s->manifest = m;
    s->pub.manifest = m;
    s->pub.kind = json_string_value(json_object_get(m, "kind"));
    memcpy(s->id, id, sizeof id);
    return VL_OK;
}

/* The frame at hand, which must hold a manifest. */
static int take_head(vls_reader *r, const vl_frame *f, vl_err *e)
{
    int rc;

    r->tail.b.n = 0;
    rc = vl_buf_room(&r->tail.b, f->dsize, e);
    if (!rc)
        rc = vl_frame_decode(r->codec, r->comp.p, f, r->tail.b.p, e);
    if (!rc)
        rc = vls_take_head(r, r->tail.b.p, f->dsize, e);
    if (!rc)
        rc = vl_seektab_add(&r->seen, f, e);
    if (rc)
        return rc;
    r->counts.frames++;
    r->counts.raw_bytes += f->dsize;
    return VL_OK;
}

int vls_skip_span(vls_reader *r, vl_err *e)
{
    const vl_span *s = &r->spans[r->span];
    uint64_t end = s->table + VL_SEEK_FIXED + (uint64_t)s->n * VL_SEEK_ENTRY;

    r->span++;
    r->state = START;
    return vl_source_seek(&r->src, end, e);
}

void vls_read_begin(vls_reader *r)
{
    r->sum = (vls_totals){0};
    r->gaps = r->tail_lost = false;
    r->last_key.n = 0;
    r->left_out = 0;
    r->left = 0;
    r->place_frame = 1;
    r->place_start = 0;
    vl_seektab_clear(&r->seen);
    vl_seektab_clear(&r->known);
    vls_unpack_reset(&r->u);
}

static bool term_here(const vls_reader *r)
{
    return r->comp.n == TERM_FRAME && !memcmp(r->comp.p, vl_term, TERM_FRAME);
}

static int head_failed(vls_reader *r, vl_err *e)
{
    r->damaged = true;
    return r->counts.segments ? in_frame(r, e) : vl_within(e, "not a shard");
}

int vls_read_head(vls_reader *r, vl_err *e)
{
    vl_frame f;
    int more, rc;

    vls_read_begin(r);
    if (r->is_plain)
        return vls_plain_head(r, e);
    if (r->span < r->n_spans) {
        rc = vl_seektab_load(r->src.fd, &r->spans[r->span], &r->known, e);
        if (rc)
            return rc;
    }
    rc = pull(r, &f, &more, e);
    if (!rc && !more && !r->comp.n && r->counts.segments + r->n_terms + r->counts.bad_frames) {
        r->state = END;
        return VL_OK;
    }
    if (!rc && !more)
        return vls_truncated(r, e);
    if (!rc && term_here(r))
        return step_over_term(r, e);
    if (!rc)
        rc = take_head(r, &f, e);
    if (rc)
        return head_failed(r, e);
    if (r->opts.heads_only && r->known.n)
        return vls_skip_span(r, e);
    r->state = DATA;
    return VL_OK;
}

void vls_start_tail(vls_reader *r)
{
    r->state = FLUSH;
    vls_tail_start(&r->tail, vls_read_cur(r)->id, (const uint64_t *)(const void *)r->u.lines.p,
                   r->u.lines.n / sizeof(uint64_t), r->gaps);
}

/* A thread is started once there is something to gain. */
static int start_sha_queue(vls_reader *r, size_t n, vl_err *e)
{
    if (r->sha_queue || r->opts.one_thread || r->sha_bytes + n < SHA_THREAD_BYTES)
        return VL_OK;
    return vl_sha_queue_new(&r->sha_queue, e);
}

int vls_digest_data(vls_reader *r, const uint8_t *p, size_t n, vl_err *e)
{
    vl_sha *seg = r->counts.segments > 1 ? r->sha_seg : NULL;
    int rc;

    r->sum.bytes += n;
    if (r->opts.no_id)
        return VL_OK;
    rc = start_sha_queue(r, n, e);
    r->sha_bytes += n;
    if (rc)
        return rc;
    if (r->sha_queue)
        return vl_sha_queue_add(r->sha_queue, r->sha_all, seg, p, n, e);
    rc = vl_sha_add(r->sha_all, p, n, e);
    return rc || !seg ? rc : vl_sha_add(seg, p, n, e);
}

/* Does a member of DATA begin where this frame does? */
static bool begins_member(const uint8_t *p, size_t n)
{
    char name[VL_TAR_NAME_MAX + 1];
    uint64_t size;
    size_t used;

    return !vl_tar_parse(p, n, name, &size, &used, NULL) &&
           (!used || strncmp(name, VLS_META, sizeof VLS_META - 1));
}

/* The next frame of DATA, or the first one of TAIL. */
int vls_read_data(vls_reader *r, vl_err *e)
{
    vl_frame f;
    uint8_t *p;
    int rc;

    if (r->is_plain)
        return vls_plain_data(r, e);
    rc = pull_decode(r, &f, false, e);
    if (rc)
        return rc;
    p = r->u.raw.p + r->u.raw.n;
    rc = r->gaps && !r->known.n ? vls_other_head(r, p, &f, e) : 0;
    if (rc)
        return rc < 0 ? rc : VL_OK;
    if (vls_unpack_at_member(&r->u) && vls_is_sums(p, f.dsize, vls_read_cur(r)->id)) {
        vls_start_tail(r);
        return vl_buf_add(&r->tail.b, p, f.dsize, e);
    }
    if (r->gaps && !r->u.raw.n && !begins_member(p, f.dsize)) {
        r->counts.bad_frames++; /* verified, but in the middle of a member that is gone */
        return VL_OK;
    }
    r->u.raw.n += f.dsize;
    r->sum.frames++;
    return vls_digest_data(r, p, f.dsize, e);
}

/* A segment without records has no first key, and its manifest none either. */
static int no_first_key(const vls_reader *r, vl_err *e)
{
    const char *first = json_string_value(json_object_get(vls_read_cur(r)->manifest, "first_key"));

    if (!first || r->sum.records || r->gaps)
        return VL_OK;
    return vl_fail(e, VL_EFORMAT, "no records, but the manifest says that the first key is '%s'", first);
}

static int end_tail(vls_reader *r, vl_err *e)
{
    vls_seg *s = vls_read_cur(r);
    const json_t *records;
    int rc;

    rc = count_json(r, r->tail.b.n - r->tail.at, e); /* `at`: the last member's header */
    if (!rc && r->sha_queue)
        rc = vl_sha_queue_drain(r->sha_queue, e);
    if (!rc && !r->opts.no_id)
        rc = vl_sha_hex(r->counts.segments > 1 ? r->sha_seg : r->sha_all, r->sum.content_id, e);
    r->sum.members = r->u.members;
    if (!rc)
        rc = vls_tail_check(r->tail.json, &r->sum, r->gaps, r->is_plain, e);
    if (!rc)
        rc = no_first_key(r, e);
    if (rc)
        return rc;
    s->tail = r->tail.json;
    r->tail.json = NULL;
    records = json_object_get(s->tail, "records");
    if (r->gaps && json_integer_value(records) > (json_int_t)r->sum.records)
        r->counts.lost_records += (uint64_t)json_integer_value(records) - r->sum.records;
    rc = vls_note_lost(r, e);
    r->state = r->is_plain ? START : SEEK;
    r->span += r->is_plain;
    return rc ? rc : vls_ahead_drop(r, e);
}

/* The bytes of TAIL that are there; the next frame when they are not enough. */
int vls_read_tail(vls_reader *r, vl_err *e)
{
    vl_frame f;
    int rc = vls_tail_step(&r->tail, e);

    if (rc < 0) { /* no checksum stands before a plain shard's tail: it may be its bytes that are bad */
        r->damaged = r->is_plain && !r->tail.mismatch;
        return vl_within(e, "segment %" PRIu64, vls_read_cur(r)->pub.ordinal);
    }
    if (rc == 1) {
        rc = end_tail(r, e);
        return rc ? vl_within(e, "segment %" PRIu64, vls_read_cur(r)->pub.ordinal) : VL_OK;
    }
    if (r->is_plain)
        return vls_plain_tail(r, e);
    rc = pull_decode(r, &f, true, e);
    if (!rc)
        r->tail.b.n += f.dsize;
    return rc;
}

/* Behind a gap in a stream: the table has more frames than were read, those that were are among them in order. */
static int compare_gaps(vls_reader *r, uint32_t bytes, vl_err *e)
{
    uint8_t entry[VL_SEEK_ENTRY];
    uint32_t i = 0, n = bytes / VL_SEEK_ENTRY;
    int rc = VL_OK;

    if (bytes % VL_SEEK_ENTRY != 9 || n > VL_SEEK_FRAMES_MAX)
        return vl_fail(e, VL_EFORMAT, "seek table of %" PRIu32 " bytes", bytes);
    for (uint32_t k = 0; !rc && k < n; k++) {
        rc = vls_read_exact(r, entry, sizeof entry, e);
        if (!rc && i < r->seen.n && !memcmp(entry, r->seen.b.p + (size_t)i * VL_SEEK_ENTRY, sizeof entry))
            i++;
    }
    if (!rc)
        rc = vls_read_exact(r, entry, 9, e);
    if (!rc && i < r->seen.n)
        rc = vl_fail(e, VL_EFORMAT, "seek table does not know frame %" PRIu32, i);
    return rc;
}

/* The table in the file, whose header was read, against the frames that were read. */
static int compare_table(vls_reader *r, uint32_t bytes, vl_err *e)
{
    vl_buf want = {0};
    uint32_t i;
    int rc;

    if (r->gaps && !r->known.n)
        return compare_gaps(r, bytes, e);
    rc = vl_seektab_build(&r->seen, &want, e);
    if (rc)
        goto out;
    if (bytes != want.n - 8) {
        rc = vl_fail(e, VL_EFORMAT, "seek table of %" PRIu32 " bytes for %" PRIu32 " frames", bytes,
                     r->seen.n);
        goto out;
    }
    r->comp.n = 0;
    rc = vl_buf_room(&r->comp, bytes, e);
    if (!rc)
        rc = vls_read_exact(r, r->comp.p, bytes, e);
    if (rc || !memcmp(r->comp.p, want.p + 8, bytes))
        goto out;
    for (i = 0; i < r->seen.n; i++)
        if (memcmp(r->comp.p + (size_t)i * VL_SEEK_ENTRY, r->seen.b.p + (size_t)i * VL_SEEK_ENTRY,
                   VL_SEEK_ENTRY))
            break;
    rc = i < r->seen.n ? vl_fail(e, VL_EFORMAT, "seek table disagrees with frame %" PRIu32, i)
                       : vl_fail(e, VL_EFORMAT, "seek table: its last 9 bytes are wrong");
out:
    free(want.p);
    return rc;
}

/* The index, where there is one, and the table. *at: of what failed. */
static int read_table(vls_reader *r, uint64_t *at, vl_err *e)
{
    uint8_t head[8];
    bool vlix = false;
    int rc;

    for (;;) {
        *at = r->frame_at = r->src.at;
        rc = vls_read_exact(r, head, sizeof head, e);
        if (rc || vl_le32(head) != VL_VLIX_MAGIC || vlix)
            break;
        vlix = true;
        rc = vls_check_vlix(r, vl_le32(head + 4), e);
        if (rc)
            return rc;
    }
    if (rc)
        return rc;
    if (vl_le32(head) != VL_SEEK_MAGIC)
        return vl_fail(e, VL_EFORMAT, "begins %02x %02x %02x %02x", head[0], head[1], head[2], head[3]);
    return compare_table(r, vl_le32(head + 4), e);
}

int vls_read_table(vls_reader *r, vl_err *e)
{
    uint64_t at;
    int rc = read_table(r, &at, e);

    r->damaged = r->damaged || rc == VL_EFORMAT;
    if (rc && strncmp(e ? e->text : "", "truncated", 9))
        return vl_within(e, "segment %" PRIu64 ": seek table at byte %" PRIu64, vls_read_cur(r)->pub.ordinal,
                         at);
    if (rc)
        return rc;
    r->counts.sealed_segments++;
    r->counts.sealed_bytes = r->src.at;
    r->span++;
    r->state = START;
    return VL_OK;
}
