/* SPDX-License-Identifier: MIT
 * panel.h -- a matrix that many products with few rows stream: Y = X W, X [B,K] with B of a mini-batch.
 *
 * A library product copies W into its own layout at every call, which for 20 rows costs as much as the product
 * itself. Here W [K,N] is laid out once in panels of VL_PANEL columns, [N / VL_PANEL][K][VL_PANEL], the last one
 * filled up with zeros; a product then reads it once from front to back and keeps its sums in registers.
 * The transpose is laid out just as well (vl_panels_pack with `transposed`), so one kernel serves both.
 *
 * Results do not depend on the pool's threads: a tile is a panel. They do depend on the instruction set that the
 * source was compiled for (AVX-512, AVX2 with FMA, or plain C; double is plain C), as BLAS's depend on its core. */
#ifndef VL_PANEL_H
#define VL_PANEL_H

#include "formats/err.h"
#include "pipeline/pool.h"
#include "pipeline/real.h"
#include <stdbool.h>

enum { VL_PANEL = 32 };

typedef struct vl_panels {
    size_t k, n;   /* of W as it multiplies */
    vl_real *data; /* 64-byte aligned */
} vl_panels;

/* vl_panels_new -- room for a W [k,n], k, n >= 1; contents follow with vl_panels_pack. Errors: VL_ENOMEM.
 * vl_panels_free: zeroed is harmless. */
VL_MUST_USE int vl_panels_new(size_t k, size_t n, vl_panels *p, vl_err *e);
void vl_panels_free(vl_panels *p);
size_t vl_panels_bytes(const vl_panels *p);

/* A dense matrix to be laid out: W = a - minus, or its transpose. */
typedef struct vl_panel_source {
    size_t k, n;              /* of W as it multiplies */
    const vl_real *a, *minus; /* [k,n], or where transposed [n,k]; minus may be NULL: zero */
    bool transposed;
} vl_panel_source;

/* vl_panels_pack -- p's W from a source of its size. */
void vl_panels_pack(vl_pool *pool, const vl_panels *p, const vl_panel_source *from);

/* vl_panels_unpack -- the W of p to a [k,n]. */
void vl_panels_unpack(vl_pool *pool, const vl_panels *p, vl_real *a);

/* vl_panels_times -- y [rows,n] = x [rows,k] W, rows >= 1; overwrites y, which overlaps nothing. */
void vl_panels_times(vl_pool *pool, const vl_panels *p, size_t rows, const vl_real *x, vl_real *y);

/* vl_panels_once -- y = alpha x W + beta y for a W that is used once: it is laid out a block at a time and never
 * stored. n at most VL_PANEL_MAX_N. With beta 0, y may hold anything; with rows 0, x and y may be NULL.
 *   squares   out  the sum of the squares of W; NULL: not wanted */
enum { VL_PANEL_MAX_N = 1 << 16 };
void vl_panels_once(vl_pool *pool, const vl_panel_source *w, size_t rows, vl_real alpha, const vl_real *x,
                    vl_real beta, vl_real *y, double *squares);

#endif
