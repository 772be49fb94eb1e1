/* SPDX-License-Identifier: MIT
 * select.h -- which n of N records to keep. One method a file (select_<name>.c). Those that look at features
 * have one signature: features and a seed in, record numbers out, ascending. Those that look at one number a
 * record (score_table.h) are vld_select_best and vld_select_reach.
 *
 * All of them give the same answer at any thread count. Of equally good records those by features take the
 * lower number; scores often have few values, and there an order drawn from the seed decides. */
#ifndef VLD_SELECT_H
#define VLD_SELECT_H

#include "pipeline/pool.h"
#include "pipeline/real.h"
#include <stdbool.h>
#include <stdint.h>

/* features [n_records,dim], unit rows or zero (NULL where the method needs none: random);
 * out [n_out], n_out <= n_records. Errors: VL_EARG, VL_ENOMEM. */
typedef int (*vld_select_fn)(const vl_real *features, size_t n_records, size_t dim, uint64_t seed,
                             vl_pool *pool, size_t n_out, uint32_t *out, vl_err *e);

VL_MUST_USE int vld_select_random(const vl_real *features, size_t n_records, size_t dim, uint64_t seed,
                                  vl_pool *pool, size_t n_out, uint32_t *out, vl_err *e);

/* Farthest-first (Euclidean), the first record drawn from the seed; ties go to the lower number. */
VL_MUST_USE int vld_select_kcenter(const vl_real *features, size_t n_records, size_t dim, uint64_t seed,
                                   vl_pool *pool, size_t n_out, uint32_t *out, vl_err *e);

/* Greedy: the mean of those chosen stays as near as it can to the mean of all. The seed is not used. */
VL_MUST_USE int vld_select_herding(const vl_real *features, size_t n_records, size_t dim, uint64_t seed,
                                   vl_pool *pool, size_t n_out, uint32_t *out, vl_err *e);

/* Of each of n_out clusters (kmeans.h) the record nearest to the mean. */
VL_MUST_USE int vld_select_kmeans(const vl_real *features, size_t n_records, size_t dim, uint64_t seed,
                                  vl_pool *pool, size_t n_out, uint32_t *out, vl_err *e);

/* Density-based pruning: from each cluster as many as its complexity asks for, the least typical ones.
 * vld_select_density takes vld_density_clusters(n_records, n_out) of them.
 *   clusters  1 to VLD_CLUSTERS_MAX; cut to n_out, so that each keeps a record */
enum { VLD_CLUSTERS_MAX = 65536 };
size_t vld_density_clusters(size_t n_records, size_t n_out); /* about the root of n_records; at most n_out */
VL_MUST_USE int vld_select_density(const vl_real *features, size_t n_records, size_t dim, uint64_t seed,
                                   vl_pool *pool, size_t n_out, uint32_t *out, vl_err *e);
VL_MUST_USE int vld_select_density_k(const vl_real *features, size_t n_records, size_t dim, uint64_t seed,
                                     vl_pool *pool, size_t clusters, size_t n_out, uint32_t *out, vl_err *e);

/* vld_select_rs2 -- the subset of one epoch (from 0), drawn anew for each: n_records / n_out epochs in a row
 * have no record in common, then the order is drawn again. n_out >= 1. Epoch 0 has the records of
 * vld_select_random. */
VL_MUST_USE int vld_select_rs2(size_t n_records, uint64_t seed, uint64_t epoch, size_t n_out, uint32_t *out,
                               vl_err *e);

/* vld_select_best -- the n_out highest scores [n_records], finite; with least: the lowest. */
VL_MUST_USE int vld_select_best(const double *score, size_t n_records, bool least, uint64_t seed,
                                size_t n_out, uint32_t *out, vl_err *e);

/* vld_select_reach -- those with score >= bound, with least: <= bound; out [n_records]. Returns how many. */
size_t vld_select_reach(const double *score, size_t n_records, bool least, double bound, uint32_t *out);

typedef enum vld_select_by {
    VLD_BY_NUMBER,   /* nothing but the number of records */
    VLD_BY_FEATURES, /* fn with features */
    VLD_BY_COSINE,   /* vld_select_best on the cosine of image and text */
    VLD_BY_SCORE     /* vld_select_best on a number that a member holds */
} vld_select_by;

typedef struct vld_select_method {
    const char *name; /* "random", "k-center" */
    vld_select_fn fn; /* NULL: rs2 and the methods by cosine and score */
    int needs_features;
    vld_select_by by;
    const char *score; /* VLD_BY_SCORE: the member, where there is a usual one */
    bool least;        /* VLD_BY_COSINE, VLD_BY_SCORE: low scores are kept unless the user says otherwise */
} vld_select_method;
extern const vld_select_method vld_select_methods[]; /* ends with a NULL name */

/* vld_select_marked -- the numbers of the non-zero bytes of mark [n_records], ascending. Returns how many. */
size_t vld_select_marked(const uint8_t *mark, size_t n_records, uint32_t *out);

#endif
