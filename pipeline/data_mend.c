/* SPDX-License-Identifier: MIT
 * data_mend.c -- leaves out records that lost a side, and closes the gaps that they leave.
 *
 * Which records are whole is known only when everything was read, so that is when it is told: in the order of the
 * pairs (or of the features), then what has no place. The order in which shards were named does not show, nor do threads. */
#include "pipeline/data_load.h"

#include <stdlib.h>
#include <string.h>

/* order[keys.n]: the numbers of the keys, records by their place, the others behind them. */
static void order_of(const vl_loader *l, uint32_t *order)
{
    size_t behind = l->n_placed;

    for (size_t i = 0; i < l->keys.n; i++) {
        const vl_load_entry *n = &l->entry[i];
        order[l->o->keys ? i : n->placed ? n->at : behind++] = (uint32_t)i;
    }
}

/* 1: *e says what it lacks. 0: it is whole. Negative: it is wrong as no loss makes it. */
static int lacks(const vl_loader *l, const char *key, const vl_load_entry *n, vl_err *e)
{
    int rc = vl_load_check(l, key, n, e);

    if (rc && n->placed && (n->pair || !l->n_pairs) && (!l->o->text || n->rows[VL_LOAD_TEXT].n))
        return rc;
    if (rc || !n->why)
        return rc != 0;
    vl_fail(e, VL_EFORMAT, "%s", n->why);
    return 1;
}

/* The record goes from its place to `at`, which is not behind it and free. */
static void move_up(vl_loader *l, vl_load_entry *n, size_t at)
{
    size_t bytes = l->o->size * l->o->size * 3;

    if (l->images && at != n->at)
        memcpy(l->images + at * bytes, l->images + n->at * bytes, bytes);
    n->at = at;
}

int vl_load_mend(vl_loader *l, vl_err *e)
{
    const vls_left_out *lost = l->o->left_out;
    uint32_t *order;
    size_t at = 0;
    vl_err why = {0};
    int rc = VL_OK;

    if (!l->n_placed)
        return VL_OK; /* vl_load_join says so */
    if (!(order = vl_alloc(l->keys.n, sizeof *order, e)))
        return VL_ENOMEM;
    order_of(l, order);
    for (size_t k = 0; !rc && k < l->keys.n; k++) {
        vl_load_entry *n = &l->entry[order[k]];
        const char *key = l->keys.key[order[k]];
        int bad = lacks(l, key, n, &why);
        if (bad < 0) {
            *e = why;
            rc = bad;
        } else if (bad) {
            n->left_out = true;
            l->n_left_out++;
            rc = lost->record(lost->arg, key, why.text, e);
        } else {
            move_up(l, n, at++);
        }
    }
    if (!rc && !at) {
        *e = why;
        rc = vl_within(e, "no record is whole, the last one");
    }
    free(order);
    return rc;
}
