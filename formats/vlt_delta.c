/* SPDX-License-Identifier: MIT
 * vlt_delta.c -- differences of words. The fast loops are plain C that compilers turn into vectors: words
 * go through memcpy, because neither array needs to be aligned, in blocks of a fixed size, so that out may
 * be one of the inputs. */
#include "formats/vlt_filter.h"

#include <string.h>

enum { BLOCK = 256 }; /* bytes that are loaded before any is stored */

/* ---- plain: bytes to numbers and back ----------------------------------------------------------- */

static uint64_t get(const uint8_t *p, size_t w)
{
    uint64_t v = 0;

    for (size_t k = w; k-- > 0;)
        v = v << 8 | p[k];
    return v;
}

static void put(uint8_t *p, size_t w, uint64_t v)
{
    for (size_t k = 0; k < w; k++, v >>= 8)
        p[k] = (uint8_t)v;
}

void vl_sub_plain(const uint8_t *a, const uint8_t *ref, size_t n, size_t w, uint8_t *out)
{
    for (size_t i = 0; i < n; i++) {
        uint64_t d = get(a + i * w, w) - get(ref + i * w, w), negative = d >> (8 * w - 1) & 1;
        put(out + i * w, w, negative ? ~(d << 1) : d << 1);
    }
}

void vl_add_plain(const uint8_t *a, const uint8_t *ref, size_t n, size_t w, uint8_t *out)
{
    for (size_t i = 0; i < n; i++) {
        uint64_t z = get(a + i * w, w), d = z & 1 ? ~(z >> 1) : z >> 1;
        put(out + i * w, w, get(ref + i * w, w) + d);
    }
}

/* ---- the same by blocks, a function for each width ---------------------------------------------- */

void vl_xor(const uint8_t *a, const uint8_t *ref, size_t n, uint8_t *out)
{
    uint8_t x[BLOCK], y[BLOCK];
    size_t i;

    for (i = 0; i + BLOCK <= n; i += BLOCK) {
        memcpy(x, a + i, BLOCK);
        memcpy(y, ref + i, BLOCK);
        for (int k = 0; k < BLOCK; k++)
            x[k] ^= y[k];
        memcpy(out + i, x, BLOCK);
    }
    for (; i < n; i++)
        out[i] = a[i] ^ ref[i];
}

#define DEFINE(type, bits)                                                                                   \
    static size_t sub_##bits(const uint8_t *a, const uint8_t *ref, size_t n, uint8_t *out)                   \
    {                                                                                                        \
        enum { WORDS = BLOCK / sizeof(type) };                                                               \
        type x[WORDS], y[WORDS];                                                                             \
        size_t i;                                                                                            \
                                                                                                             \
        for (i = 0; i + WORDS <= n; i += WORDS) {                                                            \
            memcpy(x, a + i * sizeof(type), BLOCK);                                                          \
            memcpy(y, ref + i * sizeof(type), BLOCK);                                                        \
            for (int k = 0; k < WORDS; k++) {                                                                \
                type d = (type)(x[k] - y[k]), sign = (type) - (type)(d >> (bits - 1));                       \
                x[k] = (type)((type)(d << 1) ^ sign);                                                        \
            }                                                                                                \
            memcpy(out + i * sizeof(type), x, BLOCK);                                                        \
        }                                                                                                    \
        return i;                                                                                            \
    }                                                                                                        \
                                                                                                             \
    static size_t add_##bits(const uint8_t *a, const uint8_t *ref, size_t n, uint8_t *out)                   \
    {                                                                                                        \
        enum { WORDS = BLOCK / sizeof(type) };                                                               \
        type x[WORDS], y[WORDS];                                                                             \
        size_t i;                                                                                            \
                                                                                                             \
        for (i = 0; i + WORDS <= n; i += WORDS) {                                                            \
            memcpy(x, a + i * sizeof(type), BLOCK);                                                          \
            memcpy(y, ref + i * sizeof(type), BLOCK);                                                        \
            for (int k = 0; k < WORDS; k++) {                                                                \
                type sign = (type) - (type)(x[k] & 1);                                                       \
                x[k] = (type)(y[k] + (type)((type)(x[k] >> 1) ^ sign));                                      \
            }                                                                                                \
            memcpy(out + i * sizeof(type), x, BLOCK);                                                        \
        }                                                                                                    \
        return i;                                                                                            \
    }

DEFINE(uint8_t, 8)
DEFINE(uint16_t, 16)
DEFINE(uint32_t, 32)
DEFINE(uint64_t, 64)

void vl_sub(const uint8_t *a, const uint8_t *ref, size_t n, size_t w, uint8_t *out)
{
    size_t (*fast)(const uint8_t *, const uint8_t *, size_t, uint8_t *) = w == 1   ? sub_8
                                                                          : w == 2 ? sub_16
                                                                          : w == 4 ? sub_32
                                                                                   : sub_64;
    size_t i = fast(a, ref, n, out);

    vl_sub_plain(a + i * w, ref + i * w, n - i, w, out + i * w);
}

void vl_add(const uint8_t *a, const uint8_t *ref, size_t n, size_t w, uint8_t *out)
{
    size_t (*fast)(const uint8_t *, const uint8_t *, size_t, uint8_t *) = w == 1   ? add_8
                                                                          : w == 2 ? add_16
                                                                          : w == 4 ? add_32
                                                                                   : add_64;
    size_t i = fast(a, ref, n, out);

    vl_add_plain(a + i * w, ref + i * w, n - i, w, out + i * w);
}
