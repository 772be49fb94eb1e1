/* SPDX-License-Identifier: MIT
 * panel.h -- a matrix that many products with few rows stream: Y = X W and Y = X W^T, X of B rows of a mini-batch.
 *
 * A library product copies W into its own layout at every call, which for 20 rows costs as much as the product
 * itself. Here W [K,N] is laid out once in panels of VL_PANEL columns, [N / VL_PANEL][K][VL_PANEL], made up with
 * zeros; both products then read it once and keep their sums in registers.
 *
 * Results do not depend on the pool's threads. They do depend on the instruction set that the source was compiled
 * for (pipeline/panel_kernel.h), as BLAS's depend on its core. */
#ifndef VL_PANEL_H
#define VL_PANEL_H

#include "formats/err.h"
#include "pipeline/panel_kernel.h"
#include "pipeline/pool.h"

typedef struct vl_panels {
    size_t k, n;   /* of W */
    size_t height; /* rows of a panel */
    vl_real *data; /* 64-byte aligned */
} vl_panels;

enum { VL_PANEL_MAX = 1 << 16 }; /* rows or columns */

/* vl_panels_new -- room for a W [k,n], both 1 to VL_PANEL_MAX; contents follow with vl_panels_pack.
 * Errors: VL_ENOMEM. vl_panels_free: zeroed is harmless. */
VL_MUST_USE int vl_panels_new(size_t k, size_t n, vl_panels *p, vl_err *e);
void vl_panels_free(vl_panels *p);
size_t vl_panels_bytes(const vl_panels *p);

/* vl_panels_pack -- W = a - minus, both [k,n].
 *   minus     in   NULL: zero
 *   squares   out  the sum of the squares of W; NULL: not wanted */
void vl_panels_pack(vl_pool *pool, const vl_panels *p, const vl_real *a, const vl_real *minus,
                    double *squares);

/* vl_panels_times -- y [rows,n] = alpha x [rows,k] W + beta y, rows >= 1. y overlaps nothing; with beta 0 it may
 * hold anything. */
void vl_panels_times(vl_pool *pool, const vl_panels *p, size_t rows, vl_real alpha, const vl_real *x,
                     vl_real beta, vl_real *y);
/* vl_panels_times_turned -- y [rows,k] = alpha x [rows,n] W^T + beta y, likewise. */
void vl_panels_times_turned(vl_pool *pool, const vl_panels *p, size_t rows, vl_real alpha, const vl_real *x,
                            vl_real beta, vl_real *y);

#endif
