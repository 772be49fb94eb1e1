/* SPDX-License-Identifier: MIT */
#include "distill/card.h"
#include "formats/version.h"
#include "pipeline/blas.h"

#include <math.h>
#include <string.h>

static int made(json_t *j, json_t **out, vl_err *e)
{
    if (!j)
        return vl_fail(e, VL_ENOMEM, "out of memory: manifest");
    *out = j;
    return VL_OK;
}

int vld_model_to_json(const vlm_model *m, json_t **out, vl_err *e)
{
    return made(json_pack("{s:s, s:I, s:I, s:I, s:f}", "spec", m->spec, "size", (json_int_t)m->size,
                          "text_dim", (json_int_t)m->text_dim, "embed_dim", (json_int_t)m->embed_dim, "scale",
                          m->scale),
                out, e);
}

int vld_model_from_json(const json_t *j, vlm_model *m, vl_err *e)
{
    const char *spec;
    json_int_t size, text_dim, embed_dim;
    double scale;

    if (json_unpack((json_t *)j, "{s:s, s:I, s:I, s:I, s:F}", "spec", &spec, "size", &size, "text_dim",
                    &text_dim, "embed_dim", &embed_dim, "scale", &scale) ||
        size < 0 || text_dim < 0 || embed_dim < 0 || !isfinite(scale) || scale <= 0)
        return vl_fail(e, VL_EFORMAT, "manifest: model lacks spec, size, text_dim, embed_dim or scale");
    if (!vlm_parse_any(spec, (size_t)size, (size_t)text_dim, (size_t)embed_dim, scale, m, e))
        return VL_OK;
    vl_within(e, "manifest");
    if (e)
        e->code = VL_EFORMAT; /* a caller's mistake for vlm_parse, the file's here */
    return VL_EFORMAT;
}

int vld_augment_to_json(const vl_augment *a, json_t **out, vl_err *e)
{
    json_t *j = json_pack("{s:b, s:i}", "flip", a->flip, "shift", a->shift);
    int bad = !j;

    if (!bad && a->crop)
        bad = json_object_set_new(j, "crop", json_integer(a->crop));
    if (!bad && a->cutout)
        bad = json_object_set_new(j, "cutout", json_integer(a->cutout));
    if (!bad && a->colour)
        bad = json_object_set_new(j, "colour", json_true());
    if (bad) {
        json_decref(j);
        j = NULL;
    }
    return made(j, out, e);
}

int vld_augment_from_json(const json_t *j, vl_augment *a, vl_err *e)
{
    int flip, shift, crop = 0, cutout = 0, colour = 0;

    if (json_unpack((json_t *)j, "{s:b, s:i}", "flip", &flip, "shift", &shift) || shift < 0 ||
        shift > VL_SHIFT_MAX)
        return vl_fail(e, VL_EFORMAT, "manifest: augment lacks flip or a shift from 0 to %d", VL_SHIFT_MAX);
    if (json_unpack((json_t *)j, "{s?i, s?i, s?b}", "crop", &crop, "cutout", &cutout, "colour", &colour) ||
        crop < 0 || crop > 100 || cutout < 0 || cutout > 100)
        return vl_fail(e, VL_EFORMAT,
                       "manifest: augment: crop and cutout of 0 to 100, colour true or false wanted");
    *a = (vl_augment){.flip = flip, .shift = shift, .crop = crop, .cutout = cutout, .colour = colour};
    return VL_OK;
}

const char *const vld_loss_name[] = {
    [VLM_INFONCE] = "infonce", [VLM_WBCE] = "wbce", [VLM_BCE] = "bce", [VLM_ENCE] = "ence", NULL};
const char *const vld_sim_name[] = {
    [VLM_SIM_NONE] = "none", [VLM_SIM_FULL] = "full", [VLM_SIM_LOWRANK] = "lowrank", NULL};

int vld_objective_to_json(const vlm_objective *o, json_t **out, vl_err *e)
{
    json_t *j = json_pack("{s:s, s:s}", "loss", vld_loss_name[o->loss], "similarity", vld_sim_name[o->sim]);
    int bad = !j;

    if (!bad && o->sim == VLM_SIM_LOWRANK)
        bad = json_object_set_new(j, "rank", json_integer((json_int_t)o->rank)) |
              json_object_set_new(j, "alpha", json_real(o->alpha));
    if (!bad && o->blend > 0)
        bad = json_object_set_new(j, "blend", json_real(o->blend));
    if (bad) {
        json_decref(j);
        j = NULL;
    }
    return made(j, out, e);
}

/* The name's number in a list that ends with NULL; -1. */
static int number_of(const char *name, const char *const *list)
{
    for (int i = 0; name && list[i]; i++)
        if (!strcmp(name, list[i]))
            return i;
    return -1;
}

int vld_objective_from_json(const json_t *j, vlm_objective *o, vl_err *e)
{
    const json_t *rank = json_object_get(j, "rank"), *blend = json_object_get(j, "blend");
    int loss, sim;

    *o = (vlm_objective){.loss = VLM_INFONCE};
    if (!j)
        return VL_OK;
    loss = number_of(json_string_value(json_object_get(j, "loss")), vld_loss_name);
    sim = number_of(json_string_value(json_object_get(j, "similarity")), vld_sim_name);
    if (loss < 0 || sim < 0)
        return vl_fail(e, VL_EFORMAT, "manifest: objective lacks a loss or a similarity that is known");
    o->loss = (vlm_loss)loss;
    o->sim = (vlm_sim)sim;
    o->blend = json_number_value(blend);
    o->alpha = json_number_value(json_object_get(j, "alpha"));
    if (sim == VLM_SIM_LOWRANK && (json_integer_value(rank) < 1 || json_integer_value(rank) > VLM_MAX_DIM))
        return vl_fail(e, VL_EFORMAT, "manifest: objective: a rank of 1 to %d wanted", VLM_MAX_DIM);
    if (sim == VLM_SIM_LOWRANK)
        o->rank = (size_t)json_integer_value(rank);
    if (!isfinite(o->alpha) || !(o->blend >= 0) || (loss == VLM_INFONCE && sim != VLM_SIM_NONE))
        return vl_fail(e, VL_EFORMAT, "manifest: objective: its numbers make no sense");
    return VL_OK;
}

int vld_manifest(const char *kind, const char *tool, int64_t seed, const vlm_model *m, const vl_augment *a,
                 json_t **out, vl_err *e)
{
    json_t *model = NULL, *augment = NULL;
    int rc = vld_model_to_json(m, &model, e);

    if (!rc)
        rc = vld_augment_to_json(a, &augment, e);
    if (rc) {
        json_decref(model);
        return rc;
    }
    return made(json_pack("{s:s, s:{s:s, s:s}, s:I, s:s, s:o, s:o}", "kind", kind, "tool", "name", tool,
                          "version", VL_VERSION, "seed", (json_int_t)seed, "blas", vl_blas_core(), "model",
                          model, "augment", augment),
                out, e);
}
