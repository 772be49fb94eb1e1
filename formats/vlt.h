/* SPDX-License-Identifier: MIT
 * vlt.h -- the .vlt tensor: an array whose bytes are rearranged so that zstd makes less of them, alone or
 * as the difference to a reference tensor of the same dtype and shape. The layout is in FORMAT.md. Nothing
 * is compressed inside; the frame does that. Bits are kept: numbers are never looked at as numbers. */
#ifndef VL_VLT_H
#define VL_VLT_H

#include "formats/bytes.h"
#include "formats/npy.h"

enum {
    VL_VLT_TILE_LOG = 18, /* words that are shuffled together: 2^18 */
    VL_VLT_FIXED = 32,    /* bytes of a header without shape and reference */
    VL_VLT_ALIGN = 64,    /* the data begin at a multiple of it */
    VL_VLT_REF_MAX = 1000 /* bytes of a reference's name */
};

/* The values stand in the file. */
typedef enum vl_vlt_filter {
    VL_VLT_NONE = 0,    /* as they are */
    VL_VLT_SHUFFLE = 1, /* byte planes, tile by tile */
    VL_VLT_XOR = 2,     /* with the reference, then shuffled */
    VL_VLT_SUB = 3,     /* less the reference, zigzag, then shuffled */
    VL_VLT_FILTERS
} vl_vlt_filter;

/* A tensor that differences are taken to. */
typedef struct vl_vlt_ref {
    const char *name; /* its member, KEY.EXT */
    const void *raw;  /* borrowed */
    size_t bytes;
    uint64_t sum; /* XXH64 of raw */
} vl_vlt_ref;

typedef struct vl_vlt {
    vl_npy a; /* data: the filtered bytes, borrowed */
    vl_vlt_filter filter;
    uint64_t sum;                 /* XXH64 of the raw bytes */
    uint64_t ref_sum;             /* of the reference's; 0 without one */
    char ref[VL_VLT_REF_MAX + 1]; /* its name; "" without one */
} vl_vlt;

/* vl_vlt_is -- does ext end in ".vlt"? */
bool vl_vlt_is(const char *ext);

/* vl_vlt_sum -- XXH64 of n bytes. */
uint64_t vl_vlt_sum(const void *raw, size_t n);

size_t vl_vlt_bytes(const vl_vlt *t); /* of the raw array, and of the filtered one */

/* vl_vlt_parse -- the header, checked to the last byte; the data must be there, all of them and no more.
 * Errors: VL_EFORMAT. */
VL_MUST_USE int vl_vlt_parse(const uint8_t *bytes, size_t n, vl_vlt *out, vl_err *e);

/* vl_vlt_decode -- the raw bytes, vl_vlt_bytes(t) of them.
 *   ref  the tensor that t->ref names; NULL where t needs none
 *   raw  may be ref->raw
 * Errors: VL_EFORMAT (the reference is missing, has another name, size or sum; the result has not the sum
 * that the header says: raw is worthless then). */
VL_MUST_USE int vl_vlt_decode(const vl_vlt *t, const vl_vlt_ref *ref, void *raw, vl_err *e);

/* vl_vlt_build -- header and filtered data of a (a->n is ignored), appended to out, which a caller reuses.
 *   ref  for VL_VLT_XOR and VL_VLT_SUB, of the same size; else NULL
 *   sum  out  XXH64 of a's bytes; may be NULL
 * Errors: VL_EARG (dtype, shape, filter, reference or its name), VL_ENOMEM. */
VL_MUST_USE int vl_vlt_build(const vl_npy *a, vl_vlt_filter filter, const vl_vlt_ref *ref, vl_buf *out,
                             uint64_t *sum, vl_err *e);

/* vl_vlt_piece -- how many bytes of a file of n, from byte `at` on, are of one kind: the header, then plane by
 * plane. Planes under 4096 bytes (VL_VLT_PIECE_MIN) count as one: the rest of the file. at: 0, or the end of the
 * piece before. */
enum { VL_VLT_PIECE_MIN = 4096 };
size_t vl_vlt_piece(const vl_vlt *t, size_t n, size_t at);

/* vl_vlt_filter_bytes, vl_vlt_unfilter -- the data alone: n bytes of words of w bytes. in and out do not
 * overlap, but raw may be ref. ref: NULL for VL_VLT_NONE and VL_VLT_SHUFFLE. */
void vl_vlt_filter_bytes(vl_vlt_filter f, size_t w, const uint8_t *raw, const uint8_t *ref, size_t n,
                         uint8_t *out);
void vl_vlt_unfilter(vl_vlt_filter f, size_t w, const uint8_t *in, const uint8_t *ref, size_t n,
                     uint8_t *raw);

#endif
