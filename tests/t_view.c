/* SPDX-License-Identifier: MIT
 * t_view.c -- views: the adjoint identity, bytes as floats, what is drawn, and how it is written. */
#include "pipeline/rng.h"
#include "pipeline/view.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SIZE = 12, REALS = SIZE * SIZE * 3 };

static const vl_view views[] = {
    {0},
    {.flip = true},
    {.dx = 3},
    {.dy = -2},
    {.flip = true, .dx = -4, .dy = 5},
    {.flip = true, .dx = 11, .dy = 1},
    {.dx = 12},
    {.flip = true, .dx = -12, .dy = 12},
    {.dx = 64, .dy = -64},
};

static double dot(const vl_real *a, const vl_real *b)
{
    double s = 0;

    for (size_t i = 0; i < REALS; i++)
        s += (double)a[i] * (double)b[i];
    return s;
}

/* <g, apply(x) - apply(0)> = <adjoint g, x>: apply is affine, white comes in at the edges. Whole numbers,
 * so that both sides are exact. */
static void adjoint(void **state)
{
    static vl_real x[REALS], zero[REALS], g[REALS], ax[REALS], a0[REALS], back[REALS];

    (void)state;
    for (size_t i = 0; i < REALS; i++) {
        x[i] = (vl_real)((int)(vl_rng(1, 1, i) % 21) - 10);
        g[i] = (vl_real)((int)(vl_rng(1, 2, i) % 21) - 10);
    }
    for (size_t v = 0; v < sizeof views / sizeof *views; v++) {
        vl_view_apply(x, SIZE, views[v], ax);
        vl_view_apply(zero, SIZE, views[v], a0);
        for (size_t i = 0; i < REALS; i++)
            ax[i] -= a0[i];
        memset(back, 0, sizeof back);
        vl_view_adjoint_add(g, SIZE, views[v], 1, back);
        if (dot(g, ax) != dot(back, x))
            fail_msg("view %zu: %g and %g", v, dot(g, ax), dot(back, x));
        /* it adds, s times */
        vl_view_adjoint_add(g, SIZE, views[v], -1, back);
        for (size_t i = 0; i < REALS; i++)
            assert_true(back[i] == 0);
    }
}

/* Output (x, y) is input (x - dx, y - dy), mirrored, or white. */
static void pixels(void **state)
{
    static vl_real x[REALS], out[REALS];

    (void)state;
    vl_rng_normal(1, 3, REALS, 1, x);
    for (size_t v = 0; v < sizeof views / sizeof *views; v++) {
        vl_view_apply(x, SIZE, views[v], out);
        for (int i = 0; i < REALS; i++) {
            int c = i % 3, px = i / 3 % SIZE, py = i / 3 / SIZE, sx = px - views[v].dx, sy = py - views[v].dy;
            vl_real want = VL_PIXEL_WHITE;
            if (sx >= 0 && sx < SIZE && sy >= 0 && sy < SIZE)
                want = x[(sy * SIZE + (views[v].flip ? SIZE - 1 - sx : sx)) * 3 + c];
            assert_true(out[i] == want);
        }
    }
}

static void bytes_are_floats(void **state)
{
    static uint8_t img[REALS];
    static vl_real x[REALS], a[REALS], b[REALS];

    (void)state;
    for (size_t i = 0; i < REALS; i++)
        img[i] = (uint8_t)i;
    vl_view_apply_u8(img, SIZE, (vl_view){0}, x);
    for (size_t i = 0; i < REALS; i++)
        assert_true(fabs((double)x[i] - ((double)img[i] / 255 - 0.5) / 0.25) < 1e-6);
    for (size_t v = 0; v < sizeof views / sizeof *views; v++) {
        vl_view_apply(x, SIZE, views[v], a);
        vl_view_apply_u8(img, SIZE, views[v], b);
        assert_memory_equal(a, b, sizeof a);
    }
}

/* Draws cover exactly what the augmentation allows, and depend on (seed, stream, index) alone. */
static void draws(void **state)
{
    static const vl_augment rows[] = {
        {0}, {.flip = true}, {.shift = 1}, {.flip = true, .shift = 4}, {.flip = true, .shift = 64}};
    enum { N = 20000 };

    (void)state;
    for (size_t row = 0; row < sizeof rows / sizeof *rows; row++) {
        int flips = 0, s = rows[row].shift, count[2][2 * VL_SHIFT_MAX + 1] = {{0}};
        for (uint64_t i = 0; i < N; i++) {
            vl_view v = vl_view_draw(&rows[row], 7, 8, i), again = vl_view_draw(&rows[row], 7, 8, i);
            assert_true(v.flip == again.flip && v.dx == again.dx && v.dy == again.dy);
            assert_true(abs(v.dx) <= s && abs(v.dy) <= s);
            flips += v.flip;
            count[0][v.dx + s]++;
            count[1][v.dy + s]++;
        }
        if (rows[row].flip)
            assert_true(abs(flips - N / 2) < 5 * 71); /* 5 sd */
        else
            assert_int_equal(flips, 0);
        for (int k = 0; k < 2 * s + 1; k++)
            for (int axis = 0; axis < 2; axis++) {
                double p = 1.0 / (2 * s + 1), sd = sqrt(N * p * (1 - p));
                assert_true(fabs(count[axis][k] - N * p) <= 5 * sd);
            }
    }
    vl_view a = vl_view_draw(&rows[4], 7, 8, 1), b = vl_view_draw(&rows[4], 7, 9, 1),
            c = vl_view_draw(&rows[4], 8, 8, 1);
    assert_false(a.dx == b.dx && a.dy == b.dy);
    assert_false(a.dx == c.dx && a.dy == c.dy);
}

/* A view of bytes is that of their values. */
static void bytes_are_seen(void **state)
{
    static const vl_augment every = {.flip = true, .shift = 2, .crop = 30, .cutout = 40, .colour = true};
    static uint8_t img[REALS];
    static vl_real x[REALS], a[REALS], b[REALS];

    (void)state;
    for (size_t i = 0; i < REALS; i++)
        img[i] = (uint8_t)vl_rng(1, 5, i);
    vl_view_apply_u8(img, SIZE, (vl_view){0}, x);
    for (uint64_t i = 0; i < 20; i++) {
        vl_view v = vl_view_draw(&every, 1, 2, i);
        vl_view_apply(x, SIZE, v, a);
        vl_view_apply_u8(img, SIZE, v, b);
        assert_memory_equal(a, b, sizeof a);
    }
}

static void parsing(void **state)
{
    static const struct {
        const char *text;
        const char *again; /* as it is written; NULL: refused */
        vl_augment a;
    } rows[] = {
        {"none", "none", {0}},
        {"flip", "flip", {.flip = true}},
        {"shift0", "none", {0}},
        {"shift4", "shift4", {.shift = 4}},
        {"flip+shift4", "flip+shift4", {.flip = true, .shift = 4}},
        {"shift4+flip", "flip+shift4", {.flip = true, .shift = 4}},
        {"shift64", "shift64", {.shift = 64}},
        {"crop", "crop50", {.crop = 50}},
        {"crop100", "crop100", {.crop = 100}},
        {"cutout+crop5", "crop5+cutout50", {.crop = 5, .cutout = 50}},
        {"colour", "colour", {.colour = true}},
        {"flip+shift64+crop100+colour+cutout100",
         "flip+shift64+crop100+colour+cutout100",
         {.flip = true, .shift = 64, .crop = 100, .cutout = 100, .colour = true}},
        {"", NULL, {0}},
        {"flip+", NULL, {0}},
        {"flip+flip", NULL, {0}},
        {"flip2", NULL, {0}},
        {"shift", NULL, {0}},
        {"shift65", NULL, {0}},
        {"shift-1", NULL, {0}},
        {"shift4x", NULL, {0}},
        {"shift+4", NULL, {0}},
        {"flipshift4", NULL, {0}},
        {"flip+none", NULL, {0}},
        {"none+flip", NULL, {0}},
        {"shift99999999999999999999", NULL, {0}},
        {"crop99999999999999999999", NULL, {0}},
        {"+shift4", NULL, {0}},
        {"Flip", NULL, {0}},
        {"crop0", NULL, {0}},
        {"crop101", NULL, {0}},
        {"crop50%", NULL, {0}},
        {"cutout0", NULL, {0}},
        {"cutout101", NULL, {0}},
        {"colour1", NULL, {0}},
        {"color", NULL, {0}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const vl_augment before = {.flip = true, .shift = 77};
        vl_augment a = before;
        char text[VL_AUGMENT_TEXT];
        vl_err e = {0};
        int rc = vl_augment_parse(rows[i].text, &a, &e);
        if (rc != (rows[i].again ? VL_OK : VL_EARG))
            fail_msg("'%s': %d %s", rows[i].text, rc, e.text);
        assert_true(vl_augment_equal(&a, rc ? &before : &rows[i].a)); /* untouched */
        if (rc)
            continue;
        vl_augment_text(&a, text);
        assert_string_equal(text, rows[i].again);
        assert_int_equal(vl_augment_any(&a), strcmp(text, "none") != 0);
    }
    /* each part counts */
    const vl_augment none = {0},
                     one[] = {{.flip = true}, {.shift = 1}, {.crop = 1}, {.cutout = 1}, {.colour = true}};
    for (size_t i = 0; i < sizeof one / sizeof *one; i++)
        assert_false(vl_augment_equal(&none, &one[i]) || !vl_augment_any(&one[i]));
}

static void still(void **state)
{
    static const vl_view moving[] = {{.flip = true},         {.dx = 1},        {.dy = -1},
                                     {.wide = 1, .high = 1}, {.colour = true}, {.cut = 0.1}};
    const vl_view none = {0};

    (void)state;
    assert_true(vl_view_still(&none));
    for (size_t i = 0; i < sizeof moving / sizeof *moving; i++)
        assert_false(vl_view_still(&moving[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(adjoint),        cmocka_unit_test(pixels), cmocka_unit_test(bytes_are_floats),
        cmocka_unit_test(bytes_are_seen), cmocka_unit_test(draws),  cmocka_unit_test(parsing),
        cmocka_unit_test(still)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
