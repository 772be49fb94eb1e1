/* SPDX-License-Identifier: MIT
 * set_batch.c -- a tile is a row of the batch; rows of one batch are distinct, so tiles do not meet. */
#include "distill/set_batch.h"
#include "pipeline/rng.h"

#include <string.h>

static vl_view view_of(const vld_batch *p, size_t b)
{
    return vl_view_draw(p->aug, p->seed, vl_rng_stream("view", p->iter, p->step, 0), b);
}

/* The leaf that takes a batch's rows of this part of the set; -1: the objective has none. */
static vlt_id leaf_of(const vlm_graph *g, vld_set_part part)
{
    const vlt_id leaf[VLD_SET_PARTS] = {g->x, g->y, g->s, g->l, g->r, g->w};

    return leaf[part];
}

static size_t width_of(const vld_batch *p, vld_set_part part)
{
    return vld_set_width(p->graph->model, p->objective, p->set->n, part);
}

static bool has_views(const vld_batch *p)
{
    return p->aug->flip || p->aug->shift;
}

static void gather_one(void *arg, size_t b, int worker)
{
    const vld_batch *p = arg;
    vlt_tape *t = p->graph->tape;
    size_t row = p->rows[b], batch = p->graph->batch;

    (void)worker;
    for (vld_set_part part = p->from; part < VLD_SET_PARTS; part++) {
        size_t width = width_of(p, part);
        if (!width)
            continue;
        const vl_real *from = vld_set_part_of(p->set, part) + row * width;
        vl_real *to = vlt_x(t, leaf_of(p->graph, part));
        if (part == VLD_PART_IMAGE && has_views(p))
            vl_view_apply(from, p->graph->model->size, view_of(p, b), to + b * width);
        else if (part == VLD_PART_S)
            for (size_t c = 0; c < batch; c++)
                to[b * batch + c] = from[p->rows[c]];
        else
            memcpy(to + b * width, from, width * sizeof *to);
    }
}

static void scatter_one(void *arg, size_t b, int worker)
{
    const vld_batch *p = arg;
    vlt_tape *t = p->graph->tape;
    size_t row = p->rows[b], batch = p->graph->batch;

    (void)worker;
    for (vld_set_part part = p->from; part < VLD_SET_PARTS; part++) {
        size_t width = width_of(p, part);
        if (!width)
            continue;
        const vl_real *from = vlt_gxt(t, leaf_of(p->graph, part));
        vl_real *to = vld_set_part_of(p->grad, part) + row * width;
        if (part == VLD_PART_IMAGE && has_views(p))
            vl_view_adjoint_add(from + b * width, p->graph->model->size, view_of(p, b), -1, to);
        else if (part == VLD_PART_S)
            for (size_t c = 0; c < batch; c++)
                to[p->rows[c]] -= from[b * batch + c];
        else
            for (size_t i = 0; i < width; i++)
                to[i] -= from[b * width + i];
    }
}

void vld_batch_gather(vl_pool *pool, const vld_batch *b)
{
    vl_pool_run(pool, b->graph->batch, gather_one, (void *)b);
}

void vld_batch_scatter(vl_pool *pool, const vld_batch *b)
{
    vl_pool_run(pool, b->graph->batch, scatter_one, (void *)b);
}
