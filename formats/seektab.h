/* SPDX-License-Identifier: MIT
 * seektab.h -- the seek table that ends a segment (its commit record), and the walk backward over
 * all tables of a file. Source: zstd contrib/seekable_format, version 0.1.0.
 *
 *   u32 0x184D2A5E | u32 payload bytes | n x { u32 csize, u32 dsize, u32 checksum } |
 *   u32 n | u8 0x80 | u32 0x8F92EAB1                                      all little-endian */
#ifndef VL_SEEKTAB_H
#define VL_SEEKTAB_H

#include "formats/frame.h"

enum {
    VL_SEEK_FRAMES_MAX = 1 << 22, /* frames in a segment */
    VL_SEEK_ENTRY = 12,
    VL_SEEK_FIXED = 17, /* bytes of a table with no entry */
    VL_TERM_BYTES = 52, /* the terminator: one frame of 1024 zero bytes and its table */
    VL_TERM_CONTENT = 1024
};

/* Entries as the file has them; {0} is empty, free(t->b.p) ends it. */
typedef struct vl_seektab {
    vl_buf b;
    uint32_t n;
} vl_seektab;

VL_MUST_USE int vl_seektab_add(vl_seektab *t, const vl_frame *f, vl_err *e);
vl_frame vl_seektab_get(const vl_seektab *t, uint32_t i); /* i < t->n */
void vl_seektab_clear(vl_seektab *t);

/* vl_seektab_build -- the whole skippable frame, appended to out. */
VL_MUST_USE int vl_seektab_build(const vl_seektab *t, vl_buf *out, vl_err *e);

/* A segment (or terminator) of a file: frames from `start`, its table at `table`, VL_SEEK_FIXED +
 * 12 n bytes long; the next span starts right behind. */
typedef struct vl_span {
    uint64_t start, table; /* byte positions */
    uint32_t n;            /* frames */
} vl_span;

/* vl_seektab_walk -- finds all spans from the end of the file to its byte 0, in file order.
 * Gives *spans (free()). Errors: VL_EFORMAT as soon as the chain breaks, VL_EIO. Reads only tables. */
VL_MUST_USE int vl_seektab_walk(int fd, uint64_t file_bytes, vl_span **spans, size_t *n, vl_err *e);

/* vl_seektab_load -- the entries of one span. */
VL_MUST_USE int vl_seektab_load(int fd, const vl_span *s, vl_seektab *t, vl_err *e);

extern const uint8_t vl_term[VL_TERM_BYTES];

#endif
