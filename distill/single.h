/* SPDX-License-Identifier: MIT
 * single.h -- the outer loop without inner training: each iteration draws real pairs and, where the method has one, a
 * teacher; takes a single-level loss and its gradient; and moves the set along it.
 *
 *   iteration k (from 0): batch, captions, views and teacher are functions of (seed, k)
 *   batch     passes over the records in an order drawn anew for each; of each record one caption
 *   teacher   two snapshots, first_snap or later, merged with their anchor (merge_experts.h): of two experts where
 *             all experts have one snapshot 0, which is the anchor; else of one expert, with its own
 *   views     of pixels only: a real and a synthetic pair at the same place in their batches see the same draw
 * The set is whatever the model takes: pixels or features. An iteration whose loss or gradient is not finite changes
 * nothing and is reported; more than VLD_MAX_DIVERGED of them in a row are an error, as in outer.h. */
#ifndef VLD_SINGLE_H
#define VLD_SINGLE_H

#include "distill/merge_experts.h"
#include "distill/optim.h"
#include "distill/outer.h"
#include "distill/single_loss.h"
#include "distill/train.h"

typedef struct vld_single_opts {
    const vld_single_method *method;
    vld_single_params params;
    bool teacher;   /* use one where the method can do without */
    size_t batch;   /* real pairs an iteration, 1 to all */
    vl_augment aug; /* of pixels */
    double alpha;   /* the second snapshot's share of a teacher, 0 to 1 */
    int first_snap; /* 1 or more */
    vld_optim_kind optimiser;
    double momentum;   /* of sgd */
    double clip;       /* > 0: a part's gradient is never longer */
    double step_image; /* in units of x, as in outer.h */
    double step_text;
    int iterations;
    bool constant; /* else steps fall to a tenth along half a cosine over the iterations */
    uint64_t seed;
} vld_single_opts;

typedef struct vld_single vld_single;

/* vld_single_new -- one pass over the data where the method needs their statistics.
 *   model    of the set, and of the experts
 *   experts  NULL where there is no teacher
 *   data     real pairs in memory, as the model takes them
 *   set      changed by the steps; its rates are not used
 * All are borrowed. Errors: VL_EARG (an option, data or experts that do not fit, experts without a snapshot to
 * merge), VL_EMATH (real rows that are not finite), VL_ENOMEM. */
VL_MUST_USE int vld_single_new(const vld_single_opts *o, const vlm_model *model, const vld_experts *experts,
                               const vl_data *data, vl_pool *pool, vld_set *set, vld_single **out, vl_err *e);
void vld_single_free(vld_single *u); /* NULL is harmless */
size_t vld_single_bytes(const vld_single *u);

typedef struct vld_single_report {
    double loss, part[VLD_MAX_PARTS]; /* at the iteration's start; names: method->part */
    int expert[2], snap[2];           /* of the teacher; -1: none */
    double ratio;                     /* mean over the tensors of how far the teacher is from its anchor */
    bool diverged;
} vld_single_report;

/* vld_single_step -- iteration number k; call in order.
 * Errors: VL_EMATH too many diverged in a row. */
VL_MUST_USE int vld_single_step(vld_single *u, int k, vld_single_report *r, vl_err *e);

/* vld_single_state -- as vld_outer_state. */
void vld_single_state(vld_single *u, vld_state *s);

#endif
