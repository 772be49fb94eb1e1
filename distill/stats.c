/* SPDX-License-Identifier: MIT */
#include "distill/stats.h"

#include <math.h>

/* The continued fraction of the incomplete beta function, by Lentz's method; it converges quickly for
 * x < (a + 1) / (a + b + 2). */
static double beta_fraction(double a, double b, double x)
{
    const double tiny = 1e-300;
    double c = 1, d = 1 - (a + b) * x / (a + 1), h;

    d = 1 / (fabs(d) < tiny ? tiny : d);
    h = d;
    for (int m = 1; m <= 1000; m++) {
        double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
        double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
        for (int half = 0; half < 2; half++) {
            double k = half ? odd : even;
            d = 1 + k * d;
            d = 1 / (fabs(d) < tiny ? tiny : d);
            c = 1 + k / c;
            c = fabs(c) < tiny ? tiny : c;
            h *= d * c;
        }
        if (fabs(d * c - 1) < 1e-15)
            break;
    }
    return h;
}

/* I_x(a, b), the regularised incomplete beta function. */
static double beta_share(double a, double b, double x)
{
    double front;

    if (x <= 0 || x >= 1)
        return x <= 0 ? 0 : 1;
    front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log1p(-x));
    return x < (a + 1) / (a + b + 2) ? front * beta_fraction(a, b, x) / a
                                     : 1 - front * beta_fraction(b, a, 1 - x) / b;
}

/* P(T > t) for t >= 0: half of I_{df / (df + t^2)}(df / 2, 1 / 2). */
static double upper_tail(double t, double df)
{
    return 0.5 * beta_share(0.5 * df, 0.5, df / (df + t * t));
}

double vld_t_quantile(double p, double df)
{
    double tail = p < 0.5 ? p : 1 - p, lo = 0, hi = 1;

    if (!(p > 0 && p < 1) || !(df >= 1) || !isfinite(df))
        return NAN;
    if (p == 0.5)
        return 0;
    while (upper_tail(hi, df) > tail && hi < 1e150)
        lo = hi, hi *= 2;
    for (int i = 0; i < 200 && hi - lo > 1e-13 * hi; i++) {
        double mid = 0.5 * (lo + hi);
        if (upper_tail(mid, df) > tail)
            lo = mid;
        else
            hi = mid;
    }
    return p < 0.5 ? -0.5 * (lo + hi) : 0.5 * (lo + hi);
}

vld_summary vld_summarise(const double *x, size_t n)
{
    vld_summary s = {n, NAN, NAN, NAN, NAN};
    double sum = 0, squares = 0, half;

    if (n == 0)
        return s;
    for (size_t i = 0; i < n; i++)
        sum += x[i];
    s.mean = sum / (double)n;
    if (n < 2)
        return s;
    for (size_t i = 0; i < n; i++)
        squares += (x[i] - s.mean) * (x[i] - s.mean);
    s.sd = sqrt(squares / (double)(n - 1));
    half = vld_t_quantile(0.975, (double)(n - 1)) * s.sd / sqrt((double)n);
    s.low = s.mean - half;
    s.high = s.mean + half;
    return s;
}

/* Half the 95 % interval of a sum of two independent means with variances va and vb (of the means themselves):
 * Welch's interval with Satterthwaite's degrees of freedom. NAN where a variance is. */
static double welch_half(double va, size_t na, double vb, size_t nb)
{
    double df;

    if (isnan(va + vb) || !(va + vb > 0))
        return va + vb;
    df = (va + vb) * (va + vb) / (va * va / (double)(na - 1) + vb * vb / (double)(nb - 1));
    return vld_t_quantile(0.975, df) * sqrt(va + vb);
}

vld_difference vld_subtract(const vld_summary *a, const vld_summary *b)
{
    double half = welch_half(a->sd * a->sd / (double)a->n, a->n, b->sd * b->sd / (double)b->n, b->n);

    return (vld_difference){a->mean - b->mean, a->mean - b->mean - half, a->mean - b->mean + half};
}

vld_comparison vld_compare(const vld_summary *a, const vld_summary *b)
{
    vld_comparison c = {NAN, NAN, NAN, a->mean > b->mean, false};
    double half;

    c.apart = a->low > b->high || a->high < b->low; /* false for NAN */
    if (!(a->mean > 0) || !(b->mean > 0))
        return c;
    c.ratio = a->mean / b->mean;
    half = welch_half(a->sd * a->sd / ((double)a->n * a->mean * a->mean), a->n,
                      b->sd * b->sd / ((double)b->n * b->mean * b->mean), b->n);
    if (isnan(half))
        return c;
    c.low = c.ratio * exp(-half);
    c.high = c.ratio * exp(half);
    return c;
}
