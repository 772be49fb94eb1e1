/* SPDX-License-Identifier: MIT
 * select_kcenter.c -- farthest-first traversal (Gonzalez 1985): each next center is the record farthest from
 * those there are, which is within a factor of two of the best possible covering radius.
 * Cost: n_out passes over the features (select_near.c). */
#include "distill/select.h"
#include "distill/select_near.h"
#include "pipeline/rng.h"

int vld_select_kcenter(const vl_real *features, size_t n_records, size_t dim, uint64_t seed, vl_pool *pool,
                       size_t n_out, uint32_t *out, vl_err *e)
{
    size_t n = 0;
    vld_near r;
    int rc;

    if (n_out > n_records)
        return vl_fail(e, VL_EARG, "%zu of %zu records cannot be selected", n_out, n_records);
    if ((rc = vld_near_new(features, n_records, dim, &r, e)) != VL_OK)
        return rc;
    for (size_t k = 0; k < n_out; k++)
        vld_near_choose(&r, pool,
                        k ? vld_near_farthest(&r)
                          : vl_rng_below(seed, vl_rng_stream("k-center", 0, 0, 0), 0, n_records));
    for (size_t i = 0; i < n_records; i++)
        if (r.d2[i] < 0)
            out[n++] = (uint32_t)i;
    vld_near_free(&r);
    return VL_OK;
}
