/* SPDX-License-Identifier: MIT
 * op_first -- y [B,D]: the first of every N rows of x [B N, D], a transformer's class token.
 *   fwd        y_b =  x_(b N)
 *   bwd        gx_(b N) += gy_b
 *   fwd_tan, bwd_tan: linear, the same with the tangents
 * Saved: nothing. */
#include "pipeline/op.h"

#include <string.h>

static int shape(vlt_tape *t, vlt_node *y, vl_err *e)
{
    const vlt_node *x = vlt_in(t, y, 0);

    if (x->rank != 2 || y->attr[1] < 1 || x->dim[0] % (size_t)y->attr[1])
        return vl_fail(e, VL_EARG, "x [B %d, D] wanted", y->attr[1]);
    y->rank = 2;
    y->dim[0] = x->dim[0] / (size_t)y->attr[1];
    y->dim[1] = x->dim[1];
    return VL_OK;
}

static void take(const vlt_node *y, const vl_real *x, vl_real *out)
{
    size_t d = y->dim[1], step = (size_t)y->attr[1] * d;

    for (size_t b = 0; b < y->dim[0]; b++)
        memcpy(out + b * d, x + b * step, d * sizeof *out);
}

static void give(const vlt_node *y, const vl_real *g, vl_real *gx)
{
    size_t d = y->dim[1], step = (size_t)y->attr[1] * d;

    for (size_t b = 0; b < y->dim[0]; b++)
        for (size_t i = 0; i < d; i++)
            gx[b * step + i] += g[b * d + i];
}

static void fwd(vlt_tape *t, vlt_node *y)
{
    take(y, vlt_in(t, y, 0)->x, y->x);
}

static void bwd(vlt_tape *t, vlt_node *y)
{
    give(y, y->gx, vlt_in(t, y, 0)->gx);
}

static void fwd_tan(vlt_tape *t, vlt_node *y)
{
    take(y, vlt_in(t, y, 0)->xt, y->xt);
}

static void bwd_tan(vlt_tape *t, vlt_node *y)
{
    give(y, y->gxt, vlt_in(t, y, 0)->gxt);
}

const vlt_op vlt_op_first = {"first", 1, shape, fwd, bwd, fwd_tan, bwd_tan};
