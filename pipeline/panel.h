/* SPDX-License-Identifier: MIT
 * panel.h -- a matrix that products with few rows stream: Y = X W and Y = X W^T, X of B rows of a mini-batch.
 *
 * A library product copies W into its own layout at every call, which for 20 rows costs as much as the product
 * itself. Here W [K,N] lies in panels of VL_PANEL columns, [N / VL_PANEL][K][VL_PANEL], made up with zeros; both
 * products then read it once and keep their sums in registers. It is laid out at once (vl_panels_pack), or row by
 * row as its rows come.
 *
 * Results do not depend on the pool's threads. They do depend on the instruction set that the source was compiled
 * for (pipeline/panel_kernel.h), as BLAS's depend on its core. */
#ifndef VL_PANEL_H
#define VL_PANEL_H

#include "formats/err.h"
#include "pipeline/panel_kernel.h"
#include "pipeline/pool.h"
#include <stdbool.h>

typedef struct vl_panels {
    size_t k, n;   /* of W */
    size_t height; /* rows of a panel */
    vl_real *data; /* 64-byte aligned */
} vl_panels;

/* vl_panels_new -- room for a W [k,n], k, n >= 1; its contents follow. Errors: VL_ENOMEM.
 * vl_panels_free: zeroed is harmless. */
VL_MUST_USE int vl_panels_new(size_t k, size_t n, vl_panels *p, vl_err *e);
void vl_panels_free(vl_panels *p);
size_t vl_panels_bytes(const vl_panels *p);

/* vl_panels_pack -- W = a and far = a - target, all [k,n], k at most VL_PANEL_MAX_K; returns the sum of far's squares.
 * Both at once: a is read once. */
enum { VL_PANEL_MAX_K = 1 << 16 };
double vl_panels_pack(vl_pool *pool, const vl_panels *w, const vl_real *a, const vl_panels *far,
                      const vl_real *target);

/* Rows [at, at + rows) of W = v [rows,n]. vl_panels_add: row at of W += v [n]. */
void vl_panels_put(vl_pool *pool, const vl_panels *p, size_t at, size_t rows, const vl_real *v);
void vl_panels_add(const vl_panels *p, size_t at, const vl_real *v);
void vl_panels_zero(const vl_panels *p);
/* vl_panels_dot -- the sum over rows [at, at + rows) of W times v [rows,n]. */
double vl_panels_dot(const vl_panels *p, size_t at, size_t rows, const vl_real *v);

/* Plain rows, ld reals apart; the rows of a matrix in panels, from `at` on. */
static inline vl_rows vl_rows_of(const vl_real *v, size_t ld)
{
    return (vl_rows){v, ld, VL_PANEL};
}
static inline vl_rows vl_rows_of_panels(const vl_panels *p, size_t at)
{
    return (vl_rows){p->data + at * VL_PANEL, VL_PANEL, p->height * VL_PANEL};
}

/* alpha x W[from..to), x [rows, to - from], or turned alpha x W[from..to)^T, x [rows,n]; without W, alpha x. */
typedef struct vl_term {
    const vl_panels *w; /* may be NULL */
    size_t from, to;
    bool turned;
    vl_real alpha;
    vl_rows x;
} vl_term;

static inline vl_term vl_times(vl_real alpha, vl_rows x, const vl_panels *w)
{
    return (vl_term){w, 0, w->k, false, alpha, x};
}
static inline vl_term vl_times_rows(vl_real alpha, vl_rows x, const vl_panels *w, size_t from, size_t to)
{
    return (vl_term){w, from, to, false, alpha, x};
}
static inline vl_term vl_times_turned(vl_real alpha, vl_rows x, const vl_panels *w)
{
    return (vl_term){w, 0, w->k, true, alpha, x};
}

static inline vl_term vl_same(vl_real alpha, vl_rows x)
{
    return (vl_term){NULL, 0, 0, false, alpha, x};
}

/* vl_panels_times -- y [rows,n] = the sum of the terms + beta y. All terms have n columns: of a plain one W's, of a
 * turned one to - from. y overlaps nothing; with beta 0 it may hold anything. ldy: reals between rows of y. */
void vl_panels_times(vl_pool *pool, const vl_term *term, size_t terms, size_t rows, size_t n, vl_real beta,
                     vl_real *y, size_t ldy);

/* vl_panels_outer -- c [a->n, b->n] += alpha a^T b, of the first `rows` rows of both. */
void vl_panels_outer(vl_pool *pool, const vl_panels *a, const vl_panels *b, size_t rows, vl_real alpha,
                     vl_real *c);

#endif
