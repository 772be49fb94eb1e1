/* SPDX-License-Identifier: MIT
 * image_resize.c -- white square padding and antialiased triangle resize, in integers.
 *
 * Along one axis of n stored samples and m wanted ones, wanted sample o is the mean of the stored samples i
 * with weights
 *     w(i) = max(0, 2 max(n,m) - |(2i+1) m - (2o+1) n|)
 * a triangle over max(n/m, 1) samples to each side of the centre, in units in which every number is an
 * integer: no rounding decides a weight. Weights are brought to a power-of-two sum by rounding their
 * running sum, so they add up exactly and their errors do not pile up.
 *
 * Rows first, then columns: the pass over rows touches every stored byte once with one weight a row, which
 * compilers turn into vector code; what is left for columns is small. Padding is never stored: weights that
 * fall outside the picture are added up and meet white at once.
 *     rows     8-bit samples, weights sum to 2^24  ->  8.8 fixed point in u16 (white is 255 * 256)
 *     columns  8.8 samples, weights sum to 2^16    ->  rounded to 8 bits
 * Both sums stay below 2^32. */
#include "pipeline/image.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { ROW_BITS = 24, COLUMN_BITS = 16, WHITE = 255, TILE = 2048, MAX_SIZE = 4096 };

typedef struct taps {
    size_t first, n;  /* stored samples that count, inside the picture */
    uint32_t padding; /* weight that falls on white */
    uint32_t *weight; /* [n] */
} taps;

/* One axis: a square of side pixels of which [start, start + length) is picture. */
typedef struct axis {
    uint64_t side, start, length, size;
    int bits;
} axis;

/* The triangle's weight of square pixel i for wanted pixel o. */
static uint64_t triangle(const axis *a, uint64_t o, uint64_t i)
{
    uint64_t reach = 2 * (a->side > a->size ? a->side : a->size);
    uint64_t p = (2 * i + 1) * a->size, c = (2 * o + 1) * a->side;
    uint64_t far = p > c ? p - c : c - p;

    return far < reach ? reach - far : 0;
}

/* The square pixels [*lo, *hi) that pixel o may touch. */
static void span(const axis *a, uint64_t o, uint64_t *lo, uint64_t *hi)
{
    uint64_t reach = 2 * (a->side > a->size ? a->side : a->size);
    uint64_t c = (2 * o + 1) * a->side, step = 2 * a->size;

    *lo = c > reach ? (c - reach) / step : 0;
    *hi = (c + reach) / step + 1;
    if (*hi > a->side)
        *hi = a->side;
}

static size_t max_taps(const axis *a)
{
    uint64_t lo, hi, most = 0;

    for (uint64_t o = 0; o < a->size; o++) {
        span(a, o, &lo, &hi);
        most = hi - lo > most ? hi - lo : most;
    }
    return (size_t)(most < a->length ? most : a->length);
}

/* Fills t for wanted pixel o; t->weight has room for max_taps(). */
static void taps_of(const axis *a, uint64_t o, taps *t)
{
    uint64_t lo, hi, total = 0, sum = 0, before = 0, inside = 0;
    int shift = 0;

    span(a, o, &lo, &hi);
    for (uint64_t i = lo; i < hi; i++)
        total += triangle(a, o, i);
    while (total >> shift >> (63 - ROW_BITS)) /* sides over 10^5 only: keeps sum << bits in 64 bits */
        shift++;
    t->n = 0;
    for (uint64_t i = lo; i < hi; i++) {
        sum += triangle(a, o, i);
        uint64_t now = (((sum >> shift) << a->bits) + (total >> shift) / 2) / (total >> shift);
        if (i >= a->start && i < a->start + a->length && (t->n || now > before)) {
            if (!t->n)
                t->first = (size_t)(i - a->start);
            t->weight[t->n++] = (uint32_t)(now - before);
            inside += now - before;
        }
        before = now;
    }
    while (t->n && !t->weight[t->n - 1])
        t->n--;
    t->padding = (uint32_t)(((uint64_t)1 << a->bits) - inside);
}

/* One wanted row over all stored columns: out u16 [samples], 8.8 fixed point. In tiles, so that the
 * sums stay in the first-level cache. */
static void mix_rows(const taps *t, const uint8_t *rgb, size_t samples, uint16_t *out)
{
    uint32_t sum[TILE];

    for (size_t x0 = 0; x0 < samples; x0 += TILE) {
        size_t m = samples - x0 < TILE ? samples - x0 : TILE;
        for (size_t x = 0; x < m; x++)
            sum[x] = t->padding * WHITE + (1u << 15);
        for (size_t k = 0; k < t->n; k++) {
            const uint8_t *row = rgb + (t->first + k) * samples + x0;
            uint32_t w = t->weight[k];
            for (size_t x = 0; x < m; x++)
                sum[x] += w * row[x];
        }
        for (size_t x = 0; x < m; x++)
            out[x0 + x] = (uint16_t)(sum[x] >> 16);
    }
}

static void mix_columns(const taps *t, size_t size, const uint16_t *line, uint8_t *out)
{
    for (size_t o = 0; o < size; o++, t++, out += 3) {
        uint32_t white = t->padding * (WHITE << 8) + (1u << 23);
        uint32_t r = white, g = white, b = white;
        const uint16_t *p = line + 3 * t->first;
        for (size_t k = 0; k < t->n; k++, p += 3) {
            r += t->weight[k] * p[0];
            g += t->weight[k] * p[1];
            b += t->weight[k] * p[2];
        }
        out[0] = (uint8_t)(r >> 24);
        out[1] = (uint8_t)(g >> 24);
        out[2] = (uint8_t)(b >> 24);
    }
}

int vl_image_square(const uint8_t *rgb, uint32_t width, uint32_t height, uint32_t size, uint8_t *out,
                    vl_err *e)
{
    uint64_t side = width > height ? width : height;
    axis down = {side, (side - height) / 2, height, size, ROW_BITS};
    axis across = {side, (side - width) / 2, width, size, COLUMN_BITS};
    uint32_t *row_weights = NULL, *weights = NULL;
    uint16_t *line = NULL;
    taps *columns = NULL, row = {0};
    int rc = VL_ENOMEM;

    if (!width || !height || width > INT32_MAX || height > INT32_MAX)
        return vl_fail(e, VL_EARG, "a picture of %" PRIu32 " x %" PRIu32 " pixels", width, height);
    if (!size || size > MAX_SIZE)
        return vl_fail(e, VL_EARG, "size %" PRIu32 ", 1 to %d expected", size, MAX_SIZE);
    size_t most = max_taps(&across);
    if (!(row_weights = vl_alloc(max_taps(&down), sizeof *row_weights, e)) ||
        !(weights = vl_alloc(most * size, sizeof *weights, e)) ||
        !(columns = vl_alloc(size, sizeof *columns, e)) ||
        !(line = vl_alloc((size_t)width * 3, sizeof *line, e)))
        goto out;
    for (uint32_t o = 0; o < size; o++) {
        columns[o].weight = weights + o * most;
        taps_of(&across, o, &columns[o]);
    }
    row.weight = row_weights;
    for (uint32_t y = 0; y < size; y++) {
        taps_of(&down, y, &row);
        mix_rows(&row, rgb, (size_t)width * 3, line);
        mix_columns(columns, size, line, out + (size_t)y * size * 3);
    }
    rc = VL_OK;
out:
    free(line);
    free(columns);
    free(weights);
    free(row_weights);
    return rc;
}
