/* SPDX-License-Identifier: MIT
 * noise.h -- the draws of a training step: which elements dropout drops, and how a batch is blended. Functions of
 * (seed, iteration, step), so that whoever takes the step again, on a tape or not, meets the same ones. */
#ifndef VL_NOISE_H
#define VL_NOISE_H

#include "pipeline/real.h"
#include <stddef.h>
#include <stdint.h>

typedef struct vl_draws {
    uint64_t seed, iter, step;
} vl_draws;

/* vl_noise_dropout -- mask[0 .. end - begin) = elements [begin, end) of the mask of a site: 0 with probability p
 * (0 <= p < 1), else 1 / (1 - p). Element i is dropped when half i mod 2 (low first) of
 * vl_rng(seed, vl_rng_stream("dropout", iter, step, site), i / 2) is below p 2^32. */
void vl_noise_dropout(const vl_draws *d, double p, uint64_t site, size_t begin, size_t end, vl_real *mask);

/* vl_noise_blend -- lam of Beta(alpha, alpha), vl_rng_beta of stream ("blend", iter, step, 0), and a permutation perm
 * [n], vl_rng_shuffle of stream ("blend", iter, step, 1): row i becomes lam x_i + (1 - lam) x_perm(i). Returns lam. */
double vl_noise_blend(const vl_draws *d, double alpha, size_t n, uint32_t *perm);

#endif
