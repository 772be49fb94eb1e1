/* SPDX-License-Identifier: MIT
 * vlt_delta.c -- differences of words. The fast loops are plain C that compilers turn into vectors, 5 to 8
 * times as fast as the bytewise form; words need not be aligned. */
#include "formats/vlt_filter.h"

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

/* ---- the same as typed loops, a function for each width ----------------------------------------- */

/* Each turn reads and writes its own index only, so out may be an input; the compiler cannot know. */
#ifdef __clang__
#define EACH_ALONE _Pragma("clang loop vectorize(assume_safety)")
#else
#define EACH_ALONE _Pragma("GCC ivdep")
#endif

void vl_xor(const uint8_t *a, const uint8_t *ref, size_t n, uint8_t *out)
{
    EACH_ALONE
    for (size_t i = 0; i < n; i++)
        out[i] = a[i] ^ ref[i];
}

#define DEFINE(bits)                                                                                         \
    typedef uint##bits##_t word##bits __attribute__((aligned(1), may_alias));                                \
                                                                                                             \
    static void sub##bits(const word##bits *a, const word##bits *ref, size_t n, word##bits *out)             \
    {                                                                                                        \
        EACH_ALONE                                                                                           \
        for (size_t i = 0; i < n; i++) {                                                                     \
            uint##bits##_t d = (uint##bits##_t)(a[i] - ref[i]);                                              \
            uint##bits##_t sign = (uint##bits##_t) - (uint##bits##_t)(d >> (bits - 1));                      \
            out[i] = (uint##bits##_t)((uint##bits##_t)(d << 1) ^ sign);                                      \
        }                                                                                                    \
    }                                                                                                        \
                                                                                                             \
    static void add##bits(const word##bits *a, const word##bits *ref, size_t n, word##bits *out)             \
    {                                                                                                        \
        EACH_ALONE                                                                                           \
        for (size_t i = 0; i < n; i++) {                                                                     \
            uint##bits##_t sign = (uint##bits##_t) - (uint##bits##_t)(a[i] & 1);                             \
            out[i] = (uint##bits##_t)(ref[i] + (uint##bits##_t)((uint##bits##_t)(a[i] >> 1) ^ sign));        \
        }                                                                                                    \
    }

DEFINE(8)
DEFINE(16)
DEFINE(32)
DEFINE(64)

void vl_sub(const uint8_t *a, const uint8_t *ref, size_t n, size_t w, uint8_t *out)
{
    if (w == 1)
        sub8(a, ref, n, out);
    else if (w == 2)
        sub16((const word16 *)a, (const word16 *)ref, n, (word16 *)out);
    else if (w == 4)
        sub32((const word32 *)a, (const word32 *)ref, n, (word32 *)out);
    else
        sub64((const word64 *)a, (const word64 *)ref, n, (word64 *)out);
}

void vl_add(const uint8_t *a, const uint8_t *ref, size_t n, size_t w, uint8_t *out)
{
    if (w == 1)
        add8(a, ref, n, out);
    else if (w == 2)
        add16((const word16 *)a, (const word16 *)ref, n, (word16 *)out);
    else if (w == 4)
        add32((const word32 *)a, (const word32 *)ref, n, (word32 *)out);
    else
        add64((const word64 *)a, (const word64 *)ref, n, (word64 *)out);
}
