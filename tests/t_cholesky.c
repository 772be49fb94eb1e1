/* SPDX-License-Identifier: MIT
 * t_cholesky.c -- the factor multiplies back to the matrix, solves solve it, and what is not positive definite is
 * refused by its first bad minor. */
#include "pipeline/blas.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static double next(unsigned long *seed) /* in -1 .. 1 */
{
    *seed = *seed * 6364136223846793005ul + 1442695040888963407ul;
    return (double)(*seed >> 33) / 1073741824.0 - 1;
}

/* A = M M^T / n + I/2, its upper triangle overwritten with what must not be read. */
static double *matrix(size_t n, double *whole)
{
    double *m = test_calloc(n * n + 1, sizeof *m), *a = test_calloc(n * n + 1, sizeof *a);
    unsigned long seed = n;

    for (size_t i = 0; i < n * n; i++)
        m[i] = next(&seed);
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++) {
            double s = i == j ? 0.5 : 0;
            for (size_t k = 0; k < n; k++)
                s += m[i * n + k] * m[j * n + k] / (double)n;
            whole[i * n + j] = s;
            a[i * n + j] = j <= i ? s : NAN;
        }
    test_free(m);
    return a;
}

static void factors_and_solves(void **state)
{
    static const size_t size[] = {0, 1, 2, 7, 64, 131};
    enum { COLUMNS = 5, LDB = 8 };

    (void)state;
    for (size_t r = 0; r < sizeof size / sizeof *size; r++) {
        size_t n = size[r];
        double *whole = test_calloc(n * n + 1, sizeof *whole), *l = matrix(n, whole);
        double *b = test_calloc(n * LDB + 1, sizeof *b), *x = test_calloc(n * LDB + 1, sizeof *x);
        unsigned long seed = 99;

        for (size_t i = 0; i < n * LDB; i++)
            x[i] = b[i] = next(&seed);
        assert_int_equal(vl_cholesky(n, l), 0);
        for (size_t i = 0; i < n; i++)
            for (size_t j = 0; j <= i; j++) {
                double s = 0;
                for (size_t k = 0; k <= j; k++)
                    s += l[i * n + k] * l[j * n + k];
                assert_true(fabs(s - whole[i * n + j]) < 1e-13);
            }
        vl_cholesky_solve(n, l, COLUMNS, x, LDB);
        for (size_t i = 0; i < n; i++)
            for (size_t j = 0; j < LDB; j++) {
                double s = 0;
                for (size_t k = 0; j < COLUMNS && k < n; k++)
                    s += whole[i * n + k] * x[k * LDB + j];
                assert_true(fabs((j < COLUMNS ? s : x[i * LDB + j]) - b[i * LDB + j]) < 1e-12);
            }
        test_free(whole);
        test_free(l);
        test_free(b);
        test_free(x);
    }
}

static void refusals(void **state)
{
    double flat[9] = {1, 0, 0, 0, 0, 0, 0, 0, 1}, down[9] = {1, 0, 0, 2, 1, 0, 0, 0, 1};
    double odd[9] = {1, 0, 0, 0, 1, 0, 0, NAN, 1}, zero[1] = {0};

    (void)state;
    assert_int_equal(vl_cholesky(1, zero), 1);
    assert_int_equal(vl_cholesky(3, flat), 2);
    assert_int_equal(vl_cholesky(3, down), 2);
    assert_int_equal(vl_cholesky(3, odd), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(factors_and_solves), cmocka_unit_test(refusals)};

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
