/* SPDX-License-Identifier: MIT
 * outer.h -- the outer loop of distillation: which stretch of which expert an iteration matches, and how the
 * set moves along the gradient.
 *
 *   iteration k (from 0): expert, start and warm-up drawn from (seed, k); target = start + expert_epochs
 *   images, texts, similarity: Adam or SGD, each with its own step
 *   rates: Adam on their logarithms, SGD on themselves; within rate_min .. rate_max
 * A committee runs several stretches in an iteration and goes along the mean of their gradients.
 * An iteration whose inner training diverges changes nothing but the rates, which are cut by a fifth, and is
 * reported as such; more than VLD_MAX_DIVERGED of them in a row are an error.
 * Source: independent starts of the branches, Qi et al. 2026 (AMD). */
#ifndef VLD_OUTER_H
#define VLD_OUTER_H

#include "distill/front.h"
#include "distill/optim.h"
#include "distill/trajectory.h"
#include "distill/unroll.h"

enum { VLD_MAX_DIVERGED = 20 };
#define VLD_RATE_MIN 1e-9
#define VLD_RATE_MAX 1e9

typedef struct vld_outer_opts {
    vld_inner inner;   /* warm-up steps are drawn from 0 .. warm_max */
    int start_max;     /* starts are drawn from 0 .. start_max - 1 */
    int expert_epochs; /* R: snapshots ahead of the start */
    int text_start_max; /* > 0: the text branch's starts are drawn by themselves, from 0 .. text_start_max - 1 */
    int committee;      /* stretches an iteration; 0 means 1 */
    double perturb; /* > 0: noise on each stretch's start, by so much of each tensor's spread (perturb.h) */
    /* The match is taken at expert_epochs points of the inner training, each against the expert's snapshot there; else
       at the end alone. inner.points is set from it. */
    bool intermediate;
    vld_optim_kind optimiser;
    double momentum;           /* of sgd */
    double clip;               /* > 0: a part's gradient is never longer */
    double step_image;         /* in units of x (sd of the pixels is 1) */
    double step_text;          /* in units of the text rows, whose length is 1 */
    double step_similarity;    /* of s, or l, r and w */
    double step_rates;         /* adam: in units of log rate */
    double rate_min, rate_max; /* 0: VLD_RATE_MIN, VLD_RATE_MAX */
    int iterations;
    bool constant; /* else all steps fall to a tenth along half a cosine over the iterations */
    vld_gradient gradient;
    /* With a front the set's images are pixels, its experts heads: each iteration trains on the front's features.
       Borrowed; NULL: the set's images are what the experts take. */
    vld_front *front;
    int log_cosine; /* compare both gradients every so many iterations; 0: never */
    uint64_t seed;
} vld_outer_opts;

typedef struct vld_outer vld_outer;

/* vld_outer_new -- experts and pool are borrowed; set is borrowed and changed by the steps.
 * Errors: VL_EARG no expert, one with fewer than start_max + expert_epochs snapshots, an option below 1, an
 * inner loop that does not fit the set or has fewer steps than points, a front whose features the experts do not
 * take; VL_ENOMEM. */
VL_MUST_USE int vld_outer_new(const vld_experts *x, vl_pool *pool, const vld_outer_opts *o, vld_set *set,
                              vld_outer **out, vl_err *e);
void vld_outer_free(vld_outer *u); /* NULL is harmless */

typedef struct vld_outer_report {
    vld_unroll_result inner;
    int expert, start, text_start, warm; /* of the iteration's last stretch, as is `inner` */
    bool diverged;
} vld_outer_report;

/* vld_outer_step -- iteration number k; call in order.
 * Errors: VL_EMATH too many diverged in a row; VL_ENOMEM. */
VL_MUST_USE int vld_outer_step(vld_outer *u, int k, vld_outer_report *r, vl_err *e);

/* vld_outer_state -- what a checkpoint must hold beside the set, so that iteration k + 1 follows k in another process.
 * Borrows from u. */
void vld_outer_state(vld_outer *u, vld_state *s);

#endif
