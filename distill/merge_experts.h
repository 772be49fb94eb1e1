/* SPDX-License-Identifier: MIT
 * merge_experts.h -- one teacher out of two trained networks: layer by layer, the more their ways from a common
 * anchor agree in direction, the farther the teacher goes with them.
 *
 *   a' = a - anchor, b' = b - anchor, c = cos(a', b') of one parameter tensor, 0 where they point apart
 *   t  = 2 c / (1 + c);     merged = anchor + t ((1 - alpha) a' + alpha b')
 *
 * Equal ways give t = 1 (a plain mean), orthogonal ones t = 0 (the anchor: what they do not share is noise to the
 * other). A tensor that one of them has not moved has t = 1.
 * Source: Jang et al. 2024 (Model Stock), which is what Jeong et al. 2026 (MDM) build teachers with; alpha = 1/2
 * is theirs. */
#ifndef VLD_MERGE_EXPERTS_H
#define VLD_MERGE_EXPERTS_H

#include "pipeline/model.h"

#define VLD_MERGE_ALPHA 0.5

/* vld_merge_experts -- a, b, anchor, out [m->n]; out may be one of the others.
 *   alpha  0 to 1: the share of b
 *   ratio  out  [m->n_params], t of each tensor; may be NULL
 * Errors: VL_EARG alpha, VL_ENOMEM. Same bits at any number of threads. */
VL_MUST_USE int vld_merge_experts(const vlm_model *m, vl_pool *pool, const vl_real *a, const vl_real *b,
                                  const vl_real *anchor, double alpha, vl_real *out, double *ratio,
                                  vl_err *e);

#endif
