/* SPDX-License-Identifier: MIT
 * real_stats.h -- what single-level losses need to know of all real pairs: means, variances and the
 * cross-covariance of their image features and text rows, gathered in one pass.
 *
 *   mean_x [F], mean_y [K]
 *   var_x = E |x - mean_x|^2, var_y likewise: sums over the dimensions, about the mean
 *   C [F,K] = 1/(n-1) sum_i (x_i - mean_x) (y_i - mean_y)^T, where it is asked for
 *
 * Kept in double; each chunk of rows is centred on its own mean before its product is taken, so a mean that is
 * large beside the spread costs no digits, and the order of 100,000 additions none either. */
#ifndef VLD_REAL_STATS_H
#define VLD_REAL_STATS_H

#include "formats/err.h"
#include "pipeline/pool.h"
#include "pipeline/real.h"
#include <stdbool.h>

enum { VLD_STATS_CHUNK = 512 };

typedef struct vld_real_stats {
    size_t n; /* rows seen */
    size_t image_n, text_dim;
    double *mean_x, *mean_y; /* [F], [K] */
    double sum_x, sum_y;     /* of squared distances to the mean; var = sum / n */
    double *sum_xy;          /* [F,K]: C (n - 1); NULL: not asked for */
    vl_real *x, *y;          /* [VLD_STATS_CHUNK,F] and [VLD_STATS_CHUNK,K]: a chunk about its mean */
    vl_real *part;           /* a block of products for each thread */
    vl_pool *pool;           /* borrowed */
} vld_real_stats;

/* vld_real_stats_new -- no rows yet. cross: C is wanted. vld_real_stats_free: zeroed is harmless.
 * Errors: VL_EARG no columns, VL_ENOMEM. */
VL_MUST_USE int vld_real_stats_new(size_t image_n, size_t text_dim, bool cross, vl_pool *pool,
                                   vld_real_stats *s, vl_err *e);
void vld_real_stats_free(vld_real_stats *s);

/* vld_real_stats_add -- rows more pairs, x [rows,F], y [rows,K], at most VLD_STATS_CHUNK: a chunk. The bits of the
 * result depend on how the rows are cut into chunks, not on the threads.
 * Errors: VL_EARG too many; VL_EMATH a row is not finite, then nothing was added. */
VL_MUST_USE int vld_real_stats_add(vld_real_stats *s, const vl_real *x, const vl_real *y, size_t rows,
                                   vl_err *e);

#endif
