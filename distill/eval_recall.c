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

static int relation_new(relation *r, size_t n, size_t cap, vl_err *e)
{
    memset(r, 0, sizeof *r);
    r->n = n;
    r->begin = vl_alloc(n + 1, sizeof *r->begin, e);
    r->list = vl_alloc(cap, sizeof *r->list, e);
    return r->begin && r->list ? VL_OK : VL_ENOMEM;
}

/* texts of each image: its captions' groups, each once (an image has few captions: compare them
 * all). */
static int relate_texts(const vl_data *d, relation *r, vl_err *e)
{
    size_t used = 0;

    if (relation_new(r, d->n, d->n_caps, e))
        return VL_ENOMEM;
    for (size_t i = 0; i < d->n; i++) {
        for (size_t c = d->cap[i]; c < d->cap[i + 1]; c++) {
            size_t k = r->begin[i];
            while (k < used && r->list[k] != d->group[c])
                k++;
            if (k == used)
                r->list[used++] = d->group[c];
        }
        r->begin[i + 1] = used;
    }
    return VL_OK;
}

/* images of each text: the transpose. */
static int relate_images(const vl_data *d, const relation *texts, relation *r, vl_err *e)
{
    size_t *at;

    if (relation_new(r, d->n_groups, texts->begin[d->n], e))
        return VL_ENOMEM;
    at = vl_alloc(d->n_groups + 1, sizeof *at, e);
    if (!at)
        return VL_ENOMEM;
    for (size_t k = 0; k < texts->begin[d->n]; k++)
        r->begin[texts->list[k] + 1]++;
    for (size_t g = 0; g < d->n_groups; g++)
        at[g + 1] = r->begin[g + 1] += r->begin[g];
    for (size_t i = 0; i < d->n; i++)
        for (size_t k = texts->begin[i]; k < texts->begin[i + 1]; k++)
            r->list[at[texts->list[k]]++] = (uint32_t)i;
    free(at);
    return VL_OK;
}

static int relate(const vl_data *d, relation *images, relation *texts, vl_err *e)
{
    int rc = d->group ? VL_OK : vl_fail(e, VL_EARG, "captions are not grouped");

    memset(images, 0, sizeof *images);
    if (!rc)
        rc = relate_texts(d, texts, e);
    return rc ? rc : relate_images(d, texts, images, e);
}

/* ---- ranks -------------------------------------------------------------------------------------- */

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

    vl_gemm(0, 1, n, r->n_candidates, r->dim, 1, r->queries + begin * r->dim, r->dim, r->candidates, r->dim,
            0, s, r->n_candidates);
    for (size_t i = 0; i < n; i++)
        r->rank[begin + i] = rank_one(r, begin + i, s + i * r->n_candidates, &bad);
    if (bad)
        atomic_store(&r->bad, 1);
}

static int rank_all(const relation *rel, size_t dim, const vl_real *queries, const vl_real *candidates,
                    size_t n_candidates, vl_pool *pool, uint32_t *rank, vl_err *e)
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

/* The gallery of texts: the first row of each group. */
static int distinct_texts(const vl_data *d, size_t dim, const vl_real *v, vl_real **out, vl_err *e)
{
    uint32_t next = 0;

    *out = vl_alloc(d->n_groups, dim * sizeof **out, e);
    for (size_t c = 0; *out && c < d->n_caps; c++)
        if (d->group[c] == next)
            memcpy(*out + next++ * dim, v + c * dim, dim * sizeof *v);
    return *out ? VL_OK : VL_ENOMEM;
}

int vld_recall_ranks(const vl_data *d, size_t dim, const vl_real *u, const vl_real *v, vl_pool *pool,
                     uint32_t *ir, uint32_t *tr, vl_err *e)
{
    relation images = {0}, texts = {0};
    vl_real *t = NULL;
    int rc = relate(d, &images, &texts, e);

    if (!rc)
        rc = distinct_texts(d, dim, v, &t, e);
    if (!rc)
        rc = rank_all(&images, dim, t, u, d->n, pool, ir, e);
    if (!rc)
        rc = rank_all(&texts, dim, u, t, d->n_groups, pool, tr, e);
    free(t);
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
    int rc = relate(d, &images, &texts, e);

    for (int i = 0; !rc && i < VLD_N_K; i++) {
        r->ir[i] = chance_percent(&images, d->n, vld_recall_k[i]);
        r->tr[i] = chance_percent(&texts, d->n_groups, vld_recall_k[i]);
    }
    if (!rc)
        set_mean(r);
    relation_free(&texts);
    relation_free(&images);
    return rc;
}
