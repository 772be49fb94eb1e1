/* SPDX-License-Identifier: MIT
 * op_meanpool -- y [B,C] = mean over the H W positions of x [B,H,W,C].
 *   fwd        y   =  mean x
 *   bwd        gx  += gy / HW
 *   fwd_tan    yt  =  mean xt
 *   bwd_tan    gxt += gyt / HW                    (linear: same two loops)
 * Saved: nothing. */
#include "pipeline/op.h"

#include <string.h>

static int shape(vlt_tape *t, vlt_node *y, vl_err *e)
{
    const vlt_node *x = vlt_in(t, y, 0);

    if (x->rank != 4)
        return vl_fail(e, VL_EARG, "input has rank %d, [B,H,W,C] wanted", x->rank);
    y->rank = 2;
    y->dim[0] = x->dim[0];
    y->dim[1] = x->dim[3];
    return VL_OK;
}

static void mean(const vlt_node *x, const vl_real *in, vl_real *out)
{
    size_t hw = x->dim[1] * x->dim[2], c = x->dim[3];
    vl_real scale = VL_R(1.0) / (vl_real)hw;

    for (size_t b = 0; b < x->dim[0]; b++, out += c) {
        memset(out, 0, c * sizeof *out);
        for (size_t p = 0; p < hw; p++, in += c)
            for (size_t i = 0; i < c; i++)
                out[i] += in[i];
        for (size_t i = 0; i < c; i++)
            out[i] *= scale;
    }
}

static void spread(const vlt_node *x, const vl_real *gy, vl_real *gx)
{
    size_t hw = x->dim[1] * x->dim[2], c = x->dim[3];
    vl_real scale = VL_R(1.0) / (vl_real)hw;

    for (size_t b = 0; b < x->dim[0]; b++, gy += c)
        for (size_t p = 0; p < hw; p++, gx += c)
            for (size_t i = 0; i < c; i++)
                gx[i] += gy[i] * scale;
}

static void fwd(vlt_tape *t, vlt_node *y)
{
    const vlt_node *x = vlt_in(t, y, 0);

    mean(x, x->x, y->x);
}

static void bwd(vlt_tape *t, vlt_node *y)
{
    const vlt_node *x = vlt_in(t, y, 0);

    spread(x, y->gx, x->gx);
}

static void fwd_tan(vlt_tape *t, vlt_node *y)
{
    const vlt_node *x = vlt_in(t, y, 0);

    mean(x, x->xt, y->xt);
}

static void bwd_tan(vlt_tape *t, vlt_node *y)
{
    const vlt_node *x = vlt_in(t, y, 0);

    spread(x, y->gxt, x->gxt);
}

const vlt_op vlt_op_meanpool = {"meanpool", 1, shape, fwd, bwd, fwd_tan, bwd_tan};
