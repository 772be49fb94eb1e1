/* SPDX-License-Identifier: MIT
 * image.c -- picks the codec by the first bytes; limits, memory, alpha and turning are here, for all. */
#include "pipeline/image_codec.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const struct codec {
    const char *name, *ext;
    int (*check)(const uint8_t *bytes, size_t n, uint64_t max_pixels, vl_image_info *info, vl_err *e);
    int (*decode)(const uint8_t *bytes, size_t n, const vl_image_info *info, uint8_t *rgb, vl_err *e);
} codec[] = {
    [VL_IMAGE_JPEG] = {"JPEG", "jpg", vl_jpeg_check, vl_jpeg_decode},
    [VL_IMAGE_PNG] = {"PNG", "png", vl_png_check, vl_png_decode},
    [VL_IMAGE_WEBP] = {"WebP", "webp", vl_webp_check, vl_webp_decode},
};

static vl_image_kind sniff(const uint8_t *bytes, size_t n)
{
    if (n >= 2 && !memcmp(bytes, "\xff\xd8", 2))
        return VL_IMAGE_JPEG;
    if (n >= 8 && !memcmp(bytes, "\x89PNG\r\n\x1a\n", 8))
        return VL_IMAGE_PNG;
    if (n >= 12 && !memcmp(bytes, "RIFF", 4) && !memcmp(bytes + 8, "WEBP", 4))
        return VL_IMAGE_WEBP;
    return VL_IMAGE_NONE;
}

const char *vl_image_ext(vl_image_kind kind)
{
    return codec[kind].ext;
}

void vl_image_over_white(const uint8_t *rgba, size_t pixels, uint8_t *rgb)
{
    for (size_t i = 0; i < pixels; i++, rgba += 4, rgb += 3)
        for (int c = 0; c < 3; c++)
            rgb[c] = (uint8_t)((rgba[c] * rgba[3] + 255 * (255 - rgba[3]) + 127) / 255);
}

int vl_image_limit(uint32_t width, uint32_t height, uint64_t max_pixels, size_t at, vl_err *e)
{
    if (!width || !height)
        return vl_fail(e, VL_EFORMAT, "%" PRIu32 " x %" PRIu32 " pixels: no picture (byte %zu)", width,
                       height, at);
    if ((uint64_t)width * height > max_pixels)
        return vl_fail(e, VL_EFORMAT,
                       "%" PRIu32 " x %" PRIu32 " pixels, more than %" PRIu64 " allowed (byte %zu)", width,
                       height, max_pixels, at);
    return VL_OK;
}

int vl_image_check(const uint8_t *bytes, size_t n, uint64_t max_pixels, vl_image_info *info, vl_err *e)
{
    vl_image_info got = {.kind = sniff(bytes, n), .orientation = 1};
    int rc;

    if (!n)
        return vl_fail(e, VL_EFORMAT, "empty file");
    if (got.kind == VL_IMAGE_NONE)
        return vl_fail(e, VL_EFORMAT, "neither JPEG, PNG nor WebP (byte 0)");
    rc = codec[got.kind].check(bytes, n, max_pixels, &got, e);
    if (rc)
        return vl_within(e, "%s", codec[got.kind].name);
    *info = got;
    return VL_OK;
}

/* Replaces *rgb by the upright picture and swaps the sides where a quarter turn does. */
static int turn(uint8_t **rgb, vl_image_info *info, vl_err *e)
{
    uint8_t *out;

    if (info->orientation == 1)
        return VL_OK;
    out = malloc((size_t)info->width * info->height * 3);
    if (!out)
        return vl_fail(e, VL_ENOMEM, "out of memory: turning %" PRIu32 " x %" PRIu32 " pixels", info->width,
                       info->height);
    vl_image_turn(*rgb, info->width, info->height, info->orientation, out);
    free(*rgb);
    *rgb = out;
    if (info->orientation >= 5) {
        uint32_t w = info->width;
        info->width = info->height;
        info->height = w;
    }
    return VL_OK;
}

int vl_image_decode(const uint8_t *bytes, size_t n, uint64_t max_pixels, uint8_t **rgb, vl_image_info *info,
                    vl_err *e)
{
    vl_image_info got;
    uint8_t *out = NULL;
    int rc = vl_image_check(bytes, n, max_pixels, &got, e);

    if (rc)
        return rc;
    /* Not vl_alloc: decoders write every pixel, zeroing them first would cost a pass. */
    if (got.width > SIZE_MAX / 3 / got.height || !(out = malloc((size_t)got.width * got.height * 3)))
        return vl_fail(e, VL_ENOMEM, "out of memory: %" PRIu32 " x %" PRIu32 " pixels", got.width,
                       got.height);
    rc = codec[got.kind].decode(bytes, n, &got, out, e);
    if (rc) {
        vl_within(e, "%s", codec[got.kind].name);
        goto out;
    }
    rc = turn(&out, &got, e);
    if (rc)
        goto out;
    *rgb = out;
    *info = got;
    out = NULL;
out:
    free(out);
    return rc;
}
