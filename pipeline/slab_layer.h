/* SPDX-License-Identifier: MIT
 * slab_layer.h -- a linear layer's weights, trained where they lie: y = x W, x [B,K], W [K,N] in slabs.
 *
 * A step of training by way of a gradient matrix writes X^T G, K x N numbers, reads them again for the update, and
 * reads W three times. Here a backward pass reads and writes W once: a block of it gives its share of g W^T, takes
 * its share of -rate x^T g, and goes back. Library products of 128 rows lay W out anew for each of them as well;
 * slabs lie as the kernel wants them, for all three products.
 *
 *   plain      W <- (1 - rate decay) W - rate x^T g
 *   momentum   V <- momentum V + decay W + x^T g,  W <- W - rate V     (V starts as 0, and lies in slabs too)
 *
 * Results do not depend on the pool's threads; on the instruction set as slab.h says. */
#ifndef VL_SLAB_LAYER_H
#define VL_SLAB_LAYER_H

#include "pipeline/slab.h"
#include <stdbool.h>

/* How the weights move. */
typedef struct vl_slab_rule {
    vl_real rate, momentum, decay;
} vl_slab_rule;

typedef struct vl_slab_layer {
    vl_slabs w, v; /* v.data NULL: without momentum */
} vl_slab_layer;

/* vl_slab_layer_new -- room for W [k,n]; contents with vl_slab_layer_load. Errors: VL_ENOMEM.
 * vl_slab_layer_free: zeroed is harmless. */
VL_MUST_USE int vl_slab_layer_new(size_t k, size_t n, bool momentum, vl_slab_layer *l, vl_err *e);
void vl_slab_layer_free(vl_slab_layer *l);

/* vl_slab_layer_load -- W from w [k,n], V is 0; vl_slab_layer_store -- W to w [k,n]. */
void vl_slab_layer_load(vl_pool *pool, vl_slab_layer *l, const vl_real *w);
void vl_slab_layer_store(vl_pool *pool, const vl_slab_layer *l, vl_real *w);

/* Scratch of a backward pass, for as many rows and layers of at most [k,n]. Errors: VL_ENOMEM. */
typedef struct vl_slab_space {
    size_t rows;
    vl_real *xt, *g, *gt, *gxt;
} vl_slab_space;
VL_MUST_USE int vl_slab_space_new(size_t rows, size_t k, size_t n, vl_slab_space *s, vl_err *e);
void vl_slab_space_free(vl_slab_space *s); /* zeroed is harmless */

/* vl_slab_layer_learn -- from x [rows,k] and the gradient g [rows,n] of y, rows those of s:
 *   gx [rows,k] += g W^T with W of before; NULL: not wanted
 *   W, V        one step of the rule */
void vl_slab_layer_learn(vl_pool *pool, vl_slab_layer *l, const vl_slab_rule *rule, const vl_real *x,
                         const vl_real *g, vl_real *gx, const vl_slab_space *s);

#endif
