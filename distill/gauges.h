/* SPDX-License-Identifier: MIT
 * gauges.h -- has a network collapsed? How much alike the embeddings of a side are, and how far apart the two
 * sides lie.
 *
 *   image_cosine, text_cosine   mean cosine of two different images, of two different texts; 1: all the same
 *   gap                         distance of the mean image from the mean text, 0 to 2 (Liang et al. 2022) */
#ifndef VLD_GAUGES_H
#define VLD_GAUGES_H

#include "pipeline/data.h"
#include "pipeline/real.h"

typedef struct vld_gauges {
    double image_cosine, text_cosine, gap;
} vld_gauges;

/* vld_gauges_of -- from unit embeddings u [d->n,D], v [d->n_caps,D]; equal captions count once. A cosine is NAN
 * where there is one image, or one text. In double and in one order: the mean of n (n - 1) cosines is
 * (|sum|^2 - n) / (n (n - 1)). Errors: VL_ENOMEM. */
VL_MUST_USE int vld_gauges_of(const vl_data *d, size_t dim, const vl_real *u, const vl_real *v,
                              vld_gauges *out, vl_err *e);

#endif
