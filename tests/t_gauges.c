/* SPDX-License-Identifier: MIT
 * t_gauges.c -- gauges against every pair of rows, and at the ends of their scales. */
#include "distill/gauges.h"
#include "pipeline/rng.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { N = 23, CAPS = 40, DIM = 9 };

static void unit_rows(vl_real *x, size_t n, uint64_t stream)
{
    for (size_t i = 0; i < n; i++) {
        double s = 0;
        for (size_t k = 0; k < DIM; k++) {
            x[i * DIM + k] = (vl_real)(vl_rng_unit(1, stream, i * DIM + k) - 0.3);
            s += (double)x[i * DIM + k] * (double)x[i * DIM + k];
        }
        for (size_t k = 0; k < DIM; k++)
            x[i * DIM + k] /= (vl_real)sqrt(s);
    }
}

/* Mean cosine over the pairs of the rows named by row [n]. */
static double pairs(const vl_real *x, const size_t *row, size_t n)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++)
            for (size_t k = 0; i != j && k < DIM; k++)
                sum += (double)x[row[i] * DIM + k] * (double)x[row[j] * DIM + k];
    return sum / (double)(n * (n - 1));
}

static double distance(const vl_real *u, const vl_real *v, const size_t *row, size_t texts)
{
    double sum = 0;

    for (size_t k = 0; k < DIM; k++) {
        double a = 0, b = 0;
        for (size_t i = 0; i < N; i++)
            a += (double)u[i * DIM + k] / N;
        for (size_t i = 0; i < texts; i++)
            b += (double)v[row[i] * DIM + k] / (double)texts;
        sum += (a - b) * (a - b);
    }
    return sqrt(sum);
}

static void test_pairs(void **state)
{
    vl_real u[N * DIM], v[CAPS * DIM];
    uint32_t group[CAPS];
    size_t all[N], first[CAPS], texts = 0;
    vl_data d = {.n = N, .n_caps = CAPS, .group = group};
    vld_gauges g;
    vl_err e;

    (void)state;
    unit_rows(u, N, 1);
    unit_rows(v, CAPS, 2);
    for (size_t i = 0; i < N; i++)
        all[i] = i;
    for (size_t c = 0; c < CAPS; c++) { /* every third caption is the one before it */
        if (c % 3 != 2)
            first[texts++] = c;
        group[c] = (uint32_t)texts - 1;
    }
    d.n_groups = texts;
    assert_int_equal(vld_gauges_of(&d, DIM, u, v, &g, &e), VL_OK);
    assert_true(fabs(g.image_cosine - pairs(u, all, N)) < 1e-6);
    assert_true(fabs(g.text_cosine - pairs(v, first, texts)) < 1e-6);
    assert_true(fabs(g.gap - distance(u, v, first, texts)) < 1e-6);
}

/* Collapsed onto two opposite points: cosines 1, gap 2. One image: no pair. */
static void test_ends(void **state)
{
    static const vl_real u[] = {1, 0, 1, 0}, v[] = {-1, 0, -1, 0};
    uint32_t group[] = {0, 1};
    vl_data d = {.n = 2, .n_caps = 2, .n_groups = 2, .group = group};
    vld_gauges g;
    vl_err e;

    (void)state;
    assert_int_equal(vld_gauges_of(&d, 2, u, v, &g, &e), VL_OK);
    assert_true(g.image_cosine == 1 && g.text_cosine == 1 && g.gap == 2);
    d.n = 1;
    assert_int_equal(vld_gauges_of(&d, 2, u, v, &g, &e), VL_OK);
    assert_true(isnan(g.image_cosine) && g.text_cosine == 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_pairs), cmocka_unit_test(test_ends)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
