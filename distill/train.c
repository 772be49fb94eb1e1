/* SPDX-License-Identifier: MIT */
#include "distill/train.h"
#include "pipeline/rng.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { EMBED_BATCH = 64 };

size_t vld_source_size(const vld_source *s)
{
    return s->set ? s->set->n : s->subset ? s->n_subset : s->data->n;
}

/* ---- batches ------------------------------------------------------------------------------------ */

typedef struct feed {
    const vld_source *src;
    const vlm_model *m;
    vlm_graph *g;
    const vl_augment *aug;
    const vlm_objective *objective;
    const uint32_t *rows;
    uint32_t *row, *caption; /* [batch] what was taken, with data as the source */
    uint64_t seed, views, captions;
} feed;

void vld_data_image(const vlm_model *m, const vl_data *d, size_t row, vl_view view, vl_real *x)
{
    if (m->kind == VLM_HEADS)
        for (size_t i = 0; i < m->image_n; i++)
            x[i] = (vl_real)d->features[row * m->image_n + i];
    else
        vl_view_apply_u8(d->images + row * m->image_n, m->size, view, x);
}

static void feed_data(const feed *f, size_t b, vl_view view)
{
    const vl_data *d = f->src->data;
    size_t row = f->src->subset ? f->src->subset[f->rows[b]] : f->rows[b];
    size_t cap = d->cap[row] + vl_rng_below(f->seed, f->captions, b, d->cap[row + 1] - d->cap[row]);
    vl_real *y = vlt_x(f->g->tape, f->g->y) + b * f->m->text_dim;

    f->row[b] = (uint32_t)row;
    f->caption[b] = (uint32_t)cap;
    vld_data_image(f->m, d, row, view, vlt_x(f->g->tape, f->g->x) + b * f->m->image_n);
    for (size_t i = 0; i < d->text_dim; i++)
        y[i] = (vl_real)d->text[cap * d->text_dim + i];
}

static void feed_one(void *arg, size_t b, int worker)
{
    const feed *f = arg;
    vl_view view = vl_view_draw(f->aug, f->seed, f->views, b);

    (void)worker;
    if (f->src->set)
        vld_set_gather(f->src->set, f->objective, f->g, f->rows, b, &view);
    else
        feed_data(f, b, view);
}

/* ---- training ----------------------------------------------------------------------------------- */

typedef struct trainer {
    const vlm_model *m;
    vl_pool *pool;
    const vld_train_opts *o;
    vlm_graph graph;
    size_t n, batch;
    int per_epoch;
    uint32_t *rows, *order;
    uint32_t *row, *caption; /* [batch] */
    vl_real *grad, *velocity;
    vld_smooth smooth;
} trainer;

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

static int train_epoch(trainer *t, const vld_source *src, int epoch, vl_real *theta, double *loss, vl_err *e)
{
    feed f = {.src = src,
              .m = t->m,
              .g = &t->graph,
              .aug = &t->o->aug,
              .objective = &t->o->objective,
              .row = t->row,
              .caption = t->caption,
              .seed = t->o->seed};
    const vld_step seen = {t->batch, t->row, t->caption, &t->graph};
    double total = 0, steps = (double)t->per_epoch * t->o->epochs;

    vld_batch_rows(t->n, t->batch, t->o->seed, (uint64_t)epoch, t->per_epoch, t->order, t->rows);
    for (int i = 0; i < t->per_epoch; i++) {
        double at = (double)epoch * t->per_epoch + i, l;
        f.rows = t->rows + (size_t)i * t->batch;
        f.views = vl_rng_stream("train view", (uint64_t)epoch, (uint64_t)i, 0);
        f.captions = vl_rng_stream("train caption", (uint64_t)epoch, (uint64_t)i, 0);
        vl_pool_run(t->pool, t->batch, feed_one, &f);
        vlt_draw(t->graph.tape, t->o->seed, (uint64_t)epoch, (uint64_t)i);
        vlt_forward(t->graph.tape);
        if (t->o->watch && src->data)
            t->o->watch(t->o->watch_arg, &seen);
        vlt_backward(t->graph.tape, t->graph.loss);
        l = (double)vlt_x(t->graph.tape, t->graph.loss)[0];
        if (!isfinite(l))
            return vl_fail(e, VL_EMATH, "epoch %d, step %d: the loss is not finite (rates %g and %g)", epoch,
                           i, t->o->rate[VLM_IMAGE], t->o->rate[VLM_TEXT]);
        if (vld_smooth_any(&t->o->smooth))
            vld_smooth_gradient(&t->smooth, &t->graph, theta, t->grad);
        total += l;
        update(t, t->o->cosine ? 0.5 * (1 + cos(3.14159265358979 * at / steps)) : 1, theta);
    }
    *loss = total / t->per_epoch;
    return VL_OK;
}

static int trainer_open(trainer *t, const vlm_model *m, vl_pool *pool, const vld_source *src,
                        const vld_train_opts *o, vl_real *theta, vl_err *e)
{
    int rc;

    memset(t, 0, sizeof *t);
    t->m = m;
    t->pool = pool;
    t->o = o;
    t->n = vld_source_size(src);
    t->batch = o->batch < t->n ? o->batch : t->n;
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
        !(t->caption = vl_alloc(t->batch, sizeof *t->caption, e)) ||
        !(t->grad = vl_alloc(m->n, sizeof(vl_real), e)) ||
        (o->momentum > 0 && !(t->velocity = vl_alloc(m->n, sizeof(vl_real), e))))
        return VL_ENOMEM;
    rc = vlm_graph_new_for(m, &o->objective, pool, t->batch, VLM_HAS_BOTH, vld_smooth_use(&o->smooth),
                           &t->graph, e);
    if (!rc)
        rc = vld_smooth_new(m, &o->smooth, &t->smooth, e);
    if (!rc)
        vlm_bind(&t->graph, theta, t->grad, NULL, NULL);
    return rc;
}

static void trainer_close(trainer *t)
{
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
        rc = train_epoch(&t, src, epoch, theta, &loss, e);
        if (!rc && each)
            rc = each(arg, epoch + 1, loss, theta, e);
    }
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
    for (size_t k = 0; k < d->text_dim; k++)
        out->text[i * d->text_dim + k] = (vl_real)d->text[cap * d->text_dim + k];
}

/* ---- embedding ---------------------------------------------------------------------------------- */

int vld_embed_images(const vlm_model *m, vl_pool *pool, vl_real *theta, const vl_data *d, vl_real *out,
                     vl_err *e)
{
    const vl_view still = {0};
    size_t batch = d->n < EMBED_BATCH ? d->n : EMBED_BATCH;
    vlm_graph g;
    int rc = vlm_graph_new(m, pool, batch, VLM_HAS_IMAGE, VLM_EMBED, &g, e);

    if (rc)
        return rc;
    vlm_bind(&g, theta, NULL, NULL, NULL);
    for (size_t i = 0; i < d->n; i += batch) {
        size_t k = d->n - i < batch ? d->n - i : batch; /* the last run leaves old images behind them */
        for (size_t b = 0; b < k; b++)
            vld_data_image(m, d, i + b, still, vlt_x(g.tape, g.x) + b * m->image_n);
        vlt_forward(g.tape);
        memcpy(out + i * m->embed_dim, vlt_x(g.tape, g.u), k * m->embed_dim * sizeof *out);
    }
    vlm_graph_free(&g);
    return VL_OK;
}

int vld_embed_texts(const vlm_model *m, vl_pool *pool, vl_real *theta, const vl_data *d, vl_real *out,
                    vl_err *e)
{
    size_t batch = d->n_caps < EMBED_BATCH ? d->n_caps : EMBED_BATCH;
    vlm_graph g;
    int rc = vlm_graph_new(m, pool, batch, VLM_HAS_TEXT, VLM_EMBED, &g, e);

    if (rc)
        return rc;
    vlm_bind(&g, theta, NULL, NULL, NULL);
    for (size_t i = 0; i < d->n_caps; i += batch) {
        size_t k = d->n_caps - i < batch ? d->n_caps - i : batch;
        vl_real *y = vlt_x(g.tape, g.y);
        for (size_t j = 0; j < k * m->text_dim; j++)
            y[j] = (vl_real)d->text[i * m->text_dim + j];
        vlt_forward(g.tape);
        memcpy(out + i * m->embed_dim, vlt_x(g.tape, g.v), k * m->embed_dim * sizeof *out);
    }
    vlm_graph_free(&g);
    return VL_OK;
}
