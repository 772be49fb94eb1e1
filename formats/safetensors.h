/* SPDX-License-Identifier: MIT
 * safetensors.h -- files of named tensors:  u64 header bytes | JSON header | data.
 *
 *   {"__metadata__": {"k": "v"}, "name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}}
 *
 * Offsets count from the end of the header. Tensors lie side by side, from byte 0 to the end of the file,
 * without holes or overlap: one that is read from a pipe comes in the order of vl_st.tensor.
 * Source: github.com/huggingface/safetensors, README and safetensors/src/tensor.rs.
 *
 *   reading a file   read 8 bytes; vl_st_head_bytes; read so many more; vl_st_parse; then each tensor's bytes
 *   from memory      vl_st_load
 *   writing          fill vl_st_tensor.name and .a; vl_st_head; write it, then each tensor's data in order */
#ifndef VL_SAFETENSORS_H
#define VL_SAFETENSORS_H

#include "formats/bytes.h"
#include "formats/npy.h"

enum {
    VL_ST_FIXED = 8,            /* bytes in front of the JSON text */
    VL_ST_HEAD_MAX = 16 << 20,  /* bytes of JSON text that are read (the format's own bound is 100 MB) */
    VL_ST_NAME_MAX = 1000,      /* bytes of a name */
    VL_ST_TENSORS_MAX = 1 << 17 /* in a file */
};

typedef struct vl_st_tensor {
    const char *name; /* UTF-8, 1 to VL_ST_NAME_MAX bytes */
    vl_npy a;         /* dtype, rank, shape, n; data: NULL where the bytes are not in memory */
    uint64_t at;      /* first byte, from the end of the header */
    uint64_t bytes;
} vl_st_tensor;

/* What a header says. Borrows names from meta. */
typedef struct vl_st {
    vl_st_tensor *tensor; /* [n], in the order of their bytes */
    size_t n;
    uint64_t data_bytes; /* of all tensors */
    json_t *head;        /* the parsed header */
    const json_t *meta;  /* its "__metadata__", an object of strings; NULL where there is none */
} vl_st;

/* vl_st_head_bytes -- the length of the JSON text, from the file's first 8 bytes.
 * Errors: VL_EFORMAT under 2 or over VL_ST_HEAD_MAX. */
VL_MUST_USE int vl_st_head_bytes(const uint8_t first[VL_ST_FIXED], size_t *n, vl_err *e);

/* vl_st_parse -- the JSON text (n bytes behind the first 8).
 *   data_bytes  what follows it in the file; UINT64_MAX when that is not known (a pipe: the caller checks)
 *   out         gives; vl_st_free. a.data is NULL everywhere
 * Checked: grammar, repeated names, dtypes (those of dtype.h), shapes, rank, sizes, that tensors lie side by
 * side, that they end where the file does. Errors: VL_EFORMAT naming the tensor; VL_ENOMEM. */
VL_MUST_USE int vl_st_parse(const uint8_t *text, size_t n, uint64_t data_bytes, vl_st *out, vl_err *e);

/* vl_st_load -- a whole file in memory; a.data points into bytes (borrowed), unaligned as it may be. */
VL_MUST_USE int vl_st_load(const uint8_t *bytes, size_t n, vl_st *out, vl_err *e);

void vl_st_free(vl_st *s); /* zeroed is harmless */

/* vl_st_head -- the header of tensors t[n], appended to out: length and text, padded with spaces so that the
 * data begin at a multiple of 8. Sorts t as the reference does, by the size of their numbers from large to
 * small and then by name, so that each is aligned; fills n, at, bytes.
 *   meta    an object of strings, or NULL
 * Errors: VL_EARG (names empty, long, repeated or "__metadata__"; a dtype that the format lacks; shapes;
 * meta; over VL_ST_HEAD_MAX), VL_ENOMEM. t may be sorted then. */
VL_MUST_USE int vl_st_head(vl_st_tensor *t, size_t n, const json_t *meta, vl_buf *out, vl_err *e);

#endif
