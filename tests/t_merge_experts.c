/* SPDX-License-Identifier: MIT
 * t_merge_experts.c -- what a merged teacher must be where its two ways agree, are orthogonal, or part; and that it
 * is the formula of merge_experts.h tensor by tensor. */
#include "distill/merge_experts.h"
#include "pipeline/rng.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

typedef struct world {
    vlm_model m;
    vl_real *a, *b, *anchor, *out;
    double t[VLM_MAX_PARAMS];
} world;

static void make(world *w, bool heads)
{
    vl_err e;

    memset(w, 0, sizeof *w);
    if (heads) /* tensors of more than one block */
        assert_int_equal(vlm_parse_heads("heads:300", 40, 300, 5, &w->m, &e), VL_OK);
    else
        assert_int_equal(vlm_parse("convnet:8x2", 16, 10, 6, 5, &w->m, &e), VL_OK);
    w->a = test_calloc(w->m.n, sizeof *w->a);
    w->b = test_calloc(w->m.n, sizeof *w->b);
    w->anchor = test_calloc(w->m.n, sizeof *w->anchor);
    w->out = test_calloc(w->m.n, sizeof *w->out);
    vl_rng_normal(1, 1, w->m.n, 1, w->a);
    vl_rng_normal(1, 2, w->m.n, 1, w->b);
    vl_rng_normal(1, 3, w->m.n, 1, w->anchor);
}

static void unmake(world *w)
{
    test_free(w->a);
    test_free(w->b);
    test_free(w->anchor);
    test_free(w->out);
}

static void merge(world *w, vl_pool *pool, double alpha)
{
    vl_err e;

    assert_int_equal(vld_merge_experts(&w->m, pool, w->a, w->b, w->anchor, alpha, w->out, w->t, &e), VL_OK);
}

static void formula(void **state)
{
    (void)state;
    for (int heads = 0; heads < 2; heads++) {
        world w;
        make(&w, heads);
        for (size_t i = 0; i < w.m.n; i++) /* ways with something in common, in some tensors */
            w.b[i] += w.a[i] - w.anchor[i];
        merge(&w, NULL, 0.3);
        for (int p = 0; p < w.m.n_params; p++) {
            const vlm_param *q = &w.m.param[p];
            double aa = 0, bb = 0, ab = 0, c;
            for (size_t i = q->offset; i < q->offset + q->n; i++) {
                double x = (double)w.a[i] - (double)w.anchor[i], y = (double)w.b[i] - (double)w.anchor[i];
                aa += x * x;
                bb += y * y;
                ab += x * y;
            }
            c = ab > 0 ? ab / sqrt(aa * bb) : 0;
            assert_true(fabs(w.t[p] - 2 * c / (1 + c)) < 1e-12);
            for (size_t i = q->offset; i < q->offset + q->n; i++) {
                double o = (double)w.anchor[i];
                double want = o + w.t[p] * (0.7 * ((double)w.a[i] - o) + 0.3 * ((double)w.b[i] - o));
                assert_true(fabs((double)w.out[i] - want) < 1e-5);
            }
        }
        unmake(&w);
    }
}

static void limits(void **state)
{
    world w;
    vl_err e;

    (void)state;
    make(&w, false);
    memcpy(w.b, w.a, w.m.n * sizeof *w.b); /* the same: itself, whatever alpha */
    merge(&w, NULL, 0.5);
    for (size_t i = 0; i < w.m.n; i++)
        assert_true(fabs((double)(w.out[i] - w.a[i])) < 1e-6);
    for (size_t i = 0; i < w.m.n; i++) /* apart: the anchor */
        w.b[i] = 2 * w.anchor[i] - w.a[i];
    merge(&w, NULL, 0.5);
    for (size_t i = 0; i < w.m.n; i++)
        assert_true(w.out[i] == w.anchor[i]);
    for (size_t i = 0; i < w.m.n; i++) { /* orthogonal: the anchor, too */
        bool even = i % 2;
        w.a[i] = w.anchor[i] + (even ? VL_R(0.5) : 0);
        w.b[i] = w.anchor[i] + (even ? 0 : VL_R(0.25));
    }
    merge(&w, NULL, 0.5);
    for (size_t i = 0; i < w.m.n; i++)
        assert_true(w.out[i] == w.anchor[i]);
    memcpy(w.a, w.anchor, w.m.n * sizeof *w.a); /* one did not move */
    merge(&w, NULL, 0.25);
    for (int p = 0; p < w.m.n_params; p++)
        assert_true(w.t[p] == 1);
    for (size_t i = 0; i < w.m.n; i++)
        assert_true(fabs((double)w.out[i] - (0.75 * (double)w.anchor[i] + 0.25 * (double)w.b[i])) < 1e-6);
    assert_int_equal(vld_merge_experts(&w.m, NULL, w.a, w.b, w.anchor, 1.1, w.out, NULL, &e), VL_EARG);
    assert_int_equal(vld_merge_experts(&w.m, NULL, w.a, w.b, w.anchor, -0.1, w.out, NULL, &e), VL_EARG);
    assert_int_equal(vld_merge_experts(&w.m, NULL, w.a, w.b, w.anchor, NAN, w.out, NULL, &e), VL_EARG);
    unmake(&w);
}

static void in_place_and_threads(void **state)
{
    vl_pool *pool = NULL;
    world w;
    vl_err e;

    (void)state;
    make(&w, true);
    assert_int_equal(vl_pool_new(3, &pool, &e), VL_OK);
    merge(&w, NULL, 0.5);
    assert_int_equal(vld_merge_experts(&w.m, pool, w.a, w.b, w.anchor, 0.5, w.anchor, NULL, &e), VL_OK);
    assert_memory_equal(w.out, w.anchor, w.m.n * sizeof *w.out);
    vl_pool_free(pool);
    unmake(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(formula), cmocka_unit_test(limits),
                                       cmocka_unit_test(in_place_and_threads)};

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
