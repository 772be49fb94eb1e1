/* SPDX-License-Identifier: MIT
 * kmeans.c -- a round gives each record to the nearest mean, fills clusters that came out empty, and takes
 * the means again; it ends when no record changes its cluster, or after VLD_KMEANS_ROUNDS.
 *
 *   nearest   argmin_c |x - m_c|^2 = argmin_c |m_c|^2 / 2 - x . m_c, from products of ROWS records with COLS
 *             means: a buffer a thread, never a matrix of all distances. Ties go to the lower cluster.
 *   empty     takes the record farthest from its own mean out of a cluster of two and more (ties: the lower
 *             number), so there are k clusters whatever the records are, equal ones too
 *   means     in double, each strip of columns by one thread over all records in their order
 *
 * Blocks do not depend on the thread count and BLAS runs on one thread, so bits do not either. */
#include "distill/kmeans.h"
#include "distill/select_near.h"
#include "pipeline/blas.h"
#include "pipeline/rng.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 128, COLS = 256, STRIP = 64 };

typedef struct lloyd {
    vld_kmeans c;
    const vl_real *x;
    vl_pool *pool;
    vl_real *mean;    /* [k,dim] as products take it */
    double *half;     /* [k] |m_c|^2 / 2 */
    vl_real *product; /* [threads][ROWS,COLS] */
    uint32_t *before; /* [n] */
} lloyd;

/* ---- first means ---------------------------------------------------------------------------------- */

/* A record with a chance proportional to its squared distance to those chosen; where all distances are 0, the
 * first that is not chosen. */
static size_t draw_far(const vld_near *r, double u)
{
    double total = 0, sum = 0;
    size_t last = SIZE_MAX;

    for (size_t i = 0; i < r->n; i++)
        total += r->d2[i] > 0 ? r->d2[i] : 0;
    for (size_t i = 0; i < r->n; i++) {
        if (total > 0 ? r->d2[i] > 0 : r->d2[i] == 0) {
            last = i;
            sum += r->d2[i];
            if (sum > u * total || total <= 0)
                break;
        }
    }
    return last;
}

static int first_means(lloyd *l, uint64_t seed, vl_err *e)
{
    const uint64_t stream = vl_rng_stream("k-means", 0, 0, 0);
    size_t dim = l->c.dim, at;
    vld_near r;
    int rc = vld_near_new(l->x, l->c.n, dim, &r, e);

    if (rc)
        return rc;
    for (size_t k = 0; k < l->c.k; k++) {
        at = k ? draw_far(&r, vl_rng_unit(seed, stream, k)) : vl_rng_below(seed, stream, 0, l->c.n);
        vld_near_choose(&r, l->pool, at);
        for (size_t j = 0; j < dim; j++)
            l->c.mean[k * dim + j] = (double)l->x[at * dim + j];
    }
    vld_near_free(&r);
    return VL_OK;
}

/* ---- a round -------------------------------------------------------------------------------------- */

static void lay_out_means(lloyd *l)
{
    for (size_t k = 0; k < l->c.k; k++) {
        l->half[k] = 0;
        for (size_t j = 0; j < l->c.dim; j++) {
            vl_real m = l->mean[k * l->c.dim + j] = (vl_real)l->c.mean[k * l->c.dim + j];
            l->half[k] += 0.5 * (double)m * (double)m;
        }
    }
}

static void nearest(void *arg, size_t tile, int worker)
{
    lloyd *l = arg;
    size_t dim = l->c.dim, begin = tile * ROWS, rows = l->c.n - begin < ROWS ? l->c.n - begin : ROWS;
    vl_real *p = l->product + (size_t)worker * ROWS * COLS;
    double best[ROWS];

    for (size_t k = 0; k < l->c.k; k += COLS) {
        size_t cols = l->c.k - k < COLS ? l->c.k - k : COLS;
        vl_gemm(0, 1, rows, cols, dim, 1, l->x + begin * dim, dim, l->mean + k * dim, dim, 0, p, COLS);
        for (size_t i = 0; i < rows; i++)
            for (size_t j = 0; j < cols; j++) {
                double d = l->half[k + j] - (double)p[i * COLS + j];
                if (k + j == 0 || d < best[i]) {
                    best[i] = d;
                    l->c.cluster[begin + i] = (uint32_t)(k + j);
                }
            }
    }
}

static void own_distance(void *arg, size_t tile, int worker)
{
    lloyd *l = arg;
    size_t dim = l->c.dim, begin = tile * ROWS, end = begin + ROWS < l->c.n ? begin + ROWS : l->c.n;

    (void)worker;
    for (size_t i = begin; i < end; i++) {
        const double *m = l->c.mean + l->c.cluster[i] * dim;
        double sum = 0;
        for (size_t j = 0; j < dim; j++)
            sum += ((double)l->x[i * dim + j] - m[j]) * ((double)l->x[i * dim + j] - m[j]);
        l->c.d2[i] = sum;
    }
}

static size_t tiles(const lloyd *l)
{
    return (l->c.n + ROWS - 1) / ROWS;
}

static void fill_empty(lloyd *l)
{
    bool empty = false;

    memset(l->c.count, 0, l->c.k * sizeof *l->c.count);
    for (size_t i = 0; i < l->c.n; i++)
        l->c.count[l->c.cluster[i]]++;
    for (size_t k = 0; k < l->c.k; k++)
        empty = empty || !l->c.count[k];
    if (!empty)
        return;
    vl_pool_run(l->pool, tiles(l), own_distance, l);
    for (size_t k = 0; k < l->c.k; k++) {
        size_t far = SIZE_MAX;
        if (l->c.count[k])
            continue;
        for (size_t i = 0; i < l->c.n; i++)
            if (l->c.count[l->c.cluster[i]] > 1 && (far == SIZE_MAX || l->c.d2[i] > l->c.d2[far]))
                far = i;
        l->c.count[l->c.cluster[far]]--;
        l->c.cluster[far] = (uint32_t)k;
        l->c.count[k] = 1;
    }
}

static void add_strip(void *arg, size_t strip, int worker)
{
    lloyd *l = arg;
    size_t dim = l->c.dim, begin = strip * STRIP, end = begin + STRIP < dim ? begin + STRIP : dim;

    (void)worker;
    for (size_t k = 0; k < l->c.k; k++)
        for (size_t j = begin; j < end; j++)
            l->c.mean[k * dim + j] = 0;
    for (size_t i = 0; i < l->c.n; i++)
        for (size_t j = begin; j < end; j++)
            l->c.mean[l->c.cluster[i] * dim + j] += (double)l->x[i * dim + j];
    for (size_t k = 0; k < l->c.k; k++)
        for (size_t j = begin; j < end; j++)
            l->c.mean[k * dim + j] /= l->c.count[k];
}

/* Whether a record changed its cluster. */
static bool next_round(lloyd *l)
{
    size_t bytes = l->c.n * sizeof *l->before;

    memcpy(l->before, l->c.cluster, bytes);
    lay_out_means(l);
    vl_pool_run(l->pool, tiles(l), nearest, l);
    fill_empty(l);
    vl_pool_run(l->pool, (l->c.dim + STRIP - 1) / STRIP, add_strip, l);
    l->c.rounds++;
    return memcmp(l->before, l->c.cluster, bytes) != 0;
}

/* ---- all of it ------------------------------------------------------------------------------------ */

static int make_room(lloyd *l, vl_err *e)
{
    vld_kmeans *c = &l->c;
    size_t threads = (size_t)vl_pool_threads(l->pool);

    if (!(c->cluster = vl_alloc(c->n, sizeof *c->cluster, e)) ||
        !(c->count = vl_alloc(c->k, sizeof *c->count, e)) || !(c->d2 = vl_alloc(c->n, sizeof *c->d2, e)) ||
        !(c->mean = vl_alloc(c->k, c->dim * sizeof *c->mean, e)) ||
        !(l->mean = vl_alloc(c->k, c->dim * sizeof *l->mean, e)) ||
        !(l->half = vl_alloc(c->k, sizeof *l->half, e)) ||
        !(l->before = vl_alloc(c->n, sizeof *l->before, e)) ||
        !(l->product = vl_alloc(threads, ROWS * COLS * sizeof *l->product, e)))
        return VL_ENOMEM;
    memset(c->cluster, 0xff, c->n * sizeof *c->cluster); /* no cluster: the first round changes all */
    return VL_OK;
}

int vld_kmeans_run(const vl_real *x, size_t n, size_t dim, size_t k, uint64_t seed, vl_pool *pool,
                   vld_kmeans *out, vl_err *e)
{
    lloyd l = {.c = {.n = n, .dim = dim, .k = k}, .x = x, .pool = pool};
    int rc;

    if (!x || !dim || !k || k > n || n > UINT32_MAX)
        return vl_fail(e, VL_EARG, "%zu clusters of %zu records with features of %zu dimensions", k, n, dim);
    rc = make_room(&l, e);
    if (!rc)
        rc = first_means(&l, seed, e);
    if (!rc) {
        while (next_round(&l) && l.c.rounds < VLD_KMEANS_ROUNDS)
            ;
        vl_pool_run(pool, tiles(&l), own_distance, &l);
    }
    free(l.product);
    free(l.before);
    free(l.half);
    free(l.mean);
    if (rc)
        vld_kmeans_free(&l.c);
    else
        *out = l.c;
    return rc;
}

void vld_kmeans_free(vld_kmeans *c)
{
    free(c->cluster);
    free(c->count);
    free(c->d2);
    free(c->mean);
    memset(c, 0, sizeof *c);
}
