/* SPDX-License-Identifier: MIT
 * unroll_forms.h -- the low-rank form of the unroll against the dense one, for every objective: t64_forms.c in
 * double, t_forms.c in float, each with its bound FORMS_BOUND on max |difference| / max |gradient|. */
#ifndef VL_TESTS_UNROLL_FORMS_H
#define VL_TESTS_UNROLL_FORMS_H

#include "distill/unroll.h"
#include "pipeline/rng.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { F_IMAGE = 45, F_TEXT = 37, F_EMBED = 70, F_N = 17, F_SEED = 11, F_ITER = 2 };

static const struct form_case {
    const char *name, *spec;
    int steps, warm_max, warm;
    size_t batch;
    vlm_objective o;
    bool merged;
    vld_gradient kind;
} form_cases[] = {
    {"repblend", "heads:45", 8, 0, 0, 5, {VLM_WBCE, VLM_SIM_LOWRANK, 3, 2, 1}, false, VLD_EXACT},
    {"repblend, tesla", "heads:45", 8, 0, 0, 5, {VLM_WBCE, VLM_SIM_LOWRANK, 3, 2, 1}, false, VLD_TESLA},
    {"infonce", "heads:45,dropout=0", 6, 0, 0, 4, {.loss = VLM_INFONCE}, false, VLD_EXACT},
    {"infonce, blend", "heads:45", 5, 0, 0, 8, {.loss = VLM_INFONCE, .blend = 0.5}, true, VLD_EXACT},
    {"bce, full", "heads:45", 7, 0, 0, 3, {VLM_BCE, VLM_SIM_FULL, 0, 0, 0}, false, VLD_EXACT},
    {"ence, lowrank", "heads:45", 4, 0, 0, 17, {VLM_ENCE, VLM_SIM_LOWRANK, 2, 1, 1}, true, VLD_EXACT},
    {"wbce without similarity", "heads:45", 3, 0, 0, 12, {.loss = VLM_WBCE}, false, VLD_EXACT},
    {"one step", "heads:45", 1, 0, 0, 5, {.loss = VLM_INFONCE, .blend = 1}, false, VLD_EXACT},
    {"warm-up of one step", "heads:45", 4, 6, 1, 5, {.loss = VLM_INFONCE, .blend = 1}, false, VLD_EXACT},
    {"warm-up of three folds", "heads:45", 3, 9, 8, 5, {VLM_WBCE, VLM_SIM_LOWRANK, 3, 2, 1}, true, VLD_EXACT},
    {"warm-up, tesla", "heads:45", 3, 6, 6, 5, {VLM_WBCE, VLM_SIM_LOWRANK, 3, 2, 1}, false, VLD_TESLA},
    {"warm-up, none this time", "heads:45", 3, 6, 0, 5, {.loss = VLM_INFONCE}, false, VLD_EXACT},
};
enum { N_FORM_CASES = sizeof form_cases / sizeof *form_cases };

typedef struct form_world {
    vlm_model m;
    vld_set set;
    vl_real *start, *target;
} form_world;

typedef struct form_run {
    vld_set grad;
    vld_unroll_result res;
} form_run;

static void form_open(const struct form_case *c, form_world *w)
{
    vl_err e = {0};

    assert_int_equal(vlm_parse_heads(c->spec, F_TEXT, F_EMBED, 4, &w->m, &e), VL_OK);
    assert_int_equal(vld_set_new_for(&w->m, &c->o, F_N, &w->set, &e), VL_OK);
    vl_rng_normal(F_SEED, 1, F_N * F_IMAGE, 1, w->set.image);
    vl_rng_normal(F_SEED, 2, F_N * F_TEXT, 1, w->set.text);
    vld_set_similarity(&c->o, F_SEED, &w->set);
    if (w->set.r)
        vl_rng_normal(F_SEED, 3, F_N * c->o.rank, 0.5, w->set.r);
    if (w->set.s)
        vl_rng_normal(F_SEED, 4, F_N * F_N, 0.4, w->set.s);
    w->set.rate[VLM_IMAGE] = 0.05;
    w->set.rate[VLM_TEXT] = 0.08;
    w->start = malloc(w->m.n * sizeof *w->start);
    w->target = malloc(w->m.n * sizeof *w->target);
    assert_true(w->start && w->target);
    vlm_init(&w->m, F_SEED, 5, w->start);
    vl_rng_normal(F_SEED, 6, w->m.n, 0.03, w->target);
    for (size_t i = 0; i < w->m.n; i++)
        w->target[i] += w->start[i];
}

static void form_close(form_world *w)
{
    vld_set_free(&w->set);
    free(w->start);
    free(w->target);
}

/* Twice, so that what an iteration leaves behind shows. */
static void form_iterate(const struct form_case *c, const form_world *w, vld_form form, vl_pool *pool,
                         bool compare, form_run *r)
{
    const vld_inner inner = {.steps = c->steps,
                             .warm_max = c->warm_max,
                             .batch = c->batch,
                             .objective = c->o,
                             .merged = c->merged,
                             .form = form};
    const vld_window at = {
        .start = w->start, .target = w->target, .warm = c->warm, .seed = F_SEED, .iter = F_ITER};
    vld_unroll *u = NULL;
    vl_err e = {0};

    assert_int_equal(vld_unroll_new(&w->m, pool, F_N, &inner, &u, &e), VL_OK);
    assert_int_equal(vld_set_new_for(&w->m, &c->o, F_N, &r->grad, &e), VL_OK);
    for (int i = 0; i < 2; i++)
        if (vld_unroll_run(u, &at, &w->set, c->kind, compare, &r->grad, &r->res, &e))
            fail_msg("%s: %s", c->name, e.text);
    vld_unroll_free(u);
}

static void form_near(const struct form_case *c, const char *what, const vl_real *got, const vl_real *want,
                      size_t n)
{
    double top = 0, worst = 0;

    for (size_t i = 0; i < n; i++) {
        double d = fabs((double)got[i] - (double)want[i]);
        top = fmax(top, fabs((double)want[i]));
        worst = d <= worst ? worst : d; /* NaN counts */
    }
    if (getenv("FORMS_PRINT"))
        print_message("%s, %s: %.2g of %.3g\n", c->name, what, worst / top, top);
    if (!(top > 0) || !(worst <= FORMS_BOUND * top))
        fail_msg("%s: %s: the forms differ by %.3g, largest value %.3g", c->name, what, worst, top);
}

static void form_pair(const struct form_case *c, const char *what, const double *got, const double *want)
{
    const vl_real a[2] = {(vl_real)got[0], (vl_real)got[1]}, b[2] = {(vl_real)want[0], (vl_real)want[1]};

    form_near(c, what, a, b, 2);
}

static void test_forms(void **state)
{
    static const char *const names[VLD_SET_PARTS] = {"images", "texts", "s", "l", "r", "w"};

    (void)state;
    for (const struct form_case *c = form_cases; c < form_cases + N_FORM_CASES; c++) {
        form_world w;
        form_run dense, low;

        form_open(c, &w);
        form_iterate(c, &w, VLD_FORM_DENSE, NULL, true, &dense);
        form_iterate(c, &w, VLD_FORM_LOWRANK, NULL, true, &low);
        for (vld_set_part part = 0; part < VLD_SET_PARTS; part++)
            if (vld_set_part_of(&dense.grad, part))
                form_near(c, names[part], vld_set_part_of(&low.grad, part),
                          vld_set_part_of(&dense.grad, part), F_N * vld_set_width(&w.m, &c->o, F_N, part));
        form_pair(c, "rates", low.grad.rate, dense.grad.rate);
        form_pair(c, "match", low.res.match, dense.res.match);
        form_pair(c, "losses", &low.res.loss_first, &dense.res.loss_first);
        form_pair(c, "cosine", (double[]){low.res.cosine, 1}, (double[]){dense.res.cosine, 1});
        vld_set_free(&dense.grad);
        vld_set_free(&low.grad);
        form_close(&w);
    }
}

/* The same bytes at any number of threads, and whether or not the other kind was computed before. */
static void test_form_threads(void **state)
{
    vl_pool *pool = NULL;
    vl_err e = {0};

    (void)state;
    assert_int_equal(vl_pool_new(3, &pool, &e), VL_OK);
    for (const struct form_case *c = form_cases; c < form_cases + N_FORM_CASES; c++) {
        form_world w;
        form_run one, three;

        form_open(c, &w);
        form_iterate(c, &w, VLD_FORM_LOWRANK, NULL, false, &one);
        form_iterate(c, &w, VLD_FORM_LOWRANK, pool, true, &three);
        for (vld_set_part part = 0; part < VLD_SET_PARTS; part++)
            if (vld_set_part_of(&one.grad, part))
                assert_memory_equal(vld_set_part_of(&one.grad, part), vld_set_part_of(&three.grad, part),
                                    F_N * vld_set_width(&w.m, &c->o, F_N, part) * sizeof(vl_real));
        assert_memory_equal(one.grad.rate, three.grad.rate, sizeof one.grad.rate);
        vld_set_free(&one.grad);
        vld_set_free(&three.grad);
        form_close(&w);
    }
    vl_pool_free(pool);
}

/* Left to itself, the form is low-rank where the steps' pairs and the set's are few against the dimensions; it keeps
 * no parameter vectors. A convnet has no such form. */
static void test_form_chosen(void **state)
{
    const struct {
        const char *spec;
        int steps;
        size_t n;
        vld_form form;
        bool low;
    } rows[] = {{"heads:45", 4, 20, VLD_FORM_AUTO, true},   {"heads:45", 14, 20, VLD_FORM_AUTO, true},
                {"heads:45", 15, 20, VLD_FORM_AUTO, false}, {"heads:45", 4, 71, VLD_FORM_AUTO, false},
                {"heads:45", 4, 20, VLD_FORM_DENSE, false}, {"heads:45", 15, 71, VLD_FORM_LOWRANK, true}};
    vlm_model m;
    vl_err e = {0};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const vld_inner inner = {.steps = rows[i].steps, .batch = 5, .form = rows[i].form};
        vld_unroll *u = NULL;
        size_t growing, all;

        assert_int_equal(vlm_parse_heads(rows[i].spec, F_TEXT, F_EMBED, 4, &m, &e), VL_OK);
        assert_int_equal(vld_unroll_new(&m, NULL, rows[i].n, &inner, &u, &e), VL_OK);
        all = vld_unroll_bytes(u, &growing);
        assert_true(all > growing);
        if ((growing == ((size_t)rows[i].steps + 1) * m.n * sizeof(vl_real)) == rows[i].low)
            fail_msg("row %zu: not the form that was wanted", i);
        vld_unroll_free(u);
    }
    const vld_inner inner = {.steps = 2, .batch = 2, .form = VLD_FORM_LOWRANK};
    vld_unroll *u = NULL;

    assert_int_equal(vlm_parse("convnet:4x2", 16, F_TEXT, F_EMBED, 4, &m, &e), VL_OK);
    assert_int_equal(vld_unroll_new(&m, NULL, 4, &inner, &u, &e), VL_EARG);
    assert_string_equal(e.text, "model 'convnet:4x2' has no heads");
}

static const struct CMUnitTest form_tests[] = {
    cmocka_unit_test(test_forms),
    cmocka_unit_test(test_form_chosen),
    cmocka_unit_test(test_form_threads),
};

#endif
