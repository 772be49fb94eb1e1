/* SPDX-License-Identifier: MIT */
#include "distill/train_heads.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_ROWS = 4096 }; /* to train a first layer by: their products with each other are kept */

static const int short_param[VL_HEAD_SHORT] = {
    [VL_HEAD_B1] = VLM_B1, [VL_HEAD_B2] = VLM_B2, [VL_HEAD_GAIN] = VLM_GAIN, [VL_HEAD_SHIFT] = VLM_SHIFT};

static vl_real *param(const vld_heads *h, int b, int which)
{
    return h->theta + h->model->param[b * VLM_HEAD_PARAMS + which].offset;
}

static size_t inputs_of(const vlm_model *m, int b)
{
    return m->param[b * VLM_HEAD_PARAMS + VLM_W1].dim[0];
}

static vlt_id leaf_of(const vld_heads *h, int b)
{
    return b == VLM_IMAGE ? h->graph.u : h->graph.v;
}

/* ---- life ---------------------------------------------------------------------------------------- */

static int first_new(vld_heads *h, int b, size_t batch, bool momentum, size_t rows, vl_err *e)
{
    size_t f = inputs_of(h->model, b), d = h->model->embed_dim;
    vld_head *s = &h->head[b];

    s->by_rows = rows > 0 && rows <= f && rows <= MOST_ROWS;
    if (s->by_rows)
        return (s->at = vl_alloc(batch, sizeof *s->at, e))
                   ? vld_rows_new(h->pool, rows, f, d, batch, &s->rows, e)
                   : VL_ENOMEM;
    return (s->x = vl_alloc(batch, f * sizeof *s->x, e)) ? vl_slab_layer_new(f, d, momentum, &s->first, e)
                                                         : VL_ENOMEM;
}

static int head_new(vld_heads *h, int b, size_t batch, bool momentum, size_t rows, double blend, vl_err *e)
{
    size_t d = h->model->embed_dim;
    vld_head *s = &h->head[b];
    int rc = first_new(h, b, batch, momentum, rows, e);

    if (!rc)
        rc = vl_slab_layer_new(d, d, momentum, &s->second, e);
    if (!rc)
        rc = vl_head_pass_new(h->pool, batch, d, h->model->dropout, (uint64_t)b, blend, &s->pass, e);
    if (!rc && !(s->velocity = vl_alloc(VL_HEAD_SHORT * d, sizeof(vl_real), e)))
        rc = VL_ENOMEM;
    for (int k = 0; k < VL_HEAD_SHORT; k++)
        s->pass.by[k] = param(h, b, short_param[k]);
    return rc;
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
    rc = vlm_graph_new_loss(m, o, pool, batch, &h->graph, e);
    for (int b = 0; !rc && b < VLM_BRANCHES; b++) {
        rc = head_new(h, b, batch, momentum, rows[b], o ? o->blend : 0, e);
        widest = !h->head[b].by_rows && inputs_of(m, b) > widest ? inputs_of(m, b) : widest;
    }
    if (!rc)
        rc = vl_slab_space_new(batch, widest, m->embed_dim, &h->space, e);
    if (rc)
        vld_heads_free(h);
    return rc;
}

void vld_heads_free(vld_heads *h)
{
    for (int b = 0; b < VLM_BRANCHES; b++) {
        vld_head *s = &h->head[b];
        vl_head_pass_free(&s->pass);
        vl_slab_layer_free(&s->second);
        vl_slab_layer_free(&s->first);
        vld_rows_free(&s->rows);
        free(s->velocity);
        free(s->at);
        free(s->x);
    }
    vl_slab_space_free(&h->space);
    vlm_graph_free(&h->graph);
    memset(h, 0, sizeof *h);
}

/* ---- training ------------------------------------------------------------------------------------ */

void vld_heads_begin(vld_heads *h, const vl_real *const x[VLM_BRANCHES])
{
    for (int b = 0; b < VLM_BRANCHES; b++) {
        vld_head *s = &h->head[b];
        if (s->by_rows)
            vld_rows_begin(&s->rows, x[b], param(h, b, VLM_W1));
        else
            vl_slab_layer_load(h->pool, &s->first, param(h, b, VLM_W1));
        vl_slab_layer_load(h->pool, &s->second, param(h, b, VLM_W2));
        memset(s->velocity, 0, VL_HEAD_SHORT * h->model->embed_dim * sizeof *s->velocity);
    }
}

double vld_heads_forward(vld_heads *h, const vl_draws *draws)
{
    const size_t batch = h->graph.batch;

    for (int b = 0; b < VLM_BRANCHES; b++) {
        vld_head *s = &h->head[b];
        if (s->by_rows)
            vld_rows_forward(&s->rows, s->at, s->pass.row);
        else
            vl_slabs_times(h->pool, &s->first.w, batch, s->x, s->pass.row);
        vl_head_open(&s->pass, draws);
        vl_slabs_times(h->pool, &s->second.w, batch, s->pass.a, s->pass.h);
        vl_head_close(&s->pass, vlt_x(h->graph.tape, leaf_of(h, b)));
    }
    vlt_forward(h->graph.tape);
    return (double)vlt_x(h->graph.tape, h->graph.loss)[0];
}

/* One short parameter [d] and its velocity. */
static void move_short(const vl_slab_rule *rule, size_t d, const vl_real *restrict g, vl_real *restrict v,
                       vl_real *restrict w)
{
    for (size_t i = 0; i < d; i++) {
        v[i] = rule->momentum * v[i] + (g[i] + rule->decay * w[i]);
        w[i] -= rule->rate * v[i];
    }
}

void vld_heads_backward(vld_heads *h)
{
    const size_t d = h->model->embed_dim;

    vlt_backward(h->graph.tape, h->graph.loss);
    for (int b = 0; b < VLM_BRANCHES; b++) {
        vld_head *s = &h->head[b];
        vl_head_pass *p = &s->pass;
        vl_head_close_back(p, vlt_x(h->graph.tape, leaf_of(h, b)), vlt_gx(h->graph.tape, leaf_of(h, b)));
        vl_slab_layer_learn(h->pool, &s->second, &s->rule, p->a, p->h, p->ga, &h->space);
        vl_head_open_back(p);
        if (s->by_rows)
            vld_rows_learn(&s->rows, &s->rule, s->at, p->row);
        else
            vl_slab_layer_learn(h->pool, &s->first, &s->rule, s->x, p->row, NULL, &h->space);
        for (size_t k = 0; k < VL_HEAD_SHORT; k++)
            move_short(&s->rule, d, p->gradient + k * d, s->velocity + k * d, param(h, b, short_param[k]));
    }
}

void vld_heads_store(vld_heads *h)
{
    for (int b = 0; b < VLM_BRANCHES; b++) {
        vld_head *s = &h->head[b];
        if (s->by_rows)
            vld_rows_store(&s->rows, param(h, b, VLM_W1));
        else
            vl_slab_layer_store(h->pool, &s->first, param(h, b, VLM_W1));
        vl_slab_layer_store(h->pool, &s->second, param(h, b, VLM_W2));
    }
}
