/* SPDX-License-Identifier: MIT
 * op_infonce -- symmetric contrastive loss of logits z [B,B], positives on the diagonal; nats.
 *   p, q       softmax of the rows and of the columns of z
 *   fwd        l   =  -(1/2B) sum_i (log p_ii + log q_ii)
 *   bwd        gz  += gl (p + q - 2 I) / 2B
 *   fwd_tan    lt  =  sum_ij zt_ij (p + q - 2 I)_ij / 2B
 *   bwd_tan    gzt += glt (p + q - 2 I) / 2B + gl (pt + qt) / 2B
 *              pt_ij = p_ij (zt_ij - sum_k p_ik zt_ik), qt likewise down the columns
 * Saved: p, then q.
 * Source: Radford et al. 2021, figure 3. */
#include "pipeline/op.h"
#include "pipeline/vmath.h"

#include <math.h>

static int shape(vlt_tape *t, vlt_node *y, vl_err *e)
{
    const vlt_node *z = vlt_in(t, y, 0);

    if (z->rank != 2 || z->dim[0] != z->dim[1])
        return vl_fail(e, VL_EARG, "logits are not square");
    y->rank = 1;
    y->dim[0] = 1;
    y->n_saved = 2 * z->n;
    return VL_OK;
}

/* Softmax of n values at a stride, into out at the same stride; returns -log of entry `pos`. */
static double softmax(const vl_real *z, vl_real *out, size_t n, size_t stride, size_t pos)
{
    vl_real top = z[0];
    double sum = 0;

    for (size_t i = 1; i < n; i++)
        top = z[i * stride] > top ? z[i * stride] : top;
    for (size_t i = 0; i < n; i++) {
        out[i * stride] = vl_exp(z[i * stride] - top);
        sum += (double)out[i * stride];
    }
    for (size_t i = 0; i < n; i++)
        out[i * stride] *= (vl_real)(1 / sum);
    return log(sum) - (double)(z[pos * stride] - top);
}

static void fwd(vlt_tape *t, vlt_node *y)
{
    const vlt_node *z = vlt_in(t, y, 0);
    size_t b = z->dim[0];
    vl_real *p = y->saved, *q = y->saved + z->n;
    double loss = 0;

    for (size_t i = 0; i < b; i++)
        loss += softmax(z->x + i * b, p + i * b, b, 1, i);
    for (size_t j = 0; j < b; j++)
        loss += softmax(z->x + j, q + j, b, b, j);
    y->x[0] = (vl_real)(loss / (2 * (double)b));
}

/* out += g (p + q - 2 I) / 2B */
static void add_gradient(const vlt_node *y, const vlt_node *z, vl_real g, vl_real *out)
{
    size_t b = z->dim[0];
    const vl_real *p = y->saved, *q = y->saved + z->n;
    vl_real s = g / (vl_real)(2 * b);

    for (size_t i = 0; i < z->n; i++)
        out[i] += s * (p[i] + q[i]);
    for (size_t i = 0; i < b; i++)
        out[i * b + i] -= 2 * s;
}

static void bwd(vlt_tape *t, vlt_node *y)
{
    const vlt_node *z = vlt_in(t, y, 0);

    add_gradient(y, z, y->gx[0], z->gx);
}

static void fwd_tan(vlt_tape *t, vlt_node *y)
{
    const vlt_node *z = vlt_in(t, y, 0);
    size_t b = z->dim[0];
    const vl_real *p = y->saved, *q = y->saved + z->n;
    double s = 0;

    for (size_t i = 0; i < z->n; i++)
        s += (double)z->xt[i] * (double)(p[i] + q[i]);
    for (size_t i = 0; i < b; i++)
        s -= 2 * (double)z->xt[i * b + i];
    y->xt[0] = (vl_real)(s / (2 * (double)b));
}

/* out += s * d(softmax p along zt), n values at a stride */
static void add_softmax_tangent(const vl_real *p, const vl_real *zt, vl_real *out, size_t n, size_t stride,
                                vl_real s)
{
    double mean = 0;

    for (size_t i = 0; i < n * stride; i += stride)
        mean += (double)p[i] * (double)zt[i];
    for (size_t i = 0; i < n * stride; i += stride)
        out[i] += s * p[i] * (zt[i] - (vl_real)mean);
}

static void bwd_tan(vlt_tape *t, vlt_node *y)
{
    const vlt_node *z = vlt_in(t, y, 0);
    size_t b = z->dim[0];
    vl_real s;

    add_gradient(y, z, y->gxt[0], z->gxt);
    if (!z->xt)
        return;
    s = y->gx[0] / (vl_real)(2 * b);
    for (size_t i = 0; i < b; i++)
        add_softmax_tangent(y->saved + i * b, z->xt + i * b, z->gxt + i * b, b, 1, s);
    for (size_t j = 0; j < b; j++)
        add_softmax_tangent(y->saved + z->n + j, z->xt + j, z->gxt + j, b, b, s);
}

const vlt_op vlt_op_infonce = {"infonce", 1, shape, fwd, bwd, fwd_tan, bwd_tan};
