/* SPDX-License-Identifier: MIT
 * plain_read.c -- the steps through one segment of a plain shard, member by member.
 *
 * The states are those of segment_read.c without SEEK: the tail is the commit record. What takes the place of
 * a frame is a piece: a member's header, or up to 1 MiB of what follows it, so memory never follows what a
 * header claims before the bytes are there. */
#include "formats/names.h"
#include "formats/segment_read.h"
#include "formats/tarhead.h"

#include <inttypes.h>
#include <string.h>

enum { PIECE = 1 << 20, WINDOW = 1 << 16, MAGIC_AT = 257 };

static const char magic[8] = {'u', 's', 't', 'a', 'r', 0, '0', '0'}; /* of a header, MAGIC_AT bytes on */

static int in_member(vls_reader *r, vl_err *e)
{
    r->damaged = true;
    return vl_within(e, "member at byte %" PRIu64, r->frame_at);
}

/* One more block behind r->comp. *more = 0: the input ended before it. */
static int add_block(vls_reader *r, int *more, vl_err *e)
{
    size_t got;
    int rc = vl_buf_room(&r->comp, VL_TAR_BLOCK, e);

    if (!rc)
        rc = vl_source_read(&r->src, r->comp.p + r->comp.n, VL_TAR_BLOCK, &got, e);
    if (rc)
        return rc;
    *more = got != 0;
    r->comp.n += got;
    return got && got < VL_TAR_BLOCK ? vls_truncated(r, e) : VL_OK;
}

/* The header at r->comp, whose first block is there, is completed and parsed. Sets r->left. */
static int rest_of_head(vls_reader *r, char *name, vl_err *e)
{
    uint64_t size;
    size_t used;
    int more, rc;

    for (;;) {
        rc = vl_tar_parse(r->comp.p, r->comp.n, name, &size, &used, e);
        if (rc)
            return in_member(r, e);
        if (used)
            break;
        rc = add_block(r, &more, e);
        if (!rc && !more)
            rc = vls_truncated(r, e);
        if (rc)
            return rc;
    }
    r->left = size + vl_tar_padding(size);
    r->counts.raw_bytes += r->comp.n + r->left;
    return VL_OK;
}

static int first_block(vls_reader *r, int *more, vl_err *e)
{
    r->comp.n = 0;
    r->frame_at = r->src.at;
    return add_block(r, more, e);
}

static int next_head(vls_reader *r, char *name, vl_err *e)
{
    int more, rc = first_block(r, &more, e);

    if (!rc && !more)
        rc = vls_truncated(r, e);
    return rc ? rc : rest_of_head(r, name, e);
}

static bool all_zero(const uint8_t *p, size_t n)
{
    return !p[0] && !memcmp(p, p + 1, n - 1);
}

/* A block of zeros is at hand: a second one must follow. */
static int step_over_term(vls_reader *r, vl_err *e)
{
    int more, rc = add_block(r, &more, e);

    if (!rc && !more)
        rc = vls_truncated(r, e);
    if (rc)
        return rc;
    if (!all_zero(r->comp.p, r->comp.n))
        return vl_fail(e, VL_EFORMAT, "byte %" PRIu64 ": one block of zeros, a terminator has two",
                       r->frame_at);
    r->n_terms++;
    r->span++;
    return VL_OK;
}

static int take_head(vls_reader *r, vl_err *e)
{
    char name[VL_TAR_NAME_MAX + 1];
    size_t n;
    int rc = rest_of_head(r, name, e);

    if (rc)
        return rc;
    if (r->left > VLS_JSON_MAX)
        return vl_fail(e, VL_EFORMAT, "first member '%.80s' of %" PRIu64 " bytes is no manifest", name,
                       r->left);
    n = (size_t)r->left;
    rc = vl_buf_room(&r->comp, n, e);
    if (!rc)
        rc = vls_read_exact(r, r->comp.p + r->comp.n, n, e);
    r->left = 0;
    return rc ? rc : vls_take_head(r, r->comp.p, r->comp.n + n, e);
}

/* Behind a gap the segment at hand need not be the next of those that are known. */
static void align_span(vls_reader *r)
{
    while (r->span < r->n_plain && (r->plain[r->span].term || r->plain[r->span].start < r->frame_at))
        r->span++;
}

static bool has_span(const vls_reader *r)
{
    return r->span < r->n_plain && r->plain[r->span].start == r->frame_at;
}

/* The sums of the open segment, so that members are checked before they are handed out. */
static int load_sums(vls_reader *r, vl_err *e)
{
    int rc = vls_plain_lines(r->src.fd, &r->plain[r->span], &r->want, e);

    r->u.want = (const uint64_t *)(const void *)r->want.p;
    r->u.n_want = r->want.n / sizeof(uint64_t);
    r->u.check = !rc;
    return rc;
}

int vls_plain_head(vls_reader *r, vl_err *e)
{
    int more, rc = first_block(r, &more, e);

    if (!rc && !more && r->counts.segments + r->n_terms) {
        r->state = END;
        return VL_OK;
    }
    if (!rc && !more)
        rc = vls_truncated(r, e);
    if (!rc && all_zero(r->comp.p, r->comp.n))
        return step_over_term(r, e);
    if (!rc)
        rc = take_head(r, e);
    if (rc) {
        r->damaged = true;
        return r->counts.segments ? rc : vl_within(e, "not a shard");
    }
    align_span(r);
    if (r->opts.heads_only && has_span(r)) {
        r->state = START;
        return vl_source_seek(&r->src, r->plain[r->span++].end, e);
    }
    r->state = DATA;
    r->u.lenient = r->opts.skip_bad;
    return has_span(r) ? load_sums(r, e) : VL_OK;
}

/* Up to PIECE of the bytes that follow the open member's header, to dst with room for them. */
static int take_piece(vls_reader *r, uint8_t *dst, size_t n, vl_err *e)
{
    int rc = vls_read_exact(r, dst, n, e);

    if (!rc)
        r->left -= n;
    return rc;
}

static size_t piece_bytes(const vls_reader *r)
{
    return r->left < PIECE ? (size_t)r->left : PIECE;
}

/* Behind a gap: a manifest, so the open segment lost its tail. */
static int other_segment(vls_reader *r, vl_err *e)
{
    int rc = vl_source_unread(&r->src, r->comp.p, r->comp.n, e);

    r->counts.raw_bytes -= r->comp.n + r->left;
    r->counts.lost_tails++;
    r->left = 0;
    r->state = START;
    return rc;
}

/* The next piece of DATA, or the header of the sums. */
int vls_plain_data(vls_reader *r, vl_err *e)
{
    char name[VL_TAR_NAME_MAX + 1];
    size_t n = piece_bytes(r);
    uint8_t *dst;
    int rc;

    if (!n) {
        rc = next_head(r, name, e);
        if (rc)
            return rc;
        if (r->gaps && !strncmp(name, VLS_META ".manifest.", 17))
            return other_segment(r, e);
        if (vls_is_sums(r->comp.p, r->comp.n, vls_read_cur(r)->id)) {
            vls_start_tail(r);
            return vl_buf_add(&r->tail.b, r->comp.p, r->comp.n, e);
        }
        if (r->gaps && !strncmp(name, VLS_META, sizeof VLS_META - 1)) {
            vl_fail(e, VL_EFORMAT, "'%s' without the sums before it", name);
            return in_member(r, e);
        }
        n = r->comp.n;
        rc = vls_unpack_room(&r->u, n, &dst, e);
        if (!rc)
            memcpy(dst, r->comp.p, n);
    } else {
        rc = vls_unpack_room(&r->u, n, &dst, e);
        if (!rc)
            rc = take_piece(r, dst, n, e);
    }
    if (rc)
        return rc;
    r->u.raw.n += n;
    return vls_digest_data(r, dst, n, e);
}

/* What the tail's reader asks for: the rest of a member, or the next header. */
int vls_plain_tail(vls_reader *r, vl_err *e)
{
    char name[VL_TAR_NAME_MAX + 1];
    size_t n = piece_bytes(r);
    int rc;

    if (!n) {
        rc = next_head(r, name, e);
        return rc ? rc : vl_buf_add(&r->tail.b, r->comp.p, r->comp.n, e);
    }
    rc = vl_buf_room(&r->tail.b, n, e);
    if (!rc)
        rc = take_piece(r, r->tail.b.p + r->tail.b.n, n, e);
    if (!rc)
        r->tail.b.n += n;
    return rc;
}

/* Is a member's header here? Then reading can go on. */
static bool head_here(const uint8_t *p, size_t n)
{
    char name[VL_TAR_NAME_MAX + 1];
    uint64_t size;
    size_t used, key_n;

    return !vl_tar_parse(p, n, name, &size, &used, NULL) && used &&
           (!strncmp(name, VLS_META ".", sizeof VLS_META) || !vls_name_split(name, &key_n, NULL));
}

/* Moves to the next place that looks like a header, at least one byte on; *more = 0: there is none. */
static int next_place(vls_reader *r, size_t from, int *more, vl_err *e)
{
    const uint8_t *p, *at;
    size_t n;
    int rc;

    for (;; from = 0) {
        rc = vl_source_peek(&r->src, WINDOW, &p, &n, e);
        if (rc)
            return rc;
        at = n > from ? memmem(p + from, n - from, magic, sizeof magic) : NULL;
        *more = at || n == WINDOW;
        if (at && (size_t)(at - p) >= MAGIC_AT)
            return vl_source_skip(&r->src, (size_t)(at - p) - MAGIC_AT, e);
        if (at || n < WINDOW) /* no header can end in so little */
            return vl_source_skip(&r->src, at ? 1 : n, e);
        rc = vl_source_skip(&r->src, n - VL_TAR_BLOCK, e);
        if (rc)
            return rc;
    }
}

/* A header is bad, or the input ends too early: the next header is searched for, at any byte, since a stretch
 * of the file may be missing. */
int vls_plain_mend(vls_reader *r, vl_err *e)
{
    const uint8_t *p;
    size_t n, from = 0;
    int more = 1, rc;

    r->left = 0;
    do {
        rc = next_place(r, from, &more, e);
        if (!rc && more)
            rc = vl_source_peek(&r->src, VL_TAR_HEAD_MAX, &p, &n, e);
        if (rc)
            return rc;
        if (more && head_here(p, n)) {
            r->state = r->state == START ? START : DATA;
            return VL_OK;
        }
        from = MAGIC_AT + 1;
    } while (more);
    r->counts.lost_tails += r->state != START;
    r->state = END;
    return VL_OK;
}
