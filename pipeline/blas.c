/* SPDX-License-Identifier: MIT */
#include "pipeline/blas.h"

#include <cblas.h>
#include <f77blas.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Counters in flops and nanoseconds; integers, so that adding them needs no lock. */
static atomic_ullong flops_done, ns_inside;
static atomic_int timing;

/* OpenBLAS's own way to look at OPENBLAS_CORETYPE again; absent from builds for one processor. The
 * variable cannot be set early enough: in .preinit_array the C library has no environment yet, and
 * takes the kernel's when it starts. */
void gotoblas_dynamic_init(void) __attribute__((weak));
void gotoblas_dynamic_quit(void) __attribute__((weak));

static const char *better_core(void)
{
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw"))
        return "SkylakeX";
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return "Haswell";
#endif
    return NULL;
}

/* Constructors of a program run after those of its libraries, so OpenBLAS has made its choice, and
 * before main, so no product has been taken with it. */
__attribute__((constructor)) static void start(void)
{
    const char *core = better_core();

    if (core && !getenv("OPENBLAS_CORETYPE") && !strcmp(openblas_get_corename(), "Prescott") &&
        gotoblas_dynamic_init && gotoblas_dynamic_quit && !setenv("OPENBLAS_CORETYPE", core, 1)) {
        gotoblas_dynamic_quit();
        gotoblas_dynamic_init();
        unsetenv("OPENBLAS_CORETYPE");
    }
    openblas_set_num_threads(1);
#if defined(__SSE__)
    /* Denormals count as zero, here and in every thread started later: a dying network fills its gradients
     * with them, and products of denormals run at a tenth of the speed. */
    __builtin_ia32_ldmxcsr(__builtin_ia32_stmxcsr() | 0x8040);
#endif
}

static unsigned long long now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (unsigned long long)t.tv_sec * 1000000000ull + (unsigned long long)t.tv_nsec;
}

void vl_gemm(int ta, int tb, size_t m, size_t n, size_t k, vl_real alpha, const vl_real *a, size_t lda,
             const vl_real *b, size_t ldb, vl_real beta, vl_real *c, size_t ldc)
{
    const enum CBLAS_TRANSPOSE ca = ta ? CblasTrans : CblasNoTrans, cb = tb ? CblasTrans : CblasNoTrans;
    int timed = atomic_load_explicit(&timing, memory_order_relaxed);
    unsigned long long t0 = timed ? now_ns() : 0;

    if (!m || !n)
        return;
#ifdef VL_REAL_DOUBLE
    cblas_dgemm(CblasRowMajor, ca, cb, (int)m, (int)n, (int)k, alpha, a, (int)lda, b, (int)ldb, beta, c,
                (int)ldc);
#else
    cblas_sgemm(CblasRowMajor, ca, cb, (int)m, (int)n, (int)k, alpha, a, (int)lda, b, (int)ldb, beta, c,
                (int)ldc);
#endif
    atomic_fetch_add_explicit(&flops_done, 2ull * m * n * k, memory_order_relaxed);
    if (timed)
        atomic_fetch_add_explicit(&ns_inside, now_ns() - t0, memory_order_relaxed);
}

/* LAPACK counts in columns: to it a row-major lower triangle is an upper one. */
size_t vl_cholesky(size_t n, double *a)
{
    char upper = 'U';
    blasint size = (blasint)n, info = 0;

    if (n)
        BLASFUNC(dpotrf)(&upper, &size, a, &size, &info);
    for (size_t i = 0; !info && i < n; i++) /* dpotrf lets NaN pass */
        if (!(a[i * n + i] > 0))
            info = (blasint)(i + 1);
    return info > 0 ? (size_t)info : 0;
}

void vl_cholesky_solve(size_t n, const double *l, size_t columns, double *b, size_t ldb)
{
    if (!n || !columns)
        return;
    cblas_dtrsm(CblasRowMajor, CblasLeft, CblasLower, CblasNoTrans, CblasNonUnit, (int)n, (int)columns, 1, l,
                (int)n, b, (int)ldb);
    cblas_dtrsm(CblasRowMajor, CblasLeft, CblasLower, CblasTrans, CblasNonUnit, (int)n, (int)columns, 1, l,
                (int)n, b, (int)ldb);
}

const char *vl_blas_core(void)
{
    return openblas_get_corename();
}

const char *vl_blas_config(void)
{
    return openblas_get_config();
}

double vl_blas_flops(void)
{
    return (double)atomic_load(&flops_done);
}

void vl_blas_count(double flops)
{
    atomic_fetch_add_explicit(&flops_done, (unsigned long long)flops, memory_order_relaxed);
}

void vl_blas_timing(int on)
{
    atomic_store(&timing, on);
}

double vl_blas_seconds(void)
{
    return 1e-9 * (double)atomic_load(&ns_inside);
}
