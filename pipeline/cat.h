/* SPDX-License-Identifier: MIT
 * cat.h -- shards in, one stream of records out: picked, joined, trimmed, in the old order or shuffled.
 *
 * Segments stay what they are: each gives one segment with its manifest, its parents and its notes. Where
 * records were chosen or changed (`step` is set), the manifest says so in its list "cat", and the parent is the
 * segment that was read. A segment of which nothing is left is left out, but for the first when all would be.
 * With `reseal` all segments become one, with shuffle all of a kind; carry.h says what their manifest is.
 *
 * Every input is read to its end whatever is wanted of it, because only then is it known to be whole. */
#ifndef VL_CAT_H
#define VL_CAT_H

#include "pipeline/join.h"
#include "pipeline/pick.h"
#include "pipeline/sink.h"
#include "pipeline/trim.h"

typedef struct vl_cat_input {
    const char *path, *name; /* name: in messages */
} vl_cat_input;

typedef struct vl_cat_opts {
    const vl_cat_input *input;
    size_t n_inputs;
    vl_pick *pick;
    vl_trim *trim;
    vl_join *const *join; /* [n_joins] */
    size_t n_joins;
    bool any_parent; /* sidecars may have been made from something else */
    bool plain;      /* .vlt members become .npy */
    bool shuffle, reseal, skip_bad;
    uint64_t seed; /* of the shuffle */
    json_t *step;  /* what is done to the records, for the manifest; NULL: nothing */
} vl_cat_opts;

typedef struct vl_cat_counts {
    uint64_t read, written, emptied; /* records; emptied: left out because no member was left */
    uint64_t bad_frames, lost_records;
} vl_cat_counts;

/* vl_cat_twice -- must inputs be readable twice for this? (A pipe must be copied first.)
 *   pieces  segments are cut: the sink will be `early` */
bool vl_cat_twice(const vl_cat_opts *o, bool pieces);

/* vl_cat_run -- all of it, up to the sink's last end; closing the sink is the caller's.
 *   sink    the caller's; to be aborted when this fails
 * Errors: VL_EARG, VL_EFORMAT, VL_EIO, VL_ENOMEM, naming the input. */
VL_MUST_USE int vl_cat_run(const vl_cat_opts *o, vl_sink *sink, vl_cat_counts *counts, vl_err *e);

#endif
