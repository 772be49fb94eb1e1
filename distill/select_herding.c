/* SPDX-License-Identifier: MIT
 * select_herding.c -- herding (Welling 2009, as a coreset: Rebuffi et al. 2017): greedily, the mean of those
 * chosen follows the mean of all.
 *
 *   mu = (1/N) sum of all x_i;  with t records chosen, s their sum, the next one is
 *     argmin_i | s + x_i - (t+1) mu |^2  =  argmax_i  2 x_i . w - |x_i|^2,   w = (t+1) mu - s
 *
 * over the records not chosen yet. All is taken times N, which leaves the order as it is and keeps whole
 * numbers whole: W = (t+1) sum - N s, gain_i = 2 x_i . W - N |x_i|^2. Sums are in double.
 * For unit rows |x_i|^2 is 1 everywhere and the step is the product of W with all rows.
 *
 * A step is one pass over the features in tiles of a fixed size, each with its own first maximum; tiles are
 * compared in order. Cost: n_out + 1 passes. */
#include "distill/select.h"

#include <float.h>
#include <stdlib.h>

enum { TILE = 256, STRIP = 64, LANES = 4 };

typedef struct herd {
    const vl_real *x; /* [n,dim] */
    size_t n, dim, tiles;
    double *sum;    /* [dim] of all */
    double *w;      /* [dim] */
    double *square; /* [n] |x_i|^2 */
    double *gain;   /* [tiles] of the best */
    uint32_t *best; /* [tiles]; UINT32_MAX: all are chosen */
    uint8_t *chosen;
} herd;

/* A strip of columns over all rows, in their order. */
static void add_up(void *arg, size_t strip, int worker)
{
    herd *h = arg;
    size_t begin = strip * STRIP, end = begin + STRIP < h->dim ? begin + STRIP : h->dim;

    (void)worker;
    for (size_t i = 0; i < h->n; i++)
        for (size_t k = begin; k < end; k++)
            h->sum[k] += (double)h->x[i * h->dim + k];
}

static double dot(const vl_real *x, const double *w, size_t dim)
{
    double sum[LANES] = {0}, rest = 0;
    size_t k = 0;

    for (; k + LANES <= dim; k += LANES)
        for (int l = 0; l < LANES; l++)
            sum[l] += (double)x[k + (size_t)l] * w[k + (size_t)l];
    for (; k < dim; k++)
        rest += (double)x[k] * w[k];
    return (sum[0] + sum[1]) + (sum[2] + sum[3]) + rest;
}

static void squares(void *arg, size_t tile, int worker)
{
    herd *h = arg;
    size_t begin = tile * TILE, end = begin + TILE < h->n ? begin + TILE : h->n;

    (void)worker;
    for (size_t i = begin; i < end; i++)
        for (size_t k = 0; k < h->dim; k++)
            h->square[i] += (double)h->x[i * h->dim + k] * (double)h->x[i * h->dim + k];
}

static void find_best(void *arg, size_t tile, int worker)
{
    herd *h = arg;
    size_t begin = tile * TILE, end = begin + TILE < h->n ? begin + TILE : h->n;

    (void)worker;
    h->best[tile] = UINT32_MAX;
    for (size_t i = begin; i < end; i++) {
        double gain;
        if (h->chosen[i])
            continue;
        gain = 2 * dot(h->x + i * h->dim, h->w, h->dim) - (double)h->n * h->square[i];
        if (h->best[tile] == UINT32_MAX || gain > h->gain[tile]) {
            h->gain[tile] = gain;
            h->best[tile] = (uint32_t)i;
        }
    }
}

static void take_next(herd *h, vl_pool *pool)
{
    size_t at = SIZE_MAX;

    for (size_t k = 0; k < h->dim; k++)
        h->w[k] += h->sum[k];
    vl_pool_run(pool, h->tiles, find_best, h);
    for (size_t t = 0; t < h->tiles; t++)
        if (h->best[t] != UINT32_MAX && (at == SIZE_MAX || h->gain[t] > h->gain[at]))
            at = t;
    at = h->best[at];
    h->chosen[at] = 1;
    for (size_t k = 0; k < h->dim; k++)
        h->w[k] -= (double)h->n * (double)h->x[at * h->dim + k];
}

int vld_select_herding(const vl_real *features, size_t n_records, size_t dim, uint64_t seed, vl_pool *pool,
                       size_t n_out, uint32_t *out, vl_err *e)
{
    herd h = {.x = features, .n = n_records, .dim = dim, .tiles = (n_records + TILE - 1) / TILE};
    int rc = VL_ENOMEM;

    (void)seed;
    if (n_out > n_records || n_records > UINT32_MAX || !features || !dim)
        return vl_fail(e, VL_EARG, "%zu of %zu records with features of %zu dimensions cannot be selected",
                       n_out, n_records, dim);
    if (!(h.sum = vl_alloc(dim, sizeof *h.sum, e)) || !(h.w = vl_alloc(dim, sizeof *h.w, e)) ||
        !(h.square = vl_alloc(n_records, sizeof *h.square, e)) ||
        !(h.gain = vl_alloc(h.tiles, sizeof *h.gain, e)) ||
        !(h.best = vl_alloc(h.tiles, sizeof *h.best, e)) || !(h.chosen = vl_alloc(n_records, 1, e)))
        goto out;
    vl_pool_run(pool, (dim + STRIP - 1) / STRIP, add_up, &h);
    vl_pool_run(pool, h.tiles, squares, &h);
    for (size_t t = 0; t < n_out; t++)
        take_next(&h, pool);
    vld_select_marked(h.chosen, n_records, out);
    rc = VL_OK;
out:
    free(h.chosen);
    free(h.best);
    free(h.gain);
    free(h.square);
    free(h.w);
    free(h.sum);
    return rc;
}
