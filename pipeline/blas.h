/* SPDX-License-Identifier: MIT
 * blas.h -- the one way to OpenBLAS: row-major products and Cholesky's factors, always on the caller's thread
 * alone.
 *
 * OpenBLAS chooses its kernels when the library is loaded and does not know processors newer than
 * itself: 0.3.21 falls back to "Prescott" (SSE3, a fifth of the speed) on recent AVX-512 machines.
 * Where it has, and OPENBLAS_CORETYPE is unset, blas.c has it choose again before main, naming the
 * best kernels that the processor can run. vl_blas_core() says what is in use; shards that hold
 * computed floats record it. */
#ifndef VL_BLAS_H
#define VL_BLAS_H

#include "pipeline/real.h"
#include <stddef.h>

/* C[m,n] = alpha op(A)[m,k] op(B)[k,n] + beta C; ta, tb: use the transpose (A stored [k,m], B
 * [n,k]). lda, ldb, ldc: reals between rows as stored. With beta 0, C may hold anything. */
void vl_gemm(int ta, int tb, size_t m, size_t n, size_t k, vl_real alpha, const vl_real *a, size_t lda,
             const vl_real *b, size_t ldb, vl_real beta, vl_real *c, size_t ldc);

/* vl_cholesky -- A = L L^T of a symmetric positive definite A [n,n], row-major, of which the lower triangle is read
 * and becomes L; the upper one keeps what it held. Always in double: a Gram matrix with a small ridge has no digits
 * to spare. Returns 0, or the number (from 1) of the leading minor that is not positive (a NaN in A counts).
 * LAPACK's dpotrf, which OpenBLAS brings. */
size_t vl_cholesky(size_t n, double *a);

/* vl_cholesky_solve -- B [n,columns], ldb doubles between rows, becomes A^-1 B. */
void vl_cholesky_solve(size_t n, const double *l, size_t columns, double *b, size_t ldb);

const char *vl_blas_core(void);   /* "SkylakeX" */
const char *vl_blas_config(void); /* "OpenBLAS 0.3.21 ..." */

/* Floating-point operations of all products since start, for rates: 2 m n k each. Approximate only
 * in that it is a double. */
double vl_blas_flops(void);
void vl_blas_count(double flops); /* products that were not the library's (panel.h, slab.h) */

/* Seconds spent inside products, summed over threads, while timing is on (off by default: a clock
 * read a call costs more than the smallest products). */
void vl_blas_timing(int on);
double vl_blas_seconds(void);

#endif
