/* SPDX-License-Identifier: MIT
 * eval_recall.c -- from ranks (recall_ranks.c) to percent, and what chance gives. */
#include "distill/eval_recall.h"
#include "distill/relation.h"

#include <math.h>
#include <stdlib.h>

const int vld_recall_k[VLD_N_K] = {1, 5, 10};

static double percent_within(const uint32_t *rank, size_t n, int k)
{
    size_t hits = 0;

    for (size_t i = 0; i < n; i++)
        hits += rank[i] <= (uint32_t)k;
    return n ? 100.0 * (double)hits / (double)n : 0;
}

static void set_mean(vld_recall *r)
{
    r->mean = 0;
    for (int i = 0; i < VLD_N_K; i++)
        r->mean += (r->ir[i] + r->tr[i]) / (2 * VLD_N_K);
}

void vld_recall_of_ranks(const uint32_t *ir, size_t n_ir, const uint32_t *tr, size_t n_tr, vld_recall *r)
{
    for (int i = 0; i < VLD_N_K; i++) {
        r->ir[i] = percent_within(ir, n_ir, vld_recall_k[i]);
        r->tr[i] = percent_within(tr, n_tr, vld_recall_k[i]);
    }
    set_mean(r);
}

int vld_recall_at(const vl_data *d, size_t dim, const vl_real *u, const vl_real *v, vl_pool *pool,
                  vld_recall *r, vl_err *e)
{
    uint32_t *rank = vl_alloc(d->n + d->n_groups, sizeof *rank, e);
    int rc;

    if (!rank)
        return VL_ENOMEM;
    rc = vld_recall_ranks(d, dim, u, v, pool, rank, rank + d->n_groups, e);
    if (!rc)
        vld_recall_of_ranks(rank, d->n_groups, rank + d->n_groups, d->n, r);
    free(rank);
    return rc;
}

/* The chance that none of p positives is among k draws without replacement from n. */
static double chance_percent(const vld_relation *rel, size_t n, int k)
{
    double sum = 0;

    for (size_t q = 0; q < rel->n; q++) {
        double miss = 1, p = (double)(rel->begin[q + 1] - rel->begin[q]);
        for (int i = 0; i < k && miss > 0; i++)
            miss *= (double)n - i > 0 ? fmax(0, ((double)n - p - i) / ((double)n - i)) : 0;
        sum += 1 - miss;
    }
    return rel->n ? 100 * sum / (double)rel->n : 0;
}

int vld_recall_chance(const vl_data *d, vld_recall *r, vl_err *e)
{
    vld_relation images = {0}, texts = {0};
    int rc = vld_relate_texts(d, &texts, e);

    if (!rc)
        rc = vld_relate_images(d, &texts, &images, e);
    for (int i = 0; !rc && i < VLD_N_K; i++) {
        r->ir[i] = chance_percent(&images, d->n, vld_recall_k[i]);
        r->tr[i] = chance_percent(&texts, d->n_groups, vld_recall_k[i]);
    }
    if (!rc)
        set_mean(r);
    vld_relation_free(&texts);
    vld_relation_free(&images);
    return rc;
}
