/* SPDX-License-Identifier: MIT
 * op_blend -- rows mixed with other rows of their batch: y_i = lam x_i + (1 - lam) x_{perm(i)}.
 *   x, y       [B,...]
 *   fwd        lam, perm drawn;  y = M x
 *   bwd        gx  += M^T gy
 *   fwd_tan    yt  =  M xt
 *   bwd_tan    gxt += M^T gyt
 * One lam and one permutation a draw of the tape (vlt_draw), the same for every blend op of the tape, so that
 * image i and text i stay a pair (pipeline/noise.h).
 * Saved: lam, then perm [B] (exact in a float up to 2^24 rows).
 * Derivation: spec/math/blend.md. Source: Zhang et al. 2025 (RepBlend). */
#include "pipeline/op.h"

#include <string.h>

static int shape(vlt_tape *t, vlt_node *y, vl_err *e)
{
    const vlt_node *x = vlt_in(t, y, 0);

    if (!(y->scale > 0 && y->scale <= 1000))
        return vl_fail(e, VL_EARG, "alpha %g, more than 0 and at most 1000 wanted", y->scale);
    if (x->dim[0] > 1 << 24)
        return vl_fail(e, VL_EARG, "%zu rows, at most 2^24 wanted", x->dim[0]);
    y->rank = x->rank;
    memcpy(y->dim, x->dim, sizeof y->dim);
    y->n_saved = 1 + x->dim[0];
    y->n_common = (x->dim[0] * sizeof(uint32_t) + sizeof(vl_real) - 1) / sizeof(vl_real);
    return VL_OK;
}

static void draw(vlt_tape *t, vlt_node *y)
{
    uint32_t *perm = (uint32_t *)(void *)vlt_common(t);

    y->saved[0] = (vl_real)vl_noise_blend(vlt_draw_of(t), y->scale, y->dim[0], perm);
    for (size_t i = 0; i < y->dim[0]; i++)
        y->saved[1 + i] = (vl_real)perm[i];
}

enum { GRAIN = 8192 };

typedef struct job {
    const vlt_node *y;
    size_t d; /* of a row */
    const vl_real *from;
    vl_real *to;
} job;

static job job_of(const vlt_node *y, const vl_real *from, vl_real *to)
{
    return (job){y, y->n / y->dim[0], from, to};
}

static void mix_rows(void *arg, size_t row, size_t end)
{
    const job *j = arg;
    size_t d = j->d;
    vl_real lam = j->y->saved[0];

    for (; row < end; row++) {
        const vl_real *restrict a = j->from + row * d, *restrict b =
                                                           j->from + (size_t)j->y->saved[1 + row] * d;
        vl_real *restrict out = j->to + row * d;
        for (size_t k = 0; k < d; k++)
            out[k] = lam * a[k] + (1 - lam) * b[k];
    }
}

/* out = M x */
static void mix(vlt_tape *t, const vlt_node *y, const vl_real *x, vl_real *out)
{
    job j = job_of(y, x, out);

    vlt_ranges(t, y->dim[0], 1 + GRAIN / j.d, mix_rows, &j);
}

/* By columns: two rows of g may go to one of gx. */
static void unmix_columns(void *arg, size_t lo, size_t end)
{
    const job *j = arg;
    size_t d = j->d;
    vl_real lam = j->y->saved[0];

    for (size_t i = 0; i < j->y->dim[0]; i++) {
        const vl_real *restrict g = j->from + i * d;
        vl_real *a = j->to + i * d, *b = j->to + (size_t)j->y->saved[1 + i] * d;
        for (size_t k = lo; k < end; k++)
            a[k] += lam * g[k];
        for (size_t k = lo; k < end; k++)
            b[k] += (1 - lam) * g[k];
    }
}

/* gx += M^T g */
static void unmix(vlt_tape *t, const vlt_node *y, const vl_real *g, vl_real *gx)
{
    job j = job_of(y, g, gx);

    vlt_ranges(t, j.d, 1 + GRAIN / y->dim[0], unmix_columns, &j);
}

static void fwd(vlt_tape *t, vlt_node *y)
{
    draw(t, y);
    mix(t, y, vlt_in(t, y, 0)->x, y->x);
}

static void bwd(vlt_tape *t, vlt_node *y)
{
    unmix(t, y, y->gx, vlt_in(t, y, 0)->gx);
}

static void fwd_tan(vlt_tape *t, vlt_node *y)
{
    mix(t, y, vlt_in(t, y, 0)->xt, y->xt);
}

static void bwd_tan(vlt_tape *t, vlt_node *y)
{
    unmix(t, y, y->gxt, vlt_in(t, y, 0)->gxt);
}

const vlt_op vlt_op_blend = {"blend", 1, shape, fwd, bwd, fwd_tan, bwd_tan};
