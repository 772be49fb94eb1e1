/* SPDX-License-Identifier: MIT
 * sums.h -- sums in double over real vectors, in a fixed order: VL_SUMS running sums, so that the compiler may use
 * vectors, added up at the end. */
#ifndef VL_SUMS_H
#define VL_SUMS_H

#include "pipeline/real.h"
#include <stddef.h>

enum { VL_SUMS = 16 };

/* sums += the terms, an expression of i, for i < n. */
#define VL_ADD_UP(sums, n, term)                                                                             \
    do {                                                                                                     \
        size_t whole = (n) / VL_SUMS * VL_SUMS;                                                              \
        for (size_t from = 0; from < whole; from += VL_SUMS)                                                 \
            for (size_t lane = 0; lane < VL_SUMS; lane++) {                                                  \
                const size_t i = from + lane;                                                                \
                (sums)[lane] += (term);                                                                      \
            }                                                                                                \
        for (size_t i = whole; i < (n); i++)                                                                 \
            (sums)[i - whole] += (term);                                                                     \
    } while (0)

static inline double vl_sums_total(const double sums[VL_SUMS])
{
    double all = 0;

    for (size_t lane = 0; lane < VL_SUMS; lane++)
        all += sums[lane];
    return all;
}

static inline double vl_sum(const vl_real *a, size_t n)
{
    double s[VL_SUMS] = {0};

    VL_ADD_UP(s, n, (double)a[i]);
    return vl_sums_total(s);
}

/* vl_dot_add -- for products of vectors that lie in pieces. */
static inline void vl_dot_add(double sums[VL_SUMS], const vl_real *a, const vl_real *b, size_t n)
{
    VL_ADD_UP(sums, n, (double)a[i] * (double)b[i]);
}

static inline double vl_dot(const vl_real *a, const vl_real *b, size_t n)
{
    double s[VL_SUMS] = {0};

    vl_dot_add(s, a, b, n);
    return vl_sums_total(s);
}

static inline double vl_dot3(const vl_real *a, const vl_real *b, const vl_real *c, size_t n)
{
    double s[VL_SUMS] = {0};

    VL_ADD_UP(s, n, (double)a[i] * (double)b[i] * (double)c[i]);
    return vl_sums_total(s);
}

/* of (a - mean)^2 */
static inline double vl_spread(const vl_real *a, double mean, size_t n)
{
    double s[VL_SUMS] = {0};

    VL_ADD_UP(s, n, ((double)a[i] - mean) * ((double)a[i] - mean));
    return vl_sums_total(s);
}

#undef VL_ADD_UP
#endif
