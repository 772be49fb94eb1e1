/* SPDX-License-Identifier: MIT
 * products.h -- what the tests of matrix products share: their operands, the sums written out, how near is near. */
#ifndef PRODUCTS_H
#define PRODUCTS_H

#include "pipeline/rng.h"

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

static inline vl_real *normals(uint64_t stream, size_t n)
{
    vl_real *v = malloc(n * sizeof *v);

    assert_non_null(v);
    vl_rng_normal(1, stream, n, 1, v);
    return v;
}

/* Sums of k products of standard normals. */
static inline void near(const vl_real *a, const vl_real *b, size_t n, size_t k, const char *what,
                        size_t shape)
{
    double bound = 20 * FLT_EPSILON * sqrt((double)k) * (1 + log2((double)k));

    for (size_t i = 0; i < n; i++)
        if (!(fabs((double)a[i] - (double)b[i]) <= bound))
            fail_msg("%s, shape %zu: [%zu] is %.9g, plainly %.9g", what, shape, i, (double)a[i],
                     (double)b[i]);
}

/* y = alpha x (a - minus) + beta y in double, a, minus [k,n]; turned: alpha x (a - minus)^T, x [rows,n]. */
static inline void plainly(const size_t *shape, bool turned, const vl_real *a, const vl_real *minus,
                           double alpha, const vl_real *x, double beta, vl_real *y)
{
    size_t k = shape[1], n = shape[2], deep = turned ? n : k, wide = turned ? k : n;

    for (size_t r = 0; r < shape[0]; r++)
        for (size_t c = 0; c < wide; c++) {
            double sum = 0;
            for (size_t i = 0; i < deep; i++) {
                size_t at = turned ? c * n + i : i * n + c;
                sum += (double)x[r * deep + i] * ((double)a[at] - (minus ? (double)minus[at] : 0));
            }
            y[r * wide + c] = (vl_real)(alpha * sum + beta * (double)y[r * wide + c]);
        }
}

#endif
