/* SPDX-License-Identifier: MIT */
#include "distill/eval_recall.h"
#include "pipeline/blas.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

const int vld_recall_k[VLD_N_K] = {1, 5, 10};

enum { BLOCK = 128 }; /* queries at a time */

/* Who belongs to whom, as lists: positives of query q are list[begin[q]] .. list[begin[q + 1] - 1],
 * distinct. */
typedef struct relation {
    size_t n; /* queries */
    size_t *begin;
    uint32_t *list;
} relation;

static void relation_free(relation *r)
{
    free(r->begin);
    free(r->list);
    memset(r, 0, sizeof *r);
}

static uint32_t n_groups(const vl_data *d)
{
    uint32_t top = 0;

    for (size_t c = 0; c < d->n_caps; c++)
        top = d->group[c] >= top ? d->group[c] + 1 : top;
    return top;
}

/* Inverts caption -> group into group -> captions. */
static int by_group(const vl_data *d, relation *r, vl_err *e)
{
    r->n = n_groups(d);
    r->begin = vl_alloc(r->n + 2, sizeof *r->begin, e);
    r->list = r->begin ? vl_alloc(d->n_caps, sizeof *r->list, e) : NULL;
    if (!r->list)
        return VL_ENOMEM;
    for (size_t c = 0; c < d->n_caps; c++)
        r->begin[d->group[c] + 2]++;
    for (size_t g = 0; g < r->n; g++)
        r->begin[g + 1] += r->begin[g];
    for (size_t c = 0; c < d->n_caps; c++)
        r->list[r->begin[d->group[c] + 1]++] = (uint32_t)c;
    return VL_OK;
}

typedef struct builder {
    uint32_t *stamp; /* candidate -> last query that took it, plus one */
    size_t used, cap;
} builder;

static int take(relation *r, builder *b, uint32_t query, uint32_t candidate, vl_err *e)
{
    if (b->stamp[candidate] == query + 1)
        return VL_OK;
    b->stamp[candidate] = query + 1;
    if (b->used == b->cap) {
        size_t cap = 2 * b->cap + 64;
        uint32_t *p = vl_realloc(r->list, cap, sizeof *p, e);
        if (!p)
            return VL_ENOMEM;
        r->list = p;
        b->cap = cap;
    }
    r->list[b->used++] = candidate;
    return VL_OK;
}

/* images: for each caption the images with a caption of the same text; texts: for each image the
 * captions with the text of one of its own. */
static int relate(const vl_data *d, bool images, relation *r, vl_err *e)
{
    relation g = {0};
    builder b = {0};
    uint32_t *owner = NULL;
    int rc = VL_ENOMEM;

    memset(r, 0, sizeof *r);
    r->n = images ? d->n_caps : d->n;
    r->begin = vl_alloc(r->n + 1, sizeof *r->begin, e);
    owner = vl_alloc(d->n_caps, sizeof *owner, e);
    b.stamp = vl_alloc(d->n_caps + d->n, sizeof *b.stamp, e);
    if (!r->begin || !owner || !b.stamp || by_group(d, &g, e))
        goto out;
    for (size_t i = 0; i < d->n; i++)
        for (size_t c = d->cap[i]; c < d->cap[i + 1]; c++)
            owner[c] = (uint32_t)i;
    for (size_t q = 0; q < r->n; q++) {
        size_t lo = images ? q : d->cap[q], hi = images ? q + 1 : d->cap[q + 1];
        for (size_t c = lo; c < hi; c++)
            for (size_t k = g.begin[d->group[c]]; k < g.begin[d->group[c] + 1]; k++)
                if (take(r, &b, (uint32_t)q, images ? owner[g.list[k]] : g.list[k], e))
                    goto out;
        r->begin[q + 1] = b.used;
    }
    rc = VL_OK;
out:
    relation_free(&g);
    free(owner);
    free(b.stamp);
    if (rc)
        relation_free(r);
    return rc;
}

/* ---- ranks
 * --------------------------------------------------------------------------------------- */

typedef struct ranking {
    const relation *rel;
    const vl_real *queries, *candidates;
    size_t n_candidates, dim;
    vl_real *scores; /* [workers][BLOCK][n_candidates] */
    uint32_t *rank;
    atomic_int bad;
} ranking;

/* Rank of the best positive: negatives are all candidates less the positives that score as high. */
static uint32_t rank_one(const ranking *r, size_t q, const vl_real *s, bool *bad)
{
    const uint32_t *pos = r->rel->list + r->rel->begin[q];
    size_t n_pos = r->rel->begin[q + 1] - r->rel->begin[q], above = 0;
    vl_real best = -INFINITY;

    for (size_t k = 0; k < n_pos; k++)
        best = s[pos[k]] > best ? s[pos[k]] : best;
    for (size_t i = 0; i < r->n_candidates; i++) {
        above += s[i] >= best;
        *bad |= s[i] != s[i];
    }
    for (size_t k = 0; k < n_pos; k++)
        above -= s[pos[k]] >= best;
    return (uint32_t)above + 1;
}

static void rank_block(void *arg, size_t block, int worker)
{
    ranking *r = arg;
    size_t begin = block * BLOCK, n = r->rel->n - begin < BLOCK ? r->rel->n - begin : BLOCK;
    vl_real *s = r->scores + (size_t)worker * BLOCK * r->n_candidates;
    bool bad = false;

    vl_gemm(0, 1, n, r->n_candidates, r->dim, 1, r->queries + begin * r->dim, r->dim, r->candidates,
            r->dim, 0, s, r->n_candidates);
    for (size_t i = 0; i < n; i++)
        r->rank[begin + i] = rank_one(r, begin + i, s + i * r->n_candidates, &bad);
    if (bad)
        atomic_store(&r->bad, 1);
}

static int rank_all(const relation *rel, size_t dim, const vl_real *queries,
                    const vl_real *candidates, size_t n_candidates, vl_pool *pool, uint32_t *rank,
                    vl_err *e)
{
    ranking r = {.rel = rel,
                 .queries = queries,
                 .candidates = candidates,
                 .n_candidates = n_candidates,
                 .dim = dim,
                 .rank = rank};

    atomic_init(&r.bad, 0);
    r.scores = vl_alloc((size_t)vl_pool_threads(pool) * BLOCK, n_candidates * sizeof(vl_real), e);
    if (!r.scores)
        return VL_ENOMEM;
    vl_pool_run(pool, (rel->n + BLOCK - 1) / BLOCK, rank_block, &r);
    free(r.scores);
    return atomic_load(&r.bad) ? vl_fail(e, VL_EMATH, "a retrieval score is not a number") : VL_OK;
}

int vld_recall_ranks(const vl_data *d, size_t dim, const vl_real *u, const vl_real *v,
                     vl_pool *pool, uint32_t *ir, uint32_t *tr, vl_err *e)
{
    relation images = {0}, texts = {0};
    int rc;

    if (!d->group)
        return vl_fail(e, VL_EARG, "captions are not grouped");
    rc = relate(d, true, &images, e);
    if (!rc)
        rc = relate(d, false, &texts, e);
    if (!rc)
        rc = rank_all(&images, dim, v, u, d->n, pool, ir, e);
    if (!rc)
        rc = rank_all(&texts, dim, u, v, d->n_caps, pool, tr, e);
    relation_free(&texts);
    relation_free(&images);
    return rc;
}

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

void vld_recall_of_ranks(const uint32_t *ir, size_t n_ir, const uint32_t *tr, size_t n_tr,
                         vld_recall *r)
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
    uint32_t *rank = vl_alloc(d->n + d->n_caps, sizeof *rank, e);
    int rc;

    if (!rank)
        return VL_ENOMEM;
    rc = vld_recall_ranks(d, dim, u, v, pool, rank, rank + d->n_caps, e);
    if (!rc)
        vld_recall_of_ranks(rank, d->n_caps, rank + d->n_caps, d->n, r);
    free(rank);
    return rc;
}

/* The chance that none of p positives is among k draws without replacement from n. */
static double chance_percent(const relation *rel, size_t n, int k)
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
    relation images = {0}, texts = {0};
    int rc = relate(d, true, &images, e);

    if (!rc)
        rc = relate(d, false, &texts, e);
    for (int i = 0; !rc && i < VLD_N_K; i++) {
        r->ir[i] = chance_percent(&images, d->n, vld_recall_k[i]);
        r->tr[i] = chance_percent(&texts, d->n_caps, vld_recall_k[i]);
    }
    if (!rc)
        set_mean(r);
    relation_free(&texts);
    relation_free(&images);
    return rc;
}
