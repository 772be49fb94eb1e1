/* SPDX-License-Identifier: MIT
 * data.h -- a data set in memory as training and evaluation see it: square images as bytes, or a feature row
 * for each image; one embedding row for each caption. */
#ifndef VL_DATA_H
#define VL_DATA_H

#include "formats/left_out.h"
#include <stdbool.h>
#include <stdint.h>

typedef struct vl_data {
    size_t n;            /* records */
    size_t size;         /* S, pixels; 0 with features */
    size_t feature_dim;  /* F; 0 with images */
    size_t text_dim;     /* K */
    size_t n_caps;       /* captions of all records */
    uint8_t *images;     /* [n,S,S,3] sRGB; NULL with features */
    float *features;     /* [n,F]; NULL with images */
    float *text;         /* [n_caps,K] */
    size_t *cap;         /* [n + 1]: record i has captions cap[i] .. cap[i + 1] - 1, at least one */
    char *text_ext;      /* the member that the text rows are from; NULL: none are there */
    char *image_ext;     /* the same of features */
    char *feature_model; /* name of the encoder that made the features; NULL: not known */
    char **key;          /* [n] */
    uint64_t *bytes;     /* [n] as their owner stores them: image file and captions; NULL: not known */
    char **caption;      /* [n_caps]; NULL: only features and rows were there */
    uint32_t *group;     /* [n_caps]: equal captions have equal numbers (vl_data_group) */
    size_t n_groups;     /* distinct captions */
} vl_data;

/* vl_data_group -- numbers captions so that equal text means equal number, from 0 in order of first sight. Where
 * texts are not known, equal rows. Errors: VL_ENOMEM. */
VL_MUST_USE int vl_data_group(vl_data *d, vl_err *e);

void vl_data_free(vl_data *d); /* zeroed is harmless */

typedef struct vl_data_opts {
    size_t size; /* S: images are padded to a square with white and resized to S x S */
    /* member with the text rows, "hash768.txt.npy"; NULL: the only *.txt.npy there is */
    const char *text_ext;
    const char *image_ext; /* with features: the same, "x.img.npy" */
    /* What is wanted; a kind that is wanted and missing is an error that names it. features: rows of images in
       place of pixels; the order is theirs, and shards of pairs need not be there */
    bool images, features, text;
    int threads;             /* decoding, >= 1; never changes the result */
    const char *const *keys; /* only these records, in this order; NULL: all, in the order of the pairs */
    size_t n_keys;
    vls_reader *standard_input; /* an open reader that stands for "-" (its caller had to see the kind first);
                                   borrowed, read to its end; NULL: "-" is opened. With left_out its caller
                                   opens it with skip_bad */
    /* NULL: whatever is wrong is an error. Else shards are read with skip_bad, and a record without its pair or
       its embedding, or with an image that does not decode, is left out; this hears of both. Records in the order
       of the pairs, then embeddings without a pair. With keys there are then fewer records than were asked for */
    const vls_left_out *left_out;
} vl_data_opts;

/* vl_data_load -- reads shards of pairs and of embeddings ("-": standard input) and joins them by key.
 *   parents, n_parents  out  content ids of the shards, one each, caller's array [n_paths]; may be NULL
 * Groups the captions, if text is wanted or pairs are there. Records of pairs must have an image and at least one caption; as many text rows as captions.
 * Errors: VL_EFORMAT naming shard and key (a record without embedding, an embedding without record, a row
 * count that differs from the captions, an image that does not decode, a key twice; with left_out: no record
 * is whole), VL_EIO, VL_ENOMEM, what left_out returned. */
VL_MUST_USE int vl_data_load(const char *const *paths, size_t n_paths, const vl_data_opts *o, vl_data *out,
                             vls_parent *parents, vl_err *e);

#endif
