/* SPDX-License-Identifier: MIT
 * dtype.h -- the kinds of numbers that arrays on disk hold, and what each format calls them.
 * All are little-endian; an array is bytes, and copying it never goes through floating point, so NaN
 * payloads, -0 and denormals stay as they are. */
#ifndef VL_DTYPE_H
#define VL_DTYPE_H

#include <stddef.h>
#include <stdint.h>

/* The values are the dtype byte of a .vlt file (FORMAT.md): they never change. 0 is none. */
typedef enum vl_dtype {
    VL_F16 = 1,
    VL_F32,
    VL_F64,
    VL_BF16, /* upper half of a float; .npy has no name for it: <u2, and the schema says bf16 */
    VL_U8,
    VL_I8,
    VL_U16,
    VL_I16,
    VL_U32,
    VL_I32,
    VL_U64,
    VL_I64,
    VL_BOOL, /* one byte */
    VL_C64,  /* two floats */
    VL_C128, /* two doubles */
    VL_DTYPES
} vl_dtype;

size_t vl_dtype_size(vl_dtype t); /* bytes an element; 0 for what is no dtype */

/* vl_dtype_word -- bytes of the numbers that an element is made of: half its size for complex ones. */
size_t vl_dtype_word(vl_dtype t);

/* Names: NumPy's descr ("<f4", "|u1"), that of safetensors ("F32"; NULL for VL_C128, which it lacks), and
 * ours for schemas, which is NumPy's but for "bf16". NULL for what is no dtype. */
const char *vl_dtype_descr(vl_dtype t);
const char *vl_dtype_safetensors(vl_dtype t);
const char *vl_dtype_name(vl_dtype t);

/* The dtype with this name, 0 when there is none. Two descr are one for .npy: "<u2" is VL_U16. */
vl_dtype vl_dtype_of_descr(const char *descr);
vl_dtype vl_dtype_of_safetensors(const char *name);
vl_dtype vl_dtype_of_name(const char *name);

#endif
