/* SPDX-License-Identifier: MIT */
#include "distill/import_tensor.h"
#include "formats/tail.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int grow(vld_gather *g, vl_err *e)
{
    size_t room = g->room ? 2 * g->room : 16;
    void *p;

    if (g->n < g->room)
        return VL_OK;
    p = vl_realloc(g->m, room, sizeof *g->m, e);
    if (!p)
        return VL_ENOMEM;
    g->m = p;
    p = vl_realloc(g->ext, room, sizeof *g->ext, e);
    if (!p)
        return VL_ENOMEM;
    g->ext = p;
    g->room = room;
    for (size_t i = 0; i < g->n; i++) /* the names moved */
        g->m[i].ext = g->ext[i];
    return VL_OK;
}

int vld_gather_count(vld_gather *g, uint64_t n, vl_err *e)
{
    if (n > g->limit - g->bytes)
        return vl_fail(e, VL_EFORMAT, "tensors of more than %" PRIu64 " bytes in all, views of far fewer",
                       g->limit);
    g->bytes += n;
    return VL_OK;
}

int vld_gather_bytes(vld_gather *g, const char *ext, uint8_t *bytes, size_t n, vl_err *e)
{
    int rc =
        strlen(ext) < VLD_GATHER_EXT ? grow(g, e) : vl_fail(e, VL_EFORMAT, "'%s' is too long a name", ext);

    if (rc) {
        free(bytes);
        return rc;
    }
    strcpy(g->ext[g->n], ext);
    g->m[g->n] = (vls_member){g->ext[g->n], bytes, n};
    g->n++;
    g->held += n;
    return VL_OK;
}

static int add_schema(vld_gather *g, const char *ext, const vl_npy *a, vl_err *e)
{
    json_t *shape = json_array();
    int bad = !shape;

    for (int i = 0; !bad && i < a->rank; i++)
        bad = json_array_append_new(shape, json_integer((json_int_t)a->shape[i]));
    bad |= json_object_set_new(
        g->schema, ext,
        json_pack("{s:s, s:s, s:o}", "type", "npy", "dtype", vl_dtype_name(a->dtype), "shape", shape));
    return bad ? vl_fail(e, VL_ENOMEM, "out of memory: schema") : VL_OK;
}

int vld_gather_array(vld_gather *g, const char *name, const vl_npy *a, vl_err *e)
{
    char ext[VLD_GATHER_EXT];
    uint8_t *bytes = NULL;
    size_t n = 0;
    int rc;

    if (snprintf(ext, sizeof ext, "%s.npy", name) >= (int)sizeof ext)
        return vl_fail(e, VL_EFORMAT, "'%s' is too long a name", name);
    rc = vl_npy_build(a, &bytes, &n, e);
    if (!rc)
        rc = add_schema(g, ext, a, e);
    if (rc) {
        free(bytes);
        return rc;
    }
    return vld_gather_bytes(g, ext, bytes, n, e);
}

/* The elements of a float array as f32, in a new block. */
static int to_floats(vl_npy *a, void **block, vl_err *e)
{
    float *f = vl_alloc((size_t)a->n, sizeof *f, e);
    int rc = f ? vl_npy_floats(a, f, e) : VL_ENOMEM;

    if (rc) {
        free(f);
        return rc;
    }
    free(*block);
    *block = f;
    a->data = f;
    a->dtype = VL_F32;
    return VL_OK;
}

int vld_gather_tensor(vld_gather *g, const char *name, vl_pt *pt, const vl_pt_tensor *t, bool floats,
                      vl_err *e)
{
    vl_npy a = {.dtype = t->dtype, .rank = t->rank, .n = t->n};
    uint64_t bytes = t->n * vl_dtype_size(t->dtype);
    void *block;
    int rc;

    /* Before any memory is taken for it; vls_add would refuse the record. */
    if (g->held > VLS_RECORD_BYTES_MAX || bytes > VLS_RECORD_BYTES_MAX - g->held)
        return vl_fail(e, VL_EFORMAT, "tensors of more than %" PRIu64 " bytes in a record",
                       VLS_RECORD_BYTES_MAX);
    rc = vld_gather_count(g, bytes, e);
    if (rc)
        return rc;
    g->tensors++;
    memcpy(a.shape, t->shape, sizeof a.shape);
    a.data = block = vl_alloc((size_t)bytes, 1, e);
    if (!block)
        return VL_ENOMEM;
    rc = vl_pt_read(pt, t, block, e);
    if (!rc && floats && a.dtype != VL_F32)
        rc = to_floats(&a, &block, e);
    if (!rc)
        rc = vld_gather_array(g, name, &a, e);
    free(block);
    return rc;
}

static void drop_members(vld_gather *g)
{
    for (size_t i = 0; i < g->n; i++)
        free((void *)g->m[i].data);
    g->n = 0;
    g->held = 0;
    json_decref(g->schema);
    g->schema = NULL;
}

int vld_gather_clear(vld_gather *g, vl_err *e)
{
    drop_members(g);
    g->schema = json_object();
    return g->schema ? VL_OK : vl_fail(e, VL_ENOMEM, "out of memory: schema");
}

void vld_gather_free(vld_gather *g)
{
    drop_members(g);
    free(g->m);
    free(g->ext);
    *g = (vld_gather){0};
}
