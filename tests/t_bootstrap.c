/* SPDX-License-Identifier: MIT
 * t_bootstrap.c -- intervals over queries: as wide as the normal one where that holds, as wide as images are
 * few where captions only repeat their image, a point where there is nothing to vary. */
#include "distill/bootstrap.h"
#include "pipeline/rng.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

/* n images with `caps` captions each, no two alike. */
static vl_data data_of(size_t n, size_t caps)
{
    vl_data d = {.n = n, .n_caps = n * caps, .n_groups = n * caps};

    d.cap = malloc((n + 1) * sizeof *d.cap);
    d.group = malloc(d.n_caps * sizeof *d.group);
    for (size_t i = 0; i <= n; i++)
        d.cap[i] = i * caps;
    for (size_t c = 0; c < d.n_caps; c++)
        d.group[c] = (uint32_t)c;
    return d;
}

static vld_hits hits_of(const vl_data *d)
{
    vld_hits h;
    vl_err e;

    assert_int_equal(vld_hits_new(d, &h, &e), VL_OK);
    return h;
}

static void test_counts(void **state)
{
    vl_data d = data_of(3, 1);
    vld_hits h = hits_of(&d);
    const uint32_t ir[] = {1, 5, 11}, tr[] = {2, 10, 6};

    (void)state;
    vld_hits_add(&h, &d, ir, tr);
    vld_hits_add(&h, &d, NULL, NULL);
    vld_hits_add(&h, &d, ir, tr);
    assert_int_equal(h.students, 3);
    assert_true(h.ir[0] == 6 && h.ir[1] == 4 && h.ir[2] == 0);
    assert_true(h.tr[0] == 4 && h.tr[1] == 2 && h.tr[2] == 2);
    vld_hits_free(&h);
    vl_data_free(&d);
}

/* Half of the images are found at every k by both ways at once: the width of a share of 1/2 among n. caps
 * captions that are found when their image is found add nothing: they come with it. */
static void test_width(void **state)
{
    enum { N = 900 };

    (void)state;
    for (size_t caps = 1; caps <= 5; caps += 4) {
        vl_data d = data_of(N, caps);
        vld_hits h = hits_of(&d);
        double low, high, again[2], half = 100 * 1.96 * sqrt(0.25 / N), mean = 0;
        vl_err e;
        h.students = 2;
        for (size_t i = 0; i < N; i++) {
            uint32_t found = vl_rng_below(1, 2, i, 2) ? VLD_N_K * 2 : 0;
            mean += found ? 100.0 / N : 0;
            h.tr[i] = found;
            for (size_t c = 0; c < caps; c++)
                h.ir[i * caps + c] = found;
        }
        assert_int_equal(vld_bootstrap(&h, &d, 7, &low, &high, &e), VL_OK);
        if (fabs(mean - low - half) > 0.12 * half || fabs(high - mean - half) > 0.12 * half)
            fail_msg("%zu captions: %g to %g, %g +- %g expected", caps, low, high, mean, half);
        assert_int_equal(vld_bootstrap(&h, &d, 7, &again[0], &again[1], &e), VL_OK);
        assert_true(again[0] == low && again[1] == high);
        assert_int_equal(vld_bootstrap(&h, &d, 8, &again[0], &again[1], &e), VL_OK);
        assert_true(again[0] != low || again[1] != high);
        vld_hits_free(&h);
        vl_data_free(&d);
    }
}

static void test_points(void **state)
{
    vl_data d = data_of(20, 2);
    vld_hits h = hits_of(&d);
    double low, high;
    vl_err e;

    (void)state;
    h.students = 1;
    assert_int_equal(vld_bootstrap(&h, &d, 1, &low, &high, &e), VL_OK);
    assert_true(low == 0 && high == 0);
    for (size_t g = 0; g < d.n_groups; g++)
        h.ir[g] = VLD_N_K;
    assert_int_equal(vld_bootstrap(&h, &d, 1, &low, &high, &e), VL_OK);
    assert_true(low == 50 && high == 50); /* every caption finds its image, no image its caption */
    vld_hits_free(&h);
    vl_data_free(&d);
}

/* A caption that two images carry is one query, and comes with the first of them. */
static void test_shared_caption(void **state)
{
    vl_data d = data_of(2, 1);
    vld_hits h;
    double low, high;
    vl_err e;

    (void)state;
    d.group[1] = 0;
    d.n_groups = 1;
    h = hits_of(&d);
    h.students = 1;
    h.ir[0] = VLD_N_K;
    assert_int_equal(vld_bootstrap(&h, &d, 1, &low, &high, &e), VL_OK);
    assert_true(low == 0 && high == 50); /* 0: the second image twice, which brings no caption */
    vld_hits_free(&h);
    vl_data_free(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_counts), cmocka_unit_test(test_width),
                                       cmocka_unit_test(test_points), cmocka_unit_test(test_shared_caption)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
