/* SPDX-License-Identifier: MIT */
#include "pipeline/product.h"
#include "pipeline/blas.h"

/* A block of C: wide enough that packing A and B costs little beside the product. */
enum { ROWS = 128, COLUMNS = 512 };

typedef struct job {
    int ta, tb;
    size_t m, n, k, across; /* blocks in a row of blocks */
    vl_real alpha, beta;
    const vl_real *a, *b;
    size_t lda, ldb, ldc;
    vl_real *c;
} job;

static void block(void *arg, size_t tile, int worker)
{
    const job *j = arg;
    size_t row = tile / j->across * ROWS, column = tile % j->across * COLUMNS;
    size_t m = j->m - row < ROWS ? j->m - row : ROWS;
    size_t n = j->n - column < COLUMNS ? j->n - column : COLUMNS;

    (void)worker;
    vl_gemm(j->ta, j->tb, m, n, j->k, j->alpha, j->a + (j->ta ? row : row * j->lda), j->lda,
            j->b + (j->tb ? column * j->ldb : column), j->ldb, j->beta, j->c + row * j->ldc + column, j->ldc);
}

void vl_product(vl_pool *pool, int ta, int tb, size_t m, size_t n, size_t k, vl_real alpha, const vl_real *a,
                size_t lda, const vl_real *b, size_t ldb, vl_real beta, vl_real *c, size_t ldc)
{
    job j = {ta, tb, m, n, k, (n + COLUMNS - 1) / COLUMNS, alpha, beta, a, b, lda, ldb, ldc, c};

    vl_pool_run(pool, (m + ROWS - 1) / ROWS * j.across, block, &j);
}
