/* SPDX-License-Identifier: MIT
 * data_join.c -- the end of a loading: are all records whole, and everything into one order. */
#include "pipeline/data_load.h"

#include <stdlib.h>
#include <string.h>

int vl_load_check(const vl_loader *l, const char *key, const vl_load_entry *n, vl_err *e)
{
    if (!n->pair && l->o->keys)
        return vl_fail(e, VL_EFORMAT, "record '%s': no pair in %s%s", key, vl_load_name(l, 0),
                       l->n_paths > 1 ? " and the others" : "");
    if (!n->pair)
        return vl_fail(e, VL_EFORMAT, "%s: record '%s': an embedding without a pair",
                       vl_load_name(l, n->text_path), key);
    if (!l->o->text)
        return VL_OK;
    if (!n->n_rows)
        return vl_fail(e, VL_EFORMAT, "%s: record '%s': no text embedding (%s) in any shard",
                       vl_load_name(l, n->pair_path), key,
                       l->o->text_ext ? l->o->text_ext
                       : l->ext       ? l->ext
                                      : "*.txt.npy");
    if (n->n_rows != n->n_captions)
        return vl_fail(e, VL_EFORMAT, "%s: record '%s': %zu text rows for the %zu captions of %s",
                       vl_load_name(l, n->text_path), key, n->n_rows, n->n_captions,
                       vl_load_name(l, n->pair_path));
    return VL_OK;
}

static int check_all(const vl_loader *l, vl_err *e)
{
    int rc = VL_OK;

    if (!l->n_pairs)
        return vl_fail(e, VL_EFORMAT, "%s%s: no records of pairs", vl_load_name(l, 0),
                       l->n_paths > 1 ? " and the others" : "");
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
        d->cap[l->entry[i].at + 1] = l->entry[i].n_captions;
    }
    for (size_t i = 0; i < d->n; i++)
        d->cap[i + 1] += d->cap[i];
    d->n_caps = d->cap[d->n];
}

/* Text rows into the order of the captions; the loader's own block where they lie so. */
static int give_text(vl_loader *l, vl_data *d, const uint32_t *order, vl_err *e)
{
    bool moved = false;

    d->text_dim = l->dim;
    for (size_t i = 0; i < d->n; i++)
        moved = moved || l->entry[order[i]].row != d->cap[i];
    if (!moved) {
        d->text = l->text;
        l->text = NULL;
        return VL_OK;
    }
    if (!(d->text = vl_alloc(d->n_caps, l->dim * sizeof *d->text, e)))
        return VL_ENOMEM;
    for (size_t i = 0; i < d->n; i++)
        memcpy(d->text + d->cap[i] * l->dim, l->text + l->entry[order[i]].row * l->dim,
               (d->cap[i + 1] - d->cap[i]) * l->dim * sizeof *d->text);
    return VL_OK;
}

static void give_records(vl_loader *l, vl_data *d, const uint32_t *order)
{
    for (size_t i = 0; i < d->n; i++) {
        vl_load_entry *n = &l->entry[order[i]];
        d->bytes[i] = n->stored;
        d->key[i] = vl_keytab_take(&l->keys, order[i]);
        memcpy(d->caption + d->cap[i], n->caption, n->n_captions * sizeof *n->caption);
        free(n->caption);
        n->caption = NULL;
    }
    d->images = l->images;
    l->images = NULL;
}

int vl_load_join(vl_loader *l, vl_data *d, vl_err *e)
{
    uint32_t *order = NULL;
    int rc = check_all(l, e);

    if (rc)
        return rc;
    d->n = l->keys.n - l->n_left_out;
    d->size = l->o->size;
    rc = VL_ENOMEM;
    if (!(order = vl_alloc(d->n, sizeof *order, e)) || !(d->cap = vl_alloc(d->n + 1, sizeof *d->cap, e)) ||
        !(d->key = vl_alloc(d->n, sizeof *d->key, e)) || !(d->bytes = vl_alloc(d->n, sizeof *d->bytes, e)))
        goto out;
    set_order(l, d, order);
    if (d->n_caps > VL_LOAD_ROWS_MAX) {
        rc = vl_fail(e, VL_ENOMEM, "%zu captions, at most %zu allowed", d->n_caps, VL_LOAD_ROWS_MAX);
        goto out;
    }
    if (!(d->caption = vl_alloc(d->n_caps, sizeof *d->caption, e)) ||
        (l->o->text && give_text(l, d, order, e)))
        goto out;
    give_records(l, d, order);
    rc = vl_data_group(d, e);
out:
    free(order);
    return rc;
}
