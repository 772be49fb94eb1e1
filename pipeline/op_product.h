/* SPDX-License-Identifier: MIT
 * op_product.h -- the products of linear layers on a tape's pool; for op_*.c alone.
 *   x [b,k], w [k,n], y and its gradient g [b,n]
 *
 * The output is cut into at most VLT_PARTS parts by rows or columns, which follow from the sizes alone: no
 * partial sums, the same bits with any number of threads. NULL operands and NULL results of the last two are
 * skipped: what nothing wants, and tangents that do not come in. */
#ifndef VLT_PRODUCT_H
#define VLT_PRODUCT_H

#include "pipeline/op.h"

typedef struct vlt_sizes {
    size_t b, k, n;
} vlt_sizes;

/* y = alpha x w + bias, or alpha x w + beta y without (bias NULL) */
void vlt_product(vlt_tape *t, vlt_sizes s, vl_real alpha, const vl_real *x, const vl_real *w,
                 const vl_real *bias, vl_real beta, vl_real *y);

/* gx += alpha g w^T */
void vlt_product_data(vlt_tape *t, vlt_sizes s, vl_real alpha, const vl_real *g, const vl_real *w,
                      vl_real *gx);

/* gw += alpha x^T g */
void vlt_product_weights(vlt_tape *t, vlt_sizes s, vl_real alpha, const vl_real *x, const vl_real *g,
                         vl_real *gw);

/* gb [n] += the sum of g over its b rows; gb may be NULL */
void vlt_sum_rows(vlt_tape *t, size_t b, size_t n, const vl_real *g, vl_real *gb);

#endif
