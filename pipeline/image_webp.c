/* SPDX-License-Identifier: MIT
 * image_webp.c -- WebP: the chunk walk (RIFF; RFC 9649) and decoding with libwebp.
 *
 * The walk proves that the file is whole without decoding: RIFF and its size inside the file, every chunk inside
 * the RIFF, one picture (VP8 or VP8L) whose header is read for the sides, VP8X with sides that agree with
 * it, nothing of an animation. RIFF has no checksums: a flipped bit inside a picture may go unseen, even by the
 * decoder, which makes pixels of any bits in a lossy file. */
#include "formats/bytes.h"
#include "pipeline/image_codec.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <webp/decode.h>

enum {
    RIFF_HEAD = 12,  /* "RIFF", size, "WEBP" */
    CHUNK_HEAD = 8,  /* type, size */
    ANIMATION = 0x02 /* of VP8X's flags */
};

typedef struct chunk {
    const uint8_t *type; /* 4 bytes */
    const uint8_t *data;
    uint32_t n;
    size_t at; /* where the type lies */
} chunk;

typedef struct walk {
    const uint8_t *bytes;
    size_t n, end, at; /* end: of the RIFF; at: the next chunk */
    uint64_t max_pixels;
    vl_image_info *info;
    bool extended; /* VP8X was first, and info has its sides */
    bool picture;  /* VP8 or VP8L was seen */
    bool exif;     /* the first EXIF was read; later ones do not count */
} walk;

static bool is(const chunk *c, const char *type)
{
    return !memcmp(c->type, type, 4);
}

static int riff_head(walk *w, vl_err *e)
{
    uint32_t size;

    if (w->n < RIFF_HEAD)
        return vl_fail(e, VL_EFORMAT, "truncated: inside the RIFF header, file ends at byte %zu", w->n);
    size = vl_le32(w->bytes + 4);
    if (size < 4)
        return vl_fail(e, VL_EFORMAT, "RIFF of %" PRIu32 " bytes, at least 4 expected (byte 4)", size);
    if (size > w->n - 8)
        return vl_fail(e, VL_EFORMAT, "truncated: RIFF of %" PRIu32 " bytes, file ends at byte %zu", size,
                       w->n);
    w->end = 8 + (size_t)size;
    w->at = RIFF_HEAD;
    return VL_OK;
}

/* The chunk at w->at, which moves behind it. A chunk of odd size has a byte of padding; a missing one at the
 * very end is what some encoders write, and every decoder reads. */
static int next_chunk(walk *w, chunk *c, vl_err *e)
{
    size_t left = w->end - w->at;

    if (left < CHUNK_HEAD)
        return vl_fail(e, VL_EFORMAT, "%zu bytes left in the RIFF, too few for a chunk (byte %zu)", left,
                       w->at);
    *c = (chunk){w->bytes + w->at, w->bytes + w->at + CHUNK_HEAD, vl_le32(w->bytes + w->at + 4), w->at};
    if (c->n > left - CHUNK_HEAD)
        return vl_fail(e, VL_EFORMAT, "chunk of %" PRIu32 " bytes, %zu are left in the RIFF (byte %zu)", c->n,
                       left - CHUNK_HEAD, w->at);
    w->at += CHUNK_HEAD + (size_t)c->n;
    w->at += c->n % 2 && w->at < w->end;
    return VL_OK;
}

/* Sides of a picture or of the canvas. */
static int sides(walk *w, const chunk *c, uint32_t width, uint32_t height, vl_err *e)
{
    if (w->extended && (width != w->info->width || height != w->info->height))
        return vl_fail(e, VL_EFORMAT,
                       "a picture of %" PRIu32 " x %" PRIu32 " pixels on a canvas of %" PRIu32 " x %" PRIu32
                       " (byte %zu)",
                       width, height, w->info->width, w->info->height, c->at);
    if (vl_image_limit(width, height, w->max_pixels, c->at + CHUNK_HEAD, e))
        return VL_EFORMAT;
    w->info->width = width;
    w->info->height = height;
    return VL_OK;
}

/* Flags, 3 bytes of zero, canvas width - 1 and height - 1 in 24 bits each. */
static int vp8x(walk *w, const chunk *c, vl_err *e)
{
    int rc;

    if (c->n < 10)
        return vl_fail(e, VL_EFORMAT, "VP8X of %" PRIu32 " bytes, 10 expected (byte %zu)", c->n, c->at);
    if (c->data[0] & ANIMATION)
        return vl_fail(e, VL_EFORMAT, "an animation, one picture expected (byte %zu)", c->at + CHUNK_HEAD);
    rc = sides(w, c, vl_le24(c->data + 4) + 1, vl_le24(c->data + 7) + 1, e);
    w->extended = !rc;
    return rc;
}

/* Lossy (RFC 6386, section 9.1): a frame tag of 3 bytes whose lowest bit is 0 for a key frame, whose bit 4 says
 * that it is shown and whose upper 19 bits are the size of the first partition; then 9d 01 2a and the sides,
 * 14 bits each. */
static int vp8(walk *w, const chunk *c, vl_err *e)
{
    uint32_t tag;

    if (c->n < 10)
        return vl_fail(e, VL_EFORMAT, "VP8 of %" PRIu32 " bytes, no frame (byte %zu)", c->n, c->at);
    tag = vl_le24(c->data);
    if (tag & 1 || !(tag & 0x10) || memcmp(c->data + 3, "\x9d\x01\x2a", 3) != 0)
        return vl_fail(e, VL_EFORMAT, "VP8: no key frame that is shown (byte %zu)", c->at + CHUNK_HEAD);
    if (tag >> 5 >= c->n)
        return vl_fail(e, VL_EFORMAT,
                       "VP8: first partition of %" PRIu32 " bytes in a chunk of %" PRIu32 " (byte %zu)",
                       tag >> 5, c->n, c->at + CHUNK_HEAD);
    return sides(w, c, vl_le16(c->data + 6) & 0x3fff, vl_le16(c->data + 8) & 0x3fff, e);
}

/* Lossless (RFC 9649, section 3.4): 2f, then width - 1 and height - 1 in 14 bits each, one bit for alpha, three
 * for the version, 0. */
static int vp8l(walk *w, const chunk *c, vl_err *e)
{
    uint32_t bits;

    if (c->n < 5)
        return vl_fail(e, VL_EFORMAT, "VP8L of %" PRIu32 " bytes, no header (byte %zu)", c->n, c->at);
    bits = vl_le32(c->data + 1);
    if (c->data[0] != 0x2f || bits >> 29)
        return vl_fail(e, VL_EFORMAT, "VP8L: signature 0x%02x, version %" PRIu32 " (byte %zu)", c->data[0],
                       bits >> 29, c->at + CHUNK_HEAD);
    return sides(w, c, (bits & 0x3fff) + 1, (bits >> 14 & 0x3fff) + 1, e);
}

/* Some encoders put "Exif\0\0" in front of the TIFF block, as a JPEG has it. */
static void exif(walk *w, const chunk *c)
{
    size_t skip = c->n >= 6 && !memcmp(c->data, "Exif\0\0", 6) ? 6 : 0;

    if (!w->exif)
        w->info->orientation = vl_exif_orientation(c->data + skip, c->n - skip);
    w->exif = true;
}

static int take(walk *w, const chunk *c, vl_err *e)
{
    bool lossy = is(c, "VP8 ");

    if (is(c, "VP8X"))
        return c->at == RIFF_HEAD ? vp8x(w, c, e)
                                  : vl_fail(e, VL_EFORMAT, "VP8X out of place (byte %zu)", c->at);
    if (is(c, "ANIM") || is(c, "ANMF"))
        return vl_fail(e, VL_EFORMAT, "an animation, one picture expected (byte %zu)", c->at);
    if (lossy || is(c, "VP8L")) {
        if (w->picture)
            return vl_fail(e, VL_EFORMAT, "a second picture (byte %zu)", c->at);
        w->picture = true;
        return lossy ? vp8(w, c, e) : vp8l(w, c, e);
    }
    if (!w->extended && !w->picture)
        return vl_fail(e, VL_EFORMAT, "neither VP8, VP8L nor VP8X first (byte %zu)", c->at);
    if (is(c, "EXIF") && w->extended)
        exif(w, c);
    return VL_OK;
}

int vl_webp_check(const uint8_t *bytes, size_t n, uint64_t max_pixels, vl_image_info *info, vl_err *e)
{
    walk w = {.bytes = bytes, .n = n, .max_pixels = max_pixels, .info = info};
    int rc = riff_head(&w, e);

    while (!rc && w.at < w.end) {
        chunk c = {0};
        rc = next_chunk(&w, &c, e);
        if (!rc)
            rc = take(&w, &c, e);
    }
    if (rc)
        return rc;
    if (!w.picture)
        return vl_fail(e, VL_EFORMAT, "no picture in the RIFF, which ends at byte %zu", w.end);
    info->trailing = n - w.end;
    return VL_OK;
}

/* ---- decoding ----------------------------------------------------------------------------------- */

static int status(VP8StatusCode code, vl_err *e)
{
    switch (code) {
    case VP8_STATUS_OK:
        return VL_OK;
    case VP8_STATUS_OUT_OF_MEMORY:
        return vl_fail(e, VL_ENOMEM, "out of memory: libwebp");
    case VP8_STATUS_NOT_ENOUGH_DATA:
    case VP8_STATUS_SUSPENDED:
        return vl_fail(e, VL_EFORMAT, "the picture's data end too soon");
    case VP8_STATUS_UNSUPPORTED_FEATURE:
        return vl_fail(e, VL_EFORMAT, "a feature that libwebp does not know");
    default:
        return vl_fail(e, VL_EFORMAT, "the picture's data are damaged");
    }
}

/* Decodes into to, [height,width] of 3 or 4 bytes a pixel. */
static int decode(WebPDecoderConfig *config, const uint8_t *bytes, size_t n, const vl_image_info *info,
                  uint8_t *to, int channels, vl_err *e)
{
    size_t stride = (size_t)info->width * (size_t)channels;

    config->output.colorspace = channels == 4 ? MODE_RGBA : MODE_RGB;
    config->output.is_external_memory = 1;
    config->output.u.RGBA.rgba = to;
    config->output.u.RGBA.stride = (int)stride; /* sides have at most 14 bits */
    config->output.u.RGBA.size = stride * info->height;
    return status(WebPDecode(bytes, n, config), e);
}

int vl_webp_decode(const uint8_t *bytes, size_t n, const vl_image_info *info, uint8_t *rgb, vl_err *e)
{
    size_t pixels = (size_t)info->width * info->height;
    WebPDecoderConfig config;
    uint8_t *rgba = NULL;
    int rc;

    if (!WebPInitDecoderConfig(&config))
        return vl_fail(e, VL_EFORMAT, "libwebp is not the version that it was built for");
    rc = status(WebPGetFeatures(bytes, n, &config.input), e);
    if (!rc && ((uint32_t)config.input.width != info->width || (uint32_t)config.input.height != info->height))
        rc = vl_fail(e, VL_EFORMAT, "the decoder sees %d x %d pixels, the header %" PRIu32 " x %" PRIu32,
                     config.input.width, config.input.height, info->width, info->height);
    if (rc || !config.input.has_alpha) {
        rc = rc ? rc : decode(&config, bytes, n, info, rgb, 3, e);
        goto out;
    }
    if (!(rgba = malloc(pixels * 4))) { /* at most 2^28 pixels */
        rc = vl_fail(e, VL_ENOMEM, "out of memory: %zu pixels with alpha", pixels);
        goto out;
    }
    rc = decode(&config, bytes, n, info, rgba, 4, e);
    if (!rc)
        vl_image_over_white(rgba, pixels, rgb);
out:
    WebPFreeDecBuffer(&config.output);
    free(rgba);
    return rc;
}
