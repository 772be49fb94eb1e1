/* SPDX-License-Identifier: MIT
 * op_gelu -- y = x Phi(x), elementwise; Phi, phi: the normal distribution and its density.
 *   all        [any shape]
 *   fwd        y   =  x Phi(x)
 *   bwd        gx  += gy d(x)                     d(x)  = Phi(x) + x phi(x)
 *   fwd_tan    yt  =  xt d(x)
 *   bwd_tan    gxt += gyt d(x) + gy xt d2(x)      d2(x) = phi(x) (2 - x^2)
 * Saved: d, and with tangents d2; so exp and erf are computed once a step. */
#include "pipeline/op.h"
#include "pipeline/vmath.h"

#include <string.h>

enum { GRAIN = 8192 };

typedef struct job {
    const vl_real *x, *xt, *gy, *gyt, *d, *d2;
    vl_real *out, *save_d, *save_d2;
} job;

static int shape(vlt_tape *t, vlt_node *y, vl_err *e)
{
    const vlt_node *x = vlt_in(t, y, 0);

    (void)e;
    y->rank = x->rank;
    memcpy(y->dim, x->dim, sizeof y->dim);
    y->n_saved = !y->flow ? 0 : y->flow & VLT_T ? 2 * x->n : x->n;
    return VL_OK;
}

static job make_job(vlt_tape *t, vlt_node *y)
{
    vlt_node *x = vlt_in(t, y, 0);
    job j = {.x = x->x, .xt = x->xt, .gy = y->gx, .gyt = y->gxt};

    j.d = y->saved;
    j.d2 = y->flow & VLT_T ? y->saved + y->n : NULL;
    return j;
}

static void fwd_plain(void *arg, size_t i, size_t end)
{
    const job *j = arg;

    for (; i < end; i++) {
        vl_real cdf, pdf;
        vl_normal(j->x[i], &cdf, &pdf);
        j->out[i] = j->x[i] * cdf;
    }
}

static void fwd_save(void *arg, size_t i, size_t end)
{
    const job *j = arg;
    const vl_real *restrict x = j->x;
    vl_real *restrict out = j->out, *restrict d = j->save_d;

    for (; i < end; i++) {
        vl_real cdf, pdf;
        vl_normal(x[i], &cdf, &pdf);
        out[i] = x[i] * cdf;
        d[i] = cdf + x[i] * pdf;
    }
}

static void fwd_save2(void *arg, size_t i, size_t end)
{
    const job *j = arg;
    const vl_real *restrict x = j->x;
    vl_real *restrict out = j->out, *restrict d = j->save_d, *restrict d2 = j->save_d2;

    for (; i < end; i++) {
        vl_real cdf, pdf;
        vl_normal(x[i], &cdf, &pdf);
        out[i] = x[i] * cdf;
        d[i] = cdf + x[i] * pdf;
        d2[i] = pdf * (2 - x[i] * x[i]);
    }
}

static void fwd(vlt_tape *t, vlt_node *y)
{
    job j = make_job(t, y);

    j.out = y->x;
    j.save_d = y->saved;
    j.save_d2 = y->flow & VLT_T ? y->saved + y->n : NULL;
    vlt_ranges(t, y->n, GRAIN, j.save_d2 ? fwd_save2 : j.save_d ? fwd_save : fwd_plain, &j);
}

static void mul_add(void *arg, size_t i, size_t end) /* out += gy d */
{
    const job *j = arg;
    const vl_real *restrict g = j->gy, *restrict d = j->d;
    vl_real *restrict out = j->out;

    for (; i < end; i++)
        out[i] += g[i] * d[i];
}

static void bwd(vlt_tape *t, vlt_node *y)
{
    job j = make_job(t, y);

    j.out = vlt_in(t, y, 0)->gx;
    vlt_ranges(t, y->n, GRAIN, mul_add, &j);
}

static void mul(void *arg, size_t i, size_t end) /* out = xt d */
{
    const job *j = arg;
    const vl_real *restrict xt = j->xt, *restrict d = j->d;
    vl_real *restrict out = j->out;

    for (; i < end; i++)
        out[i] = xt[i] * d[i];
}

static void fwd_tan(vlt_tape *t, vlt_node *y)
{
    job j = make_job(t, y);

    j.out = y->xt;
    vlt_ranges(t, y->n, GRAIN, mul, &j);
}

static void second(void *arg, size_t i, size_t end) /* out += gyt d + gy xt d2 */
{
    const job *j = arg;
    const vl_real *restrict g = j->gy, *restrict gt = j->gyt, *restrict xt = j->xt;
    const vl_real *restrict d = j->d, *restrict d2 = j->d2;
    vl_real *restrict out = j->out;

    for (; i < end; i++)
        out[i] += gt[i] * d[i] + g[i] * xt[i] * d2[i];
}

static void bwd_tan(vlt_tape *t, vlt_node *y)
{
    job j = make_job(t, y);

    j.out = vlt_in(t, y, 0)->gxt;
    if (!j.xt)
        j.gy = y->gxt; /* no tangent comes in: out += gyt d */
    vlt_ranges(t, y->n, GRAIN, j.xt ? second : mul_add, &j);
}

const vlt_op vlt_op_gelu = {"gelu", 1, shape, fwd, bwd, fwd_tan, bwd_tan};
