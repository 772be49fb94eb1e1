/* SPDX-License-Identifier: MIT */
#include "pipeline/gemm_tiles.h"
#include "pipeline/blas.h"

/* Every tile lays A out anew, so tiles are wide; narrow products are not worth waking a thread for. */
enum { NARROW = 64, WIDE = 192 };
static const double small = 1e6; /* multiply-adds */

typedef struct job {
    int ta, tb;
    size_t m, n, k, width;
    vl_real alpha, beta;
    const vl_real *a, *b;
    size_t lda, ldb, ldc;
    vl_real *c;
} job;

static void tile(void *arg, size_t i, int worker)
{
    const job *j = arg;
    size_t at = i * j->width, n = j->n - at < j->width ? j->n - at : j->width;

    (void)worker;
    vl_gemm(j->ta, j->tb, j->m, n, j->k, j->alpha, j->a, j->lda, j->b + (j->tb ? at * j->ldb : at), j->ldb,
            j->beta, j->c + at, j->ldc);
}

static size_t width_of(const job *j)
{
    if ((double)j->m * (double)j->n * (double)j->k < small)
        return j->n;
    return j->n >= 4 * WIDE ? WIDE : NARROW;
}

void vl_gemm_tiles(vl_pool *pool, int ta, int tb, size_t m, size_t n, size_t k, vl_real alpha,
                   const vl_real *a, size_t lda, const vl_real *b, size_t ldb, vl_real beta, vl_real *c,
                   size_t ldc)
{
    job j = {ta, tb, m, n, k, 0, alpha, beta, a, b, lda, ldb, ldc, c};

    if (!m || !n)
        return;
    j.width = width_of(&j);
    vl_pool_run(pool, (n + j.width - 1) / j.width, tile, &j);
}
