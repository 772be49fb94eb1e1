/* SPDX-License-Identifier: MIT
 * single_cases.h -- the single-level losses and the merging of experts against PyTorch's values in
 * tests/golden/torch/single.safetensors: t64_single_golden.c in double, t_single_golden.c in float. */
#ifndef VL_TESTS_SINGLE_CASES_H
#define VL_TESTS_SINGLE_CASES_H

#include "distill/merge_experts.h"
#include "distill/single_loss.h"
#include "tests/golden_read.h"

enum { S_N = 11, S_M = 7, S_REAL = 40, S_F = 12, S_K = 9, S_D = 16 }; /* as in make_single.py */

static const vld_single_params single_params = {.rho = 1.5,
                                                .lambda = 0.3,
                                                .gke = 0.8,
                                                .sigma = 0.5,
                                                .kernel = VLD_KERNEL_LINEAR,
                                                .width = 1.2,
                                                .ridge = 0.1,
                                                .text_to_image = 0.3};

static const struct single_case {
    const char *name, *method;
    bool teacher;
    vld_kernel kernel;
    int parts;
} single_cases[] = {{"covmatch", "covmatch", false, VLD_KERNEL_LINEAR, 3},
                    {"covmatch-teacher", "covmatch", true, VLD_KERNEL_LINEAR, 3},
                    {"mdm", "mdm", true, VLD_KERNEL_LINEAR, 3},
                    {"krr-linear", "krr", false, VLD_KERNEL_LINEAR, 2},
                    {"krr-gauss", "krr", false, VLD_KERNEL_GAUSS, 2}};

typedef struct single_world {
    golden g;
    vlm_model m;
    vld_real_stats stats;
    vl_real *x, *y, *real_x, *real_y, *theta, *gx, *gy;
} single_world;

static vl_real *single_zeros(size_t n)
{
    vl_real *v = calloc(n, sizeof *v);

    assert_non_null(v);
    return v;
}

/* The statistics come in chunks of 1, 22 and 17 rows. */
static void single_open(single_world *w, vl_pool *pool)
{
    vl_err e = {0};

    memset(w, 0, sizeof *w);
    golden_open(&w->g, "single");
    assert_int_equal(vlm_parse_heads("heads:12", S_K, S_D, 1 / 0.07, &w->m, &e), VL_OK);
    w->x = golden_new(&w->g, "x", S_N * S_F);
    w->y = golden_new(&w->g, "y", S_N * S_K);
    w->real_x = golden_new(&w->g, "real.x", S_REAL * S_F);
    w->real_y = golden_new(&w->g, "real.y", S_REAL * S_K);
    w->theta = golden_new(&w->g, "merged", w->m.n);
    w->gx = single_zeros(S_N * S_F);
    w->gy = single_zeros(S_N * S_K);
    assert_int_equal(vld_real_stats_new(S_F, S_K, true, pool, &w->stats, &e), VL_OK);
    for (size_t at = 0, rows = 1; at < S_REAL; at += rows, rows = at == 1 ? 22 : S_REAL - at)
        assert_int_equal(vld_real_stats_add(&w->stats, w->real_x + at * S_F, w->real_y + at * S_K, rows, &e),
                         VL_OK);
    assert_int_equal(w->stats.n, S_REAL);
}

static void single_close(single_world *w)
{
    vld_real_stats_free(&w->stats);
    free(w->x);
    free(w->y);
    free(w->real_x);
    free(w->real_y);
    free(w->theta);
    free(w->gx);
    free(w->gy);
    golden_close(&w->g);
}

static vld_single_loss *single_loss(const single_world *w, const struct single_case *c, vl_pool *pool)
{
    vld_single_setup s = {S_N, S_M, S_F, S_K, c->teacher ? &w->m : NULL, &w->stats, pool, single_params};
    vld_single_loss *l = NULL;
    vl_err e = {0};

    s.p.kernel = c->kernel;
    if (vld_single_loss_new(vld_single_find(c->method), &s, &l, &e))
        fail_msg("%s: %s", c->name, e.text);
    return l;
}

static vld_single_out single_run(const single_world *w, const struct single_case *c, vld_single_loss *l)
{
    const vld_single_in in = {w->x, w->y, w->real_x, w->real_y, c->teacher ? w->theta : NULL};
    vld_single_out out = {.gx = w->gx, .gy = w->gy};
    vl_err e = {0};

    if (vld_single_loss_run(l, &in, &out, &e))
        fail_msg("%s: %s", c->name, e.text);
    return out;
}

static const char *single_key(const struct single_case *c, const char *what)
{
    static char key[64];

    snprintf(key, sizeof key, "%s.%s", c->name, what);
    return key;
}

/* Each case twice from one state: nothing is left behind by the first run. */
static void test_single_losses(void **state)
{
    single_world w;

    (void)state;
    single_open(&w, NULL);
    for (size_t i = 0; i < sizeof single_cases / sizeof *single_cases; i++) {
        const struct single_case *c = &single_cases[i];
        vld_single_loss *l = single_loss(&w, c, NULL);
        for (int twice = 0; twice < 2; twice++) {
            vld_single_out out = single_run(&w, c, l);
            vl_real loss = (vl_real)out.loss, part[VLD_MAX_PARTS];
            for (int k = 0; k < c->parts; k++)
                part[k] = (vl_real)out.part[k];
            golden_same(&w.g, single_key(c, "loss"), &loss, 1);
            golden_same(&w.g, single_key(c, "parts"), part, (size_t)c->parts);
            golden_same(&w.g, single_key(c, "gx"), w.gx, S_N * S_F);
            golden_same(&w.g, single_key(c, "gy"), w.gy, S_N * S_K);
        }
        vld_single_loss_free(l);
    }
    single_close(&w);
}

static void test_single_merge(void **state)
{
    single_world w;
    vl_real *a, *b, *anchor, ratio[VLM_MAX_PARAMS];
    double t[VLM_MAX_PARAMS];
    vl_err e = {0};

    (void)state;
    single_open(&w, NULL);
    a = golden_new(&w.g, "a", w.m.n);
    b = golden_new(&w.g, "b", w.m.n);
    anchor = golden_new(&w.g, "anchor", w.m.n);
    assert_int_equal(vld_merge_experts(&w.m, NULL, a, b, anchor, 0.4, a, t, &e), VL_OK);
    for (int i = 0; i < w.m.n_params; i++)
        ratio[i] = (vl_real)t[i];
    golden_same(&w.g, "merged", a, w.m.n);
    golden_same(&w.g, "ratios", ratio, (size_t)w.m.n_params);
    free(a);
    free(b);
    free(anchor);
    single_close(&w);
}

/* The same bytes at any number of threads, statistics included. */
static void test_single_threads(void **state)
{
    single_world one, three;
    vl_pool *pool = NULL;
    vl_err e = {0};

    (void)state;
    assert_int_equal(vl_pool_new(3, &pool, &e), VL_OK);
    single_open(&one, NULL);
    single_open(&three, pool);
    assert_memory_equal(one.stats.sum_xy, three.stats.sum_xy, S_F * S_K * sizeof(double));
    for (size_t i = 0; i < sizeof single_cases / sizeof *single_cases; i++) {
        const struct single_case *c = &single_cases[i];
        vld_single_loss *l = single_loss(&one, c, NULL), *k = single_loss(&three, c, pool);
        vld_single_out a = single_run(&one, c, l), b = single_run(&three, c, k);
        assert_memory_equal(&a.loss, &b.loss, sizeof a.loss);
        assert_memory_equal(one.gx, three.gx, S_N * S_F * sizeof(vl_real));
        assert_memory_equal(one.gy, three.gy, S_N * S_K * sizeof(vl_real));
        vld_single_loss_free(l);
        vld_single_loss_free(k);
    }
    single_close(&one);
    single_close(&three);
    vl_pool_free(pool);
}

static const struct CMUnitTest single_tests[] = {cmocka_unit_test(test_single_losses),
                                                 cmocka_unit_test(test_single_merge),
                                                 cmocka_unit_test(test_single_threads)};

#endif
