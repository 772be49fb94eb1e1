/* SPDX-License-Identifier: MIT
 * op_linear -- y [B,N] = x [B,K] w [K,N] + b [N].
 *   fwd        y   =  x w + b
 *   bwd        gx  += gy w^T              gw  += x^T gy                gb  += sum_B gy
 *   fwd_tan    yt  =  xt w + x wt + bt
 *   bwd_tan    gxt += gyt w^T + gy wt^T   gwt += x^T gyt + xt^T gy     gbt += sum_B gyt
 * Saved: nothing. Parts: rows of w for gw, columns of w for the products with w: no partial sums. */
#include "pipeline/blas.h"
#include "pipeline/op.h"

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

typedef struct job {
    size_t b, k, n, parts;
    const vl_real *x, *w, *bias, *g;
    vl_real *out;
    vl_real beta;
} job;

static job make_job(vlt_tape *t, const vlt_node *y)
{
    const vlt_node *w = vlt_in(t, y, 1);
    job j = {.b = y->dim[0], .k = w->dim[0], .n = w->dim[1], .beta = 1};

    return j;
}

/* Small products are not worth waking a thread for. */
static size_t parts_of(const job *j, size_t cut)
{
    size_t parts = j->b * j->k * j->n / 500000;

    parts = parts < cut / 32 ? parts : cut / 32;
    return parts < 1 ? 1 : parts > VLT_PARTS ? VLT_PARTS : parts;
}

static void product_part(void *arg, size_t part, int worker)
{
    const job *j = arg;
    size_t lo = vlt_part_begin(j->n, j->parts, part), hi = vlt_part_begin(j->n, j->parts, part + 1);

    (void)worker;
    if (j->bias)
        for (size_t r = 0; r < j->b; r++)
            for (size_t i = lo; i < hi; i++)
                j->out[r * j->n + i] = j->bias[i];
    vl_gemm(0, 0, j->b, hi - lo, j->k, 1, j->x, j->k, j->w + lo, j->n, j->beta, j->out + lo, j->n);
}

/* out = x w + bias, or out (+)= x w without */
static void product(vlt_tape *t, job *j, const vl_real *x, const vl_real *w, const vl_real *bias,
                    vl_real beta, vl_real *out)
{
    j->x = x;
    j->w = w;
    j->bias = bias;
    j->out = out;
    j->beta = bias ? 1 : beta;
    j->parts = parts_of(j, j->n);
    vl_pool_run(vlt_pool(t), j->parts, product_part, j);
}

static void fwd(vlt_tape *t, vlt_node *y)
{
    const vlt_node *x = vlt_in(t, y, 0), *w = vlt_in(t, y, 1), *b = vlt_in(t, y, 2);
    job j = make_job(t, y);

    product(t, &j, x->x, w->x, b->x, 0, y->x);
}

static void fwd_tan(vlt_tape *t, vlt_node *y)
{
    const vlt_node *x = vlt_in(t, y, 0), *w = vlt_in(t, y, 1), *b = vlt_in(t, y, 2);
    job j = make_job(t, y);
    vl_real beta = 0;

    if (w->xt) {
        product(t, &j, x->x, w->xt, b->xt, 0, y->xt);
        beta = 1;
    }
    if (x->xt)
        product(t, &j, x->xt, w->x, NULL, beta, y->xt);
}

static void data_part(void *arg, size_t part, int worker)
{
    const job *j = arg;
    size_t lo = vlt_part_begin(j->k, j->parts, part), hi = vlt_part_begin(j->k, j->parts, part + 1);

    (void)worker;
    vl_gemm(0, 1, j->b, hi - lo, j->n, 1, j->g, j->n, j->w + lo * j->n, j->n, 1, j->out + lo, j->k);
}

/* gx += g w^T */
static void to_data(vlt_tape *t, job *j, const vl_real *g, const vl_real *w, vl_real *gx)
{
    if (!g || !w || !gx)
        return;
    j->g = g;
    j->w = w;
    j->out = gx;
    j->parts = parts_of(j, j->k);
    vl_pool_run(vlt_pool(t), j->parts, data_part, j);
}

static void weight_part(void *arg, size_t part, int worker)
{
    const job *j = arg;
    size_t lo = vlt_part_begin(j->k, j->parts, part), hi = vlt_part_begin(j->k, j->parts, part + 1);

    (void)worker;
    vl_gemm(1, 0, hi - lo, j->n, j->b, 1, j->x + lo, j->k, j->g, j->n, 1, j->out + lo * j->n, j->n);
}

/* gw += x^T g */
static void to_weights(vlt_tape *t, job *j, const vl_real *x, const vl_real *g, vl_real *gw)
{
    if (!x || !g || !gw)
        return;
    j->x = x;
    j->g = g;
    j->out = gw;
    j->parts = parts_of(j, j->k);
    vl_pool_run(vlt_pool(t), j->parts, weight_part, j);
}

static void to_bias(const job *j, const vl_real *g, vl_real *gb)
{
    if (!gb)
        return;
    for (size_t r = 0; r < j->b; r++)
        for (size_t i = 0; i < j->n; i++)
            gb[i] += g[r * j->n + i];
}

static void bwd(vlt_tape *t, vlt_node *y)
{
    const vlt_node *x = vlt_in(t, y, 0), *w = vlt_in(t, y, 1), *b = vlt_in(t, y, 2);
    job j = make_job(t, y);

    to_data(t, &j, y->gx, w->x, x->gx);
    to_weights(t, &j, x->x, y->gx, w->gx);
    to_bias(&j, y->gx, b->gx);
}

static void bwd_tan(vlt_tape *t, vlt_node *y)
{
    const vlt_node *x = vlt_in(t, y, 0), *w = vlt_in(t, y, 1), *b = vlt_in(t, y, 2);
    job j = make_job(t, y);

    to_data(t, &j, y->gxt, w->x, x->gxt);
    to_data(t, &j, y->gx, w->xt, x->gxt);
    to_weights(t, &j, x->x, y->gxt, w->gxt);
    to_weights(t, &j, x->xt, y->gx, w->gxt);
    to_bias(&j, y->gxt, b->gxt);
}

const vlt_op vlt_op_linear = {"linear", 3, shape, fwd, bwd, fwd_tan, bwd_tan};
