/* SPDX-License-Identifier: MIT
 * encoder_vit.c -- a pretrained vision transformer out of a folder (pipeline/vit_base.h): the class token behind its last
 * layer norm, at unit length. It is the network of pipeline/model.h whose frozen weights are the folder's, with
 * factors that are zero and the identity as its head.
 *
 *   FOLDER           at the size of its preprocessor_config.json (crop_size, else size), else of its config.json
 *   FOLDER#size=N    at N pixels, a multiple of the patch; positions are interpolated */
#include "distill/encoder_model.h"
#include "pipeline/vit_base.h"
#include "pipeline/weights_dir.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Activations of so many images at a time fit into that; of one in any case. */
enum { BATCH_MOST = 64 };
static const size_t batch_bytes = (size_t)512 << 20;

static const char size_mark[] = "#size=";

/* The folder's name alone; *size: what follows it, NULL where nothing does. Gives *out. */
static int split(const char *name, char **out, const char **size, vl_err *e)
{
    const char *at = strrchr(name, '#');
    bool sized = at && !strncmp(at, size_mark, strlen(size_mark));

    if (!(*out = vl_strdup(name, e)))
        return VL_ENOMEM;
    *size = sized ? at + strlen(size_mark) : NULL;
    if (sized)
        (*out)[at - name] = 0;
    return VL_OK;
}

bool vld_encoder_is_folder(const char *name)
{
    struct stat st;
    const char *size;
    char *folder = NULL;
    bool is = !split(name, &folder, &size, NULL) && !stat(folder, &st) && S_ISDIR(st.st_mode);

    free(folder);
    return is;
}

/* Pixels a side in j's `key`, a number or {"height", ..}; 0 where it has none. */
static json_int_t side_of(const json_t *j, const char *key)
{
    const json_t *v = json_object_get(j, key);

    return json_integer_value(json_is_integer(v) ? v : json_object_get(v, "height"));
}

/* Pixels a side that the folder was made for. */
static int usual_size(const vl_weights *w, int *size, vl_err *e)
{
    json_t *j = NULL;
    json_int_t crop, whole;
    int rc = vl_weights_int(w, "image_size", -1, size, e);

    if (!rc)
        rc = vl_weights_json(w, "preprocessor_config.json", &j, e);
    if (rc)
        return rc;
    crop = side_of(j, "crop_size");
    whole = side_of(j, "size");
    if (crop > 0 && crop <= VLM_MAX_DIM)
        *size = (int)crop;
    else if (whole > 0 && whole <= VLM_MAX_DIM)
        *size = (int)whole;
    json_decref(j);
    return VL_OK;
}

/* The network of the folder's config.json, with factors of rank 1. text: what was asked for; NULL: the usual. */
static int parse(const char *folder, const char *text, vlm_model *m, vl_err *e)
{
    int dim = 0, depth = 0, heads = 0, patch = 0, size = 0, used = 0, rc;
    vl_weights *w = NULL;
    char spec[96];

    if (text && (sscanf(text, "%6d%n", &size, &used) != 1 || text[used] || *text < '0' || *text > '9'))
        return vl_fail(e, VL_EARG, "'%s%.40s': a number of at most 6 digits wanted", size_mark, text);
    if ((rc = vl_weights_open(folder, &w, e)))
        return rc;
    if (!(rc = vl_weights_int(w, "hidden_size", -1, &dim, e)) &&
        !(rc = vl_weights_int(w, "num_hidden_layers", -1, &depth, e)) &&
        !(rc = vl_weights_int(w, "num_attention_heads", -1, &heads, e)) &&
        !(rc = vl_weights_int(w, "patch_size", -1, &patch, e)) && !text)
        rc = usual_size(w, &size, e);
    vl_weights_close(w);
    if (rc)
        return rc;
    snprintf(spec, sizeof spec, "vit:%dx%dx%d/%d,lora=1", dim, depth, heads, patch);
    rc = vlm_parse(spec, (size_t)size, VLD_ENCODER_TEXT_DIM, (size_t)dim, 1, m, e);
    return rc ? vl_within(e, "%s", folder) : VL_OK;
}

/* Zeros, and the identity in the image head. */
static int make_theta(vld_encoder_model *c, vl_err *e)
{
    const vlm_model *m = &c->model;

    if (!(c->theta = vl_alloc(m->n, sizeof *c->theta, e)))
        return VL_ENOMEM;
    for (int i = 0; i < m->n_params; i++)
        if (!strcmp(m->param[i].name, "image.head.weight"))
            for (size_t k = 0; k < m->embed_dim; k++)
                c->theta[m->param[i].offset + k * m->embed_dim + k] = 1;
    return VL_OK;
}

/* Images at a time: activations grow in step with them. */
static int batch_of(const vlm_model *m, size_t *batch, vl_err *e)
{
    vlm_graph one;
    size_t bytes;
    int rc = vlm_graph_new(m, NULL, 1, VLM_HAS_IMAGE, VLM_EMBED, &one, e);

    if (rc)
        return rc;
    bytes = vlt_bytes(one.tape);
    vlm_graph_free(&one);
    *batch = bytes * BATCH_MOST <= batch_bytes ? BATCH_MOST : bytes < batch_bytes ? batch_bytes / bytes : 1;
    return VL_OK;
}

static void name_it(vld_encoder *enc, const vlm_model *m)
{
    snprintf(enc->name, sizeof enc->name, "vit:%zux%dx%d/%zu@%s%s%zu", m->width, m->layers, m->heads,
             m->patch, m->base_id, size_mark, m->size);
    snprintf(enc->ext, sizeof enc->ext, "vit-%zux%dx%d-%zu-%s-%zu.img.npy", m->width, m->layers, m->heads,
             m->patch, m->base_id, m->size);
}

int vld_encoder_vit(const char *name, const vld_encoder_opts *o, vld_encoder *enc, vl_err *e)
{
    vld_encoder_model *c;
    char *folder = NULL;
    const char *size;
    size_t batch = 1;
    int rc = vld_encoder_model_new(enc, e);

    (void)o; /* the folder brings both along */
    if (rc || (rc = split(name, &folder, &size, e)))
        return rc;
    c = enc->state;
    rc = parse(folder, size, &c->model, e);
    if (!rc)
        rc = vlm_base_load(&c->model, folder, true, &c->base, e);
    if (!rc)
        rc = make_theta(c, e);
    if (!rc)
        rc = batch_of(&c->model, &batch, e);
    if (!rc)
        name_it(enc, &c->model);
    free(folder);
    return rc ? rc : vld_encoder_model_ready(enc, batch, e);
}
