/* SPDX-License-Identifier: MIT
 * image_png.c -- PNG: the chunk walk (ISO/IEC 15948), decoding and encoding with libpng.
 *
 * The walk proves that the file is whole without inflating a byte: signature, IHDR first with sides
 * inside the limit, every chunk's length inside the file and its CRC right, PLTE where the colour
 * type needs one, IDAT in one run, IEND last. What is compressed inside IDAT is the decoder's to
 * check. */
#include "pipeline/image_codec.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <png.h>
#include <zlib.h>

enum { SIGNATURE = 8, HEAD = 8, CRC = 4, PALETTE = PNG_COLOR_TYPE_PALETTE };

typedef struct chunk {
    const uint8_t *type; /* 4 letters */
    const uint8_t *data;
    uint32_t n;
    size_t at; /* where its length field lies */
} chunk;

static uint32_t load32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static bool is(const chunk *c, const char *type)
{
    return !memcmp(c->type, type, 4);
}

static int chunk_at(const uint8_t *bytes, size_t n, size_t at, chunk *c, vl_err *e)
{
    if (n - at < HEAD + CRC)
        return vl_fail(e, VL_EFORMAT, "truncated: no IEND chunk, file ends at byte %zu", n);
    *c = (chunk){.type = bytes + at + 4, .data = bytes + at + HEAD, .at = at};
    c->n = load32(bytes + at);
    for (int i = 0; i < 4; i++)
        if ((c->type[i] | 0x20) < 'a' || (c->type[i] | 0x20) > 'z')
            return vl_fail(e, VL_EFORMAT, "chunk type is not four letters (byte %zu)", at + 4);
    if (c->n > 0x7fffffff)
        return vl_fail(e, VL_EFORMAT, "%.4s: length %" PRIu32 " (byte %zu)", (const char *)c->type, c->n, at);
    if (c->n > n - at - HEAD - CRC)
        return vl_fail(e, VL_EFORMAT, "truncated: inside chunk %.4s, file ends at byte %zu",
                       (const char *)c->type, n);
    return VL_OK;
}

static int crc_right(const chunk *c, vl_err *e)
{
    uint32_t said = load32(c->data + c->n);
    uint32_t is_now = (uint32_t)crc32_z(0, c->type, (size_t)c->n + 4);

    if (said == is_now)
        return VL_OK;
    return vl_fail(e, VL_EFORMAT, "%.4s: CRC %08" PRIx32 ", computed %08" PRIx32 " (byte %zu)",
                   (const char *)c->type, said, is_now, c->at);
}

/* The size comes before the CRC: a header that asks for too much is refused for that. */
static int ihdr(const chunk *c, uint64_t max_pixels, vl_image_info *info, vl_err *e)
{
    static const uint8_t depths[7] = {0x1f, 0, 0x18, 0x0f, 0x18, 0, 0x18}; /* bit i: 1 << i bits */
    int depth, bit = 0;

    if (!is(c, "IHDR") || c->n != 13)
        return vl_fail(e, VL_EFORMAT, "no IHDR chunk of 13 bytes first (byte %zu)", c->at);
    info->width = load32(c->data);
    info->height = load32(c->data + 4);
    if (info->width > 0x7fffffff || info->height > 0x7fffffff)
        return vl_fail(e, VL_EFORMAT, "%" PRIu32 " x %" PRIu32 " pixels (byte %zu)", info->width,
                       info->height, c->at + HEAD);
    if (vl_image_limit(info->width, info->height, max_pixels, c->at + HEAD, e))
        return VL_EFORMAT;
    depth = c->data[8];
    while (1 << bit < depth)
        bit++;
    if (1 << bit != depth || c->data[9] > 6 || !(depths[c->data[9]] >> bit & 1))
        return vl_fail(e, VL_EFORMAT, "colour type %d with %d bits (byte %zu)", c->data[9], depth,
                       c->at + HEAD + 8);
    if (c->data[10] || c->data[11] || c->data[12] > 1)
        return vl_fail(e, VL_EFORMAT, "compression %d, filter %d, interlace %d (byte %zu)", c->data[10],
                       c->data[11], c->data[12], c->at + HEAD + 10);
    return VL_OK;
}

typedef struct order {
    uint8_t colour_type;
    bool plte, idat, idat_ended;
} order;

static int in_order(order *o, const chunk *c, vl_err *e)
{
    const char *type = (const char *)c->type;

    if (o->idat && !is(c, "IDAT"))
        o->idat_ended = true;
    if (is(c, "IDAT")) {
        if (o->idat_ended)
            return vl_fail(e, VL_EFORMAT, "IDAT chunks are not in one run (byte %zu)", c->at);
        if (o->colour_type == PALETTE && !o->plte)
            return vl_fail(e, VL_EFORMAT, "no PLTE chunk before IDAT (byte %zu)", c->at);
        o->idat = true;
    } else if (is(c, "PLTE")) {
        if (o->plte || o->idat || !(o->colour_type & PNG_COLOR_MASK_COLOR))
            return vl_fail(e, VL_EFORMAT, "PLTE out of place (byte %zu)", c->at);
        if (!c->n || c->n % 3 || c->n > 768)
            return vl_fail(e, VL_EFORMAT, "PLTE of %" PRIu32 " bytes (byte %zu)", c->n, c->at);
        o->plte = true;
    } else if (is(c, "IEND")) {
        if (!o->idat)
            return vl_fail(e, VL_EFORMAT, "no IDAT chunk before IEND (byte %zu)", c->at);
        if (c->n)
            return vl_fail(e, VL_EFORMAT, "IEND of %" PRIu32 " bytes (byte %zu)", c->n, c->at);
    } else if (!(type[0] & 0x20)) {
        return vl_fail(e, VL_EFORMAT, "critical chunk %.4s not known or out of place (byte %zu)", type,
                       c->at);
    }
    return VL_OK;
}

int vl_png_check(const uint8_t *bytes, size_t n, uint64_t max_pixels, vl_image_info *info, vl_err *e)
{
    order o = {0};
    size_t at = SIGNATURE;
    chunk c = {.type = bytes, .data = bytes};

    do {
        if (chunk_at(bytes, n, at, &c, e) || (at == SIGNATURE && ihdr(&c, max_pixels, info, e)) ||
            crc_right(&c, e))
            return VL_EFORMAT;
        if (at == SIGNATURE)
            o.colour_type = c.data[9];
        else if (in_order(&o, &c, e))
            return VL_EFORMAT;
        if (is(&c, "eXIf"))
            info->orientation = vl_exif_orientation(c.data, c.n);
        at += HEAD + (size_t)c.n + CRC;
    } while (!is(&c, "IEND"));
    info->trailing = n - at;
    return VL_OK;
}

/* ---- decoding ----------------------------------------------------------------------------------- */

/* libpng reports a fault by a call that may not return: it jumps back, and all state that must
 * survive the jump lives in one of these structs. */
typedef struct decoder {
    png_structp png;
    png_infop info;
    const uint8_t *bytes;
    size_t n, at;
    uint8_t *alpha_rows; /* RGBA as decoded: the whole picture when interlaced, else one row */
    vl_err *e;
} decoder;

static void on_error(png_structp png, png_const_charp text)
{
    vl_fail(png_get_error_ptr(png), VL_EFORMAT, "%s", text);
    png_longjmp(png, 1);
}

/* Chunks about colour, text and time are never parsed, so what is left to warn of is pixels. */
static void on_warning(png_structp png, png_const_charp text)
{
    on_error(png, text);
}

static void take(png_structp png, png_bytep to, size_t n)
{
    decoder *d = png_get_io_ptr(png);

    if (n > d->n - d->at)
        png_error(png, "truncated");
    memcpy(to, d->bytes + d->at, n);
    d->at += n;
}

/* 8-bit RGB or RGBA out of every kind; gamma and profiles are ignored (values are taken as sRGB). */
static int set_up(decoder *d, const vl_image_info *info)
{
    png_structp png = d->png;
    int passes;

    png_set_read_fn(png, d, take);
    png_set_user_limits(png, info->width, info->height);
    png_set_chunk_cache_max(png, 16);
    png_set_chunk_malloc_max(png, 1 << 20);
    png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, NULL, -1);
    png_read_info(png, d->info);
    png_set_expand(png); /* palette and 1, 2, 4 bits to 8; tRNS to alpha */
    png_set_scale_16(png);
    png_set_gray_to_rgb(png);
    passes = png_set_interlace_handling(png);
    png_read_update_info(png, d->info);
    return passes;
}

static int read_rows(decoder *d, const vl_image_info *info, int passes, uint8_t *rgb)
{
    size_t out_row = (size_t)info->width * 3, channels = png_get_channels(d->png, d->info);
    size_t rows = passes > 1 ? info->height : 1, stride = channels == 4 ? info->width * 4 : 0;

    if (channels != 3 && channels != 4)
        return vl_fail(d->e, VL_EFORMAT, "%zu channels after expansion", channels);
    if (channels == 4 && !(d->alpha_rows = vl_alloc(rows, (size_t)info->width * 4, d->e)))
        return VL_ENOMEM;
    for (int pass = 0; pass < passes; pass++)
        for (size_t y = 0; y < info->height; y++) {
            uint8_t *alpha = stride ? d->alpha_rows + (rows > 1 ? y * stride : 0) : NULL;
            png_read_row(d->png, alpha ? alpha : rgb + y * out_row, NULL);
            if (alpha && pass == passes - 1)
                vl_image_over_white(alpha, info->width, rgb + y * out_row);
        }
    png_read_end(d->png, NULL);
    return VL_OK;
}

static int decode(decoder *d, const vl_image_info *info, uint8_t *rgb)
{
    if (setjmp(png_jmpbuf(d->png)))
        return d->e->code;
    return read_rows(d, info, set_up(d, info), rgb);
}

int vl_png_decode(const uint8_t *bytes, size_t n, const vl_image_info *info, uint8_t *rgb, vl_err *e)
{
    vl_err own;
    decoder d = {.bytes = bytes, .n = n, .e = e ? e : &own};
    int rc;

    d.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, d.e, on_error, on_warning);
    d.info = d.png ? png_create_info_struct(d.png) : NULL;
    rc = d.info ? decode(&d, info, rgb) : vl_fail(d.e, VL_ENOMEM, "out of memory: libpng");
    png_destroy_read_struct(&d.png, &d.info, NULL);
    free(d.alpha_rows);
    return rc;
}

/* ---- encoding ----------------------------------------------------------------------------------- */

typedef struct encoder {
    png_structp png;
    png_infop info;
    uint8_t *bytes; /* ours until it is given away */
    size_t n, room;
    vl_err *e;
} encoder;

static void give(png_structp png, png_bytep from, size_t n)
{
    encoder *w = png_get_io_ptr(png);

    if (n > w->room - w->n) {
        size_t room = 2 * w->room + n;
        uint8_t *grown = vl_realloc(w->bytes, room, 1, w->e);
        if (!grown)
            png_longjmp(png, 1);
        w->bytes = grown;
        w->room = room;
    }
    memcpy(w->bytes + w->n, from, n);
    w->n += n;
}

static void no_flush(png_structp png)
{
    (void)png;
}

static int encode(encoder *w, const uint8_t *rgb, uint32_t width, uint32_t height)
{
    if (setjmp(png_jmpbuf(w->png)))
        return w->e->code;
    png_set_write_fn(w->png, w, give, no_flush);
    png_set_IHDR(w->png, w->info, width, height, 8, PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE,
                 PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_write_info(w->png, w->info);
    for (size_t y = 0; y < height; y++)
        png_write_row(w->png, rgb + y * width * 3);
    png_write_end(w->png, w->info);
    return VL_OK;
}

int vl_png_encode(const uint8_t *rgb, uint32_t width, uint32_t height, uint8_t **bytes, size_t *n, vl_err *e)
{
    vl_err own;
    encoder w = {.e = e ? e : &own};
    int rc;

    if (!width || !height || (uint64_t)width * height > VL_IMAGE_MAX_PIXELS)
        return vl_fail(e, VL_EARG, "a PNG of %" PRIu32 " x %" PRIu32 " pixels", width, height);
    w.png = png_create_write_struct(PNG_LIBPNG_VER_STRING, w.e, on_error, on_warning);
    w.info = w.png ? png_create_info_struct(w.png) : NULL;
    rc = w.info ? encode(&w, rgb, width, height) : vl_fail(w.e, VL_ENOMEM, "out of memory: libpng");
    png_destroy_write_struct(&w.png, &w.info);
    if (rc) {
        free(w.bytes);
        return rc;
    }
    *bytes = w.bytes;
    *n = w.n;
    return VL_OK;
}
