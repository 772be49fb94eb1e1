/* SPDX-License-Identifier: MIT
 * data_load.h -- the inside of vl_data_load: what was seen so far. data_load.c and data_rows.c fill it, data_mend.c leaves out
 * what is not whole where that was asked for, data_join.c turns it into the result; no other file includes this. */
#ifndef VL_DATA_LOAD_H
#define VL_DATA_LOAD_H

#include "pipeline/data.h"
#include "pipeline/keytab.h"
#include "formats/stage.h"

#define VL_LOAD_ROWS_MAX ((size_t)1 << 31)

/* The two kinds of embeddings that are read. */
enum { VL_LOAD_TEXT, VL_LOAD_IMAGE, VL_LOAD_SIDES };

typedef struct vl_load_entry { /* what was seen of a key */
    bool pair, placed;
    size_t
        at; /* place in the result; only when placed: by the pair, or by the features where those are wanted */
    char **caption;
    size_t n_captions;
    uint64_t stored; /* bytes of image file and captions */
    int pair_path;
    struct {
        size_t first, n; /* rows; n 0: none seen */
        int path;
    } rows[VL_LOAD_SIDES];
    char *why;     /* its image does not decode; NULL: it does, as far as is known */
    bool left_out; /* by vl_load_mend */
} vl_load_entry;

/* Rows of one kind from all shards, in the order in which they came. */
typedef struct vl_load_rows {
    bool wanted;
    const char *want;   /* the member that was asked for; NULL: the only one with this ending */
    const char *ending; /* ".txt.npy" */
    char *ext;          /* the member that it turned out to be; NULL until one is seen */
    int ext_path;
    char *model; /* what the schema says made them; NULL: nothing */
    float *v;    /* [n,dim] */
    size_t n, room, dim;
} vl_load_rows;

typedef struct vl_loader {
    const char *const *path;
    size_t n_paths;
    const vl_data_opts *o;
    int now;                /* number of the shard at hand */
    const json_t *manifest; /* of the segment at hand */
    vl_keytab keys;
    vl_load_entry *entry; /* [room], by number of the key */
    size_t room, n_pairs, n_placed;
    size_t n_left_out;
    vl_stage *stage;
    size_t in_flight; /* bytes */
    uint8_t *images;
    size_t image_room;
    bool image_bad; /* an image that failed was taken */
    vl_load_rows rows[VL_LOAD_SIDES];
} vl_loader;

/* vl_load_name -- shard number path, for messages. */
const char *vl_load_name(const vl_loader *l, int path);

/* vl_load_doubled -- room for need and more. */
size_t vl_load_doubled(size_t room, size_t need);

/* vl_load_rows_add -- takes the record's rows of one side, if it has any, for entry n.
 * Errors: VL_EFORMAT (two members that could be meant, another width, values not finite, rows twice), VL_ENOMEM. */
VL_MUST_USE int vl_load_rows_find(vl_loader *l, int side, const vls_record *rec, const vls_member **out,
                                  vl_err *e);
VL_MUST_USE int vl_load_rows_add(vl_loader *l, int side, const vls_member *m, vl_load_entry *n, vl_err *e);

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
