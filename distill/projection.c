/* SPDX-License-Identifier: MIT */
#include "distill/projection.h"

#include <string.h>

int vld_projection_new(const vlm_model *model, vl_pool *pool, size_t n, size_t m, vld_projection *p,
                       vl_err *e)
{
    int rc;

    memset(p, 0, sizeof *p);
    p->model = model;
    rc = vlm_graph_new(model, pool, n, VLM_HAS_BOTH, VLM_INPUTS, &p->syn, e);
    if (!rc)
        rc = vlm_graph_new(model, pool, m, VLM_HAS_BOTH, VLM_EMBED, &p->real, e);
    if (rc)
        vld_projection_free(p);
    return rc;
}

void vld_projection_free(vld_projection *p)
{
    vlm_graph_free(&p->real);
    vlm_graph_free(&p->syn);
}

size_t vld_projection_bytes(const vld_projection *p)
{
    return vlt_bytes(p->syn.tape) + vlt_bytes(p->real.tape);
}

static void embed(vlm_graph *g, const vl_real *theta, const vl_real *x, const vl_real *y)
{
    vlm_bind(g, (vl_real *)theta, NULL, NULL, NULL); /* constants: no sweep writes them */
    memcpy(vlt_x(g->tape, g->x), x, vlt_size(g->tape, g->x) * sizeof *x);
    memcpy(vlt_x(g->tape, g->y), y, vlt_size(g->tape, g->y) * sizeof *y);
    vlt_forward(g->tape);
}

void vld_projection_run(vld_projection *p, const vl_real *theta, const vl_real *x, const vl_real *y,
                        const vl_real *xr, const vl_real *yr, vld_embedded *out)
{
    embed(&p->syn, theta, x, y);
    embed(&p->real, theta, xr, yr);
    out->u = vlt_x(p->syn.tape, p->syn.u);
    out->v = vlt_x(p->syn.tape, p->syn.v);
    out->ur = vlt_x(p->real.tape, p->real.u);
    out->vr = vlt_x(p->real.tape, p->real.v);
    out->infonce = (double)vlt_x(p->syn.tape, p->syn.loss)[0];
}

static void take(const vl_real *g, size_t n, bool add, vl_real *out)
{
    for (size_t i = 0; i < n; i++)
        out[i] = add ? out[i] + g[i] : g[i];
}

void vld_projection_back(vld_projection *p, const vl_real *gu, const vl_real *gv, bool infonce, bool add,
                         vl_real *gx, vl_real *gy)
{
    const vlm_graph *g = &p->syn;

    vlt_backward_from(g->tape, (vlt_id[]){g->u, g->v, g->loss}, (const vl_real *const[]){gu, gv, NULL},
                      infonce ? 3 : 2);
    take(vlt_gx(g->tape, g->x), vlt_size(g->tape, g->x), add, gx);
    take(vlt_gx(g->tape, g->y), vlt_size(g->tape, g->y), add, gy);
}
