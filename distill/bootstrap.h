/* SPDX-License-Identifier: MIT
 * bootstrap.h -- how far a mean recall hangs on which queries the test set happens to have: an interval from
 * resampled test sets, beside the one over sets and students (stats.h). */
#ifndef VLD_BOOTSTRAP_H
#define VLD_BOOTSTRAP_H

#include "distill/eval_recall.h"

enum { VLD_RESAMPLES = 1000 };

/* What each query found, summed over students: of VLD_N_K places k, in how many was a positive among the k best. */
typedef struct vld_hits {
    uint32_t *ir, *tr; /* [n_groups], [n] */
    size_t students;
} vld_hits;

VL_MUST_USE int vld_hits_new(const vl_data *d, vld_hits *out, vl_err *e);
void vld_hits_free(vld_hits *h); /* zeroed is harmless */

/* vld_hits_add -- one more student; ranks as vld_recall_ranks gives them; NULL: it found nothing. */
void vld_hits_add(vld_hits *h, const vl_data *d, const uint32_t *ir, const uint32_t *tr);

/* vld_bootstrap -- the 95 % percentile interval of mean recall, in percent, over VLD_RESAMPLES test sets of as
 * many images, drawn with replacement; an image brings the captions that it is the first to carry, for they are
 * not independent of it. The draws depend on (seed, d->n) alone, so rows of a table see the same test sets.
 * Errors: VL_ENOMEM. Source: Efron and Tibshirani 1993, ch. 13 (percentiles), 8 (units that belong together). */
VL_MUST_USE int vld_bootstrap(const vld_hits *h, const vl_data *d, uint64_t seed, double *low, double *high,
                              vl_err *e);

#endif
