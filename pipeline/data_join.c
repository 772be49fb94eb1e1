/* SPDX-License-Identifier: MIT
 * data_join.c -- the end of a loading: are all records whole, and everything into one order. */
#include "pipeline/data_load.h"

#include <stdlib.h>
#include <string.h>

static const char *member_name(const vl_load_rows *r)
{
    return r->want ? r->want : r->ext ? r->ext : r->ending[1] == 't' ? "*.txt.npy" : "*.img.npy";
}

/* No place: the side that gives it is missing. */
static int no_place(const vl_loader *l, const char *key, const vl_load_entry *n, vl_err *e)
{
    const char *what = l->o->features ? "image embedding" : "pair";
    int path = n->pair ? n->pair_path : n->rows[VL_LOAD_TEXT].path;

    if (l->o->keys && !n->pair && !n->rows[VL_LOAD_TEXT].n)
        return vl_fail(e, VL_EFORMAT, "record '%s': no %s in %s%s", key, what, vl_load_name(l, 0),
                       l->n_paths > 1 ? " and the others" : "");
    if (l->o->features)
        return vl_fail(e, VL_EFORMAT, "%s: record '%s': no image embedding (%s) in any shard",
                       vl_load_name(l, path), key, member_name(&l->rows[VL_LOAD_IMAGE]));
    return vl_fail(e, VL_EFORMAT, "%s: record '%s': an embedding without a pair", vl_load_name(l, path), key);
}

int vl_load_check(const vl_loader *l, const char *key, const vl_load_entry *n, vl_err *e)
{
    int path = l->o->features ? n->rows[VL_LOAD_IMAGE].path : n->pair_path;

    if (!n->placed)
        return no_place(l, key, n, e);
    if (l->n_pairs && !n->pair)
        return vl_fail(e, VL_EFORMAT, "%s: record '%s': an embedding without a pair", vl_load_name(l, path),
                       key);
    if (!l->o->text)
        return VL_OK;
    if (!n->rows[VL_LOAD_TEXT].n)
        return vl_fail(e, VL_EFORMAT, "%s: record '%s': no text embedding (%s) in any shard",
                       vl_load_name(l, path), key, member_name(&l->rows[VL_LOAD_TEXT]));
    if (n->pair && n->rows[VL_LOAD_TEXT].n != n->n_captions)
        return vl_fail(e, VL_EFORMAT, "%s: record '%s': %zu text rows for the %zu captions of %s",
                       vl_load_name(l, n->rows[VL_LOAD_TEXT].path), key, n->rows[VL_LOAD_TEXT].n,
                       n->n_captions, vl_load_name(l, n->pair_path));
    return VL_OK;
}

static int check_all(const vl_loader *l, vl_err *e)
{
    int rc = VL_OK;

    if (!l->n_placed)
        return vl_fail(e, VL_EFORMAT, "%s%s: no records of %s", vl_load_name(l, 0),
                       l->n_paths > 1 ? " and the others" : "",
                       l->o->features ? "image embeddings" : "pairs");
    for (size_t i = 0; !rc && !l->o->left_out && i < l->keys.n; i++) /* those that are left were checked */
        rc = vl_load_check(l, l->keys.key[i], &l->entry[i], e);
    return rc;
}

/* order[at] = number of the key; the counts of captions into d->cap. */
static void set_order(const vl_loader *l, vl_data *d, uint32_t *order)
{
    for (size_t i = 0; i < l->keys.n; i++) {
        if (l->entry[i].left_out)
            continue;
        order[l->entry[i].at] = (uint32_t)i;
        d->cap[l->entry[i].at + 1] = l->n_pairs ? l->entry[i].n_captions : l->entry[i].rows[VL_LOAD_TEXT].n;
    }
    for (size_t i = 0; i < d->n; i++)
        d->cap[i + 1] += d->cap[i];
    d->n_caps = d->cap[d->n];
}

/* Rows into the records' order; the loader's own block where they lie so. */
static int give_rows(vl_loader *l, int side, const vl_data *d, const uint32_t *order, float **out, vl_err *e)
{
    vl_load_rows *r = &l->rows[side];
    bool text = side == VL_LOAD_TEXT, moved = false;
    float *to;

    if (!r->wanted)
        return VL_OK;
    for (size_t i = 0; i < d->n; i++)
        moved = moved || l->entry[order[i]].rows[side].first != (text ? d->cap[i] : i);
    if (!moved) {
        *out = r->v;
        r->v = NULL;
        return VL_OK;
    }
    if (!(to = *out = vl_alloc(text ? d->n_caps : d->n, r->dim * sizeof *to, e)))
        return VL_ENOMEM;
    for (size_t i = 0; i < d->n; i++) {
        size_t n = l->entry[order[i]].rows[side].n * r->dim;
        memcpy(to, r->v + l->entry[order[i]].rows[side].first * r->dim, n * sizeof *to);
        to += n;
    }
    return VL_OK;
}

static void give_records(vl_loader *l, vl_data *d, const uint32_t *order)
{
    for (size_t i = 0; i < d->n; i++) {
        vl_load_entry *n = &l->entry[order[i]];
        d->key[i] = vl_keytab_take(&l->keys, order[i]);
        if (!l->n_pairs)
            continue;
        d->bytes[i] = n->stored;
        memcpy(d->caption + d->cap[i], n->caption, n->n_captions * sizeof *n->caption);
        free(n->caption);
        n->caption = NULL;
    }
    d->images = l->images;
    l->images = NULL;
}

/* The member that was read, whether it was asked for by name or not. */
static int give_ext(vl_load_rows *r, char **out, vl_err *e)
{
    if (r->wanted && r->want)
        return (*out = vl_strdup(r->want, e)) ? VL_OK : VL_ENOMEM;
    *out = r->ext;
    r->ext = NULL;
    return VL_OK;
}

int vl_load_join(vl_loader *l, vl_data *d, vl_err *e)
{
    uint32_t *order = NULL;
    int rc = check_all(l, e);

    if (rc)
        return rc;
    d->n = l->keys.n - l->n_left_out;
    d->size = l->o->features ? 0 : l->o->size;
    rc = VL_ENOMEM;
    if (!(order = vl_alloc(d->n, sizeof *order, e)) || !(d->cap = vl_alloc(d->n + 1, sizeof *d->cap, e)) ||
        !(d->key = vl_alloc(d->n, sizeof *d->key, e)) ||
        (l->n_pairs && !(d->bytes = vl_alloc(d->n, sizeof *d->bytes, e))))
        goto out;
    set_order(l, d, order);
    if (d->n_caps > VL_LOAD_ROWS_MAX) {
        rc = vl_fail(e, VL_ENOMEM, "%zu captions, at most %zu allowed", d->n_caps, VL_LOAD_ROWS_MAX);
        goto out;
    }
    d->text_dim = l->rows[VL_LOAD_TEXT].dim;
    d->feature_dim = l->rows[VL_LOAD_IMAGE].dim;
    if ((l->n_pairs && !(d->caption = vl_alloc(d->n_caps, sizeof *d->caption, e))) ||
        give_rows(l, VL_LOAD_TEXT, d, order, &d->text, e) ||
        give_rows(l, VL_LOAD_IMAGE, d, order, &d->features, e) ||
        give_ext(&l->rows[VL_LOAD_TEXT], &d->text_ext, e) ||
        give_ext(&l->rows[VL_LOAD_IMAGE], &d->image_ext, e))
        goto out;
    give_records(l, d, order);
    d->feature_model = l->rows[VL_LOAD_IMAGE].model;
    l->rows[VL_LOAD_IMAGE].model = NULL;
    rc = vl_data_group(d, e);
out:
    free(order);
    return rc;
}
