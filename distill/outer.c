/* SPDX-License-Identifier: MIT
 * outer.c -- draws, Adam, and what follows when an inner training diverges.
 * Adam's count of steps leaves diverged iterations out: its moments have not seen them. */
#include "distill/outer.h"
#include "pipeline/rng.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-12, cut = 0.8;

/* Adam's two moments of n numbers. */
typedef struct adam {
    size_t n;
    vl_real *m, *v;
} adam;

struct vld_outer {
    const vld_experts *x;
    vl_pool *pool;
    vld_outer_opts o;
    vld_set *set;
    vld_set grad;
    vld_unroll *unroll;
    adam pixels, text;
    double rate_m[VLM_BRANCHES], rate_v[VLM_BRANCHES];
    int steps; /* taken by Adam */
    int diverged;
};

static int adam_new(adam *a, size_t n, vl_err *e)
{
    a->n = n;
    a->m = vl_alloc(n, sizeof *a->m, e);
    a->v = a->m ? vl_alloc(n, sizeof *a->v, e) : NULL;
    return a->v ? VL_OK : VL_ENOMEM;
}

static void adam_free(adam *a)
{
    free(a->m);
    free(a->v);
}

static int check(const vld_experts *x, const vld_outer_opts *o, vl_err *e)
{
    int need = o->start_max + o->expert_epochs;

    if (o->start_max < 1 || o->expert_epochs < 1 || o->iterations < 1)
        return vl_fail(e, VL_EARG, "starts, expert epochs and iterations: at least 1 of each wanted");
    if (x->n < 1)
        return vl_fail(e, VL_EARG, "no expert to match");
    for (int i = 0; i < x->n; i++)
        if (x->n_snaps[i] < need)
            return vl_fail(e, VL_EARG, "expert %d has %d snapshots; %d starts and %d epochs ahead need %d", i,
                           x->n_snaps[i], o->start_max, o->expert_epochs, need);
    return VL_OK;
}

int vld_outer_new(const vld_experts *x, vl_pool *pool, const vld_outer_opts *o, vld_set *set, vld_outer **out,
                  vl_err *e)
{
    const vlm_model *m = &x->model;
    vld_outer *u;
    int rc = check(x, o, e);

    if (rc)
        return rc;
    u = vl_alloc(1, sizeof *u, e);
    if (!u)
        return VL_ENOMEM;
    u->x = x;
    u->pool = pool;
    u->o = *o;
    u->set = set;
    rc = vld_set_new(m, set->n, &u->grad, e);
    if (!rc)
        rc = adam_new(&u->pixels, set->n * m->size * m->size * 3, e);
    if (!rc)
        rc = adam_new(&u->text, set->n * m->text_dim, e);
    if (!rc)
        rc = vld_unroll_new(m, pool, set->n, &o->inner, &u->unroll, e);
    if (rc)
        vld_outer_free(u);
    else
        *out = u;
    return rc;
}

void vld_outer_free(vld_outer *u)
{
    if (!u)
        return;
    vld_unroll_free(u->unroll);
    adam_free(&u->text);
    adam_free(&u->pixels);
    vld_set_free(&u->grad);
    free(u);
}

/* Elementwise, so it can be cut anywhere: blocks of numbers are the tiles. */
enum { ADAM_BLOCK = 65536 };

typedef struct adam_job {
    adam *a;
    vl_real *x;
    const vl_real *g;
    vl_real step, c2; /* step / (1 - beta1^t), 1 / (1 - beta2^t) */
} adam_job;

static void adam_tile(void *arg, size_t tile, int worker)
{
    const adam_job *j = arg;
    const vl_real b1 = (vl_real)beta1, b2 = (vl_real)beta2, eps = (vl_real)epsilon;
    size_t end = (tile + 1) * ADAM_BLOCK < j->a->n ? (tile + 1) * ADAM_BLOCK : j->a->n;
    vl_real *restrict m = j->a->m, *restrict v = j->a->v, *restrict x = j->x;
    const vl_real *restrict g = j->g;

    (void)worker;
    for (size_t i = tile * ADAM_BLOCK; i < end; i++) {
        m[i] = b1 * m[i] + (1 - b1) * g[i];
        v[i] = b2 * v[i] + (1 - b2) * g[i] * g[i];
        x[i] -= j->step * m[i] / (vl_real)(sqrt(v[i] * j->c2) + eps);
    }
}

static void adam_step(vld_outer *u, adam *a, vl_real *x, const vl_real *g, double step)
{
    adam_job j = {a, x, g, (vl_real)(step / (1 - pow(beta1, u->steps))),
                  (vl_real)(1 / (1 - pow(beta2, u->steps)))};

    vl_pool_run(u->pool, (a->n + ADAM_BLOCK - 1) / ADAM_BLOCK, adam_tile, &j);
}

/* The gradient of log rate is rate times the rate's. The bounds keep exp() from ending at 0 or infinity. */
static void rate_step(vld_outer *u, int b, double step)
{
    double g = u->grad.rate[b] * u->set->rate[b];

    u->rate_m[b] = beta1 * u->rate_m[b] + (1 - beta1) * g;
    u->rate_v[b] = beta2 * u->rate_v[b] + (1 - beta2) * g * g;
    u->set->rate[b] *= exp(-step * u->rate_m[b] / (1 - pow(beta1, u->steps)) /
                           (sqrt(u->rate_v[b] / (1 - pow(beta2, u->steps))) + epsilon));
    u->set->rate[b] = fmin(fmax(u->set->rate[b], VLD_RATE_MIN), VLD_RATE_MAX);
}

static int take_diverged(vld_outer *u, vld_outer_report *r, vl_err *e)
{
    r->diverged = true;
    for (int b = 0; b < VLM_BRANCHES; b++)
        u->set->rate[b] = fmax(u->set->rate[b] * cut, VLD_RATE_MIN);
    if (++u->diverged > VLD_MAX_DIVERGED)
        return vl_within(e, "%d iterations diverged in a row", u->diverged);
    return VL_OK;
}

int vld_outer_step(vld_outer *u, int k, vld_outer_report *r, vl_err *e)
{
    uint64_t stream = vl_rng_stream("outer", 0, 0, 0), it = (uint64_t)k;
    const vlm_model *m = &u->x->model;
    bool compare = u->o.log_cosine > 0 && k % u->o.log_cosine == 0;
    double fall = 0.55 + 0.45 * cos(3.14159265358979 * k / u->o.iterations);
    vld_window w = {.seed = u->o.seed, .iter = it};
    int rc;

    memset(r, 0, sizeof *r);
    r->expert = (int)vl_rng_below(u->o.seed, stream, 3 * it, (uint64_t)u->x->n);
    r->start = (int)vl_rng_below(u->o.seed, stream, 3 * it + 1, (uint64_t)u->o.start_max);
    r->warm = (int)vl_rng_below(u->o.seed, stream, 3 * it + 2, (uint64_t)u->o.inner.warm_max + 1);
    w.start = u->x->theta[r->expert] + (size_t)r->start * m->n;
    w.target = w.start + (size_t)u->o.expert_epochs * m->n;
    w.warm = r->warm;
    rc = vld_unroll_run(u->unroll, &w, u->set, u->o.gradient, compare, &u->grad, &r->inner, e);
    if (rc == VL_EMATH)
        return take_diverged(u, r, e);
    if (rc)
        return rc;
    u->diverged = 0;
    u->steps++;
    adam_step(u, &u->pixels, u->set->image, u->grad.image, fall * u->o.step_pixels);
    adam_step(u, &u->text, u->set->text, u->grad.text, fall * u->o.step_text);
    for (int b = 0; b < VLM_BRANCHES; b++)
        rate_step(u, b, fall * u->o.step_rates);
    return VL_OK;
}
