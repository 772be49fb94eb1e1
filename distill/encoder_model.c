/* SPDX-License-Identifier: MIT */
#include "distill/encoder_model.h"
#include "pipeline/view.h"

#include <math.h>
#include <stdlib.h>

static void close_model(vld_encoder *enc)
{
    vld_encoder_model *c = enc->state;

    if (!c)
        return;
    vlm_graph_free(&c->graph);
    free(c->base);
    free(c->theta);
    free(c);
}

typedef struct feed {
    const vld_encoder_model *c;
    const uint8_t *rgb;
} feed;

static void feed_one(void *arg, size_t i, int worker)
{
    const feed *f = arg;
    size_t pixels = f->c->model.image_n;

    (void)worker;
    vl_view_apply_u8(f->rgb + i * pixels, f->c->model.size, (vl_view){0},
                     vlt_x(f->c->graph.tape, f->c->graph.x) + i * pixels);
}

static int images(vld_encoder *enc, const uint8_t *rgb, size_t n, float *out, vl_err *e)
{
    vld_encoder_model *c = enc->state;
    size_t batch = c->graph.batch;

    for (size_t i = 0; i < n; i += batch) {
        size_t k = n - i < batch ? n - i : batch; /* rows behind k hold older images; nobody reads theirs */
        feed f = {c, rgb + i * c->model.image_n};
        vl_pool_run(enc->pool, k, feed_one, &f);
        vlt_forward(c->graph.tape);
        const vl_real *u = vlt_x(c->graph.tape, c->graph.u);
        for (size_t j = 0; j < k * enc->dim; j++) {
            if (!isfinite(u[j]))
                return vl_fail(e, VL_EMATH, "image %zu: its embedding is not finite", i + j / enc->dim);
            out[i * enc->dim + j] = (float)u[j];
        }
    }
    return VL_OK;
}

int vld_encoder_model_new(vld_encoder *enc, vl_err *e)
{
    enc->state = vl_alloc(1, sizeof(vld_encoder_model), e);
    enc->close = close_model;
    enc->images = images;
    enc->blas = true;
    return enc->state ? VL_OK : VL_ENOMEM;
}

int vld_encoder_model_ready(vld_encoder *enc, size_t batch, vl_err *e)
{
    vld_encoder_model *c = enc->state;
    int rc = vlm_graph_new(&c->model, enc->pool, batch, VLM_HAS_IMAGE, VLM_EMBED, &c->graph, e);

    if (rc)
        return rc;
    vlm_bind(&c->graph, c->theta, NULL, NULL, NULL);
    enc->model = &c->model;
    enc->theta = c->theta;
    enc->dim = c->model.embed_dim;
    enc->size = c->model.size;
    return VL_OK;
}
