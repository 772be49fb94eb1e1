/* SPDX-License-Identifier: MIT
 * gemm_tiles.h -- one matrix product cut into tiles of its columns for the pool. A tile's width depends on the
 * product's shape alone, so results do not depend on the threads. */
#ifndef VL_GEMM_TILES_H
#define VL_GEMM_TILES_H

#include "pipeline/pool.h"
#include "pipeline/real.h"
#include <stddef.h>

/* vl_gemm_tiles -- as vl_gemm (pipeline/blas.h): C[m,n] = alpha op(A)[m,k] op(B)[k,n] + beta C; nothing happens
 * where m or n is 0, and C is scaled alone where k is 0. */
void vl_gemm_tiles(vl_pool *pool, int ta, int tb, size_t m, size_t n, size_t k, vl_real alpha,
                   const vl_real *a, size_t lda, const vl_real *b, size_t ldb, vl_real beta, vl_real *c,
                   size_t ldc);

#endif
