/* SPDX-License-Identifier: MIT
 * select.h -- which n of N records to keep. One method a file (select_<name>.c), one signature: features and
 * a seed in, record numbers out, ascending. */
#ifndef VLD_SELECT_H
#define VLD_SELECT_H

#include "pipeline/pool.h"
#include "pipeline/real.h"
#include <stdint.h>

/* features [n_records,dim], unit rows (NULL where the method needs none: random);
 * out [n_out], n_out <= n_records. Errors: VL_EARG, VL_ENOMEM. */
typedef int (*vld_select_fn)(const vl_real *features, size_t n_records, size_t dim, uint64_t seed,
                             vl_pool *pool, size_t n_out, uint32_t *out, vl_err *e);

VL_MUST_USE int vld_select_random(const vl_real *features, size_t n_records, size_t dim, uint64_t seed,
                                  vl_pool *pool, size_t n_out, uint32_t *out, vl_err *e);

/* Farthest-first (Euclidean), the first record drawn from the seed; ties go to the lower number. */
VL_MUST_USE int vld_select_kcenter(const vl_real *features, size_t n_records, size_t dim, uint64_t seed,
                                   vl_pool *pool, size_t n_out, uint32_t *out, vl_err *e);

typedef struct vld_select_method {
    const char *name; /* "random", "k-center" */
    vld_select_fn fn;
    int needs_features;
} vld_select_method;
extern const vld_select_method vld_select_methods[]; /* ends with a NULL name */

#endif
