/* SPDX-License-Identifier: MIT */
#include "pipeline/model_part.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { STEM = 4, MIN_SIZE = 16, MAX_SIZE = 1024, MAX_WIDTH = 4096 };

/* A weight and its bias. gain^2 = 1 / E[f(z)^2] keeps the variance through f; for GELU it is 2.35. */
static void add_layer(vlm_model *m, int branch, const char *layer, int rank, const size_t *dim, double gain)
{
    char name[32];
    size_t fan_in = 1;

    for (int i = 0; i < rank - 1; i++)
        fan_in *= dim[i];
    snprintf(name, sizeof name, "%.20s.weight", layer);
    vlm_add_param(m, branch, name, rank, dim, gain / sqrt((double)fan_in), 0);
    snprintf(name, sizeof name, "%.20s.bias", layer);
    vlm_add_param(m, branch, name, 1, &dim[rank - 1], 0, 0);
}

static size_t width_of(size_t w, int layer) /* of block `layer`, from 1 */
{
    for (int i = 1; i < layer; i++)
        w = w * 3 / 2;
    return w;
}

static void add_image_branch(vlm_model *m, size_t w)
{
    const double gelu_gain = 1.533;
    size_t side = m->size / STEM, in = w;

    add_layer(m, VLM_IMAGE, "image.stem", 4, (size_t[]){STEM, STEM, 3, w}, 1.0);
    m->macs += (double)(side * side) * STEM * STEM * 3 * (double)w;
    for (int l = 1; l <= m->layers; l++) {
        char name[24];
        size_t out = width_of(w, l);
        side = l > 1 ? (side + 1) / 2 : side;
        snprintf(name, sizeof name, "image.conv%d", l);
        add_layer(m, VLM_IMAGE, name, 4, (size_t[]){3, 3, in, out}, gelu_gain);
        m->macs += (double)(side * side) * 9 * (double)(in * out);
        in = out;
    }
    add_layer(m, VLM_IMAGE, "image.head", 2, (size_t[]){in, m->embed_dim}, gelu_gain);
    m->macs += (double)(in * m->embed_dim);
}

int vlm_parse(const char *spec, size_t size, size_t text_dim, size_t embed_dim, double scale, vlm_model *m,
              vl_err *e)
{
    unsigned w = 0, l = 0;
    int used = 0;

    if (sscanf(spec, "convnet:%4ux%1u%n", &w, &l, &used) != 2 || spec[used] || w < 1 || w > MAX_WIDTH ||
        l < 1 || l > VLM_MAX_LAYERS)
        return vl_fail(e, VL_EARG, "model '%.40s': convnet:WIDTHxLAYERS wanted, such as convnet:64x3", spec);
    if (size < MIN_SIZE || size > MAX_SIZE || size % STEM)
        return vl_fail(e, VL_EARG, "image size %zu: a multiple of %d from %d to %d wanted", size, STEM,
                       MIN_SIZE, MAX_SIZE);
    if (text_dim < 1 || text_dim > VLM_MAX_DIM || embed_dim < 1 || embed_dim > VLM_MAX_DIM)
        return vl_fail(e, VL_EARG, "text and embedding sizes %zu and %zu: 1 to %d wanted", text_dim,
                       embed_dim, VLM_MAX_DIM);
    if (width_of(w, (int)l) > MAX_WIDTH)
        return vl_fail(e, VL_EARG, "model '%.40s': its last layer is %zu wide, %d allowed", spec,
                       width_of(w, (int)l), MAX_WIDTH);
    memset(m, 0, sizeof *m);
    snprintf(m->spec, sizeof m->spec, "convnet:%ux%u", w, l);
    m->kind = VLM_CONVNET;
    m->size = size;
    m->image_n = size * size * 3;
    m->text_dim = text_dim;
    m->embed_dim = embed_dim;
    m->layers = (int)l;
    m->scale = scale;
    add_image_branch(m, w);
    m->begin[VLM_TEXT] = m->n;
    add_layer(m, VLM_TEXT, "text.head", 2, (size_t[]){text_dim, embed_dim},
              sqrt((double)text_dim / (double)embed_dim));
    m->macs += (double)(text_dim * embed_dim);
    m->begin[VLM_BRANCHES] = m->n;
    return VL_OK;
}

/* ---- the graph ---------------------------------------------------------------------------------- */

vlt_id vlm_convnet_image(vlm_graph *g, double blend)
{
    const vlm_model *m = g->model;
    vlt_tape *t = g->tape;
    const vlt_id *p = g->leaf;
    vlt_id h;

    g->x = vlt_leaf(t, g->data, 4, (size_t[]){g->batch, m->size, m->size, 3});
    h = vlt_gelu(t, vlt_conv2d(t, g->x, p[0], p[1], STEM, 0));
    for (int l = 1; l <= m->layers; l++)
        h = vlt_gelu(t, vlt_conv2d(t, h, p[2 * l], p[2 * l + 1], l > 1 ? 2 : 1, 1));
    h = vlt_meanpool(t, h);
    h = blend > 0 ? vlt_blend(t, h, blend) : h;
    return vlt_linear(t, h, p[2 * m->layers + 2], p[2 * m->layers + 3]);
}

vlt_id vlm_convnet_text(vlm_graph *g, double blend)
{
    const vlm_model *m = g->model;
    vlt_tape *t = g->tape;
    const vlt_id *p = g->leaf + m->n_params - 2;

    g->y = vlt_leaf(t, g->data, 2, (size_t[]){g->batch, m->text_dim});
    return vlt_linear(t, blend > 0 ? vlt_blend(t, g->y, blend) : g->y, p[0], p[1]);
}
