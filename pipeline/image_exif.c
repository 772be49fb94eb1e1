/* SPDX-License-Identifier: MIT
 * image_exif.c -- which way up a camera was held, and turning the picture upright.
 *
 * EXIF is advice, not pixels: a block that cannot be read means "as stored", as in every viewer. */
#include "pipeline/image_codec.h"

#include <string.h>

static uint32_t load(const uint8_t *p, int bytes, bool big)
{
    uint32_t v = 0;

    for (int i = 0; i < bytes; i++)
        v |= (uint32_t)p[i] << 8 * (big ? bytes - 1 - i : i);
    return v;
}

int vl_exif_orientation(const uint8_t *tiff, size_t n)
{
    enum { ENTRY = 12, TAG = 0x0112, SHORT = 3 };

    if (n < 8 || (memcmp(tiff, "II*\0", 4) && memcmp(tiff, "MM\0*", 4)))
        return 1;
    bool big = tiff[0] == 'M';
    uint32_t at = load(tiff + 4, 4, big);
    if (at > n - 2)
        return 1;
    uint32_t entries = load(tiff + at, 2, big);
    for (size_t p = (size_t)at + 2; entries-- && n - p >= ENTRY; p += ENTRY) {
        if (load(tiff + p, 2, big) != TAG)
            continue;
        uint32_t v = load(tiff + p + 8, 2, big);
        bool one_short = load(tiff + p + 2, 2, big) == SHORT && load(tiff + p + 4, 4, big) == 1;
        return one_short && v >= 1 && v <= 8 ? (int)v : 1;
    }
    return 1;
}

/* Where the stored pixel (0,0) lies, and how far one step right or down in the stored picture
 * moves, counted in pixels of the upright one. W and H are the upright sides. */
void vl_image_turn(const uint8_t *rgb, uint32_t width, uint32_t height, int orientation, uint8_t *out)
{
    int64_t W = orientation >= 5 ? height : width, H = orientation >= 5 ? width : height;
    const struct {
        int64_t start, right, down;
    } map[9] = {
        [1] = {0, 1, W},            /* as stored */
        [2] = {W - 1, -1, W},       /* mirrored left to right */
        [3] = {W * H - 1, -1, -W},  /* half a turn */
        [4] = {W * (H - 1), 1, -W}, /* mirrored top to bottom */
        [5] = {0, W, 1},            /* transposed */
        [6] = {W - 1, W, -1},       /* a quarter clockwise */
        [7] = {W * H - 1, -W, -1},  /* transposed over the other diagonal */
        [8] = {W * (H - 1), -W, 1}, /* a quarter anticlockwise */
    };

    for (uint32_t y = 0; y < height; y++) {
        int64_t to = map[orientation].start + (int64_t)y * map[orientation].down;
        for (uint32_t x = 0; x < width; x++, to += map[orientation].right, rgb += 3)
            memcpy(out + 3 * to, rgb, 3);
    }
}
