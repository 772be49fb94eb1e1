/* SPDX-License-Identifier: MIT
 * data_load.h -- the inside of vl_data_load: what was seen so far. data_load.c fills it, data_mend.c leaves out
 * what is not whole where that was asked for, data_join.c turns it into the result; no other file includes this. */
#ifndef VL_DATA_LOAD_H
#define VL_DATA_LOAD_H

#include "pipeline/data.h"
#include "pipeline/keytab.h"
#include "formats/stage.h"

#define VL_LOAD_ROWS_MAX ((size_t)1 << 31)

typedef struct vl_load_entry { /* what was seen of a key */
    bool pair;
    size_t at; /* place in the result; only with pair */
    char **caption;
    size_t n_captions;
    uint64_t stored;    /* bytes of image file and captions */
    size_t row, n_rows; /* text rows; n_rows 0: none seen */
    int pair_path, text_path;
    char *why;     /* its image does not decode; NULL: it does, as far as is known */
    bool left_out; /* by vl_load_mend */
} vl_load_entry;

typedef struct vl_loader {
    const char *const *path;
    size_t n_paths;
    const vl_data_opts *o;
    int now;                /* number of the shard at hand */
    const json_t *manifest; /* of the segment at hand */
    vl_keytab keys;
    vl_load_entry *entry; /* [room], by number of the key */
    size_t room, n_pairs;
    size_t n_left_out;
    vl_stage *stage;
    size_t in_flight; /* bytes */
    uint8_t *images;
    size_t image_room;
    bool image_bad; /* an image that failed was taken */
    float *text;
    size_t n_rows, row_room, dim; /* dim 0: no text seen yet */
    char *ext;                    /* of the text rows; NULL until one is seen */
    int ext_path;
} vl_loader;

/* vl_load_name -- shard number path, for messages. */
const char *vl_load_name(const vl_loader *l, int path);

/* vl_load_check -- is the entry whole? VL_EFORMAT with what is wrong with it, now that everything was read. */
VL_MUST_USE int vl_load_check(const vl_loader *l, const char *key, const vl_load_entry *n, vl_err *e);

/* vl_load_mend -- with o->left_out: marks the entries that lack a side or an image, tells of each, and closes up
 * places and images of the others. Before vl_load_join. VL_EFORMAT when no record is left, or one is wrong in
 * another way. */
VL_MUST_USE int vl_load_mend(vl_loader *l, vl_err *e);

/* vl_load_join -- checks that every record is whole, then brings all into *d (zeroed; the caller frees it on
 * failure, too). */
VL_MUST_USE int vl_load_join(vl_loader *l, vl_data *d, vl_err *e);

#endif
