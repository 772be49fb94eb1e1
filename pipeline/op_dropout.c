/* SPDX-License-Identifier: MIT
 * op_dropout -- y = m x, elementwise; m is 0 with probability p, else 1 / (1 - p).
 *   all        [any shape]
 *   fwd        m drawn;  y = m x
 *   bwd        gx  += m gy
 *   fwd_tan    yt  =  m xt
 *   bwd_tan    gxt += m gyt
 * The mask is a function of the tape's draw (vlt_draw) and the op's site, never of the call: another forward
 * with the same draw, minutes later or on another machine, meets the same mask. Element i is dropped when
 * half i mod 2 (low first) of vl_rng(seed, vl_rng_stream("dropout", iter, step, site), i / 2) is below
 * p 2^32.
 * Saved: m. */
#include "pipeline/op.h"
#include "pipeline/rng.h"

#include <math.h>
#include <string.h>

enum { GRAIN = 4096 };

typedef struct job {
    uint64_t seed, stream, below; /* below: 32 bits under it drop */
    vl_real keep;                 /* 1 / (1 - p) */
    const vl_real *x, *m;
    vl_real *out, *mask;
} job;

static int shape(vlt_tape *t, vlt_node *y, vl_err *e)
{
    const vlt_node *x = vlt_in(t, y, 0);

    if (!(y->scale >= 0 && y->scale < 1))
        return vl_fail(e, VL_EARG, "probability %g, at least 0 and less than 1 wanted", y->scale);
    y->rank = x->rank;
    memcpy(y->dim, x->dim, sizeof y->dim);
    y->n_saved = x->n;
    return VL_OK;
}

enum { RUN = 512 }; /* elements whose halves are drawn at once; even */

static void draw(void *arg, size_t i, size_t end)
{
    const job *j = arg;
    uint32_t half[RUN];

    while (i < end) {
        size_t odd = i & 1, n = end - i < RUN - odd ? end - i : RUN - odd;
        const vl_real *restrict x = j->x + i;
        vl_real *restrict mask = j->mask + i, *restrict out = j->out + i;
        vl_rng_halves(j->seed, j->stream, i / 2, n + odd, half);
        for (size_t k = 0; k < n; k++) {
            mask[k] = half[k + odd] < j->below ? 0 : j->keep;
            out[k] = x[k] * mask[k];
        }
        i += n;
    }
}

static void fwd(vlt_tape *t, vlt_node *y)
{
    const vlt_draws *d = vlt_draw_of(t);
    job j = {.seed = d->seed, .stream = vl_rng_stream("dropout", d->iter, d->step, (uint64_t)y->attr[0])};

    j.below = (uint64_t)ceil(y->scale * 0x1p32);
    j.keep = (vl_real)(1 / (1 - y->scale));
    j.x = vlt_in(t, y, 0)->x;
    j.out = y->x;
    j.mask = y->saved;
    vlt_ranges(t, y->n, GRAIN, draw, &j);
}

static void mul(void *arg, size_t i, size_t end)
{
    const job *j = arg;
    const vl_real *restrict x = j->x, *restrict m = j->m;
    vl_real *restrict out = j->out;

    for (; i < end; i++)
        out[i] = x[i] * m[i];
}

static void mul_add(void *arg, size_t i, size_t end)
{
    const job *j = arg;
    const vl_real *restrict x = j->x, *restrict m = j->m;
    vl_real *restrict out = j->out;

    for (; i < end; i++)
        out[i] += x[i] * m[i];
}

static void apply(vlt_tape *t, vlt_node *y, vlt_range_fn fn, const vl_real *x, vl_real *out)
{
    job j = {.x = x, .m = y->saved, .out = out};

    vlt_ranges(t, y->n, 2 * GRAIN, fn, &j);
}

static void bwd(vlt_tape *t, vlt_node *y)
{
    apply(t, y, mul_add, y->gx, vlt_in(t, y, 0)->gx);
}

static void fwd_tan(vlt_tape *t, vlt_node *y)
{
    apply(t, y, mul, vlt_in(t, y, 0)->xt, y->xt);
}

static void bwd_tan(vlt_tape *t, vlt_node *y)
{
    apply(t, y, mul_add, y->gxt, vlt_in(t, y, 0)->gxt);
}

const vlt_op vlt_op_dropout = {"dropout", 1, shape, fwd, bwd, fwd_tan, bwd_tan};
