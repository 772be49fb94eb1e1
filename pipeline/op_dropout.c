/* SPDX-License-Identifier: MIT
 * op_dropout -- y = m x, elementwise; m is 0 with probability p, else 1 / (1 - p).
 *   all        [any shape]
 *   fwd        m drawn;  y = m x
 *   bwd        gx  += m gy
 *   fwd_tan    yt  =  m xt
 *   bwd_tan    gxt += m gyt
 * The mask is a function of the tape's draw (vlt_draw) and the op's site, never of the call: another forward
 * with the same draw, minutes later or on another machine, meets the same mask (pipeline/noise.h).
 * Saved: m. */
#include "pipeline/op.h"

#include <string.h>

enum { GRAIN = 4096 };

typedef struct job {
    const vl_draws *draws;
    double p;
    uint64_t site;
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

static void draw(void *arg, size_t i, size_t end)
{
    const job *j = arg;
    const vl_real *restrict x = j->x;
    vl_real *restrict mask = j->mask, *restrict out = j->out;

    vl_noise_dropout(j->draws, j->p, j->site, i, end, mask + i);
    for (; i < end; i++)
        out[i] = x[i] * mask[i];
}

static void fwd(vlt_tape *t, vlt_node *y)
{
    job j = {.draws = vlt_draw_of(t), .p = y->scale, .site = (uint64_t)y->attr[0]};

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
