/* SPDX-License-Identifier: MIT
 * text_hash.h -- the built-in text encoder: hashed word and character n-grams, no download, no
 * state.
 *
 *   caption -> lower case, NFKC, punctuation to spaces
 *   features: words, word bigrams, and character 3- and 4-grams of each "^word$"
 *   each feature adds sign * weight at XXH64(feature) mod dim; the row is L2-normalised.
 * A caption without any feature gives a zero row. */
#ifndef VL_TEXT_HASH_H
#define VL_TEXT_HASH_H

#include "formats/err.h"

enum { VL_TEXT_HASH_DIM = 768 };

/* vl_text_hash -- caption (UTF-8, n bytes) to out[dim]. Errors: VL_EFORMAT caption is not UTF-8. */
VL_MUST_USE int vl_text_hash(const char *caption, size_t n, size_t dim, float *out, vl_err *e);

#endif
