/* SPDX-License-Identifier: MIT */
#include "distill/train.h"
#include "distill/train_heads.h"
#include "pipeline/rng.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

size_t vld_source_size(const vld_source *s)
{
    return s->set ? s->set->n : s->subset ? s->n_subset : s->data->n;
}

/* ---- batches ------------------------------------------------------------------------------------ */

typedef struct trainer {
    const vlm_model *m;
    vl_pool *pool;
    const vld_source *src;
    const vld_train_opts *o;
    size_t n, batch;
    int per_epoch;
    uint32_t *rows, *order;
    uint32_t *row, *caption; /* [batch] what was taken, with data as the source */
    /* The general form: */
    vlm_graph graph;
    vl_real *grad, *velocity;
    vld_smooth smooth;
    /* That of heads: */
    bool by_heads;
    vld_heads heads;
    vl_real *few[VLM_BRANCHES]; /* the distinct inputs of data [.][F] of a branch by rows; else NULL */
    uint32_t *first_caption;    /* [n] of these the first of each record */
} trainer;

static const vlm_graph *graph_of(const trainer *t)
{
    return t->by_heads ? &t->heads.graph : &t->graph;
}

typedef struct feed {
    const trainer *t;
    const uint32_t *rows;
    uint64_t views, captions;
} feed;

void vld_data_image(const vlm_model *m, const vl_data *d, size_t row, vl_view view, vl_real *x)
{
    if (m->kind == VLM_HEADS)
        for (size_t i = 0; i < m->image_n; i++)
            x[i] = (vl_real)d->features[row * m->image_n + i];
    else
        vl_view_apply_u8(d->images + row * m->image_n, m->size, view, x);
}

static void data_text(const vl_data *d, size_t cap, vl_real *y)
{
    for (size_t i = 0; i < d->text_dim; i++)
        y[i] = (vl_real)d->text[cap * d->text_dim + i];
}

static size_t record_of(const vld_source *s, size_t i)
{
    return s->subset ? s->subset[i] : i;
}

static void take_caption(const feed *f, size_t b)
{
    const vl_data *d = f->t->src->data;
    size_t row = record_of(f->t->src, f->rows[b]);

    f->t->row[b] = (uint32_t)row;
    f->t->caption[b] =
        (uint32_t)(d->cap[row] + vl_rng_below(f->t->o->seed, f->captions, b, d->cap[row + 1] - d->cap[row]));
}

/* Pair b of the batch into the heads' inputs, or its rows' numbers. */
static void feed_heads(const feed *f, size_t b)
{
    const trainer *t = f->t;
    const vl_data *d = t->src->data;
    const vld_head *image = &t->heads.head[VLM_IMAGE], *text = &t->heads.head[VLM_TEXT];
    size_t i = f->rows[b], image_n = t->m->image_n, text_n = t->m->text_dim;

    if (image->by_rows)
        image->at[b] = (uint32_t)i;
    else if (d)
        vld_data_image(t->m, d, t->row[b], (vl_view){0}, image->x + b * image_n);
    else
        memcpy(image->x + b * image_n, t->src->set->image + i * image_n, image_n * sizeof *image->x);
    if (text->by_rows)
        text->at[b] = (uint32_t)(d ? t->first_caption[i] + (t->caption[b] - d->cap[t->row[b]]) : i);
    else if (d)
        data_text(d, t->caption[b], text->x + b * text_n);
    else
        memcpy(text->x + b * text_n, t->src->set->text + i * text_n, text_n * sizeof *text->x);
}

static void feed_one(void *arg, size_t b, int worker)
{
    const feed *f = arg;
    const trainer *t = f->t;
    const vld_source *src = t->src;
    const vlm_graph *g = graph_of(t);
    vl_view view = vl_view_draw(&t->o->aug, t->o->seed, f->views, b);

    (void)worker;
    if (src->data)
        take_caption(f, b);
    if (src->set) /* of heads the similarity alone */
        vld_set_gather(src->set, &t->o->objective, g, f->rows, b, &view);
    if (t->by_heads) {
        feed_heads(f, b);
    } else if (src->data) {
        vld_data_image(t->m, src->data, t->row[b], view, vlt_x(g->tape, g->x) + b * t->m->image_n);
        data_text(src->data, t->caption[b], vlt_x(g->tape, g->y) + b * t->m->text_dim);
    }
}

/* ---- a step ------------------------------------------------------------------------------------- */

static void update(const trainer *t, double scale, vl_real *theta)
{
    const vl_real mu = (vl_real)t->o->momentum, wd = (vl_real)t->o->weight_decay;

    for (int b = 0; b < VLM_BRANCHES; b++) {
        vl_real rate = (vl_real)(t->o->rate[b] * scale);
        for (size_t k = t->m->begin[b]; k < t->m->begin[b + 1]; k++) {
            vl_real g = t->grad[k] + wd * theta[k];
            if (t->velocity)
                g = t->velocity[k] = mu * t->velocity[k] + g;
            theta[k] -= rate * g;
        }
    }
}

static double forward(trainer *t, const vl_draws *draws)
{
    if (t->by_heads)
        return vld_heads_forward(&t->heads, draws);
    vlt_draw(t->graph.tape, draws->seed, draws->iter, draws->step);
    vlt_forward(t->graph.tape);
    return (double)vlt_x(t->graph.tape, t->graph.loss)[0];
}

static void backward(trainer *t, double scale, vl_real *theta)
{
    for (int b = 0; b < VLM_BRANCHES; b++)
        t->heads.head[b].rule = (vl_slab_rule){(vl_real)(t->o->rate[b] * scale), (vl_real)t->o->momentum,
                                               (vl_real)t->o->weight_decay};
    if (t->by_heads) {
        vld_heads_backward(&t->heads);
        return;
    }
    vlt_backward(t->graph.tape, t->graph.loss);
    if (vld_smooth_any(&t->o->smooth))
        vld_smooth_gradient(&t->smooth, &t->graph, theta, t->grad);
    update(t, scale, theta);
}

static int train_epoch(trainer *t, int epoch, vl_real *theta, double *loss, vl_err *e)
{
    const vld_step seen = {t->batch, t->row, t->caption, graph_of(t)};
    double total = 0, steps = (double)t->per_epoch * t->o->epochs;
    feed f = {.t = t};

    vld_batch_rows(t->n, t->batch, t->o->seed, (uint64_t)epoch, t->per_epoch, t->order, t->rows);
    for (int i = 0; i < t->per_epoch; i++) {
        double at = (double)epoch * t->per_epoch + i, l;
        f.rows = t->rows + (size_t)i * t->batch;
        f.views = vl_rng_stream("train view", (uint64_t)epoch, (uint64_t)i, 0);
        f.captions = vl_rng_stream("train caption", (uint64_t)epoch, (uint64_t)i, 0);
        vl_pool_run(t->pool, t->batch, feed_one, &f);
        l = forward(t, &(vl_draws){t->o->seed, (uint64_t)epoch, (uint64_t)i});
        if (t->o->watch && t->src->data)
            t->o->watch(t->o->watch_arg, &seen);
        if (!isfinite(l))
            return vl_fail(e, VL_EMATH, "epoch %d, step %d: the loss is not finite (rates %g and %g)", epoch,
                           i, t->o->rate[VLM_IMAGE], t->o->rate[VLM_TEXT]);
        total += l;
        backward(t, t->o->cosine ? 0.5 * (1 + cos(3.14159265358979 * at / steps)) : 1, theta);
    }
    *loss = total / t->per_epoch;
    return VL_OK;
}

/* ---- training ----------------------------------------------------------------------------------- */

static int open_general(trainer *t, vl_real *theta, vl_err *e)
{
    size_t n = t->m->n;
    int rc;

    if (!(t->grad = vl_alloc(n, sizeof(vl_real), e)) ||
        (t->o->momentum > 0 && !(t->velocity = vl_alloc(n, sizeof(vl_real), e))))
        return VL_ENOMEM;
    rc = vlm_graph_new_for(t->m, &t->o->objective, t->pool, t->batch, VLM_HAS_BOTH,
                           vld_smooth_use(&t->o->smooth), &t->graph, e);
    if (!rc)
        rc = vld_smooth_new(t->m, &t->o->smooth, &t->smooth, e);
    if (!rc)
        vlm_bind(&t->graph, theta, t->grad, NULL, NULL);
    return rc;
}

/* How many distinct inputs a branch has. */
static size_t inputs_of_source(const vld_source *s, int b)
{
    size_t n = vld_source_size(s), captions = 0;

    if (s->set || b == VLM_IMAGE)
        return n;
    for (size_t i = 0; i < n; i++)
        captions += s->data->cap[record_of(s, i) + 1] - s->data->cap[record_of(s, i)];
    return captions;
}

/* The distinct inputs of a branch by rows. */
static int take_few(trainer *t, int b, vl_err *e)
{
    const vl_data *d = t->src->data;
    size_t width = b == VLM_IMAGE ? t->m->image_n : t->m->text_dim, n = inputs_of_source(t->src, b), next = 0;

    if (!(t->few[b] = vl_alloc(n, width * sizeof(vl_real), e)))
        return VL_ENOMEM;
    for (size_t i = 0; i < t->n; i++) {
        size_t row = record_of(t->src, i);
        if (b == VLM_IMAGE) {
            vld_data_image(t->m, d, row, (vl_view){0}, t->few[b] + i * width);
            continue;
        }
        t->first_caption[i] = (uint32_t)next;
        for (size_t cap = d->cap[row]; cap < d->cap[row + 1]; cap++)
            data_text(d, cap, t->few[b] + next++ * width);
    }
    return VL_OK;
}

static int open_heads(trainer *t, vl_real *theta, vl_err *e)
{
    size_t rows[VLM_BRANCHES] = {0};
    const vl_real *x[VLM_BRANCHES] = {0};
    int rc;

    for (int b = 0; b < VLM_BRANCHES && t->o->reader; b++)
        rows[b] = inputs_of_source(t->src, b);
    if (t->src->data && !(t->first_caption = vl_alloc(t->n, sizeof *t->first_caption, e)))
        return VL_ENOMEM;
    rc = vld_heads_new(t->m, &t->o->objective, t->pool, t->batch, t->o->momentum > 0, rows, theta, &t->heads,
                       e);
    for (int b = 0; !rc && b < VLM_BRANCHES; b++) {
        if (!t->heads.head[b].by_rows)
            continue;
        rc = t->src->data ? take_few(t, b, e) : VL_OK;
        x[b] = t->src->data ? t->few[b] : b == VLM_IMAGE ? t->src->set->image : t->src->set->text;
    }
    if (rc)
        return rc;
    vld_heads_begin(&t->heads, x);
    if (t->o->reader)
        t->o->reader->heads = &t->heads;
    return VL_OK;
}

static int trainer_open(trainer *t, const vlm_model *m, vl_pool *pool, const vld_source *src,
                        const vld_train_opts *o, vl_real *theta, vl_err *e)
{
    memset(t, 0, sizeof *t);
    t->m = m;
    t->pool = pool;
    t->src = src;
    t->o = o;
    t->n = vld_source_size(src);
    t->batch = o->batch < t->n ? o->batch : t->n;
    /* The heads' own form never forms a gradient that could be looked at. */
    t->by_heads = m->kind == VLM_HEADS && o->form != VLD_FORM_DENSE && !vld_smooth_any(&o->smooth);
    if (o->first_epoch && o->momentum > 0)
        return vl_fail(e, VL_EARG, "training with momentum cannot begin at epoch %d", o->first_epoch);
    if (src->data && o->objective.sim != VLM_SIM_NONE)
        return vl_fail(e, VL_EARG, "real pairs have no learned similarity");
    if (t->batch < 2)
        return vl_fail(e, VL_EARG, "a batch of %zu: at least 2 pairs are needed", t->batch);
    t->per_epoch = (int)(t->n / t->batch);
    if (!(t->rows = vl_alloc((size_t)t->per_epoch * t->batch, sizeof *t->rows, e)) ||
        !(t->order = vl_alloc(t->n, sizeof *t->order, e)) ||
        !(t->row = vl_alloc(t->batch, sizeof *t->row, e)) ||
        !(t->caption = vl_alloc(t->batch, sizeof *t->caption, e)))
        return VL_ENOMEM;
    return (t->by_heads ? open_heads : open_general)(t, theta, e);
}

static void trainer_close(trainer *t)
{
    for (int b = 0; b < VLM_BRANCHES; b++)
        free(t->few[b]);
    free(t->first_caption);
    vld_heads_free(&t->heads);
    vld_smooth_free(&t->smooth);
    vlm_graph_free(&t->graph);
    free(t->velocity);
    free(t->grad);
    free(t->caption);
    free(t->row);
    free(t->order);
    free(t->rows);
}

int vld_train(const vlm_model *m, vl_pool *pool, const vld_source *src, const vld_train_opts *o,
              vl_real *theta, vld_epoch_fn each, void *arg, vl_err *e)
{
    trainer t;
    int rc = trainer_open(&t, m, pool, src, o, theta, e);

    for (int epoch = o->first_epoch; !rc && epoch < o->epochs; epoch++) {
        double loss = 0;
        rc = train_epoch(&t, epoch, theta, &loss, e);
        if (!rc && t.by_heads && (!o->reader || epoch + 1 == o->epochs))
            vld_heads_store(&t.heads);
        if (!rc && each)
            rc = each(arg, epoch + 1, loss, theta, e);
    }
    if (o->reader)
        vld_reader_end(o->reader);
    trainer_close(&t);
    return rc;
}

int vld_data_fits(const vlm_model *m, const vl_data *d, vl_err *e)
{
    if (m->kind == VLM_HEADS && (d->feature_dim != m->image_n || d->text_dim != m->text_dim))
        return vl_fail(e, VL_EARG, "features of %zu and texts of %zu numbers; the network has %zu and %zu",
                       d->feature_dim, d->text_dim, m->image_n, m->text_dim);
    if (m->kind != VLM_HEADS && (d->size != m->size || d->text_dim != m->text_dim))
        return vl_fail(e, VL_EARG,
                       "images of %zu pixels and texts of %zu numbers; the network has %zu and %zu", d->size,
                       d->text_dim, m->size, m->text_dim);
    return VL_OK;
}

void vld_set_pair(const vlm_model *m, const vl_data *d, size_t row, size_t cap, size_t i, vld_set *out)
{
    vld_data_image(m, d, row, (vl_view){0}, out->image + i * m->image_n);
    data_text(d, cap, out->text + i * d->text_dim);
}
