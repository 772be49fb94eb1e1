/* SPDX-License-Identifier: MIT
 * select_random.c -- a uniform draw without replacement: the first numbers of a shuffle. So with one seed the
 * draw of 100 is part of the draw of 200. */
#include "distill/select.h"
#include "pipeline/rng.h"

#include <stdlib.h>
#include <string.h>

static int ascending(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

int vld_select_random(const vl_real *features, size_t n_records, size_t dim, uint64_t seed, vl_pool *pool,
                      size_t n_out, uint32_t *out, vl_err *e)
{
    uint32_t *order;

    (void)features;
    (void)dim;
    (void)pool;
    if (n_out > n_records || n_records > UINT32_MAX)
        return vl_fail(e, VL_EARG, "%zu of %zu records cannot be selected", n_out, n_records);
    if (!(order = vl_alloc(n_records, sizeof *order, e)))
        return VL_ENOMEM;
    vl_rng_shuffle(seed, vl_rng_stream("select", 0, 0, 0), n_records, order);
    qsort(order, n_out, sizeof *order, ascending);
    memcpy(out, order, n_out * sizeof *out);
    free(order);
    return VL_OK;
}
