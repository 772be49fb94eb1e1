/* SPDX-License-Identifier: MIT
 * model_heads.c -- projection heads on frozen features, both branches alike:
 *   p = x W1 + b1;  h = layernorm(p + dropout(gelu(p) W2 + b2)),   x [B,F], W1 [F,D], W2 [D,D]
 * Initial weights and biases have the variance 1 / 3 fan-in of PyTorch's linear layers.
 * Source: the projection head of Wu et al. 2024, and of everything that was built on it. */
#include "pipeline/model_part.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double usual_dropout = 0.1;

static void add(vlm_model *m, int branch, const char *layer, int rank, const size_t *dim, double sd,
                double start)
{
    char name[32];

    snprintf(name, sizeof name, "%s.%s.weight", branch == VLM_IMAGE ? "image" : "text", layer);
    vlm_add_param(m, branch, name, rank, dim, sd, start);
    snprintf(name, sizeof name, "%s.%s.bias", branch == VLM_IMAGE ? "image" : "text", layer);
    vlm_add_param(m, branch, name, 1, &dim[rank - 1], sd, 0);
}

static void add_branch(vlm_model *m, int branch, size_t in)
{
    size_t d = m->embed_dim;

    m->begin[branch] = m->n;
    add(m, branch, "projection", 2, (size_t[]){in, d}, 1 / sqrt(3 * (double)in), 0);
    add(m, branch, "fc", 2, (size_t[]){d, d}, 1 / sqrt(3 * (double)d), 0);
    add(m, branch, "layer_norm", 1, &d, 0, 1);
    m->begin[branch + 1] = m->n;
    m->macs += (double)d * (double)(in + d);
}

/* "heads:F[,dropout=P]"; false where it is something else. */
static bool read_spec(const char *spec, size_t *f, double *p)
{
    const char *s = spec + strlen("heads:");
    char *end;

    *p = usual_dropout;
    if (strncmp(spec, "heads:", strlen("heads:")) || strspn(s, "0123456789") - 1 > 5)
        return false;
    *f = strtoul(s, &end, 10);
    if (!*end)
        return true;
    s = end + strlen(",dropout=");
    if (strncmp(end, ",dropout=", strlen(",dropout=")) || !*s || strspn(s, "0123456789.") != strlen(s))
        return false;
    *p = strtod(s, &end);
    return !*end;
}

/* Six places, without the zeros behind them; never an exponent, for it is read again. */
static void write_share(double p, char *out, size_t room)
{
    size_t n = (size_t)snprintf(out, room, "%.6f", p);

    while (out[n - 1] == '0')
        out[--n] = 0;
    if (out[n - 1] == '.')
        out[n - 1] = 0;
}

int vlm_parse_heads(const char *spec, size_t text_dim, size_t embed_dim, double scale, vlm_model *m,
                    vl_err *e)
{
    char digits[32];
    size_t f;
    double p;

    if (!read_spec(spec, &f, &p) || f < 1 || f > VLM_MAX_DIM || p >= 1)
        return vl_fail(e, VL_EARG,
                       "model '%.40s': heads:FEATURES[,dropout=P] wanted, 1 to %d features, P under 1", spec,
                       VLM_MAX_DIM);
    if (vlm_check_dims(text_dim, embed_dim, e))
        return VL_EARG;
    write_share(p, digits, sizeof digits);
    memset(m, 0, sizeof *m);
    m->kind = VLM_HEADS;
    m->dropout = strtod(digits, NULL); /* what the spec says, no finer */
    if (m->dropout >= 1)
        return vl_fail(e, VL_EARG, "model '%.40s': dropout rounds to 1", spec);
    if (m->dropout == usual_dropout)
        snprintf(m->spec, sizeof m->spec, "heads:%zu", f);
    else
        snprintf(m->spec, sizeof m->spec, "heads:%zu,dropout=%s", f, digits);
    m->image_n = f;
    m->text_dim = text_dim;
    m->embed_dim = embed_dim;
    m->scale = scale;
    add_branch(m, VLM_IMAGE, f);
    add_branch(m, VLM_TEXT, text_dim);
    return VL_OK;
}

bool vlm_heads_outside(int param)
{
    return param % VLM_HEAD_PARAMS < VLM_B2;
}

vlt_id vlm_heads_side(vlm_graph *g, int branch, bool train, double blend)
{
    const vlm_model *m = g->model;
    const vlt_id *w = g->leaf + branch * VLM_HEAD_PARAMS;
    vlt_tape *t = g->tape;
    vlt_id x, p, h;

    if (g->fc)
        x = vlt_leaf(t, VLT_PARAM, 2, (size_t[]){g->batch, m->embed_dim});
    else
        x = vlt_leaf(t, g->data, 2, (size_t[]){g->batch, branch == VLM_IMAGE ? m->image_n : m->text_dim});
    *(branch == VLM_IMAGE ? &g->x : &g->y) = x;
    x = blend > 0 ? vlt_blend(t, x, blend) : x;
    p = g->fc ? x : vlt_linear(t, x, w[VLM_W1], w[VLM_B1]);
    h = vlt_gelu(t, p);
    h = g->fc ? vlt_matrix(t, h, w[VLM_B2], &g->fc[branch]) : vlt_linear(t, h, w[VLM_W2], w[VLM_B2]);
    h = train && m->dropout > 0 ? vlt_dropout(t, h, m->dropout, branch) : h;
    return vlt_layernorm(t, vlt_add(t, p, h), w[VLM_GAIN], w[VLM_SHIFT]);
}
