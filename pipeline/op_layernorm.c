/* SPDX-License-Identifier: MIT
 * op_layernorm -- y = g h + b with h = (x - mean) r, r = (var + eps)^(-1/2), mean and var over a row.
 *   x, y       [B,D];  g, b [D]
 *   P(a)       a - mean(a) - h mean(h a), of a row
 *   fwd        y   =  g h + b
 *   bwd        a = g gy:    gx += r P(a)          gg  += sum_B gy h               gb  += sum_B gy
 *   fwd_tan    ht = r P(xt);  yt = gt h + g ht + bt
 *   bwd_tan    at = g gyt + gt gy:
 *              gxt += r (P(at) - ht mean(h a) - h mean(ht a) - mean(h xt) r P(a))
 *                                                 ggt += sum_B gyt h + gy ht      gbt += sum_B gyt
 *              (the derivative of bwd along x' = xt: h' = ht, r' = -r^2 mean(h xt))
 * Saved: h [B,D], r [B], and where a tangent reaches x: ht [B,D], mean(h xt) [B]. Parts: rows for x, columns
 * for g and b: no partial sums. Means are summed in double.
 * Derivation: spec/math/layernorm.md. Source: Ba, Kiros and Hinton 2016; eps is 1e-5 in PyTorch. */
#include "pipeline/op.h"
#include "pipeline/sums.h"

#include <math.h>

static int shape(vlt_tape *t, vlt_node *y, vl_err *e)
{
    const vlt_node *x = vlt_in(t, y, 0), *g = vlt_in(t, y, 1), *b = vlt_in(t, y, 2);

    if (x->rank != 2 || g->rank != 1 || b->rank != 1 || g->dim[0] != x->dim[1] || b->dim[0] != x->dim[1] ||
        g->flow != b->flow)
        return vl_fail(e, VL_EARG, "shapes do not fit: x [B,D], g [D], b [D] wanted");
    if (!(y->scale > 0 && y->scale < 1))
        return vl_fail(e, VL_EARG, "eps %g, over 0 and under 1 wanted", y->scale);
    y->rank = 2;
    y->dim[0] = x->dim[0];
    y->dim[1] = x->dim[1];
    y->n_saved = (x->n + x->dim[0]) * (x->flow & VLT_T ? 2 : 1);
    return VL_OK;
}

typedef struct job {
    vlt_node *y;
    const vlt_node *x, *g, *b;
    size_t rows, d;
    vl_real *h, *r, *ht, *hx; /* hx: mean(h xt) */
} job;

static job make_job(vlt_tape *t, vlt_node *y)
{
    job j = {.y = y, .x = vlt_in(t, y, 0), .g = vlt_in(t, y, 1), .b = vlt_in(t, y, 2)};

    j.rows = y->dim[0];
    j.d = y->dim[1];
    j.h = y->saved;
    j.r = j.h + y->n;
    if (j.x->xt) {
        j.ht = j.r + j.rows;
        j.hx = j.ht + y->n;
    }
    return j;
}

static size_t row_grain(const job *j)
{
    return 1 + 8192 / j->d;
}

static double mean(const vl_real *a, size_t d)
{
    return vl_sum(a, d) / (double)d;
}

/* mean of a b c; c may be NULL: ones */
static double mean_of(const vl_real *a, const vl_real *b, const vl_real *c, size_t d)
{
    return (c ? vl_dot3(a, b, c, d) : vl_dot(a, b, d)) / (double)d;
}

static void fwd_rows(void *arg, size_t row, size_t end)
{
    const job *j = arg;
    size_t d = j->d;

    for (; row < end; row++) {
        const vl_real *x = j->x->x + row * d;
        vl_real *h = j->h + row * d, *y = j->y->x + row * d;
        double mu = mean(x, d), r = 1 / sqrt(vl_spread(x, mu, d) / (double)d + j->y->scale);
        j->r[row] = (vl_real)r;
        for (size_t i = 0; i < d; i++) {
            h[i] = (vl_real)(((double)x[i] - mu) * r);
            y[i] = j->g->x[i] * h[i] + j->b->x[i];
        }
    }
}

static void fwd(vlt_tape *t, vlt_node *y)
{
    job j = make_job(t, y);

    vlt_ranges(t, j.rows, row_grain(&j), fwd_rows, &j);
}

static void bwd_rows(void *arg, size_t row, size_t end)
{
    const job *j = arg;
    const vl_real *g = j->g->x;
    size_t d = j->d;

    for (; row < end; row++) {
        const vl_real *gy = j->y->gx + row * d, *h = j->h + row * d;
        vl_real *gx = j->x->gx + row * d, r = j->r[row];
        vl_real ma = (vl_real)mean_of(g, gy, NULL, d), mh = (vl_real)mean_of(g, gy, h, d);
        for (size_t i = 0; i < d; i++)
            gx[i] += r * (g[i] * gy[i] - ma - h[i] * mh);
    }
}

static void bwd_columns(void *arg, size_t lo, size_t end)
{
    const job *j = arg;

    for (size_t row = 0; row < j->rows; row++) {
        const vl_real *gy = j->y->gx + row * j->d, *h = j->h + row * j->d;
        for (size_t i = lo; i < end; i++) {
            j->g->gx[i] += gy[i] * h[i];
            j->b->gx[i] += gy[i];
        }
    }
}

static void bwd(vlt_tape *t, vlt_node *y)
{
    job j = make_job(t, y);

    if (j.x->gx)
        vlt_ranges(t, j.rows, row_grain(&j), bwd_rows, &j);
    if (j.g->gx)
        vlt_ranges(t, j.d, 256, bwd_columns, &j);
}

static void tangent_rows(void *arg, size_t row, size_t end)
{
    const job *j = arg;
    size_t d = j->d;

    for (; row < end; row++) {
        const vl_real *h = j->h + row * d, *g = j->g->x;
        vl_real *yt = j->y->xt + row * d;
        if (j->ht) {
            const vl_real *xt = j->x->xt + row * d;
            vl_real *ht = j->ht + row * d, r = j->r[row], m = (vl_real)mean(xt, d);
            vl_real hx = j->hx[row] = (vl_real)mean_of(h, xt, NULL, d);
            for (size_t i = 0; i < d; i++) {
                ht[i] = r * (xt[i] - m - h[i] * hx);
                yt[i] = g[i] * ht[i];
            }
        }
        if (j->g->xt)
            for (size_t i = 0; i < d; i++)
                yt[i] = (j->ht ? yt[i] : 0) + j->g->xt[i] * h[i] + j->b->xt[i];
    }
}

static void fwd_tan(vlt_tape *t, vlt_node *y)
{
    job j = make_job(t, y);

    vlt_ranges(t, j.rows, row_grain(&j), tangent_rows, &j);
}

/* gxt += r P(at) */
static void second_project(const job *j, size_t row)
{
    size_t d = j->d;
    const vl_real *g = j->g->x, *gt = j->g->xt, *h = j->h + row * d, *gyt = j->y->gxt + row * d;
    const vl_real *gy = gt ? j->y->gx + row * d : NULL;
    vl_real *out = j->x->gxt + row * d, r = j->r[row];
    double ma = mean_of(g, gyt, NULL, d), mh = mean_of(g, gyt, h, d);

    if (gt) {
        ma += mean_of(gt, gy, NULL, d);
        mh += mean_of(gt, gy, h, d);
    }
    for (size_t i = 0; i < d; i++)
        out[i] += r * (g[i] * gyt[i] - (vl_real)ma - h[i] * (vl_real)mh);
    if (gt)
        for (size_t i = 0; i < d; i++)
            out[i] += r * gt[i] * gy[i];
}

/* gxt -= r (ht mean(h a) + h mean(ht a) + mean(h xt) r P(a)) */
static void second_bend(const job *j, size_t row)
{
    size_t d = j->d;
    const vl_real *g = j->g->x, *h = j->h + row * d, *ht = j->ht + row * d, *gy = j->y->gx + row * d;
    vl_real *out = j->x->gxt + row * d, r = j->r[row], s = j->hx[row] * r;
    vl_real ma = (vl_real)mean_of(g, gy, NULL, d), mh = (vl_real)mean_of(g, gy, h, d);
    vl_real mht = (vl_real)mean_of(g, gy, ht, d);

    for (size_t i = 0; i < d; i++)
        out[i] -= r * (ht[i] * mh + h[i] * mht + s * (g[i] * gy[i] - ma - h[i] * mh));
}

static void second_rows(void *arg, size_t row, size_t end)
{
    const job *j = arg;

    for (; row < end; row++) {
        second_project(j, row);
        if (j->ht)
            second_bend(j, row);
    }
}

static void second_columns(void *arg, size_t lo, size_t end)
{
    const job *j = arg;

    for (size_t row = 0; row < j->rows; row++) {
        const vl_real *gyt = j->y->gxt + row * j->d, *h = j->h + row * j->d;
        for (size_t i = lo; i < end; i++) {
            j->g->gxt[i] += gyt[i] * h[i];
            j->b->gxt[i] += gyt[i];
        }
        if (j->ht) {
            const vl_real *gy = j->y->gx + row * j->d, *ht = j->ht + row * j->d;
            for (size_t i = lo; i < end; i++)
                j->g->gxt[i] += gy[i] * ht[i];
        }
    }
}

static void bwd_tan(vlt_tape *t, vlt_node *y)
{
    job j = make_job(t, y);

    if (j.x->gxt)
        vlt_ranges(t, j.rows, row_grain(&j), second_rows, &j);
    if (j.g->gxt)
        vlt_ranges(t, j.d, 256, second_columns, &j);
}

const vlt_op vlt_op_layernorm = {"layernorm", 3, shape, fwd, bwd, fwd_tan, bwd_tan};
