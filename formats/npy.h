/* SPDX-License-Identifier: MIT
 * npy.h -- NumPy's .npy files in memory, versions 1.0 to 3.0, little-endian, C order; version 1.0 is
 * written. Source: numpy/lib/format.py. */
#ifndef VL_NPY_H
#define VL_NPY_H

#include "formats/dtype.h"
#include "formats/err.h"
#include <jansson.h>

enum { VL_NPY_MAX_RANK = 8, VL_NPY_HEAD_MAX = 384 /* bytes in front of the data, as written here */ };

/* An array of any of the formats. */
typedef struct vl_npy {
    vl_dtype dtype;
    int rank;
    uint64_t shape[VL_NPY_MAX_RANK];
    uint64_t n;       /* elements */
    const void *data; /* borrowed; may be unaligned: copy before use as numbers */
} vl_npy;

/* vl_npy_count -- elements of dtype and shape into a->n. Errors: VL_EARG dtype or rank; VL_EFORMAT when the
 * bytes do not fit 63 bits. */
VL_MUST_USE int vl_npy_count(vl_npy *a, vl_err *e);

/* vl_npy_parse -- reads the header and checks that bytes holds exactly the array it declares. bf16 comes
 * out as VL_U16 (see vl_npy_schema).
 * Errors: VL_EFORMAT (magic, version, header grammar, Fortran order, big-endian, size mismatch). */
VL_MUST_USE int vl_npy_parse(const uint8_t *bytes, size_t n, vl_npy *out, vl_err *e);

/* vl_npy_schema -- what a segment's manifest says of its members "ext" beyond what .npy can: a VL_U16 whose
 * schema entry has "dtype": "bf16" becomes VL_BF16. manifest may be NULL, the schema may be missing.
 * Errors: VL_EFORMAT when the schema says bf16 of another dtype. */
VL_MUST_USE int vl_npy_schema(const json_t *manifest, const char *ext, vl_npy *a, vl_err *e);

/* vl_npy_head -- the header of an array whose data come separately. Errors: VL_EARG. */
VL_MUST_USE int vl_npy_head(const vl_npy *a, uint8_t out[VL_NPY_HEAD_MAX], size_t *n, vl_err *e);

/* vl_npy_build -- header + data in one new block. Gives *bytes (free()). a->n is ignored. */
VL_MUST_USE int vl_npy_build(const vl_npy *a, uint8_t **bytes, size_t *n, vl_err *e);

/* vl_npy_floats / vl_npy_doubles -- converts F16/BF16/F32/F64 elements into out[a->n].
 * Errors: VL_EFORMAT when the dtype is another one. */
VL_MUST_USE int vl_npy_floats(const vl_npy *a, float *out, vl_err *e);
VL_MUST_USE int vl_npy_doubles(const vl_npy *a, double *out, vl_err *e);

#endif
