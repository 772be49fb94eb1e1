/* SPDX-License-Identifier: MIT
 * differ.h -- central differences as judges of derivatives, for the double tests.
 *
 * Taken at steps h and h / 2: a right derivative leaves an error that falls by four, and nothing
 * but rounding after Richardson's extrapolation. A small wrong term fails the first test where it
 * is larger than the truncation error, and the second down to 1e-8. */
#ifndef VL_TESTS_DIFFER_H
#define VL_TESTS_DIFFER_H

#include "pipeline/real.h"
#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static inline double vec_dot(const vl_real *a, const vl_real *b, size_t n)
{
    double s = 0;

    for (size_t i = 0; i < n; i++)
        s += (double)a[i] * (double)b[i];
    return s;
}

static inline double vec_dot_abs(const vl_real *a, const vl_real *b, size_t n)
{
    double s = 0;

    for (size_t i = 0; i < n; i++)
        s += fabs((double)a[i] * (double)b[i]);
    return s;
}

static inline double vec_max(const vl_real *v, size_t n)
{
    double m = 0;

    for (size_t i = 0; i < n; i++)
        m = fmax(m, fabs((double)v[i]));
    return m;
}

/* d1, d2: differences at h and h / 2 of n values; exact: the derivatives; size: of what was
 * subtracted, for its rounding error. Fails the test with `label: what`. */
static inline void differ_judge(const char *label, const char *what, const vl_real *d1, const vl_real *d2,
                                const vl_real *exact, size_t n, double h, double size)
{
    double e1 = 0, e2 = 0, e3 = 0, top = 1, rounding = 200 * DBL_EPSILON * (1 + size) / h;

    for (size_t i = 0; i < n; i++) {
        e1 = fmax(e1, fabs((double)(d1[i] - exact[i])));
        e2 = fmax(e2, fabs((double)(d2[i] - exact[i])));
        e3 = fmax(e3, fabs((double)((4 * d2[i] - d1[i]) / 3 - exact[i])));
        top = fmax(top, fabs((double)exact[i]));
        if (!isfinite(exact[i]) || !isfinite(d1[i]) || !isfinite(d2[i]))
            e3 = INFINITY;
    }
    if (!(e2 <= 0.3 * e1 + rounding) || !(e3 <= 1e-8 * top + rounding))
        fail_msg("%s: %s: error %.3g at h, %.3g at h / 2, %.3g extrapolated, of %.3g (rounding "
                 "%.3g)",
                 label, what, e1, e2, e3, top, rounding);
}

#endif
