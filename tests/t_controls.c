/* SPDX-License-Identifier: MIT
 * t_controls.c -- random subsets and the real pairs behind a distilled set. */
#include "distill/controls.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { N = 50, SIDE = 16, TEXT = 3, REALS = SIDE * SIDE * 3, DRAWS = 6, PICK = 10 };

/* Record i: every byte i; captions 2i and 2i + 1 with rows (2i, 0, 0) and (2i + 1, 0, 0); 100 + i bytes. */
static int set_up(void **state)
{
    vl_data *d = calloc(1, sizeof *d);

    d->n = N;
    d->n_caps = 2 * N;
    d->size = SIDE;
    d->text_dim = TEXT;
    d->images = malloc(N * REALS);
    d->text = calloc((size_t)2 * N * TEXT, sizeof *d->text);
    d->cap = malloc((N + 1) * sizeof *d->cap);
    d->key = calloc(N, sizeof *d->key);
    d->bytes = calloc(N, sizeof *d->bytes);
    for (size_t i = 0; i <= N; i++)
        d->cap[i] = 2 * i;
    for (size_t c = 0; c < 2 * N; c++)
        d->text[c * TEXT] = (float)c;
    for (size_t i = 0; i < N; i++) {
        char key[24];
        snprintf(key, sizeof key, "pictures/%zu", i);
        d->key[i] = strdup(key);
        d->bytes[i] = 100 + i;
        memset(d->images + i * REALS, (int)i, REALS);
    }
    *state = d;
    return 0;
}

static int tear_down(void **state)
{
    vl_data_free(*state);
    free(*state);
    return 0;
}

static void test_random(void **state)
{
    const vl_data *d = *state;
    uint32_t rows[DRAWS][PICK], again[2][PICK], all[N];
    vl_err e;

    assert_int_equal(vld_control_random(d, PICK, DRAWS, 3, rows[0], &e), VL_OK);
    for (int k = 0; k < DRAWS; k++) {
        for (int i = 0; i < PICK; i++)
            assert_true(rows[k][i] < N && (!i || rows[k][i] > rows[k][i - 1]));
        for (int j = 0; j < k; j++)
            assert_memory_not_equal(rows[j], rows[k], sizeof rows[k]);
    }
    assert_int_equal(vld_control_random(d, PICK, 2, 3, again[0], &e), VL_OK);
    assert_memory_equal(again, rows, sizeof again);
    assert_int_equal(vld_control_random(d, PICK, 1, 4, again[0], &e), VL_OK);
    assert_memory_not_equal(again[0], rows[0], sizeof rows[0]);
    assert_int_equal(vld_control_random(d, N, 1, 3, all, &e), VL_OK);
    for (uint32_t i = 0; i < N; i++)
        assert_int_equal(all[i], i);
    assert_int_equal(vld_control_random(d, N + 1, 1, 3, all, &e), VL_EARG);
}

static void test_bytes(void **state)
{
    const uint32_t rows[] = {0, 7, 7};
    vl_data d = *(const vl_data *)*state;

    assert_true(vld_control_bytes(&d, rows, 3) == 100 + 107 + 107);
    assert_true(vld_control_bytes(&d, NULL, 0) == 100 * N + N * (N - 1) / 2);
    d.bytes = NULL;
    assert_true(vld_control_bytes(&d, rows, 3) == 0);
}

static void test_initial(void **state)
{
    const vl_data *d = *state;
    char *keys[] = {d->key[30], d->key[0], d->key[30]};
    uint32_t caps[] = {1, 0, 0}, rows[3];
    vld_distilled set = {.init_key = keys, .init_cap = caps};
    vld_set out;
    vl_err e;

    assert_int_equal(vlm_parse("convnet:4x1", SIDE, TEXT, 4, 10, &set.model, &e), VL_OK);
    set.set.n = 3;
    assert_int_equal(vld_control_initial(d, &set, rows, &out, &e), VL_OK);
    assert_int_equal(out.n, 3);
    for (int i = 0; i < 3; i++) {
        size_t record = i == 1 ? 0 : 30;
        vl_real want = ((vl_real)record / 255 - VL_PIXEL_MEAN) / VL_PIXEL_SD;
        assert_int_equal(rows[i], record);
        assert_true(out.text[i * TEXT] == (vl_real)(2 * record + caps[i]) && out.text[i * TEXT + 1] == 0);
        for (int k = 0; k < REALS; k++)
            assert_true(out.image[i * REALS + k] - want < 1e-5 && want - out.image[i * REALS + k] < 1e-5);
    }
    vld_set_free(&out);

    caps[2] = 2;
    assert_int_equal(vld_control_initial(d, &set, NULL, &out, &e), VL_EFORMAT);
    assert_string_equal(e.text, "pair 2 started from caption 2 of record 'pictures/30', which has 2");
    caps[2] = UINT32_MAX;
    assert_int_equal(vld_control_initial(d, &set, NULL, &out, &e), VL_EFORMAT);
    caps[2] = 0;
    char stranger[] = "pictures/50";
    keys[1] = stranger;
    assert_int_equal(vld_control_initial(d, &set, NULL, &out, &e), VL_EFORMAT);
    assert_string_equal(e.text, "pair 1 started from record 'pictures/50', which the training data lack");
    keys[1] = NULL;
    assert_int_equal(vld_control_initial(d, &set, NULL, &out, &e), VL_EFORMAT);
    set.model.size = 32;
    assert_int_equal(vld_control_initial(d, &set, NULL, &out, &e), VL_EARG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_initial),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
