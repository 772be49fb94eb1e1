/* SPDX-License-Identifier: MIT
 * image.h -- encoded images to u8 [H,W,3] sRGB, and what can be checked without decoding. */
#ifndef VL_IMAGE_H
#define VL_IMAGE_H

#include "formats/err.h"
#include <stdbool.h>
#include <stdint.h>

typedef enum vl_image_kind { VL_IMAGE_NONE, VL_IMAGE_JPEG, VL_IMAGE_PNG, VL_IMAGE_WEBP } vl_image_kind;

typedef struct vl_image_info {
    vl_image_kind kind; /* from the magic bytes, never from a file name */
    uint32_t width, height;
    int orientation; /* EXIF, 1 to 8; 1 where there is none or it cannot be read */
    size_t trailing; /* bytes behind the image's end (phones put previews there); not decoded */
} vl_image_info;

#define VL_IMAGE_MAX_PIXELS ((uint64_t)100000000) /* default of --max-pixels */

/* vl_image_ext -- "jpg", "png" or "webp"; NULL for VL_IMAGE_NONE. */
const char *vl_image_ext(vl_image_kind kind);

/* vl_image_check -- walks the file's structure without decoding: JPEG markers to EOI, PNG chunks
 * with CRCs to IEND, WebP chunks to the end of the RIFF (no animation); the size is read from the header and held against max_pixels before anything
 * else. Gives info with the size as stored, before turning. Allocates nothing.
 * Errors: VL_EFORMAT, with the byte offset of what is wrong. */
VL_MUST_USE int vl_image_check(const uint8_t *bytes, size_t n, uint64_t max_pixels, vl_image_info *info,
                               vl_err *e);

/* vl_image_decode -- decodes to new memory, u8 [height,width,3] sRGB rows without padding: EXIF
 * turned, alpha composed over white, grey and palette to three channels, 16 bit to 8, CMYK/YCCK to
 * RGB; profiles and gamma ignored. Gives *rgb (free()). info's sides are those after turning.
 * Errors: VL_EFORMAT (also for warnings of the library that mean lost data), VL_ENOMEM. */
VL_MUST_USE int vl_image_decode(const uint8_t *bytes, size_t n, uint64_t max_pixels, uint8_t **rgb,
                                vl_image_info *info, vl_err *e);

/* vl_image_square -- pads to a square with white (centred) and resizes to size x size with an
 * antialiased triangle filter (support scales with the reduction, as in PIL's BILINEAR).
 *   rgb  in   u8 [height,width,3];   out  u8 [size,size,3], the caller's
 * Errors: VL_EARG (size 0 or > 4096), VL_ENOMEM. Deterministic, integer arithmetic. */
VL_MUST_USE int vl_image_square(const uint8_t *rgb, uint32_t width, uint32_t height, uint32_t size,
                                uint8_t *out, vl_err *e);

/* vl_png_encode -- u8 [height,width,3] to a PNG in new memory, without a time stamp.
 * Gives *bytes (free()). Errors: VL_EARG (no pixels, or too many), VL_ENOMEM. */
VL_MUST_USE int vl_png_encode(const uint8_t *rgb, uint32_t width, uint32_t height, uint8_t **bytes, size_t *n,
                              vl_err *e);

#endif
