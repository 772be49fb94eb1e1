/* SPDX-License-Identifier: MIT */
#include "distill/set.h"
#include "pipeline/rng.h"

#include <stdlib.h>
#include <string.h>

const char *const vld_set_part_name[VLD_SET_PARTS] = {"image", "text", "s", "l", "r", "w"};

static vl_real **slot(vld_set *s, vld_set_part part)
{
    vl_real **const all[VLD_SET_PARTS] = {&s->image, &s->text, &s->s, &s->l, &s->r, &s->w};

    return all[part];
}

vl_real *vld_set_part_of(const vld_set *s, vld_set_part part)
{
    return *slot((vld_set *)s, part);
}

void vld_set_give(vld_set *s, vld_set_part part, vl_real *x)
{
    vl_real **at = slot(s, part);

    free(*at);
    *at = x;
}

size_t vld_set_width(const vlm_model *m, const vlm_objective *o, size_t n, vld_set_part part)
{
    bool full = o->sim == VLM_SIM_FULL, low = o->sim == VLM_SIM_LOWRANK;
    const size_t width[VLD_SET_PARTS] = {m->image_n,        m->text_dim,       full ? n : 0,
                                         low ? o->rank : 0, low ? o->rank : 0, low};

    return width[part];
}

int vld_set_new_for(const vlm_model *m, const vlm_objective *o, size_t n, vld_set *s, vl_err *e)
{
    memset(s, 0, sizeof *s);
    s->n = n;
    for (vld_set_part p = 0; p < VLD_SET_PARTS; p++) {
        size_t width = vld_set_width(m, o, n, p);
        vl_real **at = slot(s, p);
        if (width && !(*at = vl_alloc(n, width * sizeof **at, e))) {
            vld_set_free(s);
            return VL_ENOMEM;
        }
    }
    return VL_OK;
}

int vld_set_new(const vlm_model *m, size_t n, vld_set *s, vl_err *e)
{
    static const vlm_objective plain = {.loss = VLM_INFONCE};

    return vld_set_new_for(m, &plain, n, s, e);
}

void vld_set_free(vld_set *s)
{
    for (vld_set_part p = 0; p < VLD_SET_PARTS; p++)
        free(vld_set_part_of(s, p));
    memset(s, 0, sizeof *s);
}

void vld_set_similarity(const vlm_objective *o, uint64_t seed, vld_set *s)
{
    if (s->s)
        for (size_t i = 0; i < s->n; i++)
            s->s[i * s->n + i] = 1;
    if (!s->l)
        return;
    vl_rng_normal(seed, vl_rng_stream("similarity", 0, 0, 0), s->n * o->rank, 1, s->l);
    for (size_t i = 0; i < s->n; i++)
        s->w[i] = 1;
}

int vld_set_copy_similarity(const vlm_model *m, const vlm_objective *o, const vld_set *from, vld_set *to,
                            vl_err *e)
{
    for (vld_set_part p = VLD_PART_S; p < VLD_SET_PARTS; p++) {
        size_t width = vld_set_width(m, o, from->n, p);
        vl_real *x;
        if (!width)
            continue;
        if (!(x = vl_alloc(from->n, width * sizeof *x, e)))
            return VL_ENOMEM;
        memcpy(x, vld_set_part_of(from, p), from->n * width * sizeof *x);
        vld_set_give(to, p, x);
    }
    return VL_OK;
}

/* ---- batches ------------------------------------------------------------------------------------- */

/* The leaf that takes a batch's rows of this part; -1: the objective has none. */
static vlt_id leaf_of(const vlm_graph *g, vld_set_part part)
{
    const vlt_id leaf[VLD_SET_PARTS] = {g->x, g->y, g->s, g->l, g->r, g->w};

    return leaf[part];
}

/* A graph by maps, or of the loss alone, does not take images and texts themselves. */
static vld_set_part first_part(const vlm_graph *g)
{
    return g->fc || g->x < 0 ? VLD_PART_S : VLD_PART_IMAGE;
}

void vld_set_gather(const vld_set *s, const vlm_objective *o, const vlm_graph *g, const uint32_t *rows,
                    size_t b, const vl_view *view)
{
    bool pixels = g->model->kind != VLM_HEADS;

    for (vld_set_part part = first_part(g); part < VLD_SET_PARTS; part++) {
        size_t width = vld_set_width(g->model, o, s->n, part);
        if (!width)
            continue;
        const vl_real *from = vld_set_part_of(s, part) + rows[b] * width;
        vl_real *to = vlt_x(g->tape, leaf_of(g, part));
        if (part == VLD_PART_IMAGE && pixels)
            vl_view_apply(from, g->model->size, *view, to + b * width);
        else if (part == VLD_PART_S)
            for (size_t c = 0; c < g->batch; c++)
                to[b * g->batch + c] = from[rows[c]];
        else
            memcpy(to + b * width, from, width * sizeof *to);
    }
}

void vld_set_scatter(vld_set *grad, const vlm_objective *o, const vlm_graph *g, const uint32_t *rows,
                     size_t b, const vl_view *view)
{
    bool pixels = g->model->kind != VLM_HEADS;

    for (vld_set_part part = first_part(g); part < VLD_SET_PARTS; part++) {
        size_t width = vld_set_width(g->model, o, grad->n, part);
        if (!width)
            continue;
        const vl_real *from = vlt_gxt(g->tape, leaf_of(g, part));
        vl_real *to = vld_set_part_of(grad, part) + rows[b] * width;
        if (part == VLD_PART_IMAGE && pixels)
            vl_view_adjoint_add(from + b * width, g->model->size, *view, -1, to);
        else if (part == VLD_PART_S)
            for (size_t c = 0; c < g->batch; c++)
                to[rows[c]] -= from[b * g->batch + c];
        else
            for (size_t i = 0; i < width; i++)
                to[i] -= from[b * width + i];
    }
}
