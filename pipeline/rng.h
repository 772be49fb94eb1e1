/* SPDX-License-Identifier: MIT
 * rng.h -- numbers by (seed, stream, index): no state, so any worker on any device finds the same one.
 * The generator is Philox 4x32-10 (Salmon et al. 2011) with the key (seed) and counter (stream, index). */
#ifndef VL_RNG_H
#define VL_RNG_H

#include "pipeline/real.h"
#include <stddef.h>
#include <stdint.h>

/* vl_rng -- 64 random bits. */
uint64_t vl_rng(uint64_t seed, uint64_t stream, uint64_t index);

/* vl_rng_halves -- out[n] = the halves of vl_rng(seed, stream, index), (.., index + 1), .., the low one first: the
 * same bits, three times as fast where the processor has AVX-512. */
void vl_rng_halves(uint64_t seed, uint64_t stream, uint64_t index, size_t n, uint32_t *out);

/* vl_rng_unit -- uniform in [0, 1), 53 bits. */
double vl_rng_unit(uint64_t seed, uint64_t stream, uint64_t index);

/* vl_rng_below -- uniform in [0, n), n >= 1 (bias below 2^-32 for n < 2^32). */
uint64_t vl_rng_below(uint64_t seed, uint64_t stream, uint64_t index, uint64_t n);

/* vl_rng_normal -- out[n] = sd * standard normals (Box-Muller on pairs), index i uses counter i / 2. */
void vl_rng_normal(uint64_t seed, uint64_t stream, size_t n, double sd, vl_real *out);

/* vl_rng_beta -- one value of Beta(alpha, alpha), alpha > 0; alpha 1 is uniform on [0, 1].
 * Source: Ulrich 1984 above 1/2 (two uniforms), Joehnk 1964 at or below (rejection). */
double vl_rng_beta(uint64_t seed, uint64_t stream, double alpha);

/* vl_rng_shuffle -- out[n] = a permutation of 0..n-1 (Fisher-Yates). */
void vl_rng_shuffle(uint64_t seed, uint64_t stream, size_t n, uint32_t *out);

/* vl_rng_stream -- a stream number out of a purpose and up to three numbers, so that purposes never
 * share a stream: purpose is a short literal such as "batch". */
uint64_t vl_rng_stream(const char *purpose, uint64_t a, uint64_t b, uint64_t c);

#endif
