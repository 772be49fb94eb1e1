/* SPDX-License-Identifier: MIT */
#include "distill/train_heads.h"

#include <stdlib.h>
#include <string.h>

enum { VECTORS = 4 }; /* short parameters of a branch */
static const int vector_of[VECTORS] = {VLM_B1, VLM_B2, VLM_GAIN, VLM_SHIFT};

static const vlm_param *param_of(const vld_heads *h, int b, int which)
{
    return &h->model->param[b * VLM_HEAD_PARAMS + which];
}

static size_t inputs_of(const vld_heads *h, int b)
{
    return param_of(h, b, VLM_W1)->dim[0];
}

static vlt_id input_leaf(const vld_heads *h, int b)
{
    return b == VLM_IMAGE ? h->graph.x : h->graph.y;
}

/* ---- the second layer, as the tape sees it ------------------------------------------------------- */

static void second_forward(void *owner, const vl_real *x, vl_real *y)
{
    vld_head *h = owner;

    h->met = x;
    vl_panels_times(h->pool, &h->second.w, h->space->rows, x, y);
}

static void second_backward(void *owner, const vl_real *gy, vl_real *gx)
{
    vld_head *h = owner;

    vl_panel_layer_learn(h->pool, &h->second, &h->rule, h->met, gy, gx, h->space);
}

/* ---- life ---------------------------------------------------------------------------------------- */

static int head_new(vld_heads *h, int b, size_t batch, bool momentum, size_t rows, vl_err *e)
{
    size_t f = inputs_of(h, b), d = h->model->embed_dim;
    vld_head *s = &h->head[b];
    int rc;

    s->pool = h->pool;
    s->space = &h->space;
    s->by_rows = rows > 0 && rows <= f;
    if (!(s->velocity = vl_alloc(VECTORS * d, sizeof(vl_real), e)) ||
        !(s->sums = vl_alloc(d, sizeof(vl_real), e)))
        return VL_ENOMEM;
    if (s->by_rows)
        rc = (s->at = vl_alloc(batch, sizeof *s->at, e))
                 ? vld_rows_new(h->pool, rows, f, d, batch, &s->rows, e)
                 : VL_ENOMEM;
    else
        rc = (s->x = vl_alloc(batch, f * sizeof *s->x, e)) ? vl_panel_layer_new(f, d, momentum, &s->first, e)
                                                           : VL_ENOMEM;
    return rc ? rc : vl_panel_layer_new(d, d, momentum, &s->second, e);
}

int vld_heads_new(const vlm_model *m, const vlm_objective *o, vl_pool *pool, size_t batch, bool momentum,
                  const size_t rows[VLM_BRANCHES], vl_real *theta, vld_heads *h, vl_err *e)
{
    size_t widest = m->embed_dim;
    int rc;

    memset(h, 0, sizeof *h);
    h->model = m;
    h->pool = pool;
    h->theta = theta;
    for (int b = 0; b < VLM_BRANCHES; b++)
        h->fc[b] = (vlt_map){.k = m->embed_dim,
                             .n = m->embed_dim,
                             .owner = &h->head[b],
                             .forward = second_forward,
                             .backward = second_backward};
    rc = vlm_graph_new_maps(m, o, pool, batch, VLM_TRAIN, h->fc, &h->graph, e);
    for (int b = 0; !rc && b < VLM_BRANCHES; b++) {
        rc = head_new(h, b, batch, momentum, rows[b], e);
        widest = !h->head[b].by_rows && inputs_of(h, b) > widest ? inputs_of(h, b) : widest;
    }
    if (!rc)
        rc = vl_panel_space_new(batch, widest, m->embed_dim, &h->space, e);
    if (rc)
        vld_heads_free(h);
    else
        vlm_bind(&h->graph, theta, NULL, NULL, NULL);
    return rc;
}

void vld_heads_free(vld_heads *h)
{
    for (int b = 0; b < VLM_BRANCHES; b++) {
        vld_head *s = &h->head[b];
        vl_panel_layer_free(&s->second);
        vl_panel_layer_free(&s->first);
        vld_rows_free(&s->rows);
        free(s->at);
        free(s->x);
        free(s->sums);
        free(s->velocity);
    }
    vl_panel_space_free(&h->space);
    vlm_graph_free(&h->graph);
    memset(h, 0, sizeof *h);
}

/* ---- training ------------------------------------------------------------------------------------ */

void vld_heads_begin(vld_heads *h, const vl_real *const x[VLM_BRANCHES])
{
    for (int b = 0; b < VLM_BRANCHES; b++) {
        vld_head *s = &h->head[b];
        const vl_real *first = h->theta + param_of(h, b, VLM_W1)->offset;
        if (s->by_rows)
            vld_rows_begin(&s->rows, x[b], first);
        else
            vl_panel_layer_load(h->pool, &s->first, first);
        vl_panel_layer_load(h->pool, &s->second, h->theta + param_of(h, b, VLM_W2)->offset);
        memset(s->velocity, 0, VECTORS * h->model->embed_dim * sizeof *s->velocity);
    }
}

double vld_heads_forward(vld_heads *h)
{
    size_t d = h->model->embed_dim;

    for (int b = 0; b < VLM_BRANCHES; b++) {
        vld_head *s = &h->head[b];
        const vl_real *b1 = h->theta + param_of(h, b, VLM_B1)->offset;
        vl_real *p = vlt_x(h->graph.tape, input_leaf(h, b));
        if (s->by_rows)
            vld_rows_forward(&s->rows, s->at, p);
        else
            vl_panels_times(h->pool, &s->first.w, h->graph.batch, s->x, p);
        for (size_t r = 0; r < h->graph.batch; r++)
            for (size_t i = 0; i < d; i++)
                p[r * d + i] += b1[i];
    }
    vlt_forward(h->graph.tape);
    return (double)vlt_x(h->graph.tape, h->graph.loss)[0];
}

/* One short parameter [d] and its velocity. */
static void move_vector(const vl_panel_rule *rule, size_t d, const vl_real *g, vl_real *v, vl_real *w)
{
    for (size_t i = 0; i < d; i++) {
        v[i] = rule->momentum * v[i] + (g[i] + rule->decay * w[i]);
        w[i] -= rule->rate * v[i];
    }
}

static void move_vectors(vld_heads *h, int b, const vl_real *g)
{
    size_t d = h->model->embed_dim;
    vld_head *s = &h->head[b];

    memset(s->sums, 0, d * sizeof *s->sums);
    for (size_t r = 0; r < h->graph.batch; r++)
        for (size_t i = 0; i < d; i++)
            s->sums[i] += g[r * d + i];
    for (int k = 0; k < VECTORS; k++) {
        vlt_id leaf = h->graph.leaf[b * VLM_HEAD_PARAMS + vector_of[k]];
        move_vector(&s->rule, d, vector_of[k] == VLM_B1 ? s->sums : vlt_gx(h->graph.tape, leaf),
                    s->velocity + (size_t)k * d, h->theta + param_of(h, b, vector_of[k])->offset);
    }
}

void vld_heads_backward(vld_heads *h)
{
    vlt_backward(h->graph.tape, h->graph.loss);
    for (int b = 0; b < VLM_BRANCHES; b++) {
        vld_head *s = &h->head[b];
        const vl_real *g = vlt_gx(h->graph.tape, input_leaf(h, b));
        if (s->by_rows)
            vld_rows_learn(&s->rows, &s->rule, s->at, g);
        else
            vl_panel_layer_learn(h->pool, &s->first, &s->rule, s->x, g, NULL, &h->space);
        move_vectors(h, b, g);
    }
}

void vld_heads_store(vld_heads *h)
{
    for (int b = 0; b < VLM_BRANCHES; b++) {
        const vld_head *s = &h->head[b];
        vl_real *first = h->theta + param_of(h, b, VLM_W1)->offset;
        if (s->by_rows)
            vld_rows_store(&h->head[b].rows, first);
        else
            vl_panel_layer_store(h->pool, &s->first, first);
        vl_panel_layer_store(h->pool, &s->second, h->theta + param_of(h, b, VLM_W2)->offset);
    }
}
