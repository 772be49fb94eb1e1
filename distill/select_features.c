/* SPDX-License-Identifier: MIT */
#include "distill/select_features.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { DIM_MAX = 1 << 20, FIRST_ROOM = 256 };

/* ---- one record ----------------------------------------------------------------------------------- */

/* The member of this side in rec, NULL where there is none. */
static int find_member(vld_feature_side *s, const char *suffix, const vls_record *rec, const vls_member **out,
                       vl_err *e)
{
    *out = NULL;
    for (size_t i = 0; i < rec->n_members; i++) {
        const char *ext = rec->members[i].ext;
        size_t n = strlen(ext), k = strlen(suffix);
        if (s->want ? strcmp(ext, s->want) : n <= k || strcmp(ext + n - k, suffix))
            continue;
        if (s->ext && strcmp(s->ext, ext))
            return vl_fail(e, VL_EFORMAT, "rows of two models, %s and %s: which?", s->ext, ext);
        if (!s->ext && !(s->ext = vl_strdup(ext, e)))
            return VL_ENOMEM;
        *out = &rec->members[i];
    }
    return VL_OK;
}

static int make_room(vld_feature_side *s, size_t number, vl_err *e)
{
    size_t room = s->room ? s->room : FIRST_ROOM;
    uint8_t *have;
    float *row;

    if (number < s->room)
        return VL_OK;
    while (room <= number)
        room *= 2;
    if (!(row = vl_realloc(s->row, room, s->dim * sizeof *row, e)))
        return VL_ENOMEM;
    s->row = row;
    if (!(have = vl_realloc(s->have, room, 1, e)))
        return VL_ENOMEM;
    memset(have + s->room, 0, room - s->room);
    s->have = have;
    s->room = room;
    return VL_OK;
}

static void unit(double *row, size_t dim)
{
    double square = 0;

    for (size_t k = 0; k < dim; k++)
        square += row[k] * row[k];
    for (size_t k = 0; k < dim && square > 0; k++)
        row[k] /= sqrt(square);
}

int vld_side_mean(const vld_feature_side *s, const vl_npy *a, float *out, vl_err *e)
{
    size_t dim = s->dim;
    double *all = vl_alloc((size_t)a->n, sizeof *all, e);
    int rc;

    if (!all)
        return VL_ENOMEM;
    rc = vl_npy_doubles(a, all, e);
    for (size_t i = 0; !rc && i < a->n; i++) {
        if (!isfinite(all[i]) || fabs(all[i]) > 1e30)
            rc = vl_fail(e, VL_EFORMAT, "row %zu is not finite", i / dim);
        else if (i >= dim)
            all[i % dim] += all[i];
    }
    if (!rc) {
        unit(all, dim);
        for (size_t k = 0; k < dim; k++)
            out[k] = (float)all[k];
    }
    free(all);
    return rc ? vl_within(e, "%s", s->ext) : VL_OK;
}

static int rows_of(vld_feature_side *s, const vls_member *m, const json_t *manifest, vl_npy *a, vl_err *e)
{
    int rc = vl_npy_parse(m->data, m->n, a, e);

    if (!rc)
        rc = vl_npy_schema(manifest, m->ext, a, e);
    if (!rc && (a->rank != 2 || !a->shape[0] || !a->shape[1] || a->shape[1] > DIM_MAX))
        rc = vl_fail(e, VL_EFORMAT, "an array of rows, 1 to %d dimensions, wanted", DIM_MAX);
    if (!rc && !s->dim)
        s->dim = (size_t)a->shape[1];
    if (!rc && a->shape[1] != s->dim)
        rc = vl_fail(e, VL_EFORMAT, "rows of %zu dimensions, those before had %zu", (size_t)a->shape[1],
                     s->dim);
    return rc ? vl_within(e, "%s", m->ext) : VL_OK;
}

int vld_side_rows(vld_feature_side *s, const char *suffix, const vls_record *rec, const json_t *manifest,
                  vl_npy *a, bool *there, vl_err *e)
{
    const vls_member *m;
    int rc = find_member(s, suffix, rec, &m, e);

    *there = !rc && m;
    return *there ? rows_of(s, m, manifest, a, e) : rc;
}

static int add_side(vld_feature_side *s, const char *suffix, const vls_record *rec, const json_t *manifest,
                    size_t number, vl_err *e)
{
    bool there;
    vl_npy a;
    int rc = vld_side_rows(s, suffix, rec, manifest, &a, &there, e);

    if (rc || !there)
        return rc;
    rc = make_room(s, number, e);
    if (!rc && s->have[number])
        rc = vl_fail(e, VL_EFORMAT, "%s: a second time for this record", s->ext);
    if (!rc)
        rc = vld_side_mean(s, &a, s->row + number * s->dim, e);
    if (!rc)
        s->have[number] = 1;
    return rc;
}

int vld_features_add(vld_features *f, const vls_record *rec, const json_t *manifest, size_t number, vl_err *e)
{
    int rc = add_side(&f->image, VLD_IMAGE_ROWS, rec, manifest, number, e);

    return rc ? rc : add_side(&f->text, VLD_TEXT_ROWS, rec, manifest, number, e);
}

/* ---- all of them ---------------------------------------------------------------------------------- */

static vld_joint resolve(const vld_features *f, vld_joint joint)
{
    if (joint != VLD_AUTO)
        return joint;
    if (!f->text.ext)
        return VLD_IMAGE;
    if (!f->image.ext)
        return VLD_TEXT;
    return f->image.dim == f->text.dim ? VLD_SUM : VLD_CONCAT;
}

/* s: a side that is needed. */
static int check_side(const vld_feature_side *s, const char *name, const char *suffix, const uint32_t *order,
                      size_t n, char *const *key, vl_err *e)
{
    if (!s->ext)
        return vl_fail(e, VL_EFORMAT, "no %s embeddings (%s%s) in any shard", name, s->want ? "" : "*",
                       s->want ? s->want : suffix);
    for (size_t i = 0; i < n; i++)
        if (order[i] >= s->room || !s->have[order[i]])
            return vl_fail(e, VL_EFORMAT, "record '%s': no %s embedding (%s) in any shard", key[order[i]],
                           name, s->ext);
    return VL_OK;
}

static void put_row(const vld_features *f, vld_joint joint, size_t number, double *work, size_t dim,
                    vl_real *out)
{
    const float *image = joint == VLD_TEXT ? NULL : f->image.row + number * f->image.dim;
    const float *text = joint == VLD_IMAGE ? NULL : f->text.row + number * f->text.dim;
    size_t at = joint == VLD_CONCAT ? f->image.dim : 0;

    for (size_t k = 0; k < dim; k++)
        work[k] = 0;
    for (size_t k = 0; image && k < f->image.dim; k++)
        work[k] = image[k];
    for (size_t k = 0; text && k < f->text.dim; k++)
        work[at + k] += text[k];
    unit(work, dim);
    for (size_t k = 0; k < dim; k++)
        out[k] = (vl_real)work[k];
}

int vld_features_join(const vld_features *f, vld_joint *how, const uint32_t *order, size_t n,
                      char *const *key, vl_real **out, size_t *dim, vl_err *e)
{
    vld_joint joint = *how = resolve(f, *how);
    double *work;
    vl_real *rows;
    int rc = VL_OK;

    if (joint != VLD_TEXT)
        rc = check_side(&f->image, "image", VLD_IMAGE_ROWS, order, n, key, e);
    if (!rc && joint != VLD_IMAGE)
        rc = check_side(&f->text, "text", VLD_TEXT_ROWS, order, n, key, e);
    if (!rc && joint == VLD_SUM && f->image.dim != f->text.dim)
        rc = vl_fail(e, VL_EARG, "sum of image rows of %zu and text rows of %zu dimensions: take concat",
                     f->image.dim, f->text.dim);
    if (rc)
        return rc;
    *dim = joint == VLD_CONCAT ? f->image.dim + f->text.dim : joint == VLD_TEXT ? f->text.dim : f->image.dim;
    work = vl_alloc(*dim, sizeof *work, e);
    rows = work ? vl_alloc(n, *dim * sizeof *rows, e) : NULL;
    for (size_t i = 0; rows && i < n; i++)
        put_row(f, joint, order[i], work, *dim, rows + i * *dim);
    free(work);
    *out = rows;
    return rows ? VL_OK : VL_ENOMEM;
}

static void free_side(vld_feature_side *s)
{
    free(s->ext);
    free(s->row);
    free(s->have);
}

void vld_features_free(vld_features *f)
{
    free_side(&f->image);
    free_side(&f->text);
    memset(f, 0, sizeof *f);
}
