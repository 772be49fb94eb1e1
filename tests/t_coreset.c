/* SPDX-License-Identifier: MIT
 * t_coreset.c -- selections by a briefly trained network: whole, the same at any thread count, and led by what
 * the network sees. */
#include "distill/coreset.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/picture_help.h"

enum { N = 40, PICK = 20 };

static vlm_model model;
static vl_data data;

/* Every picture is there twice: records i and i + N / 2 are alike to the bit, with one text. */
static int set_up(void **state)
{
    size_t half = N / 2, pixels = SIDE * SIDE * 3;
    vl_err e;

    (void)state;
    assert_int_equal(vlm_parse("convnet:4x1", SIDE, TEXT, 16, 10.0, &model, &e), VL_OK);
    make_pictures(&data, N, 1, 0);
    memcpy(data.images + half * pixels, data.images, half * pixels);
    memcpy(data.text + half * TEXT, data.text, half * TEXT * sizeof *data.text);
    for (size_t i = 0; i < half; i++)
        data.group[half + i] = data.group[i];
    data.n_groups = half;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    vl_data_free(&data);
    return 0;
}

static vld_warm warm(vl_pool *pool)
{
    return (vld_warm){&model, pool, 8, {0.05, 0.2}, {0}, 3};
}

static void pick(const vld_coreset *c, const vld_select_method *m, size_t n, uint32_t *rows)
{
    vl_err e;

    assert_int_equal(vld_coreset_pick(c, m, n, rows, &e), VL_OK);
    for (size_t i = 0; i < n; i++)
        assert_true(rows[i] < N && (!i || rows[i] > rows[i - 1]));
}

static void test_threads(void **state)
{
    vld_warm one = warm(NULL), three;
    vld_coreset *a, *b;
    vl_pool *pool;
    size_t methods = 0;
    vl_err e;

    (void)state;
    assert_int_equal(vl_pool_new(3, &pool, &e), VL_OK);
    three = warm(pool);
    assert_int_equal(vld_coreset_new(&one, &data, true, &a, &e), VL_OK);
    assert_int_equal(vld_coreset_new(&three, &data, true, &b, &e), VL_OK);
    for (const vld_select_method *m = vld_select_methods; m->name; m++) {
        uint32_t x[PICK], y[PICK];
        if (!vld_coreset_takes(m)) {
            assert_int_equal(vld_coreset_pick(a, m, PICK, x, &e), VL_EARG);
            continue;
        }
        methods++;
        pick(a, m, PICK, x);
        pick(b, m, PICK, y);
        assert_memory_equal(x, y, sizeof x);
        assert_int_equal(vld_coreset_pick(a, m, N + 1, x, &e), VL_EARG);
    }
    assert_int_equal(methods, 6); /* herding, k-center, k-means, density, cosine, forgetting */
    vld_coreset_free(a);
    vld_coreset_free(b);
    vl_pool_free(pool);
}

static const vld_select_method *method(const char *name)
{
    const vld_select_method *m = vld_select_methods;

    while (strcmp(m->name, name))
        m++;
    return m;
}

/* Records that are alike have one feature: k-center takes none of them twice. */
static void test_features(void **state)
{
    vld_warm w = warm(NULL);
    uint32_t rows[PICK], seen = 0;
    vld_coreset *c;
    vl_err e;

    (void)state;
    assert_int_equal(vld_coreset_new(&w, &data, false, &c, &e), VL_OK);
    pick(c, method("k-center"), PICK, rows);
    for (size_t i = 0; i < PICK; i++)
        seen |= 1u << rows[i] % (N / 2);
    assert_int_equal(seen, (1u << N / 2) - 1);
    assert_int_equal(vld_coreset_pick(c, method("forgetting"), PICK, rows, &e), VL_EARG); /* not counted */
    vld_coreset_free(c);
}

/* By a score: the best 10 are among the best 20, and records that are alike score alike, so they come in twos. */
static void test_cosine(void **state)
{
    vld_warm w = warm(NULL);
    uint32_t few[PICK / 2], rows[PICK];
    vld_coreset *c;
    vl_err e;

    (void)state;
    assert_int_equal(vld_coreset_new(&w, &data, false, &c, &e), VL_OK);
    pick(c, method("cosine"), PICK / 2, few);
    pick(c, method("cosine"), PICK, rows);
    for (size_t i = 0, at = 0; i < PICK / 2; i++) {
        while (at < PICK && rows[at] != few[i])
            at++;
        assert_true(at < PICK);
        assert_int_equal(rows[i] + N / 2, rows[PICK / 2 + i]);
    }
    vld_coreset_free(c);
}

static void test_errors(void **state)
{
    vld_warm w = warm(NULL);
    vlm_model other;
    vld_coreset *c = NULL;
    vl_err e;

    (void)state;
    w.rate[VLM_IMAGE] = w.rate[VLM_TEXT] = 1e30;
    assert_int_equal(vld_coreset_new(&w, &data, true, &c, &e), VL_EMATH);
    assert_int_equal(vlm_parse("convnet:4x1", SIDE, TEXT + 1, 16, 10.0, &other, &e), VL_OK);
    w.model = &other;
    assert_int_equal(vld_coreset_new(&w, &data, true, &c, &e), VL_EARG);
    assert_null(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_threads), cmocka_unit_test(test_features),
                                       cmocka_unit_test(test_cosine), cmocka_unit_test(test_errors)};

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
