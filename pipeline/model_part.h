/* SPDX-License-Identifier: MIT
 * model_part.h -- what the files of the models share; for model*.c alone. A kind of model has a parser, which
 * adds parameters, and two recorders, which name them by their number. */
#ifndef VLM_MODEL_PART_H
#define VLM_MODEL_PART_H

#include "pipeline/model.h"

enum { VLM_MAX_DIM = 65536 }; /* of texts, embeddings and features */

/* A parameter at the end of the vector; sd and start as in vlm_param. */
void vlm_add_param(vlm_model *m, int branch, const char *name, int rank, const size_t *dim, double sd,
                   double start);

/* The recorders: input leaf (flow DATA) to the embedding [B,D] before its norm is taken. Set g->x or g->y.
 *   train   false: no dropout
 *   blend   as in vlm_objective; 0: none */
vlt_id vlm_convnet_image(vlm_graph *g, double blend);
vlt_id vlm_convnet_text(vlm_graph *g, double blend);
vlt_id vlm_heads_side(vlm_graph *g, int branch, bool train, double blend);

/* Is this parameter of the heads no leaf of a graph by maps (vlm_graph_new_maps)? */
bool vlm_heads_outside(int param);

#endif
