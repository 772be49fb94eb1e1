/* SPDX-License-Identifier: MIT
 * sums.h -- sums in double of real vectors, in a fixed order: SUMS_APART running sums, so that the compiler may use
 * vectors, added up at the end. */
#ifndef VL_SUMS_H
#define VL_SUMS_H

#include "pipeline/real.h"
#include <stddef.h>

enum { VL_SUMS_APART = 16 };

/* The sum over i < n of term, an expression of i. */
#define VL_SUM(n, term)                                                                                      \
    double apart[VL_SUMS_APART] = {0}, all = 0;                                                              \
    size_t whole = (n) / VL_SUMS_APART * VL_SUMS_APART;                                                      \
    for (size_t from = 0; from < whole; from += VL_SUMS_APART)                                               \
        for (size_t lane = 0; lane < VL_SUMS_APART; lane++) {                                                \
            const size_t i = from + lane;                                                                    \
            apart[lane] += (term);                                                                           \
        }                                                                                                    \
    for (size_t i = whole; i < (n); i++)                                                                     \
        all += (term);                                                                                       \
    for (size_t lane = 0; lane < VL_SUMS_APART; lane++)                                                      \
        all += apart[lane];                                                                                  \
    return all

static inline double vl_sum(const vl_real *a, size_t n)
{
    VL_SUM(n, (double)a[i]);
}

static inline double vl_dot(const vl_real *a, const vl_real *b, size_t n)
{
    VL_SUM(n, (double)a[i] * (double)b[i]);
}

static inline double vl_dot3(const vl_real *a, const vl_real *b, const vl_real *c, size_t n)
{
    VL_SUM(n, (double)a[i] * (double)b[i] * (double)c[i]);
}

/* of (a - mean)^2 */
static inline double vl_spread(const vl_real *a, double mean, size_t n)
{
    VL_SUM(n, ((double)a[i] - mean) * ((double)a[i] - mean));
}

#undef VL_SUM
#endif
