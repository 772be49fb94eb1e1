/* SPDX-License-Identifier: MIT
 * distill_start.c -- the pairs that a set starts from, and the captions it ends near. */
#include "cli/distill.h"
#include "distill/select.h"
#include "distill/train.h"
#include "pipeline/blas.h"
#include "pipeline/rng.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int own_arrays(vld_distilled *d, vl_err *e)
{
    size_t n = d->set.n;
    bool pixels = vld_distilled_images(d)->kind != VLM_HEADS;

    d->init_key = vl_alloc(n, sizeof *d->init_key, e);
    d->nearest = d->init_key ? vl_alloc(n, sizeof *d->nearest, e) : NULL;
    d->init_cap = d->nearest ? vl_alloc(n, sizeof *d->init_cap, e) : NULL;
    if (d->init_cap && pixels)
        d->init_pixels = vl_alloc(n, vld_distilled_images(d)->image_n, e);
    return d->init_cap && (d->init_pixels || !pixels) ? VL_OK : VL_ENOMEM;
}

/* One real pair, with one of its captions, becomes pair i of the set. */
static int start_pair(distiller *p, size_t i, size_t row, vl_err *e)
{
    const vlm_model *m = vld_distilled_images(&p->d);
    const vl_data *r = &p->data;
    size_t pixels = m->image_n;
    uint64_t n_caps = r->cap[row + 1] - r->cap[row];
    uint64_t cap =
        vl_rng_below((uint64_t)p->o->common.seed, vl_rng_stream("init caption", 0, 0, 0), i, n_caps);

    vld_set_pair(m, r, row, r->cap[row] + cap, i, &p->d.set);
    if (p->d.init_pixels)
        memcpy(p->d.init_pixels + i * pixels, r->images + row * pixels, pixels);
    p->d.init_cap[i] = (uint32_t)cap;
    p->d.init_key[i] = vl_strdup(r->key[row], e);
    return p->d.init_key[i] ? VL_OK : VL_ENOMEM;
}

/* Rows [n, F + K]: each side of unit length, captions averaged. */
static int joint_features(const vl_data *d, vl_real **out, vl_err *e)
{
    size_t F = d->feature_dim, K = d->text_dim, width = F + K;
    vl_real *x = *out = vl_alloc(d->n, width * sizeof *x, e);

    if (!x)
        return VL_ENOMEM;
    for (size_t i = 0; i < d->n; i++, x += width) {
        double image = 0, text = 0;
        for (size_t k = 0; k < F; k++)
            x[k] = (vl_real)d->features[i * F + k];
        for (size_t c = d->cap[i]; c < d->cap[i + 1]; c++)
            for (size_t k = 0; k < K; k++)
                x[F + k] += (vl_real)d->text[c * K + k];
        for (size_t k = 0; k < width; k++)
            *(k < F ? &image : &text) += (double)x[k] * (double)x[k];
        for (size_t k = 0; k < width; k++)
            x[k] /= (vl_real)sqrt(fmax(k < F ? image : text, 1e-30));
    }
    return VL_OK;
}

/* Numbers of as many real pairs as the set has. */
static int choose(const distiller *p, uint32_t *rows, vl_err *e)
{
    const vld_select_method *m = vld_select_methods;
    const char *init = p->o->init;
    vl_real *features = NULL;
    int rc = VL_OK;

    if (!strcmp(init, "real") || !strcmp(init, "noise"))
        init = "random";
    while (m->name && strcmp(m->name, init))
        m++;
    if (m->needs_features && !p->data.features)
        return vl_fail(
            e, VL_EARG,
            "--init %s needs experts of scope heads; vlselect's records as --real start from those", init);
    if (m->needs_features)
        rc = joint_features(&p->data, &features, e);
    if (!rc)
        rc = m->fn(features, p->data.n, p->data.feature_dim + p->data.text_dim, (uint64_t)p->o->common.seed,
                   m->needs_features ? p->pool : NULL, p->d.set.n, rows, e);
    free(features);
    return rc;
}

/* The values of normal numbers with the mean and deviation of the set's own: what a set without pictures starts
 * from. Its pairs keep the names of the real ones, so that controls have as many. */
static void to_noise(vl_real *x, size_t n, uint64_t seed, uint64_t stream)
{
    double mean = 0, var = 0;

    for (size_t i = 0; i < n; i++)
        mean += (double)x[i] / (double)n;
    for (size_t i = 0; i < n; i++)
        var += ((double)x[i] - mean) * ((double)x[i] - mean) / (double)n;
    vl_rng_normal(seed, stream, n, sqrt(var), x);
    for (size_t i = 0; i < n; i++)
        x[i] += (vl_real)mean;
}

int distill_start(distiller *p, vl_err *e)
{
    static const vl_augment still = {0};
    const distill_options *o = p->o;
    size_t n = (size_t)o->pairs;
    uint32_t *rows = NULL;
    int rc;

    if (p->data.n < n)
        return vl_fail(e, VL_EFORMAT, "%zu real pairs; %zu synthetic ones are asked for", p->data.n, n);
    p->d.model = p->experts.model;
    p->d.augment = p->d.front.n ? still : p->aug;
    p->d.objective = p->objective;
    p->d.batch = (size_t)o->batch;
    rc = vld_set_new_for(vld_distilled_images(&p->d), &p->objective, n, &p->d.set, e);
    if (!rc)
        rc = own_arrays(&p->d, e);
    if (!rc && !(rows = vl_alloc(n, sizeof *rows, e)))
        rc = VL_ENOMEM;
    if (!rc)
        rc = choose(p, rows, e);
    for (size_t i = 0; !rc && i < n; i++)
        rc = start_pair(p, i, rows[i], e);
    free(rows);
    if (rc)
        return rc;
    if (!strcmp(o->init, "noise"))
        to_noise(p->d.set.image, n * vld_distilled_images(&p->d)->image_n, (uint64_t)o->common.seed,
                 vl_rng_stream("init noise", 0, 0, 0));
    vld_set_similarity(&p->objective, (uint64_t)o->common.seed, &p->d.set);
    p->d.set.rate[VLM_IMAGE] = o->rate_image;
    p->d.set.rate[VLM_TEXT] = o->rate_text;
    return VL_OK;
}

int distill_name_texts(distiller *p, vl_err *e)
{
    const vl_data *r = &p->data;
    size_t dim = p->d.model.text_dim;
    vl_real *score;
    int rc = VL_OK;

    if (!r->caption)
        return VL_OK;
    score = vl_alloc(r->n_caps, sizeof *score, e);
    if (!score)
        return VL_ENOMEM;
    for (size_t i = 0; !rc && i < p->d.set.n; i++) {
        size_t best = 0;
        vl_gemm(0, 1, 1, r->n_caps, dim, 1, p->d.set.text + i * dim, dim, r->text, dim, 0, score, r->n_caps);
        for (size_t c = 1; c < r->n_caps; c++)
            best = score[c] > score[best] ? c : best;
        p->d.nearest[i] = vl_strdup(r->caption[best], e);
        rc = p->d.nearest[i] ? VL_OK : VL_ENOMEM;
    }
    free(score);
    return rc;
}
