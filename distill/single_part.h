/* SPDX-License-Identifier: MIT
 * single_part.h -- what the files of the single-level losses share; for loss_*.c alone. */
#ifndef VLD_SINGLE_PART_H
#define VLD_SINGLE_PART_H

#include "distill/single_loss.h"

/* vld_cut -- takes n reals off a block. */
static inline vl_real *vld_cut(vl_real **block, size_t n)
{
    vl_real *p = *block;

    *block += n;
    return p;
}

/* vld_row_mean -- mean [dim] of v [n,dim]. */
static inline void vld_row_mean(const vl_real *v, size_t n, size_t dim, double *mean)
{
    for (size_t c = 0; c < dim; c++)
        mean[c] = 0;
    for (size_t r = 0; r < n; r++)
        for (size_t c = 0; c < dim; c++)
            mean[c] += (double)v[r * dim + c];
    for (size_t c = 0; c < dim; c++)
        mean[c] /= (double)n;
}

/* vld_row_less -- out [n,dim] = the rows of v about a mean. */
static inline void vld_row_less(const vl_real *v, size_t n, size_t dim, const double *mean, vl_real *out)
{
    for (size_t r = 0; r < n; r++)
        for (size_t c = 0; c < dim; c++)
            out[r * dim + c] = (vl_real)((double)v[r * dim + c] - mean[c]);
}

#endif
