/* SPDX-License-Identifier: MIT
 * view.h -- what a training step sees of an image: a part of it, mirrored, moved a few pixels, in other colours, with a
 * square cut out. A view is affine in the pixels, so it has an adjoint, and it is drawn from (seed, stream, index)
 * alone: whoever replays a step meets the same view. In this order:
 *
 *   crop     a box of the image is enlarged to the whole, bilinear
 *   flip     mirrored left-right
 *   shift    moved; what comes in is white
 *   colour   brightness, saturation, contrast
 *   cutout   a square becomes grey
 *
 * Source: the kinds of Zhao & Bilen 2021 (DSA), with the box of a random resized crop; formulas in
 * spec/math/views.md. */
#ifndef VL_VIEW_H
#define VL_VIEW_H

#include "formats/err.h"
#include "pipeline/real.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { VL_SHIFT_MAX = 64, VL_CROP_USUAL = 50, VL_CUTOUT_USUAL = 50 };

/* From what views are drawn. Zeroed: there are none. */
typedef struct vl_augment {
    bool flip; /* mirror left-right, half of the time */
    int shift; /* move by -shift..shift pixels each way; 0 to VL_SHIFT_MAX */
    int crop; /* 1 to 100: percent of the area that a box has at least, one side 3/4 to 4/3 of the other; 0: none */
    int cutout; /* 1 to 100: the square's side, percent of the image's; its middle lies anywhere; 0: none */
    bool colour;
} vl_augment;

/* vl_augment_parse -- "none", or parts in any order with + between them, each once: flip, shiftN, crop or cropN,
 * colour, cutout or cutoutN, as in "flip+crop70+colour". Errors: VL_EARG; *out is untouched then. */
#define VL_AUGMENT_FORM "some of flip, shiftN, cropN, colour, cutoutN with + between"
VL_MUST_USE int vl_augment_parse(const char *text, vl_augment *out, vl_err *e);

/* vl_augment_text -- the text that parses to *a; each augmentation has one. */
enum { VL_AUGMENT_TEXT = 64 };
void vl_augment_text(const vl_augment *a, char out[VL_AUGMENT_TEXT]);

/* Are there views at all, and are two the same? */
bool vl_augment_any(const vl_augment *a);
bool vl_augment_equal(const vl_augment *a, const vl_augment *b);

/* Zeroed: the image as it is. Lengths are shares of the image's side. */
typedef struct vl_view {
    bool flip;
    int dx, dy;                   /* pixels */
    double left, top, wide, high; /* the box; wide 0: none */
    double cut, cut_x, cut_y;     /* side of the square, and its middle; cut 0: none */
    bool colour;
    double brightness;           /* added to x */
    double saturation, contrast; /* factors */
} vl_view;

/* Colours: x = (u8 / 255 - mean) / sd, the same mean and sd for the three channels. */
#define VL_PIXEL_MEAN  VL_R(0.5)
#define VL_PIXEL_SD    VL_R(0.25)
#define VL_PIXEL_WHITE ((VL_R(1.0) - VL_PIXEL_MEAN) / VL_PIXEL_SD)

vl_view vl_view_draw(const vl_augment *a, uint64_t seed, uint64_t stream, uint64_t index);

bool vl_view_still(const vl_view *v); /* it changes nothing */

/* out [S,S,3] = the view of img [S,S,3]. */
void vl_view_apply(const vl_real *img, size_t size, vl_view v, vl_real *out);

/* The same from bytes. */
void vl_view_apply_u8(const uint8_t *img, size_t size, vl_view v, vl_real *out);

/* img += s * adjoint(view) g:  <g, apply(x)> = <adjoint g, x> + constant. */
void vl_view_adjoint_add(const vl_real *g, size_t size, vl_view v, vl_real s, vl_real *img);

#endif
