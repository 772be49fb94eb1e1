/* SPDX-License-Identifier: MIT
 * segment_read.h -- the inside of a shard reader: its state and the steps through one segment.
 * shard_read.c drives them; segment_read.c has the steps for frames, plain_read.c those for the plain carrier. */
#ifndef VLS_SEGMENT_READ_H
#define VLS_SEGMENT_READ_H

#include "formats/keyset.h"
#include "formats/plain.h"
#include "formats/seektab.h"
#include "formats/sha_queue.h"
#include "formats/tail.h"
#include "formats/unpack.h"
#include "formats/vlix.h"

typedef struct vls_seg {
    vls_segment pub;
    json_t *manifest, *tail;
    char id[VLS_ID_HEX + 1];
} vls_seg;

typedef struct vls_ahead vls_ahead;

struct vls_reader {
    char *path;
    vl_source src;
    vls_read_opts opts;
    vl_codec *codec;
    vl_sha *sha_all, *sha_seg; /* sha_seg only from the second segment on: the first is sha_all's */
    vl_sha_queue *sha_queue;   /* NULL while there is little to hash */
    uint64_t sha_bytes;        /* so far */
    vls_ahead *ahead;          /* NULL where no frame was worth reading ahead */
    vl_span *spans;            /* of a file whose tables chain, else NULL */
    size_t n_spans, span;      /* span: of the open segment */
    bool is_plain;             /* the `.tar` carrier */
    vls_plain_span *plain;     /* its segments, of a file whose chain holds, else NULL */
    size_t n_plain;            /* `span` counts these too */
    uint64_t left;             /* plain: bytes of the open member, padding included, that are to come */
    vl_buf want;               /* plain: line hashes of the open segment's sums, where known */
    vl_seektab known, seen;    /* the open segment's table; its frames as they were read */
    vl_buf comp;               /* the frame at hand, compressed */
    uint64_t frame_at;         /* its position */
    vls_unpack u;
    vls_tail_reader tail;
    vls_keyset keys;
    vls_seg **segs;
    uint64_t n_terms, json_bytes;
    vls_vlix_digest places; /* of the open segment's records: what its index must say */
    uint32_t place_frame;   /* frame of the last of them, and the offset where that begins */
    uint64_t place_start;
    /* what skip_bad keeps */
    bool damaged;      /* the last failure is one of bytes, which may be passed over */
    bool whole;        /* the frame at hand is complete, whatever it holds */
    bool tail_lost;    /* the open segment's only frame of TAIL is bad: its last record is whole */
    uint64_t left_out; /* records of the open segment that u left out, as far as they are noted */
    uint32_t tries;    /* searches so far */
    vl_buf last_key;   /* of the record given last in this segment; empty: none */
    struct loss {
        uint64_t segment, at;
        char *after, *before;
    } * loss;
    size_t n_loss;
    vls_loss *shown; /* the same, as callers see it */
    vl_buf lost_keys;
    uint64_t n_lost_keys;
    vls_totals sum; /* of the open segment */
    bool gaps;      /* frames of the open segment were left out */
    enum { START, DATA, FLUSH, TAIL, SEEK, END } state;
    vls_read_counts counts;
    vl_err stuck;
};

/* vls_read_cur -- the open segment. */
vls_seg *vls_read_cur(const vls_reader *r);

/* Each step reads at most one frame (or table) and sets r->state for what comes next.
 * Errors: VL_EFORMAT, VL_EIO, VL_ENOMEM, without the path. */
VL_MUST_USE int vls_read_head(vls_reader *r, vl_err *e);  /* START: HEAD, a terminator, or the end */
VL_MUST_USE int vls_read_data(vls_reader *r, vl_err *e);  /* DATA: a frame into r->u, or TAIL begins */
VL_MUST_USE int vls_read_tail(vls_reader *r, vl_err *e);  /* TAIL: what is there, or one more frame */
VL_MUST_USE int vls_read_table(vls_reader *r, vl_err *e); /* SEEK: the table must say what was read */

/* vls_read_exact -- n bytes or vls_truncated, the complaint about an input that ends too early. */
VL_MUST_USE int vls_read_exact(vls_reader *r, uint8_t *p, size_t n, vl_err *e);
int vls_truncated(vls_reader *r, vl_err *e);

/* vls_read_known -- frame i of a segment whose table is known, read in one piece into comp (replaced) and held
 * against its entry. */
VL_MUST_USE int vls_read_known(vls_reader *r, uint32_t i, vl_buf *comp, vl_frame *f, vl_err *e);

/* vls_check_vlix -- the record index whose header of 8 bytes was read, `bytes` of payload, against r->places. */
VL_MUST_USE int vls_check_vlix(vls_reader *r, uint32_t bytes, vl_err *e);

/* The same for the plain carrier; vls_plain_tail only fetches more for vls_read_tail. */
VL_MUST_USE int vls_plain_head(vls_reader *r, vl_err *e);
VL_MUST_USE int vls_plain_data(vls_reader *r, vl_err *e);
VL_MUST_USE int vls_plain_tail(vls_reader *r, vl_err *e);

/* What both carriers share: a decoded HEAD opens a segment; decoded DATA goes into the digests; the sums of the
 * open segment have begun. */
VL_MUST_USE int vls_take_head(vls_reader *r, const uint8_t *raw, size_t n, vl_err *e);
VL_MUST_USE int vls_digest_data(vls_reader *r, const uint8_t *p, size_t n, vl_err *e);
void vls_start_tail(vls_reader *r);

/* ---- read_ahead.c: frames that a thread decodes before their turn ---- */

/* vls_ahead_take -- the next frame, decoded, behind the bytes of r->u or (tail) of r->tail.b, not yet counted in;
 * r->frame_at is set. Returns 1; 0 where nothing is read ahead: the caller reads the frame itself. Errors: those
 * of that frame, without its place. */
VL_MUST_USE int vls_ahead_take(vls_reader *r, vl_frame *f, bool tail, vl_err *e);

/* vls_ahead_at -- the position behind the frames that were given: r->src may be further on. vls_ahead_drop -- and
 * goes back to there. */
uint64_t vls_ahead_at(const vls_reader *r);
VL_MUST_USE int vls_ahead_drop(vls_reader *r, vl_err *e);
void vls_ahead_free(vls_ahead *a); /* NULL is harmless */

/* ---- salvage.c: going on behind what is bad ---- */

/* vls_mend -- a step failed with rc and r->damaged, and skip_bad is set: VL_OK with a state to go on from, or
 * rc. *e is kept unless another error comes up. */
VL_MUST_USE int vls_mend(vls_reader *r, int rc, vl_err *e);

/* vls_note_gap -- records may be missing here. vls_note_given -- a record was given. vls_note_lost -- the tail
 * of the open segment tells what was not. */
VL_MUST_USE int vls_note_gap(vls_reader *r, vl_err *e);
VL_MUST_USE int vls_note_given(vls_reader *r, const char *key, vl_err *e);
VL_MUST_USE int vls_note_lost(vls_reader *r, vl_err *e);
void vls_losses_free(vls_reader *r);

/* vls_other_head -- is the content of frame f, found behind a gap, the HEAD of another segment? Then that is
 * opened: 1. */
VL_MUST_USE int vls_other_head(vls_reader *r, const uint8_t *raw, const vl_frame *f, vl_err *e);

/* vls_read_begin -- forgets the segment before. vls_skip_span -- goes to the next one that is known. */
void vls_read_begin(vls_reader *r);
VL_MUST_USE int vls_skip_span(vls_reader *r, vl_err *e);

/* vls_plain_mend -- vls_mend for the plain carrier. */
VL_MUST_USE int vls_plain_mend(vls_reader *r, vl_err *e);

#endif
