/* SPDX-License-Identifier: MIT
 * op_add -- y = a + b, elementwise; a and b may be one node.
 *   all        [any one shape]
 *   fwd        y   =  a + b
 *   bwd        ga  += gy        gb  += gy
 *   fwd_tan    yt  =  at + bt
 *   bwd_tan    gat += gyt       gbt += gyt
 * Saved: nothing. */
#include "pipeline/op.h"

#include <string.h>

enum { GRAIN = 16384 };

typedef struct job {
    const vl_real *a, *b; /* b may be NULL: zero */
    vl_real *out;
} job;

static int shape(vlt_tape *t, vlt_node *y, vl_err *e)
{
    const vlt_node *a = vlt_in(t, y, 0), *b = vlt_in(t, y, 1);

    if (a->rank != b->rank || memcmp(a->dim, b->dim, (size_t)a->rank * sizeof *a->dim))
        return vl_fail(e, VL_EARG, "the two inputs differ in shape");
    y->rank = a->rank;
    memcpy(y->dim, a->dim, sizeof y->dim);
    return VL_OK;
}

static void sum(void *arg, size_t i, size_t end)
{
    const job *j = arg;
    const vl_real *restrict a = j->a, *restrict b = j->b;
    vl_real *restrict out = j->out;

    for (; i < end; i++)
        out[i] = a[i] + b[i];
}

static void copy(void *arg, size_t i, size_t end)
{
    const job *j = arg;

    memcpy(j->out + i, j->a + i, (end - i) * sizeof *j->out);
}

static void add_to(void *arg, size_t i, size_t end)
{
    const job *j = arg;
    const vl_real *restrict a = j->a;
    vl_real *restrict out = j->out;

    for (; i < end; i++)
        out[i] += a[i];
}

static void fwd(vlt_tape *t, vlt_node *y)
{
    job j = {vlt_in(t, y, 0)->x, vlt_in(t, y, 1)->x, y->x};

    vlt_ranges(t, y->n, GRAIN, sum, &j);
}

static void spread(vlt_tape *t, const vlt_node *y, const vl_real *g, vl_real *out)
{
    job j = {g, NULL, out};

    if (out)
        vlt_ranges(t, y->n, GRAIN, add_to, &j);
}

static void bwd(vlt_tape *t, vlt_node *y)
{
    spread(t, y, y->gx, vlt_in(t, y, 0)->gx);
    spread(t, y, y->gx, vlt_in(t, y, 1)->gx);
}

static void fwd_tan(vlt_tape *t, vlt_node *y)
{
    const vl_real *a = vlt_in(t, y, 0)->xt, *b = vlt_in(t, y, 1)->xt;
    job j = {a ? a : b, b, y->xt};

    vlt_ranges(t, y->n, GRAIN, a && b ? sum : copy, &j);
}

static void bwd_tan(vlt_tape *t, vlt_node *y)
{
    spread(t, y, y->gxt, vlt_in(t, y, 0)->gxt);
    spread(t, y, y->gxt, vlt_in(t, y, 1)->gxt);
}

const vlt_op vlt_op_add = {"add", 2, shape, fwd, bwd, fwd_tan, bwd_tan};
