/* SPDX-License-Identifier: MIT
 * select_near.h -- how far every record is from the nearest of some chosen ones, one chosen after another:
 * what k-center and the seeding of k-means go by. */
#ifndef VLD_SELECT_NEAR_H
#define VLD_SELECT_NEAR_H

#include "pipeline/pool.h"
#include "pipeline/real.h"
#include <stdint.h>

typedef struct vld_near {
    const vl_real *x; /* [n,dim], borrowed */
    size_t n, dim, center;
    double *d2;        /* [n] squared distance to the nearest chosen record; -1 for a chosen one itself */
    uint32_t *tile_at; /* [n_tiles] the farthest record of each tile */
    size_t n_tiles;
} vld_near;

/* Squared Euclidean distance, in double, summed in one fixed order. */
double vld_distance2(const vl_real *a, const vl_real *b, size_t dim);

/* vld_near_new -- nothing chosen yet: all are infinitely far (DBL_MAX). Errors: VL_EARG (no features, too many
 * records), VL_ENOMEM. */
VL_MUST_USE int vld_near_new(const vl_real *x, size_t n, size_t dim, vld_near *out, vl_err *e);
void vld_near_free(vld_near *r); /* zeroed is harmless */

/* vld_near_choose -- record number center is chosen: one pass over x lowers d2. */
void vld_near_choose(vld_near *r, vl_pool *pool, size_t center);

/* vld_near_farthest -- after the first choice: the record with the greatest d2, the lowest of equals. */
size_t vld_near_farthest(const vld_near *r);

#endif
