/* SPDX-License-Identifier: MIT
 * vlt_shuffle_avx2.c -- byte planes with AVX2, 32 words a step. Compiled for any x86-64, used where the
 * processor has it.
 *
 * In each 16-byte lane a byte shuffle brings equal bytes of its words together; transposing these groups
 * between w registers gives w planes, in which the upper lanes' words stand behind the lower lanes'; a last
 * permutation puts them in turn. The way back runs the same steps from the end. */
#include "formats/vlt_filter.h"

#ifdef __x86_64__
#include <immintrin.h>

#define AVX2 __attribute__((target("avx2")))
#define STEP 32 /* words */

static inline AVX2 __m256i load(const uint8_t *p)
{
    return _mm256_loadu_si256((const __m256i *)p);
}

static inline AVX2 void store(uint8_t *p, __m256i v)
{
    _mm256_storeu_si256((__m256i *)p, v);
}

/* ---- 2 bytes ---------------------------------------------------------------------------------- */

static AVX2 void shuffle2(const uint8_t *in, size_t n, size_t stride, uint8_t *out)
{
    const __m256i pick =
        _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 2, 4, 6, 8, 10, 12, 14, 1, 3, 5, 7, 9, 11, 13, 15));

    for (size_t i = 0; i < n; i += STEP) {
        __m256i a = _mm256_shuffle_epi8(load(in + 2 * i), pick);
        __m256i b = _mm256_shuffle_epi8(load(in + 2 * i + 32), pick);
        store(out + i, _mm256_permute4x64_epi64(_mm256_unpacklo_epi64(a, b), 0xd8));
        store(out + stride + i, _mm256_permute4x64_epi64(_mm256_unpackhi_epi64(a, b), 0xd8));
    }
}

static AVX2 void unshuffle2(const uint8_t *in, size_t n, size_t stride, uint8_t *out)
{
    for (size_t i = 0; i < n; i += STEP) {
        __m256i lo = _mm256_permute4x64_epi64(load(in + i), 0xd8);
        __m256i hi = _mm256_permute4x64_epi64(load(in + stride + i), 0xd8);
        store(out + 2 * i, _mm256_unpacklo_epi8(lo, hi));
        store(out + 2 * i + 32, _mm256_unpackhi_epi8(lo, hi));
    }
}

/* ---- 4 bytes ---------------------------------------------------------------------------------- */

/* Four registers as the rows of a 4 x 4 matrix of 32-bit groups in either lane: transposed. */
static inline AVX2 void transpose4(__m256i v[4])
{
    __m256i a = _mm256_unpacklo_epi32(v[0], v[1]), b = _mm256_unpackhi_epi32(v[0], v[1]);
    __m256i c = _mm256_unpacklo_epi32(v[2], v[3]), d = _mm256_unpackhi_epi32(v[2], v[3]);

    v[0] = _mm256_unpacklo_epi64(a, c);
    v[1] = _mm256_unpackhi_epi64(a, c);
    v[2] = _mm256_unpacklo_epi64(b, d);
    v[3] = _mm256_unpackhi_epi64(b, d);
}

/* The bytes of a lane as a 4 x 4 matrix, transposed: its own inverse. */
static inline AVX2 __m256i bytes4(__m256i v)
{
    return _mm256_shuffle_epi8(
        v, _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15)));
}

static AVX2 void shuffle4(const uint8_t *in, size_t n, size_t stride, uint8_t *out)
{
    const __m256i turn = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    __m256i v[4];

    for (size_t i = 0; i < n; i += STEP) {
        for (int k = 0; k < 4; k++)
            v[k] = bytes4(load(in + 4 * i + 32 * k));
        transpose4(v);
        for (int k = 0; k < 4; k++)
            store(out + (size_t)k * stride + i, _mm256_permutevar8x32_epi32(v[k], turn));
    }
}

static AVX2 void unshuffle4(const uint8_t *in, size_t n, size_t stride, uint8_t *out)
{
    const __m256i turn = _mm256_setr_epi32(0, 2, 4, 6, 1, 3, 5, 7);
    __m256i v[4];

    for (size_t i = 0; i < n; i += STEP) {
        for (int k = 0; k < 4; k++)
            v[k] = _mm256_permutevar8x32_epi32(load(in + (size_t)k * stride + i), turn);
        transpose4(v);
        for (int k = 0; k < 4; k++)
            store(out + 4 * i + 32 * k, bytes4(v[k]));
    }
}

/* ---- 8 bytes ---------------------------------------------------------------------------------- */

/* As transpose4, for an 8 x 8 matrix of 16-bit groups. */
static inline AVX2 void transpose8(__m256i v[8])
{
    __m256i a[8], b[8];

    for (int k = 0; k < 4; k++) {
        a[2 * k] = _mm256_unpacklo_epi16(v[2 * k], v[2 * k + 1]);
        a[2 * k + 1] = _mm256_unpackhi_epi16(v[2 * k], v[2 * k + 1]);
    }
    for (int k = 0; k < 2; k++) {
        b[4 * k] = _mm256_unpacklo_epi32(a[4 * k], a[4 * k + 2]);
        b[4 * k + 1] = _mm256_unpackhi_epi32(a[4 * k], a[4 * k + 2]);
        b[4 * k + 2] = _mm256_unpacklo_epi32(a[4 * k + 1], a[4 * k + 3]);
        b[4 * k + 3] = _mm256_unpackhi_epi32(a[4 * k + 1], a[4 * k + 3]);
    }
    for (int k = 0; k < 4; k++) {
        v[2 * k] = _mm256_unpacklo_epi64(b[k], b[k + 4]);
        v[2 * k + 1] = _mm256_unpackhi_epi64(b[k], b[k + 4]);
    }
}

static AVX2 void shuffle8(const uint8_t *in, size_t n, size_t stride, uint8_t *out)
{
    const __m256i pick =
        _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 8, 1, 9, 2, 10, 3, 11, 4, 12, 5, 13, 6, 14, 7, 15));
    __m256i v[8];

    for (size_t i = 0; i < n; i += STEP) {
        for (int k = 0; k < 8; k++)
            v[k] = _mm256_shuffle_epi8(load(in + 8 * i + 32 * k), pick);
        transpose8(v);
        for (int k = 0; k < 8; k++) {
            __m128i lo = _mm256_castsi256_si128(v[k]), hi = _mm256_extracti128_si256(v[k], 1);
            store(out + (size_t)k * stride + i,
                  _mm256_set_m128i(_mm_unpackhi_epi16(lo, hi), _mm_unpacklo_epi16(lo, hi)));
        }
    }
}

static AVX2 void unshuffle8(const uint8_t *in, size_t n, size_t stride, uint8_t *out)
{
    const __m256i part =
        _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 1, 4, 5, 8, 9, 12, 13, 2, 3, 6, 7, 10, 11, 14, 15));
    const __m256i pick =
        _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 2, 4, 6, 8, 10, 12, 14, 1, 3, 5, 7, 9, 11, 13, 15));
    __m256i v[8];

    for (size_t i = 0; i < n; i += STEP) {
        for (int k = 0; k < 8; k++)
            v[k] =
                _mm256_permute4x64_epi64(_mm256_shuffle_epi8(load(in + (size_t)k * stride + i), part), 0xd8);
        transpose8(v);
        for (int k = 0; k < 8; k++)
            store(out + 8 * i + 32 * k, _mm256_shuffle_epi8(v[k], pick));
    }
}

/* ---- which ------------------------------------------------------------------------------------ */

static size_t steps(size_t n, size_t w)
{
    return (w == 2 || w == 4 || w == 8) && __builtin_cpu_supports("avx2") ? n / STEP * STEP : 0;
}

size_t vl_shuffle_avx2(const uint8_t *in, size_t n, size_t w, size_t stride, uint8_t *out)
{
    size_t done = steps(n, w);

    if (done)
        (w == 2 ? shuffle2 : w == 4 ? shuffle4 : shuffle8)(in, done, stride, out);
    return done;
}

size_t vl_unshuffle_avx2(const uint8_t *in, size_t n, size_t w, size_t stride, uint8_t *out)
{
    size_t done = steps(n, w);

    if (done)
        (w == 2 ? unshuffle2 : w == 4 ? unshuffle4 : unshuffle8)(in, done, stride, out);
    return done;
}

#else

size_t vl_shuffle_avx2(const uint8_t *in, size_t n, size_t w, size_t stride, uint8_t *out)
{
    (void)in, (void)n, (void)w, (void)stride, (void)out;
    return 0;
}

size_t vl_unshuffle_avx2(const uint8_t *in, size_t n, size_t w, size_t stride, uint8_t *out)
{
    (void)in, (void)n, (void)w, (void)stride, (void)out;
    return 0;
}
#endif
