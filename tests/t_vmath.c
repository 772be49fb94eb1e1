/* SPDX-License-Identifier: MIT
 * t_vmath.c -- the float exp, tanh, erf and normal distribution against libm in double.
 *
 * Bounds, over the points below (dense ranges and every float with 12 leading mantissa bits):
 *   exp       3 ulp from -87.3 to 88.3; 0 below, 1.9e38 or more above (vmath.h)
 *   erf       7e-7 absolute        tanh   2e-7 absolute, and relative below 0.625
 *   cdf       4e-7 absolute        lower tail: relative 1e-6 + 4e-7 x^2 / 2 down to FLT_MIN
 *   pdf       relative 1e-6 + 2e-7 x^2 / 2 down to FLT_MIN
 * The tails lose what rounding x^2 / 2 loses: half an ulp of it is an absolute error of the
 * exponent. */
#include "pipeline/vmath.h"

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

typedef void (*check_fn)(float x, double worst[4]);

static double ulps(float got, double want)
{
    float w = fabsf((float)want), u = nextafterf(w, INFINITY) - w;

    return fabs((double)got - want) / (double)u;
}

/* All floats with the low 11 bits of the mantissa zero: both signs, denormals to the largest. */
static void every(check_fn fn, double worst[4])
{
    for (uint32_t b = 0; b < 0x7f800000u; b += 0x800u) {
        float x;
        memcpy(&x, &b, sizeof x);
        fn(x, worst);
        fn(-x, worst);
    }
    for (float x = -20; x < 20; x += 0x1.01p-13f)
        fn(x, worst);
    for (float x = -104; x < 104; x += 0x1.03p-10f)
        fn(x, worst);
}

static void check_exp(float x, double *worst)
{
    float y = vl_exp(x);

    if (x >= -87.3f && x <= 88.3f)
        worst[0] = fmax(worst[0], ulps(y, exp((double)x)));
    else if (x > 0 && !(y >= 1.9e38f && y <= FLT_MAX))
        fail_msg("exp(%.9g) = %.9g", (double)x, (double)y);
    else if (x < 0 && y != 0)
        fail_msg("exp(%.9g) = %.9g", (double)x, (double)y);
}

static void check_erf(float x, double *worst)
{
    worst[0] = fmax(worst[0], fabs((double)vl_erf(x) - erf((double)x)));
}

static void check_tanh(float x, double *worst)
{
    double want = tanh((double)x), off = fabs((double)vl_tanh(x) - want);

    worst[0] = fmax(worst[0], off);
    if (fabsf(x) < 0.625f && fabs(want) > (double)FLT_MIN)
        worst[1] = fmax(worst[1], off / fabs(want));
}

static void check_normal(float x, double *worst)
{
    double want = 0.5 * erfc(-(double)x * 0.70710678118654752440), half = 0.5 * (double)x * (double)x;
    double density = 0.39894228040143267794 * exp(-half);
    float cdf, pdf;

    vl_normal(x, &cdf, &pdf);
    if (!(cdf >= 0 && cdf <= 1 && pdf >= 0 && pdf < 0.4f))
        fail_msg("normal(%.9g) = %.9g, %.9g", (double)x, (double)cdf, (double)pdf);
    worst[0] = fmax(worst[0], fabs((double)cdf - want));
    if (x < 0 && want > (double)FLT_MIN)
        worst[1] = fmax(worst[1], fabs((double)cdf / want - 1) / (1e-6 + 4e-7 * half));
    if (density > (double)FLT_MIN)
        worst[2] = fmax(worst[2], fabs((double)pdf / density - 1) / (1e-6 + 2e-7 * half));
    worst[3] = fmax(worst[3], fabs((double)pdf - density));
}

static void test_bounds(void **state)
{
    static const struct {
        const char *name;
        check_fn fn;
        double bound[4];
    } rows[] = {
        {"exp", check_exp, {3}},
        {"erf", check_erf, {7e-7}},
        {"tanh", check_tanh, {2e-7, 2e-7}},
        {"normal", check_normal, {4e-7, 1, 1, 2e-7}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        double worst[4] = {0};
        every(rows[i].fn, worst);
        printf("%s: largest errors %.3g %.3g %.3g %.3g\n", rows[i].name, worst[0], worst[1], worst[2],
               worst[3]);
        for (int k = 0; k < 4; k++)
            if (!(worst[k] <= rows[i].bound[k]))
                fail_msg("%s: error %d is %.3g, %.3g allowed", rows[i].name, k, worst[k], rows[i].bound[k]);
    }
}

static void test_specials(void **state)
{
    float cdf, pdf, tiny = FLT_TRUE_MIN;

    (void)state;
    assert_true(isnan(vl_exp(NAN)) && isnan(vl_erf(NAN)) && isnan(vl_tanh(NAN)));
    vl_normal(NAN, &cdf, &pdf);
    assert_true(isnan(cdf) && isnan(pdf));
    assert_true(vl_exp(0) == 1 && vl_exp(-0.0f) == 1 && vl_exp(tiny) == 1);
    assert_true(vl_exp(INFINITY) == vl_exp(1000) && vl_exp(-INFINITY) == vl_exp(-1000));
    assert_true(vl_tanh(0) == 0 && vl_tanh(-0.0f) == 0 && vl_tanh(tiny) == tiny);
    assert_true(vl_tanh(INFINITY) == 1 && vl_tanh(-INFINITY) == -1 && vl_tanh(FLT_MAX) == 1);
    assert_true(vl_erf(INFINITY) == 1 && vl_erf(-INFINITY) == -1 && vl_erf(FLT_MAX) == 1);
    vl_normal(INFINITY, &cdf, &pdf);
    assert_true(cdf == 1 && pdf >= 0 && pdf < 1e-37f);
    vl_normal(-INFINITY, &cdf, &pdf);
    assert_true(cdf >= 0 && cdf < 1e-37f && pdf >= 0 && pdf < 1e-37f);
}

/* Odd or even where the function is. */
static void test_symmetry(void **state)
{
    (void)state;
    for (float x = 1e-6f; x < 50; x *= 1.001f) {
        float a, b, c, d;
        vl_normal(x, &a, &b);
        vl_normal(-x, &c, &d);
        assert_true(vl_erf(-x) == -vl_erf(x) && vl_tanh(-x) == -vl_tanh(x) && b == d);
        assert_true(a == 1 - c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_specials),
        cmocka_unit_test(test_symmetry),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
