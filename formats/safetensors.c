/* SPDX-License-Identifier: MIT
 * safetensors.c -- the JSON header is read whole, then held against the rule that leaves nothing open: sorted
 * by their first byte, every tensor begins where the one before it ended. */
#include "formats/safetensors.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const char META[] = "__metadata__";

/* ---- reading ---------------------------------------------------------------------------------- */

int vl_st_head_bytes(const uint8_t first[VL_ST_FIXED], size_t *n, vl_err *e)
{
    uint64_t v = vl_le64(first);

    if (v < 2 || v > VL_ST_HEAD_MAX)
        return vl_fail(e, VL_EFORMAT, "safetensors: header of %" PRIu64 " bytes, 2 to %d allowed", v,
                       VL_ST_HEAD_MAX);
    *n = (size_t)v;
    return VL_OK;
}

static int parse_meta(const json_t *meta, vl_err *e)
{
    const char *key;
    json_t *v;

    if (!json_is_object(meta))
        return vl_fail(e, VL_EFORMAT, "safetensors: __metadata__ is no object");
    json_object_foreach ((json_t *)meta, key, v)
        if (!json_is_string(v))
            return vl_fail(e, VL_EFORMAT, "safetensors: __metadata__: '%.80s' is no string", key);
    return VL_OK;
}

/* A number from 0 to 2^63 - 1. */
static bool natural(const json_t *j, uint64_t *v)
{
    if (!json_is_integer(j) || json_integer_value(j) < 0)
        return false;
    *v = (uint64_t)json_integer_value(j);
    return true;
}

static int parse_shape(const json_t *shape, vl_npy *a, vl_err *e)
{
    if (!json_is_array(shape))
        return vl_fail(e, VL_EFORMAT, "shape is no array");
    if (json_array_size(shape) > VL_NPY_MAX_RANK)
        return vl_fail(e, VL_EFORMAT, "%zu dimensions, at most %d are read", json_array_size(shape),
                       VL_NPY_MAX_RANK);
    a->rank = (int)json_array_size(shape);
    for (int i = 0; i < a->rank; i++)
        if (!natural(json_array_get(shape, (size_t)i), &a->shape[i]))
            return vl_fail(e, VL_EFORMAT, "shape is no array of counts");
    return VL_OK;
}

static int parse_tensor(const json_t *j, vl_st_tensor *t, vl_err *e)
{
    const json_t *off = json_object_get(j, "data_offsets");
    const char *dtype = json_string_value(json_object_get(j, "dtype"));
    uint64_t end = 0;
    int rc;

    if (!dtype || json_object_size(j) != 3)
        return vl_fail(e, VL_EFORMAT, "not an object of dtype, shape and data_offsets");
    t->a.dtype = vl_dtype_of_safetensors(dtype);
    if (!t->a.dtype)
        return vl_fail(e, VL_EFORMAT, "dtype '%.20s' is not known", dtype);
    rc = parse_shape(json_object_get(j, "shape"), &t->a, e);
    if (!rc)
        rc = vl_npy_count(&t->a, e);
    if (rc)
        return rc;
    if (json_array_size(off) != 2 || !natural(json_array_get(off, 0), &t->at) ||
        !natural(json_array_get(off, 1), &end) || end < t->at)
        return vl_fail(e, VL_EFORMAT, "data_offsets are not [begin, end]");
    t->bytes = end - t->at;
    if (t->bytes != t->a.n * vl_dtype_size(t->a.dtype))
        return vl_fail(e, VL_EFORMAT, "%" PRIu64 " bytes, its shape has %" PRIu64, t->bytes,
                       t->a.n * vl_dtype_size(t->a.dtype));
    return VL_OK;
}

static int by_place(const void *a, const void *b)
{
    const vl_st_tensor *s = a, *t = b;

    if (s->at != t->at)
        return s->at < t->at ? -1 : 1;
    if (s->bytes != t->bytes) /* empty ones come first */
        return s->bytes < t->bytes ? -1 : 1;
    return strcmp(s->name, t->name);
}

static int parse_all(vl_st *s, vl_err *e)
{
    const char *name;
    json_t *j;
    int rc = VL_OK;

    if (json_object_size(s->head) > VL_ST_TENSORS_MAX)
        return vl_fail(e, VL_EFORMAT, "safetensors: %zu tensors, at most %d are read",
                       json_object_size(s->head), VL_ST_TENSORS_MAX);
    s->tensor = vl_alloc(json_object_size(s->head) + 1, sizeof *s->tensor, e);
    if (!s->tensor)
        return VL_ENOMEM;
    json_object_foreach (s->head, name, j) {
        vl_st_tensor *t = &s->tensor[s->n];
        if (!strcmp(name, META)) {
            s->meta = j;
            rc = parse_meta(j, e);
        } else if (!*name || strlen(name) > VL_ST_NAME_MAX) {
            rc = vl_fail(e, VL_EFORMAT, "safetensors: a name of %zu bytes, 1 to %d allowed", strlen(name),
                         VL_ST_NAME_MAX);
        } else {
            t->name = name;
            s->n++;
            rc = parse_tensor(j, t, e);
            if (rc)
                vl_within(e, "safetensors: tensor '%.80s'", name);
        }
        if (rc)
            return rc;
    }
    return VL_OK;
}

/* Side by side from byte 0 to the end. */
static int check_places(vl_st *s, uint64_t data_bytes, vl_err *e)
{
    uint64_t at = 0;

    qsort(s->tensor, s->n, sizeof *s->tensor, by_place);
    for (size_t i = 0; i < s->n; i++) {
        if (s->tensor[i].at != at)
            return vl_fail(e, VL_EFORMAT,
                           "safetensors: tensor '%.80s' begins at byte %" PRIu64 ", %s at %" PRIu64,
                           s->tensor[i].name, s->tensor[i].at,
                           s->tensor[i].at > at ? "the bytes before it end" : "those before it end", at);
        at += s->tensor[i].bytes; /* both below 2^63 */
        if (at > (uint64_t)INT64_MAX)
            return vl_fail(e, VL_EFORMAT, "safetensors: more bytes than a file has");
    }
    if (data_bytes != UINT64_MAX && data_bytes != at)
        return vl_fail(e, VL_EFORMAT, "safetensors: %" PRIu64 " bytes of tensors declared, %" PRIu64 " there",
                       at, data_bytes);
    s->data_bytes = at;
    return VL_OK;
}

int vl_st_parse(const uint8_t *text, size_t n, uint64_t data_bytes, vl_st *out, vl_err *e)
{
    vl_st s = {0};
    json_error_t je;
    int rc = VL_OK;

    if (n < 2 || n > VL_ST_HEAD_MAX || text[0] != '{')
        return vl_fail(e, VL_EFORMAT, "safetensors: no header, it begins with '{'");
    s.head = json_loadb((const char *)text, n, JSON_REJECT_DUPLICATES, &je);
    if (!s.head)
        return vl_fail(e, VL_EFORMAT, "safetensors: header: byte %d: %s", je.position, je.text);
    rc = parse_all(&s, e);
    if (!rc)
        rc = check_places(&s, data_bytes, e);
    if (rc)
        vl_st_free(&s);
    else
        *out = s;
    return rc;
}

int vl_st_load(const uint8_t *bytes, size_t n, vl_st *out, vl_err *e)
{
    size_t head = 0;
    int rc;

    if (n < VL_ST_FIXED)
        return vl_fail(e, VL_EFORMAT, "safetensors: %zu bytes, no header", n);
    rc = vl_st_head_bytes(bytes, &head, e);
    if (rc)
        return rc;
    if (head > n - VL_ST_FIXED)
        return vl_fail(e, VL_EFORMAT, "safetensors: header of %zu bytes, %zu there", head, n - VL_ST_FIXED);
    rc = vl_st_parse(bytes + VL_ST_FIXED, head, n - VL_ST_FIXED - head, out, e);
    for (size_t i = 0; !rc && i < out->n; i++)
        out->tensor[i].a.data = bytes + VL_ST_FIXED + head + out->tensor[i].at;
    return rc;
}

void vl_st_free(vl_st *s)
{
    free(s->tensor);
    json_decref(s->head);
    memset(s, 0, sizeof *s);
}

/* ---- writing ---------------------------------------------------------------------------------- */

/* The reference sorts by its list of dtypes, which goes by size; this is its order from large to small. */
static int place_of(vl_dtype t)
{
    static const unsigned char place[VL_DTYPES] = {
        [VL_U64] = 1,  [VL_I64] = 2, [VL_F64] = 3,  [VL_C64] = 4,  [VL_F32] = 5, [VL_U32] = 6, [VL_I32] = 7,
        [VL_BF16] = 8, [VL_F16] = 9, [VL_U16] = 10, [VL_I16] = 11, [VL_I8] = 12, [VL_U8] = 13, [VL_BOOL] = 14,
    };

    return place[t];
}

static int by_dtype(const void *a, const void *b)
{
    const vl_st_tensor *s = a, *t = b;
    int d = place_of(s->a.dtype) - place_of(t->a.dtype);

    return d ? d : strcmp(s->name, t->name);
}

static int check_tensor(vl_st_tensor *t, vl_err *e)
{
    if (!t->name || !*t->name || strlen(t->name) > VL_ST_NAME_MAX || !strcmp(t->name, META))
        return vl_fail(e, VL_EARG, "safetensors: tensor name '%.80s' is not allowed", t->name ? t->name : "");
    if (!vl_dtype_safetensors(t->a.dtype))
        return vl_fail(e, VL_EARG, "safetensors: tensor '%.80s': the format has no dtype %s", t->name,
                       vl_dtype_name(t->a.dtype) ? vl_dtype_name(t->a.dtype) : "like its own");
    if (vl_npy_count(&t->a, e))
        return vl_fail(e, VL_EARG, "safetensors: tensor '%.80s': rank or shape out of range", t->name);
    t->bytes = t->a.n * vl_dtype_size(t->a.dtype);
    return VL_OK;
}

/* A JSON text of one value, appended. */
static int put_json(const json_t *j, vl_buf *out, vl_err *e)
{
    char *text = json_dumps(j, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY);
    int rc = text ? vl_buf_add(out, text, strlen(text), e) : vl_fail(e, VL_ENOMEM, "out of memory: header");

    free(text);
    return rc;
}

static int put_tensor(const vl_st_tensor *t, vl_buf *out, vl_err *e)
{
    json_t *name = json_string(t->name);
    int rc = name ? put_json(name, out, e)
                  : vl_fail(e, VL_EARG, "safetensors: tensor name '%.80s' is not UTF-8", t->name);

    json_decref(name);
    if (!rc)
        rc = vl_buf_fmt(out, e, ":{\"dtype\":\"%s\",\"shape\":[", vl_dtype_safetensors(t->a.dtype));
    for (int i = 0; !rc && i < t->a.rank; i++)
        rc = vl_buf_fmt(out, e, "%s%" PRIu64, i ? "," : "", t->a.shape[i]);
    if (!rc)
        rc = vl_buf_fmt(out, e, "],\"data_offsets\":[%" PRIu64 ",%" PRIu64 "]}", t->at, t->at + t->bytes);
    return rc;
}

static int put_text(const vl_st_tensor *t, size_t n, const json_t *meta, vl_buf *out, vl_err *e)
{
    int rc = vl_buf_add(out, "{", 1, e);

    if (!rc && meta) {
        rc = vl_buf_fmt(out, e, "\"%s\":", META);
        if (!rc)
            rc = put_json(meta, out, e);
    }
    for (size_t i = 0; !rc && i < n; i++) {
        if (i || meta)
            rc = vl_buf_add(out, ",", 1, e);
        if (!rc)
            rc = put_tensor(&t[i], out, e);
    }
    return rc ? rc : vl_buf_add(out, "}", 1, e);
}

/* Checks, sorts and places the tensors. */
static int place_all(vl_st_tensor *t, size_t n, vl_err *e)
{
    uint64_t at = 0;
    int rc = VL_OK;

    if (n > VL_ST_TENSORS_MAX)
        return vl_fail(e, VL_EARG, "safetensors: %zu tensors, at most %d allowed", n, VL_ST_TENSORS_MAX);
    for (size_t i = 0; !rc && i < n; i++)
        rc = check_tensor(&t[i], e);
    if (rc)
        return rc;
    if (n)
        qsort(t, n, sizeof *t, by_dtype);
    for (size_t i = 0; i < n; i++) {
        t[i].at = at;
        if (t[i].bytes > (uint64_t)INT64_MAX - at)
            return vl_fail(e, VL_EARG, "safetensors: more bytes than a file has");
        at += t[i].bytes;
    }
    return VL_OK;
}

int vl_st_head(vl_st_tensor *t, size_t n, const json_t *meta, vl_buf *out, vl_err *e)
{
    uint8_t size[VL_ST_FIXED] = {0};
    size_t start = out->n, text;
    vl_st again = {0};
    vl_err own;
    int rc = place_all(t, n, e);

    if (!rc && meta && parse_meta(meta, e))
        rc = vl_fail(e, VL_EARG, "safetensors: __metadata__ is not an object of strings");
    if (!rc)
        rc = vl_buf_add(out, size, sizeof size, e);
    if (!rc)
        rc = put_text(t, n, meta, out, e);
    while (!rc && (out->n - start) % 8)
        rc = vl_buf_add(out, " ", 1, e);
    if (rc)
        goto out;
    text = out->n - start - VL_ST_FIXED;
    vl_put_le64(out->p + start, text);
    /* Repeated names and what else a reader would refuse are found by being one. */
    if (vl_st_parse(out->p + start + VL_ST_FIXED, text, UINT64_MAX, &again, &own))
        rc = vl_fail(e, VL_EARG, "%s", own.text);
    vl_st_free(&again);
out:
    if (rc)
        out->n = start;
    return rc;
}
