/* SPDX-License-Identifier: MIT
 * op_linear -- y [B,N] = x [B,K] w [K,N] + b [N].
 *   fwd        y   =  x w + b
 *   bwd        gx  += gy w^T              gw  += x^T gy                gb  += sum_B gy
 *   fwd_tan    yt  =  x wt + bt + xt w
 *   bwd_tan    gxt += gyt w^T + gy wt^T   gwt += x^T gyt + xt^T gy     gbt += sum_B gyt
 * Saved: nothing. */
#include "pipeline/op_product.h"

static int shape(vlt_tape *t, vlt_node *y, vl_err *e)
{
    const vlt_node *x = vlt_in(t, y, 0), *w = vlt_in(t, y, 1), *b = vlt_in(t, y, 2);

    if (x->rank != 2 || w->rank != 2 || b->rank != 1 || x->dim[1] != w->dim[0] || w->dim[1] != b->dim[0] ||
        w->flow != b->flow)
        return vl_fail(e, VL_EARG, "shapes do not fit: x [B,K], w [K,N], b [N] wanted");
    y->rank = 2;
    y->dim[0] = x->dim[0];
    y->dim[1] = w->dim[1];
    return VL_OK;
}

static vlt_sizes sizes(vlt_tape *t, const vlt_node *y)
{
    return (vlt_sizes){y->dim[0], vlt_in(t, y, 1)->dim[0], y->dim[1]};
}

static void fwd(vlt_tape *t, vlt_node *y)
{
    const vlt_node *x = vlt_in(t, y, 0), *w = vlt_in(t, y, 1), *b = vlt_in(t, y, 2);

    vlt_product(t, sizes(t, y), 1, x->x, w->x, b->x, 0, y->x);
}

static void bwd(vlt_tape *t, vlt_node *y)
{
    const vlt_node *x = vlt_in(t, y, 0), *w = vlt_in(t, y, 1), *b = vlt_in(t, y, 2);
    vlt_sizes s = sizes(t, y);

    vlt_product_data(t, s, 1, y->gx, w->x, x->gx);
    vlt_product_weights(t, s, 1, x->x, y->gx, w->gx);
    vlt_sum_rows(t, s.b, s.n, y->gx, b->gx);
}

static void fwd_tan(vlt_tape *t, vlt_node *y)
{
    const vlt_node *x = vlt_in(t, y, 0), *w = vlt_in(t, y, 1), *b = vlt_in(t, y, 2);

    if (w->xt)
        vlt_product(t, sizes(t, y), 1, x->x, w->xt, b->xt, 0, y->xt);
    if (x->xt)
        vlt_product(t, sizes(t, y), 1, x->xt, w->x, NULL, w->xt ? 1 : 0, y->xt);
}

static void bwd_tan(vlt_tape *t, vlt_node *y)
{
    const vlt_node *x = vlt_in(t, y, 0), *w = vlt_in(t, y, 1), *b = vlt_in(t, y, 2);
    vlt_sizes s = sizes(t, y);

    vlt_product_data(t, s, 1, y->gxt, w->x, x->gxt);
    vlt_product_data(t, s, 1, y->gx, w->xt, x->gxt);
    vlt_product_weights(t, s, 1, x->x, y->gxt, w->gxt);
    vlt_product_weights(t, s, 1, x->xt, y->gx, w->gxt);
    vlt_sum_rows(t, s.b, s.n, y->gxt, b->gxt);
}

const vlt_op vlt_op_linear = {"linear", 3, shape, fwd, bwd, fwd_tan, bwd_tan};
