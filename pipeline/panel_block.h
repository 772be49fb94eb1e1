/* SPDX-License-Identifier: MIT
 * panel_block.h -- the one kernel of products with panels (pipeline/panel.h): rows times a block of a panel. For
 * panel*.c alone. */
#ifndef VL_PANEL_BLOCK_H
#define VL_PANEL_BLOCK_H

#include "pipeline/panel.h"

enum {
    VL_PANEL_LINE = 64 / sizeof(vl_real), /* reals of a cache line */
/* Rows whose sums fill the registers: products are quickest with a multiple of it. */
#if !defined(VL_REAL_DOUBLE) && defined(__AVX512F__)
    VL_PANEL_GROUP = 10
#else
    VL_PANEL_GROUP = 5
#endif
};

/* The left operand: element (r, i) is at[r ld + i / run jump + i % run]. Rows as they are have run >= depth; those of
 * a matrix that lies in panels itself have ld = run = VL_PANEL and jump from panel to panel. */
typedef struct vl_panel_rows {
    const vl_real *at;
    size_t ld, run, jump;
} vl_panel_rows;

/* vl_panel_block -- sum [rows][VL_PANEL] += x [rows,depth] w [depth][VL_PANEL], of which the first `columns`, 1 to
 * VL_PANEL, are wanted: those behind may be left as they are.
 *   next   what is wanted soon: of it a cache line is asked for at each of depth, for each VL_PANEL_GROUP rows;
 *          NULL: the rows of x that come next, for an x in panels */
void vl_panel_block(size_t rows, size_t columns, size_t depth, const vl_real *w, const vl_real *next,
                    const vl_panel_rows *x, vl_real *sum);

#endif
