/* SPDX-License-Identifier: MIT
 * cat_plan.h -- the inside of vl_cat_run: its state, what it knows in advance, the shuffle. cat.c drives it; no
 * other file includes this. */
#ifndef VL_CAT_PLAN_H
#define VL_CAT_PLAN_H

#include "formats/peek.h"
#include "pipeline/cat.h"
#include "pipeline/expand.h"

typedef struct vl_cat {
    const vl_cat_opts *o;
    vl_sink *sink;
    vl_cat_counts *counts;
    vls_briefs *brief;          /* [n_inputs] what the segments say; NULL where it is not needed */
    bool open;                  /* a segment of the sink is open */
    bool any;                   /* the sink was given a segment */
    bool kind_seen;             /* one was read that may be wanted */
    char kind[24];              /* of the records that are joined */
    json_t *first, *first_tail; /* of the first segment that was read */
    uint64_t bad, lost;         /* of the input at hand, when the open segment began */
    vls_member *member;         /* [room] of the record that was joined last */
    size_t room;
    vl_expand expand;
    char before[VL_TAR_NAME_MAX + 1]; /* key of the last record with .vlt members that went out */
} vl_cat;

/* vl_cat_begin -- begins a segment with this manifest (borrowed), to which the step and what is joined are
 * added. parents, notes: what its tail will hold, or NULL where that is not known yet. */
VL_MUST_USE int vl_cat_begin(vl_cat *c, const json_t *manifest, json_t *parents, json_t *notes, vl_err *e);

/* vl_cat_lineage -- adds to parents and *notes what a segment that is written inherits from one that is read.
 *   tail   its tail; NULL: nothing is known */
VL_MUST_USE int vl_cat_lineage(const vl_cat *c, const json_t *tail, const char *kind, json_t *parents,
                               json_t **notes, vl_err *e);

/* vl_cat_merged -- of all segments of a kind (NULL: of all that are wanted), by what was peeked. Gives all
 * three. *manifest stays NULL when there is no such segment. */
VL_MUST_USE int vl_cat_merged(const vl_cat *c, const char *kind, json_t **manifest, json_t **parents,
                              json_t **notes, vl_err *e);

/* vl_cat_note_loss -- what --skip-bad left out, under "left_out" of *notes; nothing where it is nothing. */
VL_MUST_USE int vl_cat_note_loss(uint64_t frames, uint64_t records, json_t **notes, vl_err *e);

/* vl_cat_record -- a record as it was read: 1 *out is what is wanted of it (joined, trimmed; borrowed until the
 * next call), 0 nothing is, negative. headless: vl_pick_next. Names the input. */
VL_MUST_USE int vl_cat_record(vl_cat *c, const vls_record *in, const char *kind, size_t input, bool headless,
                              vls_record *out, vl_err *e);

/* vl_cat_reader -- opens input i. */
VL_MUST_USE int vl_cat_reader(vl_cat *c, size_t i, vls_reader **r, vl_err *e);

/* vl_cat_input_done -- after the verified end of input i: is it what was peeked, what sidecars were made of? */
VL_MUST_USE int vl_cat_input_done(vl_cat *c, size_t i, const vls_reader *r, vl_err *e);

/* vl_cat_shuffled -- the whole run, where the order is a shuffled one. */
VL_MUST_USE int vl_cat_shuffled(vl_cat *c, vl_err *e);

#endif
