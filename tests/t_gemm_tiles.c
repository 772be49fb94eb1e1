/* SPDX-License-Identifier: MIT
 * t_gemm_tiles.c -- products cut over a pool against plain loops: odd shapes across the tiles' edges, transposes,
 * wide rows, beta; the same bits at any number of threads. */
#include "pipeline/gemm_tiles.h"
#include "pipeline/rng.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static vl_real *numbers(size_t n, uint64_t stream)
{
    vl_real *v = test_calloc(n, sizeof *v);

    vl_rng_normal(3, stream, n, 1, v);
    return v;
}

static void plain(int ta, int tb, size_t m, size_t n, size_t k, const vl_real *a, size_t lda,
                  const vl_real *b, size_t ldb, vl_real beta, double *c, size_t ldc)
{
    for (size_t i = 0; i < m; i++)
        for (size_t j = 0; j < n; j++) {
            double s = (double)beta * c[i * ldc + j];
            for (size_t l = 0; l < k; l++)
                s += 0.5 * (double)a[ta ? l * lda + i : i * lda + l] *
                     (double)b[tb ? j * ldb + l : l * ldb + j];
            c[i * ldc + j] = s;
        }
}

static void products(void **state)
{
    static const size_t shape[][3] = {{1, 1, 1},     {64, 769, 30}, {40, 200, 130},
                                      {128, 512, 3}, {129, 513, 7}, {3, 1030, 5},
                                      {300, 2, 70},  {127, 511, 1}, {257, 40, 33}};
    enum { PAD = 3 };
    vl_pool *pool = NULL;
    vl_err e;

    (void)state;
    assert_int_equal(vl_pool_new(3, &pool, &e), VL_OK);
    for (size_t r = 0; r < sizeof shape / sizeof *shape; r++)
        for (int way = 0; way < 8; way++) {
            size_t m = shape[r][0], n = shape[r][1], k = shape[r][2], ldc = n + PAD;
            int ta = way & 1, tb = way >> 1 & 1;
            vl_real beta = way & 4 ? VL_R(-2.0) : 0;
            size_t lda = (ta ? m : k) + PAD, ldb = (tb ? k : n) + PAD;
            vl_real *a = numbers((ta ? k : m) * lda, 1), *b = numbers((tb ? n : k) * ldb, 2);
            vl_real *c = numbers(m * ldc, 3), *c3 = numbers(m * ldc, 3);
            double *want = test_calloc(m * ldc, sizeof *want);
            for (size_t i = 0; i < m * ldc; i++)
                want[i] = (double)c[i];
            for (size_t i = 0; !(way & 4) && i < m; i++) /* with beta 0, C may hold anything */
                for (size_t j = 0; j < n; j++)
                    c[i * ldc + j] = c3[i * ldc + j] = (vl_real)NAN;
            for (size_t i = 0; !(way & 4) && i < m; i++)
                for (size_t j = 0; j < n; j++)
                    want[i * ldc + j] = 0;
            plain(ta, tb, m, n, k, a, lda, b, ldb, beta, want, ldc);
            vl_gemm_tiles(NULL, ta, tb, m, n, k, VL_R(0.5), a, lda, b, ldb, beta, c, ldc);
            vl_gemm_tiles(pool, ta, tb, m, n, k, VL_R(0.5), a, lda, b, ldb, beta, c3, ldc);
            assert_memory_equal(c, c3, m * ldc * sizeof *c);
            for (size_t i = 0; i < m * ldc; i++)
                if (!(fabs((double)c[i] - want[i]) <= 1e-5 * (1 + fabs(want[i])) * (double)(k + 1)))
                    fail_msg("row %zu, way %d, element %zu: %g, wanted %g", r, way, i, (double)c[i], want[i]);
            test_free(a);
            test_free(b);
            test_free(c);
            test_free(c3);
            test_free(want);
        }
    vl_pool_free(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(products)};

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
