/* SPDX-License-Identifier: MIT */
#include "pipeline/bce.h"

#include <math.h>

vlt_bce_at vlt_bce_of(double z, double s, double eps)
{
    double small = exp(-fabs(z)), over = 1 / (1 + small);
    double p = z >= 0 ? over : small * over, q = z >= 0 ? small * over : over;
    double d = p * q, a1, b1; /* d = dp/dz; a = log(p + eps), b = log(q + eps) */
    vlt_bce_at r;

    if (eps <= 0) {
        r.e = (z > 0 ? z : 0) + log1p(small) - s * z;
        r.z = p - s;
        r.s = -z;
        r.zz = d;
        r.zs = -1;
        return r;
    }
    a1 = d / (p + eps);
    b1 = -d / (q + eps);
    r.s = log(q + eps) - log(p + eps);
    r.e = -log(q + eps) + s * r.s;
    r.z = -s * a1 - (1 - s) * b1;
    r.zs = b1 - a1;
    r.zz = -s * (d * (q - p) / (p + eps) - a1 * a1) - (1 - s) * (-d * (q - p) / (q + eps) - b1 * b1);
    return r;
}

static vlt_bce_at at(const vlt_bce_sum *b, size_t i)
{
    return vlt_bce_of((double)b->z->x[i], (double)b->s->x[i], b->eps);
}

static double weight(const vlt_bce_sum *b, size_t i)
{
    return b->c[b->s->x[i] > VL_R(0.5)];
}

double vlt_bce_fwd(const vlt_bce_sum *b)
{
    double sum = 0;

    for (size_t i = 0; i < b->z->n; i++)
        sum += weight(b, i) * at(b, i).e;
    return sum;
}

double vlt_bce_fwd_tan(const vlt_bce_sum *b)
{
    const vl_real *zt = b->z->xt, *st = b->s->xt;
    double sum = 0;

    for (size_t i = 0; i < b->z->n; i++) {
        vlt_bce_at r = at(b, i);
        sum += weight(b, i) * ((zt ? r.z * (double)zt[i] : 0) + (st ? r.s * (double)st[i] : 0));
    }
    return sum;
}

void vlt_bce_bwd(const vlt_bce_sum *b, double gl)
{
    for (size_t i = 0; i < b->z->n; i++) {
        vlt_bce_at r = at(b, i);
        double c = gl * weight(b, i);
        if (b->z->gx)
            b->z->gx[i] += (vl_real)(c * r.z);
        if (b->s->gx)
            b->s->gx[i] += (vl_real)(c * r.s);
    }
}

void vlt_bce_bwd_tan(const vlt_bce_sum *b, double gl, double glt)
{
    const vl_real *zt = b->z->xt, *st = b->s->xt;

    for (size_t i = 0; i < b->z->n; i++) {
        vlt_bce_at r = at(b, i);
        double c = weight(b, i), dz = zt ? (double)zt[i] : 0, ds = st ? (double)st[i] : 0;
        if (b->z->gxt)
            b->z->gxt[i] += (vl_real)(c * (glt * r.z + gl * (r.zz * dz + r.zs * ds)));
        if (b->s->gxt)
            b->s->gxt[i] += (vl_real)(c * (glt * r.s + gl * r.zs * dz));
    }
}

int vlt_loss_shape(vlt_tape *t, vlt_node *y, vl_err *e)
{
    const vlt_node *z = vlt_in(t, y, 0), *s = vlt_in(t, y, 1);

    if (z->rank != 2 || s->rank != 2 || z->dim[0] != s->dim[0] || z->dim[1] != s->dim[1])
        return vl_fail(e, VL_EARG, "logits and similarity are not two matrices of one shape");
    y->rank = 1;
    y->dim[0] = 1;
    return VL_OK;
}
