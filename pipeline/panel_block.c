/* SPDX-License-Identifier: MIT
 * panel_block.c -- the rows are taken by groups of ROWS: the sums of a group and the panel's columns fill the
 * registers, a step of the depth costs two loads of the panel and one broadcast for each row. Each step also asks for
 * one cache line, so that memory and arithmetic work at the same time. */
#include "pipeline/panel_block.h"

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
enum { COLUMNS = VL_PANEL };
#endif

enum { ROWS = VL_PANEL_GROUP };

/* Unrolled before the compiler looks for registers, or it keeps copies of the sums in memory. */
#define UNROLLED _Pragma("GCC unroll 16")

/* Columns [0, COLUMNS) of the two. `rows` is a constant at each call, so the sums are registers. */
#ifdef VECTOR
static inline __attribute__((always_inline)) void multiply(size_t rows, size_t depth, const vl_real *w,
                                                           const vl_real *next, const vl_real *from,
                                                           size_t ld, size_t whole, size_t jump, vl_real *sum)
{
    VECTOR a[ROWS], b[ROWS];

    UNROLLED for (size_t r = 0; r < rows; r++)
    {
        a[r] = LOAD(sum + r * VL_PANEL);
        b[r] = LOAD(sum + r * VL_PANEL + LANES);
    }
    for (size_t left = depth; left; from += jump) {
        size_t run = whole < left ? whole : left;
        const vl_real *ask = next ? next + (depth - left) * VL_PANEL_LINE : from + ROWS * ld;
        for (size_t i = 0; i < run; i++, w += VL_PANEL) {
            VECTOR low = LOAD(w), high = LOAD(w + LANES);
            __builtin_prefetch(ask + i * VL_PANEL_LINE, 0, 3);
            UNROLLED for (size_t r = 0; r < rows; r++)
            {
                VECTOR v = SPREAD(from[r * ld + i]);
                a[r] = FMA(v, low, a[r]);
                b[r] = FMA(v, high, b[r]);
            }
        }
        left -= run;
    }
    UNROLLED for (size_t r = 0; r < rows; r++)
    {
        STORE(sum + r * VL_PANEL, a[r]);
        STORE(sum + r * VL_PANEL + LANES, b[r]);
    }
}
#else
static inline void multiply(size_t rows, size_t depth, const vl_real *w, const vl_real *next,
                            const vl_real *from, size_t ld, size_t whole, size_t jump, vl_real *sum)
{
    (void)next;
    for (size_t i = 0; i < depth; i++)
        for (size_t r = 0; r < rows; r++) {
            vl_real v = from[r * ld + i / whole * jump + i % whole];
            for (size_t c = 0; c < COLUMNS; c++)
                sum[r * VL_PANEL + c] += v * w[i * VL_PANEL + c];
        }
}
#endif

/* A function each, so that the compiler gives every one the registers it needs. */
typedef void (*group_fn)(size_t depth, const vl_real *w, const vl_real *next, const vl_real *from, size_t ld,
                         size_t whole, size_t jump, vl_real *sum);
#define GROUP(rows)                                                                                          \
    static __attribute__((noinline)) void group##rows(size_t depth, const vl_real *w, const vl_real *next,   \
                                                      const vl_real *from, size_t ld, size_t whole,          \
                                                      size_t jump, vl_real *sum)                             \
    {                                                                                                        \
        multiply(rows, depth, w, next, from, ld, whole, jump, sum);                                          \
    }
GROUP(1)
GROUP(2)
GROUP(3)
GROUP(4)
GROUP(5)
#if !defined(VL_REAL_DOUBLE) && defined(__AVX512F__)
GROUP(6)
GROUP(7)
GROUP(8)
GROUP(9)
GROUP(10)
static const group_fn groups[ROWS + 1] = {NULL,   group1, group2, group3, group4, group5,
                                          group6, group7, group8, group9, group10};
#else
static const group_fn groups[ROWS + 1] = {NULL, group1, group2, group3, group4, group5};
#endif

void vl_panel_block(size_t rows, size_t depth, const vl_real *w, const vl_real *next, const vl_panel_rows *x,
                    vl_real *sum)
{
    const vl_real *at = x->at;

    for (size_t c = 0; c < VL_PANEL; c += COLUMNS, at = x->at)
        for (size_t r = 0; r < rows; r += ROWS, at += ROWS * x->ld) {
            groups[rows - r < ROWS ? rows - r : ROWS](depth, w + c, next, at, x->ld, x->run, x->jump,
                                                      sum + r * VL_PANEL + c);
            next = next ? next + depth * VL_PANEL_LINE : NULL;
        }
}
