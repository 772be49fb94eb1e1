/* SPDX-License-Identifier: MIT
 * head_pass.h -- what a projection head does beside its two matrices, in training, a row at a time: each row is read
 * once on the way up and once on the way down, and stays in the first cache meanwhile.
 *
 *   open         p  = row + b1, blended          a  = gelu(p)
 *   (a matrix)   h  = a W2
 *   close        u  = l2norm(gain layernorm(p + mask (h + b2)) + shift)
 *   close_back   from gu: the gradient of h, in h's place
 *   (a matrix)   ga = the gradient of a
 *   open_back    the gradient of row
 *
 * The same arithmetic as the tape's gelu, dropout, add, layernorm and l2norm one after another (vlm_heads_side), up
 * to rounding; their formulas stand there. Rows are cut into tiles of a fixed size, sums over rows are taken by tile
 * and then in tile order: results do not depend on the pool's threads. */
#ifndef VL_HEAD_PASS_H
#define VL_HEAD_PASS_H

#include "formats/err.h"
#include "pipeline/noise.h"
#include "pipeline/pool.h"

/* Gradients of the short parameters, [d] each. */
enum { VL_HEAD_B1, VL_HEAD_B2, VL_HEAD_GAIN, VL_HEAD_SHIFT, VL_HEAD_SHORT };

typedef struct vl_head_pass {
    vl_pool *pool;
    size_t rows, d;
    double dropout, blend; /* probability; of Beta(blend, blend), 0: none */
    uint64_t site;         /* of the dropout */
    const vl_real
        *by[VL_HEAD_SHORT]; /* b1, b2, gain, shift [d]: borrowed, set by the caller before each step */
    vl_real *gradient;      /* [VL_HEAD_SHORT][d], after open_back */
    /* [rows,d] each. Where two names stand, the second takes the place of the first on the way down. */
    vl_real *row; /* in: without b1;  out: its gradient */
    vl_real *p;   /* = row without a blend */
    vl_real *a;
    vl_real *h;     /* in: a W2;  then the mask;  out: the gradient of h */
    vl_real *ga;    /* layernorm's normal rows;  then 0, to which the caller adds the gradient of a */
    vl_real *slope; /* gelu' of p */
    /* */
    vl_real *root, *length;  /* [rows]: 1 / sd of layernorm, 1 / |.| of l2norm */
    vl_real *sums;           /* [tiles][VL_HEAD_SHORT][d] */
    uint32_t *perm, *origin; /* [rows]: the blend and its inverse */
    vl_real lam;
    vl_draws draws;
} vl_head_pass;

/* vl_head_pass_new -- Errors: VL_ENOMEM. vl_head_pass_free: zeroed is harmless. */
VL_MUST_USE int vl_head_pass_new(vl_pool *pool, size_t rows, size_t d, double dropout, uint64_t site,
                                 double blend, vl_head_pass *h, vl_err *e);
void vl_head_pass_free(vl_head_pass *h);

void vl_head_open(vl_head_pass *h, const vl_draws *draws);
/* u out [rows,d] */
void vl_head_close(vl_head_pass *h, vl_real *u);
/* u as it came from vl_head_close, gu in [rows,d] */
void vl_head_close_back(vl_head_pass *h, const vl_real *u, const vl_real *gu);
void vl_head_open_back(vl_head_pass *h);

#endif
