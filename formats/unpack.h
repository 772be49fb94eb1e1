/* SPDX-License-Identifier: MIT
 * unpack.h -- decoded DATA bytes in, records out. Holds the open record and one frame, no more. */
#ifndef VLS_UNPACK_H
#define VLS_UNPACK_H

#include "formats/bytes.h"
#include "formats/shard.h"
#include "formats/vlix.h"

typedef struct vls_unpack { /* {0} to start */
    vl_buf raw;             /* decoded bytes; those before rec0 are done with */
    size_t rec0;            /* where the open record begins */
    size_t at;              /* where the next member's header begins */
    bool open;              /* a record is open: its end is known only when another key or TAIL follows */
    vl_buf names;           /* of the open record: key NUL, then ext NUL for each member */
    vl_buf parts;           /* of the open record: where each member lies (struct part) */
    vl_buf given;           /* vls_member[] of the record handed out last */
    vl_buf key;             /* and its names */
    uint64_t rec_bytes;
    uint64_t
        base; /* offset of raw.p[0] in the segment's DATA, modulo 2^64: bytes before rec0 may be none of it */
    vl_buf text;          /* the open record's lines of the sums */
    vls_place place;      /* of the record handed out last, without its frame */
    vl_buf lines;         /* u64 line hash of every member of the segment (tail.h) */
    uint64_t members;     /* of the segment */
    bool check;           /* plain files: members must agree with want before they are handed out */
    const uint64_t *want; /* line hashes of the segment's sums, borrowed */
    size_t n_want, at_want;
    bool lenient;      /* skip_bad: a record with a member that disagrees is left out, not an error */
    bool resync;       /* a gap: where in want it goes on is searched for */
    bool spoiled;      /* the open record has such a member */
    uint64_t left_out; /* such records */
    size_t lines0;     /* bytes of lines before the open record's */
    bool drop;         /* the record that comes next may lack members: it is not handed out */
} vls_unpack;

void vls_unpack_reset(vls_unpack *u); /* a new segment */
void vls_unpack_free(vls_unpack *u);

/* vls_unpack_room -- where the next frame's n bytes go; count them in with u->raw.n += n.
 * Invalidates the record handed out last. */
VL_MUST_USE int vls_unpack_room(vls_unpack *u, size_t n, uint8_t **dst, vl_err *e);

/* vls_unpack_give -- the same for bytes that lie in a block already: n of them, `headroom` behind b->p. Takes the
 * block and leaves the one that was in use; only where the open record is longer than headroom are the n copied. */
VL_MUST_USE int vls_unpack_give(vls_unpack *u, vl_buf *b, size_t headroom, size_t n, vl_err *e);

/* vls_unpack_at_member -- do the bytes so far end where a member ends? (TAIL may follow only then.) */
bool vls_unpack_at_member(const vls_unpack *u);

/* vls_unpack_next -- 1 a whole record in *rec (borrowed until the next call), 0 bytes are needed,
 * negative VL_EFORMAT. vls_unpack_finish: the same when no bytes follow, 0 = nothing was open. */
VL_MUST_USE int vls_unpack_next(vls_unpack *u, vls_record *rec, vl_err *e);
VL_MUST_USE int vls_unpack_finish(vls_unpack *u, vls_record *rec, vl_err *e);

/* vls_unpack_gap -- a frame was left out: forgets what is open, and drops the record after the gap,
 * whose first members may have been in that frame. */
void vls_unpack_gap(vls_unpack *u);

#endif
