/* SPDX-License-Identifier: MIT
 * kmeans.h -- Lloyd's k-means on features: k clusters, none of them empty. */
#ifndef VLD_KMEANS_H
#define VLD_KMEANS_H

#include "pipeline/pool.h"
#include "pipeline/real.h"
#include <stdint.h>

enum { VLD_KMEANS_ROUNDS = 50 }; /* at most; it mostly settles before */

typedef struct vld_kmeans {
    size_t n, dim, k;
    uint32_t *cluster; /* [n] */
    double *mean;      /* [k,dim] of the records of each cluster */
    uint32_t *count;   /* [k] how many, at least 1 */
    double *d2;        /* [n] squared distance to the own mean */
    int rounds;
} vld_kmeans;

/* vld_kmeans_run -- x [n,dim], 1 <= k <= n. The same bytes at any thread count. Free with vld_kmeans_free.
 * Errors: VL_EARG, VL_ENOMEM.
 * Source: Lloyd 1982; first means: k-means++ (Arthur and Vassilvitskii 2007). */
VL_MUST_USE int vld_kmeans_run(const vl_real *x, size_t n, size_t dim, size_t k, uint64_t seed, vl_pool *pool,
                               vld_kmeans *out, vl_err *e);
void vld_kmeans_free(vld_kmeans *c); /* zeroed is harmless */

#endif
