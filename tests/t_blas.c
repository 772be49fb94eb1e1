/* SPDX-License-Identifier: MIT
 * t_blas.c -- vl_gemm against plain loops in double, rows longer than the matrix, and calls from
 * several threads at once, which must give the bits of a call alone. */
#include "pipeline/blas.h"
#include "pipeline/pool.h"
#include "pipeline/rng.h"

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static vl_real *normals(uint64_t stream, size_t n)
{
    vl_real *v = calloc(n ? n : 1, sizeof *v);

    assert_non_null(v);
    vl_rng_normal(9, stream, n, 1, v);
    return v;
}

typedef struct product {
    int ta, tb;
    size_t m, n, k, lda, ldb, ldc;
    vl_real alpha, beta;
} product;

static void check_product(const product *p, const vl_real *a, const vl_real *b, const vl_real *c0,
                          const vl_real *c)
{
    for (size_t i = 0; i < p->m; i++)
        for (size_t j = 0; j < p->ldc; j++) {
            double s = 0, size = 0, was = (double)c0[i * p->ldc + j];
            if (j >= p->n) { /* between rows: not ours */
                assert_memory_equal(&c[i * p->ldc + j], &c0[i * p->ldc + j], sizeof *c);
                continue;
            }
            for (size_t l = 0; l < p->k; l++) {
                double x = (double)(p->ta ? a[l * p->lda + i] : a[i * p->lda + l]);
                double y = (double)(p->tb ? b[j * p->ldb + l] : b[l * p->ldb + j]);
                s += x * y;
                size += fabs(x * y);
            }
            was = p->beta == 0 ? 0 : (double)p->beta * was;
            s = (double)p->alpha * s + was;
            size = fabs((double)p->alpha) * size + fabs(was);
            if (!(fabs((double)c[i * p->ldc + j] - s) <=
                  2 * sqrt((double)p->k + 4) * (double)FLT_EPSILON * size))
                fail_msg("%d%d %zu x %zu x %zu, alpha %g, beta %g: [%zu,%zu] is %.9g, not %.9g", p->ta, p->tb,
                         p->m, p->n, p->k, (double)p->alpha, (double)p->beta, i, j, (double)c[i * p->ldc + j],
                         s);
        }
}

static void run_product(product p, size_t gap)
{
    size_t arows = p.ta ? p.k : p.m, brows = p.tb ? p.n : p.k;
    vl_real *a, *b, *c, *c0;

    p.lda = (p.ta ? p.m : p.k) + gap;
    p.ldb = (p.tb ? p.k : p.n) + 2 * gap;
    p.ldc = p.n + 3 * gap;
    a = normals(1, arows * p.lda);
    b = normals(2, brows * p.ldb);
    c0 = normals(3, p.m * p.ldc);
    if (p.beta == 0) /* then C may hold anything */
        for (size_t i = 0; i < p.m; i++)
            for (size_t j = 0; j < p.n; j++)
                c0[i * p.ldc + j] = NAN;
    c = malloc(p.m * p.ldc * sizeof *c);
    assert_non_null(c);
    memcpy(c, c0, p.m * p.ldc * sizeof *c);
    vl_gemm(p.ta, p.tb, p.m, p.n, p.k, p.alpha, a, p.lda, b, p.ldb, p.beta, c, p.ldc);
    check_product(&p, a, b, c0, c);
    free(a);
    free(b);
    free(c);
    free(c0);
}

static void test_products(void **state)
{
    static const size_t shapes[][3] = {{1, 1, 1},     {3, 5, 7},   {1, 13, 31},    {17, 1, 5},   {64, 64, 64},
                                       {61, 103, 59}, {128, 3, 1}, {20, 257, 300}, {256, 64, 27}};
    static const vl_real scales[][2] = {{1, 0}, {1, 1}, {-0.5, 0}, {2, -0.25}, {0, 1}};

    (void)state;
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
        for (size_t v = 0; v < sizeof scales / sizeof *scales; v++)
            for (int t = 0; t < 4; t++)
                for (size_t gap = 0; gap < 8; gap += 5)
                    run_product((product){.ta = t / 2,
                                          .tb = t % 2,
                                          .m = shapes[s][0],
                                          .n = shapes[s][1],
                                          .k = shapes[s][2],
                                          .alpha = scales[v][0],
                                          .beta = scales[v][1]},
                                gap);
}

/* Nothing to do: m, n or k of zero touches no more than it must. */
static void test_empty(void **state)
{
    vl_real a[4] = {1, 2, 3, 4}, c[4] = {5, 6, 7, 8};

    (void)state;
    vl_gemm(0, 0, 0, 2, 2, 1, a, 2, a, 2, 0, c, 2);
    vl_gemm(0, 0, 2, 0, 2, 1, a, 2, a, 2, 0, c, 2);
    assert_true(c[0] == 5 && c[3] == 8);
    vl_gemm(0, 0, 2, 2, 0, 1, a, 2, a, 2, 2, c, 2);
    assert_true(c[0] == 10 && c[3] == 16);
}

typedef struct together {
    size_t m, n, k, per_tile;
    vl_real *a, *b, *c;
} together;

static void one_product(void *arg, size_t i, int worker)
{
    const together *t = arg;

    (void)worker;
    vl_gemm(0, 0, t->m, t->n, t->k, 1, t->a, t->k, t->b, t->n, 0, t->c + i * t->m * t->n, t->n);
}

/* 24 equal products at once on 4 threads: all 24 results have the bits of one taken alone. */
static void test_concurrent(void **state)
{
    static const size_t shapes[][3] = {{256, 64, 576}, {1, 1, 9}, {61, 103, 59}, {576, 64, 301}};
    vl_pool *pool = NULL;
    vl_err e = {0};

    (void)state;
    assert_int_equal(vl_pool_new(4, &pool, &e), VL_OK);
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
        enum { N = 24 };
        together t = {.m = shapes[s][0], .n = shapes[s][1], .k = shapes[s][2]};
        size_t mn = t.m * t.n;
        vl_real *alone = malloc(mn * sizeof *alone);
        t.a = normals(4, t.m * t.k);
        t.b = normals(5, t.k * t.n);
        t.c = normals(6, N * mn);
        assert_non_null(alone);
        vl_gemm(0, 0, t.m, t.n, t.k, 1, t.a, t.k, t.b, t.n, 0, alone, t.n);
        for (int round = 0; round < 3; round++) {
            vl_pool_run(pool, N, one_product, &t);
            for (size_t i = 0; i < N; i++)
                assert_memory_equal(t.c + i * mn, alone, mn * sizeof *alone);
        }
        free(alone);
        free(t.a);
        free(t.b);
        free(t.c);
    }
    vl_pool_free(pool);
}

static void test_counters(void **state)
{
    vl_real a[6] = {1, 2, 3, 4, 5, 6}, c[4];
    double flops = vl_blas_flops(), seconds = vl_blas_seconds();

    (void)state;
    vl_gemm(0, 0, 2, 2, 3, 1, a, 3, a, 2, 0, c, 2);
    assert_true(vl_blas_flops() == flops + 24 && vl_blas_seconds() == seconds);
    vl_blas_timing(1);
    for (int i = 0; i < 100; i++)
        vl_gemm(0, 0, 2, 2, 3, 1, a, 3, a, 2, 0, c, 2);
    vl_blas_timing(0);
    assert_true(vl_blas_seconds() > seconds);
    assert_true(strlen(vl_blas_core()) > 0 && strstr(vl_blas_config(), "OpenBLAS"));
}

/* The fallback for processors that OpenBLAS does not know is never used where AVX2 is there. */
static void test_core(void **state)
{
    (void)state;
#if defined(__x86_64__)
    if (getenv("OPENBLAS_CORETYPE") || !__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma"))
        skip();
    assert_string_not_equal(vl_blas_core(), "Prescott");
#else
    skip();
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_products), cmocka_unit_test(test_empty), cmocka_unit_test(test_concurrent),
        cmocka_unit_test(test_counters), cmocka_unit_test(test_core),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
