/* SPDX-License-Identifier: MIT
 * outer.c -- draws, steps, and what follows when an inner training diverges.
 * The optimisers do not count diverged iterations: their moments have not seen them. */
#include "distill/outer.h"
#include "distill/perturb.h"
#include "pipeline/rng.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double cut = 0.8;

struct vld_outer {
    const vld_experts *x;
    vl_pool *pool;
    vld_outer_opts o;
    vld_set *set;
    vld_set grad, sum;   /* sum: of a committee */
    vl_real *features;   /* with a front: [n,F] what the set's pixels are in this iteration */
    vl_real *pixel_grad; /* with a front: [n,S,S,3] */
    vl_real *start;      /* [model.n] where it is no snapshot as it is: branches start apart, or with noise */
    vl_real *target;     /* [points][model.n] where branches start apart: the targets, the last one's first */
    const vl_real **between; /* [points - 1] */
    vld_unroll *unroll;
    vld_optim part[VLD_SET_PARTS];
    double rate_state[VLM_BRANCHES][2];
    int steps; /* taken */
    int diverged;
};

static int check(const vld_experts *x, const vld_outer_opts *o, vl_err *e)
{
    int last = o->text_start_max > o->start_max ? o->text_start_max : o->start_max;
    int need = last + o->expert_epochs;

    if (o->text_start_max < 0 || o->committee < 0 || o->start_max < 1 || o->expert_epochs < 1 ||
        o->iterations < 1)
        return vl_fail(e, VL_EARG, "starts, expert epochs and iterations: at least 1 of each wanted");
    if (x->n < 1)
        return vl_fail(e, VL_EARG, "no expert to match");
    for (int i = 0; i < x->n; i++)
        if (x->n_snaps[i] < need)
            return vl_fail(e, VL_EARG, "expert %d has %d snapshots; %d starts and %d epochs ahead need %d", i,
                           x->n_snaps[i], last, o->expert_epochs, need);
    return VL_OK;
}

/* Of a part as the experts take it. */
static size_t reals_of(const vld_outer *u, vld_set_part p)
{
    return u->set->n * vld_set_width(&u->x->model, &u->o.inner.objective, u->set->n, p);
}

static int make_arrays(vld_outer *u, vl_err *e)
{
    const vlm_model *m = &u->x->model;
    const vlm_objective *o = &u->o.inner.objective;
    int rc = vld_set_new_for(m, o, u->set->n, &u->grad, e);

    if (!rc && u->o.committee > 1)
        rc = vld_set_new_for(m, o, u->set->n, &u->sum, e);
    for (vld_set_part p = 0; !rc && p < VLD_SET_PARTS; p++) {
        bool pixels = p == VLD_PART_IMAGE && u->o.front;
        size_t reals = pixels ? u->set->n * vld_front_model(u->o.front)->image_n : reals_of(u, p);
        if (reals && !vld_set_part_of(u->set, p))
            rc = vl_fail(e, VL_EARG, "the set lacks the similarity that its objective has");
        else if (reals)
            rc = vld_optim_new(u->o.optimiser, u->o.momentum, reals, &u->part[p], e);
    }
    if (!rc && u->o.front &&
        (!(u->features = vl_alloc(u->set->n, m->image_n * sizeof *u->features, e)) ||
         !(u->pixel_grad = vl_alloc(u->part[VLD_PART_IMAGE].n, sizeof *u->pixel_grad, e))))
        rc = VL_ENOMEM;
    if (!rc && (u->o.text_start_max || u->o.perturb > 0) && !(u->start = vl_alloc(m->n, sizeof *u->start, e)))
        rc = VL_ENOMEM;
    if (!rc && u->o.text_start_max &&
        !(u->target = vl_alloc((size_t)u->o.inner.points, m->n * sizeof *u->target, e)))
        rc = VL_ENOMEM;
    if (!rc && !(u->between = vl_alloc((size_t)u->o.inner.points, sizeof *u->between, e)))
        rc = VL_ENOMEM;
    return rc;
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
    u->o.committee = o->committee ? o->committee : 1;
    u->o.inner.points = o->intermediate ? o->expert_epochs : 1;
    u->o.rate_min = o->rate_min > 0 ? o->rate_min : VLD_RATE_MIN;
    u->o.rate_max = o->rate_max > 0 ? o->rate_max : VLD_RATE_MAX;
    u->set = set;
    if (o->front && (m->kind != VLM_HEADS || vld_front_model(o->front)->embed_dim != m->image_n)) {
        vld_outer_free(u);
        return vl_fail(e, VL_EARG, "features of %zu numbers for experts of %s",
                       vld_front_model(o->front)->embed_dim, m->spec);
    }
    rc = make_arrays(u, e);
    if (!rc)
        rc = vld_unroll_new(m, pool, set->n, &u->o.inner, &u->unroll, e);
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
    for (vld_set_part p = 0; p < VLD_SET_PARTS; p++)
        vld_optim_free(&u->part[p]);
    vld_set_free(&u->sum);
    vld_set_free(&u->grad);
    free(u->pixel_grad);
    free(u->features);
    free(u->between);
    free(u->target);
    free(u->start);
    free(u);
}

/* ---- steps ----------------------------------------------------------------------------------------- */

static double step_of(const vld_outer_opts *o, vld_set_part p)
{
    return p == VLD_PART_IMAGE ? o->step_image : p == VLD_PART_TEXT ? o->step_text : o->step_similarity;
}

/* The gradient of log rate is rate times the rate's. The bounds keep exp() from ending at 0 or infinity. */
static void rate_step(vld_outer *u, int b, const vld_set *grad, double step)
{
    double *rate = &u->set->rate[b], g = grad->rate[b] / u->o.committee;

    if (u->o.optimiser == VLD_ADAM)
        *rate *= exp(-vld_optim_one(VLD_ADAM, 0, u->steps, step, g * *rate, u->rate_state[b]));
    else
        *rate -= vld_optim_one(VLD_SGD, u->o.momentum, u->steps, step, g, u->rate_state[b]);
    *rate = fmin(fmax(*rate, u->o.rate_min), u->o.rate_max);
}

/* The gradient by the set's own numbers: pixels where there is a front. */
static const vl_real *gradient_of(vld_outer *u, int k, const vld_set *grad, vld_set_part p)
{
    if (p != VLD_PART_IMAGE || !u->o.front)
        return vld_set_part_of(grad, p);
    vld_front_back(u->o.front, u->set->image, u->o.seed, (uint64_t)k, grad->image, u->pixel_grad);
    return u->pixel_grad;
}

static void take_step(vld_outer *u, int k, const vld_set *grad, double fall)
{
    double mean = 1.0 / u->o.committee;

    u->steps++;
    for (vld_set_part p = 0; p < VLD_SET_PARTS; p++) {
        const vl_real *g = gradient_of(u, k, grad, p);
        if (!g)
            continue;
        vld_optim_step(&u->part[p], u->pool, fall * step_of(&u->o, p),
                       mean * vld_clip_scale(u->o.clip * u->o.committee, g, u->part[p].n), g,
                       vld_set_part_of(u->set, p));
    }
    for (int b = 0; b < VLM_BRANCHES; b++)
        rate_step(u, b, grad, fall * u->o.step_rates);
}

/* ---- an iteration ---------------------------------------------------------------------------------- */

static int take_diverged(vld_outer *u, vld_outer_report *r, vl_err *e)
{
    r->diverged = true;
    for (int b = 0; b < VLM_BRANCHES; b++)
        u->set->rate[b] = fmax(u->set->rate[b] * cut, u->o.rate_min);
    if (++u->diverged > VLD_MAX_DIVERGED)
        return vl_within(e, "%d iterations diverged in a row", u->diverged);
    return VL_OK;
}

/* The weights of an expert's snapshots, the text branch's from text_snap. */
static const vl_real *weights_at(const vld_outer *u, int expert, int snap, int text_snap, vl_real *mixed)
{
    const vlm_model *m = &u->x->model;
    const vl_real *image = u->x->theta[expert] + (size_t)snap * m->n;
    const vl_real *text = u->x->theta[expert] + (size_t)text_snap * m->n;
    size_t begin = m->begin[VLM_TEXT], end = m->begin[VLM_TEXT + 1];

    if (snap == text_snap)
        return image;
    memcpy(mixed, image, m->n * sizeof *mixed);
    memcpy(mixed + begin, text + begin, (end - begin) * sizeof *mixed);
    return mixed;
}

/* The start of the report's stretch, with noise where that is asked for. */
static const vl_real *start_at(vld_outer *u, uint64_t it, const vld_outer_report *r)
{
    const vl_real *at = weights_at(u, r->expert, r->start, r->text_start, u->start);

    if (!(u->o.perturb > 0))
        return at;
    if (at != u->start)
        memcpy(u->start, at, u->x->model.n * sizeof *at);
    vld_perturb(&u->x->model, u->pool, u->o.perturb, u->o.seed, it, u->start);
    return u->start;
}

/* Stretch number it of all iterations' stretches. */
static vld_window draw_window(vld_outer *u, uint64_t it, vld_outer_report *r)
{
    uint64_t seed = u->o.seed, stream = vl_rng_stream("outer", 0, 0, 0);
    vld_window w = {.seed = seed, .iter = it};
    int ahead = u->o.expert_epochs;

    r->expert = (int)vl_rng_below(seed, stream, 3 * it, (uint64_t)u->x->n);
    r->text_start = r->start = (int)vl_rng_below(seed, stream, 3 * it + 1, (uint64_t)u->o.start_max);
    r->warm = w.warm = (int)vl_rng_below(seed, stream, 3 * it + 2, (uint64_t)u->o.inner.warm_max + 1);
    if (u->o.text_start_max)
        r->text_start =
            (int)vl_rng_below(seed, vl_rng_stream("outer text", 0, 0, 0), it, (uint64_t)u->o.text_start_max);
    w.start = start_at(u, it, r);
    w.target = weights_at(u, r->expert, r->start + ahead, r->text_start + ahead, u->target);
    for (int k = 1; k < u->o.inner.points; k++)
        u->between[k - 1] = weights_at(u, r->expert, r->start + k, r->text_start + k,
                                       u->target ? u->target + (size_t)k * u->x->model.n : NULL);
    w.between = u->between;
    return w;
}

static void add_set(const vld_outer *u, const vld_set *from, vld_set *to)
{
    for (vld_set_part p = 0; p < VLD_SET_PARTS; p++) {
        const vl_real *g = vld_set_part_of(from, p);
        vl_real *sum = vld_set_part_of(to, p);
        for (size_t i = 0; g && i < reals_of(u, p); i++)
            sum[i] += g[i];
    }
    for (int b = 0; b < VLM_BRANCHES; b++)
        to->rate[b] += from->rate[b];
}

static void clear_set(const vld_outer *u, vld_set *s)
{
    for (vld_set_part p = 0; p < VLD_SET_PARTS; p++)
        if (vld_set_part_of(s, p))
            memset(vld_set_part_of(s, p), 0, reals_of(u, p) * sizeof(vl_real));
    s->rate[VLM_IMAGE] = s->rate[VLM_TEXT] = 0;
}

/* The set as iteration k trains on it: the set's own arrays, but for its images with a front. */
static vld_set look(vld_outer *u, int k)
{
    vld_set seen = *u->set;

    if (u->o.front) {
        vld_front_run(u->o.front, u->set->image, u->o.seed, (uint64_t)k, u->features);
        seen.image = u->features;
    }
    return seen;
}

/* The gradients of all the iteration's stretches, their sum in *out (borrowed). */
static int run_stretches(vld_outer *u, int k, vld_outer_report *r, const vld_set **out, vl_err *e)
{
    bool compare = u->o.log_cosine > 0 && k % u->o.log_cosine == 0;
    const vld_set seen = look(u, k);
    int n = u->o.committee, rc = VL_OK;

    *out = n > 1 ? &u->sum : &u->grad;
    if (n > 1)
        clear_set(u, &u->sum);
    for (int i = 0; !rc && i < n; i++) {
        vld_window w = draw_window(u, (uint64_t)k * (uint64_t)n + (uint64_t)i, r);
        rc = vld_unroll_run(u->unroll, &w, &seen, u->o.gradient, compare, &u->grad, &r->inner, e);
        if (!rc && n > 1)
            add_set(u, &u->grad, &u->sum);
    }
    return rc;
}

int vld_outer_step(vld_outer *u, int k, vld_outer_report *r, vl_err *e)
{
    double fall = u->o.constant ? 1 : 0.55 + 0.45 * cos(3.14159265358979 * k / u->o.iterations);
    const vld_set *grad;
    int rc;

    memset(r, 0, sizeof *r);
    rc = run_stretches(u, k, r, &grad, e);
    if (rc == VL_EMATH)
        return take_diverged(u, r, e);
    if (rc)
        return rc;
    u->diverged = 0;
    take_step(u, k, grad, fall);
    return VL_OK;
}

void vld_outer_state(vld_outer *u, vld_state *s)
{
    for (vld_set_part p = 0; p < VLD_SET_PARTS; p++)
        if (u->part[p].n)
            vld_optim_state(&u->part[p], vld_set_part_name[p], s);
    vld_state_doubles(s, "rates", "moments", &u->rate_state[0][0], VLM_BRANCHES * 2);
    vld_state_count(s, "steps", &u->steps);
    vld_state_count(s, "diverged_in_a_row", &u->diverged);
}
