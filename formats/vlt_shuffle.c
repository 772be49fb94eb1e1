/* SPDX-License-Identifier: MIT
 * vlt_shuffle.c -- words to byte planes and back: the plain form, and AVX2 (vlt_shuffle_avx2.c) where the
 * processor has it. */
#include "formats/vlt_filter.h"

#include <string.h>

void vl_shuffle_plain(const uint8_t *in, size_t n, size_t w, size_t stride, uint8_t *out)
{
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < w; k++)
            out[k * stride + i] = in[i * w + k];
}

void vl_unshuffle_plain(const uint8_t *in, size_t n, size_t w, size_t stride, uint8_t *out)
{
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < w; k++)
            out[i * w + k] = in[k * stride + i];
}

void vl_shuffle(const uint8_t *in, size_t n, size_t w, size_t stride, uint8_t *out)
{
    size_t i = vl_shuffle_avx2(in, n, w, stride, out);

    if (w == 1 && n)
        memcpy(out, in, n);
    else
        vl_shuffle_plain(in + i * w, n - i, w, stride, out + i);
}

void vl_unshuffle(const uint8_t *in, size_t n, size_t w, size_t stride, uint8_t *out)
{
    size_t i = vl_unshuffle_avx2(in, n, w, stride, out);

    if (w == 1 && n)
        memcpy(out, in, n);
    else
        vl_unshuffle_plain(in + i, n - i, w, stride, out + i * w);
}
