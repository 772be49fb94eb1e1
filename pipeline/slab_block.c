/* SPDX-License-Identifier: MIT
 * slab_block.c -- the rows are taken by groups of ROWS: the sums of a group and the slab's columns fill the
 * registers, a step of the depth costs two loads of the slab and one broadcast for each row. Each step also asks for
 * one cache line, so that memory and arithmetic work at the same time. */
#include "pipeline/slab_block.h"

#include <stdbool.h>

#if !defined(VL_REAL_DOUBLE) && defined(__AVX512F__)
#include <immintrin.h>
#define VECTOR       __m512
#define LOAD(p)      _mm512_loadu_ps(p)
#define STORE(p, v)  _mm512_storeu_ps(p, v)
#define SPREAD(x)    _mm512_set1_ps(x)
#define FMA(a, b, c) _mm512_fmadd_ps(a, b, c)
enum { LANES = 16, COLUMNS = 2 * LANES }; /* 20 sums, 2 of W, of 32 registers */
#elif !defined(VL_REAL_DOUBLE) && defined(__AVX2__) && defined(__FMA__)
#include <immintrin.h>
#define VECTOR       __m256
#define LOAD(p)      _mm256_loadu_ps(p)
#define STORE(p, v)  _mm256_storeu_ps(p, v)
#define SPREAD(x)    _mm256_set1_ps(x)
#define FMA(a, b, c) _mm256_fmadd_ps(a, b, c)
enum { LANES = 8, COLUMNS = 2 * LANES }; /* 10 sums, 2 of W, 1 of x, of 16 */
#else
enum { COLUMNS = VL_SLAB };
#endif

enum { ROWS = VL_SLAB_GROUP };

/* Unrolled before the compiler looks for registers, or it keeps copies of the sums in memory. */
#define UNROLLED _Pragma("GCC unroll 16")

/* Columns [0, COLUMNS) of the two, or the first vector of them. `rows` and `both` are constants at each call, so the
 * sums are registers. */
#ifdef VECTOR
static inline __attribute__((always_inline)) void multiply(size_t rows, bool both, size_t depth,
                                                           const vl_real *w, const vl_real *next,
                                                           const vl_real *from, size_t ld, size_t whole,
                                                           size_t jump, vl_real *sum)
{
    VECTOR a[ROWS], b[ROWS], high = LOAD(w);

    UNROLLED for (size_t r = 0; r < rows; r++)
    {
        a[r] = LOAD(sum + r * VL_SLAB);
        b[r] = both ? LOAD(sum + r * VL_SLAB + LANES) : a[r];
    }
    for (size_t left = depth; left; from += jump) {
        size_t run = whole < left ? whole : left;
        const vl_real *ask = next ? next + (depth - left) * VL_SLAB_LINE : from + ROWS * ld;
        for (size_t i = 0; i < run; i++, w += VL_SLAB) {
            VECTOR low = LOAD(w);
            high = both ? LOAD(w + LANES) : high;
            __builtin_prefetch(ask + i * VL_SLAB_LINE, 0, 3);
            UNROLLED for (size_t r = 0; r < rows; r++)
            {
                VECTOR v = SPREAD(from[r * ld + i]);
                a[r] = FMA(v, low, a[r]);
                b[r] = both ? FMA(v, high, b[r]) : b[r];
            }
        }
        left -= run;
    }
    UNROLLED for (size_t r = 0; r < rows; r++)
    {
        STORE(sum + r * VL_SLAB, a[r]);
        if (both)
            STORE(sum + r * VL_SLAB + LANES, b[r]);
    }
}
#else
enum { LANES = COLUMNS };
static inline void multiply(size_t rows, bool both, size_t depth, const vl_real *w, const vl_real *next,
                            const vl_real *from, size_t ld, size_t whole, size_t jump, vl_real *sum)
{
    (void)next;
    (void)both;
    for (size_t i = 0; i < depth; i++)
        for (size_t r = 0; r < rows; r++) {
            vl_real v = from[r * ld + i / whole * jump + i % whole];
            for (size_t c = 0; c < COLUMNS; c++)
                sum[r * VL_SLAB + c] += v * w[i * VL_SLAB + c];
        }
}
#endif

/* A function each, so that the compiler gives every one the registers it needs. */
typedef void (*group_fn)(size_t depth, const vl_real *w, const vl_real *next, const vl_real *from, size_t ld,
                         size_t whole, size_t jump, vl_real *sum);
#define GROUP(name, rows, both)                                                                              \
    static __attribute__((noinline)) void name##rows(size_t depth, const vl_real *w, const vl_real *next,    \
                                                     const vl_real *from, size_t ld, size_t whole,           \
                                                     size_t jump, vl_real *sum)                              \
    {                                                                                                        \
        multiply(rows, both, depth, w, next, from, ld, whole, jump, sum);                                    \
    }
#define UP_TO_5(name, both)                                                                                  \
    GROUP(name, 1, both)                                                                                     \
    GROUP(name, 2, both) GROUP(name, 3, both) GROUP(name, 4, both) GROUP(name, 5, both)
#define UP_TO_10(name, both)                                                                                 \
    GROUP(name, 6, both)                                                                                     \
    GROUP(name, 7, both) GROUP(name, 8, both) GROUP(name, 9, both) GROUP(name, 10, both)
UP_TO_5(whole, true)
UP_TO_5(half, false)
#if !defined(VL_REAL_DOUBLE) && defined(__AVX512F__)
UP_TO_10(whole, true)
UP_TO_10(half, false)
static const group_fn groups[2][ROWS + 1] = {
    {NULL, half1, half2, half3, half4, half5, half6, half7, half8, half9, half10},
    {NULL, whole1, whole2, whole3, whole4, whole5, whole6, whole7, whole8, whole9, whole10}};
#else
static const group_fn groups[2][ROWS + 1] = {{NULL, half1, half2, half3, half4, half5},
                                             {NULL, whole1, whole2, whole3, whole4, whole5}};
#endif

void vl_slab_block(size_t rows, size_t columns, size_t depth, const vl_real *w, const vl_real *next,
                   const vl_slab_rows *x, vl_real *sum)
{
    const vl_real *at = x->at;

    for (size_t c = 0; c < columns; c += COLUMNS, at = x->at)
        for (size_t r = 0; r < rows; r += ROWS, at += ROWS * x->ld) {
            const group_fn *fn = groups[columns - c > LANES];
            fn[rows - r < ROWS ? rows - r : ROWS](depth, w + c, next, at, x->ld, x->run, x->jump,
                                                  sum + r * VL_SLAB + c);
            next = next ? next + depth * VL_SLAB_LINE : NULL;
        }
}
