/* SPDX-License-Identifier: MIT */
#include "distill/unroll.h"
#include "distill/unroll_lowrank.h"
#include "pipeline/rng.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Of the gradient's length: an optimiser that keeps squares in float must not meet infinity. */
static const double max_squared = 1e30;

/* Of a match: an end a hundred times as far away as the start teaches nothing. */
static const double max_match = 1e4;

enum { STEPS_MAX = 4096 };

struct vld_unroll {
    const vlm_model *model;
    vl_pool *pool;
    vld_lowrank *low; /* the low-rank form, or NULL; then there is the dense form's: */
    vlm_graph graph;
    size_t n;
    vld_inner in;
    vl_real *theta;  /* [T+1][P]: the snapshots */
    vl_real *grad;   /* g_i [P] */
    vl_real *lambda; /* [P] */
    vl_real *v;      /* D lambda [P] */
    vl_real *hv;     /* H_i v [P] */
    uint32_t *rows;  /* [warm_max + T][batch] */
    uint32_t *order; /* [n] scratch */
    vld_set other;   /* the compared gradient */
};

static int new_dense(vld_unroll *u, vl_err *e)
{
    const vlm_model *m = u->model;

    if (!(u->theta = vl_alloc(((size_t)u->in.steps + 1) * m->n, sizeof(vl_real), e)) ||
        !(u->grad = vl_alloc(m->n, sizeof(vl_real), e)) ||
        !(u->lambda = vl_alloc(m->n, sizeof(vl_real), e)) || !(u->v = vl_alloc(m->n, sizeof(vl_real), e)) ||
        !(u->hv = vl_alloc(m->n, sizeof(vl_real), e)))
        return VL_ENOMEM;
    return vlm_graph_new_for(m, &u->in.objective, u->pool, u->in.batch, VLM_HAS_BOTH, VLM_ADJOINT, &u->graph,
                             e);
}

int vld_unroll_new(const vlm_model *m, vl_pool *pool, size_t n, const vld_inner *inner, vld_unroll **out,
                   vl_err *e)
{
    size_t batch = inner->batch;
    vld_unroll *u;
    int rc = VL_ENOMEM;

    if (inner->steps < 1 || inner->steps > STEPS_MAX || batch < 2 || batch > n)
        return vl_fail(e, VL_EARG, "%d inner steps of %zu pairs out of %zu: 1..%d steps, 2..n pairs wanted",
                       inner->steps, batch, n, STEPS_MAX);
    if (inner->warm_max < 0 || inner->warm_max > STEPS_MAX)
        return vl_fail(e, VL_EARG, "%d warm-up steps: 0..%d wanted", inner->warm_max, STEPS_MAX);
    if (inner->points < 0 || inner->points > inner->steps ||
        (inner->points > 1 && inner->form == VLD_FORM_LOWRANK))
        return vl_fail(e, VL_EARG, "%d points of %d inner steps: 1 to all wanted, and in the dense form",
                       inner->points, inner->steps);
    if (m->kind == VLM_HEADS && vl_augment_any(&inner->aug))
        return vl_fail(e, VL_EARG, "views of features: there are none");
    u = vl_alloc(1, sizeof *u, e);
    if (!u)
        return VL_ENOMEM;
    u->model = m;
    u->pool = pool;
    u->n = n;
    u->in = *inner;
    u->in.points = inner->points ? inner->points : 1;
    if (!(u->rows = vl_alloc(((size_t)inner->warm_max + (size_t)inner->steps) * batch, sizeof *u->rows, e)) ||
        !(u->order = vl_alloc(n, sizeof *u->order, e)))
        goto out;
    rc = inner->form == VLD_FORM_LOWRANK ||
                 (inner->form == VLD_FORM_AUTO && u->in.points == 1 && vld_lowrank_pays(m, n, inner))
             ? vld_lowrank_new(m, pool, n, inner, &u->low, e)
             : new_dense(u, e);
out:
    if (rc)
        vld_unroll_free(u);
    else
        *out = u;
    return rc;
}

void vld_unroll_free(vld_unroll *u)
{
    if (!u)
        return;
    vld_lowrank_free(u->low);
    vlm_graph_free(&u->graph);
    vld_set_free(&u->other);
    free(u->order);
    free(u->rows);
    free(u->hv);
    free(u->v);
    free(u->lambda);
    free(u->grad);
    free(u->theta);
    free(u);
}

int vld_point_step(int steps, int points, int k)
{
    return (2 * k * steps + points) / (2 * points);
}

void vld_batch_rows(size_t n, size_t batch, uint64_t seed, uint64_t iter, int steps, uint32_t *order,
                    uint32_t *rows)
{
    int per_pass = (int)(n / batch);

    for (int i = 0; i < steps; i++, rows += batch) {
        if (i % per_pass == 0)
            vl_rng_shuffle(seed, vl_rng_stream("rows", iter, (uint64_t)(i / per_pass), 0), n, order);
        memcpy(rows, order + (size_t)(i % per_pass) * batch, batch * sizeof *rows);
    }
}

/* ---- one iteration ------------------------------------------------------------------------------- */

typedef struct pass { /* what the tiles over a batch see */
    vld_unroll *u;
    const vld_set *set;
    vld_set *grad;
    const uint32_t *rows;
    uint64_t seed, stream; /* of this step's views */
    uint64_t iter, step;   /* of its masks and blends */
} pass;

static vl_view view_of(const pass *p, size_t b)
{
    return vl_view_draw(&p->u->in.aug, p->seed, p->stream, b);
}

static void gather_one(void *arg, size_t b, int worker)
{
    const pass *p = arg;
    vl_view view = view_of(p, b);

    (void)worker;
    vld_set_gather(p->set, &p->u->in.objective, &p->u->graph, p->rows, b, &view);
}

/* grad -= d<v, g_i>/d set. Rows of one batch are distinct, so tiles do not meet. */
static void scatter_one(void *arg, size_t b, int worker)
{
    const pass *p = arg;
    vl_view view = view_of(p, b);

    (void)worker;
    vld_set_scatter(p->grad, &p->u->in.objective, &p->u->graph, p->rows, b, &view);
}

/* Step number i of the inner training, warm-up steps counted. */
static pass step_pass(vld_unroll *u, const vld_window *w, const vld_set *set, vld_set *grad, int i)
{
    pass p = {u,       set,
              grad,    u->rows + (size_t)i * u->in.batch,
              w->seed, vl_rng_stream("view", w->iter, (uint64_t)i, 0),
              w->iter, (uint64_t)i};

    return p;
}

static vl_real *snapshot(const vld_unroll *u, int i)
{
    return u->theta + (size_t)i * u->model->n;
}

/* Loss and gradient at these weights, on the tape. */
static double step_gradient(vld_unroll *u, pass *p, vl_real *theta)
{
    vlm_bind(&u->graph, theta, u->grad, u->v, u->hv);
    vl_pool_run(u->pool, u->in.batch, gather_one, p);
    vlt_draw(u->graph.tape, p->seed, p->iter, p->step);
    vlt_forward(u->graph.tape);
    vlt_backward(u->graph.tape, u->graph.loss);
    return (double)vlt_x(u->graph.tape, u->graph.loss)[0];
}

/* next = at - D g; next may be at. */
static double step(vld_unroll *u, pass *p, vl_real *at, vl_real *next)
{
    const vlm_model *m = u->model;
    double loss = step_gradient(u, p, at);

    for (int b = 0; b < VLM_BRANCHES; b++)
        for (size_t k = m->begin[b]; k < m->begin[b + 1]; k++)
            next[k] = at[k] - (vl_real)p->set->rate[b] * u->grad[k];
    return loss;
}

static void train(vld_unroll *u, const vld_window *w, const vld_set *set, vld_unroll_result *res)
{
    memcpy(u->theta, w->start, u->model->n * sizeof *u->theta);
    for (int i = 0; i < w->warm; i++) {
        pass p = step_pass(u, w, set, NULL, i);
        step(u, &p, u->theta, u->theta);
    }
    for (int i = 0; i < u->in.steps; i++) {
        pass p = step_pass(u, w, set, NULL, w->warm + i);
        res->loss_last = step(u, &p, snapshot(u, i), snapshot(u, i + 1));
        if (i == 0)
            res->loss_first = res->loss_last;
    }
}

/* Where the match is taken after `step` steps: lambda += its dJ/dtheta, and its share of the ratios. */
static void add_point(vld_unroll *u, const vld_window *w, int k, int step, vld_unroll_result *res)
{
    const vlm_model *m = u->model;
    const vl_real *start = w->start, *last = snapshot(u, step);
    const vl_real *target = k < u->in.points ? w->between[k - 1] : w->target;
    double num[VLM_BRANCHES] = {0}, den[VLM_BRANCHES] = {0};

    for (int b = 0; b < VLM_BRANCHES; b++)
        for (size_t i = m->begin[b]; i < m->begin[b + 1]; i++) {
            double a = (double)last[i] - (double)target[i], c = (double)start[i] - (double)target[i];
            num[b] += a * a;
            den[b] += c * c;
        }
    if (u->in.merged)
        den[VLM_IMAGE] = den[VLM_TEXT] = den[VLM_IMAGE] + den[VLM_TEXT];
    for (int b = 0; b < VLM_BRANCHES; b++) {
        res->match[b] += num[b] / den[b] / u->in.points;
        for (size_t i = m->begin[b]; i < m->begin[b + 1]; i++)
            u->lambda[i] += (vl_real)(2 / den[b] / u->in.points * ((double)last[i] - (double)target[i]));
    }
}

static size_t width_of(const vld_unroll *u, vld_set_part part)
{
    return vld_set_width(u->model, &u->in.objective, u->n, part);
}

static void clear(const vld_unroll *u, vld_set *grad)
{
    for (vld_set_part part = 0; part < VLD_SET_PARTS; part++)
        if (width_of(u, part))
            memset(vld_set_part_of(grad, part), 0, u->n * width_of(u, part) * sizeof(vl_real));
    grad->rate[VLM_IMAGE] = grad->rate[VLM_TEXT] = 0;
}

static void adjoint(vld_unroll *u, const vld_window *w, const vld_set *set, vld_gradient kind, vld_set *grad,
                    vld_unroll_result *res)
{
    const vlm_model *m = u->model;
    int point = u->in.points;

    clear(u, grad);
    memset(u->lambda, 0, m->n * sizeof *u->lambda);
    res->match[VLM_IMAGE] = res->match[VLM_TEXT] = 0;
    for (int i = u->in.steps - 1; i >= 0; i--) {
        pass p = step_pass(u, w, set, grad, w->warm + i);

        if (point && vld_point_step(u->in.steps, u->in.points, point) == i + 1)
            add_point(u, w, point--, i + 1, res);
        step_gradient(u, &p, snapshot(u, i));
        for (int b = 0; b < VLM_BRANCHES; b++) {
            double along = 0;
            for (size_t k = m->begin[b]; k < m->begin[b + 1]; k++) {
                along += (double)u->lambda[k] * (double)u->grad[k];
                u->v[k] = (vl_real)set->rate[b] * u->lambda[k];
            }
            grad->rate[b] -= along;
        }
        vlt_tangent(u->graph.tape, u->graph.loss);
        vl_pool_run(u->pool, u->in.batch, scatter_one, &p);
        if (kind == VLD_EXACT)
            for (size_t k = 0; k < m->n; k++)
                u->lambda[k] -= u->hv[k];
    }
}

static double dot(const vl_real *a, const vl_real *b, size_t n)
{
    double s = 0;

    for (size_t i = 0; i < n; i++)
        s += (double)a[i] * (double)b[i];
    return s;
}

static double set_dot(const vld_unroll *u, const vld_set *a, const vld_set *b, vld_set_part parts)
{
    double s = 0;

    for (vld_set_part part = 0; part < parts; part++)
        if (width_of(u, part))
            s += dot(vld_set_part_of(a, part), vld_set_part_of(b, part), u->n * width_of(u, part));
    return s;
}

/* Of images and texts: a similarity is of another unit. */
static double cosine(const vld_unroll *u, const vld_set *a, const vld_set *b)
{
    const vld_set_part before = VLD_PART_S;

    return set_dot(u, a, b, before) / sqrt(set_dot(u, a, a, before) * set_dot(u, b, b, before));
}

static void run_dense(vld_unroll *u, const vld_window *w, const vld_set *set, vld_set *const *grad,
                      vld_unroll_result *res)
{
    train(u, w, set, res);
    for (vld_gradient kind = 0; kind < VLD_GRADIENTS; kind++)
        if (grad[kind])
            adjoint(u, w, set, kind, grad[kind], res);
}

static void run_lowrank(vld_unroll *u, const vld_window *w, const vld_set *set, vld_set *const *grad,
                        vld_unroll_result *res)
{
    vld_lowrank_train(u->low, w, set, u->rows, res);
    if (grad[VLD_TESLA])
        vld_lowrank_adjoint(u->low, w, set, u->rows, VLD_TESLA, grad[VLD_TESLA]);
    if (grad[VLD_EXACT])
        vld_lowrank_adjoint(u->low, w, set, u->rows, VLD_EXACT, grad[VLD_EXACT]);
}

int vld_unroll_run(vld_unroll *u, const vld_window *w, const vld_set *set, vld_gradient kind, bool compare,
                   vld_set *grad, vld_unroll_result *res, vl_err *e)
{
    vld_set *wanted[VLD_GRADIENTS] = {NULL};

    if (w->warm < 0 || w->warm > u->in.warm_max)
        return vl_fail(e, VL_EARG, "%d warm-up steps where there is room for %d", w->warm, u->in.warm_max);
    if (compare && !u->other.image && vld_set_new_for(u->model, &u->in.objective, u->n, &u->other, e))
        return VL_ENOMEM;
    wanted[kind] = grad;
    if (compare)
        wanted[kind == VLD_EXACT ? VLD_TESLA : VLD_EXACT] = &u->other;
    vld_batch_rows(u->n, u->in.batch, w->seed, w->iter, w->warm + u->in.steps, u->order, u->rows);
    (u->low ? run_lowrank : run_dense)(u, w, set, wanted, res);
    res->cosine = compare ? cosine(u, grad, &u->other) : NAN;
    if (!(res->match[0] < max_match && res->match[1] < max_match) ||
        !(set_dot(u, grad, grad, VLD_SET_PARTS) < max_squared) || !isfinite(grad->rate[0] + grad->rate[1]))
        return vl_fail(
            e, VL_EMATH, "iteration %llu: the inner training diverged (loss %g to %g nats, match %g and %g)",
            (unsigned long long)w->iter, res->loss_first, res->loss_last, res->match[0], res->match[1]);
    return VL_OK;
}

size_t vld_unroll_bytes(const vld_unroll *u, size_t *snapshots)
{
    size_t p = u->model->n * sizeof(vl_real);
    size_t rows = (u->n + (size_t)(u->in.warm_max + u->in.steps) * u->in.batch) * sizeof *u->rows;

    if (u->low)
        return rows + vld_lowrank_bytes(u->low, snapshots);
    *snapshots = ((size_t)u->in.steps + 1) * p;
    return *snapshots + 4 * p + vlt_bytes(u->graph.tape) + rows;
}
