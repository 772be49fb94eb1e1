/* SPDX-License-Identifier: MIT
 * front.h -- a frozen image encoder between a set's pixels and the features that projection heads train on. An
 * image goes through it once forward and once back an iteration, whatever the inner steps do with its features.
 *
 *   features = encoder(views of pixels)     [n,S,S,3] -> [n,F]
 *   back: from d/dfeatures to d/dpixels, one vector-Jacobian product an image
 *
 * Activations of all images are kept from one to the other, or, where memory says so, of a part of them at a time,
 * and then computed again on the way back. Views are functions of (seed, iter, image). */
#ifndef VLD_FRONT_H
#define VLD_FRONT_H

#include "pipeline/model.h"
#include "pipeline/view.h"

typedef struct vld_front vld_front;

/* vld_front_new -- for sets of n images.
 *   model, theta   of the encoder, whose embedding is the feature; theta [model->n] is read only; both borrowed
 *   memory         bytes for activations; 0: as many as it takes to keep all. At least one image is held
 * Errors: VL_EARG, VL_ENOMEM. */
VL_MUST_USE int vld_front_new(const vlm_model *model, const vl_real *theta, vl_pool *pool, size_t n,
                              size_t memory, const vl_augment *aug, vld_front **out, vl_err *e);
void vld_front_free(vld_front *f); /* NULL is harmless */
const vlm_model *vld_front_model(const vld_front *f);

/* vld_front_run -- features [n,F] of pixels [n,S,S,3] under the views of (seed, iter). */
void vld_front_run(vld_front *f, const vl_real *pixels, uint64_t seed, uint64_t iter, vl_real *features);

/* vld_front_back -- after a run with the same pixels, seed and iter: grad [n,S,S,3], overwritten, of
 * <g, features>, g [n,F]. */
void vld_front_back(vld_front *f, const vl_real *pixels, uint64_t seed, uint64_t iter, const vl_real *g,
                    vl_real *grad);

size_t vld_front_held(const vld_front *f); /* images whose activations fit at a time */

#endif
