/* SPDX-License-Identifier: MIT
 * image_codec.h -- the codecs behind image.h; nothing outside pipeline/image*.c includes it.
 *
 * A check walks the file and fills everything of info but kind; a decode is called only after the
 * check of the same bytes passed, so sizes and lengths in the file are known to be sound by then. */
#ifndef VL_IMAGE_CODEC_H
#define VL_IMAGE_CODEC_H

#include "pipeline/image.h"

int vl_jpeg_check(const uint8_t *bytes, size_t n, uint64_t max_pixels, vl_image_info *info, vl_err *e);
int vl_png_check(const uint8_t *bytes, size_t n, uint64_t max_pixels, vl_image_info *info, vl_err *e);
int vl_webp_check(const uint8_t *bytes, size_t n, uint64_t max_pixels, vl_image_info *info, vl_err *e);

/* rgb: u8 [info->height, info->width, 3], the caller's; not yet turned. */
int vl_jpeg_decode(const uint8_t *bytes, size_t n, const vl_image_info *info, uint8_t *rgb, vl_err *e);
int vl_png_decode(const uint8_t *bytes, size_t n, const vl_image_info *info, uint8_t *rgb, vl_err *e);
int vl_webp_decode(const uint8_t *bytes, size_t n, const vl_image_info *info, uint8_t *rgb, vl_err *e);

/* vl_image_limit -- VL_EFORMAT when width x height is empty or over max_pixels; at: for the
 * message. */
int vl_image_limit(uint32_t width, uint32_t height, uint64_t max_pixels, size_t at, vl_err *e);

/* vl_image_over_white -- u8 RGBA, alpha not multiplied in, to RGB over white. */
void vl_image_over_white(const uint8_t *rgba, size_t pixels, uint8_t *rgb);

/* vl_exif_orientation -- tag 0x0112 of the first directory in a TIFF block (what follows "Exif\0\0"
 * in a JPEG, a PNG's eXIf or a WebP's EXIF chunk); 1 when it is missing or anything about it is odd. */
int vl_exif_orientation(const uint8_t *tiff, size_t n);

/* vl_image_turn -- writes the upright picture. rgb u8 [height,width,3] to out of the same bytes,
 * [width,height,3] for orientations 5 to 8. The buffers may not overlap. */
void vl_image_turn(const uint8_t *rgb, uint32_t width, uint32_t height, int orientation, uint8_t *out);

#endif
