/* SPDX-License-Identifier: MIT
 * distill_front.c -- vldistill with pixels for experts of scope heads: the frozen encoder in between. */
#include "cli/distill.h"

#include <stdio.h>
#include <string.h>

static int check_options(const distiller *p, vl_err *e)
{
    const distill_options *o = p->o;
    bool heads = p->experts.model.kind == VLM_HEADS, pixels = !strcmp(o->space, "pixels");

    if (!heads && !strcmp(o->space, "features"))
        return vl_fail(e, VL_EARG, "--space features: the experts are of scope image, and see pixels");
    if (o->encoder && !(heads && pixels))
        return vl_fail(e, VL_EARG, "--encoder goes with --space pixels and experts of scope heads");
    if (heads && pixels && !o->encoder)
        return vl_fail(e, VL_EARG,
                       "--space pixels: --encoder is missing: whose features do the experts know?");
    if (o->encoder && vld_single_find(o->method))
        return vl_fail(e, VL_EARG, "--space pixels: %s works on what the experts see", o->method);
    if (heads && !pixels && vl_augment_any(&p->aug))
        return vl_fail(e, VL_EARG, "--augment is of pixels: features have no views");
    return VL_OK;
}

int distill_front_open(distiller *p, vl_err *e)
{
    const vlm_model *m = &p->experts.model;
    const vld_encoder_opts how = {VLM_DEFAULT_SIZE, m->image_n};
    const char *known;
    int rc = check_options(p, e);

    if (rc || !p->o->encoder)
        return rc;
    rc = vld_encoder_open(VLD_OF_IMAGES, p->o->encoder, &how, p->pool, &p->encoder, e);
    if (rc)
        return vl_within(e, "--encoder");
    known = json_string_value(json_object_get(p->experts.manifest, "encoder"));
    if (known && strcmp(known, p->encoder.name))
        return vl_fail(e, VL_EARG, "--encoder is %s; the experts know the features of %s", p->encoder.name,
                       known);
    if (p->encoder.dim != m->image_n)
        return vl_fail(e, VL_EARG, "--encoder: rows of %zu numbers, the experts know features of %zu",
                       p->encoder.dim, m->image_n);
    snprintf(p->d.encoder, sizeof p->d.encoder, "%s", p->encoder.name);
    return vlm_parse(p->encoder.model->spec, p->encoder.size, m->text_dim, m->image_n, 1, &p->d.front, e);
}

int distill_front_new(distiller *p, vl_err *e)
{
    if (!p->d.front.n)
        return VL_OK;
    return vld_front_new(p->encoder.model, p->encoder.theta, p->pool, (size_t)p->o->pairs,
                         (size_t)p->o->memory, &p->aug, &p->front, e);
}
