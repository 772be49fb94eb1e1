/* SPDX-License-Identifier: MIT
 * t64_front.c -- a frozen encoder in front of heads, in double: its vector-Jacobian product against central
 * differences, the same with fewer activations held, and a whole iteration through it. */
#include "distill/front.h"
#include "distill/outer.h"
#include "pipeline/rng.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { N = 7, S = 16, F = 6, K = 5, REALS = S * S * 3, SEED = 3, ITER = 11 };

static const vl_augment aug = {.flip = true, .shift = 2, .crop = 50, .cutout = 30, .colour = true};

typedef struct world {
    vlm_model m;
    vl_real *theta, *pixels;
} world;

static vl_real *normal(size_t n, uint64_t stream, double sd)
{
    vl_real *v = malloc(n * sizeof *v);

    assert_non_null(v);
    vl_rng_normal(1, stream, n, sd, v);
    return v;
}

static world make(const char *spec)
{
    world w;
    vl_err e;

    assert_int_equal(vlm_parse(spec, S, K, F, 1, &w.m, &e), VL_OK);
    w.theta = malloc(w.m.n * sizeof *w.theta);
    vlm_init(&w.m, 1, 1, w.theta);
    w.pixels = normal(N * REALS, 2, 1);
    return w;
}

static void unmake(world *w)
{
    free(w->theta);
    free(w->pixels);
}

static vld_front *front(const world *w, size_t memory)
{
    vld_front *f = NULL;
    vl_err e;

    if (vld_front_new(&w->m, w->theta, NULL, N, memory, &aug, &f, &e))
        fail_msg("%s", e.text);
    return f;
}

static double value(vld_front *f, const world *w, const vl_real *g)
{
    vl_real features[N * F];
    double sum = 0;

    vld_front_run(f, w->pixels, SEED, ITER, features);
    for (size_t i = 0; i < N * F; i++)
        sum += features[i] * g[i];
    return sum;
}

static void check_differences(const char *spec)
{
    world w = make(spec);
    vld_front *f = front(&w, 0);
    vl_real *g = normal(N * F, 3, 1), *grad = normal(N * REALS, 4, 1);
    double top = 0, worst = 0;

    value(f, &w, g);
    vld_front_back(f, w.pixels, SEED, ITER, g, grad);
    for (size_t i = 0; i < N * REALS; i++)
        top = fmax(top, fabs(grad[i]));
    for (size_t i = 0; i < N * REALS; i += 37) {
        double keep = w.pixels[i], up, down, h = 1e-5;
        w.pixels[i] = keep + h;
        up = value(f, &w, g);
        w.pixels[i] = keep - h;
        down = value(f, &w, g);
        w.pixels[i] = keep;
        worst = fmax(worst, fabs((up - down) / (2 * h) - grad[i]));
    }
    print_message("%s: max |difference| / max |gradient| = %.2g\n", spec, worst / top);
    assert_true(top > 0 && worst < 1e-8 * top);
    vld_front_free(f);
    free(g);
    free(grad);
    unmake(&w);
}

/* A convnet; a transformer with a frozen part and factors. */
static void differences(void **state)
{
    (void)state;
    check_differences("convnet:4x2");
    check_differences("vit:8x2x2/8,lora=2,seed=3");
}

static void held(void **state)
{
    world w = make("convnet:4x2");
    vld_front *all = front(&w, 0), *some = NULL;
    vl_real *g = normal(N * F, 3, 1), *a = normal(N * REALS, 4, 1), *b = normal(N * REALS, 5, 1);
    vl_real x[N * F], y[N * F];
    size_t memory = 0;

    (void)state;
    assert_int_equal(vld_front_held(all), N);
    do { /* until three are held */
        vld_front_free(some);
        memory += 1000;
        some = front(&w, memory);
    } while (vld_front_held(some) < 3);
    assert_int_equal(vld_front_held(some), 3);
    vld_front_run(all, w.pixels, SEED, ITER, x);
    vld_front_run(some, w.pixels, SEED, ITER, y);
    vld_front_back(all, w.pixels, SEED, ITER, g, a);
    vld_front_back(some, w.pixels, SEED, ITER, g, b);
    for (size_t i = 0; i < N * F; i++)
        assert_true(fabs(x[i] - y[i]) < 1e-12);
    for (size_t i = 0; i < N * REALS; i++)
        assert_true(fabs(a[i] - b[i]) < 1e-12);
    vld_front_free(all);
    vld_front_free(some);
    free(g);
    free(a);
    free(b);
    unmake(&w);
}

/* One step of gradient descent on pixels is that on features, brought back through the encoder. */
static void iteration(void **state)
{
    static const vl_augment still = {0};
    vld_outer_opts o = {.inner = {.steps = 3, .batch = 4, .aug = {0}},
                        .start_max = 1,
                        .expert_epochs = 1,
                        .optimiser = VLD_SGD,
                        .constant = true,
                        .step_image = 2,
                        .iterations = 1};
    int snaps[] = {2};
    world w = make("convnet:4x2");
    vld_experts x = {.n = 1, .n_snaps = snaps};
    vl_real *theta, *grad = normal(N * REALS, 6, 1), *before;
    vld_set pixels, features, by_features;
    vld_outer_report r;
    vld_unroll_result res;
    vld_unroll *direct;
    vld_outer *u;
    vld_front *f;
    vl_err e;

    (void)state;
    assert_int_equal(vlm_parse_heads("heads:6,dropout=0", K, 4, 5, &x.model, &e), VL_OK);
    theta = malloc(2 * x.model.n * sizeof *theta);
    vlm_init(&x.model, 1, 7, theta);
    vlm_init(&x.model, 1, 8, theta + x.model.n);
    x.theta = &theta;
    assert_int_equal(vld_set_new(&w.m, N, &pixels, &e), VL_OK);
    assert_int_equal(vld_set_new(&x.model, N, &features, &e), VL_OK);
    assert_int_equal(vld_set_new(&x.model, N, &by_features, &e), VL_OK);
    memcpy(pixels.image, w.pixels, N * REALS * sizeof *grad);
    vl_rng_normal(1, 9, N * K, 1, pixels.text);
    memcpy(features.text, pixels.text, N * K * sizeof *grad);
    pixels.rate[0] = features.rate[0] = 0.1;
    pixels.rate[1] = features.rate[1] = 0.2;
    assert_int_equal(vld_front_new(&w.m, w.theta, NULL, N, 0, &still, &f, &e), VL_OK);
    vld_front_run(f, pixels.image, 0, 0, features.image);

    assert_int_equal(vld_unroll_new(&x.model, NULL, N, &o.inner, &direct, &e), VL_OK);
    assert_int_equal(
        vld_unroll_run(
            direct,
            &(vld_window){.start = theta, .target = theta + x.model.n, .warm = 0, .seed = 0, .iter = 0},
            &features, VLD_EXACT, false, &by_features, &res, &e),
        VL_OK);
    vld_front_back(f, pixels.image, 0, 0, by_features.image, grad);
    before = normal(N * REALS, 2, 1);
    o.front = f;
    assert_int_equal(vld_outer_new(&x, NULL, &o, &pixels, &u, &e), VL_OK);
    assert_int_equal(vld_outer_step(u, 0, &r, &e), VL_OK);
    for (size_t i = 0; i < N * REALS; i++)
        assert_true(fabs(pixels.image[i] - (before[i] - 2 * grad[i])) < 1e-12);
    vld_outer_free(u);
    vld_unroll_free(direct);
    vld_front_free(f);

    /* Not the features that these experts take. */
    assert_int_equal(vlm_parse("convnet:4x1", S, K, F + 1, 1, &w.m, &e), VL_OK);
    free(w.theta);
    w.theta = normal(w.m.n, 1, 1);
    assert_int_equal(vld_front_new(&w.m, w.theta, NULL, N, 0, &still, &f, &e), VL_OK);
    o.front = f;
    assert_int_equal(vld_outer_new(&x, NULL, &o, &pixels, &u, &e), VL_EARG);
    vld_front_free(f);
    vld_set_free(&pixels);
    vld_set_free(&features);
    vld_set_free(&by_features);
    free(theta);
    free(grad);
    free(before);
    unmake(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(differences), cmocka_unit_test(held),
                                       cmocka_unit_test(iteration)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
