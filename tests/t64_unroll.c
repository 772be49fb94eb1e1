/* SPDX-License-Identifier: MIT
 * t64_unroll.c -- the adjoint of T inner steps against central differences, in double. */
#include "distill/unroll.h"
#include "pipeline/rng.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

typedef struct world {
    vlm_model m;
    vld_unroll *u;
    vld_set set, grad, other;
    vl_real *start, *target;
    uint64_t iter;
    int warm;
} world;

static const struct {
    const char *name;
    int steps;
    size_t n, batch;
    vl_augment aug;
    double rate[2];
} cases[] = {
    {"T1", 1, 4, 4, {false, 0}, {0.05, 0.1}},
    {"T8", 8, 8, 4, {false, 0}, {0.05, 0.1}},
    {"T8 augmented, remainder", 8, 7, 3, {true, 2}, {0.1, 0.05}},
    {"T5 batch of two", 5, 6, 2, {true, 1}, {0.02, 0.2}},
    {"one pass", 8, 32, 4, {true, 1}, {0.05, 0.1}},
};
enum { SEED = 5, WARM = 3, ONE_PASS = 4 };

/* The row's steps, so many of them as warm-up. */
static void make(world *w, size_t row, int warm)
{
    vl_err e;
    vl_pool *pool = NULL;

    memset(w, 0, sizeof *w);
    assert_int_equal(vlm_parse("convnet:4x2", 16, 10, 6, 10.0, &w->m, &e), VL_OK);
    const vld_inner inner = {cases[row].steps - warm, warm, cases[row].batch, cases[row].aug};

    assert_int_equal(vld_unroll_new(&w->m, pool, cases[row].n, &inner, &w->u, &e), VL_OK);
    assert_int_equal(vld_set_new(&w->m, cases[row].n, &w->set, &e), VL_OK);
    assert_int_equal(vld_set_new(&w->m, cases[row].n, &w->grad, &e), VL_OK);
    assert_int_equal(vld_set_new(&w->m, cases[row].n, &w->other, &e), VL_OK);
    w->start = malloc(w->m.n * sizeof(vl_real));
    w->target = malloc(w->m.n * sizeof(vl_real));
    vlm_init(&w->m, 7, 1, w->start);
    vl_rng_normal(7, 2, w->m.n, 0.1, w->target);
    for (size_t k = 0; k < w->m.n; k++)
        w->target[k] += w->start[k];
    vl_rng_normal(7, 3, w->set.n * 16 * 16 * 3, 1, w->set.pixels);
    vl_rng_normal(7, 4, w->set.n * 10, 0.3, w->set.text);
    memcpy(w->set.rate, cases[row].rate, sizeof w->set.rate);
    w->iter = row;
    w->warm = warm;
}

static void unmake(world *w)
{
    vld_unroll_free(w->u);
    vld_set_free(&w->set);
    vld_set_free(&w->grad);
    vld_set_free(&w->other);
    free(w->start);
    free(w->target);
}

static vld_window window(const world *w)
{
    return (vld_window){w->start, w->target, w->warm, SEED, w->iter};
}

static double run(world *w, vld_set *grad, vld_gradient kind, vld_unroll_result *res)
{
    vld_window at = window(w);
    vl_err e;

    assert_int_equal(vld_unroll_run(w->u, &at, &w->set, kind, false, grad, res, &e), VL_OK);
    return res->match[0] + res->match[1];
}

static double difference(world *w, double *at, double h)
{
    vld_unroll_result res;
    double keep = *at, up, down;

    *at = keep + h;
    up = run(w, &w->other, VLD_EXACT, &res);
    *at = keep - h;
    down = run(w, &w->other, VLD_EXACT, &res);
    *at = keep;
    return (up - down) / (2 * h);
}

static void check(world *w, double *at, const double *grad, size_t n, size_t stride, const char *what,
                  const char *name)
{
    double worst = 0, top = 0;

    for (size_t i = 0; i < n; i++)
        top = fabs(grad[i]) > top ? fabs(grad[i]) : top;
    assert_true(top > 0);
    for (size_t i = 0; i < n; i += stride) {
        double d = fabs(difference(w, &at[i], 1e-5) - grad[i]);
        worst = d > worst ? d : worst;
    }
    print_message("%s: %s: max |difference| / max |gradient| = %.2g\n", name, what, worst / top);
    assert_true(worst <= 1e-6 * top);
}

static void test_exact(void **state)
{
    (void)state;
    for (size_t row = 0; row < sizeof cases / sizeof *cases; row++) {
        world w;
        vld_unroll_result res;

        make(&w, row, 0);
        run(&w, &w.grad, VLD_EXACT, &res);
        check(&w, w.set.pixels, w.grad.pixels, w.set.n * 768, 53, "pixels", cases[row].name);
        check(&w, w.set.text, w.grad.text, w.set.n * 10, 3, "texts", cases[row].name);
        check(&w, w.set.rate, w.grad.rate, 2, 1, "rates", cases[row].name);
        unmake(&w);
    }
}

/* Tesla equals exact for one step, differs for more; the printed cosine is theirs. */
static void test_tesla(void **state)
{
    (void)state;
    for (size_t row = 0; row < 2; row++) {
        world w;
        vl_err e;
        vld_unroll_result res;
        double ab = 0, aa = 0, bb = 0;

        make(&w, row, 0);
        run(&w, &w.other, VLD_TESLA, &res);
        assert_true(isnan(res.cosine));
        vld_window at = window(&w);
        assert_int_equal(vld_unroll_run(w.u, &at, &w.set, VLD_EXACT, true, &w.grad, &res, &e), VL_OK);
        for (size_t i = 0; i < w.set.n * 768; i++) {
            ab += w.grad.pixels[i] * w.other.pixels[i];
            aa += w.grad.pixels[i] * w.grad.pixels[i];
            bb += w.other.pixels[i] * w.other.pixels[i];
        }
        for (size_t i = 0; i < w.set.n * 10; i++) {
            ab += w.grad.text[i] * w.other.text[i];
            aa += w.grad.text[i] * w.grad.text[i];
            bb += w.other.text[i] * w.other.text[i];
        }
        assert_true(fabs(res.cosine - ab / sqrt(aa * bb)) < 1e-12);
        if (cases[row].steps == 1)
            assert_true(fabs(res.cosine - 1) < 1e-12);
        else
            assert_true(res.cosine < 0.9999);
        unmake(&w);
    }
}

/* Within one pass every step has rows of its own, so the gradient of a window of T steps behind warm-up is
 * that of all steps on the rows of the window, and nothing on those of the warm-up. */
static void test_warm(void **state)
{
    size_t n = cases[ONE_PASS].n, batch = cases[ONE_PASS].batch;
    uint32_t order[32], rows[32];
    vld_unroll_result all_res, res;
    vld_set all;
    world w;
    vl_err e;

    (void)state;
    assert_int_equal(n, cases[ONE_PASS].batch * (size_t)cases[ONE_PASS].steps);
    make(&w, ONE_PASS, 0);
    run(&w, &w.grad, VLD_EXACT, &all_res);
    all = w.grad;
    memset(&w.grad, 0, sizeof w.grad);
    unmake(&w);
    make(&w, ONE_PASS, WARM);
    run(&w, &w.grad, VLD_EXACT, &res);
    assert_memory_equal(res.match, all_res.match, sizeof res.match);
    assert_true(res.loss_first != all_res.loss_first && res.loss_last == all_res.loss_last);
    vld_batch_rows(n, batch, SEED, w.iter, cases[ONE_PASS].steps, order, rows);
    for (size_t i = 0; i < n; i++) {
        const vl_real *x = w.grad.pixels + rows[i] * 768, *y = w.grad.text + rows[i] * 10;
        if (i < WARM * batch)
            for (size_t k = 0; k < 768; k++)
                assert_true(x[k] == 0 && y[k % 10] == 0);
        else {
            assert_memory_equal(x, all.pixels + rows[i] * 768, 768 * sizeof *x);
            assert_memory_equal(y, all.text + rows[i] * 10, 10 * sizeof *y);
            assert_true(y[0] != 0);
        }
    }
    w.warm = WARM + 1;
    assert_int_equal(vld_unroll_run(w.u, &(vld_window){w.start, w.target, w.warm, SEED, 0}, &w.set, VLD_EXACT,
                                    false, &w.grad, &res, &e),
                     VL_EARG);
    vld_set_free(&all);
    unmake(&w);
}

static void test_diverged(void **state)
{
    vld_window at;
    world w;
    vld_unroll_result res;
    vl_err e;

    (void)state;
    make(&w, 1, 0);
    w.set.rate[0] = 1e200;
    at = window(&w);
    assert_int_equal(vld_unroll_run(w.u, &at, &w.set, VLD_EXACT, false, &w.grad, &res, &e), VL_EMATH);
    assert_non_null(strstr(e.text, "diverged"));
    unmake(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_exact), cmocka_unit_test(test_tesla),
                                       cmocka_unit_test(test_warm), cmocka_unit_test(test_diverged)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
