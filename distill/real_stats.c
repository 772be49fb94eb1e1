/* SPDX-License-Identifier: MIT
 * real_stats.c -- two samples a and b of means m_a, m_b have together (Chan, Golub and LeVeque 1979)
 *   mean = m_a + (m_b - m_a) n_b / n
 *   S    = S_a + S_b + (m_b - m_a) (m_b - m_a)^T n_a n_b / n
 * Here a is what was seen before and b the chunk, whose S_b is a product of centred rows. */
#include "distill/real_stats.h"
#include "pipeline/blas.h"

#include <math.h>
#include <stdlib.h>

enum { ROWS = 128 }; /* of the cross-covariance in a tile */

int vld_real_stats_new(size_t image_n, size_t text_dim, bool cross, vl_pool *pool, vld_real_stats *s,
                       vl_err *e)
{
    *s = (vld_real_stats){.image_n = image_n, .text_dim = text_dim, .pool = pool};
    if (!image_n || !text_dim)
        return vl_fail(e, VL_EARG, "rows of %zu and %zu numbers: at least 1 wanted", image_n, text_dim);
    if (!(s->mean_x = vl_alloc(image_n, sizeof *s->mean_x, e)) ||
        !(s->mean_y = vl_alloc(text_dim, sizeof *s->mean_y, e)) ||
        !(s->x = vl_alloc(VLD_STATS_CHUNK, image_n * sizeof *s->x, e)) ||
        !(s->y = vl_alloc(VLD_STATS_CHUNK, text_dim * sizeof *s->y, e)) ||
        (cross && !(s->sum_xy = vl_alloc(image_n, text_dim * sizeof *s->sum_xy, e))) ||
        (cross &&
         !(s->part = vl_alloc((size_t)vl_pool_threads(pool) * ROWS, text_dim * sizeof *s->part, e)))) {
        vld_real_stats_free(s);
        return VL_ENOMEM;
    }
    return VL_OK;
}

void vld_real_stats_free(vld_real_stats *s)
{
    free(s->mean_x);
    free(s->mean_y);
    free(s->sum_xy);
    free(s->x);
    free(s->y);
    free(s->part);
    *s = (vld_real_stats){0};
}

typedef struct job {
    vld_real_stats *s;
    const double *shift_x, *shift_y; /* the chunk's mean less the one before */
    double weight;
    size_t rows;
} job;

static void add_tile(void *arg, size_t tile, int worker)
{
    const job *j = arg;
    const vld_real_stats *s = j->s;
    size_t f = s->image_n, k = s->text_dim, lo = tile * ROWS, rows = f - lo < ROWS ? f - lo : ROWS;
    vl_real *part = s->part + (size_t)worker * ROWS * k;

    vl_gemm(1, 0, rows, k, j->rows, 1, s->x + lo, f, s->y, k, 0, part, k);
    for (size_t r = 0; r < rows; r++) {
        double w = j->weight * j->shift_x[lo + r], *out = s->sum_xy + (lo + r) * k;
        for (size_t c = 0; c < k; c++)
            out[c] += (double)part[r * k + c] + w * j->shift_y[c];
    }
}

/* shift [dim] = mean of the rows - mean; returns false when that is not finite. */
static bool find_shift(const vl_real *v, size_t rows, size_t dim, const double *mean, double *shift)
{
    bool finite = true;

    for (size_t c = 0; c < dim; c++)
        shift[c] = 0;
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < dim; c++)
            shift[c] += (double)v[r * dim + c];
    for (size_t c = 0; c < dim; c++) {
        finite = finite && isfinite(shift[c]);
        shift[c] = shift[c] / (double)rows - mean[c];
    }
    return finite;
}

/* Centres the chunk into out and takes its mean and squares into account. */
static void take_side(const vl_real *v, size_t rows, size_t dim, double share, double weight,
                      const double *shift, double *mean, double *sum, vl_real *out)
{
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < dim; c++) {
            double d = (double)v[r * dim + c] - (mean[c] + shift[c]);
            out[r * dim + c] = (vl_real)d;
            *sum += d * d;
        }
    for (size_t c = 0; c < dim; c++) {
        *sum += weight * shift[c] * shift[c];
        mean[c] += share * shift[c];
    }
}

int vld_real_stats_add(vld_real_stats *s, const vl_real *x, const vl_real *y, size_t rows, vl_err *e)
{
    size_t f = s->image_n, k = s->text_dim;
    double *shift, share, weight;
    job j;

    if (!rows)
        return VL_OK;
    if (rows > VLD_STATS_CHUNK)
        return vl_fail(e, VL_EARG, "a chunk of %zu rows: at most %d wanted", rows, VLD_STATS_CHUNK);
    if (!(shift = vl_alloc(f + k, sizeof *shift, e)))
        return VL_ENOMEM;
    if (!find_shift(x, rows, f, s->mean_x, shift) || !find_shift(y, rows, k, s->mean_y, shift + f)) {
        free(shift);
        return vl_fail(e, VL_EMATH, "real rows %zu to %zu: not all are finite", s->n, s->n + rows - 1);
    }
    share = (double)rows / (double)(s->n + rows);
    weight = share * (double)s->n;
    take_side(x, rows, f, share, weight, shift, s->mean_x, &s->sum_x, s->x);
    take_side(y, rows, k, share, weight, shift + f, s->mean_y, &s->sum_y, s->y);
    j = (job){s, shift, shift + f, weight, rows};
    if (s->sum_xy)
        vl_pool_run(s->pool, (f + ROWS - 1) / ROWS, add_tile, &j);
    s->n += rows;
    free(shift);
    return VL_OK;
}
