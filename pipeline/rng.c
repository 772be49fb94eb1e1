/* SPDX-License-Identifier: MIT */
#include "pipeline/rng.h"

#include <math.h>
#include <string.h>
#include <xxhash.h>

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

/* Philox round by round for LANES counters side by side, so that the loops have vectors. */
void vl_rng_fill(uint64_t seed, uint64_t stream, uint64_t first, size_t n, uint64_t *out)
{
    enum { LANES = 32 };
    const uint64_t low = UINT32_MAX;
    size_t i = 0;

    for (; i + LANES <= n; i += LANES) {
        uint64_t x0[LANES], x1[LANES], x2[LANES], x3[LANES];
        uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
        for (size_t l = 0; l < LANES; l++) {
            x0[l] = (first + i + l) & low;
            x1[l] = (first + i + l) >> 32;
            x2[l] = stream & low;
            x3[l] = stream >> 32;
        }
        for (int round = 0; round < 10; round++, k0 += 0x9E3779B9u, k1 += 0xBB67AE85u)
            for (size_t l = 0; l < LANES; l++) {
                uint64_t p0 = 0xD2511F53u * x0[l], p1 = 0xCD9E8D57u * x2[l];
                x0[l] = p1 >> 32 ^ x1[l] ^ k0;
                x2[l] = p0 >> 32 ^ x3[l] ^ k1;
                x1[l] = p1 & low;
                x3[l] = p0 & low;
            }
        for (size_t l = 0; l < LANES; l++)
            out[i + l] = x1[l] << 32 | x0[l];
    }
    for (; i < n; i++)
        out[i] = vl_rng(seed, stream, first + i);
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
