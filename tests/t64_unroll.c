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

enum { POINTS = 4 }; /* the most */

typedef struct world {
    vlm_model m;
    vld_inner inner;
    vld_unroll *u;
    vld_set set, grad, other;
    vl_real *start, *target, *way; /* way: [POINTS - 1][m.n], targets on the way */
    const vl_real *between[POINTS - 1];
    uint64_t iter;
    int warm;
} world;

static const struct {
    const char *name;
    int steps;
    size_t n, batch;
    vl_augment aug;
    double rate[2];
    bool heads, merged;
    vlm_objective objective;
    int points;
} cases[] = {
    {.name = "T1", .steps = 1, .n = 4, .batch = 4, .rate = {0.05, 0.1}},
    {.name = "T8", .steps = 8, .n = 8, .batch = 4, .rate = {0.05, 0.1}},
    {.name = "T8 augmented, remainder",
     .steps = 8,
     .n = 7,
     .batch = 3,
     .aug = {.flip = true, .shift = 2},
     .rate = {0.1, 0.05}},
    {.name = "T5 batch of two",
     .steps = 5,
     .n = 6,
     .batch = 2,
     .aug = {.flip = true, .shift = 1},
     .rate = {0.02, 0.2}},
    {.name = "one pass",
     .steps = 8,
     .n = 32,
     .batch = 4,
     .aug = {.flip = true, .shift = 1},
     .rate = {0.05, 0.1}},
    {.name = "merged", .steps = 3, .n = 6, .batch = 4, .rate = {0.05, 0.1}, .merged = true},
    {.name = "convnet, full similarity",
     .steps = 4,
     .n = 7,
     .batch = 3,
     .aug = {.flip = true, .shift = 1},
     .rate = {0.05, 0.1},
     .objective = {VLM_ENCE, VLM_SIM_FULL, 0, 0, 0.7}},
    {.name = "heads", .steps = 6, .n = 7, .batch = 3, .rate = {0.05, 0.1}, .heads = true},
    {.name = "heads, low rank, blended",
     .steps = 6,
     .n = 7,
     .batch = 3,
     .rate = {0.05, 0.1},
     .heads = true,
     .merged = true,
     .objective = {VLM_BCE, VLM_SIM_LOWRANK, 2, 1.5, 1}},
    {.name = "every view",
     .steps = 5,
     .n = 7,
     .batch = 3,
     .aug = {.flip = true, .shift = 1, .crop = 40, .cutout = 40, .colour = true},
     .rate = {0.1, 0.05}},
    {.name = "three points", .steps = 8, .n = 7, .batch = 3, .rate = {0.05, 0.1}, .points = 3},
    {.name = "heads, a point a step, merged",
     .steps = 4,
     .n = 7,
     .batch = 3,
     .rate = {0.05, 0.1},
     .heads = true,
     .merged = true,
     .objective = {VLM_BCE, VLM_SIM_LOWRANK, 2, 1.5, 1},
     .points = 4},
};
enum { SEED = 5, WARM = 3, ONE_PASS = 4, HEADS = 7, THREE_POINTS = 10 };

static size_t width_of(const world *w, vld_set_part p)
{
    return vld_set_width(&w->m, &w->inner.objective, w->set.n, p);
}

/* The row's steps, so many of them as warm-up. */
static void make(world *w, size_t row, int warm)
{
    vl_err e;
    vl_pool *pool = NULL;

    memset(w, 0, sizeof *w);
    if (cases[row].heads)
        assert_int_equal(vlm_parse_heads("heads:12", 10, 6, 10.0, &w->m, &e), VL_OK);
    else
        assert_int_equal(vlm_parse("convnet:4x2", 16, 10, 6, 10.0, &w->m, &e), VL_OK);
    w->inner = (vld_inner){.steps = cases[row].steps - warm,
                           .warm_max = warm,
                           .batch = cases[row].batch,
                           .aug = cases[row].aug,
                           .objective = cases[row].objective,
                           .merged = cases[row].merged,
                           .points = cases[row].points};

    assert_int_equal(vld_unroll_new(&w->m, pool, cases[row].n, &w->inner, &w->u, &e), VL_OK);
    assert_int_equal(vld_set_new_for(&w->m, &w->inner.objective, cases[row].n, &w->set, &e), VL_OK);
    assert_int_equal(vld_set_new_for(&w->m, &w->inner.objective, cases[row].n, &w->grad, &e), VL_OK);
    assert_int_equal(vld_set_new_for(&w->m, &w->inner.objective, cases[row].n, &w->other, &e), VL_OK);
    w->start = malloc(w->m.n * sizeof(vl_real));
    w->target = malloc(w->m.n * sizeof(vl_real));
    vlm_init(&w->m, 7, 1, w->start);
    vl_rng_normal(7, 2, w->m.n, 0.1, w->target);
    for (size_t k = 0; k < w->m.n; k++)
        w->target[k] += w->start[k];
    w->way = malloc((POINTS - 1) * w->m.n * sizeof(vl_real));
    vl_rng_normal(7, 12, (POINTS - 1) * w->m.n, 0.1, w->way);
    for (size_t k = 0; k < (POINTS - 1) * w->m.n; k++)
        w->way[k] += w->start[k % w->m.n];
    for (size_t k = 0; k < POINTS - 1; k++)
        w->between[k] = w->way + k * w->m.n;
    vl_rng_normal(7, 3, w->set.n * w->m.image_n, 1, w->set.image);
    vl_rng_normal(7, 4, w->set.n * 10, 0.3, w->set.text);
    for (vld_set_part p = VLD_PART_S; p < VLD_SET_PARTS; p++)
        if (width_of(w, p))
            vl_rng_normal(7, 5 + p, w->set.n * width_of(w, p), 0.5, vld_set_part_of(&w->set, p));
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
    free(w->way);
}

static vld_window window(const world *w)
{
    return (vld_window){.start = w->start,
                        .target = w->target,
                        .warm = w->warm,
                        .seed = SEED,
                        .iter = w->iter,
                        .between = w->between};
}

static double run(world *w, vld_set *grad, vld_gradient kind, vld_unroll_result *res)
{
    vld_window at = window(w);
    vl_err e;

    assert_int_equal(vld_unroll_run(w->u, &at, &w->set, kind, false, grad, res, &e), VL_OK);
    return res->match[0] + res->match[1];
}

/* Of fourth order: rates bend the objective too much for three points. */
static double difference(world *w, double *at, double h)
{
    static const double weight[] = {1, -8, 0, 8, -1};
    vld_unroll_result res;
    double keep = *at, sum = 0;

    for (int i = -2; i <= 2; i++)
        if (i) {
            *at = keep + i * h;
            sum += weight[i + 2] * run(w, &w->other, VLD_EXACT, &res);
        }
    *at = keep;
    return sum / (12 * h);
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
    assert_true(worst <= 1e-8 * top);
}

static void test_exact(void **state)
{
    static const char *const part[VLD_SET_PARTS] = {"images", "texts", "s", "l", "r", "w"};

    (void)state;
    for (size_t row = 0; row < sizeof cases / sizeof *cases; row++) {
        world w;
        vld_unroll_result res;

        make(&w, row, 0);
        run(&w, &w.grad, VLD_EXACT, &res);
        for (vld_set_part p = 0; p < VLD_SET_PARTS; p++) {
            size_t n = w.set.n * width_of(&w, p);
            if (n)
                check(&w, vld_set_part_of(&w.set, p), vld_set_part_of(&w.grad, p), n, n > 1000 ? 53 : 3,
                      part[p], cases[row].name);
        }
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
            ab += w.grad.image[i] * w.other.image[i];
            aa += w.grad.image[i] * w.grad.image[i];
            bb += w.other.image[i] * w.other.image[i];
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
        const vl_real *x = w.grad.image + rows[i] * 768, *y = w.grad.text + rows[i] * 10;
        if (i < WARM * batch)
            for (size_t k = 0; k < 768; k++)
                assert_true(x[k] == 0 && y[k % 10] == 0);
        else {
            assert_memory_equal(x, all.image + rows[i] * 768, 768 * sizeof *x);
            assert_memory_equal(y, all.text + rows[i] * 10, 10 * sizeof *y);
            assert_true(y[0] != 0);
        }
    }
    w.warm = WARM + 1;
    assert_int_equal(
        vld_unroll_run(
            w.u, &(vld_window){.start = w.start, .target = w.target, .warm = w.warm, .seed = SEED, .iter = 0},
            &w.set, VLD_EXACT, false, &w.grad, &res, &e),
        VL_EARG);
    vld_set_free(&all);
    unmake(&w);
}

/* J is a mean of matches, so its gradients, of either kind, are the means of those of each match alone: of as many
 * steps as lie before it. */
static void test_points(void **state)
{
    (void)state;
    for (size_t row = THREE_POINTS; row < sizeof cases / sizeof *cases; row++)
        for (vld_gradient kind = 0; kind < VLD_GRADIENTS; kind++) {
            int points = cases[row].points;
            double worst = 0, top = 0, match[VLM_BRANCHES] = {0};
            vld_unroll_result res, one;
            world w;

            make(&w, row, 0);
            run(&w, &w.grad, kind, &res);
            for (int k = 1; k <= points; k++) {
                const vl_real *last = w.target;
                vld_window at = window(&w);
                vl_err e;

                w.inner.steps = vld_point_step(cases[row].steps, points, k);
                w.inner.points = 1;
                at.target = k < points ? w.between[k - 1] : last;
                at.between = NULL;
                vld_unroll_free(w.u);
                assert_int_equal(vld_unroll_new(&w.m, NULL, w.set.n, &w.inner, &w.u, &e), VL_OK);
                assert_int_equal(vld_unroll_run(w.u, &at, &w.set, kind, false, &w.other, &one, &e), VL_OK);
                for (size_t i = 0; i < w.set.n * w.m.image_n; i++)
                    w.grad.image[i] -= w.other.image[i] / points;
                for (int b = 0; b < VLM_BRANCHES; b++) {
                    w.grad.rate[b] -= w.other.rate[b] / points;
                    match[b] += one.match[b] / points;
                }
            }
            assert_int_equal(w.inner.steps, cases[row].steps); /* the last point is the end */
            for (size_t i = 0; i < w.set.n * w.m.image_n; i++) {
                top = fmax(top, fabs(w.other.image[i]));
                worst = fmax(worst, fabs(w.grad.image[i]));
            }
            assert_true(top > 0 && worst < 1e-12 * top);
            for (int b = 0; b < VLM_BRANCHES; b++) {
                assert_true(fabs(w.grad.rate[b]) < 1e-11 * (1 + fabs(w.other.rate[b])));
                assert_true(fabs(match[b] - res.match[b]) < 1e-12 * match[b]);
            }
            unmake(&w);
        }
}

/* Heads that would be in the low-rank form keep their parameter vectors. */
static void test_points_are_dense(void **state)
{
    vlm_model m;
    vl_err e;

    (void)state;
    assert_int_equal(vlm_parse_heads("heads:12", 10, 40, 10.0, &m, &e), VL_OK);
    for (int points = 0; points <= 2; points++) {
        const vld_inner inner = {.steps = 4, .batch = 3, .points = points};
        vld_unroll *u = NULL;
        size_t growing;

        assert_int_equal(vld_unroll_new(&m, NULL, 7, &inner, &u, &e), VL_OK);
        vld_unroll_bytes(u, &growing);
        assert_true((growing == 5 * m.n * sizeof(vl_real)) == (points > 1));
        vld_unroll_free(u);
    }
}

static void test_point_steps(void **state)
{
    static const struct {
        int steps, points, at[8];
    } rows[] = {{8, 1, {8}}, {8, 2, {4, 8}}, {8, 3, {3, 5, 8}}, {3, 3, {1, 2, 3}}, {5, 4, {1, 3, 4, 5}}};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (int k = 1; k <= rows[i].points; k++)
            assert_int_equal(vld_point_step(rows[i].steps, rows[i].points, k), rows[i].at[k - 1]);
    for (int steps = 1; steps <= 60; steps++)
        for (int points = 1; points <= steps; points++) {
            assert_true(vld_point_step(steps, points, 1) >= 1);
            assert_int_equal(vld_point_step(steps, points, points), steps);
            for (int k = 2; k <= points; k++)
                assert_true(vld_point_step(steps, points, k) > vld_point_step(steps, points, k - 1));
        }
}

/* There are no views of features; a similarity without a loss for it is refused. */
static void test_refused(void **state)
{
    vld_unroll *u = NULL;
    world w;
    vl_err e;

    (void)state;
    make(&w, HEADS, 0);
    w.inner.aug.flip = true;
    assert_int_equal(vld_unroll_new(&w.m, NULL, 7, &w.inner, &u, &e), VL_EARG);
    assert_non_null(strstr(e.text, "views of features"));
    w.inner.aug.flip = false;
    w.inner.objective.sim = VLM_SIM_FULL;
    assert_int_equal(vld_unroll_new(&w.m, NULL, 7, &w.inner, &u, &e), VL_EARG);
    w.inner.objective.sim = cases[HEADS].objective.sim;
    for (int bad = 0; bad < 3; bad++) {
        w.inner.points = bad == 0 ? w.inner.steps + 1 : bad == 1 ? -1 : 2;
        w.inner.form = bad == 2 ? VLD_FORM_LOWRANK : VLD_FORM_AUTO;
        assert_int_equal(vld_unroll_new(&w.m, NULL, 7, &w.inner, &u, &e), VL_EARG);
        assert_non_null(strstr(e.text, "points of 6 inner steps"));
    }
    assert_null(u);
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
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_exact),
                                       cmocka_unit_test(test_tesla),
                                       cmocka_unit_test(test_warm),
                                       cmocka_unit_test(test_refused),
                                       cmocka_unit_test(test_diverged),
                                       cmocka_unit_test(test_points),
                                       cmocka_unit_test(test_points_are_dense),
                                       cmocka_unit_test(test_point_steps)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
