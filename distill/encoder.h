/* SPDX-License-Identifier: MIT
 * encoder.h -- frozen encoders by name: images or captions in, rows out. One table; each encoder is complete
 * in a file of its own, encoder_<name>.c. They are here and not in pipeline/ because weights may come out of
 * a trajectory.
 *
 *   hash:DIM, hash768               captions, hashed n-grams (pipeline/text_hash.h), unit rows
 *   convnet:64x3#seed=1             images, fresh weights of a student's image branch, unit rows
 *   convnet:64x3@FILE#expert-0000/snap-0003   the same network with the weights of that snapshot
 *   FOLDER, FOLDER#size=224         images, a pretrained vision transformer's class token, unit rows */
#ifndef VLD_ENCODER_H
#define VLD_ENCODER_H

#include "formats/shard.h"
#include "pipeline/model.h"
#include "pipeline/pool.h"

typedef enum vld_side { VLD_OF_IMAGES, VLD_OF_TEXTS } vld_side;

typedef struct vld_encoder vld_encoder;
struct vld_encoder {
    char name[192];     /* what it is, without file names: goes into manifests */
    char ext[128];      /* the member with its rows: "hash768.txt.npy" */
    size_t dim;         /* D */
    size_t size;        /* images: S, pixels */
    bool blas;          /* rows come out of matrix products: their bytes hold for one BLAS core type */
    vls_parent weights; /* the shard that the weights came from; empty id: none */
    /* The network and its weights, where it is one that a gradient can go through; else NULL. Owned by state. */
    const vlm_model *model;
    const vl_real *theta;
    vl_pool *pool; /* borrowed */
    void *state;

    /* texts: caption[n], UTF-8, to out[n,D]. images: rgb u8 [n,S,S,3] to out[n,D]. One of them is NULL.
     * One caller at a time. Row i depends on item i alone; for images to the last bit as long as callers
     * divide the items alike. Errors: VL_ENOMEM, VL_EFORMAT (an item that cannot be encoded). */
    int (*texts)(vld_encoder *enc, const char *const *caption, size_t n, float *out, vl_err *e);
    int (*images)(vld_encoder *enc, const uint8_t *rgb, size_t n, float *out, vl_err *e);
    void (*close)(vld_encoder *enc); /* frees state */
};

typedef struct vld_encoder_opts { /* for encoders that do not bring them along */
    size_t size;                  /* S */
    size_t embed_dim;             /* D */
} vld_encoder_opts;

typedef struct vld_encoder_kind {
    vld_side side;
    const char *prefix; /* of the names that it answers to; "": folders, which come last */
    const char *form;   /* for messages: "convnet:WIDTHxLAYERS#seed=N" */
    int (*open)(const char *name, const vld_encoder_opts *o, vld_encoder *enc, vl_err *e);
} vld_encoder_kind;

/* The table ends with a NULL prefix. */
extern const vld_encoder_kind vld_encoder_kinds[];

/* vld_encoder_open -- finds the encoder by its name. pool: borrowed, may be NULL.
 * Errors: VL_EARG (no such name, saying which there are; sizes); VL_EIO, VL_EFORMAT (weights). */
VL_MUST_USE int vld_encoder_open(vld_side side, const char *name, const vld_encoder_opts *o, vl_pool *pool,
                                 vld_encoder *enc, vl_err *e);

void vld_encoder_close(vld_encoder *enc); /* zeroed is harmless */

/* ---- the encoders, for the table ---- */
int vld_encoder_hash(const char *name, const vld_encoder_opts *o, vld_encoder *enc, vl_err *e);
int vld_encoder_convnet(const char *name, const vld_encoder_opts *o, vld_encoder *enc, vl_err *e);
int vld_encoder_vit(const char *name, const vld_encoder_opts *o, vld_encoder *enc, vl_err *e);
bool vld_encoder_is_folder(const char *name); /* of encoder_vit.c, with or without #size=N */

#endif
