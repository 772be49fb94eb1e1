/* SPDX-License-Identifier: MIT
 * encoder_model.h -- the part that image encoders with a network (pipeline/model.h) share: rows of unit length out of its
 * image branch, a fixed number of images at a time. For encoder_convnet.c and encoder_vit.c. */
#ifndef VLD_ENCODER_MODEL_H
#define VLD_ENCODER_MODEL_H

#include "distill/encoder.h"

enum { VLD_ENCODER_TEXT_DIM = 1 }; /* the text branch exists in the model, but no graph has it */

typedef struct vld_encoder_model { /* enc->state */
    vlm_model model;
    vl_real *theta; /* [model.n] */
    vl_real *base;  /* what model.base points to; NULL: nothing that was loaded */
    vlm_graph graph;
} vld_encoder_model;

/* vld_encoder_model_new -- gives enc its state, zeroed, and its functions. Errors: VL_ENOMEM. */
VL_MUST_USE int vld_encoder_model_new(vld_encoder *enc, vl_err *e);

/* vld_encoder_model_ready -- the state's model and theta are there: enc can be used. batch: images at a time, at least
 * 1, the same for all that shall have equal bytes. Errors: VL_ENOMEM. */
VL_MUST_USE int vld_encoder_model_ready(vld_encoder *enc, size_t batch, vl_err *e);

#endif
