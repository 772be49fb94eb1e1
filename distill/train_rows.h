/* SPDX-License-Identifier: MIT
 * train_rows.h -- a head's first layer in training, by the rows that it is trained on: W_t is not formed until
 * someone wants it.
 *
 * All inputs are rows of X [n,F], so every gradient X_i^T G_i lies in their span, and with momentum mu and weight
 * decay d
 *   W_t = c W_0 + X^T A,   V_t = e W_0 + X^T B
 *   e' = mu e + d c,  B' = mu B + d A + G in its rows' places,  c' = c - rate e',  A' = A - rate B'
 * from c = 1, e = 0, A = B = 0. Hence X W_t = c X W_0 + (X X^T) A: a step multiplies rows of n numbers where the layer
 * has rows of F.
 *
 * Results do not depend on the pool's threads; they differ from those of the layer itself by rounding.
 * Derivation: spec/math/train-rows.md. */
#ifndef VLD_TRAIN_ROWS_H
#define VLD_TRAIN_ROWS_H

#include "pipeline/slab_layer.h"
#include <stdint.h>

typedef struct vld_rows {
    vl_pool *pool;
    size_t n, f, d, batch;
    const vl_real *x; /* [n,f]: borrowed */
    double c, e;
    vl_real *w;                /* [f,d]: W_0 */
    vl_real *gram, *p, *a, *b; /* X X^T [n,n], X W_0 [n,d], A, B [n,d] */
    vl_real *part;             /* scratch [batch,n] */
    int64_t *place;            /* scratch [n]: the place of a row in the batch, or -1 */
} vld_rows;

/* vld_rows_new -- for steps of `batch` distinct rows. Errors: VL_ENOMEM. vld_rows_free: zeroed is harmless. */
VL_MUST_USE int vld_rows_new(vl_pool *pool, size_t n, size_t f, size_t d, size_t batch, vld_rows *r,
                             vl_err *e);
void vld_rows_free(vld_rows *r);

/* vld_rows_begin -- training starts: x is borrowed from here on, w [f,d] = W_0 is copied. */
void vld_rows_begin(vld_rows *r, const vl_real *x, const vl_real *w);

/* vld_rows_forward -- out [batch,d] = the rows `at` of X W_t, at [batch] below n. */
void vld_rows_forward(vld_rows *r, const uint32_t *at, vl_real *out);

/* vld_rows_learn -- g [batch,d], the gradient of those outputs: t + 1 from here on. Rows of `at` are distinct. */
void vld_rows_learn(vld_rows *r, const vl_slab_rule *rule, const uint32_t *at, const vl_real *g);

/* vld_rows_store -- w [f,d] = W_t. */
void vld_rows_store(vld_rows *r, vl_real *w);

#endif
