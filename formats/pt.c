/* SPDX-License-Identifier: MIT */
#include "formats/pt.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Every global that may be named. The first two are called, the others stand in persistent ids. */
enum { REBUILD_TENSOR, REBUILD_PARAMETER, FIRST_STORAGE };
static const vl_pk_global globals[] = {
    {"torch._utils", "_rebuild_tensor_v2"},
    {"torch._utils", "_rebuild_parameter"},
    {"torch", "HalfStorage"},
    {"torch", "BFloat16Storage"},
    {"torch", "FloatStorage"},
    {"torch", "DoubleStorage"},
    {"torch", "ByteStorage"},
    {"torch", "CharStorage"},
    {"torch", "ShortStorage"},
    {"torch", "IntStorage"},
    {"torch", "LongStorage"},
    {"torch", "BoolStorage"},
    {"torch", "ComplexFloatStorage"},
    {"torch", "ComplexDoubleStorage"},
};
enum { N_GLOBALS = sizeof globals / sizeof *globals };

/* What the elements of these storages are. */
static const vl_dtype stored[N_GLOBALS - FIRST_STORAGE] = {
    VL_F16, VL_BF16, VL_F32, VL_F64, VL_U8, VL_I8, VL_I16, VL_I32, VL_I64, VL_BOOL, VL_C64, VL_C128,
};

/* ---- opening ---------------------------------------------------------------------------------- */

/* The one entry "NAME/data.pkl" gives the prefix of all others. */
static int find_prefix(vl_pt *pt, vl_err *e)
{
    static const char tail[] = "/data.pkl";
    const char *found = NULL;

    for (size_t i = 0; i < pt->zip.n; i++) {
        const char *name = pt->zip.entry[i].name;
        size_t n = strlen(name);
        if (n < sizeof tail || strcmp(name + n - (sizeof tail - 1), tail))
            continue;
        if (found)
            return vl_fail(e, VL_EFORMAT, "'%s' and '%s': one pickle expected", found, name);
        found = name;
    }
    if (!found)
        return vl_fail(e, VL_EFORMAT, "a zip without NAME/data.pkl: not of torch.save");
    pt->prefix = vl_strdup(found, e);
    if (!pt->prefix)
        return VL_ENOMEM;
    pt->prefix[strlen(found) - (sizeof tail - 2)] = 0; /* the slash stays */
    return VL_OK;
}

static const vl_ptz_entry *find(const vl_pt *pt, const char *folder, const char *name, size_t n)
{
    char path[VL_PTZ_NAME_MAX + 1];
    size_t m = strlen(pt->prefix), k = strlen(folder);

    if (m + k + n > VL_PTZ_NAME_MAX || memchr(name, 0, n))
        return NULL;
    snprintf(path, sizeof path, "%s%s%.*s", pt->prefix, folder, (int)n, name);
    return vl_ptz_find(&pt->zip, path);
}

static int check_byteorder(const vl_pt *pt, vl_err *e)
{
    const vl_ptz_entry *x = find(pt, "", "byteorder", 9);
    uint8_t word[6];

    if (!x)
        return VL_OK; /* before 2.0: little-endian machines wrote these */
    if (x->n != sizeof word)
        return vl_fail(e, VL_EFORMAT, "byteorder: not 'little'");
    if (vl_ptz_read(&pt->zip, x, word, e))
        return VL_EFORMAT;
    if (memcmp(word, "little", sizeof word))
        return vl_fail(e, VL_EFORMAT, "byteorder: not 'little'");
    return VL_OK;
}

static int read_pickle(vl_pt *pt, vl_err *e)
{
    const vl_ptz_entry *x = find(pt, "", "data.pkl", 8);
    int rc;

    if (x->n > VL_PICKLE_MAX)
        return vl_fail(e, VL_EFORMAT, "%s: %" PRIu64 " bytes, %d allowed", x->name, x->n, VL_PICKLE_MAX);
    pt->text = vl_alloc((size_t)x->n, 1, e);
    if (!pt->text)
        return VL_ENOMEM;
    rc = vl_ptz_read(&pt->zip, x, pt->text, e);
    return rc ? rc : vl_pickle_parse(pt->text, (size_t)x->n, globals, N_GLOBALS, &pt->pickle, e);
}

/* torch before 1.6 wrote bare pickles, the first of them a magic number: better told than "not a zip". */
static int refuse_old(const char *path, vl_err *e)
{
    static const uint8_t old[] = {0x80, 2, 0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20};
    uint8_t b[sizeof old] = {0};
    vl_source s;
    int rc = vl_source_open(path, &s, e);

    if (!rc && s.regular && s.size >= sizeof b)
        rc = vl_pread_all(s.fd, 0, b, sizeof b, e);
    vl_source_close(&s);
    if (!rc && !memcmp(b, old, sizeof old))
        rc = vl_fail(e, VL_EFORMAT, "the format of torch before 1.6: load it there and save it again");
    return rc;
}

int vl_pt_open(const char *path, vl_pt *pt, vl_err *e)
{
    int rc;

    *pt = (vl_pt){.zip.src.fd = -1};
    rc = refuse_old(path, e);
    if (!rc)
        rc = vl_ptz_open(path, &pt->zip, e);
    if (!rc)
        rc = find_prefix(pt, e);
    if (!rc)
        rc = check_byteorder(pt, e);
    if (!rc)
        rc = read_pickle(pt, e);
    if (rc)
        vl_pt_close(pt);
    return rc;
}

void vl_pt_close(vl_pt *pt)
{
    free(pt->held_bytes);
    vl_pickle_free(&pt->pickle);
    free(pt->text);
    free(pt->prefix);
    vl_ptz_close(&pt->zip);
    *pt = (vl_pt){.zip.src.fd = -1};
}

/* ---- what a node says of a tensor -------------------------------------------------------------- */

bool vl_pt_is_tensor(const vl_pk_node *x)
{
    return x->type == VL_PK_CALL && (x->u.i == REBUILD_TENSOR || x->u.i == REBUILD_PARAMETER);
}

/* ('storage', class, key, device, elements) */
static int find_storage(const vl_pt *pt, const vl_pk_node *x, vl_pt_tensor *t, uint64_t *n, vl_err *e)
{
    const vl_pickle *p = &pt->pickle;
    const vl_pk_node *id = x->type == VL_PK_PERSID ? vl_pk_kid(p, x, 0) : NULL, *class, *key, *count;
    char name[64];

    if (!id || id->type != VL_PK_TUPLE || id->n != 5 || !vl_pk_is(vl_pk_kid(p, id, 0), "storage"))
        return vl_fail(e, VL_EFORMAT, "a tensor without a storage");
    class = vl_pk_kid(p, id, 1);
    key = vl_pk_kid(p, id, 2);
    count = vl_pk_kid(p, id, 4);
    if (class->type != VL_PK_GLOBAL || class->u.i < FIRST_STORAGE || key->type != VL_PK_TEXT ||
        count->type != VL_PK_INT || count->u.i < 0)
        return vl_fail(e, VL_EFORMAT, "a storage without type, key or number of elements");
    t->dtype = stored[class->u.i - FIRST_STORAGE];
    snprintf(name, sizeof name, "%.*s", (int)(key->n < 60 ? key->n : 60), (const char *)key->u.text);
    t->storage = find(pt, "data/", (const char *)key->u.text, key->n);
    if (!t->storage)
        return vl_fail(e, VL_EFORMAT, "storage '%s' is not in the file", name);
    *n = (uint64_t)count->u.i;
    if (*n > VL_PT_STORAGE_MAX || *n * vl_dtype_size(t->dtype) != t->storage->n ||
        t->storage->n > VL_PT_STORAGE_MAX)
        return vl_fail(e, VL_EFORMAT,
                       "storage '%s': %" PRIu64 " elements of %zu bytes claimed, %" PRIu64 " bytes there",
                       name, *n, vl_dtype_size(t->dtype), t->storage->n);
    return VL_OK;
}

static int numbers(const vl_pickle *p, const vl_pk_node *x, uint64_t *out, int *n, vl_err *e)
{
    if (x->type != VL_PK_TUPLE || x->n > VL_NPY_MAX_RANK)
        return vl_fail(e, VL_EFORMAT, "a shape that is no tuple of at most %d numbers", VL_NPY_MAX_RANK);
    for (uint32_t i = 0; i < x->n; i++) {
        const vl_pk_node *k = vl_pk_kid(p, x, i);
        if (k->type != VL_PK_INT || k->u.i < 0)
            return vl_fail(e, VL_EFORMAT, "a shape or stride that is not a number from 0 on");
        out[i] = (uint64_t)k->u.i;
    }
    *n = (int)x->n;
    return VL_OK;
}

/* Elements, and the last one that is touched: both are held to their bounds before they grow. */
static int check_view(vl_pt_tensor *t, uint64_t n_storage, vl_err *e)
{
    uint64_t last = t->offset, limit = VL_PT_TENSOR_MAX / vl_dtype_size(t->dtype);

    t->n = 0;
    for (int i = 0; i < t->rank; i++)
        if (!t->shape[i])
            return VL_OK; /* touches nothing, wherever it begins */
    if (last >= n_storage)
        return vl_fail(e, VL_EFORMAT, "a view that begins at element %" PRIu64 " of %" PRIu64, last,
                       n_storage);
    t->n = 1;
    for (int i = 0; i < t->rank; i++) {
        uint64_t steps = t->shape[i] - 1;
        if (t->shape[i] > limit / t->n)
            return vl_fail(e, VL_EFORMAT, "a tensor of more than %" PRIu64 " bytes", VL_PT_TENSOR_MAX);
        if (steps && t->stride[i] > (n_storage - 1 - last) / steps)
            return vl_fail(e, VL_EFORMAT, "a view that leaves its storage of %" PRIu64 " elements",
                           n_storage);
        t->n *= t->shape[i];
        last += steps * t->stride[i];
    }
    return VL_OK;
}

/* (storage, offset, shape, strides, requires_grad, hooks [, metadata]) */
static int rebuild(const vl_pt *pt, const vl_pk_node *args, vl_pt_tensor *t, vl_err *e)
{
    const vl_pickle *p = &pt->pickle;
    const vl_pk_node *offset;
    uint64_t n_storage = 0;
    int n_strides = 0, rc;

    if (args->n != 6 && args->n != 7)
        return vl_fail(e, VL_EFORMAT, "a tensor of %u arguments, 6 or 7 expected", args->n);
    offset = vl_pk_kid(p, args, 1);
    rc = find_storage(pt, vl_pk_kid(p, args, 0), t, &n_storage, e);
    if (!rc)
        rc = numbers(p, vl_pk_kid(p, args, 2), t->shape, &t->rank, e);
    if (!rc)
        rc = numbers(p, vl_pk_kid(p, args, 3), t->stride, &n_strides, e);
    if (!rc && (n_strides != t->rank || offset->type != VL_PK_INT || offset->u.i < 0))
        rc = vl_fail(e, VL_EFORMAT, "a tensor whose shape, strides and offset do not go together");
    if (rc)
        return rc;
    t->offset = (uint64_t)offset->u.i;
    return check_view(t, n_storage, e);
}

int vl_pt_tensor_of(const vl_pt *pt, const vl_pk_node *x, vl_pt_tensor *out, vl_err *e)
{
    const vl_pickle *p = &pt->pickle;
    vl_pt_tensor t = {0};
    int rc;

    if (vl_pt_is_tensor(x) && x->u.i == REBUILD_PARAMETER) { /* (tensor, requires_grad, hooks) */
        const vl_pk_node *args = vl_pk_kid(p, x, 0);
        if (args->n != 3)
            return vl_fail(e, VL_EFORMAT, "a parameter of %u arguments, 3 expected", args->n);
        x = vl_pk_kid(p, args, 0);
    }
    if (x->type != VL_PK_CALL || x->u.i != REBUILD_TENSOR)
        return vl_fail(e, VL_EFORMAT, "a %s, a tensor expected", vl_pk_type_name(x));
    rc = rebuild(pt, vl_pk_kid(p, x, 0), &t, e);
    if (!rc)
        *out = t;
    return rc;
}

vl_pt_tensor vl_pt_part(const vl_pt_tensor *t, uint64_t i)
{
    vl_pt_tensor part = *t;

    part.offset += i * t->stride[0];
    part.rank--;
    part.n = t->shape[0] ? t->n / t->shape[0] : 0;
    memmove(part.shape, part.shape + 1, (size_t)part.rank * sizeof *part.shape);
    memmove(part.stride, part.stride + 1, (size_t)part.rank * sizeof *part.stride);
    return part;
}

/* ---- its elements ----------------------------------------------------------------------------- */

static int hold(vl_pt *pt, const vl_ptz_entry *x, vl_err *e)
{
    int rc;

    if (pt->held == x)
        return VL_OK;
    free(pt->held_bytes);
    pt->held = NULL;
    pt->held_bytes = vl_alloc((size_t)x->n, 1, e);
    rc = pt->held_bytes ? vl_ptz_read(&pt->zip, x, pt->held_bytes, e) : VL_ENOMEM;
    if (!rc)
        pt->held = x;
    return rc;
}

static bool contiguous(const vl_pt_tensor *t)
{
    uint64_t want = 1;

    for (int i = t->rank - 1; i >= 0; i--) {
        if (t->shape[i] > 1 && t->stride[i] != want)
            return false;
        want *= t->shape[i];
    }
    return true;
}

int vl_pt_read(vl_pt *pt, const vl_pt_tensor *t, void *out, vl_err *e)
{
    uint64_t at[VL_NPY_MAX_RANK] = {0}, from = t->offset;
    size_t size = vl_dtype_size(t->dtype);
    uint8_t *to = out;
    int rc = hold(pt, t->storage, e);

    if (rc || !t->n)
        return rc;
    if (contiguous(t)) {
        memcpy(out, pt->held_bytes + from * size, (size_t)t->n * size);
        return VL_OK;
    }
    for (uint64_t i = 0; i < t->n; i++, to += size) {
        memcpy(to, pt->held_bytes + from * size, size);
        for (int k = t->rank - 1; k >= 0; k--) { /* the next element: an odometer */
            from += t->stride[k];
            if (++at[k] < t->shape[k])
                break;
            from -= t->shape[k] * t->stride[k];
            at[k] = 0;
        }
    }
    return VL_OK;
}
