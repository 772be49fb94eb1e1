/* SPDX-License-Identifier: MIT
 * t_resize.c -- padding and resize against the formula in double precision, done the slow way. */
#include "pipeline/image.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static uint32_t state_of_noise = 1;

static uint8_t noise(void)
{
    state_of_noise = state_of_noise * 1664525u + 1013904223u;
    return (uint8_t)(state_of_noise >> 24);
}

/* The square's pixel at (x, y): white outside the picture. */
static double pixel(const uint8_t *rgb, long w, long h, long x, long y, int c)
{
    long side = w > h ? w : h;

    x -= (side - w) / 2;
    y -= (side - h) / 2;
    return x < 0 || y < 0 || x >= w || y >= h ? 255.0 : rgb[3 * (y * w + x) + c];
}

/* The triangle filter as PIL documents it: support scales with the reduction, weights of samples
 * outside the square are left out and the rest add up to one. */
static double weight(long i, long o, double scale)
{
    double reach = scale > 1 ? scale : 1;
    double far = fabs((double)i + 0.5 - ((double)o + 0.5) * scale) / reach;

    return far < 1 ? 1 - far : 0;
}

static double wanted(const uint8_t *rgb, long w, long h, long size, long ox, long oy, int c)
{
    long side = w > h ? w : h;
    double scale = (double)side / (double)size, reach = scale > 1 ? scale : 1;
    double sum = 0, total = 0;

    for (long y = 0; y < side; y++) {
        if (fabs((double)y + 0.5 - ((double)oy + 0.5) * scale) >= reach)
            continue;
        for (long x = 0; x < side; x++) {
            double k = weight(x, ox, scale) * weight(y, oy, scale);
            if (k > 0) {
                sum += k * pixel(rgb, w, h, x, y, c);
                total += k;
            }
        }
    }
    return sum / total;
}

static const struct {
    uint32_t w, h, size;
} rows[] = {
    {1, 1, 1},    {1, 1, 7},    {2, 1, 3},      {1, 2, 1},    {3, 3, 3},     {5, 7, 64},
    {64, 64, 64}, {64, 63, 64}, {97, 31, 16},   {31, 97, 16}, {128, 96, 64}, {65, 64, 64},
    {257, 3, 5},  {2, 300, 13}, {500, 375, 64}, {701, 2, 1},  {10, 10, 101}, {2500, 1, 3},
};

static void near_the_formula(void **state)
{
    double most = 0;

    (void)state;
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        uint32_t w = rows[r].w, h = rows[r].h, size = rows[r].size;
        uint8_t *rgb = malloc((size_t)w * h * 3), *out = malloc((size_t)size * size * 3);
        vl_err e;
        assert_true(rgb && out);
        /* Noise of all levels, then black and white only: rounding at its worst. */
        for (int kind = 0; kind < 2; kind++) {
            for (size_t i = 0; i < (size_t)w * h * 3; i++)
                rgb[i] = kind ? (noise() & 1 ? 255 : 0) : noise();
            assert_int_equal(vl_image_square(rgb, w, h, size, out, &e), VL_OK);
            for (long i = 0; i < (long)(size * size * 3); i++) {
                long o = i / 3;
                double d = fabs(out[i] - wanted(rgb, w, h, size, o % size, o / size, (int)(i % 3)));
                most = d > most ? d : most;
                if (d > 0.52)
                    fail_msg("%u x %u to %u: sample %ld is %d, off by %.3f", w, h, size, i, out[i], d);
            }
        }
        free(rgb);
        free(out);
    }
    print_message("# greatest distance from the unrounded formula: %.4f grey levels\n", most);
}

/* Equal size and a square: every byte as it was. One colour: that colour, at every size. */
static void exact_cases(void **state)
{
    uint8_t rgb[31 * 31 * 3], out[64 * 64 * 3];
    vl_err e;

    (void)state;
    for (size_t i = 0; i < sizeof rgb; i++)
        rgb[i] = noise();
    assert_int_equal(vl_image_square(rgb, 31, 31, 31, out, &e), VL_OK);
    assert_memory_equal(rgb, out, sizeof rgb);
    for (int level = 0; level < 256; level += 5)
        for (uint32_t size = 1; size <= 64; size += 7) {
            memset(rgb, level, sizeof rgb);
            assert_int_equal(vl_image_square(rgb, 31, 31, size, out, &e), VL_OK);
            for (uint32_t i = 0; i < size * size * 3; i++)
                assert_int_equal(out[i], level);
        }
}

/* 6 x 2 black in a square of 6 to 3: one row of white, one black, one white, by arithmetic on
 * paper: the black rows 2 and 3 carry 3/8 each of the middle row and 1/7 of the others' seven. */
static void padded_by_hand(void **state)
{
    uint8_t rgb[6 * 2 * 3] = {0}, out[3 * 3 * 3];
    vl_err e;

    (void)state;
    assert_int_equal(vl_image_square(rgb, 6, 2, 3, out, &e), VL_OK);
    for (int i = 0; i < 9; i++) {
        assert_int_equal(out[i], 219);    /* 255 * 6/7 = 218.57 */
        assert_int_equal(out[9 + i], 64); /* 255 * 2/8 = 63.75 */
        assert_int_equal(out[18 + i], 219);
    }
}

/* Sides at which the weights' sums outgrow 64 bits if they are not kept in hand. */
static void very_long(void **state)
{
    enum { LONG = 2000000 };
    uint8_t *rgb = malloc((size_t)LONG * 3), out[2 * 2 * 3];
    vl_err e;

    (void)state;
    assert_non_null(rgb);
    memset(rgb, 0, (size_t)LONG * 3);
    for (int tall = 0; tall < 2; tall++) {
        assert_int_equal(vl_image_square(rgb, tall ? 1 : LONG, tall ? LONG : 1, 2, out, &e), VL_OK);
        for (int i = 0; i < 12; i++)
            assert_int_equal(out[i], 255);
    }
    free(rgb);
}

static void bad_arguments(void **state)
{
    uint8_t rgb[3] = {0}, out[3];
    vl_err e;

    (void)state;
    assert_int_equal(vl_image_square(rgb, 1, 1, 0, out, &e), VL_EARG);
    assert_int_equal(vl_image_square(rgb, 1, 1, 4097, out, &e), VL_EARG);
    assert_int_equal(vl_image_square(rgb, 0, 1, 1, out, &e), VL_EARG);
    assert_int_equal(vl_image_square(rgb, 1, 0, 1, out, &e), VL_EARG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(near_the_formula), cmocka_unit_test(exact_cases),   cmocka_unit_test(padded_by_hand),
        cmocka_unit_test(very_long),        cmocka_unit_test(bad_arguments),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
