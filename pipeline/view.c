/* SPDX-License-Identifier: MIT */
#include "pipeline/view.h"
#include "pipeline/rng.h"

#include <stdlib.h>
#include <string.h>

int vl_augment_parse(const char *text, vl_augment *out, vl_err *e)
{
    vl_augment a = {false, 0};
    const char *s = text;
    char *end;

    if (!strcmp(s, "none")) {
        *out = a;
        return VL_OK;
    }
    if (!strncmp(s, "flip", 4)) {
        a.flip = true;
        s += 4;
    }
    if (a.flip && !strncmp(s, "+shift", 6))
        s++;
    if (s != text + 4 && !strncmp(s, "shift", 5) && s[5] >= '0' && s[5] <= '9') { /* not "flipshift" */
        long n = strtol(s + 5, &end, 10);
        a.shift = n <= VL_SHIFT_MAX ? (int)n : -1;
        s = end;
    }
    if (*s || s == text || a.shift < 0)
        return vl_fail(e, VL_EARG, "'%.40s': none, flip, shiftN or flip+shiftN wanted, N up to %d", text,
                       VL_SHIFT_MAX);
    *out = a;
    return VL_OK;
}

vl_view vl_view_draw(const vl_augment *a, uint64_t seed, uint64_t stream, uint64_t index)
{
    uint64_t r = vl_rng(seed, stream, index);
    uint64_t span = 2 * (uint64_t)a->shift + 1;
    vl_view v = {false, 0, 0};

    v.flip = a->flip && (r & 1);
    if (a->shift > 0) {
        v.dx = (int)((r >> 8 & 0xffffff) % span) - a->shift;
        v.dy = (int)((r >> 32 & 0xffffff) % span) - a->shift;
    }
    return v;
}

/* The source column or row of output position i, or -1 for white. */
static long source(long i, int d, bool mirror, long size)
{
    long s = i - d;

    if (s < 0 || s >= size)
        return -1;
    return mirror ? size - 1 - s : s;
}

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

/* Inlined, so that the call by value costs nothing. */
static inline __attribute__((always_inline)) void apply(const void *img, value_fn *value, size_t size,
                                                        vl_view v, vl_real *out)
{
    long n = (long)size;

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

void vl_view_apply(const vl_real *img, size_t size, vl_view v, vl_real *out)
{
    apply(img, real_value, size, v, out);
}

void vl_view_apply_u8(const uint8_t *img, size_t size, vl_view v, vl_real *out)
{
    apply(img, u8_value, size, v, out);
}

void vl_view_adjoint_add(const vl_real *g, size_t size, vl_view v, vl_real s, vl_real *img)
{
    long n = (long)size;

    for (long y = 0; y < n; y++) {
        long sy = source(y, v.dy, false, n);
        for (long x = 0; x < n; x++, g += 3) {
            long sx = source(x, v.dx, v.flip, n);
            if (sy < 0 || sx < 0)
                continue;
            for (int c = 0; c < 3; c++)
                img[(sy * n + sx) * 3 + c] += s * g[c];
        }
    }
}
