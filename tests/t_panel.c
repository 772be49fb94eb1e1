/* SPDX-License-Identifier: MIT
 * t_panel.c -- products with matrices in panels against plain loops, for shapes around the edges of panels, blocks
 * and groups of rows; the same bytes at any number of threads. And tiled library products against one call. */
#include "pipeline/blas.h"
#include "pipeline/gemm_tiles.h"
#include "pipeline/panel.h"
#include "tests/products.h"

#include <string.h>

static const size_t shapes[][3] = {/* rows, k, n */
                                   {1, 1, 1},     {2, 3, 31},     {5, 7, 32},     {9, 17, 33},
                                   {10, 255, 64}, {11, 256, 65},  {19, 257, 96},  {20, 512, 40},
                                   {21, 513, 31}, {40, 100, 100}, {63, 300, 170}, {170, 130, 140},
                                   {321, 20, 33}, {3, 97, 480},   {20, 400, 385}, {7, 33, 95}};
enum { N_SHAPES = sizeof shapes / sizeof *shapes };

/* beta 0: what y held does not matter. */
static void check_product(const vl_panels *p, size_t shape, bool turned, const vl_real *a,
                          const vl_real *minus, vl_real beta, vl_pool *pool)
{
    size_t rows = shapes[shape][0], deep = turned ? p->n : p->k, wide = turned ? p->k : p->n;
    vl_real *x = normals(3, rows * deep), *y = normals(4, rows * wide), *again = normals(4, rows * wide);
    vl_real *plain = normals(4, rows * wide);
    double flops = vl_blas_flops();
    vl_term t;

    if (beta == 0)
        y[0] = NAN;
    t = (turned ? vl_times_turned : vl_times)(VL_R(0.5), vl_rows_of(x, deep), p);
    vl_panels_times(NULL, &t, 1, rows, wide, beta, y, wide);
    assert_true(vl_blas_flops() - flops == 2.0 * (double)(rows * deep * wide));
    vl_panels_times(pool, &t, 1, rows, wide, beta, again, wide);
    assert_memory_equal(y, again, rows * wide * sizeof *y);
    plainly(shapes[shape], turned, a, minus, 0.5, x, (double)beta, plain);
    near(y, plain, rows * wide, deep, turned ? "turned" : "plain", shape);
    free(x);
    free(y);
    free(again);
    free(plain);
}

static void check_panels(size_t shape, vl_pool *pool)
{
    size_t k = shapes[shape][1], n = shapes[shape][2];
    vl_real *a = normals(1, k * n), *target = normals(2, k * n);
    double sum, want = 0;
    vl_panels p = {0}, far = {0};
    vl_err e = {0};

    assert_int_equal(vl_panels_new(k, n, &p, &e) | vl_panels_new(k, n, &far, &e), VL_OK);
    memset(p.data, 0xff, vl_panels_bytes(&p)); /* NaN: what is made up with zeros must be written */
    memset(far.data, 0xff, vl_panels_bytes(&far));
    sum = vl_panels_pack(pool, &p, a, &far, target);
    for (size_t i = 0; i < k * n; i++)
        want += ((double)a[i] - (double)target[i]) * ((double)a[i] - (double)target[i]);
    assert_true(fabs(sum - want) <= 1e-6 * want);
    for (int turned = 0; turned < 2; turned++) {
        check_product(&p, shape, turned, a, NULL, 0, pool);
        check_product(&far, shape, turned, a, target, 0, pool);
        check_product(&far, shape, turned, a, target, 2, pool);
    }
    vl_panels_free(&p);
    vl_panels_free(&far);
    free(a);
    free(target);
}

static void test_panels(void **state)
{
    vl_pool *pool = NULL;
    vl_err e = {0};

    (void)state;
    assert_int_equal(vl_pool_new(3, &pool, &e), VL_OK);
    for (size_t i = 0; i < N_SHAPES; i++)
        check_panels(i, pool);
    vl_pool_free(pool);
}

/* A matrix put together row by row: two terms at once, some of its rows, its rows as what multiplies, y with a
 * leading dimension of its own. */
static void check_rows(size_t k, size_t n, size_t from, size_t to, size_t rows, vl_pool *pool)
{
    vl_real *a = normals(1, k * n), *coef = normals(2, rows * (to - from)), *y = normals(3, rows * (n + 3));
    vl_real *want = malloc(rows * n * sizeof *want), *back = malloc(k * n * sizeof *back);
    vl_panels p = {0};
    vl_err e = {0};
    vl_term terms[2];
    vl_real *square = normals(5, rows * (n > k ? n : k));

    assert_int_equal(vl_panels_new(k, n, &p, &e), VL_OK);
    memset(p.data, 0xff, vl_panels_bytes(&p));
    for (size_t at = 0; at < k; at += 3)
        vl_panels_put(pool, &p, at, at + 3 < k ? 3 : k - at, a + at * n);
    terms[0] = vl_same(1, vl_rows_of_panels(&p, 0));
    vl_panels_times(pool, terms, 1, k, n, 0, back, n);
    assert_memory_equal(a, back, k * n * sizeof *a);
    terms[0] = vl_times_rows(2, vl_rows_of(coef, to - from), &p, from, to);
    terms[1] = vl_times_rows(VL_R(0.25), vl_rows_of(coef, to - from), &p, from, to);
    vl_panels_times(pool, terms, 2, rows, n, 0, y, n + 3);
    for (size_t r = 0; r < rows; r++) {
        for (size_t c = 0; c < n; c++) {
            double sum = 0;
            for (size_t i = from; i < to; i++)
                sum += (double)coef[r * (to - from) + i - from] * (double)a[i * n + c];
            want[r * n + c] = (vl_real)(2.25 * sum);
        }
        near(y + r * (n + 3), want + r * n, n, 9 * (to - from), "some rows", k);
    }
    terms[0] = (vl_term){&p, from, to, true, 1, vl_rows_of_panels(&p, 0)};
    rows = rows < k ? rows : k;
    vl_panels_times(pool, terms, 1, rows, to - from, 0, square, to - from);
    for (size_t r = 0; r < rows; r++)
        for (size_t i = from; i < to; i++) {
            double sum = 0;
            for (size_t c = 0; c < n; c++)
                sum += (double)a[r * n + c] * (double)a[i * n + c];
            assert_true(fabs(sum - (double)square[r * (to - from) + i - from]) <= 1e-5 * (double)n);
        }
    vl_panels_free(&p);
    free(square);
    free(back);
    free(want);
    free(y);
    free(coef);
    free(a);
}

static void check_outer(size_t k, size_t m, size_t n, size_t rows, vl_pool *pool)
{
    vl_real *a = normals(1, k * m), *b = normals(2, k * n), *c = normals(3, m * n), *want = normals(3, m * n);
    vl_panels p = {0}, q = {0};
    vl_err e = {0};
    double dot = 0;

    assert_int_equal(vl_panels_new(k, m, &p, &e) | vl_panels_new(k, n, &q, &e), VL_OK);
    vl_panels_zero(&p);
    for (size_t r = 0; r < k; r++)
        vl_panels_add(&p, r, a + r * m);
    vl_panels_put(pool, &q, 0, k, b);
    vl_panels_outer(pool, &p, &q, rows, VL_R(-0.5), c);
    for (size_t i = 0; i < m; i++)
        for (size_t l = 0; l < n; l++) {
            double sum = 0;
            for (size_t r = 0; r < rows; r++)
                sum += (double)a[r * m + i] * (double)b[r * n + l];
            want[i * n + l] -= (vl_real)(0.5 * sum);
        }
    near(c, want, m * n, rows + 1, "outer", k);
    for (size_t i = 0; i < rows * n; i++)
        dot += (double)b[i + (k - rows) * n] * (double)b[i];
    assert_true(fabs(vl_panels_dot(&q, k - rows, rows, b) - dot) <= 1e-9 * (double)(rows * n));
    vl_panels_free(&p);
    vl_panels_free(&q);
    free(a);
    free(b);
    free(c);
    free(want);
}

static void test_rows(void **state)
{
    vl_pool *pool = NULL;
    vl_err e = {0};

    (void)state;
    assert_int_equal(vl_pool_new(3, &pool, &e), VL_OK);
    check_rows(1, 1, 0, 1, 1, pool);
    check_rows(7, 33, 5, 7, 3, pool);
    check_rows(160, 200, 20, 159, 20, pool);
    check_rows(99, 97, 0, 99, 21, NULL);
    check_outer(3, 5, 7, 2, pool);
    check_outer(40, 97, 200, 33, pool);
    vl_pool_free(pool);
}

static void test_too_large(void **state)
{
    vl_panels p;
    vl_err e = {0};

    (void)state;
    assert_int_equal(vl_panels_new((size_t)1 << 40, (size_t)1 << 40, &p, &e), VL_ENOMEM);
    vl_panels_free(&p);
}

/* Every transposition, narrow and wide tiles, a leading dimension of its own, alpha and beta. */
static void check_tiles(size_t m, size_t n, size_t k, int ta, int tb, vl_pool *pool)
{
    size_t lda = (ta ? m : k) + 3, ldb = (tb ? k : n) + 2, ldc = n + 5;
    vl_real *a = normals(1, (ta ? k : m) * lda), *b = normals(2, (tb ? n : k) * ldb);
    vl_real *c[3] = {normals(3, m * ldc), normals(3, m * ldc), normals(3, m * ldc)};

    vl_gemm(ta, tb, m, n, k, VL_R(0.5), a, lda, b, ldb, 2, c[0], ldc);
    vl_gemm_tiles(NULL, ta, tb, m, n, k, VL_R(0.5), a, lda, b, ldb, 2, c[1], ldc);
    vl_gemm_tiles(pool, ta, tb, m, n, k, VL_R(0.5), a, lda, b, ldb, 2, c[2], ldc);
    near(c[1], c[0], m * ldc, k, "tiles", n);
    assert_memory_equal(c[1], c[2], m * ldc * sizeof **c);
    for (int i = 0; i < 3; i++)
        free(c[i]);
    free(a);
    free(b);
}

static void test_tiles(void **state)
{
    static const size_t size[][3] = {{1, 1, 1}, {3, 5, 7}, {20, 140, 513}, {20, 1000, 99}, {60, 77, 300}};
    vl_pool *pool = NULL;
    vl_err e = {0};

    (void)state;
    assert_int_equal(vl_pool_new(3, &pool, &e), VL_OK);
    for (size_t i = 0; i < sizeof size / sizeof *size; i++)
        for (int t = 0; t < 4; t++)
            check_tiles(size[i][0], size[i][1], size[i][2], t & 1, t >> 1, pool);
    vl_gemm_tiles(pool, 0, 0, 0, 5, 3, 1, NULL, 3, NULL, 5, 0, NULL, 5); /* nothing to do */
    vl_pool_free(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_panels),
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_too_large),
        cmocka_unit_test(test_tiles),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
