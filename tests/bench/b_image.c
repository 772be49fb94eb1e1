/* SPDX-License-Identifier: MIT
 * b_image.c -- images a second on one core: decode and square resize, beside the bare libraries.
 *
 * Each line is the median of 15 rounds with the smallest and the greatest. The picture is 256 x
 * 256, smooth with noise on it, so that it compresses as a photograph does. */
#include "pipeline/image.h"
#include "tests/data/images.h"

#include <time.h>

enum { SIDE = 256, SIZE = 64, ROUNDS = 15 };

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* What is timed: one image; ends the program when it fails. */
typedef void work(const blob *b, uint8_t *rgb);

static void bare_jpeg(const blob *b, uint8_t *rgb)
{
    struct jpeg_decompress_struct j;
    struct jpeg_error_mgr errors;

    j.err = jpeg_std_error(&errors);
    jpeg_create_decompress(&j);
    jpeg_mem_src(&j, b->p, b->n);
    jpeg_read_header(&j, TRUE);
    j.out_color_space = JCS_RGB;
    jpeg_start_decompress(&j);
    while (j.output_scanline < j.output_height) {
        JSAMPROW row = rgb + (size_t)j.output_scanline * SIDE * 3;
        jpeg_read_scanlines(&j, &row, 1);
    }
    jpeg_finish_decompress(&j);
    jpeg_destroy_decompress(&j);
}

static void bare_png(const blob *b, uint8_t *rgb)
{
    png_image image = {.version = PNG_IMAGE_VERSION};

    if (!png_image_begin_read_from_memory(&image, b->p, b->n))
        abort();
    image.format = PNG_FORMAT_RGB;
    if (!png_image_finish_read(&image, NULL, rgb, 0, NULL))
        abort();
}

static void check_only(const blob *b, uint8_t *rgb)
{
    vl_image_info info;
    vl_err e;

    (void)rgb;
    if (vl_image_check(b->p, b->n, VL_IMAGE_MAX_PIXELS, &info, &e))
        abort();
}

static void decode_only(const blob *b, uint8_t *rgb)
{
    vl_image_info info;
    vl_err e;
    uint8_t *own = NULL;

    (void)rgb;
    if (vl_image_decode(b->p, b->n, VL_IMAGE_MAX_PIXELS, &own, &info, &e))
        abort();
    free(own);
}

static void decode_and_resize(const blob *b, uint8_t *rgb)
{
    vl_image_info info;
    vl_err e;
    uint8_t *own = NULL;

    if (vl_image_decode(b->p, b->n, VL_IMAGE_MAX_PIXELS, &own, &info, &e) ||
        vl_image_square(own, info.width, info.height, SIZE, rgb, &e))
        abort();
    free(own);
}

static uint8_t *plain; /* decoded, for resize_only */

static void resize_only(const blob *b, uint8_t *rgb)
{
    vl_err e;

    (void)b;
    if (vl_image_square(plain, SIDE, SIDE, SIZE, rgb, &e))
        abort();
}

static void time_it(const char *name, work *f, const blob *b)
{
    static uint8_t rgb[SIDE * SIDE * 3];
    double rate[ROUNDS];
    int n = 1;

    for (double t = 0; t < 0.05; n *= 2) { /* warm-up; then rounds of at least 50 ms */
        double t0 = now();
        for (int i = 0; i < n; i++)
            f(b, rgb);
        t = now() - t0;
    }
    for (int r = 0; r < ROUNDS; r++) {
        double t0 = now();
        for (int i = 0; i < n; i++)
            f(b, rgb);
        rate[r] = n / (now() - t0);
    }
    qsort(rate, ROUNDS, sizeof *rate, by_value);
    printf("%-34s %8.0f images/s  (%.0f to %.0f)\n", name, rate[ROUNDS / 2], rate[0], rate[ROUNDS - 1]);
}

int main(void)
{
    uint32_t seed = 1;

    plain = test_picture(SIDE, SIDE);
    for (size_t i = 0; i < (size_t)SIDE * SIDE * 3; i++) {
        seed = seed * 1664525u + 1013904223u;
        int v = plain[i] + (int)(seed >> 27) - 16;
        plain[i] = (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
    }
    blob jpeg = test_jpeg(plain, SIDE, SIDE, (jpeg_how){.stored = JCS_YCbCr});
    blob png = test_png(plain, SIDE, SIDE, SIDE * 3, (png_how){.colour_type = 2, .depth = 8});
    printf("%d x %d pixels to %d x %d; JPEG %zu bytes, PNG %zu bytes\n", SIDE, SIDE, SIZE, SIZE, jpeg.n,
           png.n);
    time_it("JPEG, libjpeg-turbo alone", bare_jpeg, &jpeg);
    time_it("JPEG, check", check_only, &jpeg);
    time_it("JPEG, check + decode", decode_only, &jpeg);
    time_it("JPEG, check + decode + resize", decode_and_resize, &jpeg);
    time_it("PNG, libpng alone", bare_png, &png);
    time_it("PNG, check", check_only, &png);
    time_it("PNG, check + decode", decode_only, &png);
    time_it("PNG, check + decode + resize", decode_and_resize, &png);
    time_it("resize", resize_only, NULL);
    free(plain);
    free(jpeg.p);
    free(png.p);
    return 0;
}
