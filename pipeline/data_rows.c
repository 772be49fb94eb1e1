/* SPDX-License-Identifier: MIT
 * data_rows.c -- the embeddings of a loading: which member holds them, and its rows behind those before. */
#include "formats/npy.h"
#include "pipeline/data_load.h"

#include <math.h>
#include <string.h>

static bool ends_so(const char *ext, const char *ending)
{
    size_t n = strlen(ext), k = strlen(ending);

    return n >= k && !strcmp(ext + n - k, ending);
}

/* The member with the rows, NULL where there is none; settles which one it is when nobody said. */
int vl_load_rows_find(vl_loader *l, int side, const vls_record *rec, const vls_member **out, vl_err *e)
{
    vl_load_rows *r = &l->rows[side];

    *out = NULL;
    if (r->want) {
        *out = vls_get(rec, r->want);
        return VL_OK;
    }
    for (size_t i = 0; i < rec->n_members; i++) {
        const char *ext = rec->members[i].ext;
        if (!ends_so(ext, r->ending))
            continue;
        if (r->ext && strcmp(r->ext, ext))
            return vl_fail(e, VL_EFORMAT, "%s rows '%s', and '%s' in %s: say which are meant",
                           side == VL_LOAD_TEXT ? "text" : "image", ext, r->ext,
                           vl_load_name(l, r->ext_path));
        if (!r->ext && !(r->ext = vl_strdup(ext, e)))
            return VL_ENOMEM;
        if (!*out)
            r->ext_path = l->now;
        *out = &rec->members[i];
    }
    return VL_OK;
}

static int check_shape(const vl_load_rows *r, int side, const vl_npy *a, vl_err *e)
{
    if (a->rank != 2 || !a->shape[0] || !a->shape[1])
        return vl_fail(e, VL_EFORMAT, "an array of rows [%s, dimensions] wanted",
                       side == VL_LOAD_TEXT ? "captions" : "views");
    if (side == VL_LOAD_IMAGE && a->shape[0] != 1)
        return vl_fail(e, VL_EFORMAT, "%zu views of an image, one wanted", (size_t)a->shape[0]);
    if (r->dim && a->shape[1] != r->dim)
        return vl_fail(e, VL_EFORMAT, "rows of %zu dimensions, those before had %zu", (size_t)a->shape[1],
                       r->dim);
    if (r->n + (size_t)a->shape[0] > VL_LOAD_ROWS_MAX)
        return vl_fail(e, VL_ENOMEM, "more than %zu %s", VL_LOAD_ROWS_MAX,
                       side == VL_LOAD_TEXT ? "captions" : "images");
    return VL_OK;
}

/* Rows of two encoders do not mix. */
static int check_model(const vl_loader *l, vl_load_rows *r, const char *ext, vl_err *e)
{
    const json_t *schema = json_object_get(json_object_get(l->manifest, "schema"), ext);
    const char *model = json_string_value(json_object_get(schema, "model"));

    if (model && r->model && strcmp(model, r->model))
        return vl_fail(e, VL_EFORMAT, "rows of '%.80s', those before are of '%.80s'", model, r->model);
    if (model && !r->model && !(r->model = vl_strdup(model, e)))
        return VL_ENOMEM;
    return VL_OK;
}

static int make_room(vl_load_rows *r, size_t need, vl_err *e)
{
    size_t room = vl_load_doubled(r->room, need);
    float *p;

    if (need <= r->room)
        return VL_OK;
    if (!(p = vl_realloc(r->v, room, r->dim * sizeof *p, e)))
        return VL_ENOMEM;
    r->v = p;
    r->room = room;
    return VL_OK;
}

int vl_load_rows_add(vl_loader *l, int side, const vls_member *m, vl_load_entry *n, vl_err *e)
{
    vl_load_rows *r = &l->rows[side];
    float *to;
    vl_npy a;
    int rc = vl_npy_parse(m->data, m->n, &a, e);

    if (!rc)
        rc = vl_npy_schema(l->manifest, m->ext, &a, e);
    if (!rc)
        rc = check_shape(r, side, &a, e);
    if (!rc)
        rc = check_model(l, r, m->ext, e);
    if (rc)
        return rc;
    r->dim = (size_t)a.shape[1];
    rc = make_room(r, r->n + (size_t)a.shape[0], e);
    if (rc)
        return rc;
    to = r->v + r->n * r->dim;
    rc = vl_npy_floats(&a, to, e);
    for (size_t i = 0; !rc && i < a.n; i++)
        if (!isfinite(to[i]))
            rc = vl_fail(e, VL_EFORMAT, "row %zu is not finite", i / r->dim);
    if (rc)
        return rc;
    n->rows[side].first = r->n;
    n->rows[side].n = (size_t)a.shape[0];
    n->rows[side].path = l->now;
    r->n += (size_t)a.shape[0];
    return VL_OK;
}
