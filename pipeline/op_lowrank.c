/* SPDX-License-Identifier: MIT
 * op_lowrank -- s [B,B] = c L R^T + diag(w), L and R [B,r], w [B]; c = alpha / r.
 *   fwd        s   =  c L R^T + diag(w)
 *   bwd        gL  += c gs R                   gR  += c gs^T L                     gw  += diag gs
 *   fwd_tan    st  =  c (Lt R^T + L Rt^T) + diag(wt)
 *   bwd_tan    gLt += c (gst R + gs Rt)        gRt += c (gst^T L + gs^T Lt)        gwt += diag gst
 * A mini-batch's sub-matrix of S is made of the batch's rows of L, R and w: B rows are gathered and scattered
 * like the pairs themselves, never a matrix of all pairs.
 * Saved: nothing. Derivation: spec/math/lowrank.md. Source: Xu et al. 2024 (LoRS). */
#include "pipeline/blas.h"
#include "pipeline/op.h"

#include <string.h>

static int shape(vlt_tape *t, vlt_node *y, vl_err *e)
{
    const vlt_node *l = vlt_in(t, y, 0), *r = vlt_in(t, y, 1), *w = vlt_in(t, y, 2);

    if (l->rank != 2 || r->rank != 2 || w->rank != 1 || l->dim[0] != r->dim[0] || l->dim[1] != r->dim[1] ||
        w->dim[0] != l->dim[0])
        return vl_fail(e, VL_EARG, "shapes do not fit: L [B,r], R [B,r], w [B] wanted");
    y->rank = 2;
    y->dim[0] = y->dim[1] = l->dim[0];
    return VL_OK;
}

/* out[B,B] (+)= c u v^T */
static void outer(const vlt_node *y, const vlt_node *u, const vl_real *ux, const vl_real *vx, vl_real beta,
                  vl_real *out)
{
    size_t b = u->dim[0], r = u->dim[1];

    vl_gemm(0, 1, b, b, r, (vl_real)y->scale, ux, r, vx, r, beta, out, b);
}

/* out[B,r] += c op(g)[B,B] a[B,r] */
static void times(const vlt_node *y, size_t r, int transpose, const vl_real *g, const vl_real *a,
                  vl_real *out)
{
    size_t b = y->dim[0];

    if (out && g && a)
        vl_gemm(transpose, 0, b, r, b, (vl_real)y->scale, g, b, a, r, 1, out, r);
}

static void add_diagonal(const vlt_node *y, const vl_real *w, vl_real *out)
{
    for (size_t i = 0; w && i < y->dim[0]; i++)
        out[i * y->dim[0] + i] += w[i];
}

static void take_diagonal(const vlt_node *y, const vl_real *g, vl_real *gw)
{
    for (size_t i = 0; gw && i < y->dim[0]; i++)
        gw[i] += g[i * y->dim[0] + i];
}

static void fwd(vlt_tape *t, vlt_node *y)
{
    const vlt_node *l = vlt_in(t, y, 0), *r = vlt_in(t, y, 1), *w = vlt_in(t, y, 2);

    outer(y, l, l->x, r->x, 0, y->x);
    add_diagonal(y, w->x, y->x);
}

static void bwd(vlt_tape *t, vlt_node *y)
{
    const vlt_node *l = vlt_in(t, y, 0), *r = vlt_in(t, y, 1), *w = vlt_in(t, y, 2);

    times(y, l->dim[1], 0, y->gx, r->x, l->gx);
    times(y, l->dim[1], 1, y->gx, l->x, r->gx);
    take_diagonal(y, y->gx, w->gx);
}

static void fwd_tan(vlt_tape *t, vlt_node *y)
{
    const vlt_node *l = vlt_in(t, y, 0), *r = vlt_in(t, y, 1), *w = vlt_in(t, y, 2);

    memset(y->xt, 0, y->n * sizeof *y->xt);
    if (l->xt)
        outer(y, l, l->xt, r->x, 1, y->xt);
    if (r->xt)
        outer(y, l, l->x, r->xt, 1, y->xt);
    add_diagonal(y, w->xt, y->xt);
}

static void bwd_tan(vlt_tape *t, vlt_node *y)
{
    const vlt_node *l = vlt_in(t, y, 0), *r = vlt_in(t, y, 1), *w = vlt_in(t, y, 2);
    size_t k = l->dim[1];

    times(y, k, 0, y->gxt, r->x, l->gxt);
    times(y, k, 0, y->gx, r->xt, l->gxt);
    times(y, k, 1, y->gxt, l->x, r->gxt);
    times(y, k, 1, y->gx, l->xt, r->gxt);
    take_diagonal(y, y->gxt, w->gxt);
}

const vlt_op vlt_op_lowrank = {"lowrank", 3, shape, fwd, bwd, fwd_tan, bwd_tan};
