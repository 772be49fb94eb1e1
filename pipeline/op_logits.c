/* SPDX-License-Identifier: MIT
 * op_logits -- z [B,B] = scale u v^T of u, v [B,D].
 *   fwd        z   =  s u v^T
 *   bwd        gu  += s gz v            gv  += s gz^T u
 *   fwd_tan    zt  =  s (ut v^T + u vt^T)
 *   bwd_tan    gut += s (gzt v + gz vt) gvt += s (gzt^T u + gz^T ut)
 * Saved: nothing. */
#include "pipeline/blas.h"
#include "pipeline/gemm_tiles.h"
#include "pipeline/op.h"

static int shape(vlt_tape *t, vlt_node *y, vl_err *e)
{
    const vlt_node *u = vlt_in(t, y, 0), *v = vlt_in(t, y, 1);

    if (u->rank != 2 || v->rank != 2 || u->dim[1] != v->dim[1] || u->dim[0] != v->dim[0])
        return vl_fail(e, VL_EARG, "inputs are not two [B,D] of one shape");
    y->rank = 2;
    y->dim[0] = y->dim[1] = u->dim[0];
    return VL_OK;
}

/* A term of a sum: out[B,D] += s op(g)[B,B] a[B,D]; nothing where one of the three is missing. */
typedef struct term {
    int transpose;
    const vl_real *g, *a;
    vl_real *out;
} term;

enum { SLICE = 256 }; /* columns of D that a tile of those sums takes */

typedef struct job {
    const vlt_node *y;
    size_t d, n_terms;
    const term *terms;
} job;

static void add_columns(void *arg, size_t tile, int worker)
{
    const job *j = arg;
    size_t b = j->y->dim[0], at = tile * SLICE, n = j->d - at < SLICE ? j->d - at : SLICE;

    (void)worker;
    for (size_t i = 0; i < j->n_terms; i++) {
        const term *k = &j->terms[i];
        if (k->out && k->g && k->a)
            vl_gemm(k->transpose, 0, b, n, b, (vl_real)j->y->scale, k->g, b, k->a + at, j->d, 1, k->out + at,
                    j->d);
    }
}

static void add(vlt_tape *t, const vlt_node *y, size_t d, const term *terms, size_t n)
{
    job j = {y, d, n, terms};

    vl_pool_run(vlt_pool(t), (d + SLICE - 1) / SLICE, add_columns, &j);
}

static void outer(vlt_tape *t, const vlt_node *y, size_t d, const vl_real *u, const vl_real *v, vl_real beta,
                  vl_real *out)
{
    size_t b = y->dim[0];

    vl_gemm_tiles(vlt_pool(t), 0, 1, b, b, d, (vl_real)y->scale, u, d, v, d, beta, out, b);
}

static void fwd(vlt_tape *t, vlt_node *y)
{
    const vlt_node *u = vlt_in(t, y, 0), *v = vlt_in(t, y, 1);

    outer(t, y, u->dim[1], u->x, v->x, 0, y->x);
}

static void bwd(vlt_tape *t, vlt_node *y)
{
    const vlt_node *u = vlt_in(t, y, 0), *v = vlt_in(t, y, 1);
    const term terms[] = {{0, y->gx, v->x, u->gx}, {1, y->gx, u->x, v->gx}};

    add(t, y, u->dim[1], terms, 2);
}

static void fwd_tan(vlt_tape *t, vlt_node *y)
{
    const vlt_node *u = vlt_in(t, y, 0), *v = vlt_in(t, y, 1);
    vl_real beta = 0;

    if (u->xt) {
        outer(t, y, u->dim[1], u->xt, v->x, 0, y->xt);
        beta = 1;
    }
    if (v->xt)
        outer(t, y, u->dim[1], u->x, v->xt, beta, y->xt);
}

static void bwd_tan(vlt_tape *t, vlt_node *y)
{
    const vlt_node *u = vlt_in(t, y, 0), *v = vlt_in(t, y, 1);
    const term terms[] = {{0, y->gxt, v->x, u->gxt},
                          {0, y->gx, v->xt, u->gxt},
                          {1, y->gxt, u->x, v->gxt},
                          {1, y->gx, u->xt, v->gxt}};

    add(t, y, u->dim[1], terms, 4);
}

const vlt_op vlt_op_logits = {"logits", 2, shape, fwd, bwd, fwd_tan, bwd_tan};
