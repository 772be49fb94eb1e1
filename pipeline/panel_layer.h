/* SPDX-License-Identifier: MIT
 * panel_layer.h -- a linear layer's weights, trained where they lie: y = x W, x [B,K], W [K,N] in panels.
 *
 * A step of training by way of a gradient matrix writes X^T G, K x N numbers, reads them again for the update, and
 * reads W three times. Here a backward pass reads and writes W once: a block of it gives its share of g W^T, takes
 * its share of -rate x^T g, and goes back. Library products of 128 rows lay W out anew for each of them as well;
 * panels lie as the kernel wants them, for all three products.
 *
 *   plain      W <- (1 - rate decay) W - rate x^T g
 *   momentum   V <- momentum V + decay W + x^T g,  W <- W - rate V     (V starts as 0, and lies in panels too)
 *
 * Results do not depend on the pool's threads; on the instruction set as panel.h says. */
#ifndef VL_PANEL_LAYER_H
#define VL_PANEL_LAYER_H

#include "pipeline/panel.h"

/* How the weights move. */
typedef struct vl_panel_rule {
    vl_real rate, momentum, decay;
} vl_panel_rule;

typedef struct vl_panel_layer {
    vl_panels w, v; /* v.data NULL: without momentum */
} vl_panel_layer;

/* vl_panel_layer_new -- room for W [k,n]; contents with vl_panel_layer_load. Errors: VL_ENOMEM.
 * vl_panel_layer_free: zeroed is harmless. */
VL_MUST_USE int vl_panel_layer_new(size_t k, size_t n, bool momentum, vl_panel_layer *l, vl_err *e);
void vl_panel_layer_free(vl_panel_layer *l);

/* vl_panel_layer_load -- W from w [k,n], V is 0; vl_panel_layer_store -- W to w [k,n]. */
void vl_panel_layer_load(vl_pool *pool, vl_panel_layer *l, const vl_real *w);
void vl_panel_layer_store(vl_pool *pool, const vl_panel_layer *l, vl_real *w);

/* Scratch of a backward pass, for as many rows and layers of at most [k,n]. Errors: VL_ENOMEM. */
typedef struct vl_panel_space {
    size_t rows, k, n;
    vl_real *xt, *g, *gt, *gxt;
} vl_panel_space;
VL_MUST_USE int vl_panel_space_new(size_t rows, size_t k, size_t n, vl_panel_space *s, vl_err *e);
void vl_panel_space_free(vl_panel_space *s); /* zeroed is harmless */

/* vl_panel_layer_learn -- from x [rows,k] and the gradient g [rows,n] of y, rows those of s:
 *   gx [rows,k] += g W^T with W of before; NULL: not wanted
 *   W, V        one step of the rule */
void vl_panel_layer_learn(vl_pool *pool, vl_panel_layer *l, const vl_panel_rule *rule, const vl_real *x,
                          const vl_real *g, vl_real *gx, const vl_panel_space *s);

#endif
