/* SPDX-License-Identifier: MIT
 * model_vit.c -- a vision transformer, trained whole or through low-rank factors of its projections.
 *
 * The transformer's own parameters lie in one list, in the order of their use: behind each other in m->param
 * where it is trained, in m->frozen where it is not; then m->param begins with the factors. The recorder walks
 * both lists in the same order. The image head and the text head come last in m->param.
 *
 * Initial weights have the variance 1 / fan-in, those of projections onto the residual stream that divided by
 * 2 blocks, so that the stream's variance does not grow with depth. Factors: p of variance 1 / 3 fan-in, q zero,
 * so that training begins at the frozen network.
 * Source: Dosovitskiy et al. 2021 (pre-norm blocks); Radford et al. 2019 (the residual scale); Hu et al. 2021. */
#include "pipeline/model_part.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_WIDTH = 1024, MAX_BLOCKS = 12, MAX_PATCH = 64, MAX_TOKENS = 1025, MAX_LORA = 256, MLP = 4 };
enum { PER_BLOCK = 16, AROUND = 10 }; /* parameters: of a block; patch, class, position, norm, two heads */
_Static_assert(PER_BLOCK *MAX_BLOCKS + AROUND <= VLM_MAX_PARAMS, "the list holds the largest network");
static const unsigned max_seed = 999999999;

/* ---- the spec ----------------------------------------------------------------------------------- */

typedef struct fields {
    unsigned dim, depth, heads, patch, rank, seed;
    double alpha;
    char id[VLM_ID_MAX];
} fields;

/* Digits and nothing else, min to max; *s moves behind them. */
static bool read_number(const char **s, unsigned min, unsigned max, unsigned *out)
{
    size_t n = strspn(*s, "0123456789");

    if (n < 1 || n > 9)
        return false;
    *out = (unsigned)strtoul(*s, NULL, 10);
    *s += n;
    return *out >= min && *out <= max;
}

static bool read_text(const char **s, const char *text)
{
    size_t n = strlen(text);

    if (strncmp(*s, text, n))
        return false;
    *s += n;
    return true;
}

/* As the spec will say it, no finer: "%.6g", without an exponent in this range. */
static bool read_alpha(const char **s, double *out)
{
    size_t n = strspn(*s, "0123456789.");
    char digits[32], *end;
    double v;

    if (n < 1 || n >= sizeof digits)
        return false;
    memcpy(digits, *s, n);
    digits[n] = 0;
    v = strtod(digits, &end);
    if (*end || !(v >= 0.001 && v <= 65536))
        return false;
    snprintf(digits, sizeof digits, "%.6g", v);
    *out = strtod(digits, NULL);
    *s += n;
    return true;
}

static bool read_id(const char **s, char id[VLM_ID_MAX])
{
    if (strspn(*s, "0123456789abcdef") != VLM_ID_MAX - 1)
        return false;
    memcpy(id, *s, VLM_ID_MAX - 1);
    *s += VLM_ID_MAX - 1;
    return true;
}

/* "vit:DIMxDEPTHxHEADS/PATCH[,lora=R[,alpha=A][,seed=N|,base=ID]]"; false where it is something else. */
static bool read_spec(const char *s, fields *f)
{
    *f = (fields){0};
    if (!read_text(&s, "vit:") || !read_number(&s, 1, MAX_WIDTH, &f->dim) || !read_text(&s, "x") ||
        !read_number(&s, 1, MAX_BLOCKS, &f->depth) || !read_text(&s, "x") ||
        !read_number(&s, 1, f->dim, &f->heads) || f->dim % f->heads || !read_text(&s, "/") ||
        !read_number(&s, 1, MAX_PATCH, &f->patch))
        return false;
    if (!*s)
        return true;
    if (!read_text(&s, ",lora=") || !read_number(&s, 1, MAX_LORA, &f->rank))
        return false;
    f->alpha = f->rank;
    if (read_text(&s, ",alpha=") && !read_alpha(&s, &f->alpha))
        return false;
    if (read_text(&s, ",seed=") && !read_number(&s, 0, max_seed, &f->seed))
        return false;
    if (!f->seed && read_text(&s, ",base=") && !read_id(&s, f->id))
        return false;
    return !*s;
}

/* What was parsed, one way. */
static void write_spec(vlm_model *m)
{
    char alpha[32] = "", from[32] = "", lora[90] = "";

    if (m->alpha != (double)m->lora)
        snprintf(alpha, sizeof alpha, ",alpha=%.6g", m->alpha);
    if (*m->base_id)
        snprintf(from, sizeof from, ",base=%s", m->base_id);
    else if (m->base_seed)
        snprintf(from, sizeof from, ",seed=%u", (unsigned)m->base_seed);
    if (m->lora)
        snprintf(lora, sizeof lora, ",lora=%u%s%s", (unsigned)m->lora, alpha, from);
    snprintf(m->spec, sizeof m->spec, "vit:%ux%dx%d/%u%.60s", (unsigned)m->width, m->layers, m->heads,
             (unsigned)m->patch, lora);
}

void vlm_vit_set_base(vlm_model *m, const vl_real *base, const char id[VLM_ID_MAX], double eps)
{
    m->base = base;
    m->norm_eps = eps;
    memcpy(m->base_id, id, VLM_ID_MAX);
    write_spec(m);
}

/* ---- parameters --------------------------------------------------------------------------------- */

static size_t tokens_of(const vlm_model *m)
{
    return (m->size / m->patch) * (m->size / m->patch) + 1;
}

/* A parameter of the transformer itself: frozen when factors are trained. */
static void add(vlm_model *m, const char *layer, const char *what, int rank, const size_t *dim, double sd,
                double start)
{
    char name[32];

    snprintf(name, sizeof name, "image.%.16s%.8s", layer, what);
    if (m->lora)
        vlm_add_frozen(m, name, rank, dim, sd, start);
    else
        vlm_add_param(m, VLM_IMAGE, name, rank, dim, sd, start);
}

static void add_norm(vlm_model *m, const char *layer)
{
    add(m, layer, ".weight", 1, &m->width, 0, 1);
    add(m, layer, ".bias", 1, &m->width, 0, 0);
}

static void add_projection(vlm_model *m, int block, const char *what, size_t in, size_t out, double gain)
{
    char layer[32], name[32];

    snprintf(layer, sizeof layer, "block%d.%.4s", block, what);
    add(m, layer, ".weight", 2, (size_t[]){in, out}, gain / sqrt((double)in), 0);
    add(m, layer, ".bias", 1, &out, 0, 0);
    m->macs += (double)tokens_of(m) * (double)(in * out + m->lora * (in + out));
    if (!m->lora)
        return;
    snprintf(name, sizeof name, "image.%.16s.lora_a", layer);
    vlm_add_param(m, VLM_IMAGE, name, 2, (size_t[]){in, m->lora}, 1 / sqrt(3 * (double)in), 0);
    snprintf(name, sizeof name, "image.%.16s.lora_b", layer);
    vlm_add_param(m, VLM_IMAGE, name, 2, (size_t[]){m->lora, out}, 0, 0);
}

static void add_block(vlm_model *m, int block)
{
    static const char *const inward[] = {"q", "k", "v"};
    const double onto_stream = 1 / sqrt(2 * (double)m->layers);
    double n = (double)tokens_of(m);
    size_t d = m->width;
    char layer[32];

    snprintf(layer, sizeof layer, "block%d.norm1", block);
    add_norm(m, layer);
    for (int i = 0; i < 3; i++)
        add_projection(m, block, inward[i], d, d, 1);
    add_projection(m, block, "o", d, d, onto_stream);
    snprintf(layer, sizeof layer, "block%d.norm2", block);
    add_norm(m, layer);
    add_projection(m, block, "fc1", d, MLP * d, 1);
    add_projection(m, block, "fc2", MLP * d, d, onto_stream);
    m->macs += 2 * n * n * (double)d;
}

static void add_image_branch(vlm_model *m)
{
    size_t d = m->width, p = m->patch, n = tokens_of(m);

    add(m, "patch", ".weight", 4, (size_t[]){p, p, 3, d}, 1 / sqrt(3 * (double)(p * p)), 0);
    add(m, "patch", ".bias", 1, &d, 0, 0);
    add(m, "class", "", 1, &d, 0.02, 0);
    add(m, "position", "", 2, (size_t[]){n, d}, 0.02, 0);
    m->macs += (double)(n - 1) * (double)(3 * p * p * d);
    for (int b = 1; b <= m->layers; b++)
        add_block(m, b);
    add_norm(m, "norm");
    vlm_add_layer(m, VLM_IMAGE, "image.head", 2, (size_t[]){d, m->embed_dim}, 1);
    m->macs += (double)(d * m->embed_dim);
}

int vlm_parse_vit(const char *spec, size_t size, size_t text_dim, size_t embed_dim, double scale,
                  vlm_model *m, vl_err *e)
{
    fields f;
    int rc;

    if (!read_spec(spec, &f))
        return vl_fail(
            e, VL_EARG,
            "model '%.40s': vit:DIMxDEPTHxHEADS/PATCH[,lora=R[,alpha=A][,seed=N|,base=ID]] wanted, HEADS "
            "dividing DIM, at most %dx%d/%d, R to %d",
            spec, MAX_WIDTH, MAX_BLOCKS, MAX_PATCH, MAX_LORA);
    rc = vlm_check_size(size, f.patch, e);
    if (!rc)
        rc = vlm_check_dims(text_dim, embed_dim, e);
    if (rc)
        return rc;
    memset(m, 0, sizeof *m);
    m->kind = VLM_VIT;
    m->size = size;
    m->patch = f.patch;
    if (tokens_of(m) > MAX_TOKENS)
        return vl_fail(e, VL_EARG, "model '%.40s': an image of %zu pixels has %zu tokens, %d allowed", spec,
                       size, tokens_of(m), MAX_TOKENS);
    m->image_n = size * size * 3;
    m->text_dim = text_dim;
    m->embed_dim = embed_dim;
    m->layers = (int)f.depth;
    m->scale = scale;
    m->width = f.dim;
    m->heads = (int)f.heads;
    m->lora = f.rank;
    m->alpha = f.alpha;
    m->base_seed = f.seed;
    memcpy(m->base_id, f.id, sizeof f.id);
    m->norm_eps = 1e-5;
    write_spec(m);
    add_image_branch(m);
    vlm_add_text_head(m);
    return VL_OK;
}

/* ---- the graph ---------------------------------------------------------------------------------- */

/* The next unused parameter of each list. */
typedef struct walk {
    vlm_graph *g;
    const vlt_id *own, *factor; /* own: the transformer's, trained or frozen */
} walk;

static vlt_id norm(walk *w, vlt_id x)
{
    const vlt_id *p = w->own;

    w->own += 2;
    return vlt_layernorm_eps(w->g->tape, x, p[0], p[1], w->g->model->norm_eps);
}

static vlt_id project(walk *w, vlt_id x)
{
    const vlm_model *m = w->g->model;
    const vlt_id *p = w->own, *f = w->factor;

    w->own += 2;
    if (!m->lora)
        return vlt_linear(w->g->tape, x, p[0], p[1]);
    w->factor += 2;
    return vlt_lora(w->g->tape, x, p[0], p[1], f[0], f[1], m->alpha / (double)m->lora);
}

static vlt_id block(walk *w, vlt_id h)
{
    const vlm_model *m = w->g->model;
    vlt_tape *t = w->g->tape;
    vlt_id x = norm(w, h), q = project(w, x), k = project(w, x), v = project(w, x);

    h = vlt_add(t, h, project(w, vlt_attention(t, q, k, v, m->heads, (int)tokens_of(m))));
    x = project(w, norm(w, h));
    return vlt_add(t, h, project(w, vlt_gelu(t, x)));
}

vlt_id vlm_vit_image(vlm_graph *g, double blend)
{
    const vlm_model *m = g->model;
    const vlt_id *p = m->lora ? g->frozen : g->leaf, *head = g->leaf + m->n_params - 4;
    walk w = {g, p + 4, g->leaf};
    vlt_tape *t = g->tape;
    vlt_id h;

    g->x = vlt_leaf(t, g->data, 4, (size_t[]){g->batch, m->size, m->size, 3});
    h = vlt_tokens(t, vlt_conv2d(t, g->x, p[0], p[1], (int)m->patch, 0), p[2], p[3]);
    for (int b = 0; b < m->layers; b++)
        h = block(&w, h);
    h = norm(&w, vlt_first(t, h, (int)tokens_of(m)));
    h = blend > 0 ? vlt_blend(t, h, blend) : h;
    return vlt_linear(t, h, head[0], head[1]);
}
