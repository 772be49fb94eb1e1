/* SPDX-License-Identifier: MIT
 * f_image.c -- any bytes as an image. What decodes has the size that the header claims, and passes the check that
 * does not decode; its square is made, too. PNG chunks get their CRC back after a mutation. */
#include "pipeline/image.h"
#include "tests/fuzz/fuzz.h"

#include <zlib.h>

enum { PIXELS_MAX = 1 << 18, SIDE = 24 };

static void fix_png(uint8_t *p, size_t n)
{
    for (size_t at = 8; n - at >= 12 && at < n;) {
        size_t len = (size_t)p[at] << 24 | (size_t)p[at + 1] << 16 | (size_t)p[at + 2] << 8 | p[at + 3];
        uint32_t crc;

        if (len > n - at - 12)
            return;
        crc = (uint32_t)crc32(crc32(0, NULL, 0), p + at + 4, (uInt)len + 4);
        for (int i = 0; i < 4; i++)
            p[at + 8 + len + (size_t)i] = (uint8_t)(crc >> (24 - 8 * i));
        at += 12 + len;
    }
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t n, size_t max, unsigned seed)
{
    n = LLVMFuzzerMutate(data, n, max);
    if (seed % 4 && n > 8 && !memcmp(data, "\x89PNG", 4))
        fix_png(data, n);
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    vl_image_info seen = {0}, info = {0};
    uint8_t square[SIDE * SIDE * 3], *rgb = NULL;
    int checked, decoded;
    vl_err e, e2;

    checked = told(vl_image_check(data, n, PIXELS_MAX, &seen, &e2), &e2);
    decoded = told(vl_image_decode(data, n, PIXELS_MAX, &rgb, &info, &e), &e);
    if (decoded)
        return 0;
    HOLDS(!checked);
    HOLDS(seen.kind == info.kind && vl_image_ext(info.kind));
    HOLDS(info.orientation >= 1 && info.orientation <= 8 && seen.orientation == info.orientation);
    HOLDS(info.orientation < 5 ? seen.width == info.width && seen.height == info.height
                               : seen.width == info.height && seen.height == info.width);
    HOLDS(info.width && info.height && (uint64_t)info.width * info.height <= PIXELS_MAX);
    if (rgb[(size_t)info.width * info.height * 3 - 1] == 255) /* the last byte is there */
        rgb[0] ^= 1;
    told(vl_image_square(rgb, info.width, info.height, SIDE, square, &e), &e);
    free(rgb);
    return 0;
}
