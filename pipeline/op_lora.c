/* SPDX-License-Identifier: MIT
 * op_lora -- y [B,N] = x [B,K] w [K,N] + b [N] + c (x p) q, a linear layer with a low-rank correction:
 * p [K,r], q [r,N]; c = alpha / r.
 *   u = x p                               gu = c gy q^T
 *   ut = xt p + x pt                      gut = c (gyt q^T + gy qt^T)
 *   fwd        y   =  x w + b + c u q
 *   bwd        gx  += gy w^T + gu p^T                       gp  += x^T gu              gq  += c u^T gy
 *   fwd_tan    yt  =  x wt + bt + xt w + c (ut q + u qt)
 *   bwd_tan    gxt += gyt w^T + gy wt^T + gut p^T + gu pt^T
 *                                         gpt += x^T gut + xt^T gu    gqt += c (u^T gyt + ut^T gy)
 *   and gw, gb, gwt, gbt as in op_linear, where they are wanted: a frozen w costs no product of its own.
 * Saved: u [B,r]; where tangents come in, ut [B,r]. Common scratch: gu, gut.
 * Derivation: spec/math/lora.md. Source: Hu et al. 2021. */
#include "pipeline/op_product.h"

#include <string.h>

enum { X, W, BIAS, P, Q };

static int shape(vlt_tape *t, vlt_node *y, vl_err *e)
{
    const vlt_node *x = vlt_in(t, y, X), *w = vlt_in(t, y, W), *b = vlt_in(t, y, BIAS);
    const vlt_node *p = vlt_in(t, y, P), *q = vlt_in(t, y, Q);

    if (x->rank != 2 || w->rank != 2 || b->rank != 1 || p->rank != 2 || q->rank != 2 ||
        x->dim[1] != w->dim[0] || w->dim[1] != b->dim[0] || p->dim[0] != w->dim[0] ||
        q->dim[1] != w->dim[1] || p->dim[1] != q->dim[0] || w->flow != b->flow || p->flow != q->flow)
        return vl_fail(e, VL_EARG, "shapes do not fit: x [B,K], w [K,N], b [N], p [K,r], q [r,N] wanted");
    y->rank = 2;
    y->dim[0] = x->dim[0];
    y->dim[1] = w->dim[1];
    y->n_saved = x->dim[0] * p->dim[1] * ((x->flow | p->flow) & VLT_T ? 2 : 1);
    y->n_common = 2 * x->dim[0] * p->dim[1];
    return VL_OK;
}

typedef struct job {
    const vlt_node *x, *w, *b, *p, *q;
    vl_real c, *u, *ut; /* ut: NULL without tangents of x and p */
    vl_real *gu, *gut;
    vlt_sizes whole, down, up; /* of w, p, q */
} job;

static job make_job(vlt_tape *t, vlt_node *y)
{
    job j = {.x = vlt_in(t, y, X), .w = vlt_in(t, y, W), .b = vlt_in(t, y, BIAS)};
    size_t b = y->dim[0], k, n = y->dim[1], r;

    j.p = vlt_in(t, y, P);
    j.q = vlt_in(t, y, Q);
    k = j.p->dim[0];
    r = j.p->dim[1];
    j.c = (vl_real)y->scale;
    j.u = y->saved;
    j.ut = (j.x->flow | j.p->flow) & VLT_T ? y->saved + b * r : NULL;
    j.gu = vlt_common(t);
    j.gut = j.gu + b * r;
    j.whole = (vlt_sizes){b, k, n};
    j.down = (vlt_sizes){b, k, r};
    j.up = (vlt_sizes){b, r, n};
    return j;
}

static void fwd(vlt_tape *t, vlt_node *y)
{
    job j = make_job(t, y);

    vlt_product(t, j.whole, 1, j.x->x, j.w->x, j.b->x, 0, y->x);
    vlt_product(t, j.down, 1, j.x->x, j.p->x, NULL, 0, j.u);
    vlt_product(t, j.up, j.c, j.u, j.q->x, NULL, 1, y->x);
}

/* gu = c g q^T, added up in a cleared gu */
static void to_middle(vlt_tape *t, const job *j, const vl_real *g, const vl_real *q, bool first, vl_real *gu)
{
    if (first)
        memset(gu, 0, j->down.b * j->down.n * sizeof *gu);
    vlt_product_data(t, j->up, j->c, g, q, gu);
}

static void bwd(vlt_tape *t, vlt_node *y)
{
    job j = make_job(t, y);

    if (j.x->gx || j.p->gx)
        to_middle(t, &j, y->gx, j.q->x, true, j.gu);
    vlt_product_data(t, j.whole, 1, y->gx, j.w->x, j.x->gx);
    vlt_product_data(t, j.down, 1, j.gu, j.p->x, j.x->gx);
    vlt_product_weights(t, j.whole, 1, j.x->x, y->gx, j.w->gx);
    vlt_sum_rows(t, j.whole.b, j.whole.n, y->gx, j.b->gx);
    vlt_product_weights(t, j.down, 1, j.x->x, j.gu, j.p->gx);
    vlt_product_weights(t, j.up, j.c, j.u, y->gx, j.q->gx);
}

static void fwd_tan(vlt_tape *t, vlt_node *y)
{
    job j = make_job(t, y);
    vl_real beta = 0;

    if (j.w->xt) {
        vlt_product(t, j.whole, 1, j.x->x, j.w->xt, j.b->xt, 0, y->xt);
        beta = 1;
    }
    if (j.x->xt) {
        vlt_product(t, j.whole, 1, j.x->xt, j.w->x, NULL, beta, y->xt);
        vlt_product(t, j.down, 1, j.x->xt, j.p->x, NULL, 0, j.ut);
        beta = 1;
    }
    if (j.p->xt)
        vlt_product(t, j.down, 1, j.x->x, j.p->xt, NULL, j.x->xt ? 1 : 0, j.ut);
    if (j.ut) {
        vlt_product(t, j.up, j.c, j.ut, j.q->x, NULL, beta, y->xt);
        beta = 1;
    }
    if (j.q->xt)
        vlt_product(t, j.up, j.c, j.u, j.q->xt, NULL, beta, y->xt);
}

/* The terms of x and p. Those with gu are there with a tangent of x or p alone, and then gy is. */
static void second_middle(vlt_tape *t, const job *j, const vlt_node *y)
{
    if (!j->x->gxt && !j->p->gxt)
        return;
    to_middle(t, j, y->gxt, j->q->x, true, j->gut);
    to_middle(t, j, y->gx, j->q->xt, false, j->gut);
    vlt_product_data(t, j->down, 1, j->gut, j->p->x, j->x->gxt);
    vlt_product_weights(t, j->down, 1, j->x->x, j->gut, j->p->gxt);
    if (!j->ut)
        return;
    to_middle(t, j, y->gx, j->q->x, true, j->gu);
    vlt_product_data(t, j->down, 1, j->gu, j->p->xt, j->x->gxt);
    vlt_product_weights(t, j->down, 1, j->x->xt, j->gu, j->p->gxt);
}

static void bwd_tan(vlt_tape *t, vlt_node *y)
{
    job j = make_job(t, y);

    second_middle(t, &j, y);
    vlt_product_data(t, j.whole, 1, y->gxt, j.w->x, j.x->gxt);
    vlt_product_data(t, j.whole, 1, y->gx, j.w->xt, j.x->gxt);
    vlt_product_weights(t, j.whole, 1, j.x->x, y->gxt, j.w->gxt);
    vlt_product_weights(t, j.whole, 1, j.x->xt, y->gx, j.w->gxt);
    vlt_sum_rows(t, j.whole.b, j.whole.n, y->gxt, j.b->gxt);
    vlt_product_weights(t, j.up, j.c, j.u, y->gxt, j.q->gxt);
    vlt_product_weights(t, j.up, j.c, j.ut, y->gx, j.q->gxt);
}

const vlt_op vlt_op_lora = {"lora", 5, shape, fwd, bwd, fwd_tan, bwd_tan};
