/* SPDX-License-Identifier: MIT
 * layout.h -- sources of image-text pairs: where the images lie, what their captions and keys are.
 *
 *   TSV   one record a line, fields parted by tabs, no quoting:  image caption [caption ...]
 *         The first line may name the columns instead, when its first field is "key" or "image": image once,
 *         caption at least once, key and source at most once. A last column "caption" stands for all fields
 *         from there on. Lines end in LF or CR LF; empty lines are passed over. Image paths are relative to
 *         root. Without a key column the key is the image's path without its extension.
 *   DIR   name.jpg, name.jpeg, name.png or name.webp (in any case) with name.txt beside it, one caption a line, empty
 *         lines passed over; folders within folders; in the bytewise order of the paths. The key is the path
 *         below DIR without its extension. Symbolic links to folders are not followed, those to files must
 *         stay below DIR.
 *
 * Keys (formats/names.h) and captions (text_utf8.h) are checked here and refused, never repaired; the
 * images themselves are not opened. A source holds one record at a time, and DIR the names in the folders
 * on its way. */
#ifndef VL_LAYOUT_H
#define VL_LAYOUT_H

#include "formats/err.h"
#include <stdint.h>
#include <stdio.h>

enum {
    VL_LAYOUT_LINE_MAX = 1 << 20, /* bytes of a TSV line; of a caption file */
    VL_LAYOUT_CAPTIONS_MAX = 1024 /* a record */
};

typedef struct vl_pair {
    uint64_t index;     /* in the source, from 0; bad records count */
    const char *key;    /* legal in a shard */
    const char *image;  /* for open(2) */
    const char *where;  /* the image for messages: "pairs.tsv: record 3: b.jpg", "photos/b.jpg" */
    const char *source; /* NULL when nothing is known */
    const char **captions;
    const size_t *caption_bytes;
    size_t n_captions; /* at least 1 */
} vl_pair;

typedef struct vl_layout vl_layout;

/* vl_layout_open -- path: a folder, a TSV file, or "-" for TSV on standard input.
 *   root   where the image paths of a TSV start; NULL: the folder that holds the TSV, the working
 *          directory for "-"; not for a folder
 * Errors: VL_EIO; VL_EFORMAT (the header line); VL_EARG (root with a folder). */
VL_MUST_USE int vl_layout_open(const char *path, const char *root, vl_layout **out, vl_err *e);

/* vl_layout_next -- the next record.
 *   1           *pair is set, borrowed until the next call
 *   0           the end
 *   VL_EFORMAT  this record is bad, its place stands in the text: the next call goes on behind it
 *   other       the source cannot go on */
VL_MUST_USE int vl_layout_next(vl_layout *l, vl_pair *pair, vl_err *e);

/* vl_layout_ignored -- files and folders so far that belong to no pair (DIR). */
uint64_t vl_layout_ignored(const vl_layout *l);

void vl_layout_close(vl_layout *l); /* NULL is harmless */

/* ---- for the sources ---------------------------------------------------------------------------- */

struct vl_layout {
    int (*next)(vl_layout *l, vl_pair *pair, vl_err *e);
    void (*close)(vl_layout *l);
    uint64_t index, ignored;
    /* The captions of the record at hand; the text is the source's. */
    const char *caption[VL_LAYOUT_CAPTIONS_MAX];
    size_t caption_bytes[VL_LAYOUT_CAPTIONS_MAX];
    size_t n_captions;
};

int vl_layout_tsv(const char *path, const char *root, vl_layout **out, vl_err *e);
int vl_layout_dir(const char *path, vl_layout **out, vl_err *e);

/* vl_layout_caption -- checks a caption and notes it for the record. Errors: VL_EFORMAT. */
int vl_layout_caption(vl_layout *l, const char *s, size_t n, vl_err *e);

/* vl_layout_key -- image's path without its extension into key, which has room for strlen(path) + 1
 * bytes; checked as a key. Errors: VL_EFORMAT. */
int vl_layout_key(const char *path, char *key, vl_err *e);

#endif
