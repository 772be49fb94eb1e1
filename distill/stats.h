/* SPDX-License-Identifier: MIT
 * stats.h -- mean, spread and Student intervals of a few numbers, and the ratio of two such means. */
#ifndef VLD_STATS_H
#define VLD_STATS_H

#include <stdbool.h>
#include <stddef.h>

/* vld_t_quantile -- the value that a Student t variable of df degrees of freedom stays below with
 * probability p.
 *   p   in   inside (0, 1);   df  in   >= 1, need not be whole (Welch); anything else gives NAN
 * Relative error below 1e-10. Source: the regularised incomplete beta function by its continued fraction
 * (Numerical Recipes, 3rd ed., 6.4), inverted by bisection. */
double vld_t_quantile(double p, double df);

typedef struct vld_summary {
    size_t n;
    double mean;
    double sd;        /* n - 1 in the denominator; NAN for n < 2 */
    double low, high; /* 95 % interval of the mean, Student t, n - 1 degrees; NAN for n < 2 */
} vld_summary;

/* vld_summarise -- x [n], n >= 1 (0 gives NAN throughout). */
vld_summary vld_summarise(const double *x, size_t n);

typedef struct vld_comparison {
    double ratio;     /* mean of a over mean of b; NAN unless both are positive */
    double low, high; /* its 95 % interval; NAN when an sd is */
    bool above;       /* the mean of a is the greater one */
    bool apart;       /* the two means' own 95 % intervals do not meet; false where there are none */
} vld_comparison;

/* vld_compare -- a against b, independent samples. The interval of the ratio is that of its logarithm
 * (delta method: variance sd_a^2 / (n_a mean_a^2) + the same of b) with Welch and Satterthwaite's degrees
 * of freedom. */
vld_comparison vld_compare(const vld_summary *a, const vld_summary *b);

typedef struct vld_difference {
    double value;     /* mean of a less mean of b; NAN when one is */
    double low, high; /* its 95 % interval, Welch; NAN when an sd is */
} vld_difference;

/* vld_subtract -- a less b, independent samples. */
vld_difference vld_subtract(const vld_summary *a, const vld_summary *b);

#endif
