/* SPDX-License-Identifier: MIT */
#include "distill/coreset.h"
#include "distill/forgetting.h"
#include "pipeline/rng.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct vld_coreset {
    vld_warm how;
    const vl_data *d;
    vl_real *feature;  /* [n,2D] */
    double *cosine;    /* [n] */
    double *forgotten; /* [n]; NULL: not counted */
};

/* To unit norm; a zero row stays. Returns its length. */
static double normalise(vl_real *row, size_t dim)
{
    double square = 0;

    for (size_t k = 0; k < dim; k++)
        square += (double)row[k] * (double)row[k];
    for (size_t k = 0; square > 0 && k < dim; k++)
        row[k] = (vl_real)((double)row[k] / sqrt(square));
    return sqrt(square);
}

/* u [n,D], v [n_caps,D] to c->feature and c->cosine. */
static void join(vld_coreset *c, const vl_real *u, const vl_real *v)
{
    size_t dim = c->how.model->embed_dim;

    for (size_t i = 0; i < c->d->n; i++) {
        vl_real *f = c->feature + i * 2 * dim, *text = f + dim;
        memcpy(f, u + i * dim, dim * sizeof *f);
        for (size_t k = 0; k < dim; k++) {
            double sum = 0;
            for (size_t t = c->d->cap[i]; t < c->d->cap[i + 1]; t++)
                sum += (double)v[t * dim + k];
            text[k] = (vl_real)sum;
        }
        normalise(text, dim);
        c->cosine[i] = 0;
        for (size_t k = 0; k < dim; k++)
            c->cosine[i] += (double)f[k] * (double)text[k];
        normalise(f, 2 * dim);
    }
}

static int embed(void *arg, int epoch, double loss, const vl_real *theta, vl_err *e)
{
    vld_coreset *c = arg;
    const vlm_model *m = c->how.model;
    vl_real *mine, *u = NULL, *v = NULL;
    int rc;

    (void)loss;
    if (epoch != VLD_WARM_EPOCHS)
        return VL_OK;
    mine = vl_alloc(m->n, sizeof *mine, e); /* the graph binds weights that it may write */
    if (!mine || !(u = vl_alloc(c->d->n, m->embed_dim * sizeof *u, e)) ||
        !(v = vl_alloc(c->d->n_caps, m->embed_dim * sizeof *v, e))) {
        rc = VL_ENOMEM;
        goto out;
    }
    memcpy(mine, theta, m->n * sizeof *mine);
    rc = vld_embed_images(m, c->how.pool, mine, c->d, u, e);
    if (!rc)
        rc = vld_embed_texts(m, c->how.pool, mine, c->d, v, e);
    if (!rc)
        join(c, u, v);
out:
    free(v);
    free(u);
    free(mine);
    return rc;
}

static int train(vld_coreset *c, vld_forgetting *events, vl_err *e)
{
    const uint64_t stream = vl_rng_stream("coreset network", 0, 0, 0) | (uint64_t)1 << 63;
    const vld_source src = {.data = c->d};
    vld_train_opts o = {.batch = c->how.batch,
                        .epochs = events ? VLD_FORGETTING_EPOCHS : VLD_WARM_EPOCHS,
                        .aug = c->how.aug,
                        .seed = vl_rng(c->how.seed, stream, 0),
                        .watch = events ? vld_forgetting_step : NULL,
                        .watch_arg = events};
    vl_real *theta = vl_alloc(c->how.model->n, sizeof *theta, e);
    int rc = theta ? VL_OK : VL_ENOMEM;

    memcpy(o.rate, c->how.rate, sizeof o.rate);
    if (!rc) {
        vlm_init(c->how.model, c->how.seed, stream, theta);
        rc = vld_train(c->how.model, c->how.pool, &src, &o, theta, embed, c, e);
    }
    free(theta);
    return rc;
}

static int count_events(vld_coreset *c, vl_err *e)
{
    vld_forgetting events = {0};
    vld_forgetting_sum sum = {0};
    int rc = vld_forgetting_new(c->d, c->how.batch < c->d->n ? c->how.batch : c->d->n, &events, e);

    if (!rc)
        rc = train(c, &events, e);
    if (!rc)
        rc = vld_forgetting_sum_new(c->d->n, &sum, e);
    if (!rc && !(c->forgotten = vl_alloc(c->d->n, sizeof *c->forgotten, e)))
        rc = VL_ENOMEM;
    if (!rc) {
        vld_forgetting_add(&sum, &events, VLD_FORGETTING_EPOCHS);
        memcpy(c->forgotten, sum.forgetting, c->d->n * sizeof *c->forgotten);
    }
    for (size_t i = 0; !rc && i < c->d->n; i++) /* the remainder of every pass: as one never learnt */
        c->forgotten[i] = sum.experts[i] ? c->forgotten[i] : VLD_FORGETTING_EPOCHS;
    vld_forgetting_sum_free(&sum);
    vld_forgetting_free(&events);
    return rc;
}

int vld_coreset_new(const vld_warm *w, const vl_data *d, bool forgetting, vld_coreset **out, vl_err *e)
{
    vld_coreset *c;
    int rc = vld_data_fits(w->model, d, e);

    if (rc)
        return rc;
    if (!(c = vl_alloc(1, sizeof *c, e)))
        return VL_ENOMEM;
    c->how = *w;
    c->d = d;
    c->feature = vl_alloc(d->n, 2 * w->model->embed_dim * sizeof *c->feature, e);
    c->cosine = c->feature ? vl_alloc(d->n, sizeof *c->cosine, e) : NULL;
    if (!c->cosine)
        rc = VL_ENOMEM;
    if (!rc)
        rc = forgetting ? count_events(c, e) : train(c, NULL, e);
    if (rc)
        vld_coreset_free(c);
    else
        *out = c;
    return rc;
}

void vld_coreset_free(vld_coreset *c)
{
    if (!c)
        return;
    free(c->forgotten);
    free(c->cosine);
    free(c->feature);
    free(c);
}

static bool by_forgetting(const vld_select_method *m)
{
    return m->by == VLD_BY_SCORE && m->score && !strcmp(m->score, VLD_FORGETTING_EXT);
}

bool vld_coreset_takes(const vld_select_method *m)
{
    return m->by == VLD_BY_FEATURES || m->by == VLD_BY_COSINE || by_forgetting(m);
}

int vld_coreset_pick(const vld_coreset *c, const vld_select_method *m, size_t n, uint32_t *rows, vl_err *e)
{
    const double *score = by_forgetting(m) ? c->forgotten : c->cosine;
    uint64_t seed = vl_rng(c->how.seed, vl_rng_stream("coreset", 0, 0, 0), 0);

    if (n > c->d->n || !vld_coreset_takes(m) || !score)
        return vl_fail(e, VL_EARG, "%s: %zu pairs of %zu cannot be chosen", m->name, n, c->d->n);
    if (m->by == VLD_BY_FEATURES)
        return m->fn(c->feature, c->d->n, 2 * c->how.model->embed_dim, seed, c->how.pool, n, rows, e);
    return vld_select_best(score, c->d->n, m->least, seed, n, rows, e);
}
