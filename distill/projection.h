/* SPDX-License-Identifier: MIT
 * projection.h -- a frozen model as single-level losses use it: unit embeddings of synthetic and of real pairs
 * under given weights, and from gradients of the synthetic embeddings those of the synthetic pairs.
 *
 *   u = image branch(x) / |.|  [n,D]      v = text branch(y) / |.|  [n,D]      as model.h
 *
 * Nothing is masked: a teacher speaks as in evaluation. Memory: the activations of n + m pairs. */
#ifndef VLD_PROJECTION_H
#define VLD_PROJECTION_H

#include "pipeline/model.h"

typedef struct vld_projection {
    const vlm_model *model; /* borrowed */
    vlm_graph syn, real;    /* n pairs with gradients of their inputs, m pairs without */
} vld_projection;

/* vld_projection_new -- Errors: VL_EARG, VL_ENOMEM. vld_projection_free: zeroed is harmless. */
VL_MUST_USE int vld_projection_new(const vlm_model *model, vl_pool *pool, size_t n, size_t m,
                                   vld_projection *p, vl_err *e);
void vld_projection_free(vld_projection *p);
size_t vld_projection_bytes(const vld_projection *p);

/* Where the embeddings lie after vld_projection_run; owned by the projection. */
typedef struct vld_embedded {
    const vl_real *u, *v;   /* [n,D] */
    const vl_real *ur, *vr; /* [m,D] */
    double infonce;         /* of the synthetic pairs, at the model's scale, nats */
} vld_embedded;

/* vld_projection_run -- theta [model->n] (read only); x, y [n,...] synthetic, xr, yr [m,...] real. */
void vld_projection_run(vld_projection *p, const vl_real *theta, const vl_real *x, const vl_real *y,
                        const vl_real *xr, const vl_real *yr, vld_embedded *out);

/* vld_projection_back -- after a run: gx, gy (+)= the gradient of <gu, u> + <gv, v> + w infonce, w 1 or 0. */
void vld_projection_back(vld_projection *p, const vl_real *gu, const vl_real *gv, bool infonce, bool add,
                         vl_real *gx, vl_real *gy);

#endif
