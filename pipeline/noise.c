/* SPDX-License-Identifier: MIT */
#include "pipeline/noise.h"
#include "pipeline/rng.h"

#include <math.h>

enum { AT_ONCE = 256 }; /* draws of two elements each */

void vl_noise_dropout(const vl_draws *d, double p, uint64_t site, size_t begin, size_t end, vl_real *mask)
{
    const uint64_t stream = vl_rng_stream("dropout", d->iter, d->step, site);
    const uint64_t below = (uint64_t)ceil(p * 0x1p32); /* 32 bits under it drop */
    const vl_real keep = (vl_real)(1 / (1 - p));
    uint64_t bits[AT_ONCE];

    for (size_t i = begin; i < end;) {
        size_t first = i / 2, stop = i - i % 2 + 2 * AT_ONCE;
        stop = stop < end ? stop : end;
        vl_rng_fill(d->seed, stream, first, (stop + 1) / 2 - first, bits);
        for (; i < stop; i++)
            mask[i - begin] = (bits[i / 2 - first] >> i % 2 * 32 & UINT32_MAX) < below ? 0 : keep;
    }
}

double vl_noise_blend(const vl_draws *d, double alpha, size_t n, uint32_t *perm)
{
    vl_rng_shuffle(d->seed, vl_rng_stream("blend", d->iter, d->step, 1), n, perm);
    return vl_rng_beta(d->seed, vl_rng_stream("blend", d->iter, d->step, 0), alpha);
}
