/* SPDX-License-Identifier: MIT
 * select_features.h -- what a selection looks at: one unit row a record out of its embeddings.
 *
 *   image   mean over the views of *.img.npy [V,D], brought to unit norm
 *   text    mean over the captions of *.txt.npy [C,D], brought to unit norm
 *   sum     image + text, where both have D dimensions, brought to unit norm
 *   concat  image, then text, brought to unit norm
 *   auto    both: sum where the dimensions are equal, else concat; one: that one
 * A row that is zero stays zero. */
#ifndef VLD_SELECT_FEATURES_H
#define VLD_SELECT_FEATURES_H

#include "formats/npy.h"
#include "formats/shard.h"
#include "pipeline/real.h"
#include <stdbool.h>

typedef enum vld_joint { VLD_AUTO, VLD_IMAGE, VLD_TEXT, VLD_SUM, VLD_CONCAT } vld_joint;

typedef struct vld_feature_side {
    const char *want; /* the member to take, the caller's; NULL: the only one there is */
    char *ext;        /* the member taken; NULL until one was seen */
    size_t dim, room;
    float *row;    /* [room,dim], by record number; unit */
    uint8_t *have; /* [room] */
} vld_feature_side;

typedef struct vld_features { /* zeroed is empty */
    vld_feature_side image, text;
} vld_features;

/* vld_features_add -- takes what record `number` has of image and text rows; nothing is no error.
 *   manifest  of its segment, whose schema may say bf16; may be NULL
 * Errors: VL_EFORMAT (no array of rows, dimensions that change, not finite, rows of two models and none
 * wanted, a side of this record for the second time), VL_ENOMEM. */
VL_MUST_USE int vld_features_add(vld_features *f, const vls_record *rec, const json_t *manifest,
                                 size_t number, vl_err *e);

/* vld_features_join -- row i of *out, [n,*dim], is the feature of record number order[i]. Gives *out.
 *   joint  in/out  VLD_AUTO becomes what it stood for
 *   key    in      by record number, for messages
 * Errors: VL_EFORMAT (a record without a side that is needed, no such side at all), VL_EARG (sum of different
 * dimensions), VL_ENOMEM. */
VL_MUST_USE int vld_features_join(const vld_features *f, vld_joint *joint, const uint32_t *order, size_t n,
                                  char *const *key, vl_real **out, size_t *dim, vl_err *e);

void vld_features_free(vld_features *f);

/* ---- one record, one side: what the above is made of, for those who keep no rows ---------------------- */

#define VLD_IMAGE_ROWS ".img.npy"
#define VLD_TEXT_ROWS  ".txt.npy"

/* vld_side_rows -- the rows [V,s->dim] of this side in rec. Sets s->ext and s->dim the first time.
 *   suffix  VLD_IMAGE_ROWS or VLD_TEXT_ROWS
 *   there   out  whether there are any; only then *a is set, which borrows from rec
 * Errors: as vld_features_add. */
VL_MUST_USE int vld_side_rows(vld_feature_side *s, const char *suffix, const vls_record *rec,
                              const json_t *manifest, vl_npy *a, bool *there, vl_err *e);

/* vld_side_mean -- the mean of the rows, of unit norm, to out [s->dim]. Errors: VL_EFORMAT, VL_ENOMEM. */
VL_MUST_USE int vld_side_mean(const vld_feature_side *s, const vl_npy *a, float *out, vl_err *e);

#endif
