/* SPDX-License-Identifier: MIT */
#include "pipeline/model_part.h"
#include "pipeline/rng.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MIN_SIZE = 16, MAX_SIZE = 1024 };

/* ---- parameters --------------------------------------------------------------------------------- */

/* offset: where its values begin */
static void fill_param(vlm_param *p, int branch, const char *name, int rank, const size_t *dim, double sd,
                       double start, size_t offset)
{
    snprintf(p->name, sizeof p->name, "%s", name);
    p->rank = rank;
    p->branch = branch;
    p->sd = sd;
    p->start = start;
    p->offset = offset;
    p->n = 1;
    for (int i = 0; i < rank; i++) {
        p->dim[i] = dim[i];
        p->n *= dim[i];
    }
}

void vlm_add_param(vlm_model *m, int branch, const char *name, int rank, const size_t *dim, double sd,
                   double start)
{
    vlm_param *p = &m->param[m->n_params++];

    fill_param(p, branch, name, rank, dim, sd, start, m->n);
    m->n += p->n;
}

void vlm_add_frozen(vlm_model *m, const char *name, int rank, const size_t *dim, double sd, double start)
{
    vlm_param *p = &m->frozen[m->n_frozen++];

    fill_param(p, VLM_IMAGE, name, rank, dim, sd, start, m->n_base);
    m->n_base += p->n;
}

void vlm_add_layer(vlm_model *m, int branch, const char *layer, int rank, const size_t *dim, double gain)
{
    char name[32];
    size_t fan_in = 1;

    for (int i = 0; i < rank - 1; i++)
        fan_in *= dim[i];
    snprintf(name, sizeof name, "%.20s.weight", layer);
    vlm_add_param(m, branch, name, rank, dim, gain / sqrt((double)fan_in), 0);
    snprintf(name, sizeof name, "%.20s.bias", layer);
    vlm_add_param(m, branch, name, 1, &dim[rank - 1], 0, 0);
}

void vlm_add_text_head(vlm_model *m)
{
    m->begin[VLM_TEXT] = m->n;
    vlm_add_layer(m, VLM_TEXT, "text.head", 2, (size_t[]){m->text_dim, m->embed_dim},
                  sqrt((double)m->text_dim / (double)m->embed_dim));
    m->macs += (double)(m->text_dim * m->embed_dim);
    m->begin[VLM_BRANCHES] = m->n;
}

/* The initial values of one parameter. */
static void draw(const vlm_param *p, uint64_t seed, uint64_t stream, vl_real *out)
{
    if (p->sd > 0)
        vl_rng_normal(seed, stream, p->n, p->sd, out);
    else
        for (size_t k = 0; k < p->n; k++)
            out[k] = (vl_real)p->start;
}

void vlm_init(const vlm_model *m, uint64_t seed, uint64_t stream, vl_real *theta)
{
    for (int i = 0; i < m->n_params; i++)
        draw(&m->param[i], seed, vl_rng_stream("init", stream, (uint64_t)i, 0), theta + m->param[i].offset);
}

static void draw_frozen(const vlm_model *m, int i, vl_real *out)
{
    draw(&m->frozen[i], m->base_seed, vl_rng_stream("frozen", (uint64_t)i, 0, 0), out);
}

void vlm_init_base(const vlm_model *m, vl_real *base)
{
    for (int i = 0; i < m->n_frozen; i++)
        draw_frozen(m, i, base + m->frozen[i].offset);
}

/* ---- specs -------------------------------------------------------------------------------------- */

int vlm_check_dims(size_t text_dim, size_t embed_dim, vl_err *e)
{
    if (text_dim < 1 || text_dim > VLM_MAX_DIM || embed_dim < 1 || embed_dim > VLM_MAX_DIM)
        return vl_fail(e, VL_EARG, "text and embedding sizes %zu and %zu: 1 to %d wanted", text_dim,
                       embed_dim, VLM_MAX_DIM);
    return VL_OK;
}

int vlm_check_size(size_t size, size_t multiple, vl_err *e)
{
    if (size < MIN_SIZE || size > MAX_SIZE || size % multiple)
        return vl_fail(e, VL_EARG, "image size %zu: a multiple of %zu from %d to %d wanted", size, multiple,
                       MIN_SIZE, MAX_SIZE);
    return VL_OK;
}

int vlm_parse(const char *spec, size_t size, size_t text_dim, size_t embed_dim, double scale, vlm_model *m,
              vl_err *e)
{
    return (strncmp(spec, "vit:", 4) ? vlm_parse_convnet : vlm_parse_vit)(spec, size, text_dim, embed_dim,
                                                                          scale, m, e);
}

int vlm_parse_any(const char *spec, size_t size, size_t text_dim, size_t embed_dim, double scale,
                  vlm_model *m, vl_err *e)
{
    if (!strncmp(spec, "heads:", strlen("heads:")))
        return vlm_parse_heads(spec, text_dim, embed_dim, scale, m, e);
    return vlm_parse(spec, size, text_dim, embed_dim, scale, m, e);
}

/* ---- the graph ---------------------------------------------------------------------------------- */

static vlt_id record_side(vlm_graph *g, int branch, bool train, double blend)
{
    if (g->model->kind == VLM_HEADS)
        return vlm_heads_side(g, branch, train, blend);
    if (branch == VLM_TEXT)
        return vlm_text_head(g, blend);
    return (g->model->kind == VLM_VIT ? vlm_vit_image : vlm_convnet_image)(g, blend);
}

static void record_sides(vlm_graph *g, int sides, bool train, double blend)
{
    if (sides & VLM_HAS_IMAGE)
        g->u = vlt_l2norm(g->tape, record_side(g, VLM_IMAGE, train, blend));
    if (sides & VLM_HAS_TEXT)
        g->v = vlt_l2norm(g->tape, record_side(g, VLM_TEXT, train, blend));
}

vlt_id vlm_text_head(vlm_graph *g, double blend)
{
    const vlm_model *m = g->model;
    vlt_tape *t = g->tape;
    const vlt_id *p = g->leaf + m->n_params - 2;

    g->y = vlt_leaf(t, g->data, 2, (size_t[]){g->batch, m->text_dim});
    return vlt_linear(t, blend > 0 ? vlt_blend(t, g->y, blend) : g->y, p[0], p[1]);
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

/* What no caller sets: frozen weights, and the similarity until someone does. */
static void set_constants(vlm_graph *g, int sides)
{
    const vlm_model *m = g->model;

    for (int i = 0; sides & VLM_HAS_IMAGE && i < m->n_frozen; i++)
        if (m->base) /* no sweep writes to a constant */
            vlt_bind(g->tape, g->frozen[i], (vl_real *)m->base + m->frozen[i].offset, NULL, NULL, NULL);
        else
            draw_frozen(m, i, vlt_x(g->tape, g->frozen[i]));
    for (size_t i = 0; g->s >= 0 && i < g->batch; i++)
        vlt_x(g->tape, g->s)[i * g->batch + i] = 1;
}

/* An empty graph, and the objective that it has. */
static int graph_begin(const vlm_model *m, const vlm_objective **o, vl_pool *pool, size_t batch,
                       bool tangents, vlm_graph *g, vl_err *e)
{
    static const vlm_objective plain = {.loss = VLM_INFONCE};
    int rc;

    memset(g, 0, sizeof *g);
    *o = *o ? *o : &plain;
    rc = check_objective(*o, e);
    if (rc)
        return rc;
    g->model = m;
    g->batch = batch;
    g->x = g->y = g->u = g->v = g->loss = g->s = g->l = g->r = g->w = -1;
    return vlt_tape_new(pool, tangents, &g->tape, e);
}

static int graph_end(vlm_graph *g, int sides, vl_err *e)
{
    int rc = vlt_plan(g->tape, e);

    if (rc)
        vlm_graph_free(g);
    else
        set_constants(g, sides);
    return rc;
}

static int graph_new(const vlm_model *m, const vlm_objective *o, vl_pool *pool, size_t batch, int sides,
                     vlm_use use, const vlt_map *fc, vlm_graph *g, vl_err *e)
{
    bool train = use == VLM_TRAIN || use == VLM_ADJOINT;
    unsigned param = train ? VLT_PARAM : VLT_CONST;
    int rc;

    if (*m->base_id && !m->base && sides & VLM_HAS_IMAGE) {
        memset(g, 0, sizeof *g);
        return vl_fail(e, VL_EARG, "%s: its frozen weights are not here: --base FOLDER", m->spec);
    }
    rc = graph_begin(m, &o, pool, batch, use == VLM_ADJOINT, g, e);
    if (rc)
        return rc;
    g->fc = fc;
    g->data = use == VLM_INPUTS ? VLT_G : VLT_DATA;
    for (int i = 0; i < m->n_params; i++)
        g->leaf[i] =
            fc && vlm_heads_outside(i) ? -1 : vlt_leaf(g->tape, param, m->param[i].rank, m->param[i].dim);
    for (int i = 0; i < m->n_frozen; i++)
        g->frozen[i] =
            sides & VLM_HAS_IMAGE ? vlt_leaf(g->tape, VLT_CONST, m->frozen[i].rank, m->frozen[i].dim) : -1;
    record_sides(g, sides, train, train ? o->blend : 0);
    if (sides == VLM_HAS_BOTH)
        record_loss(g, o);
    return graph_end(g, sides, e);
}

int vlm_graph_new_loss(const vlm_model *m, const vlm_objective *o, vl_pool *pool, size_t batch, vlm_graph *g,
                       vl_err *e)
{
    int rc = graph_begin(m, &o, pool, batch, false, g, e);

    if (rc)
        return rc;
    for (int i = 0; i < VLM_MAX_PARAMS; i++)
        g->leaf[i] = -1;
    g->u = vlt_leaf(g->tape, VLT_G, 2, (size_t[]){batch, m->embed_dim});
    g->v = vlt_leaf(g->tape, VLT_G, 2, (size_t[]){batch, m->embed_dim});
    record_loss(g, o);
    return graph_end(g, 0, e);
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
