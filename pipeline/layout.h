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
 *   TAR   a tar as WebDataset has it, plain or in gzip or zstd: a record is a run of members KEY.EXT with one
 *         key (names.h says where it ends). The first jpg, jpeg, png or webp member (in any case) is the image;
 *         captions are txt, then those of json (an object): "captions", or else "caption", a string or a
 *         list, without one that is txt's; other members, and the other names of the json, stay with the
 *         record. Folders are passed over, "./" in front of a name is not part of it. Anything else than a
 *         regular file, an absolute path and a name that a shard may not hold make their record bad. Several
 *         tars behind one another are one; the last must have an end (1024 zero bytes).
 *
 *   JSON  annotations of one of three forms; white space around a caption is not part of it:
 *         Karpathy   {"images": [{"filename", "filepath" (optional), "split", "sentences": [{"raw"}], "cocoid" or
 *                    "imgid"} ...]}; where splits are asked for, others are passed over
 *         COCO       {"images": [{"id", "file_name", ...} ...], "annotations": [{"image_id", "caption"} ...]}, in
 *                    either order; "flickr_url" or "coco_url" is the source, "license" the licence that "licenses"
 *                    names (as an SPDX identifier where its address is a Creative Commons deed)
 *         BLIP       [{"image", "caption": a string or a list of them, ...} ...]
 *         Image paths are relative to root; the key is the image's path without its extension. The record keeps
 *         the split, the image's id and, of BLIP, all other names.
 *
 * The first bytes tell files apart, not their names.
 * Keys (formats/names.h) and captions (text_utf8.h) are checked here and refused, never repaired; the
 * images themselves are not opened. A source holds one record at a time; besides, DIR the names in the folders
 * on its way, and COCO its captions and file names. */
#ifndef VL_LAYOUT_H
#define VL_LAYOUT_H

#include "formats/shard.h"
#include <stdint.h>

enum {
    VL_LAYOUT_LINE_MAX = 1 << 20, /* bytes of a TSV line; of a caption file or txt member */
    VL_LAYOUT_JSON_MAX = 4 << 20, /* bytes of a json member */
    VL_LAYOUT_CAPTIONS_MAX = 1024 /* a record */
};

typedef struct vl_pair {
    uint64_t index;    /* in the source, from 0; bad records count */
    const char *key;   /* legal in a shard */
    const char *image; /* for open(2); NULL: it is here, in bytes */
    const uint8_t *bytes;
    size_t n_bytes;
    const char *where;  /* the image for messages: "pairs.tsv: record 3: b.jpg", "photos/b.jpg" */
    const char *source; /* NULL when nothing is known */
    const char **captions;
    const size_t *caption_bytes;
    size_t n_captions;         /* at least 1 */
    json_t *more;              /* an object: what else is known, for the record's json; NULL: nothing */
    const vls_member *members; /* that stay with the record */
    size_t n_members;
} vl_pair;

typedef struct vl_layout vl_layout;

/* vl_layout_open -- path: a folder, a file, or "-" for standard input.
 *   root   where the image paths of a TSV or JSON file start; NULL: the folder that holds it, the working
 *          directory for "-"; not for a folder or a tar
 *   split  splits of a Karpathy file, parted by commas; NULL: all. Kept
 * Errors: VL_EIO; VL_EFORMAT (the header line; a tar that is a shard already); VL_EARG (root where none is
 * wanted). */
VL_MUST_USE int vl_layout_open(const char *path, const char *root, const char *split, vl_layout **out,
                               vl_err *e);

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

/* A file or standard input, with its first bytes at hand. */
typedef struct vl_input {
    char *name; /* for messages */
    int fd;
    bool close_fd;
    uint8_t head[512]; /* [n]: not handed out yet from `at` on */
    size_t n, at;
} vl_input;

VL_MUST_USE int vl_input_open(const char *path, vl_input **out, vl_err *e);
/* vl_input_read -- as read(2), restarted after signals. */
ssize_t vl_input_read(vl_input *in, void *to, size_t n);
void vl_input_close(vl_input *in); /* NULL is harmless */

typedef enum vl_input_kind { VL_INPUT_TSV, VL_INPUT_TAR, VL_INPUT_JSON } vl_input_kind;
vl_input_kind vl_input_sniff(const vl_input *in);

/* Each takes the input, in any case. path: as it was given, for the default root. */
int vl_layout_tsv(vl_input *in, const char *path, const char *root, vl_layout **out, vl_err *e);
int vl_layout_json(vl_input *in, const char *path, const char *root, const char *split, vl_layout **out,
                   vl_err *e);
int vl_layout_tar(vl_input *in, vl_layout **out, vl_err *e);
int vl_layout_dir(const char *path, vl_layout **out, vl_err *e);

/* vl_layout_root -- the root of path, as vl_layout_open says, with one slash behind, or "". NULL with *e. */
char *vl_layout_root(const char *path, const char *root, vl_err *e);

/* vl_layout_caption -- checks a caption and notes it for the record. Errors: VL_EFORMAT. */
int vl_layout_caption(vl_layout *l, const char *s, size_t n, vl_err *e);

/* vl_layout_key -- image's path without its extension into key, which has room for strlen(path) + 1
 * bytes; checked as a key. Errors: VL_EFORMAT. */
int vl_layout_key(const char *path, char *key, vl_err *e);

#endif
