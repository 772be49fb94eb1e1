/* SPDX-License-Identifier: MIT
 * index_part.h -- the inside of shard_index: one segment, where its frames and records lie. index_part.c loads
 * it, shard_index.c decides what stays; no other file includes this. */
#ifndef VLS_INDEX_PART_H
#define VLS_INDEX_PART_H

#include "formats/plain.h"
#include "formats/seektab.h"
#include "formats/vlix.h"

typedef struct vls_part {
    uint32_t shard;   /* number of its file in the list */
    uint64_t ordinal; /* of the segment in its file */
    uint64_t first;   /* number of its first record */
    uint32_t n;       /* records */
    bool plain;       /* DATA lies in the file as it is, from `data` on */
    bool kept;        /* built by reading: never dropped */
    bool loaded;      /* x, and for frames tab and its sums, are there */
    uint64_t data;    /* plain: byte position of DATA */
    vl_span span;     /* frames: where they lie */
    uint64_t vlix;    /* byte position of the index, 0: none */
    uint32_t vlix_n;  /* its bytes, the skippable frame's header included */
    uint64_t used;    /* when last */
    vls_vlix x;
    vl_seektab tab;
    vl_buf at; /* 2 u64 a frame and one pair more: byte in the file, offset in DATA (HEAD: none) */
} vls_part;

typedef struct vls_part_list {
    vls_part *part;
    size_t n, cap;
} vls_part_list;

/* vls_parts_of -- appends the segments of kind *kind in the file fd, of file_bytes bytes; *kind NULL takes the
 * first segment's, copied into name. Sets what is known without reading records: n where there is an index.
 * Errors: VL_EFORMAT, VL_EIO, VL_ENOMEM, without the path. */
VL_MUST_USE int vls_parts_of(int fd, uint64_t file_bytes, uint32_t shard, char name[], vls_part_list *out,
                             vl_err *e);

/* vls_parts_scan -- reads the file through and builds the index of each of its parts p[n] that needs one. */
VL_MUST_USE int vls_parts_scan(const char *path, const char *kind, bool all, vls_part *p, size_t n,
                               vl_err *e);

/* vls_part_load -- makes x, tab and at ready; vls_part_drop frees what can be loaded again. */
VL_MUST_USE int vls_part_load(vls_part *p, int fd, vl_err *e);
void vls_part_drop(vls_part *p);
void vls_part_free(vls_part *p);
size_t vls_part_bytes(const vls_part *p); /* memory that vls_part_drop would free */

/* Frame i (< p->tab.n): its byte in the file, and the offset of its content in DATA. i = tab.n: the end. */
uint64_t vls_part_file_at(const vls_part *p, uint32_t i);
uint64_t vls_part_raw_at(const vls_part *p, uint32_t i);

#endif
