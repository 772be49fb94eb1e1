/* SPDX-License-Identifier: MIT
 * pack.h -- from a pair (where an image lies, its captions) to the record that a shard holds.
 *
 *   jpg, png, webp   the image file's bytes, untouched; the extension by its first bytes, not its name
 *   json             {"captions":[...],"height":H,"width":W} with "source" and "split" where known; the
 *                    size is that of the upright picture
 *   txt              the first caption, which is what WebDataset loaders expect
 * What the source knows besides: names of its own in the json, and further members, behind these three. */
#ifndef VL_PACK_H
#define VL_PACK_H

#include "formats/shard.h"
#include "pipeline/image.h"
#include "pipeline/layout.h"

#define VL_PACK_IMAGE_MAX ((uint64_t)1 << 29) /* bytes of an image file */

typedef struct vl_pack_opts {
    uint64_t max_pixels;
    bool decode;       /* decode the image too, and refuse it where that fails */
    const char *split; /* for the json, NULL: none */
} vl_pack_opts;

typedef struct vl_packed {
    int rc;   /* VL_OK; VL_EFORMAT: this record is bad; else the system's fault */
    vl_err e; /* why, with the record's place in front */
    vl_image_info info;
    vls_record record;  /* when rc is VL_OK; points into this struct */
    vls_member *member; /* [3 + those that stay with the record] */
    size_t n_more;      /* of these */
    char *text;         /* key, where, image, source, captions, names and bytes of members: one block */
    char *key, *where, *image, *source;
    char **captions;
    size_t n_captions;
    json_t *more;   /* for the json; shared, read only */
    uint8_t *bytes; /* the image file */
    size_t n;
    size_t held; /* bytes that came with the pair: the image, members */
    char *json;
} vl_packed;

/* vl_packed_new -- keeps a copy of the pair, and a reference of pair->more. NULL with *e (VL_ENOMEM). */
vl_packed *vl_packed_new(const vl_pair *pair, vl_err *e);

/* vl_packed_bad -- a record that was refused before it could become one: rc and e as given. */
vl_packed *vl_packed_bad(int rc, const vl_err *why, vl_err *e);

/* vl_packed_make -- reads and checks the image, builds the members; sets rc. Nothing to do for a
 * record that is bad already. Safe on distinct records from many threads. */
void vl_packed_make(vl_packed *p, const vl_pack_opts *opts);

void vl_packed_free(vl_packed *p); /* NULL is harmless */

#endif
