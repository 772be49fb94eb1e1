/* SPDX-License-Identifier: MIT */
#include "pipeline/head_pass.h"
#include "pipeline/sums.h"
#include "pipeline/vmath.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { TILE = 8 };              /* rows */
static const double eps = 1e-5; /* layernorm's */

static size_t tiles_of(size_t rows)
{
    return (rows + TILE - 1) / TILE;
}

int vl_head_pass_new(vl_pool *pool, size_t rows, size_t d, double dropout, uint64_t site, double blend,
                     vl_head_pass *h, vl_err *e)
{
    const size_t real = sizeof(vl_real);

    *h = (vl_head_pass){.pool = pool, .rows = rows, .d = d, .dropout = dropout, .site = site, .blend = blend};
    if ((h->gradient = vl_alloc(VL_HEAD_SHORT * d, real, e)) && (h->row = vl_alloc(rows, d * real, e)) &&
        (h->p = blend > 0 ? vl_alloc(rows, d * real, e) : h->row) && (h->a = vl_alloc(rows, d * real, e)) &&
        (h->h = vl_alloc(rows, d * real, e)) && (h->ga = vl_alloc(rows, d * real, e)) &&
        (h->slope = vl_alloc(rows, d * real, e)) && (h->root = vl_alloc(rows, real, e)) &&
        (h->length = vl_alloc(rows, real, e)) &&
        (h->sums = vl_alloc(tiles_of(rows), VL_HEAD_SHORT * d * real, e)) &&
        (h->perm = vl_alloc(rows, sizeof *h->perm, e)) && (h->origin = vl_alloc(rows, sizeof *h->origin, e)))
        return VL_OK;
    vl_head_pass_free(h);
    return VL_ENOMEM;
}

void vl_head_pass_free(vl_head_pass *h)
{
    free(h->origin);
    free(h->perm);
    free(h->sums);
    free(h->length);
    free(h->root);
    free(h->slope);
    free(h->ga);
    free(h->h);
    free(h->a);
    if (h->p != h->row)
        free(h->p);
    free(h->row);
    free(h->gradient);
    memset(h, 0, sizeof *h);
}

/* ---- tiles -------------------------------------------------------------------------------------- */

typedef struct job {
    vl_head_pass *h;
    vl_real *u;
    const vl_real *unit, *gu;
    bool fresh; /* sums begin here */
    void (*one)(const struct job *j, size_t row, vl_real *sums);
} job;

static void tile(void *arg, size_t number, int worker)
{
    const job *j = arg;
    size_t end = (number + 1) * TILE < j->h->rows ? (number + 1) * TILE : j->h->rows;

    vl_real *sums = j->h->sums + number * VL_HEAD_SHORT * j->h->d;

    (void)worker;
    if (j->fresh)
        memset(sums, 0, VL_HEAD_SHORT * j->h->d * sizeof *sums);
    for (size_t row = number * TILE; row < end; row++)
        j->one(j, row, sums);
}

static void each_row(job j)
{
    vl_pool_run(j.h->pool, tiles_of(j.h->rows), tile, &j);
}

/* ---- the way up --------------------------------------------------------------------------------- */

static void blend(const vl_head_pass *h, size_t row, const uint32_t *other, const vl_real *from, vl_real *to)
{
    const vl_real *restrict a = from + row * h->d, *restrict b = from + other[row] * h->d;
    vl_real *restrict out = to + row * h->d, lam = h->lam;

    for (size_t i = 0; i < h->d; i++)
        out[i] = lam * a[i] + (1 - lam) * b[i];
}

static void open_row(const job *j, size_t row, vl_real *sums)
{
    const vl_head_pass *h = j->h;
    vl_real *restrict p = h->p + row * h->d, *restrict a = h->a + row * h->d;
    vl_real *restrict slope = h->slope + row * h->d;
    const vl_real *restrict b1 = h->by[VL_HEAD_B1];

    (void)sums;
    if (h->blend > 0)
        blend(h, row, h->perm, h->row, h->p);
    for (size_t i = 0; i < h->d; i++) {
        vl_real x = p[i] + b1[i], cdf, pdf; /* a blend's weights add up to 1 */
        vl_normal(x, &cdf, &pdf);
        p[i] = x;
        a[i] = x * cdf;
        slope[i] = cdf + x * pdf;
    }
}

void vl_head_open(vl_head_pass *h, const vl_draws *draws)
{
    h->draws = *draws;
    if (h->blend > 0) {
        h->lam = (vl_real)vl_noise_blend(draws, h->blend, h->rows, h->perm);
        for (size_t i = 0; i < h->rows; i++)
            h->origin[h->perm[i]] = (uint32_t)i;
    }
    each_row((job){.h = h, .one = open_row});
}

static void close_row(const job *j, size_t row, vl_real *sums)
{
    const vl_head_pass *h = j->h;
    const size_t d = h->d, at = row * d;
    const vl_real *restrict p = h->p + at, *restrict gain = h->by[VL_HEAD_GAIN];
    const vl_real *restrict shift = h->by[VL_HEAD_SHIFT], *restrict b2 = h->by[VL_HEAD_B2];
    vl_real *restrict mask = h->h + at, *restrict hat = h->ga + at, *restrict u = j->u + at;
    double mean, ss;
    vl_real root, length;

    (void)sums;
    for (size_t i = 0; i < d; i++)
        hat[i] = mask[i] + b2[i];
    if (h->dropout > 0) {
        vl_noise_dropout(&h->draws, h->dropout, h->site, at, at + d, mask);
        for (size_t i = 0; i < d; i++)
            hat[i] *= mask[i];
    }
    for (size_t i = 0; i < d; i++)
        hat[i] += p[i];
    mean = vl_sum(hat, d) / (double)d;
    root = h->root[row] = (vl_real)(1 / sqrt(vl_spread(hat, mean, d) / (double)d + eps));
    for (size_t i = 0; i < d; i++) {
        hat[i] = (vl_real)((double)hat[i] - mean) * root;
        u[i] = gain[i] * hat[i] + shift[i];
    }
    ss = vl_dot(u, u, d);
    length = h->length[row] =
        ss < 1e-70 || ss > 6.4e75 ? 0 : (vl_real)(1 / sqrt(ss)); /* as op_l2norm; NaN stays */
    for (size_t i = 0; i < d; i++)
        u[i] *= length;
}

void vl_head_close(vl_head_pass *h, vl_real *u)
{
    each_row((job){.h = h, .u = u, .one = close_row});
}

/* ---- the way down ------------------------------------------------------------------------------- */

static void close_back_row(const job *j, size_t row, vl_real *sums)
{
    const vl_head_pass *h = j->h;
    const size_t d = h->d, at = row * d;
    const vl_real *restrict unit = j->unit + at, *restrict gu = j->gu + at;
    const vl_real *restrict gain = h->by[VL_HEAD_GAIN];
    vl_real *restrict hat = h->ga + at, *restrict mask = h->h + at, *restrict rest = h->p + at;
    vl_real *restrict to_gain = sums + VL_HEAD_GAIN * d, *restrict to_shift = sums + VL_HEAD_SHIFT * d;
    vl_real *restrict to_b2 = sums + VL_HEAD_B2 * d;
    vl_real along = (vl_real)vl_dot(unit, gu, d), length = h->length[row], root = h->root[row], mean, slant;

    for (size_t i = 0; i < d; i++) {
        vl_real gy = (gu[i] - unit[i] * along) * length;
        to_gain[i] += gy * hat[i];
        to_shift[i] += gy;
        rest[i] = gain[i] * gy;
    }
    mean = (vl_real)(vl_sum(rest, d) / (double)d);
    slant = (vl_real)(vl_dot(rest, hat, d) / (double)d);
    for (size_t i = 0; i < d; i++) {
        vl_real g = root * (rest[i] - mean - hat[i] * slant);
        rest[i] = g;
        mask[i] = h->dropout > 0 ? mask[i] * g : g;
        to_b2[i] += mask[i];
        hat[i] = 0;
    }
}

void vl_head_close_back(vl_head_pass *h, const vl_real *u, const vl_real *gu)
{
    each_row((job){.h = h, .unit = u, .gu = gu, .fresh = true, .one = close_back_row});
}

static void open_back_row(const job *j, size_t row, vl_real *sums)
{
    const vl_head_pass *h = j->h;
    const size_t d = h->d, at = row * d;
    const vl_real *restrict ga = h->ga + at, *restrict slope = h->slope + at;
    vl_real *restrict g = h->p + at, *restrict to_b1 = sums + VL_HEAD_B1 * d;

    for (size_t i = 0; i < d; i++) {
        g[i] += ga[i] * slope[i];
        to_b1[i] += g[i];
    }
}

static void unblend_row(const job *j, size_t row, vl_real *sums)
{
    (void)sums;
    blend(j->h, row, j->h->origin, j->h->p, j->h->row);
}

void vl_head_open_back(vl_head_pass *h)
{
    const size_t n = VL_HEAD_SHORT * h->d;

    each_row((job){.h = h, .one = open_back_row});
    if (h->blend > 0)
        each_row((job){.h = h, .one = unblend_row});
    memcpy(h->gradient, h->sums, n * sizeof *h->sums);
    for (size_t t = 1; t < tiles_of(h->rows); t++)
        for (size_t i = 0; i < n; i++)
            h->gradient[i] += h->sums[t * n + i];
}
