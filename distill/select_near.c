/* SPDX-License-Identifier: MIT
 * select_near.c -- a pass goes over the records in tiles of a fixed size: each tile lowers its distances and
 * keeps its own first maximum, the tiles are compared in order. So ties go to the lowest number at any thread
 * count. A pass reads the features once and is bound by memory, not by arithmetic: no product would help. */
#include "distill/select_near.h"

#include <float.h>
#include <stdlib.h>
#include <string.h>

enum { TILE = 256, LANES = 4 };

double vld_distance2(const vl_real *a, const vl_real *b, size_t dim)
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

int vld_near_new(const vl_real *x, size_t n, size_t dim, vld_near *out, vl_err *e)
{
    vld_near r = {.x = x, .n = n, .dim = dim, .n_tiles = (n + TILE - 1) / TILE};

    if (n > UINT32_MAX || !x || !dim)
        return vl_fail(e, VL_EARG, "%zu records with features of %zu dimensions cannot be compared", n, dim);
    if (!(r.d2 = vl_alloc(n, sizeof *r.d2, e)) || !(r.tile_at = vl_alloc(r.n_tiles, sizeof *r.tile_at, e))) {
        vld_near_free(&r);
        return VL_ENOMEM;
    }
    for (size_t i = 0; i < n; i++)
        r.d2[i] = DBL_MAX;
    *out = r;
    return VL_OK;
}

void vld_near_free(vld_near *r)
{
    free(r->d2);
    free(r->tile_at);
    memset(r, 0, sizeof *r);
}

static void lower(void *arg, size_t tile, int worker)
{
    vld_near *r = arg;
    size_t begin = tile * TILE, end = begin + TILE < r->n ? begin + TILE : r->n, best = begin;

    (void)worker;
    for (size_t i = begin; i < end; i++) {
        if (r->d2[i] >= 0) {
            double d = vld_distance2(r->x + i * r->dim, r->x + r->center * r->dim, r->dim);
            r->d2[i] = d < r->d2[i] ? d : r->d2[i];
        }
        if (r->d2[i] > r->d2[best])
            best = i;
    }
    r->tile_at[tile] = (uint32_t)best;
}

void vld_near_choose(vld_near *r, vl_pool *pool, size_t center)
{
    r->center = center;
    r->d2[center] = -1;
    vl_pool_run(pool, r->n_tiles, lower, r);
}

size_t vld_near_farthest(const vld_near *r)
{
    size_t best = r->tile_at[0];

    for (size_t t = 1; t < r->n_tiles; t++)
        if (r->d2[r->tile_at[t]] > r->d2[best])
            best = r->tile_at[t];
    return best;
}
