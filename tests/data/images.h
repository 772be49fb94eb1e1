/* SPDX-License-Identifier: MIT
 * images.h -- small JPEG, PNG and WebP files made in memory with the libraries themselves, for tests.
 * Every function ends the test program when it cannot do its work. */
#ifndef TEST_IMAGES_H
#define TEST_IMAGES_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>
#include <png.h>
#include <webp/encode.h>
#include <zlib.h>

typedef struct blob {
    uint8_t *p; /* malloc */
    size_t n;
} blob;

static inline void *must(void *p)
{
    if (!p) {
        fputs("images.h: out of memory\n", stderr);
        abort();
    }
    return p;
}

/* The picture: red grows to the right, green downward, blue along the diagonal; u8 [h,w,3]. Smooth,
 * so that JPEG changes it little, and without symmetry, so that a wrong turn shows. */
static inline uint8_t *test_picture(uint32_t w, uint32_t h)
{
    uint8_t *rgb = must(malloc((size_t)w * h * 3)), *p = rgb;

    for (uint32_t y = 0; y < h; y++)
        for (uint32_t x = 0; x < w; x++) {
            *p++ = (uint8_t)(w > 1 ? 255 * x / (w - 1) : 0);
            *p++ = (uint8_t)(h > 1 ? 255 * y / (h - 1) : 0);
            *p++ = (uint8_t)(255 * (x + y) / (w + h));
        }
    return rgb;
}

typedef struct jpeg_how {
    J_COLOR_SPACE stored; /* JCS_YCbCr, JCS_GRAYSCALE, JCS_RGB, JCS_CMYK, JCS_YCCK */
    bool progressive;
    int restart;     /* MCU rows between restart markers, 0: none */
    int orientation; /* 0: no EXIF */
    bool big_endian; /* EXIF */
} jpeg_how;

/* Grey input is the picture's red; CMYK input is inverted, as Adobe does: C' M' Y' = R G B, K' =
 * 255. */
static inline void test_jpeg_row(const uint8_t *rgb, uint32_t w, int channels, uint8_t *row)
{
    for (uint32_t x = 0; x < w; x++, rgb += 3, row += channels) {
        memcpy(row, rgb, channels == 1 ? 1 : 3);
        if (channels == 4)
            row[3] = 255;
    }
}

static inline blob test_jpeg(const uint8_t *rgb, uint32_t w, uint32_t h, jpeg_how how)
{
    struct jpeg_compress_struct c;
    struct jpeg_error_mgr errors;
    unsigned char *out = NULL;
    unsigned long n = 0;
    bool cmyk = how.stored == JCS_CMYK || how.stored == JCS_YCCK;
    int channels = how.stored == JCS_GRAYSCALE ? 1 : cmyk ? 4 : 3;
    uint8_t *row = must(malloc((size_t)w * 4));

    c.err = jpeg_std_error(&errors); /* its error_exit ends the program */
    jpeg_create_compress(&c);
    jpeg_mem_dest(&c, &out, &n);
    c.image_width = w;
    c.image_height = h;
    c.input_components = channels;
    c.in_color_space = channels == 1 ? JCS_GRAYSCALE : cmyk ? JCS_CMYK : JCS_RGB;
    jpeg_set_defaults(&c);
    jpeg_set_colorspace(&c, how.stored);
    jpeg_set_quality(&c, 95, TRUE);
    if (how.progressive)
        jpeg_simple_progression(&c);
    c.restart_in_rows = how.restart;
    jpeg_start_compress(&c, TRUE);
    if (how.orientation) {
        uint8_t le[32] = "Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0";
        uint8_t be[32] = "Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01";
        le[24] = be[25] = (uint8_t)how.orientation;
        jpeg_write_marker(&c, JPEG_APP0 + 1, how.big_endian ? be : le, 32);
    }
    while (c.next_scanline < h) {
        JSAMPROW p = row;
        test_jpeg_row(rgb + (size_t)c.next_scanline * w * 3, w, channels, row);
        jpeg_write_scanlines(&c, &p, 1);
    }
    jpeg_finish_compress(&c);
    jpeg_destroy_compress(&c);
    free(row);
    blob b = {must(malloc(n)), n};
    memcpy(b.p, out, n);
    free(out);
    return b;
}

typedef struct png_how {
    int colour_type, depth; /* PNG_COLOR_TYPE_..., 1 to 16 */
    bool interlaced;
    bool trns;       /* palette: entry i has alpha 255 - i; grey: the value 0 is transparent */
    int orientation; /* 0: no eXIf */
    bool profile;    /* a gAMA that no one uses and a broken iCCP */
} png_how;

static inline void test_png_give(png_structp png, png_bytep from, size_t n)
{
    blob *b = png_get_io_ptr(png);

    b->p = must(realloc(b->p, b->n + n));
    memcpy(b->p + b->n, from, n);
    b->n += n;
}

static inline void test_png_flush(png_structp png)
{
    (void)png;
}

/* rows: as PNG stores them for this colour type and depth, stride bytes each. */
static inline blob test_png(const uint8_t *rows, uint32_t w, uint32_t h, size_t stride, png_how how)
{
    png_structp png = must(png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL));
    png_infop info = must(png_create_info_struct(png));
    blob b = {NULL, 0};
    png_color palette[256];
    png_byte alpha[256];
    int entries = 1 << (how.depth > 8 ? 8 : how.depth);

    for (int i = 0; i < entries; i++) {
        palette[i] = (png_color){(png_byte)i, (png_byte)(255 - i), (png_byte)(i ^ 0x55)};
        alpha[i] = (png_byte)(255 - i);
    }
    png_set_write_fn(png, &b, test_png_give, test_png_flush);
    png_set_IHDR(png, info, w, h, how.depth, how.colour_type,
                 how.interlaced ? PNG_INTERLACE_ADAM7 : PNG_INTERLACE_NONE, 0, 0);
    if (how.colour_type == PNG_COLOR_TYPE_PALETTE)
        png_set_PLTE(png, info, palette, entries);
    if (how.trns)
        png_set_tRNS(png, info, alpha, entries, &(png_color_16){0});
    if (how.profile)
        png_set_gAMA_fixed(png, info, 100000);
    if (how.orientation) {
        uint8_t exif[26] = "MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01";
        exif[19] = (uint8_t)how.orientation;
        png_set_eXIf_1(png, info, sizeof exif, exif);
    }
    png_write_info(png, info);
    if (how.profile)
        png_write_chunk(png, (png_const_bytep) "iCCP", (png_const_bytep) "x\0\0junk", 7);
    for (int passes = png_set_interlace_handling(png); passes > 0; passes--)
        for (uint32_t y = 0; y < h; y++)
            png_write_row(png, rows + y * stride);
    png_write_end(png, info);
    png_destroy_write_struct(&png, &info);
    return b;
}

typedef struct webp_how {
    bool lossless;
    bool alpha; /* the picture has 4 channels, RGBA */
} webp_how;

/* A WebP in the simple form, or with VP8X where libwebp needs it (lossy with alpha). */
static inline blob test_webp(const uint8_t *pixels, uint32_t w, uint32_t h, webp_how how)
{
    WebPConfig config;
    WebPPicture picture;
    WebPMemoryWriter to;

    if (!WebPConfigInit(&config) || !WebPPictureInit(&picture))
        must(NULL);
    config.quality = 95;
    config.lossless = how.lossless;
    config.exact = 1; /* colours under full transparency stay */
    picture.use_argb = how.lossless;
    picture.width = (int)w;
    picture.height = (int)h;
    WebPMemoryWriterInit(&to);
    picture.writer = WebPMemoryWrite;
    picture.custom_ptr = &to;
    if (!(how.alpha ? WebPPictureImportRGBA(&picture, pixels, (int)w * 4)
                    : WebPPictureImportRGB(&picture, pixels, (int)w * 3)) ||
        !WebPEncode(&config, &picture))
        must(NULL);
    WebPPictureFree(&picture);
    blob b = {must(malloc(to.size)), to.size};
    memcpy(b.p, to.mem, to.size);
    WebPMemoryWriterClear(&to);
    return b;
}

/* Appends one chunk with the right CRC to b. */
static inline void test_chunk(blob *b, const char *type, const void *data, uint32_t n)
{
    uint8_t *p = b->p = must(realloc(b->p, b->n + n + 12));
    uint32_t crc;

    p += b->n;
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(n >> (24 - 8 * i));
    memcpy(p + 4, type, 4);
    if (n)
        memcpy(p + 8, data, n);
    crc = (uint32_t)crc32(0, p + 4, n + 4);
    for (int i = 0; i < 4; i++)
        p[8 + n + i] = (uint8_t)(crc >> (24 - 8 * i));
    b->n += n + 12;
}

/* A PNG that says w x h and holds one byte of image data: a few dozen bytes, whatever it says. */
static inline blob test_png_header(uint32_t w, uint32_t h)
{
    blob b = {must(malloc(8)), 8};
    uint8_t head[13] = {
        (uint8_t)(w >> 24), (uint8_t)(w >> 16), (uint8_t)(w >> 8), (uint8_t)w, (uint8_t)(h >> 24),
        (uint8_t)(h >> 16), (uint8_t)(h >> 8),  (uint8_t)h,        8,          2};

    memcpy(b.p, "\x89PNG\r\n\x1a\n", 8);
    test_chunk(&b, "IHDR", head, 13);
    test_chunk(&b, "IDAT", "x", 1);
    test_chunk(&b, "IEND", NULL, 0);
    return b;
}

#endif
