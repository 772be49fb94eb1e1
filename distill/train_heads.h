/* SPDX-License-Identifier: MIT
 * train_heads.h -- training steps of the projection heads without a gradient matrix. The weights lie in slabs and
 * move as the backward pass comes by (pipeline/slab_layer.h); a first layer whose inputs are few distinct rows is
 * trained by those (train_rows.h); what lies between the matrices goes by rows (pipeline/head_pass.h). The loss is on
 * the tape (vlm_graph_new_loss).
 *
 * The flat vector of weights is current for the short parameters (biases, gain, shift), which are trained in it, at
 * all times, and for the matrices after vld_heads_store. */
#ifndef VLD_TRAIN_HEADS_H
#define VLD_TRAIN_HEADS_H

#include "distill/train_rows.h"
#include "pipeline/head_pass.h"
#include "pipeline/model.h"

/* One branch. */
typedef struct vld_head {
    vl_slab_rule rule;           /* of this step */
    vl_slab_layer first, second; /* first: empty where by_rows */
    bool by_rows;
    vld_rows rows;
    vl_real *x;        /* the step's inputs [batch,F]; not by_rows */
    uint32_t *at;      /* the step's rows [batch]; by_rows */
    vl_real *velocity; /* [VL_HEAD_SHORT][D] */
    vl_head_pass pass;
} vld_head;

typedef struct vld_heads {
    const vlm_model *model;
    vl_pool *pool;
    vl_real *theta;  /* [model->n]: borrowed */
    vlm_graph graph; /* of the loss */
    vl_slab_space space;
    vld_head head[VLM_BRANCHES];
} vld_heads;

/* vld_heads_new -- model, pool and theta are borrowed.
 *   rows   [branch]: the distinct inputs of that branch that all steps will take theirs from; 0: not known, or too
 *          many. The first layer is then trained by rows where that is less work.
 * Errors: VL_EARG (an objective without sense), VL_ENOMEM.
 * vld_heads_free: zeroed is harmless. */
VL_MUST_USE int vld_heads_new(const vlm_model *m, const vlm_objective *o, vl_pool *pool, size_t batch,
                              bool momentum, const size_t rows[VLM_BRANCHES], vl_real *theta, vld_heads *h,
                              vl_err *e);
void vld_heads_free(vld_heads *h);

/* vld_heads_begin -- training starts from theta. x [branch]: the distinct inputs [rows,F] of a branch that is trained
 * by_rows, borrowed; else NULL. */
void vld_heads_begin(vld_heads *h, const vl_real *const x[VLM_BRANCHES]);

/* vld_heads_forward -- after head[].x or head[].at and the similarity's leaves: the loss, nats.
 * vld_heads_backward -- after it: one step along the gradient, by the rules of head[].rule. */
double vld_heads_forward(vld_heads *h, const vl_draws *draws);
void vld_heads_backward(vld_heads *h);

/* vld_heads_store -- theta is current. */
void vld_heads_store(vld_heads *h);

#endif
