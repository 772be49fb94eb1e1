/* SPDX-License-Identifier: MIT
 * panel_kernel.c -- with 20 rows on AVX-512, a step across costs two loads of W and one broadcast for each row for
 * 20 fused multiply-adds, one along four loads of W and one of each row: the loads are hidden. */
#include "pipeline/panel_kernel.h"

#include <string.h>

#if !defined(VL_REAL_DOUBLE) && defined(__AVX512F__)
#include <immintrin.h>
#define VECTOR       __m512
#define LOAD(p)      _mm512_loadu_ps(p)
#define STORE(p, v)  _mm512_storeu_ps(p, v)
#define SPREAD(x)    _mm512_set1_ps(x)
#define ZERO         _mm512_setzero_ps()
#define FMA(a, b, c) _mm512_fmadd_ps(a, b, c)
#elif !defined(VL_REAL_DOUBLE) && defined(__AVX2__) && defined(__FMA__)
#include <immintrin.h>
#define VECTOR       __m256
#define LOAD(p)      _mm256_loadu_ps(p)
#define STORE(p, v)  _mm256_storeu_ps(p, v)
#define SPREAD(x)    _mm256_set1_ps(x)
#define ZERO         _mm256_setzero_ps()
#define FMA(a, b, c) _mm256_fmadd_ps(a, b, c)
#endif

enum { LINE = 64 / sizeof(vl_real), LANES = VL_LANES };

/* `rows` is a constant at each call, so that the sums are registers. */
#define ALWAYS static inline __attribute__((always_inline))

#ifdef VECTOR
enum { COLUMNS = 2 * LANES }; /* of W that a pass across takes */

ALWAYS void across(size_t rows, size_t depth, const vl_real *w, const vl_real *next, const vl_real *x,
                   size_t ldx, vl_real *sum)
{
    VECTOR a[VL_ACROSS_ROWS], b[VL_ACROSS_ROWS];

    for (size_t r = 0; r < rows; r++) {
        a[r] = LOAD(sum + r * VL_PANEL);
        b[r] = LOAD(sum + r * VL_PANEL + LANES);
    }
    for (size_t i = 0; i < depth; i++) {
        VECTOR left = LOAD(w + i * VL_PANEL), right = LOAD(w + i * VL_PANEL + LANES);
        __builtin_prefetch(next + i * LINE, 0, 2);
        for (size_t r = 0; r < rows; r++) {
            VECTOR v = SPREAD(x[r * ldx + i]);
            a[r] = FMA(v, left, a[r]);
            b[r] = FMA(v, right, b[r]);
        }
    }
    for (size_t r = 0; r < rows; r++) {
        STORE(sum + r * VL_PANEL, a[r]);
        STORE(sum + r * VL_PANEL + LANES, b[r]);
    }
}

ALWAYS void along(size_t rows, bool fresh, size_t panels, size_t stride, const vl_real *w,
                  const vl_real *next, vl_rows x, vl_real *sum)
{
    VECTOR s[VL_ALONG_ROWS][VL_ALONG];

    /* unrolled early: else the compiler keeps a copy of the sums in memory */
#pragma GCC unroll 5
    for (size_t r = 0; r < rows; r++)
#pragma GCC unroll 4
        for (size_t k = 0; k < VL_ALONG; k++)
            s[r][k] = fresh ? ZERO : LOAD(sum + (r * VL_ALONG + k) * LANES);
    for (size_t p = 0; p < panels; p++, w += stride, next += stride, x.v += x.step)
        for (size_t i = 0; i < VL_PANEL; i += LANES) {
            VECTOR v[VL_ALONG];
            for (size_t k = 0; k < VL_ALONG; k++)
                v[k] = LOAD(w + k * VL_PANEL + i);
            __builtin_prefetch(next + i, 0, 2);
            for (size_t r = 0; r < rows; r++) {
                VECTOR u = LOAD(x.v + r * x.ld + i);
                for (size_t k = 0; k < VL_ALONG; k++)
                    s[r][k] = FMA(u, v[k], s[r][k]);
            }
        }
#pragma GCC unroll 5
    for (size_t r = 0; r < rows; r++)
#pragma GCC unroll 4
        for (size_t k = 0; k < VL_ALONG; k++)
            STORE(sum + (r * VL_ALONG + k) * LANES, s[r][k]);
}
#else
enum { COLUMNS = VL_PANEL };

ALWAYS void across(size_t rows, size_t depth, const vl_real *w, const vl_real *next, const vl_real *x,
                   size_t ldx, vl_real *sum)
{
    (void)next;
    for (size_t i = 0; i < depth; i++)
        for (size_t r = 0; r < rows; r++)
            for (size_t c = 0; c < COLUMNS; c++)
                sum[r * VL_PANEL + c] += x[r * ldx + i] * w[i * VL_PANEL + c];
}

ALWAYS void along(size_t rows, bool fresh, size_t panels, size_t stride, const vl_real *w,
                  const vl_real *next, vl_rows x, vl_real *sum)
{
    (void)next;
    if (fresh)
        memset(sum, 0, rows * VL_ALONG * LANES * sizeof *sum);
    for (size_t p = 0; p < panels; p++, w += stride, x.v += x.step)
        for (size_t i = 0; i < VL_PANEL; i += LANES)
            for (size_t r = 0; r < rows; r++)
                for (size_t k = 0; k < VL_ALONG; k++)
                    for (size_t l = 0; l < LANES; l++)
                        sum[(r * VL_ALONG + k) * LANES + l] +=
                            x.v[r * x.ld + i + l] * w[k * VL_PANEL + i + l];
}
#endif

/* ---- a function for each number of rows, so that the compiler gives every one the registers it needs ---- */

typedef void (*across_fn)(size_t depth, const vl_real *w, const vl_real *next, const vl_real *x, size_t ldx,
                          vl_real *sum);
typedef void (*along_fn)(bool fresh, size_t panels, size_t stride, const vl_real *w, const vl_real *next,
                         vl_rows x, vl_real *sum);

#define ACROSS(rows)                                                                                         \
    static __attribute__((noinline)) void across##rows(size_t depth, const vl_real *w, const vl_real *next,  \
                                                       const vl_real *x, size_t ldx, vl_real *sum)           \
    {                                                                                                        \
        across(rows, depth, w, next, x, ldx, sum);                                                           \
    }
#define ALONG(rows)                                                                                          \
    static __attribute__((noinline)) void along##rows(bool fresh, size_t panels, size_t stride,              \
                                                      const vl_real *w, const vl_real *next, vl_rows x,      \
                                                      vl_real *sum)                                          \
    {                                                                                                        \
        along(rows, fresh, panels, stride, w, next, x, sum);                                                 \
    }
ACROSS(1)
ACROSS(2)
ACROSS(3)
ACROSS(4)
ACROSS(5)
#if VL_ACROSS_ROWS == 10
ACROSS(6)
ACROSS(7)
ACROSS(8)
ACROSS(9)
ACROSS(10)
static const across_fn across_of[VL_ACROSS_ROWS + 1] = {NULL,    across1, across2, across3, across4, across5,
                                                        across6, across7, across8, across9, across10};
#else
static const across_fn across_of[VL_ACROSS_ROWS + 1] = {NULL, across1, across2, across3, across4, across5};
#endif
ALONG(1)
ALONG(2)
#if VL_ALONG_ROWS == 5
ALONG(3)
ALONG(4)
ALONG(5)
static const along_fn along_of[VL_ALONG_ROWS + 1] = {NULL, along1, along2, along3, along4, along5};
#else
static const along_fn along_of[VL_ALONG_ROWS + 1] = {NULL, along1, along2};
#endif

void vl_kernel_across(size_t rows, size_t depth, const vl_real *w, const vl_real *next, const vl_real *x,
                      size_t ldx, vl_real *sum)
{
    for (size_t c = 0; c < VL_PANEL; c += COLUMNS)
        for (size_t r = 0; r < rows; r += VL_ACROSS_ROWS, next += depth * LINE)
            across_of[rows - r < VL_ACROSS_ROWS ? rows - r : VL_ACROSS_ROWS](depth, w + c, next, x + r * ldx,
                                                                             ldx, sum + r * VL_PANEL + c);
}

/* Each group of rows asks for a row of what comes next. */
void vl_kernel_along(size_t rows, bool fresh, size_t panels, size_t stride, const vl_real *w,
                     const vl_real *next, vl_rows x, vl_real *sum)
{
    for (size_t r = 0; r < rows; r += VL_ALONG_ROWS, next += VL_PANEL, x.v += VL_ALONG_ROWS * x.ld)
        along_of[rows - r < VL_ALONG_ROWS ? rows - r : VL_ALONG_ROWS](fresh, panels, stride, w, next, x,
                                                                      sum + r * VL_ALONG * LANES);
}

/* ---- sums of parts ------------------------------------------------------------------------------ */

#if VL_LANES == 16
/* Adds neighbours up, four times: 16 runs of 16 parts become 16 sums. */
static VECTOR sums(const VECTOR *v)
{
    VECTOR pair[8], four[4], low, high;

    for (int i = 0; i < 8; i++)
        pair[i] = _mm512_add_ps(_mm512_unpacklo_ps(v[2 * i], v[2 * i + 1]),
                                _mm512_unpackhi_ps(v[2 * i], v[2 * i + 1]));
    for (int i = 0; i < 4; i++) {
        __m512d a = _mm512_castps_pd(pair[2 * i]), b = _mm512_castps_pd(pair[2 * i + 1]);
        four[i] = _mm512_add_ps(_mm512_castpd_ps(_mm512_unpacklo_pd(a, b)),
                                _mm512_castpd_ps(_mm512_unpackhi_pd(a, b)));
    }
    low = _mm512_add_ps(_mm512_shuffle_f32x4(four[0], four[1], 0x88),
                        _mm512_shuffle_f32x4(four[0], four[1], 0xdd));
    high = _mm512_add_ps(_mm512_shuffle_f32x4(four[2], four[3], 0x88),
                         _mm512_shuffle_f32x4(four[2], four[3], 0xdd));
    return _mm512_add_ps(_mm512_shuffle_f32x4(low, high, 0x88), _mm512_shuffle_f32x4(low, high, 0xdd));
}
#elif defined(VECTOR)
static VECTOR sums(const VECTOR *v)
{
    VECTOR a = _mm256_hadd_ps(_mm256_hadd_ps(v[0], v[1]), _mm256_hadd_ps(v[2], v[3]));
    VECTOR b = _mm256_hadd_ps(_mm256_hadd_ps(v[4], v[5]), _mm256_hadd_ps(v[6], v[7]));

    return _mm256_add_ps(_mm256_permute2f128_ps(a, b, 0x20), _mm256_permute2f128_ps(a, b, 0x31));
}
#endif

void vl_kernel_gather(size_t n, const vl_real *parts, size_t stride, vl_real *out)
{
    for (size_t i = 0; i < n; i += LANES) {
#ifdef VECTOR
        VECTOR v[LANES];
        for (size_t k = 0; k < LANES; k++)
            v[k] = LOAD(parts + (i + k) / VL_ALONG * stride + k % VL_ALONG * LANES);
        STORE(out + i, sums(v));
#else
        for (size_t k = i; k < i + LANES; k++) {
            const vl_real *run = parts + k / VL_ALONG * stride + k % VL_ALONG * LANES;
            out[k] = 0;
            for (size_t l = 0; l < LANES; l++)
                out[k] += run[l];
        }
#endif
    }
}
