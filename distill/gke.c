/* SPDX-License-Identifier: MIT
 * gke.c -- one tile is ROWS points of one set: it walks over the points of a set in blocks of COLUMNS, takes the
 * block of cosines by one product, turns each into its kernel and the kernel's derivative, and adds the block's
 * part of the gradient by another product. A tile's sum and its rows of the gradient are its own.
 *
 * With d = 1 - cos: angle^2 as a function of cos is smooth at 1 where arccos is not,
 *   angle^2 = 2 d + d^2/3 + 4 d^3/45 + d^4/35 + ...       d(angle^2)/dcos = -2 angle / sin(angle)
 * and the series stands in for it below SERIES. At -1 the derivative is infinite; angle / sin(angle) is cut at
 * 1000, where with s = 1/2 the kernel is 3e-9. */
#include "distill/gke.h"
#include "pipeline/blas.h"

#include <math.h>
#include <stdbool.h>

enum { ROWS = 64, COLUMNS = 256 };
#define SERIES 1e-2

size_t vld_gke_work(const vl_pool *pool)
{
    return (size_t)vl_pool_threads(pool) * ROWS * COLUMNS;
}

static size_t tiles(size_t n)
{
    return (n + ROWS - 1) / ROWS;
}

size_t vld_gke_sums(size_t n, size_t m)
{
    return 2 * tiles(n) + tiles(m);
}

/* Kernel of a cosine, and its derivative by the cosine. */
static double kernel(double c, double sigma, double *slope)
{
    double d = 1 - (c > 1 ? 1 : c < -1 ? -1 : c), square, ratio, k; /* NaN stays */

    if (d < SERIES) {
        square = d * (2 + d * (1 / 3.0 + d * (4 / 45.0 + d * (1 / 35.0 + d * (16 / 1575.0)))));
        ratio = 1 + d * (1 / 3.0 + d * (2 / 15.0 + d * (2 / 35.0 + d * (8 / 315.0))));
    } else {
        double angle = acos(1 - d), sine = sqrt(d * (2 - d));
        square = angle * angle;
        ratio = sine > angle / 1000 ? angle / sine : 1000;
    }
    k = exp(-square / (2 * sigma * sigma));
    *slope = k * ratio / (sigma * sigma);
    return k;
}

typedef struct job {
    const vl_real *a, *b; /* points of the tiles [n,D]; what they are held against [m,D] */
    size_t n, m, dim;
    bool self; /* b is a: a point and itself have the kernel 1, whatever rounding says */
    double sigma;
    double *sum;   /* [tiles of n] */
    vl_real *g;    /* [n,D], or NULL */
    double weight; /* of the slopes in g */
    bool add;
    vl_real *work;
} job;

/* Cosines become weighted slopes; returns the sum of the kernels. */
static double turn(const job *j, vl_real *c, size_t row, size_t rows, size_t column, size_t columns)
{
    double sum = 0, slope;

    for (size_t r = 0; r < rows; r++)
        for (size_t i = 0; i < columns; i++) {
            vl_real *at = c + r * COLUMNS + i;
            bool same = j->self && row + r == column + i;
            sum += same ? 1 : kernel((double)*at, j->sigma, &slope);
            *at = same ? 0 : (vl_real)(j->weight * slope);
        }
    return sum;
}

static void one_tile(void *arg, size_t tile, int worker)
{
    const job *j = arg;
    size_t row = tile * ROWS, rows = j->n - row < ROWS ? j->n - row : ROWS, d = j->dim;
    const vl_real *a = j->a + row * d;
    vl_real *c = j->work + (size_t)worker * ROWS * COLUMNS;
    double sum = 0;

    for (size_t column = 0; column < j->m; column += COLUMNS) {
        size_t columns = j->m - column < COLUMNS ? j->m - column : COLUMNS;
        const vl_real *b = j->b + column * d;

        vl_gemm(0, 1, rows, columns, d, 1, a, d, b, d, 0, c, COLUMNS);
        sum += turn(j, c, row, rows, column, columns);
        if (j->g)
            vl_gemm(0, 0, rows, d, columns, 1, c, COLUMNS, b, d, j->add || column ? 1 : 0, j->g + row * d, d);
    }
    j->sum[tile] = sum;
}

/* Sum of all kernels of a job. */
static double run(vl_pool *pool, job *j)
{
    double sum = 0;

    vl_pool_run(pool, tiles(j->n), one_tile, j);
    for (size_t t = 0; t < tiles(j->n); t++)
        sum += j->sum[t];
    return sum;
}

double vld_gke(vl_pool *pool, const vl_real *s, size_t n, const vl_real *r, size_t m, size_t dim,
               double sigma, vl_real *gs, double *sums, vl_real *work)
{
    double nn = (double)n * (double)n, nm = (double)n * (double)m, mm = (double)m * (double)m, q, root;
    job ss = {s, s, n, n, dim, true, sigma, sums, gs, 2 / nn, false, work};
    job sr = {s, r, n, m, dim, false, sigma, sums + tiles(n), gs, -2 / nm, true, work};
    job rr = {r, r, m, m, dim, true, sigma, sums + 2 * tiles(n), NULL, 0, false, work};
    vl_real scale;

    q = run(pool, &ss) / nn;
    q -= 2 * run(pool, &sr) / nm;
    q += run(pool, &rr) / mm;
    root = q > VLD_GKE_FLOOR || isnan(q) ? sqrt(q) : 0;
    scale = root > 0 ? (vl_real)(1 / (2 * root)) : root <= 0 ? 0 : (vl_real)NAN;
    for (size_t i = 0; i < n * dim; i++)
        gs[i] *= scale;
    return root;
}
