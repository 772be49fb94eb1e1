/* SPDX-License-Identifier: MIT
 * vlt_filter.h -- the byte operations of .vlt files. A word is a number of w bytes, w 1, 2, 4 or 8; words
 * are integers here, whatever they mean, so every bit pattern survives.
 *
 * The fast forms are held by tests against the plain ones, which stay. */
#ifndef VL_VLT_FILTER_H
#define VL_VLT_FILTER_H

#include <stddef.h>
#include <stdint.h>

/* vl_shuffle -- byte k of word i of in[n*w] to out[k*stride + i]: a plane for each byte, lowest first.
 * vl_unshuffle -- the way back. stride >= n; in and out do not overlap. */
void vl_shuffle(const uint8_t *in, size_t n, size_t w, size_t stride, uint8_t *out);
void vl_unshuffle(const uint8_t *in, size_t n, size_t w, size_t stride, uint8_t *out);
void vl_shuffle_plain(const uint8_t *in, size_t n, size_t w, size_t stride, uint8_t *out);
void vl_unshuffle_plain(const uint8_t *in, size_t n, size_t w, size_t stride, uint8_t *out);

/* The same in AVX2 for as many words as it takes 32 of: returns how many it did, from word 0 on (0 where the
 * processor or the compiler lacks it, or w is 1). */
size_t vl_shuffle_avx2(const uint8_t *in, size_t n, size_t w, size_t stride, uint8_t *out);
size_t vl_unshuffle_avx2(const uint8_t *in, size_t n, size_t w, size_t stride, uint8_t *out);

/* vl_xor -- out[i] = a[i] ^ ref[i], bytes; its own inverse.
 * vl_sub -- words: d = a - ref modulo 2^(8w), then out = d * 2 for d >= 0, -d * 2 - 1 for d < 0 (zigzag: a
 *           small difference of either sign has zeros in its upper bytes). vl_add -- the way back.
 * out may be a or ref; nothing needs to be aligned. */
void vl_xor(const uint8_t *a, const uint8_t *ref, size_t n, uint8_t *out);
void vl_sub(const uint8_t *a, const uint8_t *ref, size_t n, size_t w, uint8_t *out);
void vl_add(const uint8_t *a, const uint8_t *ref, size_t n, size_t w, uint8_t *out);
void vl_sub_plain(const uint8_t *a, const uint8_t *ref, size_t n, size_t w, uint8_t *out);
void vl_add_plain(const uint8_t *a, const uint8_t *ref, size_t n, size_t w, uint8_t *out);

#endif
