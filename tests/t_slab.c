/* SPDX-License-Identifier: MIT
 * t_slab.c -- matrices into slabs and out of them, and products with them against plain loops, for shapes around the
 * edges of slabs, blocks and groups of rows; the same bytes at any number of threads. */
#include "pipeline/slab.h"
#include "tests/products.h"

#include <string.h>

static const size_t shapes[][3] = {/* rows, k, n */
                                   {1, 1, 1},     {2, 3, 31},     {5, 7, 32},     {9, 17, 33},
                                   {10, 255, 64}, {11, 256, 65},  {19, 257, 96},  {20, 512, 40},
                                   {21, 513, 31}, {40, 100, 100}, {63, 300, 170}, {170, 130, 140},
                                   {321, 20, 33}};
enum { N_SHAPES = sizeof shapes / sizeof *shapes };

static void check(size_t shape, vl_pool *pool)
{
    size_t rows = shapes[shape][0], k = shapes[shape][1], n = shapes[shape][2];
    vl_real *w = normals(1, k * n), *back = normals(6, k * n), *x = normals(2, rows * k);
    vl_real *y = normals(3, rows * n), *plain = normals(4, rows * n), *again = normals(5, rows * n);
    vl_slabs p = {0};
    vl_err e = {0};

    assert_int_equal(vl_slabs_new(k, n, &p, &e), VL_OK);
    memset(p.data, 0xff, vl_slabs_bytes(&p)); /* NaN: what is made up with zeros must be written */
    vl_slabs_pack(pool, &p, w);
    vl_slabs_unpack(pool, &p, back);
    assert_memory_equal(w, back, k * n * sizeof *w);
    vl_slabs_times(NULL, &p, rows, x, y);
    vl_slabs_times(pool, &p, rows, x, again);
    assert_memory_equal(y, again, rows * n * sizeof *y);
    plainly(shapes[shape], false, w, NULL, 1, x, 0, plain);
    near(y, plain, rows * n, k, "slabs", shape);
    for (size_t i = 0; n % VL_SLAB && i < k; i++) /* the last slab's columns behind n */
        for (size_t c = n % VL_SLAB; c < VL_SLAB; c++)
            assert_true(p.data[(n / VL_SLAB * k + i) * VL_SLAB + c] == 0);
    vl_slabs_free(&p);
    free(w);
    free(back);
    free(x);
    free(y);
    free(plain);
    free(again);
}

static void test_products(void **state)
{
    vl_pool *pool = NULL;
    vl_err e = {0};

    (void)state;
    assert_int_equal(vl_pool_new(3, &pool, &e), VL_OK);
    for (size_t i = 0; i < N_SHAPES; i++)
        check(i, pool);
    vl_pool_free(pool);
}

static void test_too_large(void **state)
{
    vl_slabs p;
    vl_err e = {0};

    (void)state;
    assert_int_equal(vl_slabs_new((size_t)1 << 40, (size_t)1 << 40, &p, &e), VL_ENOMEM);
    vl_slabs_free(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_products),
        cmocka_unit_test(test_too_large),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
