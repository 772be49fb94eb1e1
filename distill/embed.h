/* SPDX-License-Identifier: MIT
 * embed.h -- unit embeddings of data by a network, at once, or again and again while it is being trained. */
#ifndef VLD_EMBED_H
#define VLD_EMBED_H

#include "distill/train_heads.h"
#include "pipeline/data.h"

/* vld_embed_images -- unit rows out[n,D] of data's images or features; vld_embed_texts -- [n_caps,D] of its captions. */
VL_MUST_USE int vld_embed_images(const vlm_model *m, vl_pool *pool, vl_real *theta, const vl_data *d,
                                 vl_real *out, vl_err *e);
VL_MUST_USE int vld_embed_texts(const vlm_model *m, vl_pool *pool, vl_real *theta, const vl_data *d,
                                vl_real *out, vl_err *e);

/* A reader embeds the same data at several points of one training. While heads are trained it takes their matrices
 * where they lie; of a first layer that is trained by its rows (train_rows.h) it keeps, for each data that it reads,
 * X_d W_0 and X_d X^T, n (D + rows) numbers, and has X_d W_t = c X_d W_0 + (X_d X^T) A. Where that is too much to
 * keep, or of more than VLD_READER_DATA data, W_t is formed at each reading. */
enum { VLD_READER_DATA = 4, VLD_READER_REALS = 1 << 26 };

typedef struct vld_known {
    const vl_data *data;
    int branch;
    vl_real *base, *cross; /* [n,D], [n,rows] */
} vld_known;

typedef struct vld_reader {
    const vlm_model *model;
    vl_pool *pool;
    vl_real *theta;   /* the weights [model->n] where heads is NULL; all borrowed */
    vld_heads *heads; /* in training; set by vld_train */
    size_t most;      /* numbers to keep of one of the data's branches; 0: VLD_READER_REALS */
    vld_known known[VLM_BRANCHES * VLD_READER_DATA];
    int n_known;
} vld_reader;

/* vld_reader_end -- training has ended: theta holds the weights, what was kept is freed. Also frees a reader; zeroed
 * is harmless. */
void vld_reader_end(vld_reader *r);

/* vld_read -- u [n,D] and v [n_caps,D], unit rows of the data's images and captions, by the weights as they are now.
 * Data stay where they are until vld_reader_end. Errors: VL_ENOMEM. */
VL_MUST_USE int vld_read(vld_reader *r, const vl_data *d, vl_real *u, vl_real *v, vl_err *e);

#endif
