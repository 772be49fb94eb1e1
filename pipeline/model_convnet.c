/* SPDX-License-Identifier: MIT */
#include "pipeline/model_part.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { STEM = 4, MAX_WIDTH = 4096 };

static size_t width_of(size_t w, int layer) /* of block `layer`, from 1 */
{
    for (int i = 1; i < layer; i++)
        w = w * 3 / 2;
    return w;
}

static void add_image_branch(vlm_model *m, size_t w)
{
    const double gelu_gain = 1.533; /* 1 / E[gelu(z)^2] = 2.35 */
    size_t side = m->size / STEM, in = w;

    vlm_add_layer(m, VLM_IMAGE, "image.stem", 4, (size_t[]){STEM, STEM, 3, w}, 1.0);
    m->macs += (double)(side * side) * STEM * STEM * 3 * (double)w;
    for (int l = 1; l <= m->layers; l++) {
        char name[24];
        size_t out = width_of(w, l);
        side = l > 1 ? (side + 1) / 2 : side;
        snprintf(name, sizeof name, "image.conv%d", l);
        vlm_add_layer(m, VLM_IMAGE, name, 4, (size_t[]){3, 3, in, out}, gelu_gain);
        m->macs += (double)(side * side) * 9 * (double)(in * out);
        in = out;
    }
    vlm_add_layer(m, VLM_IMAGE, "image.head", 2, (size_t[]){in, m->embed_dim}, gelu_gain);
    m->macs += (double)(in * m->embed_dim);
}

int vlm_parse_convnet(const char *spec, size_t size, size_t text_dim, size_t embed_dim, double scale,
                      vlm_model *m, vl_err *e)
{
    unsigned w = 0, l = 0;
    int used = 0, rc;

    if (sscanf(spec, "convnet:%4ux%1u%n", &w, &l, &used) != 2 || spec[used] || w < 1 || w > MAX_WIDTH ||
        l < 1 || l > VLM_MAX_LAYERS)
        return vl_fail(e, VL_EARG,
                       "model '%.40s': convnet:WIDTHxLAYERS wanted, such as convnet:64x3, or "
                       "vit:DIMxDEPTHxHEADS/PATCH",
                       spec);
    rc = vlm_check_size(size, STEM, e);
    if (!rc)
        rc = vlm_check_dims(text_dim, embed_dim, e);
    if (rc)
        return rc;
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
    vlm_add_text_head(m);
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
