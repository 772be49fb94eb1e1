/* SPDX-License-Identifier: MIT */
#include "distill/unroll.h"
#include "pipeline/rng.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Of the gradient's length: an optimiser that keeps squares in float must not meet infinity. */
static const double max_squared = 1e30;

enum { STEPS_MAX = 4096 };

struct vld_unroll {
    const vlm_model *model;
    vl_pool *pool;
    vlm_graph graph;
    size_t n, pixels; /* pixels: reals of an image */
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

int vld_set_new(const vlm_model *m, size_t n, vld_set *s, vl_err *e)
{
    memset(s, 0, sizeof *s);
    s->n = n;
    s->pixels = vl_alloc(n, m->size * m->size * 3 * sizeof *s->pixels, e);
    s->text = s->pixels ? vl_alloc(n, m->text_dim * sizeof *s->text, e) : NULL;
    if (!s->text) {
        vld_set_free(s);
        return VL_ENOMEM;
    }
    return VL_OK;
}

void vld_set_free(vld_set *s)
{
    free(s->pixels);
    free(s->text);
    memset(s, 0, sizeof *s);
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
    u = vl_alloc(1, sizeof *u, e);
    if (!u)
        return VL_ENOMEM;
    u->model = m;
    u->pool = pool;
    u->n = n;
    u->pixels = m->size * m->size * 3;
    u->in = *inner;
    if (!(u->theta = vl_alloc(((size_t)inner->steps + 1) * m->n, sizeof(vl_real), e)) ||
        !(u->grad = vl_alloc(m->n, sizeof(vl_real), e)) ||
        !(u->lambda = vl_alloc(m->n, sizeof(vl_real), e)) || !(u->v = vl_alloc(m->n, sizeof(vl_real), e)) ||
        !(u->hv = vl_alloc(m->n, sizeof(vl_real), e)) ||
        !(u->rows = vl_alloc(((size_t)inner->warm_max + (size_t)inner->steps) * batch, sizeof *u->rows, e)) ||
        !(u->order = vl_alloc(n, sizeof *u->order, e)))
        goto out;
    rc = vlm_graph_new(m, pool, batch, VLM_HAS_BOTH, VLM_ADJOINT, &u->graph, e);
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
} pass;

static vl_view view_of(const pass *p, size_t b)
{
    return vl_view_draw(&p->u->in.aug, p->seed, p->stream, b);
}

static void gather_one(void *arg, size_t b, int worker)
{
    const pass *p = arg;
    const vlm_model *m = p->u->model;
    vlt_tape *t = p->u->graph.tape;
    size_t row = p->rows[b];

    (void)worker;
    vl_view_apply(p->set->pixels + row * p->u->pixels, m->size, view_of(p, b),
                  vlt_x(t, p->u->graph.x) + b * p->u->pixels);
    memcpy(vlt_x(t, p->u->graph.y) + b * m->text_dim, p->set->text + row * m->text_dim,
           m->text_dim * sizeof(vl_real));
}

/* grad.data -= d<v, g_i>/d data. Rows of one batch are distinct, so tiles do not meet. */
static void scatter_one(void *arg, size_t b, int worker)
{
    const pass *p = arg;
    const vlm_model *m = p->u->model;
    vlt_tape *t = p->u->graph.tape;
    size_t row = p->rows[b];
    const vl_real *gy = vlt_gxt(t, p->u->graph.y) + b * m->text_dim;
    vl_real *out = p->grad->text + row * m->text_dim;

    (void)worker;
    vl_view_adjoint_add(vlt_gxt(t, p->u->graph.x) + b * p->u->pixels, m->size, view_of(p, b), -1,
                        p->grad->pixels + row * p->u->pixels);
    for (size_t i = 0; i < m->text_dim; i++)
        out[i] -= gy[i];
}

/* Step number i of the inner training, warm-up steps counted. */
static pass step_pass(vld_unroll *u, const vld_window *w, const vld_set *set, vld_set *grad, int i)
{
    pass p = {u,       set,
              grad,    u->rows + (size_t)i * u->in.batch,
              w->seed, vl_rng_stream("view", w->iter, (uint64_t)i, 0)};

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
    vld_batch_rows(u->n, u->in.batch, w->seed, w->iter, w->warm + u->in.steps, u->order, u->rows);
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

/* lambda_T = dJ/dtheta_T, and the ratios. */
static void end_point(vld_unroll *u, const vld_window *w, vld_unroll_result *res)
{
    const vlm_model *m = u->model;
    const vl_real *start = w->start, *target = w->target, *last = snapshot(u, u->in.steps);

    for (int b = 0; b < VLM_BRANCHES; b++) {
        double num = 0, den = 0;
        for (size_t k = m->begin[b]; k < m->begin[b + 1]; k++) {
            double a = (double)last[k] - (double)target[k], c = (double)start[k] - (double)target[k];
            num += a * a;
            den += c * c;
        }
        res->match[b] = num / den;
        for (size_t k = m->begin[b]; k < m->begin[b + 1]; k++)
            u->lambda[k] = (vl_real)(2 / den * ((double)last[k] - (double)target[k]));
    }
}

static void clear(const vld_unroll *u, vld_set *grad)
{
    memset(grad->pixels, 0, u->n * u->pixels * sizeof(vl_real));
    memset(grad->text, 0, u->n * u->model->text_dim * sizeof(vl_real));
    grad->rate[VLM_IMAGE] = grad->rate[VLM_TEXT] = 0;
}

static void adjoint(vld_unroll *u, const vld_window *w, const vld_set *set, vld_gradient kind, vld_set *grad)
{
    const vlm_model *m = u->model;

    clear(u, grad);
    for (int i = u->in.steps - 1; i >= 0; i--) {
        pass p = step_pass(u, w, set, grad, w->warm + i);

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

static double set_dot(const vld_unroll *u, const vld_set *a, const vld_set *b)
{
    return dot(a->pixels, b->pixels, u->n * u->pixels) + dot(a->text, b->text, u->n * u->model->text_dim);
}

static int compare_kinds(vld_unroll *u, const vld_window *w, const vld_set *set, vld_gradient kind,
                         const vld_set *grad, vld_unroll_result *res, vl_err *e)
{
    if (!u->other.pixels && vld_set_new(u->model, u->n, &u->other, e))
        return VL_ENOMEM;
    end_point(u, w, res);
    adjoint(u, w, set, kind == VLD_EXACT ? VLD_TESLA : VLD_EXACT, &u->other);
    res->cosine =
        set_dot(u, grad, &u->other) / sqrt(set_dot(u, grad, grad) * set_dot(u, &u->other, &u->other));
    return VL_OK;
}

int vld_unroll_run(vld_unroll *u, const vld_window *w, const vld_set *set, vld_gradient kind, bool compare,
                   vld_set *grad, vld_unroll_result *res, vl_err *e)
{
    if (w->warm < 0 || w->warm > u->in.warm_max)
        return vl_fail(e, VL_EARG, "%d warm-up steps where there is room for %d", w->warm, u->in.warm_max);
    res->cosine = NAN;
    train(u, w, set, res);
    end_point(u, w, res);
    adjoint(u, w, set, kind, grad);
    if (!isfinite(res->match[0] + res->match[1]) || !(set_dot(u, grad, grad) < max_squared) ||
        !isfinite(grad->rate[0] + grad->rate[1]))
        return vl_fail(
            e, VL_EMATH, "iteration %llu: the inner training diverged (loss %g to %g nats, match %g and %g)",
            (unsigned long long)w->iter, res->loss_first, res->loss_last, res->match[0], res->match[1]);
    return compare ? compare_kinds(u, w, set, kind, grad, res, e) : VL_OK;
}

size_t vld_unroll_bytes(const vld_unroll *u, size_t *snapshots)
{
    size_t p = u->model->n * sizeof(vl_real);

    *snapshots = ((size_t)u->in.steps + 1) * p;
    return *snapshots + 4 * p + vlt_bytes(u->graph.tape) +
           (u->n + (size_t)(u->in.warm_max + u->in.steps) * u->in.batch) * sizeof *u->rows;
}
