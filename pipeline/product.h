/* SPDX-License-Identifier: MIT
 * product.h -- one big matrix product cut over a pool. The blocks depend on the shape alone and none is a partial
 * sum, so the bits are the same at any number of threads. */
#ifndef VL_PRODUCT_H
#define VL_PRODUCT_H

#include "pipeline/pool.h"
#include "pipeline/real.h"
#include <stddef.h>

/* vl_product -- vl_gemm (blas.h): C[m,n] = alpha op(A)[m,k] op(B)[k,n] + beta C. C overlaps neither A nor B. */
void vl_product(vl_pool *pool, int ta, int tb, size_t m, size_t n, size_t k, vl_real alpha, const vl_real *a,
                size_t lda, const vl_real *b, size_t ldb, vl_real beta, vl_real *c, size_t ldc);

#endif
