/* SPDX-License-Identifier: MIT
 * select_rs2.c -- repeated random sampling, RS2 (Okanovic et al., ICLR 2024): a training of E epochs on n of N
 * records draws them anew for each epoch instead of once for all. This is their form without replacement: an
 * order of all records is drawn, epoch after epoch takes the next n of it, and when fewer than n are left the
 * order is drawn again. (Those left over are left out, as the trainers here leave out the rest of a pass.)
 *
 * So every record is used once before one is used twice, but for N mod n of them.
 * The subset of an epoch is a function of (seed, epoch, N, n): any of them can be had without the others. */
#include "distill/select.h"
#include "pipeline/rng.h"

#include <stdlib.h>
#include <string.h>

int vld_select_rs2(size_t n_records, uint64_t seed, uint64_t epoch, size_t n_out, uint32_t *out, vl_err *e)
{
    uint64_t each, stream;
    uint32_t *order;
    uint8_t *mark;

    if (!n_out || n_out > n_records || n_records > UINT32_MAX)
        return vl_fail(e, VL_EARG, "%zu of %zu records cannot be selected", n_out, n_records);
    each = n_records / n_out;
    stream = vl_rng_stream("select", epoch / each, 0, 0);
    order = vl_alloc(n_records, sizeof *order, e);
    mark = order ? vl_alloc(n_records, 1, e) : NULL;
    if (mark) {
        vl_rng_shuffle(seed, stream, n_records, order);
        for (size_t i = 0; i < n_out; i++)
            mark[order[epoch % each * n_out + i]] = 1;
        vld_select_marked(mark, n_records, out);
    }
    free(order);
    if (!mark)
        return VL_ENOMEM;
    free(mark);
    return VL_OK;
}
