/* SPDX-License-Identifier: MIT
 * select_kcenter.c -- farthest-first traversal (Gonzalez 1985): each next center is the record farthest from
 * those there are, which is within a factor of two of the best possible covering radius.
 *
 * near[i] is the squared distance of record i to its nearest center, -1 for a center. A sweep lowers it by
 * the newest center and finds the farthest record in one pass, in tiles of a fixed size: each tile keeps
 * its own first maximum, the tiles are compared in order. So ties go to the lowest number at any thread
 * count.
 * Cost: n_out passes over the features. */
#include "distill/select.h"
#include "pipeline/rng.h"

#include <float.h>
#include <stdlib.h>

enum { TILE = 256, LANES = 4 };

typedef struct sweep {
    const vl_real *x; /* [n,dim] */
    size_t n, dim, center;
    double *near;   /* [n] */
    uint32_t *best; /* [tiles] */
} sweep;

static double distance2(const vl_real *a, const vl_real *b, size_t dim)
{
    double sum[LANES] = {0}, rest = 0;
    size_t k = 0;

    for (; k + LANES <= dim; k += LANES)
        for (int l = 0; l < LANES; l++) {
            double d = (double)a[k + (size_t)l] - (double)b[k + (size_t)l];
            sum[l] += d * d;
        }
    for (; k < dim; k++)
        rest += ((double)a[k] - (double)b[k]) * ((double)a[k] - (double)b[k]);
    return (sum[0] + sum[1]) + (sum[2] + sum[3]) + rest;
}

static void lower(void *arg, size_t tile, int worker)
{
    sweep *r = arg;
    size_t begin = tile * TILE, end = begin + TILE < r->n ? begin + TILE : r->n, best = begin;

    (void)worker;
    for (size_t i = begin; i < end; i++) {
        if (r->near[i] >= 0) {
            double d = distance2(r->x + i * r->dim, r->x + r->center * r->dim, r->dim);
            r->near[i] = d < r->near[i] ? d : r->near[i];
        }
        if (r->near[i] > r->near[best])
            best = i;
    }
    r->best[tile] = (uint32_t)best;
}

static size_t farthest(const sweep *r, size_t tiles)
{
    size_t best = r->best[0];

    for (size_t t = 1; t < tiles; t++)
        if (r->near[r->best[t]] > r->near[best])
            best = r->best[t];
    return best;
}

int vld_select_kcenter(const vl_real *features, size_t n_records, size_t dim, uint64_t seed, vl_pool *pool,
                       size_t n_out, uint32_t *out, vl_err *e)
{
    size_t tiles = (n_records + TILE - 1) / TILE, n = 0;
    sweep r = {.x = features, .n = n_records, .dim = dim};
    int rc = VL_ENOMEM;

    if (n_out > n_records || n_records > UINT32_MAX || !features || !dim)
        return vl_fail(e, VL_EARG, "%zu of %zu records with features of %zu dimensions cannot be selected",
                       n_out, n_records, dim);
    if (!(r.near = vl_alloc(n_records, sizeof *r.near, e)) || !(r.best = vl_alloc(tiles, sizeof *r.best, e)))
        goto out;
    for (size_t i = 0; i < n_records; i++)
        r.near[i] = DBL_MAX;
    for (size_t k = 0; k < n_out; k++) {
        r.center =
            k ? farthest(&r, tiles) : vl_rng_below(seed, vl_rng_stream("k-center", 0, 0, 0), 0, n_records);
        r.near[r.center] = -1;
        if (k + 1 < n_out)
            vl_pool_run(pool, tiles, lower, &r);
    }
    for (size_t i = 0; i < n_records; i++)
        if (r.near[i] < 0)
            out[n++] = (uint32_t)i;
    rc = VL_OK;
out:
    free(r.best);
    free(r.near);
    return rc;
}
