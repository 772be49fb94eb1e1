/* SPDX-License-Identifier: MIT
 * panel_kernel.h -- the two inner loops of products with a matrix in panels (pipeline/panel.h): sums stay in
 * registers, each step also asks for a cache line that is wanted soon. For AVX-512, AVX2 with FMA, and plain C
 * (always for double); inner sums, and so the last bits of results, differ between the three. */
#ifndef VL_PANEL_KERNEL_H
#define VL_PANEL_KERNEL_H

#include "pipeline/real.h"
#include <stdbool.h>
#include <stddef.h>

enum { VL_PANEL = 96 }; /* columns of a panel */

/* Rows that multiply: value i of row r at v[i / VL_PANEL step + r ld + i % VL_PANEL]. */
typedef struct vl_rows {
    const vl_real *v;
    size_t ld, step;
} vl_rows;

/* Lanes of a vector register; the most rows of x that a pass across a panel, or along it, takes. */
#if !defined(VL_REAL_DOUBLE) && defined(__AVX512F__)
#define VL_LANES       16
#define VL_ACROSS_ROWS 10 /* 20 sums, 2 of W, 1 of x, of 32 registers */
#define VL_ALONG_ROWS  5  /* 20 sums, 4 of W, 1 of x */
#elif !defined(VL_REAL_DOUBLE) && defined(__AVX2__) && defined(__FMA__)
#define VL_LANES       8
#define VL_ACROSS_ROWS 5 /* 10 sums, 2 of W, 1 of x, of 16 */
#define VL_ALONG_ROWS  2 /* 8 sums, 4 of W, 1 of x */
#else
#define VL_LANES       8
#define VL_ACROSS_ROWS 5
#define VL_ALONG_ROWS  5
#endif

/* vl_kernel_across -- sum [rows][VL_PANEL] += x [rows,depth of ldx] w [depth][VL_PANEL].
 *   next   the passage of as many values that is wanted soon: prefetched, any address will do */
void vl_kernel_across(size_t rows, size_t depth, const vl_real *w, const vl_real *next, const vl_real *x,
                      size_t ldx, vl_real *sum);

enum { VL_ALONG = 4 }; /* rows of W */

/* vl_kernel_along -- products with VL_ALONG rows of W, as sums of VL_LANES parts:
 *   sum [rows][VL_ALONG][VL_LANES] += parts of x [rows,panels VL_PANEL] w^T, or (fresh) = them
 * where w has `panels` pieces [VL_ALONG][VL_PANEL], `stride` apart, one for each VL_PANEL values of a row of x.
 *   next   a place of the same form, prefetched */
void vl_kernel_along(size_t rows, bool fresh, size_t panels, size_t stride, const vl_real *w,
                     const vl_real *next, vl_rows x, vl_real *sum);

/* vl_kernel_gather -- out [n] = the sums of n runs of VL_LANES parts, n a multiple of VL_LANES; run i begins at
 * parts + (i / VL_ALONG) stride + (i % VL_ALONG) VL_LANES. */
void vl_kernel_gather(size_t n, const vl_real *parts, size_t stride, vl_real *out);

#endif
