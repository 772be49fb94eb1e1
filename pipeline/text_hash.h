/* SPDX-License-Identifier: MIT
 * text_hash.h -- the built-in text encoder: hashed word and character n-grams, no download, no state.
 *
 *   text      the caption without default-ignorable characters, case folded, in NFKC (libutf8proc)
 *   words     runs of letters, marks, digits, symbols such as emoji (So) and unassigned characters;
 *             punctuation, spaces, controls and mathematical, currency and modifier signs part them
 *   features  seed 1, weight 3: each word
 *             seed 2, weight 2: each two neighbours, joined by one space
 *             seed 3, weight 1: each 3 and each 4 characters in a row of "^word$"
 *   row       feature f, UTF-8 bytes, h = XXH64(f, seed): adds its weight, negative where h is odd, at index
 *             (h >> 1) mod dim; then the row is brought to unit L2 norm
 *
 * Weights and sums are integers, so the row does not depend on the order of features, and is the same to the
 * last bit everywhere that libutf8proc knows the caption's characters.
 * A caption without any feature, or whose features cancel, gives a zero row. */
#ifndef VL_TEXT_HASH_H
#define VL_TEXT_HASH_H

#include "formats/err.h"

enum { VL_TEXT_HASH_DIM = 768 };

/* vl_text_hash -- caption (UTF-8, n bytes) to out[dim].
 * Errors: VL_EFORMAT caption is not UTF-8 (with the byte); VL_EARG dim 0; VL_ENOMEM. */
VL_MUST_USE int vl_text_hash(const char *caption, size_t n, size_t dim, float *out, vl_err *e);

#endif
