/* SPDX-License-Identifier: MIT
 * t_real_stats.c -- means, variances and cross-covariance of a pass in chunks against two plain loops. */
#include "distill/real_stats.h"
#include "pipeline/rng.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { N = 700, F = 300, K = 7 }; /* three tiles of the cross-covariance */

static vl_real x[N * F], y[N * K];

static void fill(vl_real mean)
{
    vl_rng_normal(1, 1, N * F, 1, x);
    vl_rng_normal(1, 2, N * K, 1, y);
    for (size_t i = 0; i < N * K; i++)
        y[i] += x[i / K * F + i % K] - mean; /* so that something is correlated */
    for (size_t i = 0; i < N * F; i++)
        x[i] += mean;
}

static void pass(vld_real_stats *s, vl_pool *pool, const size_t *chunk)
{
    size_t at = 0;
    vl_err e;

    assert_int_equal(vld_real_stats_new(F, K, true, pool, s, &e), VL_OK);
    for (; *chunk; at += *chunk++)
        assert_int_equal(vld_real_stats_add(s, x + at * F, y + at * K, *chunk, &e), VL_OK);
    assert_int_equal(at, N);
    assert_int_equal(s->n, N);
}

static double mean_of(const vl_real *v, size_t dim, size_t c)
{
    double s = 0;

    for (size_t i = 0; i < N; i++)
        s += (double)v[i * dim + c];
    return s / N;
}

static void check(const vld_real_stats *s, double bound)
{
    double sum_x = 0, my;

    for (size_t a = 0; a < F; a++) {
        double mx = mean_of(x, F, a);
        assert_true(fabs(mx - s->mean_x[a]) <= bound);
        for (size_t i = 0; i < N; i++)
            sum_x += ((double)x[i * F + a] - mx) * ((double)x[i * F + a] - mx);
        for (size_t b = 0; a % 37 == 0 && b < K; b++) {
            double c = 0;
            my = mean_of(y, K, b);
            for (size_t i = 0; i < N; i++)
                c += ((double)x[i * F + a] - mx) * ((double)y[i * K + b] - my);
            assert_true(fabs(c - s->sum_xy[a * K + b]) <= bound * N);
        }
    }
    assert_true(fabs(sum_x - s->sum_x) <= bound * sum_x);
}

static void chunks(void **state)
{
    static const size_t cut[][8] = {
        {512, 188, 0}, {1, 2, 3, 100, 94, 500, 0}, {100, 100, 100, 100, 100, 100, 100, 0}};

    (void)state;
    for (int far = 0; far < 2; far++) {
        fill(far ? VL_R(1000.0) : VL_R(0.5));
        for (size_t r = 0; r < sizeof cut / sizeof *cut; r++) {
            vld_real_stats s;
            pass(&s, NULL, cut[r]);
            check(&s, 1e-6);
            vld_real_stats_free(&s);
        }
    }
}

static void threads(void **state)
{
    static const size_t cut[] = {512, 188, 0};
    vld_real_stats one, three;
    vl_pool *pool = NULL;
    vl_err e;

    (void)state;
    fill(1);
    assert_int_equal(vl_pool_new(3, &pool, &e), VL_OK);
    pass(&one, NULL, cut);
    pass(&three, pool, cut);
    assert_memory_equal(one.sum_xy, three.sum_xy, F * K * sizeof(double));
    vld_real_stats_free(&one);
    vld_real_stats_free(&three);
    vl_pool_free(pool);
}

/* Without the cross-covariance: the same means and variances, and none. */
static void without_cross(void **state)
{
    vld_real_stats s, with;
    vl_err e;

    (void)state;
    fill(1);
    assert_int_equal(vld_real_stats_new(F, K, false, NULL, &s, &e), VL_OK);
    assert_int_equal(vld_real_stats_new(F, K, true, NULL, &with, &e), VL_OK);
    for (int twice = 0; twice < 2; twice++) {
        assert_int_equal(vld_real_stats_add(&s, x, y, 200, &e), VL_OK);
        assert_int_equal(vld_real_stats_add(&with, x, y, 200, &e), VL_OK);
    }
    assert_null(s.sum_xy);
    assert_memory_equal(s.mean_x, with.mean_x, F * sizeof(double));
    assert_memory_equal(s.mean_y, with.mean_y, K * sizeof(double));
    assert_true(s.sum_x == with.sum_x && s.sum_y == with.sum_y);
    vld_real_stats_free(&s);
    vld_real_stats_free(&with);
}

static void refusals(void **state)
{
    vld_real_stats s;
    vl_err e;

    (void)state;
    assert_int_equal(vld_real_stats_new(0, K, true, NULL, &s, &e), VL_EARG);
    assert_int_equal(vld_real_stats_new(F, 0, true, NULL, &s, &e), VL_EARG);
    fill(0);
    assert_int_equal(vld_real_stats_new(F, K, true, NULL, &s, &e), VL_OK);
    assert_int_equal(vld_real_stats_add(&s, x, y, 0, &e), VL_OK);
    assert_int_equal(vld_real_stats_add(&s, x, y, VLD_STATS_CHUNK + 1, &e), VL_EARG);
    assert_int_equal(vld_real_stats_add(&s, x, y, 2, &e), VL_OK);
    y[3 * K + 2] = (vl_real)INFINITY;
    assert_int_equal(vld_real_stats_add(&s, x + 2 * F, y + 2 * K, 4, &e), VL_EMATH);
    assert_string_equal(e.text, "real rows 2 to 5: not all are finite");
    y[3 * K + 2] = 0;
    x[5 * F] = (vl_real)NAN;
    assert_int_equal(vld_real_stats_add(&s, x + 2 * F, y + 2 * K, 4, &e), VL_EMATH);
    assert_int_equal(s.n, 2);
    for (size_t i = 0; i < F; i++)
        assert_true(fabs(s.mean_x[i] - ((double)x[i] + (double)x[F + i]) / 2) < 1e-12);
    vld_real_stats_free(&s);
    vld_real_stats_free(&s); /* harmless */
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(chunks), cmocka_unit_test(threads),
                                       cmocka_unit_test(without_cross), cmocka_unit_test(refusals)};

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
