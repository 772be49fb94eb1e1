/* SPDX-License-Identifier: MIT
 * t64_view.c -- views in double: every kind's adjoint, what each kind does against a plain statement of it, and what
 * is drawn. */
#include "pipeline/rng.h"
#include "pipeline/view.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MOST = 23, REALS = MOST * MOST * 3, DRAWS = 40 };

static const char *const all[] = {"crop",
                                  "crop5",
                                  "colour",
                                  "cutout",
                                  "cutout100",
                                  "flip+crop",
                                  "shift3+crop20",
                                  "shift5+colour",
                                  "flip+shift2+crop+colour+cutout30",
                                  "flip+crop+colour+cutout"};
enum { KINDS = sizeof all / sizeof *all };

static vl_augment parse(const char *text)
{
    vl_augment a;
    vl_err e;

    assert_int_equal(vl_augment_parse(text, &a, &e), VL_OK);
    return a;
}

static double dot(const vl_real *a, const vl_real *b, size_t n)
{
    double s = 0;

    for (size_t i = 0; i < n; i++)
        s += a[i] * b[i];
    return s;
}

/* <g, apply(x) - apply(0)> = <adjoint g, x>, added s times. */
static void adjoint(void **state)
{
    static vl_real x[REALS], zero[REALS], g[REALS], ax[REALS], a0[REALS], back[REALS];
    static const size_t sizes[] = {MOST, 16, 1};

    (void)state;
    vl_rng_normal(1, 1, REALS, 1, x);
    vl_rng_normal(1, 2, REALS, 1, g);
    for (size_t k = 0; k < KINDS * 3; k++) {
        const vl_augment a = parse(all[k / 3]);
        size_t size = sizes[k % 3], n = size * size * 3;
        for (uint64_t i = 0; i < DRAWS; i++) {
            vl_view v = vl_view_draw(&a, 5, k, i);
            double left, right;
            vl_view_apply(x, size, v, ax);
            vl_view_apply(zero, size, v, a0);
            for (size_t j = 0; j < n; j++) {
                ax[j] -= a0[j];
                back[j] = 7;
            }
            vl_view_adjoint_add(g, size, v, -0.5, back);
            for (size_t j = 0; j < n; j++)
                back[j] = (back[j] - 7) / -0.5;
            left = dot(g, ax, n);
            right = dot(back, x, n);
            if (!(fabs(left - right) <= 1e-11 * (1 + sqrt(dot(g, g, n) * dot(x, x, n)))))
                fail_msg("%s, %zu pixels, view %d: %.17g and %.17g", all[k / 3], size, (int)i, left, right);
        }
    }
}

/* A picture that is linear in its coordinates is so in a box, too: output (x, y) is where the box says, but for what
 * lies within half a pixel of the picture's edge. */
static void box(void **state)
{
    static vl_real x[REALS], out[REALS];
    const vl_augment a = parse("flip+crop10");
    const double n = MOST;

    (void)state;
    for (int i = 0; i < REALS; i++)
        x[i] = 2.0 * (i / 3 % MOST) + 0.25 * (i / 3 / MOST) + i % 3;
    for (uint64_t k = 0; k < DRAWS; k++) {
        vl_view v = vl_view_draw(&a, 1, 2, k);
        vl_view_apply(x, MOST, v, out);
        for (int i = 0; i < REALS; i++) {
            double px = i / 3 % MOST, py = i / 3.0 / MOST, at_x, at_y;
            px = v.flip ? n - 1 - px : px;
            py = floor(py);
            at_x = fmin(fmax(v.left * n + (px + 0.5) * v.wide - 0.5, 0), n - 1);
            at_y = fmin(fmax(v.top * n + (py + 0.5) * v.high - 0.5, 0), n - 1);
            assert_true(fabs(out[i] - (2 * at_x + 0.25 * at_y + i % 3)) < 1e-12);
        }
    }
    /* all of it is itself */
    const vl_view whole = {.wide = 1, .high = 1};
    vl_view_apply(x, MOST, whole, out);
    for (int i = 0; i < REALS; i++)
        assert_true(fabs(out[i] - x[i]) < 1e-12);
}

static void colours(void **state)
{
    static vl_real x[REALS], out[REALS];
    const vl_view v = {.colour = true, .brightness = 0.3, .saturation = 1.6, .contrast = 0.7};
    const vl_view grey = {.colour = true, .contrast = 1}, flat = {.colour = true, .saturation = 1};
    const vl_view same = {.colour = true, .saturation = 1, .contrast = 1};
    double mean = 0;

    (void)state;
    vl_rng_normal(1, 3, REALS, 1, x);
    for (int i = 0; i < REALS; i++)
        mean += x[i] / REALS;
    vl_view_apply(x, MOST, v, out);
    for (int i = 0; i < REALS; i++) {
        const vl_real *p = x + i / 3 * 3;
        double m = (p[0] + p[1] + p[2]) / 3, saturated = m + 0.3 + 1.6 * (x[i] - m);
        assert_true(fabs(out[i] - (mean + 0.3 + 0.7 * (saturated - mean - 0.3))) < 1e-12);
    }
    vl_view_apply(x, MOST, grey, out);
    for (int i = 0; i < REALS; i += 3)
        assert_true(fabs(out[i] - out[i + 1]) < 1e-12 && fabs(out[i] - out[i + 2]) < 1e-12);
    vl_view_apply(x, MOST, flat, out);
    for (int i = 0; i < REALS; i++)
        assert_true(fabs(out[i] - mean) < 1e-12);
    vl_view_apply(x, MOST, same, out);
    for (int i = 0; i < REALS; i++)
        assert_true(fabs(out[i] - x[i]) < 1e-12);
}

/* The square is a square of zeros, cut at the edges; all else is as it was. */
static void squares(void **state)
{
    static const struct {
        double x, y;
        int x0, x1, y0, y1;
    } rows[] = {{0.5, 0.5, 7, 18, 7, 18}, {0, 0, 0, 6, 0, 6}, {0.999, 0.2, 18, 23, 0, 10}};
    static vl_real x[REALS], out[REALS];

    (void)state;
    vl_rng_normal(1, 4, REALS, 1, x);
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        const vl_view v = {.cut = 0.5, .cut_x = rows[r].x, .cut_y = rows[r].y};
        vl_view_apply(x, MOST, v, out);
        for (int i = 0; i < REALS; i++) {
            int px = i / 3 % MOST, py = i / 3 / MOST;
            bool in = px >= rows[r].x0 && px < rows[r].x1 && py >= rows[r].y0 && py < rows[r].y1;
            if (out[i] != (in ? 0 : x[i]))
                fail_msg("row %zu: pixel %d, %d", r, px, py);
        }
    }
}

/* Within their limits, up to them, and again the same. */
static void draws(void **state)
{
    const vl_augment a = parse("crop30+colour+cutout40");
    enum { N = 20000 };
    double least = 1, most = 0, sum_bright = 0, sum_saturation = 0, sum_contrast = 0, sum_left = 0;

    (void)state;
    for (uint64_t i = 0; i < N; i++) {
        vl_view v = vl_view_draw(&a, 7, 8, i), again = vl_view_draw(&a, 7, 8, i);
        double area = v.wide * v.high, ratio = v.wide / v.high;
        assert_true(v.left == again.left && v.high == again.high && v.cut_x == again.cut_x);
        assert_true(v.brightness == again.brightness && v.saturation == again.saturation);
        assert_true(area >= 0.3 - 1e-12 && v.wide <= 1 && v.high <= 1 + 1e-12 && v.left >= 0 && v.top >= 0);
        assert_true(v.left + v.wide <= 1 + 1e-12 && v.top + v.high <= 1 + 1e-12);
        assert_true(ratio > 0.7499 && ratio < 1.3334 && v.cut == 0.4);
        assert_true(v.cut_x >= 0 && v.cut_x < 1 && v.cut_y >= 0 && v.cut_y < 1);
        assert_true(fabs(v.brightness) <= 0.5 && v.saturation >= 0 && v.saturation <= 2);
        assert_true(v.contrast >= 0.5 && v.contrast <= 1.5);
        least = fmin(least, area);
        most = fmax(most, area);
        sum_bright += v.brightness;
        sum_saturation += v.saturation;
        sum_contrast += v.contrast;
        sum_left += v.wide < 1 ? v.left / (1 - v.wide) : 0.5;
    }
    assert_true(least < 0.31 && most > 0.99);
    assert_true(fabs(sum_bright / N) < 5 * 0.289 / sqrt(N));
    assert_true(fabs(sum_saturation / N - 1) < 5 * 0.578 / sqrt(N));
    assert_true(fabs(sum_contrast / N - 1) < 5 * 0.289 / sqrt(N));
    assert_true(fabs(sum_left / N - 0.5) < 5 * 0.289 / sqrt(N));

    /* A part more leaves the draws of the others. */
    const vl_augment more = parse("flip+shift4+crop30+colour+cutout40");
    vl_view v = vl_view_draw(&a, 7, 8, 1), w = vl_view_draw(&more, 7, 8, 1);
    assert_true(v.left == w.left && v.contrast == w.contrast && v.cut_y == w.cut_y);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(adjoint), cmocka_unit_test(box),
                                       cmocka_unit_test(colours), cmocka_unit_test(squares),
                                       cmocka_unit_test(draws)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
