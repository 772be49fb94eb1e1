/* SPDX-License-Identifier: MIT
 * npy.h -- NumPy's .npy v1.0 in memory: little-endian, C order. Source: numpy/lib/format.py. */
#ifndef VL_NPY_H
#define VL_NPY_H

#include "formats/err.h"
#include <stdint.h>

enum { VL_NPY_MAX_RANK = 8 };

typedef enum vl_dtype { VL_F16, VL_F32, VL_F64, VL_U8, VL_I32, VL_I64 } vl_dtype;

typedef struct vl_npy {
    vl_dtype dtype;
    int rank;
    uint64_t shape[VL_NPY_MAX_RANK];
    uint64_t n;       /* elements */
    const void *data; /* borrowed; may be unaligned: copy before use as numbers */
} vl_npy;

size_t vl_dtype_size(vl_dtype t); /* bytes an element */

/* vl_npy_parse -- reads the header and checks that bytes holds exactly the array it declares.
 * Errors: VL_EFORMAT (magic, version, header grammar, Fortran order, big-endian, size mismatch). */
VL_MUST_USE int vl_npy_parse(const uint8_t *bytes, size_t n, vl_npy *out, vl_err *e);

/* vl_npy_build -- header + data in one new block. Gives *bytes (free()). a->n is ignored. */
VL_MUST_USE int vl_npy_build(const vl_npy *a, uint8_t **bytes, size_t *n, vl_err *e);

/* vl_npy_floats / vl_npy_doubles -- converts F16/F32/F64 elements into out[a->n].
 * Errors: VL_EFORMAT when the dtype is an integer. */
VL_MUST_USE int vl_npy_floats(const vl_npy *a, float *out, vl_err *e);
VL_MUST_USE int vl_npy_doubles(const vl_npy *a, double *out, vl_err *e);

#endif
