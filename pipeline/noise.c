/* SPDX-License-Identifier: MIT */
#include "pipeline/noise.h"
#include "pipeline/rng.h"

#include <math.h>
#include <string.h>

enum { AT_ONCE = 256 }; /* draws of two elements each */

void vl_noise_dropout(const vl_draws *d, double p, uint64_t site, size_t begin, size_t end, vl_real *mask)
{
    const uint64_t stream = vl_rng_stream("dropout", d->iter, d->step, site);
    const uint64_t below = (uint64_t)ceil(p * 0x1p32); /* 32 bits under it drop */
    const vl_real keep = (vl_real)(1 / (1 - p));

    for (size_t i = begin; i < end;) { /* element i, and all that AT_ONCE draws from its own on give */
        size_t first = i / 2, stop = 2 * (first + AT_ONCE) < end ? 2 * (first + AT_ONCE) : end;
        uint64_t bits[AT_ONCE];
        vl_real m[2 * AT_ONCE];
        vl_rng_fill(d->seed, stream, first, (stop + 1) / 2 - first, bits);
        for (size_t k = 0; k < (stop + 1) / 2 - first; k++) {
            m[2 * k] = (bits[k] & UINT32_MAX) < below ? 0 : keep;
            m[2 * k + 1] = bits[k] >> 32 < below ? 0 : keep;
        }
        memcpy(mask + (i - begin), m + (i - 2 * first), (stop - i) * sizeof *m);
        i = stop;
    }
}

double vl_noise_blend(const vl_draws *d, double alpha, size_t n, uint32_t *perm)
{
    vl_rng_shuffle(d->seed, vl_rng_stream("blend", d->iter, d->step, 1), n, perm);
    return vl_rng_beta(d->seed, vl_rng_stream("blend", d->iter, d->step, 0), alpha);
}
