/* SPDX-License-Identifier: MIT
 * mkimage.c -- small images for shell tests, on standard output.
 *
 *   mkimage jpg|png|webp W H SEED    a smooth picture, another one for each seed
 *   mkimage header W H               a PNG that claims W x H and is a few dozen bytes */
#include "tests/data/images.h"

int main(int argc, char **argv)
{
    const char *kind = argc > 3 ? argv[1] : "";
    uint32_t w = argc > 3 ? (uint32_t)strtoul(argv[2], NULL, 10) : 0;
    uint32_t h = argc > 3 ? (uint32_t)strtoul(argv[3], NULL, 10) : 0;
    uint32_t seed = argc > 4 ? (uint32_t)strtoul(argv[4], NULL, 10) : 0;
    blob b = {0};

    if (!strcmp(kind, "header")) {
        b = test_png_header(w, h);
    } else if ((!strcmp(kind, "jpg") || !strcmp(kind, "png") || !strcmp(kind, "webp")) && w && h &&
               w <= 4096 && h <= 4096) {
        uint8_t *rgb = test_picture(w, h);
        for (size_t i = 0; i < (size_t)w * h * 3; i++)
            rgb[i] = (uint8_t)(rgb[i] + 37 * seed);
        b = *kind == 'j'   ? test_jpeg(rgb, w, h, (jpeg_how){.stored = JCS_YCbCr})
            : *kind == 'w' ? test_webp(rgb, w, h, (webp_how){0})
                           : test_png(rgb, w, h, (size_t)w * 3,
                                      (png_how){.colour_type = PNG_COLOR_TYPE_RGB, .depth = 8});
        free(rgb);
    } else {
        fputs("usage: mkimage jpg|png|webp|header W H [SEED]\n", stderr);
        return 2;
    }
    size_t put = fwrite(b.p, 1, b.n, stdout);
    bool whole = put == b.n && !fclose(stdout);
    free(b.p);
    return whole ? 0 : 1;
}
