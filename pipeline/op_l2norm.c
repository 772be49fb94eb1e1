/* SPDX-License-Identifier: MIT
 * op_l2norm -- rows of unit length: y = x / r, r = |x|; a zero row gives a zero row and no gradient, and so
 * does a row shorter than 1e-35 or longer than 8e37, whose 1 / r float cannot be trusted to hold (denormals
 * count as zero, blas.c).
 *   x, y       [B,D]
 *   fwd        y   =  x / r
 *   bwd        gx  += (gy - y (y.gy)) / r
 *   fwd_tan    yt  =  (xt - y (y.xt)) / r
 *   bwd_tan    gxt += (gyt - yt (y.gy) - y (yt.gy + y.gyt)) / r - (gy - y (y.gy)) (y.xt) / r^2
 *              (the derivative of bwd along x' = xt, y' = yt, r' = y.xt, gy' = gyt)
 * Saved: 1 / r (0 for a zero row). */
#include "pipeline/op.h"

#include <math.h>

static int shape(vlt_tape *t, vlt_node *y, vl_err *e)
{
    const vlt_node *x = vlt_in(t, y, 0);

    if (x->rank != 2)
        return vl_fail(e, VL_EARG, "input has rank %d, [B,D] wanted", x->rank);
    y->rank = 2;
    y->dim[0] = x->dim[0];
    y->dim[1] = x->dim[1];
    y->n_saved = x->dim[0];
    return VL_OK;
}

static vl_real dot(const vl_real *a, const vl_real *b, size_t n)
{
    double s = 0;

    for (size_t i = 0; i < n; i++)
        s += (double)a[i] * (double)b[i];
    return (vl_real)s;
}

static void fwd(vlt_tape *t, vlt_node *y)
{
    const vl_real *x = vlt_in(t, y, 0)->x;
    size_t d = y->dim[1];

    for (size_t b = 0; b < y->dim[0]; b++) {
        double ss = 0;
        for (size_t i = 0; i < d; i++)
            ss += (double)x[b * d + i] * (double)x[b * d + i];
        y->saved[b] = ss < 1e-70 || ss > 6.4e75 ? 0 : (vl_real)(1 / sqrt(ss)); /* NaN stays */
        for (size_t i = 0; i < d; i++)
            y->x[b * d + i] = x[b * d + i] * y->saved[b];
    }
}

/* out (+)= (g - y (y.g)) / r; the same projection serves bwd and fwd_tan. */
static void project(const vlt_node *y, const vl_real *g, vl_real *out, int add)
{
    size_t d = y->dim[1];

    for (size_t b = 0; b < y->dim[0]; b++, g += d, out += d) {
        const vl_real *yb = y->x + b * d;
        vl_real yg = dot(yb, g, d), s = y->saved[b];
        for (size_t i = 0; i < d; i++)
            out[i] = (add ? out[i] : 0) + (g[i] - yb[i] * yg) * s;
    }
}

static void bwd(vlt_tape *t, vlt_node *y)
{
    project(y, y->gx, vlt_in(t, y, 0)->gx, 1);
}

static void fwd_tan(vlt_tape *t, vlt_node *y)
{
    project(y, vlt_in(t, y, 0)->xt, y->xt, 0);
}

static void bwd_tan(vlt_tape *t, vlt_node *y)
{
    const vlt_node *x = vlt_in(t, y, 0);
    size_t d = y->dim[1];

    project(y, y->gxt, x->gxt, 1);
    if (!x->xt)
        return;
    for (size_t b = 0; b < y->dim[0]; b++) {
        const vl_real *yb = y->x + b * d, *yt = y->xt + b * d, *g = y->gx + b * d;
        vl_real s = y->saved[b], yg = dot(yb, g, d), ytg = dot(yt, g, d);
        vl_real rt = dot(yb, x->xt + b * d, d) * s; /* r' / r */
        for (size_t i = 0; i < d; i++)
            x->gxt[b * d + i] -= (yt[i] * yg + yb[i] * ytg + (g[i] - yb[i] * yg) * rt) * s;
    }
}

const vlt_op vlt_op_l2norm = {"l2norm", 1, shape, fwd, bwd, fwd_tan, bwd_tan};
