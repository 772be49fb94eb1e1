/* SPDX-License-Identifier: MIT
 * embed.c -- unit embeddings of data: by a graph without training, or for heads by their own passes, in which the
 * matrices are laid out once for all rows. */
#include "distill/train.h"
#include "pipeline/head_pass.h"
#include "pipeline/panel.h"

#include <stdlib.h>
#include <string.h>

enum { EMBED_BATCH = 64, HEAD_BATCH = 240 };

/* ---- heads -------------------------------------------------------------------------------------- */

typedef struct embedder {
    vl_pool *pool;
    vl_panels first, second;
    vl_head_pass pass;
    vl_real *x; /* [HEAD_BATCH,F] */
    size_t f, d;
} embedder;

static int embedder_new(embedder *h, const vlm_model *m, vl_pool *pool, const vl_real *theta, int branch,
                        vl_err *e)
{
    const vlm_param *param = &m->param[branch * VLM_HEAD_PARAMS];
    const size_t f = param[VLM_W1].dim[0], d = m->embed_dim;
    const vl_panel_source first = {f, d, theta + param[VLM_W1].offset, NULL, false};
    const vl_panel_source second = {d, d, theta + param[VLM_W2].offset, NULL, false};
    int rc;

    *h = (embedder){.pool = pool, .f = f, .d = d};
    if (!(h->x = vl_alloc(HEAD_BATCH, f * sizeof *h->x, e)))
        return VL_ENOMEM;
    if ((rc = vl_panels_new(f, d, &h->first, e)) || (rc = vl_panels_new(d, d, &h->second, e)) ||
        (rc = vl_head_pass_new(pool, HEAD_BATCH, d, 0, 0, 0, &h->pass, e)))
        return rc;
    h->pass.by[VL_HEAD_B1] = theta + param[VLM_B1].offset;
    h->pass.by[VL_HEAD_B2] = theta + param[VLM_B2].offset;
    h->pass.by[VL_HEAD_GAIN] = theta + param[VLM_GAIN].offset;
    h->pass.by[VL_HEAD_SHIFT] = theta + param[VLM_SHIFT].offset;
    vl_panels_pack(pool, &h->first, &first);
    vl_panels_pack(pool, &h->second, &second);
    return VL_OK;
}

static void embedder_free(embedder *h)
{
    vl_head_pass_free(&h->pass);
    vl_panels_free(&h->second);
    vl_panels_free(&h->first);
    free(h->x);
}

/* out [n,D] of rows [n,F]. */
static int embed_rows(const vlm_model *m, vl_pool *pool, const vl_real *theta, int branch, size_t n,
                      const float *rows, vl_real *out, vl_err *e)
{
    const vl_draws none = {0, 0, 0};
    embedder h;
    int rc = embedder_new(&h, m, pool, theta, branch, e);

    for (size_t i = 0; !rc && i < n; i += h.pass.rows) {
        h.pass.rows = n - i < HEAD_BATCH ? n - i : HEAD_BATCH;
        for (size_t k = 0; k < h.pass.rows * h.f; k++)
            h.x[k] = (vl_real)rows[i * h.f + k];
        vl_panels_times(pool, &h.first, h.pass.rows, h.x, h.pass.row);
        vl_head_open(&h.pass, &none);
        vl_panels_times(pool, &h.second, h.pass.rows, h.pass.a, h.pass.h);
        vl_head_close(&h.pass, out + i * h.d);
    }
    embedder_free(&h);
    return rc;
}

/* ---- all ---------------------------------------------------------------------------------- */

int vld_embed_images(const vlm_model *m, vl_pool *pool, vl_real *theta, const vl_data *d, vl_real *out,
                     vl_err *e)
{
    const vl_view still = {false, 0, 0};
    size_t batch = d->n < EMBED_BATCH ? d->n : EMBED_BATCH;
    vlm_graph g;
    int rc;

    if (m->kind == VLM_HEADS)
        return embed_rows(m, pool, theta, VLM_IMAGE, d->n, d->features, out, e);
    rc = vlm_graph_new(m, pool, batch, VLM_HAS_IMAGE, VLM_EMBED, &g, e);
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
    int rc;

    if (m->kind == VLM_HEADS)
        return embed_rows(m, pool, theta, VLM_TEXT, d->n_caps, d->text, out, e);
    rc = vlm_graph_new(m, pool, batch, VLM_HAS_TEXT, VLM_EMBED, &g, e);
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
