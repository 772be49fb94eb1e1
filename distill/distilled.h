/* SPDX-License-Identifier: MIT
 * distilled.h -- a distilled set on disk: one segment of kind distilled.
 *   key set         rates.npy f64 [2] (image, text), json {"iterations", "match": [image, text], ...};
 *                   of a learned similarity: similarity.npy [M,M], or similarity.left.npy and similarity.right.npy
 *                   [M,R] and similarity.diag.npy [M], whose matrix is alpha / R left right^T + diag
 *   key syn-00017   pixels.npy f32 [3,S,S] (x = (u8/255 - 0.5) / 0.25, unclamped), text.npy f32 [K],
 *                   png (preview), init.png (the real image it started from), txt (nearest real caption),
 *                   json {"init": key of the real record, "init_caption": its number among that record's}
 *   of features     feature.npy f32 [F] in place of pixels.npy and the pictures; txt where captions were known */
#ifndef VLD_DISTILLED_H
#define VLD_DISTILLED_H

#include "distill/card.h"
#include "distill/unroll.h"
#include "formats/shard.h"

/* A set with what is known of its members. Strings are owned. */
typedef struct vld_distilled {
    vlm_model model;
    vlm_model front;    /* the encoder whose pixels the set's images are, with heads as model; n 0: none */
    char encoder[192];  /* its name (encoder.h); empty: none */
    vl_augment augment; /* views of the pixels */
    vlm_objective objective; /* what it was distilled for */
    json_t *manifest;        /* of the segment */
    json_t *about;           /* the set's json */
    json_t *input_loss;      /* note of the tail that is written; NULL: none */
    vld_set set;
    size_t batch;         /* manifest "options"."batch": pairs an inner step */
    char **init_key;      /* [set.n] */
    uint32_t *init_cap;   /* [set.n] caption number within the record */
    char **nearest;       /* [set.n] nearest real caption; heads: may be NULL, or hold NULL */
    uint8_t *init_pixels; /* [set.n,S,S,3]; heads: NULL */
} vld_distilled;

/* vld_distilled_write -- one segment. d->manifest: of vld_manifest with "options" filled in ("batch" must be
 * among them), and "objective" where it is not infonce. */
VL_MUST_USE int vld_distilled_write(vls_writer *w, const vld_distilled *d, const vls_parent *parents,
                                    size_t n_parents, vl_err *e);

/* vld_distilled_read -- from an open reader, whose first segment must be of kind distilled; reads to the end
 * and passes over later segments of other kinds. A reader with skip_bad may have lost pairs: the set is then
 * smaller, and the reader knows why; without the record "set" there is none.
 * Errors, naming the shard: VL_EFORMAT (kind, order of the records, shapes, values not finite, rates not
 * positive, a batch of more pairs than there are, nothing in it). *out is untouched then. */
VL_MUST_USE int vld_distilled_read(vls_reader *r, vld_distilled *out, vl_err *e);
void vld_distilled_free(vld_distilled *d); /* zeroed is harmless */

/* vld_distilled_images -- the model that takes the set's images: the front, or the students' own. */
const vlm_model *vld_distilled_images(const vld_distilled *d);

/* vld_preview -- pixels of one pair as bytes [S,S,3], rounded and clamped. */
void vld_preview(const vl_real *pixels, size_t size, uint8_t *rgb);

#endif
