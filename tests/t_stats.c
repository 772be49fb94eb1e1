/* SPDX-License-Identifier: MIT
 * t_stats.c -- Student's quantiles against closed forms and printed tables; intervals and ratios against
 * numbers worked by hand. */
#include "distill/stats.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static const double pi = 3.14159265358979323846;

/* One, two and four degrees have closed forms. */
static double closed(int df, double p)
{
    double a = 4 * p * (1 - p), root;

    if (df == 1)
        return tan(pi * (p - 0.5));
    if (df == 2)
        return (2 * p - 1) / sqrt(2 * p * (1 - p));
    root = sqrt(fmax(0, cos(acos(sqrt(a)) / 3) / sqrt(a) - 1));
    return p < 0.5 ? -2 * root : 2 * root;
}

static void test_closed_forms(void **state)
{
    (void)state;
    for (int df = 1; df <= 4; df *= 2)
        for (int i = 1; i < 1000; i++) {
            double p = i / 1000.0, want = closed(df, p), got = vld_t_quantile(p, df);
            if (i != 500)
                assert_true(fabs(got - want) <= 1e-9 * fabs(want));
        }
}

/* What textbooks print, and rows for degrees between them. */
static void test_tables(void **state)
{
    static const struct {
        double p, df, t, within;
    } rows[] = {
        {0.975, 3, 3.182446, 1e-6},
        {0.975, 5, 2.570582, 1e-6},
        {0.975, 14, 2.144787, 1e-6},
        {0.975, 29, 2.045230, 1e-6},
        {0.975, 120, 1.979930, 1e-6},
        {0.95, 10, 1.812461, 1e-6},
        {0.995, 10, 3.169273, 1e-6},
        {0.9995, 6, 5.958816, 1e-6},
        {0.975, 1e6, 1.959966, 1e-6},
        {0.025, 5, -2.570582, 1e-6},
        {0.5, 7, 0, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_true(fabs(vld_t_quantile(rows[i].p, rows[i].df) - rows[i].t) <= rows[i].within);
    for (double df = 3; df < 4; df += 0.125) /* between whole degrees it falls from one to the next */
        assert_true(vld_t_quantile(0.975, df) > vld_t_quantile(0.975, df + 0.125));
    assert_true(isnan(vld_t_quantile(0, 5)));
    assert_true(isnan(vld_t_quantile(1, 5)));
    assert_true(isnan(vld_t_quantile(0.9, 0.5)));
    assert_true(isnan(vld_t_quantile(NAN, 5)));
    assert_true(isnan(vld_t_quantile(0.9, INFINITY)));
}

static void test_summary(void **state)
{
    const double x[] = {4, 6, 5, 7, 3, 5};
    vld_summary s = vld_summarise(x, 6);
    double half = 2.570581835636 * sqrt(2.0) / sqrt(6.0);

    (void)state;
    assert_int_equal(s.n, 6);
    assert_true(fabs(s.mean - 5) < 1e-12);
    assert_true(fabs(s.sd - sqrt(2.0)) < 1e-12);
    assert_true(fabs(s.low - (5 - half)) < 1e-8 && fabs(s.high - (5 + half)) < 1e-8);
    s = vld_summarise(x, 1);
    assert_true(s.mean == 4 && isnan(s.sd) && isnan(s.low) && isnan(s.high));
    s = vld_summarise(x, 0);
    assert_true(isnan(s.mean));
}

static void test_compare(void **state)
{
    const double a[] = {9, 10, 11}, b[] = {4, 5, 6}, c[] = {9.5, 9.5, 9.5}, zero[] = {0, 0};
    vld_summary sa = vld_summarise(a, 3), sb = vld_summarise(b, 3), sc = vld_summarise(c, 3);
    vld_summary none = vld_summarise(zero, 2), one = vld_summarise(a, 1);
    vld_comparison r = vld_compare(&sa, &sb);
    /* Variances of the logarithms: 1/300 and 1/75; degrees: (5/300)^2 / ((1/300)^2/2 + (4/300)^2/2) = 50/17 */
    double half = vld_t_quantile(0.975, 50.0 / 17) * sqrt(5.0 / 300);

    (void)state;
    assert_true(fabs(r.ratio - 2) < 1e-12 && r.above && r.apart);
    assert_true(fabs(r.low - 2 * exp(-half)) < 1e-9 && fabs(r.high - 2 * exp(half)) < 1e-9);
    r = vld_compare(&sb, &sa);
    assert_true(!r.above && r.apart);
    r = vld_compare(&sa, &sc); /* above, but the intervals meet */
    assert_true(r.above && !r.apart);
    r = vld_compare(&sc, &sc); /* no spread at all */
    assert_true(r.ratio == 1 && r.low == 1 && r.high == 1 && !r.above);
    r = vld_compare(&sa, &none);
    assert_true(isnan(r.ratio) && isnan(r.low) && r.above && r.apart);
    r = vld_compare(&one, &sb);
    assert_true(fabs(r.ratio - 9.0 / 5) < 1e-12 && isnan(r.low) && r.above && !r.apart);
}

static void test_subtract(void **state)
{
    const double a[] = {9, 10, 11}, b[] = {4, 6, 8};
    vld_summary sa = vld_summarise(a, 3), sb = vld_summarise(b, 3), one = vld_summarise(a, 1);
    vld_difference d = vld_subtract(&sa, &sb);
    /* Variances of the means: 1/3 and 4/3; degrees: (5/3)^2 / ((1/3)^2/2 + (4/3)^2/2) = 50/17 */
    double half = vld_t_quantile(0.975, 50.0 / 17) * sqrt(5.0 / 3);

    (void)state;
    assert_true(fabs(d.value - 4) < 1e-12);
    assert_true(fabs(d.low - (4 - half)) < 1e-9 && fabs(d.high - (4 + half)) < 1e-9);
    d = vld_subtract(&sa, &one);
    assert_true(d.value == 1 && isnan(d.low) && isnan(d.high));
    sb.sd = sa.sd = 0; /* no spread at all */
    d = vld_subtract(&sb, &sa);
    assert_true(d.value == -4 && d.low == -4 && d.high == -4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_closed_forms), cmocka_unit_test(test_tables),   cmocka_unit_test(test_summary),
        cmocka_unit_test(test_compare),      cmocka_unit_test(test_subtract),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
