/* SPDX-License-Identifier: MIT
 * unroll_lowrank.c -- both branches of the heads, step by step. A step's dense parameters lie in one vector,
 * [branch][b1, b2, gain, shift][D]; weight matrices are the layers' business. */
#include "distill/unroll_lowrank.h"
#include "distill/lowrank_first.h"
#include "distill/lowrank_second.h"
#include "pipeline/sums.h"

#include <stdlib.h>
#include <string.h>

_Static_assert((int)VLM_MAX_DIM <= (int)VL_PANEL_MAX_K, "every head can be laid out in panels");

enum { B1, B2, GAIN, SHIFT, VECTORS }; /* of a branch */

typedef struct branch {
    vld_first first;
    vld_second second;
    vl_real *p; /* [T batch,D]: the rows of X W_i + b1 that each step met */
} branch;

struct vld_lowrank {
    const vlm_model *model;
    vl_pool *pool;
    vlm_graph graph;
    size_t n, d;
    vld_inner in;
    vlt_map fc[VLM_BRANCHES];
    branch side[VLM_BRANCHES];
    vl_real *theta;                     /* [T+1][V]: the vectors after each step */
    vl_real *grad, *lambda, *v, *hv;    /* [V] */
    double start_squares[VLM_BRANCHES]; /* |start - target|^2 of the vectors */
    int on_tape;                        /* the step whose forward and backward the tape holds; -1: none */
};

bool vld_lowrank_pays(const vlm_model *m, size_t n, const vld_inner *inner)
{
    return m->kind == VLM_HEADS && n <= m->embed_dim && (size_t)inner->steps * inner->batch <= m->embed_dim;
}

/* ---- life --------------------------------------------------------------------------------------- */

static size_t vectors(const vld_lowrank *l)
{
    return VLM_BRANCHES * VECTORS * l->d;
}

static size_t inputs_of(const vlm_model *m, int b)
{
    return b == VLM_IMAGE ? m->image_n : m->text_dim;
}

static int new_side(vld_lowrank *l, int b, vl_err *e)
{
    size_t batch = l->in.batch, steps = (size_t)l->in.steps;
    branch *s = &l->side[b];
    int rc = vld_first_new(l->pool, l->n, inputs_of(l->model, b), l->d, batch, &s->first, e);

    if (!rc)
        rc = vld_second_new(l->pool, l->d, batch, steps, l->in.warm_max > 0, &s->second, e);
    if (!rc && !(s->p = vl_alloc(steps * batch, l->d * sizeof *s->p, e)))
        rc = VL_ENOMEM;
    l->fc[b] = s->second.map;
    return rc;
}

int vld_lowrank_new(const vlm_model *m, vl_pool *pool, size_t n, const vld_inner *inner, vld_lowrank **out,
                    vl_err *e)
{
    vld_lowrank *l = vl_alloc(1, sizeof *l, e);
    size_t size = sizeof(vl_real);
    int rc = VL_ENOMEM;

    if (!l)
        return VL_ENOMEM;
    l->model = m;
    l->pool = pool;
    l->n = n;
    l->d = m->embed_dim;
    l->in = *inner;
    if (!(l->theta = vl_alloc(((size_t)inner->steps + 1) * vectors(l), size, e)) ||
        !(l->grad = vl_alloc(vectors(l), size, e)) || !(l->lambda = vl_alloc(vectors(l), size, e)) ||
        !(l->v = vl_alloc(vectors(l), size, e)) || !(l->hv = vl_alloc(vectors(l), size, e)))
        goto out;
    for (int b = 0; b < VLM_BRANCHES; b++)
        if ((rc = new_side(l, b, e)))
            goto out;
    rc = vlm_graph_new_maps(m, &inner->objective, pool, inner->batch, l->fc, &l->graph, e);
out:
    if (rc)
        vld_lowrank_free(l);
    else
        *out = l;
    return rc;
}

void vld_lowrank_free(vld_lowrank *l)
{
    if (!l)
        return;
    vlm_graph_free(&l->graph);
    for (int b = 0; b < VLM_BRANCHES; b++) {
        vld_first_free(&l->side[b].first);
        vld_second_free(&l->side[b].second);
        free(l->side[b].p);
    }
    free(l->hv);
    free(l->v);
    free(l->lambda);
    free(l->grad);
    free(l->theta);
    free(l);
}

size_t vld_lowrank_bytes(const vld_lowrank *l, size_t *factors)
{
    size_t rows = (size_t)l->in.steps * l->in.batch, vector = vectors(l) * sizeof(vl_real);
    size_t kept = VLM_BRANCHES * rows * l->d * sizeof(vl_real), all = vlt_bytes(l->graph.tape);

    for (int b = 0; b < VLM_BRANCHES; b++)
        all += vld_first_bytes(&l->side[b].first) + vld_second_bytes(&l->side[b].second);
    *factors = ((size_t)l->in.steps + 1) * vector + 7 * kept +
               VLM_BRANCHES * 4 * rows * rows * sizeof(vl_real); /* of kept, six are the second layers' */
    return all + ((size_t)l->in.steps + 5) * vector + kept;
}

/* ---- parameters --------------------------------------------------------------------------------- */

static const vlm_param *param_of(const vld_lowrank *l, int b, int which)
{
    return &l->model->param[b * VLM_HEAD_PARAMS + which];
}

static const int vector_param[VECTORS] = {VLM_B1, VLM_B2, VLM_GAIN, VLM_SHIFT};

/* Where vector k of branch b begins. */
static size_t vector_at(const vld_lowrank *l, int b, int k)
{
    return ((size_t)b * VECTORS + (size_t)k) * l->d;
}

static void take_vectors(const vld_lowrank *l, const vl_real *flat, vl_real *out)
{
    for (int b = 0; b < VLM_BRANCHES; b++)
        for (int k = 0; k < VECTORS; k++)
            memcpy(out + vector_at(l, b, k), flat + param_of(l, b, vector_param[k])->offset,
                   l->d * sizeof *out);
}

static void bind(vld_lowrank *l, int step)
{
    vl_real *theta = l->theta + (size_t)step * vectors(l);

    for (int b = 0; b < VLM_BRANCHES; b++)
        for (int k = B2; k < VECTORS; k++) {
            size_t at = vector_at(l, b, k);
            vlt_bind(l->graph.tape, l->graph.leaf[b * VLM_HEAD_PARAMS + vector_param[k]], theta + at,
                     l->grad + at, l->v + at, l->hv + at);
        }
}

/* |at - target|^2 over the vectors of a branch; leaves at - target in lambda. */
static double vector_distance(vld_lowrank *l, const vld_window *w, int b, const vl_real *at)
{
    double sum = 0;

    for (int k = 0; k < VECTORS; k++) {
        const vl_real *target = w->target + param_of(l, b, vector_param[k])->offset;
        for (size_t i = 0, o = vector_at(l, b, k); i < l->d; i++) {
            double v = (double)at[o + i] - (double)target[i];
            l->lambda[o + i] = (vl_real)v;
            sum += v * v;
        }
    }
    return sum;
}

/* ---- one step ----------------------------------------------------------------------------------- */

/* A step of the training, warm-up steps counted, and where its factors and vectors lie. */
typedef struct at {
    const vld_window *w;
    const vld_set *set;
    vld_set *grad;
    const uint32_t *rows;
    int number, slot, vectors;
} at;

static vlt_id rows_leaf(const vld_lowrank *l, int b)
{
    return b == VLM_IMAGE ? l->graph.x : l->graph.y;
}

static void add_to_rows(size_t rows, size_t d, const vl_real *v, vl_real *out)
{
    for (size_t r = 0; r < rows; r++)
        for (size_t i = 0; i < d; i++)
            out[r * d + i] += v[i];
}

static void sum_of_rows(size_t rows, size_t d, const vl_real *g, vl_real *out)
{
    memset(out, 0, d * sizeof *out);
    for (size_t r = 0; r < rows; r++)
        for (size_t i = 0; i < d; i++)
            out[i] += g[r * d + i];
}

/* Loss and gradients on the tape: at first, or again out of what was kept. */
static double sweep(vld_lowrank *l, const at *s, vld_second_mode mode)
{
    size_t batch = l->in.batch, d = l->d, bytes = batch * d * sizeof(vl_real);
    const vl_view none = {0};
    vlt_tape *t = l->graph.tape;

    bind(l, s->vectors);
    for (int b = 0; b < VLM_BRANCHES; b++) {
        vl_real *x = vlt_x(t, rows_leaf(l, b)), *kept = l->side[b].p + (size_t)s->slot * batch * d;
        vld_second_at(&l->side[b].second, mode, s->slot);
        if (mode == VLD_SECOND_LEARN) {
            vld_first_rows(&l->side[b].first, s->rows, x);
            add_to_rows(batch, d, l->theta + (size_t)s->vectors * vectors(l) + vector_at(l, b, B1), x);
            memcpy(kept, x, bytes);
        } else {
            memcpy(x, kept, bytes);
        }
    }
    for (size_t b = 0; b < batch; b++)
        vld_set_gather(s->set, &l->in.objective, &l->graph, s->rows, b, &none);
    vlt_draw(t, s->w->seed, s->w->iter, (uint64_t)s->number);
    vlt_forward(t);
    vlt_backward(t, l->graph.loss);
    for (int b = 0; b < VLM_BRANCHES; b++)
        sum_of_rows(batch, d, vlt_gx(t, rows_leaf(l, b)), l->grad + vector_at(l, b, B1));
    l->on_tape = s->number;
    return (double)vlt_x(t, l->graph.loss)[0];
}

/* next: where the vectors go. */
static double learn(vld_lowrank *l, const at *s, int next)
{
    double loss = sweep(l, s, VLD_SECOND_LEARN);
    const vl_real *from = l->theta + (size_t)s->vectors * vectors(l);
    vl_real *to = l->theta + (size_t)next * vectors(l);

    for (int b = 0; b < VLM_BRANCHES; b++) {
        vl_real rate = (vl_real)s->set->rate[b];
        vld_first_learn(&l->side[b].first, s->rows, vlt_gx(l->graph.tape, rows_leaf(l, b)));
        for (size_t i = vector_at(l, b, 0); i < vector_at(l, b + 1, 0); i++)
            to[i] = from[i] - rate * l->grad[i];
    }
    return loss;
}

/* ---- forward ------------------------------------------------------------------------------------ */

static void begin(vld_lowrank *l, const vld_window *w, const vld_set *set)
{
    take_vectors(l, w->start, l->theta);
    for (int b = 0; b < VLM_BRANCHES; b++) {
        vld_first *f = &l->side[b].first;
        vld_second *s = &l->side[b].second;

        f->x = b == VLM_IMAGE ? set->image : set->text;
        f->w = w->start + param_of(l, b, VLM_W1)->offset;
        f->target = w->target + param_of(l, b, VLM_W1)->offset;
        s->w = w->start + param_of(l, b, VLM_W2)->offset;
        s->target = w->target + param_of(l, b, VLM_W2)->offset;
        f->rate = s->rate = set->rate[b];
        l->start_squares[b] = vector_distance(l, w, b, l->theta);
        vld_first_begin(f);
        vld_second_begin(s);
    }
    l->on_tape = -1;
}

/* Steps before theta_0: their factors go into W_0 as soon as there is no more room for them. */
static void warm_up(vld_lowrank *l, const vld_window *w, const vld_set *set, const uint32_t *rows)
{
    int held = 0;

    for (int i = 0; i < w->warm; i++) {
        const at s = {w, set, NULL, rows + (size_t)i * l->in.batch, i, held, 0};
        learn(l, &s, 0);
        if (++held < l->in.steps && i + 1 < w->warm)
            continue;
        for (int b = 0; b < VLM_BRANCHES; b++)
            vld_second_fold(&l->side[b].second, (size_t)held);
        held = 0;
    }
    for (int b = 0; w->warm && b < VLM_BRANCHES; b++)
        vld_first_settle(&l->side[b].first);
}

static at step_at(const vld_lowrank *l, const vld_window *w, const vld_set *set, const uint32_t *rows,
                  vld_set *grad, int i)
{
    int number = w->warm + i;

    return (at){w, set, grad, rows + (size_t)number * l->in.batch, number, i, i};
}

/* The ratios, and the layers' Lambda_T. */
static void end_point(vld_lowrank *l, const vld_window *w, vld_unroll_result *res)
{
    const vl_real *last = l->theta + (size_t)l->in.steps * vectors(l);
    double num[VLM_BRANCHES], den[VLM_BRANCHES];

    for (int b = 0; b < VLM_BRANCHES; b++) {
        branch *s = &l->side[b];
        num[b] =
            vector_distance(l, w, b, last) + vld_first_distance(&s->first) + vld_second_distance(&s->second);
        den[b] = l->start_squares[b] + s->first.start_squares + s->second.start_squares;
    }
    if (l->in.merged)
        den[VLM_IMAGE] = den[VLM_TEXT] = den[VLM_IMAGE] + den[VLM_TEXT];
    for (int b = 0; b < VLM_BRANCHES; b++) {
        branch *s = &l->side[b];
        res->match[b] = num[b] / den[b];
        s->first.weight = s->second.weight = 1 / den[b];
        vld_first_end(&s->first);
        vld_second_end(&s->second);
    }
}

void vld_lowrank_train(vld_lowrank *l, const vld_window *w, const vld_set *set, const uint32_t *rows,
                       vld_unroll_result *res)
{
    begin(l, w, set);
    warm_up(l, w, set, rows);
    for (int i = 0; i < l->in.steps; i++) {
        const at s = step_at(l, w, set, rows, NULL, i);
        res->loss_last = learn(l, &s, i + 1);
        if (i == 0)
            res->loss_first = res->loss_last;
    }
    end_point(l, w, res);
}

/* ---- backward ----------------------------------------------------------------------------------- */

/* v = D lambda on the leaves; along: what is known of <lambda, g> before the sweep. */
static void direct(vld_lowrank *l, const at *s, bool exact, double *along)
{
    size_t batch = l->in.batch, d = l->d;

    for (int b = 0; b < VLM_BRANCHES; b++) {
        size_t from = vector_at(l, b, 0);
        vl_real *xt = vlt_xt(l->graph.tape, rows_leaf(l, b)), rate = (vl_real)s->set->rate[b];

        for (size_t i = from; i < from + VECTORS * d; i++)
            l->v[i] = rate * l->lambda[i];
        vld_first_tangent(&l->side[b].first, s->rows, exact, xt);
        along[b] = vl_dot(l->lambda + from, l->grad + from, VECTORS * d) +
                   vl_dot(xt, vlt_gx(l->graph.tape, rows_leaf(l, b)), batch * d);
        for (size_t i = 0; i < batch * d; i++)
            xt[i] *= rate;
        add_to_rows(batch, d, l->v + vector_at(l, b, B1), xt);
    }
}

static void step_back(vld_lowrank *l, const at *s, bool exact)
{
    size_t batch = l->in.batch, d = l->d;
    vlt_tape *t = l->graph.tape;
    const vl_view none = {0};
    vld_second_mode mode = exact ? VLD_SECOND_ADJOINT : VLD_SECOND_REPLAY;
    double along[VLM_BRANCHES];

    if (l->on_tape != s->number)
        sweep(l, s, mode);
    for (int b = 0; b < VLM_BRANCHES; b++)
        vld_second_at(&l->side[b].second, mode, s->slot);
    direct(l, s, exact, along);
    vlt_tangent(t, l->graph.loss);
    for (size_t b = 0; b < batch; b++)
        vld_set_scatter(s->grad, &l->in.objective, &l->graph, s->rows, b, &none);
    for (int b = 0; b < VLM_BRANCHES; b++) {
        const vl_real *gxt = vlt_gxt(t, rows_leaf(l, b));
        s->grad->rate[b] -= along[b] + l->side[b].second.along;
        vld_first_unlearn(&l->side[b].first, s->rows, vlt_gx(t, rows_leaf(l, b)), gxt);
        sum_of_rows(batch, d, gxt, l->hv + vector_at(l, b, B1));
    }
    for (size_t i = 0; exact && i < vectors(l); i++)
        l->lambda[i] -= l->hv[i];
}

static void clear(const vld_lowrank *l, vld_set *grad)
{
    for (vld_set_part part = VLD_PART_S; part < VLD_SET_PARTS; part++) {
        size_t width = vld_set_width(l->model, &l->in.objective, l->n, part);
        if (width)
            memset(vld_set_part_of(grad, part), 0, l->n * width * sizeof(vl_real));
    }
    grad->rate[VLM_IMAGE] = grad->rate[VLM_TEXT] = 0;
}

void vld_lowrank_adjoint(vld_lowrank *l, const vld_window *w, const vld_set *set, const uint32_t *rows,
                         vld_gradient kind, vld_set *grad)
{
    bool exact = kind == VLD_EXACT;

    clear(l, grad);
    for (int b = 0; b < VLM_BRANCHES; b++) {
        branch *s = &l->side[b];
        vector_distance(l, w, b, l->theta + (size_t)l->in.steps * vectors(l));
        for (size_t i = vector_at(l, b, 0); i < vector_at(l, b + 1, 0); i++)
            l->lambda[i] *= (vl_real)(2 * s->first.weight);
        vld_first_adjoint(&s->first);
    }
    for (int i = l->in.steps - 1; i >= 0; i--) {
        const at s = step_at(l, w, set, rows, grad, i);
        step_back(l, &s, exact);
    }
    for (int b = 0; b < VLM_BRANCHES; b++)
        vld_first_gradient(&l->side[b].first, exact, b == VLM_IMAGE ? grad->image : grad->text);
}
