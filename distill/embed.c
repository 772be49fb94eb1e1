/* SPDX-License-Identifier: MIT
 * embed.c -- see embed.h. Heads have passes of their own, HEAD_BATCH rows at a time, in which the matrices are laid
 * out once for all rows; other networks a graph without training. */
#include "distill/embed.h"
#include "distill/train.h"
#include "pipeline/gemm_tiles.h"

#include <stdlib.h>
#include <string.h>

enum { EMBED_BATCH = 64, HEAD_BATCH = 80 };

/* ---- heads -------------------------------------------------------------------------------------- */

typedef struct embedder {
    vl_pool *pool;
    vl_slabs own[2];
    const vl_slabs *first, *second; /* own, or those of a training */
    const vld_known *known;         /* in place of first; with rows */
    const vld_rows *rows;
    vl_head_pass pass;
    vl_real *x; /* [HEAD_BATCH,F] */
    size_t f, d;
} embedder;

static int lay_out(embedder *h, int which, const vlm_param *param, const vl_real *theta, vl_err *e)
{
    int rc = vl_slabs_new(param->dim[0], param->dim[1], &h->own[which], e);

    if (!rc)
        vl_slabs_pack(h->pool, &h->own[which], theta + param->offset);
    return rc;
}

/* heads, known: may be NULL. */
static int embedder_new(embedder *h, const vlm_model *m, vl_pool *pool, const vl_real *theta, int branch,
                        vld_heads *heads, const vld_known *known, vl_err *e)
{
    const vlm_param *param = &m->param[branch * VLM_HEAD_PARAMS];
    const vld_head *head = heads ? &heads->head[branch] : NULL;
    int rc;

    *h = (embedder){.pool = pool, .f = param[VLM_W1].dim[0], .d = m->embed_dim, .known = known};
    h->first = head ? &head->first.w : &h->own[0];
    h->second = head ? &head->second.w : &h->own[1];
    h->rows = head ? &head->rows : NULL;
    rc = vl_head_pass_new(pool, HEAD_BATCH, h->d, 0, 0, 0, &h->pass, e);
    if (!rc && !(h->x = vl_alloc(HEAD_BATCH, h->f * sizeof *h->x, e)))
        rc = VL_ENOMEM;
    if (!rc && !head)
        rc = lay_out(h, 0, &param[VLM_W1], theta, e);
    if (!rc && !head)
        rc = lay_out(h, 1, &param[VLM_W2], theta, e);
    h->pass.by[VL_HEAD_B1] = theta + param[VLM_B1].offset;
    h->pass.by[VL_HEAD_B2] = theta + param[VLM_B2].offset;
    h->pass.by[VL_HEAD_GAIN] = theta + param[VLM_GAIN].offset;
    h->pass.by[VL_HEAD_SHIFT] = theta + param[VLM_SHIFT].offset;
    return rc;
}

static void embedder_free(embedder *h)
{
    vl_slabs_free(&h->own[1]);
    vl_slabs_free(&h->own[0]);
    vl_head_pass_free(&h->pass);
    free(h->x);
}

/* The first layer's outputs of `count` rows from `at` on. */
static void first_rows(embedder *h, const float *rows, size_t at, size_t count)
{
    const vld_known *k = h->known;

    if (k) {
        memcpy(h->pass.row, k->base + at * h->d, count * h->d * sizeof *k->base);
        vl_gemm_tiles(h->pool, 0, 0, count, h->d, h->rows->n, 1, k->cross + at * h->rows->n, h->rows->n,
                      h->rows->a, h->d, (vl_real)h->rows->c, h->pass.row, h->d);
        return;
    }
    for (size_t i = 0; i < count * h->f; i++)
        h->x[i] = (vl_real)rows[at * h->f + i];
    vl_slabs_times(h->pool, h->first, count, h->x, h->pass.row);
}

/* out [n,D] of rows [n,F]. */
static void embed_rows(embedder *h, size_t n, const float *rows, vl_real *out)
{
    const vl_draws none = {0, 0, 0};

    for (size_t at = 0; at < n; at += h->pass.rows) {
        h->pass.rows = n - at < HEAD_BATCH ? n - at : HEAD_BATCH;
        first_rows(h, rows, at, h->pass.rows);
        vl_head_open(&h->pass, &none);
        vl_slabs_times(h->pool, h->second, h->pass.rows, h->pass.a, h->pass.h);
        vl_head_close(&h->pass, out + at * h->d);
    }
}

static int embed_heads(const vlm_model *m, vl_pool *pool, const vl_real *theta, int branch, const vl_data *d,
                       vld_heads *heads, const vld_known *known, vl_real *out, vl_err *e)
{
    const bool image = branch == VLM_IMAGE;
    embedder h;
    int rc = embedder_new(&h, m, pool, theta, branch, heads, known, e);

    if (!rc)
        embed_rows(&h, image ? d->n : d->n_caps, image ? d->features : d->text, out);
    embedder_free(&h);
    return rc;
}

/* ---- any network ---------------------------------------------------------------------------------- */

/* Rows [at, at + count) of one side into the graph's leaf. */
static void take_inputs(const vlm_model *m, int branch, const vl_data *d, size_t at, size_t count,
                        vlm_graph *g)
{
    const vl_view still = {0};
    vl_real *leaf = vlt_x(g->tape, branch == VLM_IMAGE ? g->x : g->y);

    if (branch == VLM_IMAGE)
        for (size_t b = 0; b < count; b++)
            vld_data_image(m, d, at + b, still, leaf + b * m->image_n);
    else
        for (size_t j = 0; j < count * m->text_dim; j++)
            leaf[j] = (vl_real)d->text[at * m->text_dim + j];
}

static int embed(const vlm_model *m, vl_pool *pool, vl_real *theta, int branch, const vl_data *d,
                 vl_real *out, vl_err *e)
{
    size_t n = branch == VLM_IMAGE ? d->n : d->n_caps, batch = n < EMBED_BATCH ? n : EMBED_BATCH;
    vlm_graph g;
    int rc;

    if (m->kind == VLM_HEADS)
        return embed_heads(m, pool, theta, branch, d, NULL, NULL, out, e);
    rc = vlm_graph_new(m, pool, batch, branch == VLM_IMAGE ? VLM_HAS_IMAGE : VLM_HAS_TEXT, VLM_EMBED, &g, e);
    if (rc)
        return rc;
    vlm_bind(&g, theta, NULL, NULL, NULL);
    for (size_t i = 0; i < n; i += batch) {
        size_t k = n - i < batch ? n - i : batch; /* the last run leaves old rows behind them */
        take_inputs(m, branch, d, i, k, &g);
        vlt_forward(g.tape);
        memcpy(out + i * m->embed_dim, vlt_x(g.tape, branch == VLM_IMAGE ? g.u : g.v),
               k * m->embed_dim * sizeof *out);
    }
    vlm_graph_free(&g);
    return VL_OK;
}

int vld_embed_images(const vlm_model *m, vl_pool *pool, vl_real *theta, const vl_data *d, vl_real *out,
                     vl_err *e)
{
    return embed(m, pool, theta, VLM_IMAGE, d, out, e);
}

int vld_embed_texts(const vlm_model *m, vl_pool *pool, vl_real *theta, const vl_data *d, vl_real *out,
                    vl_err *e)
{
    return embed(m, pool, theta, VLM_TEXT, d, out, e);
}

/* ---- a reader ----------------------------------------------------------------------------------- */

void vld_reader_end(vld_reader *r)
{
    for (int i = 0; i < r->n_known; i++) {
        free(r->known[i].cross);
        free(r->known[i].base);
    }
    r->n_known = 0;
    r->heads = NULL;
}

/* X_d W_0 and X_d X^T, [n,D] and [n,rows], of rows [n,F]. */
static int learn_data(vld_reader *r, const vld_rows *rows, size_t n, const float *from, vld_known *k,
                      vl_err *e)
{
    vl_real *x = vl_alloc(HEAD_BATCH, rows->f * sizeof *x, e);
    vl_slabs w = {0};
    int rc = VL_ENOMEM;

    if (x && (k->base = vl_alloc(n, rows->d * sizeof *x, e)) &&
        (k->cross = vl_alloc(n, rows->n * sizeof *x, e)))
        rc = vl_slabs_new(rows->f, rows->d, &w, e);
    if (!rc)
        vl_slabs_pack(r->pool, &w, rows->w);
    for (size_t at = 0, count; !rc && at < n; at += count) {
        count = n - at < HEAD_BATCH ? n - at : HEAD_BATCH;
        for (size_t i = 0; i < count * rows->f; i++)
            x[i] = (vl_real)from[at * rows->f + i];
        vl_slabs_times(r->pool, &w, count, x, k->base + at * rows->d);
        vl_gemm_tiles(r->pool, 0, 1, count, rows->n, rows->f, 1, x, rows->f, rows->x, rows->f, 0,
                      k->cross + at * rows->n, rows->n);
    }
    vl_slabs_free(&w);
    free(x);
    return rc;
}

/* What is known of a branch of the data; NULL, and no error: it is too much to keep. */
static int know(vld_reader *r, int branch, const vl_data *d, const vld_known **out, vl_err *e)
{
    const vld_rows *rows = &r->heads->head[branch].rows;
    size_t n = branch == VLM_IMAGE ? d->n : d->n_caps, most = r->most ? r->most : VLD_READER_REALS;
    vld_known *k;
    int rc;

    *out = NULL;
    for (int i = 0; i < r->n_known; i++)
        if (r->known[i].data == d && r->known[i].branch == branch)
            *out = &r->known[i];
    if (*out || r->n_known == VLM_BRANCHES * VLD_READER_DATA || n > most / (rows->d + rows->n))
        return VL_OK;
    k = &r->known[r->n_known];
    *k = (vld_known){.data = d, .branch = branch};
    rc = learn_data(r, rows, n, branch == VLM_IMAGE ? d->features : d->text, k, e);
    if (rc) {
        free(k->cross);
        free(k->base);
        return rc;
    }
    r->n_known++;
    *out = k;
    return VL_OK;
}

static int read_branch(vld_reader *r, int branch, const vl_data *d, vl_real *out, vl_err *e)
{
    vld_head *head = r->heads ? &r->heads->head[branch] : NULL;
    const vld_known *known = NULL;
    int rc = head && head->by_rows ? know(r, branch, d, &known, e) : VL_OK;

    if (rc)
        return rc;
    if (head && (known || !head->by_rows))
        return embed_heads(r->model, r->pool, r->theta, branch, d, r->heads, known, out, e);
    if (head)
        vld_heads_store(r->heads);
    return (branch == VLM_IMAGE ? vld_embed_images : vld_embed_texts)(r->model, r->pool, r->theta, d, out, e);
}

int vld_read(vld_reader *r, const vl_data *d, vl_real *u, vl_real *v, vl_err *e)
{
    int rc = read_branch(r, VLM_IMAGE, d, u, e);

    return rc ? rc : read_branch(r, VLM_TEXT, d, v, e);
}
