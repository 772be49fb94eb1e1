/* SPDX-License-Identifier: MIT
 * op_matrix -- y [B,N] = x [B,K] W + b [N] for a W that only its owner can multiply by, such as one that is never
 * formed (distill/lowrank_second.c). The owner has W's tangent W' as well, and keeps what it needs of the x and gy
 * that it sees: they are the factors of W's gradient, x^T gy.
 *   fwd        y   =  x W + b
 *   bwd        gx  += gy W^T                              gb  += sum_B gy
 *   fwd_tan    yt  =  xt W + x W' + bt
 *   bwd_tan    gxt += gyt W^T + gy W'^T                   gbt += sum_B gyt
 * Saved: nothing. */
#include "pipeline/op.h"

static int shape(vlt_tape *t, vlt_node *y, vl_err *e)
{
    const vlt_node *x = vlt_in(t, y, 0), *b = vlt_in(t, y, 1);

    if (x->rank != 2 || b->rank != 1 || x->dim[1] != y->map->k || b->dim[0] != y->map->n)
        return vl_fail(e, VL_EARG, "shapes do not fit: x [B,%zu], b [%zu] wanted", y->map->k, y->map->n);
    y->rank = 2;
    y->dim[0] = x->dim[0];
    y->dim[1] = y->map->n;
    return VL_OK;
}

static void add_rows(const vlt_node *y, const vl_real *b, vl_real *out)
{
    for (size_t r = 0; r < y->dim[0]; r++, out += y->dim[1])
        for (size_t i = 0; i < y->dim[1]; i++)
            out[i] += b[i];
}

static void sum_rows(const vlt_node *y, const vl_real *g, vl_real *gb)
{
    for (size_t r = 0; gb && r < y->dim[0]; r++, g += y->dim[1])
        for (size_t i = 0; i < y->dim[1]; i++)
            gb[i] += g[i];
}

static void fwd(vlt_tape *t, vlt_node *y)
{
    y->map->forward(y->map->owner, vlt_in(t, y, 0)->x, y->x);
    add_rows(y, vlt_in(t, y, 1)->x, y->x);
}

static void bwd(vlt_tape *t, vlt_node *y)
{
    y->map->backward(y->map->owner, y->gx, vlt_in(t, y, 0)->gx);
    sum_rows(y, y->gx, vlt_in(t, y, 1)->gx);
}

static void fwd_tan(vlt_tape *t, vlt_node *y)
{
    y->map->forward_tangent(y->map->owner, vlt_in(t, y, 0)->xt, y->xt);
    if (vlt_in(t, y, 1)->xt)
        add_rows(y, vlt_in(t, y, 1)->xt, y->xt);
}

static void bwd_tan(vlt_tape *t, vlt_node *y)
{
    y->map->backward_tangent(y->map->owner, y->gxt, vlt_in(t, y, 0)->gxt);
    sum_rows(y, y->gxt, vlt_in(t, y, 1)->gxt);
}

const vlt_op vlt_op_matrix = {"matrix", 2, shape, fwd, bwd, fwd_tan, bwd_tan};
