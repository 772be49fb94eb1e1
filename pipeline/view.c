/* SPDX-License-Identifier: MIT
 * view.c -- views and their adjoints. A view without a box takes each pixel as it is. */
#include "pipeline/view.h"

#include <math.h>

bool vl_view_still(const vl_view *v)
{
    return !v->flip && !v->dx && !v->dy && !(v->wide > 0) && !v->colour && !(v->cut > 0);
}

/* ---- where a pixel comes from ------------------------------------------------------------------------- */

/* The place in the box (or the whole image) of output position i, or -1 for white. */
static long source(long i, int d, bool mirror, long size)
{
    long s = i - d;

    if (s < 0 || s >= size)
        return -1;
    return mirror ? size - 1 - s : s;
}

/* Between which two positions of the image a place in the box lies, and how far from the first. */
typedef struct between {
    long a, b;
    vl_real t;
} between;

static between place(long s, double first, double length, long size)
{
    double at = first * (double)size + ((double)s + 0.5) * length - 0.5;
    double low = floor(fmin(fmax(at, 0), (double)(size - 1)));
    long a = (long)low;

    return (between){a, a + 1 < size ? a + 1 : a, (vl_real)(fmin(fmax(at, low), low + 1) - low)};
}

/* ---- colours and the square ---------------------------------------------------------------------------- */

/* The square's rows or columns: *from up to *to, within the image. */
static void cut_range(double cut, double middle, long size, long *from, long *to)
{
    long side = (long)(cut * (double)size), begin = (long)(middle * (double)(size + 1)) - side / 2;

    *from = begin > 0 ? begin : 0;
    *to = begin + side < size ? begin + side : size;
}

typedef struct square {
    long x0, x1, y0, y1;
} square;

static square square_of(vl_view v, long size)
{
    square q = {0, 0, 0, 0};

    if (v.cut > 0) {
        cut_range(v.cut, v.cut_x, size, &q.x0, &q.x1);
        cut_range(v.cut, v.cut_y, size, &q.y0, &q.y1);
    }
    return q;
}

static bool inside(square q, long x, long y)
{
    return x >= q.x0 && x < q.x1 && y >= q.y0 && y < q.y1;
}

/* x = m + factor (x - m), m the mean of the three; the factor's own adjoint. */
static void saturate(vl_real *x, vl_real factor)
{
    vl_real m = (x[0] + x[1] + x[2]) / 3;

    for (int c = 0; c < 3; c++)
        x[c] = m + factor * (x[c] - m);
}

static void recolour(vl_view v, long n, vl_real *out)
{
    const vl_real bright = (vl_real)v.brightness, contrast = (vl_real)v.contrast;
    double sum = 0;
    vl_real mean;

    for (long i = 0; i < 3 * n * n; i += 3) {
        for (int c = 0; c < 3; c++)
            out[i + c] += bright;
        saturate(out + i, (vl_real)v.saturation);
        sum += (double)out[i] + (double)out[i + 1] + (double)out[i + 2];
    }
    mean = (vl_real)(sum / (double)(3 * n * n));
    for (long i = 0; i < 3 * n * n; i++)
        out[i] = mean + contrast * (out[i] - mean);
}

static void cut_out(vl_view v, long n, vl_real *out)
{
    square q = square_of(v, n);

    for (long y = q.y0; y < q.y1; y++)
        for (long i = 3 * (y * n + q.x0); i < 3 * (y * n + q.x1); i++)
            out[i] = 0;
}

/* ---- forward -------------------------------------------------------------------------------------------- */

/* The two sources of pixels: value i of img. */
typedef vl_real value_fn(const void *img, long i);

static inline vl_real real_value(const void *img, long i)
{
    return ((const vl_real *)img)[i];
}

static inline vl_real u8_value(const void *img, long i)
{
    const vl_real scale = VL_R(1.0) / (VL_R(255.0) * VL_PIXEL_SD), shift = VL_PIXEL_MEAN / VL_PIXEL_SD;

    return (vl_real)((const uint8_t *)img)[i] * scale - shift;
}

/* Inlined, as are those that call it, so that the call by value costs nothing. */
static inline __attribute__((always_inline)) void whole(const void *img, value_fn *value, long n, vl_view v,
                                                        vl_real *out)
{
    for (long y = 0; y < n; y++) {
        long sy = source(y, v.dy, false, n);
        for (long x = 0; x < n; x++, out += 3) {
            long sx = source(x, v.dx, v.flip, n), at = (sy * n + sx) * 3;
            bool in = sy >= 0 && sx >= 0;
            for (int c = 0; c < 3; c++)
                out[c] = in ? value(img, at + c) : VL_PIXEL_WHITE;
        }
    }
}

static inline __attribute__((always_inline)) void boxed(const void *img, value_fn *value, long n, vl_view v,
                                                        vl_real *out)
{
    for (long y = 0; y < n; y++) {
        long sy = source(y, v.dy, false, n);
        between r = place(sy < 0 ? 0 : sy, v.top, v.high, n);
        for (long x = 0; x < n; x++, out += 3) {
            long sx = source(x, v.dx, v.flip, n);
            between q = place(sx < 0 ? 0 : sx, v.left, v.wide, n);
            bool in = sy >= 0 && sx >= 0;
            for (int c = 0; c < 3; c++) {
                vl_real above = (1 - q.t) * value(img, (r.a * n + q.a) * 3 + c) +
                                q.t * value(img, (r.a * n + q.b) * 3 + c);
                vl_real below = (1 - q.t) * value(img, (r.b * n + q.a) * 3 + c) +
                                q.t * value(img, (r.b * n + q.b) * 3 + c);
                out[c] = in ? (1 - r.t) * above + r.t * below : VL_PIXEL_WHITE;
            }
        }
    }
}

static inline __attribute__((always_inline)) void apply(const void *img, value_fn *value, long n, vl_view v,
                                                        vl_real *out)
{
    if (v.wide > 0)
        boxed(img, value, n, v, out);
    else
        whole(img, value, n, v, out);
    if (v.colour)
        recolour(v, n, out);
    if (v.cut > 0)
        cut_out(v, n, out);
}

void vl_view_apply(const vl_real *img, size_t size, vl_view v, vl_real *out)
{
    apply(img, real_value, (long)size, v, out);
}

void vl_view_apply_u8(const uint8_t *img, size_t size, vl_view v, vl_real *out)
{
    apply(img, u8_value, (long)size, v, out);
}

/* ---- adjoint -------------------------------------------------------------------------------------------- */

/* What contrast sends to every value alike: its mean's share of what flows back. */
static vl_real to_mean(const vl_real *g, long n, vl_view v, square q)
{
    double sum = 0;

    if (!v.colour)
        return 0;
    for (long y = 0, i = 0; y < n; y++)
        for (long x = 0; x < n; x++, i += 3)
            if (!inside(q, x, y))
                sum += (double)g[i] + (double)g[i + 1] + (double)g[i + 2];
    return (vl_real)((1 - v.contrast) * sum / (double)(3 * n * n));
}

/* g behind the square and the colours: what flows to one pixel before them. */
static void colours_back(vl_view v, bool cut, vl_real mean, const vl_real *g, vl_real *to)
{
    for (int c = 0; c < 3; c++)
        to[c] = cut ? 0 : g[c];
    if (!v.colour)
        return;
    for (int c = 0; c < 3; c++)
        to[c] = (vl_real)v.contrast * to[c] + mean;
    saturate(to, (vl_real)v.saturation);
}

/* Adds s g, of a pixel at (sx, sy) of the box, to the pixels of the image that it came from. */
static void spread(vl_view v, long sx, long sy, long n, vl_real s, const vl_real *g, vl_real *img)
{
    between r = place(sy, v.top, v.high, n), q = place(sx, v.left, v.wide, n);

    for (int c = 0; c < 3; c++) {
        vl_real above = s * (1 - r.t) * g[c], below = s * r.t * g[c];
        img[(r.a * n + q.a) * 3 + c] += (1 - q.t) * above;
        img[(r.a * n + q.b) * 3 + c] += q.t * above;
        img[(r.b * n + q.a) * 3 + c] += (1 - q.t) * below;
        img[(r.b * n + q.b) * 3 + c] += q.t * below;
    }
}

void vl_view_adjoint_add(const vl_real *g, size_t size, vl_view v, vl_real s, vl_real *img)
{
    long n = (long)size;
    square q = square_of(v, n);
    vl_real mean = to_mean(g, n, v, q), one[3];

    for (long y = 0; y < n; y++) {
        long sy = source(y, v.dy, false, n);
        for (long x = 0; x < n; x++, g += 3) {
            long sx = source(x, v.dx, v.flip, n);
            if (sy < 0 || sx < 0)
                continue;
            colours_back(v, inside(q, x, y), mean, g, one);
            if (v.wide > 0)
                spread(v, sx, sy, n, s, one, img);
            else
                for (int c = 0; c < 3; c++)
                    img[(sy * n + sx) * 3 + c] += s * one[c];
        }
    }
}
