/* SPDX-License-Identifier: MIT
 * distilled.c -- what writing (distilled_write.c) and reading (distilled_read.c) of distilled sets share. */
#include "distill/distilled_part.h"
#include "pipeline/view.h"

#include <stdlib.h>
#include <string.h>

const vlm_model *vld_distilled_images(const vld_distilled *d)
{
    return d->front.n ? &d->front : &d->model;
}

void vld_preview(const vl_real *pixels, size_t size, uint8_t *rgb)
{
    for (size_t i = 0; i < size * size * 3; i++) {
        double v = 255 * ((double)pixels[i] * (double)VL_PIXEL_SD + (double)VL_PIXEL_MEAN);
        rgb[i] = v >= 255 ? 255 : v > 0 ? (uint8_t)(v + 0.5) : 0; /* what is not a number is black */
    }
}

const vld_similarity_member vld_similarity_members[VLD_SET_PARTS] = {
    [VLD_PART_S] = {"similarity.npy", 2},
    [VLD_PART_L] = {"similarity.left.npy", 2},
    [VLD_PART_R] = {"similarity.right.npy", 2},
    [VLD_PART_W] = {"similarity.diag.npy", 1},
};

void vld_distilled_free(vld_distilled *d)
{
    for (size_t i = 0; i < d->set.n; i++) {
        free(d->init_key[i]);
        free(d->nearest[i]);
    }
    free(d->init_pixels);
    free(d->nearest);
    free(d->init_cap);
    free(d->init_key);
    vld_set_free(&d->set);
    json_decref(d->input_loss);
    json_decref(d->about);
    json_decref(d->manifest);
    memset(d, 0, sizeof *d);
}
