/* SPDX-License-Identifier: MIT
 * slab_block.h -- the one kernel of products with slabs (pipeline/slab.h): rows times a block of a slab. For
 * slab*.c alone. */
#ifndef VL_SLAB_BLOCK_H
#define VL_SLAB_BLOCK_H

#include "pipeline/slab.h"

enum {
    VL_SLAB_LINE = 64 / sizeof(vl_real), /* reals of a cache line */
/* Rows whose sums fill the registers: products are quickest with a multiple of it. */
#if !defined(VL_REAL_DOUBLE) && defined(__AVX512F__)
    VL_SLAB_GROUP = 10
#else
    VL_SLAB_GROUP = 5
#endif
};

/* The left operand: element (r, i) is at[r ld + i / run jump + i % run]. Rows as they are have run >= depth; those of
 * a matrix that lies in slabs itself have ld = run = VL_SLAB and jump from slab to slab. */
typedef struct vl_slab_rows {
    const vl_real *at;
    size_t ld, run, jump;
} vl_slab_rows;

/* vl_slab_block -- sum [rows][VL_SLAB] += x [rows,depth] w [depth][VL_SLAB], of which the first `columns`, 1 to
 * VL_SLAB, are wanted: those behind may be left as they are.
 *   next   what is wanted soon: of it a cache line is asked for at each of depth, for each VL_SLAB_GROUP rows;
 *          NULL: the rows of x that come next, for an x in slabs */
void vl_slab_block(size_t rows, size_t columns, size_t depth, const vl_real *w, const vl_real *next,
                   const vl_slab_rows *x, vl_real *sum);

#endif
