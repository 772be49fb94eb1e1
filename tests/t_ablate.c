/* SPDX-License-Identifier: MIT
 * t_ablate.c -- a set without one of its parts: that part is what it should be, the others are untouched. */
#include "distill/ablate.h"
#include "pipeline/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { N = 5, SIDE = 16, TEXT = 6, REALS = SIDE * SIDE * 3, CAPS = 9, RANK = 3 };

static vld_distilled set;
static float caption[CAPS * TEXT];
static vl_data train = {.n_caps = CAPS, .text_dim = TEXT, .text = caption};
static const vlm_objective lowrank = {.loss = VLM_WBCE, .sim = VLM_SIM_LOWRANK, .rank = RANK, .alpha = 1},
                           full = {.loss = VLM_WBCE, .sim = VLM_SIM_FULL};

static void noise(vl_real *x, size_t n, uint64_t stream)
{
    vl_rng_normal(1, stream, n, 1, x);
}

static void make(const vlm_objective *o)
{
    vl_err e;

    memset(&set, 0, sizeof set);
    set.objective = o ? *o : (vlm_objective){.loss = VLM_INFONCE};
    assert_int_equal(vlm_parse("convnet:4x1", SIDE, TEXT, 4, 10, &set.model, &e), VL_OK);
    assert_int_equal(o ? vld_set_new_for(&set.model, o, N, &set.set, &e)
                       : vld_set_new(&set.model, N, &set.set, &e),
                     VL_OK);
    noise(set.set.image, N * REALS, 1);
    noise(set.set.text, N * TEXT, 2);
    for (int p = VLD_PART_S; p < VLD_SET_PARTS; p++)
        if (vld_set_part_of(&set.set, (vld_set_part)p))
            noise(vld_set_part_of(&set.set, (vld_set_part)p),
                  N * vld_set_width(&set.model, o, N, (vld_set_part)p), 3 + (uint64_t)p);
    set.set.rate[0] = 0.25;
    set.set.rate[1] = 4;
    set.init_pixels = malloc(N * REALS);
    for (size_t i = 0; i < N * REALS; i++)
        set.init_pixels[i] = (uint8_t)vl_rng_below(1, 9, i, 256);
    for (size_t i = 0; i < sizeof caption / sizeof *caption; i++)
        caption[i] = (float)(vl_rng_unit(1, 10, i) - 0.5);
}

static void unmake(void)
{
    vld_set_free(&set.set);
    free(set.init_pixels);
}

static void same(const vl_real *a, const vl_real *b, size_t n)
{
    assert_memory_equal(a, b, n * sizeof *a);
}

/* Rows of different lengths: the longest is not the nearest, and a zero row never is. */
static void test_text(void **state)
{
    vld_set out;
    vl_err e;

    (void)state;
    make(NULL);
    for (size_t k = 0; k < TEXT; k++) {
        caption[k] = 0;
        caption[7 * TEXT + k] =
            (float)(set.set.text[3 * TEXT + k] * (vl_real)0.001); /* points as text 3 does */
        caption[8 * TEXT + k] = (float)(set.set.text[3 * TEXT + k] * 100 + (k == 0) * 300);
    }
    assert_int_equal(vld_ablate(&set, VLD_NO_TEXT, &train, &out, &e), VL_OK);
    same(out.image, set.set.image, N * REALS);
    assert_true(out.rate[0] == 0.25 && out.rate[1] == 4);
    for (size_t i = 0; i < N; i++) {
        size_t found = 0, best = 0;
        double top = -2;
        for (size_t c = 1; c < CAPS; c++) {
            double dot = 0, square = 0;
            for (size_t k = 0; k < TEXT; k++) {
                dot += (double)set.set.text[i * TEXT + k] * (double)caption[c * TEXT + k];
                square += (double)caption[c * TEXT + k] * (double)caption[c * TEXT + k];
            }
            if (dot * dot * (dot > 0 ? 1 : -1) / square > top) {
                top = dot * dot * (dot > 0 ? 1 : -1) / square;
                best = c;
            }
        }
        for (size_t k = 0; k < TEXT; k++)
            found += out.text[i * TEXT + k] == (vl_real)caption[best * TEXT + k];
        assert_int_equal(found, TEXT);
        assert_true(i != 3 || best == 7);
    }
    vld_set_free(&out);
    assert_int_equal(vld_ablate(&set, VLD_NO_TEXT, NULL, &out, &e), VL_EARG);
    train.text_dim = TEXT + 1;
    assert_int_equal(vld_ablate(&set, VLD_NO_TEXT, &train, &out, &e), VL_EARG);
    train.text_dim = TEXT;
    unmake();
}

static void test_images(void **state)
{
    vld_set out;
    vl_err e;

    (void)state;
    make(NULL);
    assert_int_equal(vld_ablate(&set, VLD_NO_IMAGES, NULL, &out, &e), VL_OK);
    same(out.text, set.set.text, N * TEXT);
    for (size_t i = 0; i < N * REALS; i++) {
        double want = (set.init_pixels[i] / 255.0 - VL_PIXEL_MEAN) / VL_PIXEL_SD;
        assert_true((double)out.image[i] - want < 1e-5 && want - (double)out.image[i] < 1e-5);
    }
    vld_set_free(&out);
    free(set.init_pixels);
    set.init_pixels = NULL;
    assert_int_equal(vld_ablate(&set, VLD_NO_IMAGES, NULL, &out, &e), VL_EFORMAT);
    assert_string_equal(e.text, "the set does not carry the images that it started from");
    unmake();
}

static void test_rates(void **state)
{
    vld_set out;
    vl_err e;

    (void)state;
    make(&lowrank);
    assert_int_equal(vld_ablate(&set, VLD_NO_RATES, NULL, &out, &e), VL_OK);
    same(out.image, set.set.image, N * REALS);
    same(out.text, set.set.text, N * TEXT);
    same(out.l, set.set.l, N * RANK);
    same(out.r, set.set.r, N * RANK);
    same(out.w, set.set.w, N);
    vld_set_free(&out);
    unmake();
}

/* alpha / R l r^T + diag(w), or s, becomes the identity. */
static void test_similarity(void **state)
{
    vld_set out;
    vl_err e;

    (void)state;
    make(&lowrank);
    assert_int_equal(vld_ablate(&set, VLD_NO_SIMILARITY, NULL, &out, &e), VL_OK);
    same(out.image, set.set.image, N * REALS);
    for (size_t i = 0; i < N; i++) {
        assert_true(out.w[i] == 1);
        for (size_t k = 0; k < RANK; k++)
            assert_true(out.r[i * RANK + k] == 0);
    }
    vld_set_free(&out);
    unmake();
    make(&full);
    assert_int_equal(vld_ablate(&set, VLD_NO_SIMILARITY, NULL, &out, &e), VL_OK);
    for (size_t i = 0; i < N * N; i++)
        assert_true(out.s[i] == (i % (N + 1) == 0));
    vld_set_free(&out);
    unmake();
    make(NULL);
    assert_int_equal(vld_ablate(&set, VLD_NO_SIMILARITY, NULL, &out, &e), VL_EFORMAT);
    assert_string_equal(e.text, "the set carries no learned similarity that the identity could replace");
    unmake();
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_text), cmocka_unit_test(test_images),
                                       cmocka_unit_test(test_rates), cmocka_unit_test(test_similarity)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
