/* SPDX-License-Identifier: MIT
 * lowrank_second.h -- a head's second layer through T training steps, by the steps' factors: W_i is never formed.
 *
 *   W_i          = W_0 - a sum over j < i of X_j^T G_j
 *   Lambda_{i+1} = Lambda_T - sum over j > i of (X'_j^T G_j + X_j^T G'_j)
 *   Lambda_T     = 2 w (W_0 - W* - a sum over all j of X_j^T G_j)
 *
 * with X_j [b,D] the inputs of step j, G_j [b,D] its output gradients, a prime for tangents. A product with one of
 * these is a product with a fixed matrix, and two thin ones: x W_i = x W_0 - a sum (x X_j^T) G_j. Those with W_0
 * are of b rows, those with W_0 - W* two of T b rows; both matrices are laid out once an iteration
 * (pipeline/panel.h). Kept for each pair of each step: six rows of D.
 *
 * The layer is the owner of a vlt_map: the tape's sweeps call it, vld_second_at says for which step and how.
 * Derivation: spec/math/unroll-lowrank.md. */
#ifndef VLD_LOWRANK_SECOND_H
#define VLD_LOWRANK_SECOND_H

#include "pipeline/panel.h"
#include "pipeline/tape.h"

typedef enum vld_second_mode {
    VLD_SECOND_LEARN,  /* forward and backward compute and keep */
    VLD_SECOND_REPLAY, /* forward and backward give what was kept; tangents along tesla's v */
    VLD_SECOND_ADJOINT /* tangents along the exact v, and kept: once for each step, downwards */
} vld_second_mode;

typedef struct vld_second {
    vl_pool *pool;
    size_t d, batch, steps;
    const vl_real *w, *target;    /* [d,d]: this iteration's start, W*; borrowed */
    double rate, weight;          /* a, w */
    double start_squares;         /* |start - W*|^2 */
    double squares;               /* |W_0 - W*|^2 */
    bool folded;                  /* W_0 is own, not w */
    vl_real *own;                 /* [d,d]: W_0 after a warm-up; NULL where there never is one */
    vl_panels panels, far;        /* W_0; W_0 - W* */
    vl_panels x, g, y_xt, dx_gt;  /* by steps, [T batch,d]; y and dx of a step make room for its xt and gt */
    vl_real *ux, *ug;             /* [T batch,d]: X_i Lambda_T, G_i Lambda_T^T */
    vl_real *kx, *kg, *kxt, *kgt; /* [T batch,T batch]: X X^T, G G^T, X' X^T and its mirror image, G' G^T */
    vl_panels now;                /* scratch [batch,d]: what tesla's tangents multiply */
    vl_real *part;                /* scratch [batch,d] */
    vld_second_mode mode;
    size_t step;
    double along; /* <Lambda_{i+1}, X_i^T G_i>, after forward_tangent */
    vlt_map map;
} vld_second;

/* vld_second_new -- at a fixed address from here on: map.owner is l. warm: there may be a warm-up. */
VL_MUST_USE int vld_second_new(vl_pool *pool, size_t d, size_t batch, size_t steps, bool warm, vld_second *l,
                               vl_err *e);
void vld_second_free(vld_second *l); /* zeroed is harmless */

/* vld_second_begin -- an iteration: w, target and rate are set. */
void vld_second_begin(vld_second *l);
/* vld_second_fold -- the first `steps` steps become part of W_0: warm-up. */
void vld_second_fold(vld_second *l, size_t steps);

/* vld_second_distance -- |W_T - W*|^2, after the last step. */
double vld_second_distance(vld_second *l);
/* vld_second_end -- weight is set: Lambda_T is here. Once after vld_second_distance. */
void vld_second_end(vld_second *l);

static inline void vld_second_at(vld_second *l, vld_second_mode mode, int step)
{
    l->mode = mode;
    l->step = (size_t)step;
}

size_t vld_second_bytes(const vld_second *l);

#endif
