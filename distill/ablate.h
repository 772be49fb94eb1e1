/* SPDX-License-Identifier: MIT
 * ablate.h -- a distilled set without one of the things that it learned: what each of them adds is the
 * difference to the whole set.
 *
 *   similarity   the identity in its place: every pair matches itself and nothing else
 *   rates        left to the caller, who chooses others on validation; the set stays as it is
 *   text         of each pair, the row of the real caption whose cosine with the learned row is greatest
 *   images       the real images that the pairs started from */
#ifndef VLD_ABLATE_H
#define VLD_ABLATE_H

#include "distill/distilled.h"
#include "pipeline/data.h"

typedef enum vld_ablation {
    VLD_NO_SIMILARITY,
    VLD_NO_RATES,
    VLD_NO_TEXT,
    VLD_NO_IMAGES,
    VLD_ABLATIONS /* how many */
} vld_ablation;

extern const char *const vld_ablation_name[VLD_ABLATIONS]; /* "similarity" */

/* vld_ablate -- a copy of set->set without what.
 *   train  in   VLD_NO_TEXT: real captions' rows; VLD_NO_IMAGES: the images, where the set does not carry those
 *               that it started from (sets of features); else it may be NULL
 *   out    out  free with vld_set_free
 * Errors: VL_EFORMAT (no learned similarity, no initial images), VL_EARG (train is needed, or of another kind),
 * VL_ENOMEM. */
VL_MUST_USE int vld_ablate(const vld_distilled *set, vld_ablation what, const vl_data *train, vld_set *out,
                           vl_err *e);

#endif
