/* SPDX-License-Identifier: MIT */
#include "distill/smooth.h"
#include "distill/optim.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

bool vld_smooth_any(const vld_smooth_opts *o)
{
    return o->flat > 0 || o->penalty > 0 || o->clip > 0;
}

vlm_use vld_smooth_use(const vld_smooth_opts *o)
{
    return o->penalty > 0 ? VLM_ADJOINT : VLM_TRAIN;
}

int vld_smooth_new(const vlm_model *m, const vld_smooth_opts *o, vld_smooth *s, vl_err *e)
{
    *s = (vld_smooth){.o = *o, .m = m};
    if ((o->flat > 0 && !(s->at = vl_alloc(m->n, sizeof *s->at, e))) ||
        (o->penalty > 0 &&
         (!(s->v = vl_alloc(m->n, sizeof *s->v, e)) || !(s->hv = vl_alloc(m->n, sizeof *s->hv, e))))) {
        vld_smooth_free(s);
        return VL_ENOMEM;
    }
    return VL_OK;
}

void vld_smooth_free(vld_smooth *s)
{
    free(s->hv);
    free(s->v);
    free(s->at);
    *s = (vld_smooth){.m = NULL};
}

/* 1 / |x|; 0 where that is none: then nothing moves, and what the caller checks shows it. */
static double one_over_length(const vl_real *x, size_t n)
{
    double sum = 0;

    for (size_t k = 0; k < n; k++)
        sum += (double)x[k] * (double)x[k];
    return sum > 0 && isfinite(sum) ? 1 / sqrt(sum) : 0;
}

/* Gradient and activations at theta + flat g / |g|. */
static void climb(vld_smooth *s, vlm_graph *g, vl_real *theta, const vl_real *grad)
{
    size_t n = s->m->n;
    const vl_real step = (vl_real)(s->o.flat * one_over_length(grad, n));

    memcpy(s->at, theta, n * sizeof *theta);
    for (size_t k = 0; k < n; k++)
        theta[k] += step * grad[k];
    vlt_forward(g->tape);
    vlt_backward(g->tape, g->loss);
}

/* grad += penalty H g / |g| */
static void penalise(vld_smooth *s, vlm_graph *g, vl_real *grad)
{
    size_t n = s->m->n;
    const vl_real unit = (vl_real)one_over_length(grad, n), weight = (vl_real)s->o.penalty;

    for (size_t k = 0; k < n; k++)
        s->v[k] = unit * grad[k];
    vlm_bind(g, NULL, NULL, s->v, s->hv);
    vlt_tangent(g->tape, g->loss);
    for (size_t k = 0; k < n; k++)
        grad[k] += weight * s->hv[k];
}

static void clip(const vld_smooth *s, vl_real *grad)
{
    for (int b = 0; b < VLM_BRANCHES; b++) {
        size_t from = s->m->begin[b], to = s->m->begin[b + 1];
        const vl_real scale = (vl_real)vld_clip_scale(s->o.clip, grad + from, to - from);
        for (size_t k = from; k < to; k++)
            grad[k] *= scale;
    }
}

void vld_smooth_gradient(vld_smooth *s, vlm_graph *g, vl_real *theta, vl_real *grad)
{
    if (s->o.flat > 0)
        climb(s, g, theta, grad);
    if (s->o.penalty > 0)
        penalise(s, g, grad);
    if (s->o.flat > 0)
        memcpy(theta, s->at, s->m->n * sizeof *theta);
    if (s->o.clip > 0)
        clip(s, grad);
}
