/* SPDX-License-Identifier: MIT */
#include "distill/encoder.h"

#include <stdio.h>
#include <string.h>

const vld_encoder_kind vld_encoder_kinds[] = {
    {VLD_OF_TEXTS, "hash", "hash:DIM", vld_encoder_hash},
    {VLD_OF_IMAGES, "convnet:", "convnet:WIDTHxLAYERS#seed=N, convnet:WIDTHxLAYERS@FILE#SNAPSHOT",
     vld_encoder_convnet},
    {VLD_OF_IMAGES, "", "a folder of the Hugging Face hub (ViT, DINO, DINOv2)", vld_encoder_vit},
    {VLD_OF_TEXTS, NULL, NULL, NULL},
};

static bool answers(const vld_encoder_kind *k, const char *name)
{
    return *k->prefix ? !strncmp(name, k->prefix, strlen(k->prefix)) : vld_encoder_is_folder(name);
}

static int unknown(vld_side side, const char *name, vl_err *e)
{
    char forms[256] = "";

    for (const vld_encoder_kind *k = vld_encoder_kinds; k->prefix; k++)
        if (k->side == side)
            snprintf(forms + strlen(forms), sizeof forms - strlen(forms), "%s%s", *forms ? ", " : "",
                     k->form);
    return vl_fail(e, VL_EARG, "no encoder of %s '%.80s': %s wanted",
                   side == VLD_OF_TEXTS ? "captions" : "images", name, forms);
}

int vld_encoder_open(vld_side side, const char *name, const vld_encoder_opts *o, vl_pool *pool,
                     vld_encoder *enc, vl_err *e)
{
    for (const vld_encoder_kind *k = vld_encoder_kinds; k->prefix; k++)
        if (k->side == side && answers(k, name)) {
            vld_encoder made = {.pool = pool};
            int rc = k->open(name, o, &made, e);
            if (rc)
                vld_encoder_close(&made);
            else
                *enc = made;
            return rc;
        }
    return unknown(side, name, e);
}

void vld_encoder_close(vld_encoder *enc)
{
    if (enc->close)
        enc->close(enc);
    vls_parent_free(&enc->weights);
    memset(enc, 0, sizeof *enc);
}
