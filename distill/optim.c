/* SPDX-License-Identifier: MIT */
#include "distill/optim.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 65536 };

static const double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-12;

int vld_optim_new(vld_optim_kind kind, double momentum, size_t n, vld_optim *o, vl_err *e)
{
    *o = (vld_optim){.kind = kind, .momentum = momentum, .n = n};
    o->m = vl_alloc(n, sizeof *o->m, e);
    if (o->m && kind == VLD_ADAM)
        o->v = vl_alloc(n, sizeof *o->v, e);
    if (o->m && (o->v || kind == VLD_SGD))
        return VL_OK;
    vld_optim_free(o);
    return VL_ENOMEM;
}

void vld_optim_free(vld_optim *o)
{
    free(o->m);
    free(o->v);
    memset(o, 0, sizeof *o);
}

void vld_optim_state(vld_optim *o, const char *group, vld_state *s)
{
    vld_state_reals(s, group, "m", o->m, o->n);
    vld_state_reals(s, group, "v", o->v, o->n);
    vld_state_count(s, group, &o->steps);
}

typedef struct job {
    vld_optim *o;
    vl_real *x;
    const vl_real *g;
    vl_real scale, step; /* adam: step / (1 - beta1^t) */
    vl_real c2;          /* 1 / (1 - beta2^t) */
} job;

static void adam_range(const job *j, size_t begin, size_t end)
{
    const vl_real b1 = (vl_real)beta1, b2 = (vl_real)beta2, eps = (vl_real)epsilon;
    vl_real *restrict m = j->o->m, *restrict v = j->o->v, *restrict x = j->x;

    for (size_t i = begin; i < end; i++) {
        vl_real g = j->scale * j->g[i];
        m[i] = b1 * m[i] + (1 - b1) * g;
        v[i] = b2 * v[i] + (1 - b2) * g * g;
        x[i] -= j->step * m[i] / (vl_real)(sqrt(v[i] * j->c2) + eps);
    }
}

static void sgd_range(const job *j, size_t begin, size_t end)
{
    const vl_real mu = (vl_real)j->o->momentum;
    vl_real *restrict m = j->o->m, *restrict x = j->x;

    for (size_t i = begin; i < end; i++) {
        m[i] = mu * m[i] + j->scale * j->g[i];
        x[i] -= j->step * m[i];
    }
}

static void tile(void *arg, size_t number, int worker)
{
    const job *j = arg;
    size_t begin = number * BLOCK, end = begin + BLOCK < j->o->n ? begin + BLOCK : j->o->n;

    (void)worker;
    (j->o->kind == VLD_ADAM ? adam_range : sgd_range)(j, begin, end);
}

void vld_optim_step(vld_optim *o, vl_pool *pool, double step, double scale, const vl_real *g, vl_real *x)
{
    job j = {o, x, g, (vl_real)scale, (vl_real)step, 1};

    o->steps++;
    if (o->kind == VLD_ADAM) {
        j.step = (vl_real)(step / (1 - pow(beta1, o->steps)));
        j.c2 = (vl_real)(1 / (1 - pow(beta2, o->steps)));
    }
    vl_pool_run(pool, (o->n + BLOCK - 1) / BLOCK, tile, &j);
}

double vld_clip_scale(double clip, const vl_real *g, size_t n)
{
    double squares = 0;

    if (!(clip > 0))
        return 1;
    for (size_t i = 0; i < n; i++)
        squares += (double)g[i] * (double)g[i];
    return squares > clip * clip ? clip / sqrt(squares) : 1;
}

double vld_optim_one(vld_optim_kind kind, double momentum, int steps, double step, double g, double state[2])
{
    if (kind == VLD_SGD) {
        state[0] = momentum * state[0] + g;
        return step * state[0];
    }
    state[0] = beta1 * state[0] + (1 - beta1) * g;
    state[1] = beta2 * state[1] + (1 - beta2) * g * g;
    return step * state[0] / (1 - pow(beta1, steps)) / (sqrt(state[1] / (1 - pow(beta2, steps))) + epsilon);
}
