/* SPDX-License-Identifier: MIT */
#include "pipeline/vit_base.h"
#include "formats/bytes.h"
#include "pipeline/model_part.h"
#include "pipeline/view.h"
#include "pipeline/weights_dir.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

enum { MAX_GRID = 64, NAME_MAX_BYTES = 160 };

/* What a family calls the parts of a block; scale: a layer scale behind them. */
typedef struct part {
    const char *own, *vit, *dinov2, *scale;
} part;
static const part parts[] = {
    {"norm1", "layernorm_before", "norm1", NULL},
    {"q", "attention.attention.query", "attention.attention.query", NULL},
    {"k", "attention.attention.key", "attention.attention.key", NULL},
    {"v", "attention.attention.value", "attention.attention.value", NULL},
    {"o", "attention.output.dense", "attention.output.dense", "layer_scale1.lambda1"},
    {"norm2", "layernorm_after", "norm2", NULL},
    {"fc1", "intermediate.dense", "mlp.fc1", NULL},
    {"fc2", "output.dense", "mlp.fc2", "layer_scale2.lambda1"},
};

typedef struct loader {
    const vlm_model *m;
    vl_weights *w;
    bool dinov2, qkv_bias;
    const char *prefix; /* "", "vit." or "dinov2." */
    size_t grid;        /* patches on a side in the folder */
    double eps, mean[3], sd[3];
    vl_real *base;
} loader;

/* ---- the two JSON files ------------------------------------------------------------------------- */

static int same_number(const loader *l, const char *folder, const char *key, int fallback, size_t want,
                       vl_err *e)
{
    int v = 0, rc = vl_weights_int(l->w, key, fallback, &v, e);

    if (!rc && (size_t)v != want)
        rc = vl_fail(e, VL_EARG, "%s: %s is %d, the network has %zu", folder, key, v, want);
    return rc;
}

/* Sizes, and that nothing is on which the network here lacks. */
static int check_config(loader *l, const char *folder, vl_err *e)
{
    const vlm_model *m = l->m;
    const char *type = NULL, *act = NULL;
    bool swiglu = false;
    int image = 0, rc;

    rc = vl_weights_text(l->w, "model_type", NULL, &type, e);
    if (!rc && strcmp(type, "vit") && strcmp(type, "dinov2"))
        rc = vl_fail(e, VL_EFORMAT, "%s: model_type '%.40s': vit or dinov2 wanted", folder, type);
    if (rc)
        return rc;
    l->dinov2 = !strcmp(type, "dinov2");
    if ((rc = vl_weights_text(l->w, "hidden_act", "gelu", &act, e)) ||
        (rc = same_number(l, folder, "hidden_size", -1, m->width, e)) ||
        (rc = same_number(l, folder, "num_hidden_layers", -1, (size_t)m->layers, e)) ||
        (rc = same_number(l, folder, "num_attention_heads", -1, (size_t)m->heads, e)) ||
        (rc = same_number(l, folder, "patch_size", -1, m->patch, e)) ||
        (rc = same_number(l, folder, "num_channels", 3, 3, e)) ||
        (rc = l->dinov2 ? same_number(l, folder, "mlp_ratio", 4, 4, e)
                        : same_number(l, folder, "intermediate_size", -1, 4 * m->width, e)) ||
        (rc = vl_weights_int(l->w, "image_size", -1, &image, e)) ||
        (rc = vl_weights_flag(l->w, "qkv_bias", true, &l->qkv_bias, e)) ||
        (rc = vl_weights_flag(l->w, "use_swiglu_ffn", false, &swiglu, e)) ||
        (rc = vl_weights_real(l->w, "layer_norm_eps", l->dinov2 ? 1e-6 : 1e-12, &l->eps, e)))
        return rc;
    l->grid = (size_t)image / m->patch;
    if (strcmp(act, "gelu") || swiglu || !(l->eps > 0 && l->eps < 1) || l->grid < 1 || l->grid > MAX_GRID)
        return vl_fail(
            e, VL_EFORMAT,
            "%s: config.json: gelu, no gated perceptron, eps under 1 and 1 to %d patches a side wanted",
            folder, MAX_GRID);
    return VL_OK;
}

static bool three(const json_t *j, double out[3])
{
    for (size_t i = 0; i < 3; i++)
        out[i] = json_number_value(json_array_get(j, i));
    return json_is_array(j) && json_array_size(j) == 3 && isfinite(out[0] + out[1] + out[2]);
}

static int read_colours(loader *l, const char *folder, vl_err *e)
{
    static const char name[] = "preprocessor_config.json";
    json_t *j = NULL;
    int rc = vl_weights_json(l->w, name, &j, e);

    if (!rc &&
        (!three(json_object_get(j, "image_mean"), l->mean) ||
         !three(json_object_get(j, "image_std"), l->sd) || !(l->sd[0] > 0 && l->sd[1] > 0 && l->sd[2] > 0)))
        rc = vl_fail(e, VL_EFORMAT, "%s/%s: image_mean and image_std of three channels wanted", folder, name);
    json_decref(j);
    return rc;
}

static int find_prefix(loader *l, const char *folder, vl_err *e)
{
    static const char *const prefixes[] = {"", "vit.", "dinov2."};
    char name[NAME_MAX_BYTES];

    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++) {
        snprintf(name, sizeof name, "%sembeddings.cls_token", prefixes[i]);
        if (vl_weights_has(l->w, name)) {
            l->prefix = prefixes[i];
            return VL_OK;
        }
    }
    return vl_fail(e, VL_EFORMAT, "%s/model.safetensors: no embeddings.cls_token", folder);
}

/* ---- tensors ------------------------------------------------------------------------------------ */

static int fetch(const loader *l, const char *name, const char *what, int rank, const size_t *dim,
                 double **out, vl_err *e)
{
    char full[NAME_MAX_BYTES];

    snprintf(full, sizeof full, "%.10s%.120s%.20s", l->prefix, name, what);
    return vl_weights_read(l->w, full, rank, dim, out, e);
}

static void put(vl_real *out, double v)
{
    *out = (vl_real)(float)v;
}

/* x_theirs = (x sd + mean - their mean) / their sd, a channel; so of the weights of a patch and its bias. */
static int put_patches(const loader *l, vl_real *weight, vl_real *bias, vl_err *e)
{
    const size_t d = l->m->width, p = l->m->patch, square = p * p;
    double *w = NULL, *b = NULL;
    int rc = fetch(l, "embeddings.patch_embeddings.projection", ".weight", 4, (size_t[]){d, 3, p, p}, &w, e);

    if (!rc)
        rc = fetch(l, "embeddings.patch_embeddings.projection", ".bias", 1, &d, &b, e);
    for (size_t o = 0; !rc && o < d; o++) {
        double shift = b[o];
        for (size_t c = 0; c < 3; c++)
            for (size_t at = 0; at < square; at++) {
                double v = w[(o * 3 + c) * square + at];
                put(&weight[(at * 3 + c) * d + o], v * (double)VL_PIXEL_SD / l->sd[c]);
                shift += v * ((double)VL_PIXEL_MEAN - l->mean[c]) / l->sd[c];
            }
        put(&bias[o], shift);
    }
    free(b);
    free(w);
    return rc;
}

/* Weight [out,in] of theirs to [in,out]; each output times its layer scale. */
static int put_projection(const loader *l, const char *name, const char *scale, bool bias,
                          const vlm_param *pw, const vlm_param *pb, vl_err *e)
{
    const size_t in = pw->dim[0], out = pw->dim[1];
    double *w = NULL, *b = NULL, *s = NULL;
    int rc = fetch(l, name, ".weight", 2, (size_t[]){out, in}, &w, e);

    if (!rc && bias)
        rc = fetch(l, name, ".bias", 1, &out, &b, e);
    if (!rc && scale)
        rc = fetch(l, scale, "", 1, &out, &s, e);
    for (size_t o = 0; !rc && o < out; o++) {
        for (size_t i = 0; i < in; i++)
            put(&l->base[pw->offset + i * out + o], w[o * in + i] * (s ? s[o] : 1));
        put(&l->base[pb->offset + o], b ? b[o] * (s ? s[o] : 1) : 0);
    }
    free(s);
    free(b);
    free(w);
    return rc;
}

static int put_vector(const loader *l, const char *name, const char *what, const vlm_param *p, vl_err *e)
{
    double *v = NULL;
    int rc = fetch(l, name, what, 1, &p->n, &v, e);

    for (size_t i = 0; !rc && i < p->n; i++)
        put(&l->base[p->offset + i], v[i]);
    free(v);
    return rc;
}

/* Where output i of n samples a line of `from` values, and the four weights there: cubic convolution, a = -3/4,
 * ends repeated. */
static void taps(size_t i, size_t n, size_t from, size_t at[4], double weight[4])
{
    double x = ((double)i + 0.5) * (double)from / (double)n - 0.5, a = -0.75, left = floor(x), t = x - left;

    for (int k = 0; k < 4; k++) {
        double d = fabs(t + 1 - k), place = left - 1 + k;
        weight[k] = d <= 1 ? ((a + 2) * d - (a + 3)) * d * d + 1 : ((a * d - 5 * a) * d + 8 * a) * d - 4 * a;
        at[k] = place < 0 ? 0 : place > (double)(from - 1) ? from - 1 : (size_t)place;
    }
}

static int put_positions(const loader *l, const vlm_param *p, vl_err *e)
{
    const size_t d = l->m->width, side = l->m->size / l->m->patch, from = l->grid;
    double *v = NULL;
    int rc = fetch(l, "embeddings.position_embeddings", "", 3, (size_t[]){1, from * from + 1, d}, &v, e);
    vl_real *out = l->base + p->offset;

    for (size_t i = 0; !rc && i < p->n; i++) {
        size_t row = i / d, c = i % d, ys[4], xs[4];
        double wy[4], wx[4], sum = 0;
        if (row == 0 || side == from) {
            put(&out[i], v[i]);
            continue;
        }
        taps((row - 1) / side, side, from, ys, wy);
        taps((row - 1) % side, side, from, xs, wx);
        for (int k = 0; k < 16; k++)
            sum += wy[k / 4] * wx[k % 4] * v[(1 + ys[k / 4] * from + xs[k % 4]) * d + c];
        put(&out[i], sum);
    }
    free(v);
    return rc;
}

/* ---- all of it ---------------------------------------------------------------------------------- */

/* Parameters p[0] and p[1] of part k of block b: a weight and a bias. */
static int put_part(const loader *l, int b, int k, const vlm_param *p, vl_err *e)
{
    const part *t = &parts[k];
    char name[NAME_MAX_BYTES], scale[NAME_MAX_BYTES];
    int rc;

    snprintf(name, sizeof name, "encoder.layer.%d.%s", b, l->dinov2 ? t->dinov2 : t->vit);
    snprintf(scale, sizeof scale, "encoder.layer.%d.%s", b, t->scale ? t->scale : "");
    if (p[0].rank == 2)
        return put_projection(l, name, l->dinov2 && t->scale ? scale : NULL,
                              l->qkv_bias || strlen(t->own) > 1 || *t->own == 'o', &p[0], &p[1], e);
    rc = put_vector(l, name, ".weight", &p[0], e);
    return rc ? rc : put_vector(l, name, ".bias", &p[1], e);
}

/* In the order of m->frozen: patch, class, position, blocks, norm. */
static int put_all(const loader *l, vl_err *e)
{
    const vlm_param *p = l->m->frozen;
    const size_t d = l->m->width;
    double *token = NULL;
    int rc = put_patches(l, l->base + p[0].offset, l->base + p[1].offset, e);

    if (!rc)
        rc = fetch(l, "embeddings.cls_token", "", 3, (size_t[]){1, 1, d}, &token, e);
    for (size_t i = 0; !rc && i < d; i++)
        put(&l->base[p[2].offset + i], token[i]);
    free(token);
    if (!rc)
        rc = put_positions(l, &p[3], e);
    p += 4;
    for (int b = 0; b < l->m->layers; b++)
        for (int k = 0; !rc && k < (int)(sizeof parts / sizeof *parts); k++, p += 2)
            rc = put_part(l, b, k, p, e);
    if (!rc)
        rc = put_vector(l, "layernorm", ".weight", &p[0], e);
    return rc ? rc : put_vector(l, "layernorm", ".bias", &p[1], e);
}

static void name_base(const loader *l, char id[VLM_ID_MAX])
{
    XXH64_state_t *state = XXH64_createState();
    uint8_t b[8];
    uint64_t bits;

    XXH64_reset(state, 0);
    for (size_t i = 0; i < l->m->n_base; i++) {
        float v = (float)l->base[i];
        uint32_t word;
        memcpy(&word, &v, sizeof word);
        vl_put_le32(b, word);
        XXH64_update(state, b, 4);
    }
    memcpy(&bits, &l->eps, sizeof bits);
    vl_put_le64(b, bits);
    XXH64_update(state, b, 8);
    snprintf(id, VLM_ID_MAX, "%016llx", (unsigned long long)XXH64_digest(state));
    XXH64_freeState(state);
}

/* Before anything is read: may this network's frozen weights come from a folder? */
static int check_model(const vlm_model *m, const char *folder, bool fresh, vl_err *e)
{
    if (!m->n_base)
        return vl_fail(e, VL_EARG, "%s: %s has no frozen weights", folder, m->spec);
    if (m->base_seed || (!fresh && !*m->base_id))
        return vl_fail(e, VL_EARG, "%s: the frozen weights of %s are those of seed %llu", folder, m->spec,
                       (unsigned long long)m->base_seed);
    return VL_OK;
}

int vlm_base_load(vlm_model *m, const char *folder, bool fresh, vl_real **out, vl_err *e)
{
    loader l = {.m = m};
    char id[VLM_ID_MAX] = "";
    int rc = check_model(m, folder, fresh, e);

    if (!rc)
        rc = vl_weights_open(folder, &l.w, e);
    if (rc)
        return rc;
    if ((rc = check_config(&l, folder, e)) || (rc = read_colours(&l, folder, e)) ||
        (rc = find_prefix(&l, folder, e)))
        goto out;
    l.base = vl_alloc(m->n_base, sizeof *l.base, e);
    rc = l.base ? put_all(&l, e) : VL_ENOMEM;
    if (rc)
        goto out;
    name_base(&l, id);
    if (*m->base_id && strcmp(m->base_id, id))
        rc = vl_fail(e, VL_EARG, "%s: its weights are base %s, the network's are base %s", folder, id,
                     m->base_id);
out:
    vl_weights_close(l.w);
    if (rc) {
        free(l.base);
        return rc;
    }
    vlm_vit_set_base(m, l.base, id, l.eps);
    *out = l.base;
    return VL_OK;
}
