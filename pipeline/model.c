/* SPDX-License-Identifier: MIT */
#include "pipeline/model_part.h"
#include "pipeline/rng.h"

#include <stdio.h>
#include <string.h>

void vlm_add_param(vlm_model *m, int branch, const char *name, int rank, const size_t *dim, double sd,
                   double start)
{
    vlm_param *p = &m->param[m->n_params++];

    snprintf(p->name, sizeof p->name, "%s", name);
    p->rank = rank;
    p->branch = branch;
    p->sd = sd;
    p->start = start;
    p->offset = m->n;
    p->n = 1;
    for (int i = 0; i < rank; i++) {
        p->dim[i] = dim[i];
        p->n *= dim[i];
    }
    m->n += p->n;
}

void vlm_init(const vlm_model *m, uint64_t seed, uint64_t stream, vl_real *theta)
{
    for (int i = 0; i < m->n_params; i++) {
        const vlm_param *p = &m->param[i];
        if (p->sd > 0)
            vl_rng_normal(seed, vl_rng_stream("init", stream, (uint64_t)i, 0), p->n, p->sd,
                          theta + p->offset);
        else
            for (size_t k = 0; k < p->n; k++)
                theta[p->offset + k] = (vl_real)p->start;
    }
}

/* ---- the graph ---------------------------------------------------------------------------------- */

static void record_sides(vlm_graph *g, int sides, bool train, double blend)
{
    vlt_tape *t = g->tape;
    bool heads = g->model->kind == VLM_HEADS;

    if (sides & VLM_HAS_IMAGE)
        g->u =
            vlt_l2norm(t, heads ? vlm_heads_side(g, VLM_IMAGE, train, blend) : vlm_convnet_image(g, blend));
    if (sides & VLM_HAS_TEXT)
        g->v = vlt_l2norm(t, heads ? vlm_heads_side(g, VLM_TEXT, train, blend) : vlm_convnet_text(g, blend));
}

/* The node of the similarity [B,B]. */
static vlt_id record_similarity(vlm_graph *g, const vlm_objective *o)
{
    vlt_tape *t = g->tape;
    size_t b = g->batch;

    if (o->sim != VLM_SIM_LOWRANK)
        return g->s = vlt_leaf(t, o->sim == VLM_SIM_FULL ? VLT_DATA : VLT_CONST, 2, (size_t[]){b, b});
    g->l = vlt_leaf(t, VLT_DATA, 2, (size_t[]){b, o->rank});
    g->r = vlt_leaf(t, VLT_DATA, 2, (size_t[]){b, o->rank});
    g->w = vlt_leaf(t, VLT_DATA, 1, &b);
    return vlt_lowrank(t, g->l, g->r, g->w, o->alpha / (double)o->rank);
}

static void record_loss(vlm_graph *g, const vlm_objective *o)
{
    vlt_tape *t = g->tape;
    vlt_id z = vlt_logits(t, g->u, g->v, g->model->scale), s;

    if (o->loss == VLM_INFONCE) {
        g->loss = vlt_infonce(t, z);
        return;
    }
    s = record_similarity(g, o);
    g->loss = o->loss == VLM_WBCE  ? vlt_wbce(t, z, s)
              : o->loss == VLM_BCE ? vlt_bce(t, z, s)
                                   : vlt_ence(t, z, s);
}

static int check_objective(const vlm_objective *o, vl_err *e)
{
    if (o->loss == VLM_INFONCE && o->sim != VLM_SIM_NONE)
        return vl_fail(e, VL_EARG, "infonce takes no similarity; ence does");
    if (o->sim == VLM_SIM_LOWRANK && (o->rank < 1 || o->rank > VLM_MAX_DIM))
        return vl_fail(e, VL_EARG, "similarity of rank %zu: 1 to %d wanted", o->rank, VLM_MAX_DIM);
    if (!(o->blend >= 0))
        return vl_fail(e, VL_EARG, "blend %g: 0 or more wanted", o->blend);
    return VL_OK;
}

static int graph_new(const vlm_model *m, const vlm_objective *o, vl_pool *pool, size_t batch, int sides,
                     vlm_use use, const vlt_map *fc, vlm_graph *g, vl_err *e)
{
    static const vlm_objective plain = {.loss = VLM_INFONCE};
    unsigned param = use == VLM_EMBED ? VLT_CONST : VLT_PARAM;
    int rc;

    memset(g, 0, sizeof *g);
    o = o ? o : &plain;
    rc = check_objective(o, e);
    if (rc)
        return rc;
    g->model = m;
    g->batch = batch;
    g->fc = fc;
    g->x = g->y = g->u = g->v = g->loss = g->s = g->l = g->r = g->w = -1;
    rc = vlt_tape_new(pool, use == VLM_ADJOINT, &g->tape, e);
    if (rc)
        return rc;
    for (int i = 0; i < m->n_params; i++)
        g->leaf[i] =
            fc && vlm_heads_outside(i) ? -1 : vlt_leaf(g->tape, param, m->param[i].rank, m->param[i].dim);
    record_sides(g, sides, use != VLM_EMBED, use != VLM_EMBED ? o->blend : 0);
    if (sides == VLM_HAS_BOTH)
        record_loss(g, o);
    rc = vlt_plan(g->tape, e);
    if (rc)
        vlm_graph_free(g);
    else if (g->s >= 0)
        for (size_t i = 0; i < batch; i++)
            vlt_x(g->tape, g->s)[i * batch + i] = 1;
    return rc;
}

int vlm_graph_new_for(const vlm_model *m, const vlm_objective *o, vl_pool *pool, size_t batch, int sides,
                      vlm_use use, vlm_graph *g, vl_err *e)
{
    return graph_new(m, o, pool, batch, sides, use, NULL, g, e);
}

int vlm_graph_new_maps(const vlm_model *m, const vlm_objective *o, vl_pool *pool, size_t batch,
                       const vlt_map *fc, vlm_graph *g, vl_err *e)
{
    if (m->kind != VLM_HEADS)
        return vl_fail(e, VL_EARG, "model '%s' has no heads", m->spec);
    return graph_new(m, o, pool, batch, VLM_HAS_BOTH, VLM_ADJOINT, fc, g, e);
}

int vlm_graph_new(const vlm_model *m, vl_pool *pool, size_t batch, int sides, vlm_use use, vlm_graph *g,
                  vl_err *e)
{
    return vlm_graph_new_for(m, NULL, pool, batch, sides, use, g, e);
}

void vlm_graph_free(vlm_graph *g)
{
    vlt_tape_free(g->tape);
    g->tape = NULL;
}

static vl_real *at(vl_real *flat, const vlm_param *p)
{
    return flat ? flat + p->offset : NULL;
}

void vlm_bind(vlm_graph *g, vl_real *theta, vl_real *grad, vl_real *tangent, vl_real *grad_tangent)
{
    for (int i = 0; i < g->model->n_params; i++) {
        const vlm_param *p = &g->model->param[i];
        if (g->leaf[i] < 0)
            continue;
        vlt_bind(g->tape, g->leaf[i], at(theta, p), at(grad, p), at(tangent, p), at(grad_tangent, p));
    }
}
