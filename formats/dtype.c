/* SPDX-License-Identifier: MIT */
#include "formats/dtype.h"

#include <string.h>

static const struct {
    const char *descr, *safetensors;
    unsigned char size, word; /* bytes */
} types[VL_DTYPES] = {
    [VL_F16] = {"<f2", "F16", 2, 2},   [VL_F32] = {"<f4", "F32", 4, 4}, [VL_F64] = {"<f8", "F64", 8, 8},
    [VL_BF16] = {"<u2", "BF16", 2, 2}, [VL_U8] = {"|u1", "U8", 1, 1},   [VL_I8] = {"|i1", "I8", 1, 1},
    [VL_U16] = {"<u2", "U16", 2, 2},   [VL_I16] = {"<i2", "I16", 2, 2}, [VL_U32] = {"<u4", "U32", 4, 4},
    [VL_I32] = {"<i4", "I32", 4, 4},   [VL_U64] = {"<u8", "U64", 8, 8}, [VL_I64] = {"<i8", "I64", 8, 8},
    [VL_BOOL] = {"|b1", "BOOL", 1, 1}, [VL_C64] = {"<c8", "C64", 8, 4}, [VL_C128] = {"<c16", NULL, 16, 8},
};

static int known(vl_dtype t)
{
    return (int)t > 0 && t < VL_DTYPES;
}

size_t vl_dtype_size(vl_dtype t)
{
    return known(t) ? types[t].size : 0;
}

size_t vl_dtype_word(vl_dtype t)
{
    return known(t) ? types[t].word : 0;
}

const char *vl_dtype_descr(vl_dtype t)
{
    return known(t) ? types[t].descr : NULL;
}

const char *vl_dtype_safetensors(vl_dtype t)
{
    return known(t) ? types[t].safetensors : NULL;
}

const char *vl_dtype_name(vl_dtype t)
{
    return t == VL_BF16 ? "bf16" : vl_dtype_descr(t);
}

vl_dtype vl_dtype_of_descr(const char *descr)
{
    for (int t = 1; t < VL_DTYPES; t++)
        if (t != VL_BF16 && !strcmp(descr, types[t].descr))
            return (vl_dtype)t;
    return (vl_dtype)0;
}

vl_dtype vl_dtype_of_safetensors(const char *name)
{
    for (int t = 1; t < VL_DTYPES; t++)
        if (types[t].safetensors && !strcmp(name, types[t].safetensors))
            return (vl_dtype)t;
    return (vl_dtype)0;
}

vl_dtype vl_dtype_of_name(const char *name)
{
    return strcmp(name, "bf16") ? vl_dtype_of_descr(name) : VL_BF16;
}
