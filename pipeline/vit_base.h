/* SPDX-License-Identifier: MIT
 * vit_base.h -- frozen weights of a vision transformer from a local folder in the layout of the Hugging Face hub:
 * config.json, model.safetensors, preprocessor_config.json. Families: "vit" (ViT, DINO) and "dinov2".
 *
 * What differs from pipeline/model.h is folded into the weights: the folder's pixel mean and deviation into the
 * patches, a layer scale into the projection before it. Positions of another grid are interpolated as the
 * library does it (bicubic, a = -0.75). The base is rounded to float in every build.
 * Its name is 16 hex digits, XXH64 of the floats and of eps as they lie in memory, little-endian. */
#ifndef VLM_VIT_BASE_H
#define VLM_VIT_BASE_H

#include "pipeline/model.h"

/* vlm_base_load -- m: a vit with lora, of the folder's width, depth, heads and patch. Its base, norm_eps, base_id and
 * spec are set; a spec that named a base already must have named this one.
 *   fresh  whether the spec may be without: false for a network that was trained before
 *   out    gives (free()); must outlive m and its copies
 * Errors: VL_EARG m has nothing frozen, or another base or shape; VL_EFORMAT and VL_EIO name the file. */
VL_MUST_USE int vlm_base_load(vlm_model *m, const char *folder, bool fresh, vl_real **out, vl_err *e);

#endif
