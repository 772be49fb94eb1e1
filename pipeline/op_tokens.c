/* SPDX-License-Identifier: MIT
 * op_tokens -- what a transformer reads of an image: y [B N, D], N = P + 1, of the patches x [B,H,W,D], P = H W,
 * the class token c [D] and the positions p [N,D]. Of an image:
 *   fwd        y_0 = c + p_0;  y_n = x_(n-1) + p_n
 *   bwd        gx_n += gy_(n+1)       gc += sum_B gy_0       gp_n += sum_B gy_n
 *   fwd_tan, bwd_tan: linear, the same with the tangents
 * Saved: nothing. Parts: images for x, positions for c and p: no partial sums.
 * Source: Dosovitskiy et al. 2021. */
#include "pipeline/op.h"

#include <string.h>

enum { GRAIN = 8192 };

static int shape(vlt_tape *t, vlt_node *y, vl_err *e)
{
    const vlt_node *x = vlt_in(t, y, 0), *c = vlt_in(t, y, 1), *p = vlt_in(t, y, 2);

    if (x->rank != 4 || c->rank != 1 || p->rank != 2 || c->dim[0] != x->dim[3] || p->dim[1] != x->dim[3] ||
        p->dim[0] != x->dim[1] * x->dim[2] + 1)
        return vl_fail(e, VL_EARG, "shapes do not fit: x [B,H,W,D], c [D], p [H W + 1,D] wanted");
    y->rank = 2;
    y->dim[0] = x->dim[0] * p->dim[0];
    y->dim[1] = x->dim[3];
    return VL_OK;
}

typedef struct job {
    size_t images, n, d;
    const vl_real *x, *c, *p; /* NULL: zero */
    vl_real *y;
    const vl_real *g;
    vl_real *gx, *gc, *gp;
} job;

static job make_job(vlt_tape *t, const vlt_node *y)
{
    job j = {.n = vlt_in(t, y, 2)->dim[0], .d = y->dim[1]};

    j.images = y->dim[0] / j.n;
    return j;
}

static void add_to(vl_real *y, const vl_real *a, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] += a[i];
}

static void join(void *arg, size_t b, size_t end)
{
    const job *j = arg;
    size_t n = j->n, d = j->d;

    for (; b < end; b++) {
        vl_real *y = j->y + b * n * d;
        if (j->p)
            memcpy(y, j->p, n * d * sizeof *y);
        else
            memset(y, 0, n * d * sizeof *y);
        if (j->c)
            add_to(y, j->c, d);
        if (j->x)
            add_to(y + d, j->x + b * (n - 1) * d, (n - 1) * d);
    }
}

static void run_join(vlt_tape *t, job *j)
{
    vlt_ranges(t, j->images, 1 + GRAIN / (j->n * j->d), join, j);
}

static void fwd(vlt_tape *t, vlt_node *y)
{
    job j = make_job(t, y);

    j.x = vlt_in(t, y, 0)->x;
    j.c = vlt_in(t, y, 1)->x;
    j.p = vlt_in(t, y, 2)->x;
    j.y = y->x;
    run_join(t, &j);
}

static void fwd_tan(vlt_tape *t, vlt_node *y)
{
    job j = make_job(t, y);

    j.x = vlt_in(t, y, 0)->xt;
    j.c = vlt_in(t, y, 1)->xt;
    j.p = vlt_in(t, y, 2)->xt;
    j.y = y->xt;
    run_join(t, &j);
}

static void to_patches(void *arg, size_t b, size_t end)
{
    const job *j = arg;
    size_t patches = (j->n - 1) * j->d;

    for (; b < end; b++)
        add_to(j->gx + b * patches, j->g + b * j->n * j->d + j->d, patches);
}

static void to_positions(void *arg, size_t n, size_t end)
{
    const job *j = arg;

    for (; n < end; n++)
        for (size_t b = 0; b < j->images; b++) {
            const vl_real *g = j->g + (b * j->n + n) * j->d;
            if (j->gp)
                add_to(j->gp + n * j->d, g, j->d);
            if (j->gc && n == 0)
                add_to(j->gc, g, j->d);
        }
}

static void part_again(vlt_tape *t, const vlt_node *y, const vl_real *g, vl_real *gx, vl_real *gc,
                       vl_real *gp)
{
    job j = make_job(t, y);

    j.g = g;
    j.gx = gx;
    j.gc = gc;
    j.gp = gp;
    if (gx)
        vlt_ranges(t, j.images, 1 + GRAIN / (j.n * j.d), to_patches, &j);
    if (gc || gp)
        vlt_ranges(t, gp ? j.n : 1, 1 + GRAIN / (j.images * j.d), to_positions, &j);
}

static void bwd(vlt_tape *t, vlt_node *y)
{
    part_again(t, y, y->gx, vlt_in(t, y, 0)->gx, vlt_in(t, y, 1)->gx, vlt_in(t, y, 2)->gx);
}

static void bwd_tan(vlt_tape *t, vlt_node *y)
{
    part_again(t, y, y->gxt, vlt_in(t, y, 0)->gxt, vlt_in(t, y, 1)->gxt, vlt_in(t, y, 2)->gxt);
}

const vlt_op vlt_op_tokens = {"tokens", 3, shape, fwd, bwd, fwd_tan, bwd_tan};
