/* SPDX-License-Identifier: MIT
 * view.h -- what a training step sees of an image: possibly mirrored, moved a few pixels. A view is
 * linear in the pixels, so it has an adjoint, and it is drawn from (seed, stream, index) alone. */
#ifndef VL_VIEW_H
#define VL_VIEW_H

#include "formats/err.h"
#include "pipeline/real.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { VL_SHIFT_MAX = 64 };

typedef struct vl_augment {
    bool flip; /* mirror left-right, half of the time */
    int shift; /* move by -shift..shift pixels each way; what comes in is white */
} vl_augment;

/* vl_augment_parse -- "none", "flip", "shift4" or "flip+shift4". Errors: VL_EARG. */
VL_MUST_USE int vl_augment_parse(const char *text, vl_augment *out, vl_err *e);

typedef struct vl_view {
    bool flip;
    int dx, dy;
} vl_view;

/* Colours: x = (u8 / 255 - mean) / sd, the same mean and sd for the three channels. */
#define VL_PIXEL_MEAN  VL_R(0.5)
#define VL_PIXEL_SD    VL_R(0.25)
#define VL_PIXEL_WHITE ((VL_R(1.0) - VL_PIXEL_MEAN) / VL_PIXEL_SD)

vl_view vl_view_draw(const vl_augment *a, uint64_t seed, uint64_t stream, uint64_t index);

/* out [S,S,3] = the view of img [S,S,3]. */
void vl_view_apply(const vl_real *img, size_t size, vl_view v, vl_real *out);

/* The same from bytes. */
void vl_view_apply_u8(const uint8_t *img, size_t size, vl_view v, vl_real *out);

/* img += s * adjoint(view) g:  <g, apply(x)> = <adjoint g, x> + constant. */
void vl_view_adjoint_add(const vl_real *g, size_t size, vl_view v, vl_real s, vl_real *img);

#endif
