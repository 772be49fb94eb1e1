/* SPDX-License-Identifier: MIT
 * loss_krr.c -- kernel ridge regression from the synthetic pairs to real ones (single_loss.h), in two directions
 * that are alike: A stands for the side that is given, T for the side that is predicted, all rows about the real
 * means (which serve as the intercept).
 *
 *   a, t      [n,..] synthetic    ar, tr    [m,..] real        V = E |t - mean|^2 of the real rows
 *   K       = k(a, a) [n,n]       Kr      = k(ar, a) [m,n]     l = ridge tr(K) / n
 *   alpha   = (K + l I)^-1 t      P       = Kr alpha           L = |P - tr|^2 / m V
 *
 *   E       = 2 (P - tr) / m V    B       = (K + l I)^-1 Kr^T E
 *   gt      = B                   gK      = -B alpha^T, and ridge tr(gK) / n more on its diagonal
 *   gKr     = E alpha^T
 *   linear    ga = (gK + gK^T) a + gKr^T ar
 *   gauss     with U = (gK + gK^T) * K, Ur = gKr * Kr by elements, w2 = width^2 E |a - mean|^2 of the real rows:
 *             ga_i = -1/w2 [(sum_j U_ij) a_i - (U a)_i + (sum_r Ur_ri) a_i - (Ur^T ar)_i]
 *
 * K + l I is factored by Cholesky in double; the two solves are the only n x n systems. Cost: 2 (n + m) n (F + K)
 * each way. Parts: image to text, text to image.
 * Source: Nguyen et al. 2021 (KIP), whose labels are rows of text features here. */
#include "distill/single_part.h"
#include "pipeline/blas.h"
#include "pipeline/gemm_tiles.h"

#include <math.h>
#include <stdlib.h>

enum { IMAGE, TEXT, SIDES, COLUMNS = 64, ROWS = 64 };

typedef struct krr {
    vld_single_setup s;
    vl_real *block;                    /* of: */
    vl_real *syn[SIDES], *real[SIDES]; /* rows about the real means: [n,..], [m,..] */
    vl_real *k, *gk;                   /* [n,n] */
    vl_real *kr, *gkr;                 /* [m,n] */
    vl_real *alpha, *b;                /* [n, the wider of F and K] */
    vl_real *err;                      /* [m, ...] */
    size_t n_block;
    double *factor; /* [n,n] */
    double *solve;  /* [n, the wider] */
    double *sums;   /* [n] of rows, or [tiles of m] */
} krr;

static size_t width_of(const krr *c, int side)
{
    return side == IMAGE ? c->s.image_n : c->s.text_dim;
}

static size_t widest(const krr *c)
{
    return width_of(c, IMAGE) > width_of(c, TEXT) ? width_of(c, IMAGE) : width_of(c, TEXT);
}

static size_t n_sums(const krr *c)
{
    size_t n = c->s.n, tiles = (c->s.batch + ROWS - 1) / ROWS;

    return n > tiles ? n : tiles;
}

static void stop(void *state)
{
    krr *c = state;

    if (!c)
        return;
    free(c->sums);
    free(c->solve);
    free(c->factor);
    free(c->block);
    free(c);
}

static int start(const vld_single_setup *s, void **state, vl_err *e)
{
    size_t n = s->n, m = s->batch, f = s->image_n, k = s->text_dim, wide;
    krr *c;
    vl_real *at;

    if (!(s->stats->sum_x > 0) || !(s->stats->sum_y > 0))
        return vl_fail(e, VL_EARG, "krr: the real rows do not differ");
    if (!(c = vl_alloc(1, sizeof *c, e)))
        return VL_ENOMEM;
    c->s = *s;
    wide = widest(c);
    c->n_block = (n + m) * (f + k) + 2 * n * n + 2 * m * n + (2 * n + m) * wide;
    if (!(at = c->block = vl_alloc(c->n_block, sizeof *c->block, e)) ||
        !(c->factor = vl_alloc(n, n * sizeof *c->factor, e)) ||
        !(c->solve = vl_alloc(n, wide * sizeof *c->solve, e)) ||
        !(c->sums = vl_alloc(n_sums(c), sizeof *c->sums, e))) {
        stop(c);
        return VL_ENOMEM;
    }
    for (int side = 0; side < SIDES; side++) {
        c->syn[side] = vld_cut(&at, n * width_of(c, side));
        c->real[side] = vld_cut(&at, m * width_of(c, side));
    }
    c->k = vld_cut(&at, n * n);
    c->gk = vld_cut(&at, n * n);
    c->kr = vld_cut(&at, m * n);
    c->gkr = vld_cut(&at, m * n);
    c->alpha = vld_cut(&at, n * wide);
    c->b = vld_cut(&at, n * wide);
    c->err = vld_cut(&at, m * wide);
    *state = c;
    return VL_OK;
}

static size_t bytes(const void *state)
{
    const krr *c = state;

    return sizeof *c + c->n_block * sizeof *c->block +
           (c->s.n * (c->s.n + widest(c)) + n_sums(c)) * sizeof(double);
}

static double variance(const krr *c, int side)
{
    const vld_real_stats *s = c->s.stats;

    return (side == IMAGE ? s->sum_x : s->sum_y) / (double)s->n;
}

/* ---- kernels -------------------------------------------------------------------------------------- */

static double square_of(const vl_real *v, size_t dim)
{
    double s = 0;

    for (size_t i = 0; i < dim; i++)
        s += (double)v[i] * (double)v[i];
    return s;
}

typedef struct gaussing {
    const krr *c;
    int side;
    const vl_real *ar; /* [rows,..] */
    size_t rows;
    vl_real *k; /* [rows,n] of the products of rows of ar with those of a; the kernels in place of them */
} gaussing;

static void gauss_tile(void *arg, size_t tile, int worker)
{
    const gaussing *g = arg;
    const krr *c = g->c;
    size_t n = c->s.n, dim = width_of(c, g->side);
    size_t end = (tile + 1) * ROWS < g->rows ? (tile + 1) * ROWS : g->rows;
    double w2 = 2 * c->s.p.width * c->s.p.width * variance(c, g->side);

    (void)worker;
    for (size_t r = tile * ROWS; r < end; r++) {
        double own = square_of(g->ar + r * dim, dim);
        for (size_t i = 0; i < n; i++) {
            double d = own + c->sums[i] - 2 * (double)g->k[r * n + i];
            g->k[r * n + i] = (vl_real)exp((d < 0 ? 0 : -d) / w2); /* NaN stays */
        }
    }
}

static void gauss(krr *c, int side, const vl_real *ar, size_t rows, vl_real *k)
{
    gaussing g = {c, side, ar, rows, k};
    size_t dim = width_of(c, side);

    for (size_t i = 0; i < c->s.n; i++)
        c->sums[i] = square_of(c->syn[side] + i * dim, dim);
    vl_pool_run(c->s.pool, (rows + ROWS - 1) / ROWS, gauss_tile, &g);
}

static void kernels(krr *c, int side)
{
    size_t n = c->s.n, m = c->s.batch, dim = width_of(c, side);
    const vl_real *a = c->syn[side], *ar = c->real[side];

    vl_gemm_tiles(c->s.pool, 0, 1, n, n, dim, 1, a, dim, a, dim, 0, c->k, n);
    vl_gemm_tiles(c->s.pool, 0, 1, m, n, dim, 1, ar, dim, a, dim, 0, c->kr, n);
    if (c->s.p.kernel == VLD_KERNEL_GAUSS) {
        gauss(c, side, a, n, c->k);
        gauss(c, side, ar, m, c->kr);
    }
}

/* ga += scale (G a_from) - scale (sums of G's rows) a, the rows of G [n,..] taken as they lie or, when transposed,
 * as columns of [rows,n]. */
static void gauss_back(krr *c, int side, const vl_real *g, int transposed, const vl_real *from, size_t rows,
                       double scale, vl_real *ga)
{
    size_t n = c->s.n, dim = width_of(c, side);

    for (size_t i = 0; i < n; i++)
        c->sums[i] = 0;
    for (size_t j = 0; j < rows; j++)
        for (size_t i = 0; i < n; i++)
            c->sums[i] += (double)(transposed ? g[j * n + i] : g[i * rows + j]);
    vl_gemm_tiles(c->s.pool, transposed, 0, n, dim, rows, (vl_real)scale, g, transposed ? n : rows, from, dim,
                  1, ga, dim);
    for (size_t i = 0; i < n; i++)
        for (size_t d = 0; d < dim; d++)
            ga[i * dim + d] -= (vl_real)(scale * c->sums[i]) * c->syn[side][i * dim + d];
}

/* gk: gK + gK^T; ga += what the kernels ask of the given side. */
static void kernels_back(krr *c, int side, vl_real *ga)
{
    size_t n = c->s.n, m = c->s.batch, dim = width_of(c, side);
    double w2 = c->s.p.width * c->s.p.width * variance(c, side);
    const vl_real *a = c->syn[side], *ar = c->real[side];

    if (c->s.p.kernel == VLD_KERNEL_LINEAR) {
        vl_gemm_tiles(c->s.pool, 0, 0, n, dim, n, 1, c->gk, n, a, dim, 1, ga, dim);
        vl_gemm_tiles(c->s.pool, 1, 0, n, dim, m, 1, c->gkr, n, ar, dim, 1, ga, dim);
        return;
    }
    for (size_t i = 0; i < n * n; i++)
        c->gk[i] *= c->k[i];
    for (size_t i = 0; i < m * n; i++)
        c->gkr[i] *= c->kr[i];
    gauss_back(c, side, c->gk, 0, a, n, 1 / w2, ga);
    gauss_back(c, side, c->gkr, 1, ar, m, 1 / w2, ga);
}

/* ---- the solve ------------------------------------------------------------------------------------ */

static int factorize(krr *c, vl_err *e)
{
    size_t n = c->s.n, bad;
    double trace = 0;

    for (size_t i = 0; i < n; i++)
        trace += (double)c->k[i * n + i];
    for (size_t i = 0; i < n * n; i++)
        c->factor[i] = (double)c->k[i];
    for (size_t i = 0; i < n; i++)
        c->factor[i * n + i] += c->s.p.ridge * trace / (double)n;
    bad = vl_cholesky(n, c->factor);
    return bad ? vl_fail(e, VL_EMATH,
                         "krr: the kernel matrix of %zu pairs is not positive definite at pair %zu", n,
                         bad - 1)
               : VL_OK;
}

typedef struct solving {
    krr *c;
    vl_real *v; /* [n,columns], in and out */
    size_t columns;
} solving;

static void solve_tile(void *arg, size_t tile, int worker)
{
    const solving *s = arg;
    size_t n = s->c->s.n, lo = tile * COLUMNS;
    size_t columns = s->columns - lo < COLUMNS ? s->columns - lo : COLUMNS;
    double *d = s->c->solve + n * lo;

    (void)worker;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < columns; j++)
            d[i * columns + j] = (double)s->v[i * s->columns + lo + j];
    vl_cholesky_solve(n, s->c->factor, columns, d, columns);
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < columns; j++)
            s->v[i * s->columns + lo + j] = (vl_real)d[i * columns + j];
}

/* v [n,columns] = (K + l I)^-1 v */
static void solve(krr *c, vl_real *v, size_t columns)
{
    solving s = {c, v, columns};

    vl_pool_run(c->s.pool, (columns + COLUMNS - 1) / COLUMNS, solve_tile, &s);
}

/* ---- one direction -------------------------------------------------------------------------------- */

typedef struct residual {
    krr *c;
    int to;
    double weight; /* of the direction */
} residual;

/* err = 2 weight (P - tr) / m V; sums: of its squares, before the factor. */
static void residual_tile(void *arg, size_t tile, int worker)
{
    const residual *r = arg;
    krr *c = r->c;
    size_t dim = width_of(c, r->to), end = (tile + 1) * ROWS < c->s.batch ? (tile + 1) * ROWS : c->s.batch;
    double scale = 2 * r->weight / ((double)c->s.batch * variance(c, r->to)), sum = 0;

    (void)worker;
    for (size_t i = tile * ROWS * dim; i < end * dim; i++) {
        double d = (double)c->err[i] - (double)c->real[r->to][i];
        sum += d * d;
        c->err[i] = (vl_real)(scale * d);
    }
    c->sums[tile] = sum;
}

/* L of the prediction; err [m,..] becomes weight times E. */
static double predict(krr *c, int to, double weight)
{
    size_t n = c->s.n, m = c->s.batch, dim = width_of(c, to), tiles = (m + ROWS - 1) / ROWS;
    residual r = {c, to, weight};
    double sum = 0;

    vl_gemm_tiles(c->s.pool, 0, 0, m, dim, n, 1, c->kr, n, c->alpha, dim, 0, c->err, dim);
    vl_pool_run(c->s.pool, tiles, residual_tile, &r);
    for (size_t t = 0; t < tiles; t++)
        sum += c->sums[t];
    return sum / ((double)m * variance(c, to));
}

/* gk = gK + gK^T with the ridge's share, gkr = gKr. */
static void matrices_back(krr *c, size_t dim)
{
    size_t n = c->s.n, m = c->s.batch;
    double trace = 0;

    vl_gemm_tiles(c->s.pool, 0, 1, n, n, dim, -1, c->b, dim, c->alpha, dim, 0, c->gk, n);
    vl_gemm_tiles(c->s.pool, 0, 1, n, n, dim, -1, c->alpha, dim, c->b, dim, 1, c->gk, n);
    vl_gemm_tiles(c->s.pool, 0, 1, m, n, dim, 1, c->err, dim, c->alpha, dim, 0, c->gkr, n);
    for (size_t i = 0; i < n; i++)
        trace += (double)c->gk[i * n + i] / 2;
    for (size_t i = 0; i < n; i++)
        c->gk[i * n + i] += (vl_real)(2 * c->s.p.ridge * trace / (double)n);
}

static int direction(krr *c, int from, double weight, vl_real *const *g, double *value, vl_err *e)
{
    int to = from == IMAGE ? TEXT : IMAGE, rc;
    size_t n = c->s.n, dim = width_of(c, to);

    kernels(c, from);
    if ((rc = factorize(c, e)) != VL_OK)
        return rc;
    for (size_t i = 0; i < n * dim; i++)
        c->alpha[i] = c->syn[to][i];
    solve(c, c->alpha, dim);
    *value = predict(c, to, weight);
    vl_gemm_tiles(c->s.pool, 1, 0, n, dim, c->s.batch, 1, c->kr, n, c->err, dim, 0, c->b, dim);
    solve(c, c->b, dim);
    for (size_t i = 0; i < n * dim; i++)
        g[to][i] += c->b[i];
    matrices_back(c, dim);
    kernels_back(c, from, g[from]);
    return VL_OK;
}

static int run(void *state, const vld_single_in *in, vld_single_out *out, vl_err *e)
{
    krr *c = state;
    const vld_real_stats *s = c->s.stats;
    const vl_real *syn[] = {in->x, in->y}, *real[] = {in->xr, in->yr};
    const double *mean[] = {s->mean_x, s->mean_y},
                 weight[] = {1 - c->s.p.text_to_image, c->s.p.text_to_image};
    vl_real *const g[] = {out->gx, out->gy};
    int rc = VL_OK;

    for (int side = 0; side < SIDES; side++) {
        vld_row_less(syn[side], c->s.n, width_of(c, side), mean[side], c->syn[side]);
        vld_row_less(real[side], c->s.batch, width_of(c, side), mean[side], c->real[side]);
        for (size_t i = 0; i < c->s.n * width_of(c, side); i++)
            g[side][i] = 0;
    }
    for (int from = 0; !rc && from < SIDES; from++)
        if (weight[from] > 0) {
            rc = direction(c, from, weight[from], g, &out->part[from], e);
            out->loss += weight[from] * out->part[from];
        }
    return rc;
}

const vld_single_method vld_single_krr = {.name = "krr",
                                          .needs = VLD_NEEDS_STATS | VLD_NEEDS_BATCH,
                                          .part = {"image to text", "text to image"},
                                          .start = start,
                                          .run = run,
                                          .bytes = bytes,
                                          .stop = stop};
