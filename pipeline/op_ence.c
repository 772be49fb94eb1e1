/* SPDX-License-Identifier: MIT
 * op_ence -- contrastive loss of logits z [B,B] against a similarity s [B,B]; nats. With s = I it is infonce.
 *   p, q       softmax of the rows and of the columns of z
 *   a_i, c_j   sums of the rows and of the columns of s
 *   fwd        l   =  -(1/2B) sum_ij s_ij (log p_ij + log q_ij)
 *   bwd        gz  += gl G / 2B,  G_ij = a_i p_ij + c_j q_ij - 2 s_ij
 *              gs  += gl W / 2B,  W_ij = -log p_ij - log q_ij
 *   fwd_tan    lt  =  sum_ij (G_ij zt_ij + W_ij st_ij) / 2B
 *   bwd_tan    m_i = sum_k p_ik zt_ik, n_j = sum_k q_kj zt_kj; at, ct: sums of st
 *              gzt += glt G / 2B + gl Gt / 2B,  Gt_ij = at_i p_ij + a_i p_ij (zt_ij - m_i)
 *                                                     + ct_j q_ij + c_j q_ij (zt_ij - n_j) - 2 st_ij
 *              gst += glt W / 2B + gl Wt / 2B,  Wt_ij = m_i + n_j - 2 zt_ij
 * Saved: log p, log q [B,B] each; a, c [B] each; four more [B] for m, n, at, ct. Sums in double.
 * Derivation: spec/math/ence.md. Source: eNCE of Xu et al. 2024 (LoRS). */
#include "pipeline/bce.h"

#include <math.h>
#include <string.h>

static int shape(vlt_tape *t, vlt_node *y, vl_err *e)
{
    const vlt_node *z = vlt_in(t, y, 0);
    int rc = vlt_loss_shape(t, y, e);

    if (!rc && z->dim[0] != z->dim[1])
        rc = vl_fail(e, VL_EARG, "logits are not square");
    y->n_saved = rc ? 0 : 2 * z->n + 6 * z->dim[0];
    return rc;
}

typedef struct job {
    const vlt_node *y, *z, *s;
    size_t b;
    vl_real *lp, *lq, *a, *c, *m, *n, *at, *ct;
} job;

static job make_job(vlt_tape *t, const vlt_node *y)
{
    job j = {.y = y, .z = vlt_in(t, y, 0), .s = vlt_in(t, y, 1)};

    j.b = j.z->dim[0];
    j.lp = y->saved;
    j.lq = j.lp + j.z->n;
    j.a = j.lq + j.z->n;
    j.c = j.a + j.b;
    j.m = j.c + j.b;
    j.n = j.m + j.b;
    j.at = j.n + j.b;
    j.ct = j.at + j.b;
    return j;
}

/* out = log softmax of n values at a stride */
static void log_softmax(const vl_real *z, vl_real *out, size_t n, size_t stride)
{
    vl_real top = z[0];
    double sum = 0;

    for (size_t i = 1; i < n; i++)
        top = z[i * stride] > top ? z[i * stride] : top;
    for (size_t i = 0; i < n; i++)
        sum += exp((double)z[i * stride] - (double)top);
    for (size_t i = 0; i < n; i++)
        out[i * stride] = (vl_real)((double)z[i * stride] - (double)top - log(sum));
}

static void row_and_column_sums(const vl_real *s, size_t b, vl_real *rows, vl_real *columns)
{
    for (size_t k = 0; k < b; k++) {
        double r = 0, c = 0;
        for (size_t i = 0; i < b; i++) {
            r += (double)s[k * b + i];
            c += (double)s[i * b + k];
        }
        rows[k] = (vl_real)r;
        columns[k] = (vl_real)c;
    }
}

static void fwd(vlt_tape *t, vlt_node *y)
{
    job j = make_job(t, y);
    double sum = 0;

    for (size_t i = 0; i < j.b; i++) {
        log_softmax(j.z->x + i * j.b, j.lp + i * j.b, j.b, 1);
        log_softmax(j.z->x + i, j.lq + i, j.b, j.b);
    }
    row_and_column_sums(j.s->x, j.b, j.a, j.c);
    for (size_t i = 0; i < j.z->n; i++)
        sum -= (double)j.s->x[i] * ((double)j.lp[i] + (double)j.lq[i]);
    y->x[0] = (vl_real)(sum / (2 * (double)j.b));
}

static double big_g(const job *j, size_t i)
{
    return (double)j->a[i / j->b] * exp((double)j->lp[i]) + (double)j->c[i % j->b] * exp((double)j->lq[i]) -
           2 * (double)j->s->x[i];
}

static double big_w(const job *j, size_t i)
{
    return -(double)j->lp[i] - (double)j->lq[i];
}

/* gz += g G / 2B, gs += g W / 2B, where wanted */
static void add_gradient(const job *j, vl_real g, vl_real *gz, vl_real *gs)
{
    double k = (double)g / (2 * (double)j->b);

    for (size_t i = 0; gz && i < j->z->n; i++)
        gz[i] += (vl_real)(k * big_g(j, i));
    for (size_t i = 0; gs && i < j->z->n; i++)
        gs[i] += (vl_real)(k * big_w(j, i));
}

static void bwd(vlt_tape *t, vlt_node *y)
{
    job j = make_job(t, y);

    add_gradient(&j, y->gx[0], j.z->gx, j.s->gx);
}

static void fwd_tan(vlt_tape *t, vlt_node *y)
{
    job j = make_job(t, y);
    double sum = 0;

    for (size_t i = 0; j.z->xt && i < j.z->n; i++)
        sum += big_g(&j, i) * (double)j.z->xt[i];
    for (size_t i = 0; j.s->xt && i < j.z->n; i++)
        sum += big_w(&j, i) * (double)j.s->xt[i];
    y->xt[0] = (vl_real)(sum / (2 * (double)j.b));
}

/* m, n, at, ct; zeros where there is no tangent */
static void tangent_sums(const job *j)
{
    size_t b = j->b;

    memset(j->m, 0, 4 * b * sizeof *j->m);
    if (j->s->xt)
        row_and_column_sums(j->s->xt, b, j->at, j->ct);
    for (size_t k = 0; j->z->xt && k < b; k++) {
        double m = 0, n = 0;
        for (size_t i = 0; i < b; i++) {
            m += exp((double)j->lp[k * b + i]) * (double)j->z->xt[k * b + i];
            n += exp((double)j->lq[i * b + k]) * (double)j->z->xt[i * b + k];
        }
        j->m[k] = (vl_real)m;
        j->n[k] = (vl_real)n;
    }
}

static void bwd_tan(vlt_tape *t, vlt_node *y)
{
    job j = make_job(t, y);
    double k;

    add_gradient(&j, y->gxt[0], j.z->gxt, j.s->gxt);
    if (!y->gx || !(j.z->xt || j.s->xt))
        return;
    tangent_sums(&j);
    k = (double)y->gx[0] / (2 * (double)j.b);
    for (size_t i = 0; i < j.z->n; i++) {
        size_t r = i / j.b, c = i % j.b;
        double zt = j.z->xt ? (double)j.z->xt[i] : 0, st = j.s->xt ? (double)j.s->xt[i] : 0;
        double p = exp((double)j.lp[i]), q = exp((double)j.lq[i]);
        if (j.z->gxt)
            j.z->gxt[i] +=
                (vl_real)(k * (p * ((double)j.at[r] + (double)j.a[r] * (zt - (double)j.m[r])) +
                               q * ((double)j.ct[c] + (double)j.c[c] * (zt - (double)j.n[c])) - 2 * st));
        if (j.s->gxt)
            j.s->gxt[i] += (vl_real)(k * ((double)j.m[r] + (double)j.n[c] - 2 * zt));
    }
}

const vlt_op vlt_op_ence = {"ence", 2, shape, fwd, bwd, fwd_tan, bwd_tan};
