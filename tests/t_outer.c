/* SPDX-License-Identifier: MIT
 * t_outer.c -- the outer loop on a toy: what an iteration matches, how the set moves, what diverging does. */
#include "distill/outer.h"
#include "distill/perturb.h"
#include "distill/train.h"
#include "pipeline/rng.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SIZE = 16, TEXT = 10, DIM = 6, REALS = SIZE * SIZE * 3, SNAPS = 4, EXPERTS = 3 };

static vld_experts experts; /* of main */

/* n pairs that belong together: a colour, and the text rows of that colour with some noise. */
static vld_set pairs(const vlm_model *m, size_t n)
{
    vld_set s;
    vl_err e;

    if (vld_set_new(m, n, &s, &e))
        fail_msg("%s", e.text);
    vl_rng_normal(5, 0, n * REALS, 0.3, s.image);
    vl_rng_normal(5, 1, n * TEXT, 0.1, s.text);
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < REALS; k++)
            s.image[i * REALS + k] += (vl_real)((i >> k % 3 & 1) * 2.0 - 1);
        s.text[i * TEXT + i % TEXT] += 1;
    }
    s.rate[VLM_IMAGE] = s.rate[VLM_TEXT] = 0.05;
    return s;
}

static int keep_snap(void *arg, int epoch, double loss, const vl_real *theta, vl_err *e)
{
    (void)loss;
    (void)e;
    memcpy((vl_real *)arg + (size_t)epoch * experts.model.n, theta, experts.model.n * sizeof *theta);
    return VL_OK;
}

/* Experts that learn 24 such pairs, four steps between two snapshots. */
static int make_experts(void **state)
{
    vlm_model *m = &experts.model;
    vld_train_opts o = {.batch = 6, .epochs = SNAPS - 1, .rate = {0.1, 0.1}};
    vld_set s;
    vl_err e;

    (void)state;
    if (vlm_parse("convnet:4x1", SIZE, TEXT, DIM, 10, m, &e))
        fail_msg("%s", e.text);
    s = pairs(m, 24);
    experts.n = EXPERTS;
    experts.n_snaps = calloc(EXPERTS, sizeof *experts.n_snaps);
    experts.theta = calloc(EXPERTS, sizeof *experts.theta);
    for (int i = 0; i < EXPERTS; i++) {
        vl_real *theta = malloc(m->n * sizeof *theta);
        experts.n_snaps[i] = SNAPS;
        experts.theta[i] = malloc(SNAPS * m->n * sizeof *theta);
        vlm_init(m, 1, (uint64_t)i, theta);
        memcpy(experts.theta[i], theta, m->n * sizeof *theta);
        o.seed = (uint64_t)i;
        if (vld_train(m, NULL, &(vld_source){.set = &s}, &o, theta, keep_snap, experts.theta[i], &e))
            fail_msg("%s", e.text);
        free(theta);
    }
    vld_set_free(&s);
    return 0;
}

static int free_experts(void **state)
{
    (void)state;
    vld_experts_free(&experts);
    return 0;
}

static vld_outer_opts opts(void)
{
    return (vld_outer_opts){.inner = {.steps = 4, .warm_max = 3, .batch = 4},
                            .start_max = 2,
                            .expert_epochs = 2,
                            .step_image = 0.05,
                            .step_text = 0.02,
                            .step_rates = 0.05,
                            .iterations = 30,
                            .gradient = VLD_EXACT,
                            .seed = 7};
}

static vld_outer *outer(const vld_outer_opts *o, vl_pool *pool, vld_set *s)
{
    vld_outer *u = NULL;
    vl_err e;

    if (vld_outer_new(&experts, pool, o, s, &u, &e))
        fail_msg("%s", e.text);
    return u;
}

static vld_outer_report step(vld_outer *u, int k)
{
    vld_outer_report r;
    vl_err e;

    if (vld_outer_step(u, k, &r, &e))
        fail_msg("iteration %d: %s", k, e.text);
    return r;
}

/* 90 pairs have more pixels than one tile of the optimiser. */
static void pools_do_not_show(void **state)
{
    vld_outer_opts o = opts();
    vld_set first = pairs(&experts.model, 90);

    (void)state;
    for (int threads = 0; threads <= 3; threads++) {
        vld_set s = pairs(&experts.model, 90);
        vl_pool *pool = NULL;
        vl_err e;
        vld_outer *u;

        if (threads && vl_pool_new(threads, &pool, &e))
            fail_msg("%s", e.text);
        u = outer(&o, pool, threads ? &s : &first);
        for (int k = 0; k < 4; k++)
            step(u, k);
        if (threads) {
            assert_memory_equal(s.image, first.image, 90 * REALS * sizeof *s.image);
            assert_memory_equal(s.text, first.text, 90 * TEXT * sizeof *s.text);
            assert_memory_equal(s.rate, first.rate, sizeof s.rate);
        }
        vld_outer_free(u);
        vl_pool_free(pool);
        vld_set_free(&s);
    }
    vld_set_free(&first);
}

/* The stretch that the report names, run directly, has the same matches; Adam's first step is as long as its
 * step size wherever the gradient is not nothing, and goes downhill. */
static void first_step(void **state)
{
    vld_outer_opts o = opts();
    vld_window window = {.seed = o.seed};
    const vlm_model *m = &experts.model;
    vld_set s = pairs(m, 8), before = pairs(m, 8), grad;
    vld_outer *u = outer(&o, NULL, &s);
    vld_outer_report r = step(u, 0);
    vld_unroll *direct;
    vld_unroll_result want;
    size_t moved = 0;
    vl_err e;

    (void)state;
    assert_int_equal(vld_set_new(m, 8, &grad, &e), VL_OK);
    assert_int_equal(vld_unroll_new(m, NULL, 8, &o.inner, &direct, &e), VL_OK);
    window.start = experts.theta[r.expert] + (size_t)r.start * m->n;
    window.target = experts.theta[r.expert] + (size_t)(r.start + o.expert_epochs) * m->n;
    window.warm = r.warm;
    assert_int_equal(vld_unroll_run(direct, &window, &before, VLD_EXACT, false, &grad, &want, &e), VL_OK);
    assert_memory_equal(r.inner.match, want.match, sizeof want.match);
    assert_true(isnan(r.inner.cosine));
    for (size_t i = 0; i < 8 * REALS; i++) {
        if (fabs((double)grad.image[i]) < 1e-7)
            continue;
        moved++;
        assert_float_equal(s.image[i] - before.image[i], copysign(o.step_image, -grad.image[i]), 1e-3);
    }
    assert_true(moved > 4 * REALS);
    for (int b = 0; b < VLM_BRANCHES; b++)
        assert_float_equal(s.rate[b] / before.rate[b], exp(copysign(o.step_rates, -grad.rate[b])), 1e-4);
    vld_unroll_free(direct);
    vld_outer_free(u);
    vld_set_free(&grad);
    vld_set_free(&before);
    vld_set_free(&s);
}

/* Gradient of stretch number it on set s, where the report says its branches start. */
static vld_set gradient_at(const vld_outer_opts *o, const vld_outer_report *r, uint64_t it, const vld_set *s)
{
    const vlm_model *m = &experts.model;
    vld_window w = {.seed = o->seed, .iter = it, .warm = r->warm};
    vl_real *at[SNAPS]; /* start, what is between, target */
    int ahead = o->expert_epochs;
    vld_inner inner = o->inner;
    vld_unroll_result res;
    vld_unroll *direct;
    vld_set grad;
    vl_err e;

    for (int i = 0; i <= ahead; i++) {
        const vl_real *theta = experts.theta[r->expert];
        size_t image = (size_t)(r->start + i) * m->n;
        size_t text = (size_t)(r->text_start + i) * m->n;
        at[i] = malloc(m->n * sizeof **at);
        for (size_t k = 0; k < m->n; k++)
            at[i][k] = theta[(k < m->begin[VLM_TEXT] ? image : text) + k];
    }
    vld_perturb(m, NULL, o->perturb, o->seed, it, at[0]);
    w.start = at[0];
    w.target = at[ahead];
    w.between = (const vl_real *const *)at + 1;
    inner.points = o->intermediate ? ahead : 1;
    assert_int_equal(vld_set_new_for(m, &o->inner.objective, s->n, &grad, &e), VL_OK);
    assert_int_equal(vld_unroll_new(m, NULL, s->n, &inner, &direct, &e), VL_OK);
    assert_int_equal(vld_unroll_run(direct, &w, s, VLD_EXACT, false, &grad, &res, &e), VL_OK);
    vld_unroll_free(direct);
    for (int i = 0; i <= ahead; i++)
        free(at[i]);
    return grad;
}

static vld_set with_similarity(const vlm_objective *o, size_t n)
{
    vld_set plain = pairs(&experts.model, n), s;
    vl_err e;

    assert_int_equal(vld_set_new_for(&experts.model, o, n, &s, &e), VL_OK);
    memcpy(s.image, plain.image, n * REALS * sizeof *s.image);
    memcpy(s.text, plain.text, n * TEXT * sizeof *s.text);
    memcpy(s.rate, plain.rate, sizeof s.rate);
    vld_set_similarity(o, 3, &s);
    vld_set_free(&plain);
    return s;
}

static void near_all(const vl_real *got, const vl_real *start, const vl_real *a, double ca, const vl_real *b,
                     double cb, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        double move = ca * (double)a[i] + (b ? cb * (double)b[i] : 0), is = (double)got[i] - (double)start[i];
        if (fabs(is - move) > 1e-5 * fmax(1, fabs((double)start[i])) + 1e-4 * fabs(move))
            fail_msg("number %zu moved by %g, %g is expected", i, is, move);
    }
}

/* Gradient descent with momentum, twice; every part of the set moves, and rates on themselves. */
static void sgd_steps(void **state)
{
    vld_outer_opts o = opts();
    vld_set s, zero, first, one, two;
    vld_outer_report r;
    vld_outer *u;

    (void)state;
    o.inner.objective = (vlm_objective){.loss = VLM_BCE, .sim = VLM_SIM_LOWRANK, .rank = 2, .alpha = 1};
    o.optimiser = VLD_SGD;
    o.momentum = 0.5;
    o.constant = true;
    o.step_image = 3;
    o.step_text = 2;
    o.step_similarity = 0.5;
    o.step_rates = 1e-4;
    zero = with_similarity(&o.inner.objective, 8);
    first = with_similarity(&o.inner.objective, 8);
    s = with_similarity(&o.inner.objective, 8);
    u = outer(&o, NULL, &s);
    r = step(u, 0);
    one = gradient_at(&o, &r, 0, &zero);
    for (vld_set_part p = 0; p < VLD_SET_PARTS; p++) {
        size_t n = 8 * vld_set_width(&experts.model, &o.inner.objective, 8, p);
        double by = p == VLD_PART_IMAGE ? 3 : p == VLD_PART_TEXT ? 2 : 0.5;
        if (!n)
            continue;
        near_all(vld_set_part_of(&s, p), vld_set_part_of(&zero, p), vld_set_part_of(&one, p), -by, NULL, 0,
                 n);
        memcpy(vld_set_part_of(&first, p), vld_set_part_of(&s, p), n * sizeof *s.text);
    }
    memcpy(first.rate, s.rate, sizeof s.rate);
    for (int b = 0; b < VLM_BRANCHES; b++)
        assert_true(fabs(s.rate[b] - (zero.rate[b] - 1e-4 * one.rate[b])) < 1e-7 &&
                    s.rate[b] != zero.rate[b]);
    r = step(u, 1);
    two = gradient_at(&o, &r, 1, &first);
    near_all(s.text, first.text, one.text, -1, two.text, -2, 8 * TEXT);
    vld_outer_free(u);
    vld_set_free(&zero);
    vld_set_free(&first);
    vld_set_free(&s);
    vld_set_free(&one);
    vld_set_free(&two);
}

/* Snapshots on the way are aimed at, starts carry noise: one after the other, with branches that start together and
 * apart. */
static void on_the_way(void **state)
{
    (void)state;
    for (int how = 1; how < 8; how++) {
        vld_outer_opts o = opts();
        vld_set s = pairs(&experts.model, 8), before = pairs(&experts.model, 8), grad, plain;
        double apart = 0;
        vld_outer_report r;
        vld_outer *u;

        o.optimiser = VLD_SGD;
        o.constant = true;
        o.start_max = 1;
        o.step_image = 3;
        o.step_text = 2;
        o.expert_epochs = 3;
        o.intermediate = how & 1;
        o.perturb = how & 2 ? 0.2 : 0;
        o.text_start_max = how & 4 ? 1 : 0;
        u = outer(&o, NULL, &s);
        r = step(u, 0);
        grad = gradient_at(&o, &r, 0, &before);
        near_all(s.image, before.image, grad.image, -3, NULL, 0, 8 * REALS);
        near_all(s.text, before.text, grad.text, -2, NULL, 0, 8 * TEXT);
        o.intermediate = false;
        o.perturb = 0;
        plain = gradient_at(&o, &r, 0, &before);
        for (size_t i = 0; i < 8 * TEXT; i++)
            apart += fabs((double)plain.text[i] - (double)grad.text[i]) / fabs((double)grad.text[i]);
        assert_true(how == 4 ? apart == 0 : apart > 8);
        vld_outer_free(u);
        vld_set_free(&plain);
        vld_set_free(&grad);
        vld_set_free(&before);
        vld_set_free(&s);
    }
    vld_outer_opts o = opts();
    vld_set s = pairs(&experts.model, 8);
    vld_outer *u = NULL;
    vl_err e;

    o.intermediate = true;
    o.expert_epochs = 2;
    o.inner.steps = 1;
    assert_int_equal(vld_outer_new(&experts, NULL, &o, &s, &u, &e), VL_EARG);
    assert_string_equal(e.text, "2 points of 1 inner steps: 1 to all wanted, and in the dense form");
    vld_set_free(&s);
}

/* Of each tensor by its own spread; drawn from seed and number alone, whatever the threads. */
static void noise(void **state)
{
    const vlm_model *m = &experts.model;
    size_t bytes = m->n * sizeof(vl_real);
    vl_real *plain = malloc(bytes), *a = malloc(bytes), *b = malloc(bytes);
    vl_pool *pool = NULL;
    vl_err e;

    (void)state;
    assert_true(plain && a && b);
    assert_int_equal(vl_pool_new(3, &pool, &e), VL_OK);
    vlm_init(m, 4, 4, plain);
    memcpy(a, plain, bytes);
    memcpy(b, plain, bytes);
    vld_perturb(m, NULL, 0, 1, 2, a);
    assert_memory_equal(a, plain, bytes);
    vld_perturb(m, NULL, 0.3, 1, 2, a);
    vld_perturb(m, pool, 0.3, 1, 2, b);
    assert_memory_equal(a, b, bytes);
    for (int i = 0; i < m->n_params; i++) {
        const vlm_param *p = &m->param[i];
        double mean = 0, var = 0, moved = 0;
        for (size_t k = p->offset; k < p->offset + p->n; k++)
            mean += (double)plain[k] / (double)p->n;
        for (size_t k = p->offset; k < p->offset + p->n; k++) {
            var += pow((double)plain[k] - mean, 2) / (double)p->n;
            moved += pow((double)a[k] - (double)plain[k], 2) / (double)p->n;
        }
        if (p->sd > 0) /* within five standard deviations of such an estimate */
            assert_true(fabs(sqrt(moved / var) / 0.3 - 1) < 5 / sqrt(2.0 * (double)p->n));
        else
            assert_true(moved == 0);
    }
    memcpy(b, plain, bytes);
    vld_perturb(m, NULL, 0.3, 1, 3, b);
    assert_memory_not_equal(a, b, bytes);
    vl_pool_free(pool);
    free(plain);
    free(a);
    free(b);
}

/* A gradient that is too long is shortened; rates stay between their bounds. */
static void clipped(void **state)
{
    vld_outer_opts o = opts();
    vld_set s = pairs(&experts.model, 8), before = pairs(&experts.model, 8);
    double moved = 0;
    vld_outer *u;

    (void)state;
    o.optimiser = VLD_SGD;
    o.clip = 1e-4;
    o.step_rates = 1e6;
    o.rate_min = 0.01;
    o.rate_max = 0.07;
    u = outer(&o, NULL, &s);
    step(u, 0);
    for (size_t i = 0; i < 8 * TEXT; i++)
        moved += pow((double)s.text[i] - (double)before.text[i], 2);
    assert_true(fabs(sqrt(moved) / (0.02 * 1e-4) - 1) < 0.05);
    for (int b = 0; b < VLM_BRANCHES; b++)
        assert_true(s.rate[b] == 0.01 || s.rate[b] == 0.07);
    vld_outer_free(u);
    vld_set_free(&before);
    vld_set_free(&s);
}

/* Branches that start apart, and a committee of two: the mean of the stretches' gradients. */
static void committee(void **state)
{
    vld_outer_opts o = opts(), alone;
    vld_set s = pairs(&experts.model, 8), other = pairs(&experts.model, 8), before = pairs(&experts.model, 8);
    vld_set grad[2];
    vld_outer *u, *v;
    int apart = 0;

    (void)state;
    o.optimiser = VLD_SGD;
    o.text_start_max = 2;
    alone = o;
    o.committee = 2;
    u = outer(&o, NULL, &s);
    step(u, 0);
    alone.step_image = alone.step_text = alone.step_rates = 0;
    v = outer(&alone, NULL, &other);
    for (int i = 0; i < 2; i++) {
        vld_outer_report r = step(v, i);
        grad[i] = gradient_at(&alone, &r, (uint64_t)i, &before);
    }
    near_all(s.image, before.image, grad[0].image, -0.025, grad[1].image, -0.025, 8 * REALS);
    near_all(s.text, before.text, grad[0].text, -0.01, grad[1].text, -0.01, 8 * TEXT);
    for (int k = 2; k < 12; k++) {
        vld_outer_report r = step(v, k);
        apart += r.start != r.text_start;
    }
    assert_true(apart > 0 && apart < 10);
    vld_outer_free(u);
    vld_outer_free(v);
    vld_set_free(&grad[0]);
    vld_set_free(&grad[1]);
    vld_set_free(&s);
    vld_set_free(&other);
    vld_set_free(&before);
}

static void all_experts_and_starts(void **state)
{
    vld_outer_opts o = opts();
    vld_set s = pairs(&experts.model, 8);
    vld_outer *u = outer(&o, NULL, &s);
    unsigned seen_expert = 0, seen_start = 0, seen_warm = 0;

    (void)state;
    for (int k = 0; k < o.iterations; k++) {
        vld_outer_report r = step(u, k);
        seen_expert |= 1u << r.expert;
        seen_start |= 1u << r.start;
        seen_warm |= 1u << r.warm;
    }
    assert_int_equal(seen_expert, (1 << EXPERTS) - 1);
    assert_int_equal(seen_start, 3);
    assert_int_equal(seen_warm, 15);
    vld_outer_free(u);
    vld_set_free(&s);
}

/* One stretch of one expert, the whole set in every step: nothing is left to chance. */
static void match_falls(void **state)
{
    static const vld_gradient kinds[] = {VLD_EXACT, VLD_TESLA};
    vld_experts one = experts;

    (void)state;
    one.n = 1;
    for (size_t g = 0; g < 2; g++) {
        vld_outer_opts o = opts();
        vld_set s = pairs(&experts.model, 8);
        double early = 0, late = 0;
        vld_outer *u;
        vl_err e;

        o.gradient = kinds[g];
        o.start_max = 1;
        o.inner.batch = 8;
        if (vld_outer_new(&one, NULL, &o, &s, &u, &e))
            fail_msg("%s", e.text);
        for (int k = 0; k < o.iterations; k++) {
            vld_outer_report r = step(u, k);
            double match = r.inner.match[VLM_IMAGE] + r.inner.match[VLM_TEXT];

            assert_false(r.diverged);
            if (k < 3)
                early += match / 3;
            if (k >= 27)
                late += match / 3;
        }
        if (!(late < 0.9 * early))
            fail_msg("match went from %g to %g", early, late);
        vld_outer_free(u);
        vld_set_free(&s);
    }
}

static void cosine_when_asked(void **state)
{
    vld_outer_opts o = opts();

    (void)state;
    o.log_cosine = 2;
    for (int steps = 1; steps <= 8; steps += 7) {
        vld_set s = pairs(&experts.model, 8);
        vld_outer *u;

        o.inner.steps = steps;
        s.rate[VLM_IMAGE] = s.rate[VLM_TEXT] = 0.3;
        u = outer(&o, NULL, &s);
        for (int k = 0; k < 4; k++) {
            double c = step(u, k).inner.cosine;
            if (k % 2)
                assert_true(isnan(c));
            else if (steps == 1) /* one step has no Hessian term */
                assert_float_equal(c, 1, 1e-6);
            else
                assert_true(c > -1 && c < 0.9999);
        }
        vld_outer_free(u);
        vld_set_free(&s);
    }
}

static void diverging(void **state)
{
    vld_outer_opts o = opts();
    vld_set s = pairs(&experts.model, 8), before = pairs(&experts.model, 8);
    vld_outer *u = outer(&o, NULL, &s);
    vld_outer_report r;
    vl_err e;
    int k = 0;

    (void)state;
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < VLD_MAX_DIVERGED; i++, k++) {
            s.rate[VLM_IMAGE] = s.rate[VLM_TEXT] = 1e30;
            assert_true(step(u, k).diverged);
            assert_float_equal(s.rate[VLM_IMAGE] / 1e30, 0.8, 1e-6);
            assert_float_equal(s.rate[VLM_TEXT] / 1e30, 0.8, 1e-6);
        }
        if (round == 0) {
            assert_memory_equal(s.image, before.image, 8 * REALS * sizeof *s.image);
            assert_memory_equal(s.text, before.text, 8 * TEXT * sizeof *s.text);
            s.rate[VLM_IMAGE] = s.rate[VLM_TEXT] = 0.05; /* a sound one between them: the count starts anew */
            assert_false(step(u, k++).diverged);
        }
    }
    s.rate[VLM_IMAGE] = s.rate[VLM_TEXT] = 1e30;
    assert_int_equal(vld_outer_step(u, k, &r, &e), VL_EMATH);
    if (strncmp(e.text, "21 iterations diverged in a row: iteration 41: ", 47))
        fail_msg("%s", e.text);
    vld_outer_free(u);
    vld_set_free(&before);
    vld_set_free(&s);
}

/* A gradient that is finite, but whose square is not in float, would stop the optimiser for ever. */
static void huge_gradient(void **state)
{
    vld_outer_opts o = opts();
    vld_set s = pairs(&experts.model, 8);
    const vld_experts near = {.model = experts.model,
                              .n = 1,
                              .n_snaps = (int[]){2},
                              .theta = (vl_real *[]){malloc(2 * experts.model.n * sizeof(vl_real))}};
    vld_outer *u = NULL;
    vld_outer_report r;
    vl_err e;

    (void)state;
    for (size_t i = 0; i < near.model.n; i++) {
        near.theta[0][i] = near.theta[0][near.model.n + i] = experts.theta[0][i];
        if (i == 0 || i == near.model.begin[VLM_TEXT])
            near.theta[0][i] = (vl_real)1e-18, near.theta[0][near.model.n + i] = 0;
    }
    o.start_max = o.expert_epochs = 1;
    if (vld_outer_new(&near, NULL, &o, &s, &u, &e))
        fail_msg("%s", e.text);
    assert_int_equal(vld_outer_step(u, 0, &r, &e), VL_OK);
    assert_true(r.diverged);
    vld_outer_free(u);
    free(near.theta[0]);
    vld_set_free(&s);
}

static void rates_stay_positive(void **state)
{
    static const double steps[] = {0.5, 1000};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        vld_outer_opts o = opts();
        vld_set s = pairs(&experts.model, 8);
        vld_outer_report r;
        vl_err e;
        vld_outer *u;

        o.step_rates = steps[i];
        u = outer(&o, NULL, &s);
        for (int k = 0; k < o.iterations; k++) {
            int rc = vld_outer_step(u, k, &r, &e);
            assert_true(rc == VL_OK || rc == VL_EMATH);
            for (int b = 0; b < VLM_BRANCHES; b++)
                assert_true(s.rate[b] >= VLD_RATE_MIN && s.rate[b] <= VLD_RATE_MAX);
            if (rc)
                break;
        }
        vld_outer_free(u);
        vld_set_free(&s);
    }
}

static void refuse(const vld_outer_opts *o, const vld_experts *x, const char *text)
{
    vld_set s = pairs(&experts.model, 8);
    vld_outer *u = NULL;
    vl_err e = {0};

    assert_int_equal(vld_outer_new(x, NULL, o, &s, &u, &e), VL_EARG);
    if (strcmp(e.text, text))
        fail_msg("'%s' where '%s' is expected", e.text, text);
    assert_null(u);
    vld_set_free(&s);
}

static void refused(void **state)
{
    vld_outer_opts o = opts();
    int fewer[] = {SNAPS, SNAPS - 1, SNAPS};
    vld_experts x = experts;

    (void)state;
    x.n_snaps = fewer;
    refuse(&o, &x, "expert 1 has 3 snapshots; 2 starts and 2 epochs ahead need 4");
    x.n = 0;
    refuse(&o, &x, "no expert to match");
    o.start_max = 0;
    refuse(&o, &experts, "starts, expert epochs and iterations: at least 1 of each wanted");
    o = opts();
    o.inner.batch = 9;
    refuse(&o, &experts, "4 inner steps of 9 pairs out of 8: 1..4096 steps, 2..n pairs wanted");
    o = opts();
    o.start_max = 3; /* the last start would aim behind the end */
    refuse(&o, &experts, "expert 0 has 4 snapshots; 3 starts and 2 epochs ahead need 5");
    o = opts();
    o.inner.objective = (vlm_objective){.loss = VLM_ENCE, .sim = VLM_SIM_FULL};
    refuse(&o, &experts, "the set lacks the similarity that its objective has");
    vld_outer_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pools_do_not_show),
        cmocka_unit_test(first_step),
        cmocka_unit_test(sgd_steps),
        cmocka_unit_test(on_the_way),
        cmocka_unit_test(noise),
        cmocka_unit_test(clipped),
        cmocka_unit_test(committee),
        cmocka_unit_test(all_experts_and_starts),
        cmocka_unit_test(match_falls),
        cmocka_unit_test(cosine_when_asked),
        cmocka_unit_test(diverging),
        cmocka_unit_test(huge_gradient),
        cmocka_unit_test(rates_stay_positive),
        cmocka_unit_test(refused),
    };

    return cmocka_run_group_tests(tests, make_experts, free_experts);
}
