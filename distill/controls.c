/* SPDX-License-Identifier: MIT */
#include "distill/controls.h"
#include "distill/select.h"
#include "distill/train.h"
#include "pipeline/keytab.h"
#include "pipeline/rng.h"

#include <string.h>

int vld_control_random(const vl_data *d, size_t n, size_t draws, uint64_t seed, uint32_t *rows, vl_err *e)
{
    int rc = VL_OK;

    if (n > d->n)
        return vl_fail(e, VL_EARG, "a random subset of %zu pairs: the training data have %zu", n, d->n);
    for (size_t i = 0; !rc && i < draws; i++)
        rc = vld_select_random(NULL, d->n, 0, vl_rng(seed, vl_rng_stream("random control", i, 0, 0), 0), NULL,
                               n, rows + i * n, e);
    return rc;
}

static int one_pair(const vl_data *d, const vl_keytab *keys, const vld_distilled *set, size_t i,
                    uint32_t *rows, vld_set *out, vl_err *e)
{
    size_t row, cap;

    if (!set->init_key || !set->init_key[i] || !vl_keytab_find(keys, set->init_key[i], &row))
        return vl_fail(e, VL_EFORMAT, "pair %zu started from record '%s', which the training data lack", i,
                       set->init_key && set->init_key[i] ? set->init_key[i] : "");
    cap = d->cap[row] + set->init_cap[i];
    if (set->init_cap[i] >= d->cap[row + 1] - d->cap[row])
        return vl_fail(e, VL_EFORMAT, "pair %zu started from caption %u of record '%s', which has %zu", i,
                       set->init_cap[i], d->key[row], d->cap[row + 1] - d->cap[row]);
    vld_set_pair(&set->model, d, row, cap, i, out);
    if (rows)
        rows[i] = (uint32_t)row;
    return VL_OK;
}

int vld_control_initial(const vl_data *d, const vld_distilled *set, uint32_t *rows, vld_set *out, vl_err *e)
{
    vl_keytab keys = {0};
    vld_set s = {0};
    size_t number;
    int rc = vld_data_fits(&set->model, d, e);

    for (size_t i = 0; !rc && i < d->n; i++) {
        int added = vl_keytab_add(&keys, d->key[i], &number, e);
        if (added < 1)
            rc = added ? added : vl_fail(e, VL_EARG, "record '%s' is there twice", d->key[i]);
    }
    if (!rc)
        rc = vld_set_new(&set->model, set->set.n, &s, e);
    for (size_t i = 0; !rc && i < s.n; i++)
        rc = one_pair(d, &keys, set, i, rows, &s, e);
    vl_keytab_free(&keys);
    if (rc)
        vld_set_free(&s);
    else
        *out = s;
    return rc;
}

uint64_t vld_control_bytes(const vl_data *d, const uint32_t *rows, size_t n)
{
    uint64_t sum = 0;

    for (size_t i = 0; d->bytes && i < (rows ? n : d->n); i++)
        sum += d->bytes[rows ? rows[i] : i];
    return sum;
}
