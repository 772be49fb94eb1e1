/* SPDX-License-Identifier: MIT */
#include "pipeline/rng.h"

#include <math.h>
#include <string.h>
#include <xxhash.h>
#if defined(__AVX512F__) || defined(__AVX2__)
#include <immintrin.h>
#endif

static void philox(uint64_t key, uint64_t lo, uint64_t hi, uint32_t x[4])
{
    uint32_t k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32);

    x[0] = (uint32_t)lo;
    x[1] = (uint32_t)(lo >> 32);
    x[2] = (uint32_t)hi;
    x[3] = (uint32_t)(hi >> 32);
    for (int i = 0; i < 10; i++) {
        uint64_t p0 = (uint64_t)0xD2511F53u * x[0], p1 = (uint64_t)0xCD9E8D57u * x[2];
        uint32_t y0 = (uint32_t)(p1 >> 32) ^ x[1] ^ k0, y2 = (uint32_t)(p0 >> 32) ^ x[3] ^ k1;
        x[1] = (uint32_t)p1;
        x[3] = (uint32_t)p0;
        x[0] = y0;
        x[2] = y2;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
}

uint64_t vl_rng(uint64_t seed, uint64_t stream, uint64_t index)
{
    uint32_t x[4];

    philox(seed, index, stream, x);
    return (uint64_t)x[1] << 32 | x[0];
}

/* ---- many at once ------------------------------------------------------------------------------- */

#if defined(__AVX512F__)
typedef uint64_t lanes __attribute__((vector_size(64)));
#define TIMES(a, b) (lanes) _mm512_mul_epu32((__m512i)(a), (__m512i)(b))
#elif defined(__AVX2__)
typedef uint64_t lanes __attribute__((vector_size(32)));
#define TIMES(a, b) (lanes) _mm256_mul_epu32((__m256i)(a), (__m256i)(b))
#endif

#ifdef TIMES
enum { LANES = sizeof(lanes) / sizeof(uint64_t) };

/* vl_rng of LANES indices from lo on; words have 64 bits, the upper half of them zero. */
static void rng_lanes(uint64_t key, uint64_t lo, uint64_t hi, uint32_t out[2 * LANES])
{
    const lanes zero = {0}, low = zero + UINT32_MAX, m0 = zero + 0xD2511F53u, m1 = zero + 0xCD9E8D57u;
    uint32_t k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32);
    lanes x0 = zero, x1 = zero, x2 = zero + (hi & UINT32_MAX), x3 = zero + (hi >> 32);

    for (size_t l = 0; l < LANES; l++) {
        x0[l] = (lo + l) & UINT32_MAX;
        x1[l] = (lo + l) >> 32;
    }
    for (int i = 0; i < 10; i++) {
        lanes p0 = TIMES(m0, x0), p1 = TIMES(m1, x2);
        x0 = (p1 >> 32) ^ x1 ^ k0;
        x2 = (p0 >> 32) ^ x3 ^ k1;
        x1 = p1 & low;
        x3 = p0 & low;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    for (size_t l = 0; l < LANES; l++) {
        out[2 * l] = (uint32_t)x0[l];
        out[2 * l + 1] = (uint32_t)x1[l];
    }
}
#else
enum { LANES = 1 };

static void rng_lanes(uint64_t key, uint64_t lo, uint64_t hi, uint32_t out[2 * LANES])
{
    uint64_t bits = vl_rng(key, hi, lo);

    out[0] = (uint32_t)bits;
    out[1] = (uint32_t)(bits >> 32);
}
#endif

void vl_rng_halves(uint64_t seed, uint64_t stream, uint64_t index, size_t n, uint32_t *out)
{
    uint32_t last[2 * LANES];

    for (; n >= 2 * LANES; n -= 2 * LANES, out += 2 * LANES, index += LANES)
        rng_lanes(seed, index, stream, out);
    if (!n)
        return;
    rng_lanes(seed, index, stream, last);
    memcpy(out, last, n * sizeof *out);
}

double vl_rng_unit(uint64_t seed, uint64_t stream, uint64_t index)
{
    return (double)(vl_rng(seed, stream, index) >> 11) * 0x1p-53;
}

uint64_t vl_rng_below(uint64_t seed, uint64_t stream, uint64_t index, uint64_t n)
{
    return (uint64_t)(((unsigned __int128)vl_rng(seed, stream, index) * n) >> 64);
}

void vl_rng_normal(uint64_t seed, uint64_t stream, size_t n, double sd, vl_real *out)
{
    for (size_t i = 0; i < n; i += 2) {
        uint32_t x[4];
        philox(seed, i / 2, stream, x);
        double u = ((double)x[0] + 0.5) * 0x1p-32, a = 6.283185307179586 * (double)x[1] * 0x1p-32;
        double r = sd * sqrt(-2.0 * log(u));
        out[i] = (vl_real)(r * cos(a));
        if (i + 1 < n)
            out[i + 1] = (vl_real)(r * sin(a));
    }
}

double vl_rng_beta(uint64_t seed, uint64_t stream, double alpha)
{
    if (alpha > 0.5) {
        double u = vl_rng_unit(seed, stream, 0), v = vl_rng_unit(seed, stream, 1);
        return 0.5 + 0.5 * sqrt(1 - pow(u, 2 / (2 * alpha - 1))) * cos(6.283185307179586 * v);
    }
    for (uint64_t i = 0;; i += 2) { /* accepts more than three in four */
        double x = pow(vl_rng_unit(seed, stream, i), 1 / alpha);
        double y = pow(vl_rng_unit(seed, stream, i + 1), 1 / alpha);
        if (x + y > 0 && x + y <= 1)
            return x / (x + y);
    }
}

void vl_rng_shuffle(uint64_t seed, uint64_t stream, size_t n, uint32_t *out)
{
    for (size_t i = 0; i < n; i++)
        out[i] = (uint32_t)i;
    for (size_t i = n; i > 1; i--) {
        size_t j = (size_t)vl_rng_below(seed, stream, i, i);
        uint32_t t = out[i - 1];
        out[i - 1] = out[j];
        out[j] = t;
    }
}

uint64_t vl_rng_stream(const char *purpose, uint64_t a, uint64_t b, uint64_t c)
{
    uint64_t v[4] = {XXH64(purpose, strlen(purpose), 0), a, b, c};

    return XXH64(v, sizeof v, 0);
}
