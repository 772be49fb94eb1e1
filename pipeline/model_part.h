/* SPDX-License-Identifier: MIT
 * model_part.h -- what the files of the models share; for model*.c alone. A kind of model has a parser, which
 * adds parameters, and two recorders, which name them by their number. */
#ifndef VLM_MODEL_PART_H
#define VLM_MODEL_PART_H

#include "pipeline/model.h"

/* A parameter at the end of the vector; sd and start as in vlm_param. */
void vlm_add_param(vlm_model *m, int branch, const char *name, int rank, const size_t *dim, double sd,
                   double start);
/* The same at the end of the frozen ones. */
void vlm_add_frozen(vlm_model *m, const char *name, int rank, const size_t *dim, double sd, double start);
/* <layer>.weight [...,out] and a bias [out] of zeros. gain^2 = 1 / E[f(z)^2] keeps the variance through f. */
void vlm_add_layer(vlm_model *m, int branch, const char *layer, int rank, const size_t *dim, double gain);
/* The text branch of a model of pixels, the last two parameters; also ends the vector. */
void vlm_add_text_head(vlm_model *m);

int vlm_check_dims(size_t text_dim, size_t embed_dim, vl_err *e);
int vlm_check_size(size_t size, size_t multiple, vl_err *e);

int vlm_parse_convnet(const char *spec, size_t size, size_t text_dim, size_t embed_dim, double scale,
                      vlm_model *m, vl_err *e);
int vlm_parse_vit(const char *spec, size_t size, size_t text_dim, size_t embed_dim, double scale,
                  vlm_model *m, vl_err *e);

/* A vit's frozen weights were loaded: base is borrowed, the spec names id. */
void vlm_vit_set_base(vlm_model *m, const vl_real *base, const char id[VLM_ID_MAX], double eps);

/* The recorders: input leaf (flow g->data) to the embedding [B,D] before its norm is taken. Set g->x or g->y.
 *   train   false: no dropout
 *   blend   as in vlm_objective; 0: none */
vlt_id vlm_convnet_image(vlm_graph *g, double blend);
vlt_id vlm_vit_image(vlm_graph *g, double blend);
vlt_id vlm_text_head(vlm_graph *g, double blend);
vlt_id vlm_heads_side(vlm_graph *g, int branch, bool train, double blend);

/* Is this parameter of the heads no leaf of a graph by maps (vlm_graph_new_maps)? */
bool vlm_heads_outside(int param);

#endif
