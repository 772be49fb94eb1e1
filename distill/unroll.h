/* SPDX-License-Identifier: MIT
 * unroll.h -- T training steps on synthetic pairs and the exact gradient of where they end.
 *
 *   theta_{i+1} = theta_i - D g_i,   g_i = grad_theta loss(theta_i; batch_i),   D = diag(rate of each branch)
 *   J = sum over branches of |theta_T - theta*|^2 / |start - theta*|^2, each branch by its own distance or (merged)
 *       both by the sum of the two
 *
 * With K points J is the mean over k = 1 .. K of the same at step t_k = round(k T / K) against a target of that point's
 * own; t_K = T.
 *
 * theta_0 is the expert's start, or lies some warm-up steps of the same training behind it. Those steps are
 * taken as given: no gradient goes through them.
 *
 *   exact   lambda_T = dJ/dtheta_T;  for i = T-1 .. 0, with v = D lambda_{i+1}, one tangent sweep at theta_i
 *           along v gives H_i v and d<v, g_i>/d(images, texts, similarity), and
 *             dJ/ddata   -= d<v, g_i>/ddata
 *             dJ/drate_b -= <lambda_{i+1}, g_i>_b
 *             lambda_i    = lambda_{i+1} - H_i v      and where i is a t_k, + its own dJ/dtheta_i
 *   tesla   the same without the H_i v, so that lambda stays what the points put into it: for comparison
 *
 * Memory: the tape of one step, and T+1 parameter vectors; activations do not grow with T.
 * Source: the adjoint of plain gradient descent; R{.} of Pearlmutter 1994; tesla: Cui et al. 2023; windows
 * at random places of the inner training: Feng et al. 2023 (RaT-BPTT). */
#ifndef VLD_UNROLL_H
#define VLD_UNROLL_H

#include "distill/set.h"
#include "pipeline/view.h"

typedef enum vld_gradient { VLD_EXACT, VLD_TESLA, VLD_GRADIENTS /* how many */ } vld_gradient;

/* How it is computed; the results agree up to rounding. The dense form keeps T+1 parameter vectors; the low-rank
 * form (heads alone, distill/unroll_lowrank.h) never forms a weight gradient. */
typedef enum vld_form {
    VLD_FORM_AUTO /* whichever is less work */,
    VLD_FORM_DENSE,
    VLD_FORM_LOWRANK
} vld_form;

typedef struct vld_unroll vld_unroll;

/* How the set is trained on. */
typedef struct vld_inner {
    int steps;      /* T, 1 to 4096: those the gradient goes through */
    int warm_max;   /* 0 to 4096: the most warm-up steps before them */
    size_t batch;   /* pairs a step, 2 to n */
    vl_augment aug; /* views of the set's pixels; features have none */
    vlm_objective objective;
    bool merged; /* the ratios' normalisers */
    vld_form form;
    int points; /* K, 1 to T; 0 means 1: the end alone. More than that in the dense form only */
} vld_inner;

/* vld_unroll_new -- model and pool are borrowed. n: pairs of the sets it will be run on.
 * Errors: VL_EARG (steps, points, a batch or an objective without sense, views of features), VL_ENOMEM. */
VL_MUST_USE int vld_unroll_new(const vlm_model *m, vl_pool *pool, size_t n, const vld_inner *inner,
                               vld_unroll **out, vl_err *e);
void vld_unroll_free(vld_unroll *u); /* NULL is harmless */

typedef struct vld_unroll_result {
    double match[VLM_BRANCHES];   /* the two terms of J, means over its points */
    double loss_first, loss_last; /* loss of the first and last of the T steps, nats */
    double cosine;                /* of the exact and tesla gradients of images and texts; NAN unless asked */
} vld_unroll_result;

/* The stretch of training that an iteration matches. */
typedef struct vld_window {
    const vl_real *start, *target; /* an expert's weights, theta* [m->n] */
    int warm;                      /* warm-up steps from start to theta_0, 0 to warm_max */
    uint64_t seed, iter;           /* batches, views, masks and blends: functions of (seed, iter, step) */
    const vl_real *const
        *between; /* [points - 1]: targets of the points before the end; NULL where there are none */
} vld_window;

/* vld_point_step -- t_k of `points` points over so many steps, 1 <= k <= points. */
int vld_point_step(int steps, int points, int k);

/* vld_unroll_run -- one iteration.
 *   set            in   pairs, rates, and what the objective's similarity needs
 *   grad           out  overwritten; grad->rate: dJ/drate
 *   compare        in   also compute the other kind's gradient and res->cosine (one more adjoint pass)
 * Errors: VL_EMATH when a match is over 10,000 or not a number, a gradient is not finite, or its length is over
 * 1e15 (grad's contents are then meaningless); VL_ENOMEM, the first time with compare. */
VL_MUST_USE int vld_unroll_run(vld_unroll *u, const vld_window *w, const vld_set *set, vld_gradient kind,
                               bool compare, vld_set *grad, vld_unroll_result *res, vl_err *e);

size_t vld_unroll_bytes(const vld_unroll *u, size_t *snapshots); /* all; of it what grows with T */

/* vld_batch_rows -- the rows of inner steps 0..steps-1, [steps][batch]: passes over the set in an order
 * drawn anew for each (seed, iter, pass), cut into n / batch whole batches; the remainder of a pass is left
 * out.
 * order: scratch [n]. */
void vld_batch_rows(size_t n, size_t batch, uint64_t seed, uint64_t iter, int steps, uint32_t *order,
                    uint32_t *rows);

#endif
