/* SPDX-License-Identifier: MIT
 * op_matrix -- y [B,N] = x [B,K] W + b [N] for a W that only its owner can multiply by, such as one that is never
 * formed (distill/lowrank_second.c). The owner has W's tangent W' as well, and keeps what it needs of the x and gy
 * that it sees: they are the factors of W's gradient, x^T gy.
 *   fwd        y   =  x W + b
 *   bwd        gx  += gy W^T                              gb  += sum_B gy
 *   fwd_tan    yt  =  xt W + x W' + bt
 *   bwd_tan    gxt += gyt W^T + gy W'^T                   gbt += sum_B gyt
 * Saved: nothing. */
#include "pipeline/op_product.h"

enum { GRAIN = 16384 };

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

/* out += b in every row; a part has some columns, as vlt_sum_rows's. */
typedef struct sums {
    const vlt_node *y;
    const vl_real *b;
    vl_real *out;
} sums;

static void add_columns(void *arg, size_t lo, size_t end)
{
    const sums *j = arg;

    for (size_t r = 0; r < j->y->dim[0]; r++)
        for (size_t i = lo; i < end; i++)
            j->out[r * j->y->dim[1] + i] += j->b[i];
}

static void add_rows(vlt_tape *t, const vlt_node *y, const vl_real *b, vl_real *out)
{
    sums j = {y, b, out};

    vlt_ranges(t, y->dim[1], 1 + GRAIN / y->dim[0], add_columns, &j);
}

static void fwd(vlt_tape *t, vlt_node *y)
{
    y->map->forward(y->map->owner, vlt_in(t, y, 0)->x, y->x);
    add_rows(t, y, vlt_in(t, y, 1)->x, y->x);
}

static void bwd(vlt_tape *t, vlt_node *y)
{
    y->map->backward(y->map->owner, y->gx, vlt_in(t, y, 0)->gx);
    vlt_sum_rows(t, y->dim[0], y->dim[1], y->gx, vlt_in(t, y, 1)->gx);
}

static void fwd_tan(vlt_tape *t, vlt_node *y)
{
    y->map->forward_tangent(y->map->owner, vlt_in(t, y, 0)->xt, y->xt);
    if (vlt_in(t, y, 1)->xt)
        add_rows(t, y, vlt_in(t, y, 1)->xt, y->xt);
}

static void bwd_tan(vlt_tape *t, vlt_node *y)
{
    y->map->backward_tangent(y->map->owner, y->gxt, vlt_in(t, y, 0)->gxt);
    vlt_sum_rows(t, y->dim[0], y->dim[1], y->gxt, vlt_in(t, y, 1)->gxt);
}

const vlt_op vlt_op_matrix = {"matrix", 2, shape, fwd, bwd, fwd_tan, bwd_tan};
