/* SPDX-License-Identifier: MIT
 * t64_smooth.c -- gradients of flat and smooth training in double: the penalised loss against central differences,
 * the gradient further up against one taken there, clips, and what the three are together. */
#include "distill/smooth.h"
#include "pipeline/rng.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { B = 5, S = 16, F = 9, K = 7, D = 8, MODELS = 3 };

typedef struct world {
    vlm_model m;
    vlm_graph g;
    vld_smooth smooth;
    vl_real *theta, *grad;
    double loss;
} world;

static void make(world *w, int which, const vld_smooth_opts *o)
{
    vl_err e;

    if (which == 0)
        assert_int_equal(vlm_parse("convnet:4x2", S, K, D, 6, &w->m, &e), VL_OK);
    else if (which == 1)
        assert_int_equal(vlm_parse_heads("heads:9,dropout=0.2", K, D, 6, &w->m, &e), VL_OK);
    else
        assert_int_equal(vlm_parse("vit:8x1x2/8,lora=2", S, K, D, 6, &w->m, &e), VL_OK);
    w->theta = malloc(w->m.n * sizeof *w->theta);
    w->grad = malloc(w->m.n * sizeof *w->grad);
    assert_true(w->theta && w->grad);
    vl_rng_normal(3, 1, w->m.n, 0.3, w->theta); /* factors of lora begin at zero otherwise */
    assert_int_equal(vlm_graph_new(&w->m, NULL, B, VLM_HAS_BOTH, vld_smooth_use(o), &w->g, &e), VL_OK);
    assert_int_equal(vld_smooth_new(&w->m, o, &w->smooth, &e), VL_OK);
    vlm_bind(&w->g, w->theta, w->grad, NULL, NULL);
    vl_rng_normal(3, 2, B * w->m.image_n, 1, vlt_x(w->g.tape, w->g.x));
    vl_rng_normal(3, 3, B * w->m.text_dim, 1, vlt_x(w->g.tape, w->g.y));
    vlt_draw(w->g.tape, 3, 4, 5);
}

static void unmake(world *w)
{
    vld_smooth_free(&w->smooth);
    vlm_graph_free(&w->g);
    free(w->grad);
    free(w->theta);
}

static double length(const vl_real *x, size_t n)
{
    double s = 0;

    for (size_t k = 0; k < n; k++)
        s += x[k] * x[k];
    return sqrt(s);
}

/* Loss and plain gradient at theta. */
static double sweep(world *w)
{
    vlt_forward(w->g.tape);
    vlt_backward(w->g.tape, w->g.loss);
    return vlt_x(w->g.tape, w->g.loss)[0];
}

static void gradient(world *w)
{
    w->loss = sweep(w);
    vld_smooth_gradient(&w->smooth, &w->g, w->theta, w->grad);
}

static void *copy(const void *x, size_t bytes)
{
    void *y = malloc(bytes);

    assert_non_null(y);
    return memcpy(y, x, bytes);
}

/* That of loss + X |g| by every seventh weight. */
static void penalty(void **state)
{
    const vld_smooth_opts o = {.penalty = 0.6};
    const double h = 1e-5;

    (void)state;
    for (int which = 0; which < MODELS; which++) {
        double worst = 0, top = 0;
        world w;
        vl_real *got, *plain;
        make(&w, which, &o);
        sweep(&w);
        plain = copy(w.grad, w.m.n * sizeof *plain);
        gradient(&w);
        got = copy(w.grad, w.m.n * sizeof *got);
        for (size_t k = 0; k < w.m.n; k += 7) {
            double keep = w.theta[k], value[2];
            for (int side = 0; side < 2; side++) {
                w.theta[k] = keep + (side ? h : -h);
                value[side] = sweep(&w);
                value[side] += o.penalty * length(w.grad, w.m.n);
            }
            w.theta[k] = keep;
            worst = fmax(worst, fabs((value[1] - value[0]) / (2 * h) - got[k]));
            top = fmax(top, fabs(got[k]));
        }
        print_message("%s: max |difference| / max |gradient| = %.2g\n", w.m.spec, worst / top);
        assert_true(worst <= 1e-7 * top);
        for (size_t k = 0; k < w.m.n; k++)
            got[k] -= plain[k];
        assert_true(length(got, w.m.n) > 1e-2 * length(plain, w.m.n)); /* it does something */
        free(got);
        free(plain);
        unmake(&w);
    }
}

/* The gradient there, weights as they were, and the loss that of the place itself. */
static void flat(void **state)
{
    const vld_smooth_opts o = {.flat = 0.2};

    (void)state;
    for (int which = 0; which < MODELS; which++) {
        world w;
        vl_real *before, *got;
        double loss, len;
        make(&w, which, &o);
        before = copy(w.theta, w.m.n * sizeof *before);
        gradient(&w);
        assert_memory_equal(before, w.theta, w.m.n * sizeof *before);
        got = copy(w.grad, w.m.n * sizeof *got);
        loss = sweep(&w);
        assert_true(loss == w.loss);
        len = length(w.grad, w.m.n);
        for (size_t k = 0; k < w.m.n; k++)
            w.theta[k] += 0.2 / len * w.grad[k];
        assert_true(sweep(&w) > loss); /* up */
        for (size_t k = 0; k < w.m.n; k++)
            assert_true(fabs(w.grad[k] - got[k]) < 1e-12);
        free(before);
        free(got);
        unmake(&w);
    }
}

/* |flat(rho) - penalty(rho)| / rho falls with rho: the two agree to first order. */
static void agree(void **state)
{
    double apart[2];

    (void)state;
    for (int i = 0; i < 2; i++) {
        const double rho = i ? 1e-4 : 1e-3;
        const vld_smooth_opts up = {.flat = rho}, more = {.penalty = rho};
        world a, b;
        make(&a, 0, &up);
        make(&b, 0, &more);
        gradient(&a);
        gradient(&b);
        for (size_t k = 0; k < a.m.n; k++)
            a.grad[k] -= b.grad[k];
        apart[i] = length(a.grad, a.m.n) / rho;
        unmake(&a);
        unmake(&b);
    }
    assert_true(apart[0] > 0 && apart[1] < 0.2 * apart[0]);
}

/* Together: the penalised gradient at the place further up. */
static void together(void **state)
{
    const vld_smooth_opts both = {.flat = 0.2, .penalty = 0.6}, one = {.penalty = 0.6};
    world a, b;
    double len;

    (void)state;
    make(&a, 1, &both);
    make(&b, 1, &one);
    gradient(&a);
    sweep(&b);
    len = length(b.grad, b.m.n);
    for (size_t k = 0; k < b.m.n; k++)
        b.theta[k] += 0.2 / len * b.grad[k];
    gradient(&b);
    for (size_t k = 0; k < a.m.n; k++)
        assert_true(fabs(a.grad[k] - b.grad[k]) < 1e-11);
    unmake(&a);
    unmake(&b);
}

/* Each branch by itself, and only the longer ones. */
static void clipped(void **state)
{
    vld_smooth_opts o = {.clip = 1e30};
    world w;
    vl_real *plain;
    double len[VLM_BRANCHES];

    (void)state;
    make(&w, 0, &o);
    gradient(&w);
    plain = copy(w.grad, w.m.n * sizeof *plain);
    for (int b = 0; b < VLM_BRANCHES; b++)
        len[b] = length(plain + w.m.begin[b], w.m.begin[b + 1] - w.m.begin[b]);
    assert_true(len[0] != len[1]);
    w.smooth.o.clip = (len[0] + len[1]) / 2;
    gradient(&w);
    for (int b = 0; b < VLM_BRANCHES; b++) {
        double scale = fmin(1, w.smooth.o.clip / len[b]);
        for (size_t k = w.m.begin[b]; k < w.m.begin[b + 1]; k++)
            assert_true(fabs(w.grad[k] - scale * plain[k]) <= 1e-15 * len[b]);
    }
    free(plain);
    unmake(&w);
}

/* Nothing flows: no direction to take, and nothing that is not a number. */
static void nowhere(void **state)
{
    const vld_smooth_opts o = {.flat = 0.2, .penalty = 0.6, .clip = 1};
    world w;

    (void)state;
    make(&w, 0, &o);
    memset(w.theta, 0, w.m.n * sizeof *w.theta);
    gradient(&w);
    for (size_t k = 0; k < w.m.n; k++)
        assert_true(w.grad[k] == 0 && w.theta[k] == 0);
    unmake(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(penalty), cmocka_unit_test(flat),
                                       cmocka_unit_test(agree),   cmocka_unit_test(together),
                                       cmocka_unit_test(clipped), cmocka_unit_test(nowhere)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
