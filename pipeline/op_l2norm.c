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
#include "pipeline/sums.h"

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

typedef struct job {
    const vlt_node *x;
    vlt_node *y;
    size_t d;
    const vl_real *g;
    vl_real *out;
    bool add;
} job;

static vl_real dot(const vl_real *a, const vl_real *b, size_t n)
{
    return (vl_real)vl_dot(a, b, n);
}

static void each_row(vlt_tape *t, vlt_node *y, vlt_range_fn fn, const vl_real *g, vl_real *out, bool add)
{
    job j = {vlt_in(t, y, 0), y, y->dim[1], g, out, add};

    vlt_ranges(t, y->dim[0], 1 + 8192 / j.d, fn, &j);
}

static void fwd_rows(void *arg, size_t row, size_t end)
{
    const job *j = arg;
    size_t d = j->d;

    for (; row < end; row++) {
        const vl_real *x = j->x->x + row * d;
        double ss = vl_dot(x, x, d);
        vl_real s = j->y->saved[row] =
            ss < 1e-70 || ss > 6.4e75 ? 0 : (vl_real)(1 / sqrt(ss)); /* NaN stays */
        for (size_t i = 0; i < d; i++)
            j->y->x[row * d + i] = x[i] * s;
    }
}

static void fwd(vlt_tape *t, vlt_node *y)
{
    each_row(t, y, fwd_rows, NULL, NULL, false);
}

/* out (+)= (g - y (y.g)) / r; the same projection serves bwd and fwd_tan. */
static void project(void *arg, size_t row, size_t end)
{
    const job *j = arg;
    size_t d = j->d;

    for (; row < end; row++) {
        const vl_real *y = j->y->x + row * d, *g = j->g + row * d;
        vl_real yg = dot(y, g, d), s = j->y->saved[row], *out = j->out + row * d;
        for (size_t i = 0; i < d; i++)
            out[i] = (j->add ? out[i] : 0) + (g[i] - y[i] * yg) * s;
    }
}

static void bwd(vlt_tape *t, vlt_node *y)
{
    each_row(t, y, project, y->gx, vlt_in(t, y, 0)->gx, true);
}

static void fwd_tan(vlt_tape *t, vlt_node *y)
{
    each_row(t, y, project, vlt_in(t, y, 0)->xt, y->xt, false);
}

/* What the tangent of x adds. */
static void bend(void *arg, size_t row, size_t end)
{
    const job *j = arg;
    size_t d = j->d;

    for (; row < end; row++) {
        const vl_real *y = j->y->x + row * d, *yt = j->y->xt + row * d, *g = j->g + row * d;
        vl_real s = j->y->saved[row], yg = dot(y, g, d), ytg = dot(yt, g, d), *out = j->out + row * d;
        vl_real rt = dot(y, j->x->xt + row * d, d) * s; /* r' / r */
        for (size_t i = 0; i < d; i++)
            out[i] -= (yt[i] * yg + y[i] * ytg + (g[i] - y[i] * yg) * rt) * s;
    }
}

static void bwd_tan(vlt_tape *t, vlt_node *y)
{
    const vlt_node *x = vlt_in(t, y, 0);

    each_row(t, y, project, y->gxt, x->gxt, true);
    if (x->xt)
        each_row(t, y, bend, y->gx, x->gxt, false);
}

const vlt_op vlt_op_l2norm = {"l2norm", 1, shape, fwd, bwd, fwd_tan, bwd_tan};
