/* SPDX-License-Identifier: MIT
 * t_slab_layer.c -- layers that are trained in slabs against plain loops, for shapes around the edges of slabs,
 * groups and tiles, with and without momentum; the same bytes at any number of threads. And blocks turned. */
#include "pipeline/slab_layer.h"
#include "pipeline/rng.h"
#include "pipeline/turn.h"

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static const size_t shapes[][3] = {/* rows, k, n */
                                   {1, 1, 1},     {2, 3, 31},     {5, 10, 32},   {9, 17, 33},
                                   {16, 40, 64},  {17, 170, 65},  {31, 257, 96}, {32, 321, 40},
                                   {33, 35, 200}, {99, 100, 193}, {128, 64, 70}, {130, 500, 250}};
enum { N_SHAPES = sizeof shapes / sizeof *shapes, STEPS = 3 };

static const vl_slab_rule rules[] = {{VL_R(0.1), 0, 0},
                                     {VL_R(0.1), 0, VL_R(0.3)},
                                     {VL_R(0.05), VL_R(0.9), 0},
                                     {VL_R(0.05), VL_R(0.9), VL_R(0.3)}};
enum { N_RULES = sizeof rules / sizeof *rules };

static vl_real *normals(uint64_t stream, size_t n)
{
    vl_real *v = malloc(n * sizeof *v);

    assert_non_null(v);
    vl_rng_normal(1, stream, n, 1, v);
    return v;
}

/* The same in double. v may be NULL. */
static void plainly(const size_t *s, const vl_slab_rule *rule, const vl_real *x, const vl_real *g, double *gx,
                    double *w, double *v)
{
    size_t rows = s[0], k = s[1], n = s[2];

    for (size_t r = 0; r < rows; r++)
        for (size_t i = 0; i < k; i++)
            for (size_t c = 0; c < n; c++)
                gx[r * k + i] += (double)g[r * n + c] * w[i * n + c];
    for (size_t i = 0; i < k; i++)
        for (size_t c = 0; c < n; c++) {
            double sum = (double)rule->decay * w[i * n + c];
            for (size_t r = 0; r < rows; r++)
                sum += (double)x[r * k + i] * (double)g[r * n + c];
            sum = v[i * n + c] = (double)rule->momentum * v[i * n + c] + sum;
            w[i * n + c] -= (double)rule->rate * sum;
        }
}

static void near(const vl_real *a, const double *b, size_t n, size_t terms, const char *what, size_t shape,
                 size_t rule)
{
    double most = 1;

    for (size_t i = 0; i < n; i++)
        most = fmax(most, fabs(b[i]));
    for (size_t i = 0; i < n; i++)
        if (!(fabs((double)a[i] - b[i]) <= 40 * FLT_EPSILON * most * sqrt((double)terms)))
            fail_msg("%s, shape %zu, rule %zu: [%zu] is %.9g, plainly %.9g", what, shape, rule, i,
                     (double)a[i], b[i]);
}

typedef struct both {
    vl_slab_layer layer;
    vl_real *gx, *w;
} both;

static void run(vl_pool *pool, const size_t *s, const vl_slab_rule *rule, const vl_real *w, bool with_gx,
                both *b)
{
    vl_slab_space space;
    vl_err e = {0};

    assert_int_equal(vl_slab_layer_new(s[1], s[2], rule->momentum > 0, &b->layer, &e), VL_OK);
    assert_int_equal(vl_slab_space_new(s[0], s[1], s[2], &space, &e), VL_OK);
    vl_slab_layer_load(pool, &b->layer, w);
    b->gx = calloc(s[0] * s[1], sizeof *b->gx);
    b->w = malloc(s[1] * s[2] * sizeof *b->w);
    assert_true(b->gx && b->w);
    for (uint64_t i = 0; i < STEPS; i++) {
        vl_real *x = normals(10 + i, s[0] * s[1]), *g = normals(20 + i, s[0] * s[2]);
        vl_slab_layer_learn(pool, &b->layer, rule, x, g, with_gx ? b->gx : NULL, &space);
        free(x);
        free(g);
    }
    vl_slab_layer_store(pool, &b->layer, b->w);
    vl_slab_space_free(&space);
    vl_slab_layer_free(&b->layer);
}

static void both_free(both *b)
{
    free(b->gx);
    free(b->w);
}

static void check(size_t shape, size_t rule, vl_pool *pool)
{
    const size_t *s = shapes[shape], weights = s[1] * s[2], inputs = s[0] * s[1];
    vl_real *w = normals(1, weights);
    double *dw = malloc(weights * sizeof *dw), *dv = calloc(weights, sizeof *dv),
           *gx = calloc(inputs, sizeof *gx);
    both alone, threads, blind;

    assert_true(dw && dv && gx);
    for (size_t i = 0; i < weights; i++)
        dw[i] = (double)w[i];
    for (uint64_t i = 0; i < STEPS; i++) {
        vl_real *x = normals(10 + i, inputs), *g = normals(20 + i, s[0] * s[2]);
        plainly(s, &rules[rule], x, g, gx, dw, dv);
        free(x);
        free(g);
    }
    run(NULL, s, &rules[rule], w, true, &alone);
    run(pool, s, &rules[rule], w, true, &threads);
    run(pool, s, &rules[rule], w, false, &blind);
    near(alone.w, dw, weights, s[0], "weights", shape, rule);
    near(alone.gx, gx, inputs, s[2], "inputs", shape, rule);
    assert_memory_equal(alone.w, threads.w, weights * sizeof *w);
    assert_memory_equal(alone.gx, threads.gx, inputs * sizeof *w);
    assert_memory_equal(alone.w, blind.w, weights * sizeof *w);
    both_free(&alone);
    both_free(&threads);
    both_free(&blind);
    free(gx);
    free(dv);
    free(dw);
    free(w);
}

static void test_learn(void **state)
{
    vl_pool *pool = NULL;

    (void)state;
    assert_int_equal(vl_pool_new(3, &pool, NULL), VL_OK);
    for (size_t i = 0; i < N_SHAPES; i++)
        for (size_t r = 0; r < N_RULES; r++)
            check(i, r, pool);
    vl_pool_free(pool);
}

/* What was loaded comes out again. */
static void test_store(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_SHAPES; i++) {
        size_t n = shapes[i][1] * shapes[i][2];
        vl_real *w = normals(1, n), *out = malloc(n * sizeof *out);
        vl_slab_layer l;
        assert_non_null(out);
        assert_int_equal(vl_slab_layer_new(shapes[i][1], shapes[i][2], false, &l, NULL), VL_OK);
        vl_slab_layer_load(NULL, &l, w);
        vl_slab_layer_store(NULL, &l, out);
        assert_memory_equal(w, out, n * sizeof *w);
        vl_slab_layer_free(&l);
        free(out);
        free(w);
    }
}

static void test_turn(void **state)
{
    enum { MOST = 50, LDI = 53, LDO = 57 };
    vl_real *in = normals(1, MOST * LDI), *out = normals(2, MOST * LDO), *was = normals(2, MOST * LDO);

    (void)state;
    for (size_t rows = 1; rows <= MOST; rows += 7)
        for (size_t columns = 1; columns <= MOST; columns += 3) {
            vl_turn(rows, columns, in, LDI, out, LDO);
            for (size_t r = 0; r < rows; r++)
                for (size_t c = 0; c < columns; c++)
                    assert_true(out[c * LDO + r] == in[r * LDI + c]);
            memcpy(out, was, MOST * LDO * sizeof *out);
            vl_turn_add(rows, columns, in, LDI, out, LDO);
            for (size_t c = 0; c < MOST; c++)
                for (size_t r = 0; r < LDO; r++)
                    assert_true(out[c * LDO + r] ==
                                was[c * LDO + r] + (r < rows && c < columns ? in[r * LDI + c] : 0));
            memcpy(out, was, MOST * LDO * sizeof *out);
        }
    free(was);
    free(out);
    free(in);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_learn), cmocka_unit_test(test_store),
                                       cmocka_unit_test(test_turn)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
