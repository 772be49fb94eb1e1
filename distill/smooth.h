/* SPDX-License-Identifier: MIT
 * smooth.h -- experts whose way is flat and smooth: what a step goes along in place of the batch's gradient g.
 *
 *   flat RHO       the gradient RHO further up, at theta + RHO g / |g|
 *   penalty X      of loss + X |g|:  g + X H g / |g|, with H g by one tangent sweep; both with flat's gradient and
 *                  at its place, where that is given
 *   clip LENGTH    at last, of each branch by itself: no longer than LENGTH
 *
 * |g| is over all weights. Batch, masks and views are those of the one step throughout. Formulas in
 * spec/math/smooth.md.
 * Source: flat: Foret et al. 2021 (SAM), for trajectories Du et al. 2023 (FTD); penalty: Zhao et al. 2022. */
#ifndef VLD_SMOOTH_H
#define VLD_SMOOTH_H

#include "pipeline/model.h"

/* Zeroed: the gradient as it is. */
typedef struct vld_smooth_opts {
    double flat, penalty, clip; /* >= 0; 0: not that one */
} vld_smooth_opts;

bool vld_smooth_any(const vld_smooth_opts *o);
/* How the graph must be made: VLM_ADJOINT where a tangent sweep is needed, else VLM_TRAIN. */
vlm_use vld_smooth_use(const vld_smooth_opts *o);

typedef struct vld_smooth {
    vld_smooth_opts o;
    const vlm_model *m;
    vl_real *at;     /* [n] theta, while flat looks elsewhere */
    vl_real *v, *hv; /* [n] with penalty: g / |g| and H v */
} vld_smooth;

/* vld_smooth_new -- with all options 0 it allocates nothing. Free with vld_smooth_free (zeroed is harmless).
 * Errors: VL_ENOMEM. */
VL_MUST_USE int vld_smooth_new(const vlm_model *m, const vld_smooth_opts *o, vld_smooth *s, vl_err *e);
void vld_smooth_free(vld_smooth *s);

/* vld_smooth_gradient -- after forward and backward of g at theta [m->n], with grad [m->n] bound: grad becomes what
 * the options make of it; theta is as before to the last bit. */
void vld_smooth_gradient(vld_smooth *s, vlm_graph *g, vl_real *theta, vl_real *grad);

#endif
