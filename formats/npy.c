/* SPDX-License-Identifier: MIT
 * npy.c -- the .npy file:  93 'NUMPY' 01 00 | u16 header bytes | header | data
 * (versions 2.0 and 3.0: u32 header bytes).
 * The header is a Python dict of exactly three keys in any order, padded with spaces to a multiple
 * of 64 from the start of the file, ending in a newline. Only what the dtypes below need is
 * accepted. */
#include "formats/npy.h"
#include "formats/bytes.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NPY_MAGIC = 8, NPY_HEAD = 10, NPY_ALIGN = 64 };

/* ---- header grammar ------------------------------------------------------------------------- */

static void spaces(vl_cursor *c)
{
    while (c->at < c->n && c->p[c->at] == ' ')
        c->at++;
}

static bool take(vl_cursor *c, const char *s)
{
    size_t n = strlen(s);

    spaces(c);
    if (vl_cur_left(c) < n || memcmp(c->p + c->at, s, n))
        return false;
    c->at += n;
    return true;
}

/* A word between single quotes, at most 15 bytes. */
static bool quoted(vl_cursor *c, char out[16])
{
    size_t i;

    if (!take(c, "'"))
        return false;
    for (i = 0; i < 15 && c->at < c->n && c->p[c->at] != '\''; i++)
        out[i] = (char)c->p[c->at++];
    out[i] = 0;
    return c->at < c->n && c->p[c->at++] == '\'';
}

static bool number(vl_cursor *c, uint64_t *v)
{
    size_t start;

    spaces(c);
    start = c->at;
    for (*v = 0; c->at < c->n && c->p[c->at] >= '0' && c->p[c->at] <= '9'; c->at++) {
        if (*v > (UINT64_MAX - 9) / 10)
            return false;
        *v = *v * 10 + (uint64_t)(c->p[c->at] - '0');
    }
    return c->at > start;
}

static int parse_descr(vl_cursor *c, vl_npy *a, vl_err *e)
{
    char word[16];

    if (!quoted(c, word))
        return vl_fail(e, VL_EFORMAT, "npy: descr is not a simple type");
    a->dtype = vl_dtype_of_descr(word);
    if (a->dtype)
        return VL_OK;
    if (word[0] == '>')
        return vl_fail(e, VL_EFORMAT, "npy: dtype '%s' is big-endian", word);
    return vl_fail(e, VL_EFORMAT,
                   "npy: dtype '%s' is none of |b1 |u1 |i1 <u2 <i2 <u4 <i4 <u8 <i8 <f2 <f4 <f8 <c8 <c16",
                   word);
}

static int parse_shape(vl_cursor *c, vl_npy *a, vl_err *e)
{
    bool comma = true;

    if (!take(c, "("))
        return vl_fail(e, VL_EFORMAT, "npy: shape is not a tuple");
    for (a->rank = 0; !take(c, ")"); a->rank++) {
        if (a->rank == VL_NPY_MAX_RANK)
            return vl_fail(e, VL_EFORMAT, "npy: more than %d dimensions", VL_NPY_MAX_RANK);
        if (!comma || !number(c, &a->shape[a->rank]))
            return vl_fail(e, VL_EFORMAT, "npy: shape is not a tuple of numbers");
        comma = take(c, ",");
    }
    if (a->rank == 1 && !comma) /* "(3)" is a number in Python, not a shape */
        return vl_fail(e, VL_EFORMAT, "npy: shape is not a tuple");
    return VL_OK;
}

static int parse_item(vl_cursor *c, vl_npy *a, unsigned *have, vl_err *e)
{
    static const char *keys[] = {"descr", "fortran_order", "shape"};
    char key[16];
    unsigned i;

    if (!quoted(c, key) || !take(c, ":"))
        return vl_fail(e, VL_EFORMAT, "npy: header is not a dict");
    for (i = 0; i < 3 && strcmp(key, keys[i]); i++)
        ;
    if (i == 3 || (*have & 1u << i))
        return vl_fail(e, VL_EFORMAT, "npy: header key '%s' is unknown or there twice", key);
    *have |= 1u << i;
    if (i == 0)
        return parse_descr(c, a, e);
    if (i == 2)
        return parse_shape(c, a, e);
    if (take(c, "True"))
        return vl_fail(e, VL_EFORMAT, "npy: the array is in Fortran order");
    if (!take(c, "False"))
        return vl_fail(e, VL_EFORMAT, "npy: fortran_order is neither True nor False");
    return VL_OK;
}

static int parse_dict(vl_cursor *c, vl_npy *a, vl_err *e)
{
    unsigned have = 0;
    int rc;

    if (!take(c, "{"))
        return vl_fail(e, VL_EFORMAT, "npy: header is not a dict");
    while (!take(c, "}")) {
        rc = parse_item(c, a, &have, e);
        if (rc)
            return rc;
        if (take(c, ","))
            continue;
        if (!take(c, "}"))
            return vl_fail(e, VL_EFORMAT, "npy: header is not a dict");
        break;
    }
    if (have != 7)
        return vl_fail(e, VL_EFORMAT, "npy: header lacks descr, fortran_order or shape");
    spaces(c);
    if (vl_cur_left(c) != 1 || c->p[c->at] != '\n')
        return vl_fail(e, VL_EFORMAT, "npy: header does not end in a newline");
    return VL_OK;
}

int vl_npy_count(vl_npy *a, vl_err *e)
{
    uint64_t all = 1, limit;
    bool zero = false;

    if (!vl_dtype_size(a->dtype) || a->rank < 0 || a->rank > VL_NPY_MAX_RANK)
        return vl_fail(e, VL_EARG, "npy: dtype or rank out of range");
    limit = (uint64_t)INT64_MAX / vl_dtype_size(a->dtype);
    for (int i = 0; i < a->rank; i++) {
        if (!a->shape[i]) {
            zero = true;
            continue;
        }
        if (a->shape[i] > limit / all)
            return vl_fail(e, VL_EFORMAT, "npy: shape has more elements than memory");
        all *= a->shape[i];
    }
    a->n = zero ? 0 : all;
    return VL_OK;
}

/* Where the header's text lies: version 1 has its length in 2 bytes, 2 and 3 in 4 (3: UTF-8, which no
 * header of ours needs). */
static int find_header(const uint8_t *bytes, size_t n, size_t *start, size_t *head, vl_err *e)
{
    if (n < NPY_HEAD || memcmp(bytes, "\x93NUMPY", 6))
        return vl_fail(e, VL_EFORMAT, "npy: no NumPy magic");
    if (bytes[6] < 1 || bytes[6] > 3 || bytes[7] != 0)
        return vl_fail(e, VL_EFORMAT, "npy: version %d.%d, 1.0 to 3.0 are read", bytes[6], bytes[7]);
    *start = bytes[6] == 1 ? NPY_HEAD : NPY_HEAD + 2;
    if (n < *start)
        return vl_fail(e, VL_EFORMAT, "npy: %zu bytes, the header's length is not there", n);
    *head = bytes[6] == 1 ? vl_le16(bytes + NPY_MAGIC) : vl_le32(bytes + NPY_MAGIC);
    if (*head > n - *start)
        return vl_fail(e, VL_EFORMAT, "npy: header of %zu bytes, %zu there", *head, n - *start);
    return VL_OK;
}

int vl_npy_parse(const uint8_t *bytes, size_t n, vl_npy *out, vl_err *e)
{
    vl_npy a = {0};
    vl_cursor c;
    size_t start = 0, head = 0;
    int rc = find_header(bytes, n, &start, &head, e);

    if (rc)
        return rc;
    c = vl_cur(bytes + start, head);
    rc = parse_dict(&c, &a, e);
    if (!rc)
        rc = vl_npy_count(&a, e);
    if (rc)
        return rc;
    if (a.n * vl_dtype_size(a.dtype) != n - start - head)
        return vl_fail(e, VL_EFORMAT, "npy: %" PRIu64 " bytes declared, %zu there",
                       a.n * vl_dtype_size(a.dtype), n - start - head);
    a.data = bytes + start + head;
    *out = a;
    return VL_OK;
}

int vl_npy_schema(const json_t *manifest, const char *ext, vl_npy *a, vl_err *e)
{
    const json_t *entry = json_object_get(json_object_get(manifest, "schema"), ext);
    const char *name = json_string_value(json_object_get(entry, "dtype"));

    if (!name || strcmp(name, "bf16"))
        return VL_OK;
    if (a->dtype != VL_U16)
        return vl_fail(e, VL_EFORMAT, "npy: dtype %s where the schema says bf16, which is stored as <u2",
                       vl_dtype_descr(a->dtype));
    a->dtype = VL_BF16;
    return VL_OK;
}

int vl_npy_head(const vl_npy *a, uint8_t out[VL_NPY_HEAD_MAX], size_t *n, vl_err *e)
{
    char text[320];
    size_t at, head;
    vl_npy counted = *a;
    int i;

    if (vl_npy_count(&counted, e))
        return vl_fail(e, VL_EARG, "npy: dtype, rank or shape out of range");
    at = (size_t)snprintf(text, sizeof text, "{'descr': '%s', 'fortran_order': False, 'shape': (",
                          vl_dtype_descr(a->dtype));
    for (i = 0; i < a->rank; i++)
        at += (size_t)snprintf(text + at, sizeof text - at, "%s%" PRIu64 "%s", i ? " " : "", a->shape[i],
                               i + 1 < a->rank || a->rank == 1 ? "," : "");
    at += (size_t)snprintf(text + at, sizeof text - at, "), }");
    head = (NPY_HEAD + at + 1 + NPY_ALIGN - 1) / NPY_ALIGN * NPY_ALIGN; /* at most 384 */
    memcpy(out, "\x93NUMPY\1", 8);
    vl_put_le16(out + 8, (uint16_t)(head - NPY_HEAD));
    memset(out + NPY_HEAD, ' ', head - NPY_HEAD);
    memcpy(out + NPY_HEAD, text, at);
    out[head - 1] = '\n';
    *n = head;
    return VL_OK;
}

int vl_npy_build(const vl_npy *a, uint8_t **bytes, size_t *n, vl_err *e)
{
    uint8_t head[VL_NPY_HEAD_MAX], *p;
    size_t head_n, size;
    vl_npy counted = *a;
    int rc = vl_npy_head(a, head, &head_n, e);

    if (!rc)
        rc = vl_npy_count(&counted, e);
    if (rc)
        return rc;
    size = (size_t)counted.n * vl_dtype_size(a->dtype);
    p = vl_alloc(head_n + size, 1, e);
    if (!p)
        return VL_ENOMEM;
    memcpy(p, head, head_n);
    if (size)
        memcpy(p + head_n, a->data, size);
    *bytes = p;
    *n = head_n + size;
    return VL_OK;
}

/* ---- elements as numbers -------------------------------------------------------------------- */

static float from_bits(uint32_t bits)
{
    float f;

    memcpy(&f, &bits, 4);
    return f;
}

static float from_half(uint16_t h)
{
    uint32_t sign = (uint32_t)(h >> 15) << 31, ex = h >> 10 & 31, m = h & 1023, bits;
    float f;

    if (ex == 0) { /* zero and subnormal: m * 2^-24 is exact in float */
        f = ldexpf((float)m, -24);
        return sign ? -f : f;
    }
    bits = sign | (ex == 31 ? 255u << 23 : (ex + 112) << 23) | m << 13;
    return from_bits(bits);
}

static double element(const vl_npy *a, uint64_t i)
{
    const uint8_t *p = (const uint8_t *)a->data + i * vl_dtype_size(a->dtype);
    uint64_t u64;
    double d;

    if (a->dtype == VL_F16)
        return from_half(vl_le16(p));
    if (a->dtype == VL_BF16)
        return from_bits((uint32_t)vl_le16(p) << 16);
    if (a->dtype == VL_F32)
        return from_bits(vl_le32(p));
    u64 = vl_le64(p);
    memcpy(&d, &u64, 8);
    return d;
}

static int need_float(const vl_npy *a, vl_err *e)
{
    if (a->dtype == VL_F16 || a->dtype == VL_BF16 || a->dtype == VL_F32 || a->dtype == VL_F64)
        return VL_OK;
    return vl_fail(e, VL_EFORMAT, "npy: dtype %s where floating point is needed", vl_dtype_name(a->dtype));
}

/* What needs no conversion is copied: a signalling NaN would not survive one. */
int vl_npy_floats(const vl_npy *a, float *out, vl_err *e)
{
    int rc = need_float(a, e);

    if (rc)
        return rc;
    if (a->dtype == VL_F32 && a->n)
        memcpy(out, a->data, (size_t)a->n * 4);
    for (uint64_t i = 0; a->dtype != VL_F32 && i < a->n; i++)
        out[i] = (float)element(a, i);
    return VL_OK;
}

int vl_npy_doubles(const vl_npy *a, double *out, vl_err *e)
{
    int rc = need_float(a, e);

    if (rc)
        return rc;
    if (a->dtype == VL_F64 && a->n)
        memcpy(out, a->data, (size_t)a->n * 8);
    for (uint64_t i = 0; a->dtype != VL_F64 && i < a->n; i++)
        out[i] = element(a, i);
    return VL_OK;
}
