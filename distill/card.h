/* SPDX-License-Identifier: MIT
 * card.h -- what manifests of trajectories and distilled sets say of the network and of the training, so
 * that a later tool builds the same network and a reader sees how the file was made. */
#ifndef VLD_CARD_H
#define VLD_CARD_H

#include "pipeline/model.h"
#include "pipeline/view.h"
#include <jansson.h>

/* The network as JSON: {"spec", "size", "text_dim", "embed_dim", "scale"}, and back (checked: the values
 * come from a file). size is 0 for heads. */
VL_MUST_USE int vld_model_to_json(const vlm_model *m, json_t **out, vl_err *e);
VL_MUST_USE int vld_model_from_json(const json_t *j, vlm_model *m, vl_err *e);

/* {"flip", "shift"}, and where there are some "crop", "cutout" and "colour" (view.h). */
VL_MUST_USE int vld_augment_to_json(const vl_augment *a, json_t **out, vl_err *e);
VL_MUST_USE int vld_augment_from_json(const json_t *j, vl_augment *a, vl_err *e);

/* {"loss", "similarity", "rank", "alpha", "blend"}; from NULL: infonce. The last three where they mean something. */
VL_MUST_USE int vld_objective_to_json(const vlm_objective *o, json_t **out, vl_err *e);
VL_MUST_USE int vld_objective_from_json(const json_t *j, vlm_objective *o, vl_err *e);

/* Names of the field's losses and similarities, as in options and manifests: "infonce", "none". */
extern const char *const vld_loss_name[], *const vld_sim_name[];

/* vld_manifest -- what every computed segment's manifest starts with: kind, tool {name, version}, seed,
 * blas core, model, augment. Gives a new object; the caller adds "options" and "schema". */
VL_MUST_USE int vld_manifest(const char *kind, const char *tool, int64_t seed, const vlm_model *m,
                             const vl_augment *a, json_t **out, vl_err *e);

#endif
