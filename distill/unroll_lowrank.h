/* SPDX-License-Identifier: MIT
 * unroll_lowrank.h -- the unroll and its exact adjoint for projection heads, without a weight gradient.
 *
 * The inner training is plain gradient descent, so a linear layer's weights differ from the start by products of
 * mini-batches with their output gradients; all that is needed of them are products with a few rows. First layers
 * are in lowrank_first.h, second ones in lowrank_second.h; biases and layer norms are vectors, and dense. What is
 * elementwise, and the loss, stays on the tape (vlm_graph_new_maps).
 * For distill/unroll.c, whose dense form gives the same up to rounding; that is where checks and limits are. */
#ifndef VLD_UNROLL_LOWRANK_H
#define VLD_UNROLL_LOWRANK_H

#include "distill/unroll.h"

typedef struct vld_lowrank vld_lowrank;

/* vld_lowrank_pays -- is it less work than the dense form? Where the pairs of the set, and those of all steps, are
 * fewer than the embedding has dimensions. */
bool vld_lowrank_pays(const vlm_model *m, size_t n, const vld_inner *inner);

/* vld_lowrank_new -- arguments as vld_unroll_new's, checked there. Errors: VL_EARG not a model of heads, an
 * objective without sense; VL_ENOMEM. */
VL_MUST_USE int vld_lowrank_new(const vlm_model *m, vl_pool *pool, size_t n, const vld_inner *inner,
                                vld_lowrank **out, vl_err *e);
void vld_lowrank_free(vld_lowrank *l);                           /* NULL is harmless */
size_t vld_lowrank_bytes(const vld_lowrank *l, size_t *factors); /* all; of it what grows with T */

/* vld_lowrank_train -- the steps up to Lambda_T; fills res's losses and match.
 *   rows   of all steps, as vld_batch_rows gives them */
void vld_lowrank_train(vld_lowrank *l, const vld_window *w, const vld_set *set, const uint32_t *rows,
                       vld_unroll_result *res);

/* vld_lowrank_adjoint -- after vld_lowrank_train with the same arguments; grad is overwritten. VLD_EXACT is the
 * last one of a training: it takes the factors' place. */
void vld_lowrank_adjoint(vld_lowrank *l, const vld_window *w, const vld_set *set, const uint32_t *rows,
                         vld_gradient kind, vld_set *grad);

#endif
