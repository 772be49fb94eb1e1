/* SPDX-License-Identifier: MIT
 * model.h -- the student: an image encoder and a text head as one list of named parameters, laid out in one
 * flat vector [image branch | text branch], and the graph that computes its contrastive loss.
 *
 *   image  [B,S,S,3] -> conv k4 s4 (3 -> W), GELU
 *          -> blocks of conv k3, GELU: the first keeps the size, each other one halves it and widens by half
 *          -> mean over positions -> linear -> [B,D]
 *   text   [B,K] -> linear -> [B,D]
 *   loss   infonce(scale * cos(image_i, text_j))
 *
 * "convnet:64x3": W = 64, three blocks (64, 96, 144). No normalisation: He-style initial weights keep the
 * variance, so a batch of one and a batch of a thousand see the same network. */
#ifndef VLM_MODEL_H
#define VLM_MODEL_H

#include "formats/err.h"
#include "pipeline/tape.h"
#include <stdint.h>

enum { VLM_MAX_PARAMS = 64, VLM_MAX_LAYERS = 8, VLM_IMAGE = 0, VLM_TEXT = 1, VLM_BRANCHES = 2 };

/* What every tool takes where nobody says otherwise; tests/experiments/demo/search says how they were found. */
#define VLM_DEFAULT_SPEC  "convnet:64x2"
#define VLM_DEFAULT_VIEWS "flip+shift2" /* of real pairs */
#define VLM_DEFAULT_SCALE 7.0
enum { VLM_DEFAULT_SIZE = 32, VLM_DEFAULT_EMBED = 512 };

typedef struct vlm_param {
    char name[32]; /* "image.conv1.weight" */
    int rank;
    size_t dim[VLT_MAX_RANK];
    size_t offset, n; /* reals, within the flat vector */
    int branch;       /* VLM_IMAGE or VLM_TEXT */
    double sd;        /* of the initial normal values; 0: starts at zero */
} vlm_param;

typedef struct vlm_model {
    char spec[64];    /* "convnet:64x3" */
    size_t size;      /* S, pixels; a multiple of 4 */
    size_t text_dim;  /* K */
    size_t embed_dim; /* D */
    int layers;
    double scale; /* of the logits, 1 / temperature */
    vlm_param param[VLM_MAX_PARAMS];
    int n_params;
    size_t n;                       /* reals in the flat vector */
    size_t begin[VLM_BRANCHES + 1]; /* branch b is [begin[b], begin[b + 1]) */
    double macs;                    /* multiply-adds of one image and one text, forward */
} vlm_model;

/* vlm_parse -- fills *m from spec. Errors: VL_EARG naming what is wrong with it. */
VL_MUST_USE int vlm_parse(const char *spec, size_t size, size_t text_dim, size_t embed_dim, double scale,
                          vlm_model *m, vl_err *e);

/* vlm_init -- fresh weights theta[m->n] from (seed, stream). */
void vlm_init(const vlm_model *m, uint64_t seed, uint64_t stream, vl_real *theta);

/* A model recorded on a tape for one batch size. */
typedef struct vlm_graph {
    const vlm_model *model;
    vlt_tape *tape;
    size_t batch;
    vlt_id x, y; /* leaves: images [B,S,S,3], texts [B,K]; -1 when the graph lacks that side */
    vlt_id u, v; /* unit embeddings [B,D] */
    vlt_id loss; /* -1 when the graph lacks a side */
    vlt_id leaf[VLM_MAX_PARAMS];
} vlm_graph;

enum { VLM_HAS_IMAGE = 1, VLM_HAS_TEXT = 2, VLM_HAS_BOTH = 3 };

typedef enum vlm_use {
    VLM_EMBED,  /* forward only */
    VLM_TRAIN,  /* forward and backward */
    VLM_ADJOINT /* and tangents, with mixed derivatives at x and y */
} vlm_use;

/* vlm_graph_new -- model and pool are borrowed. Free with vlm_graph_free. */
VL_MUST_USE int vlm_graph_new(const vlm_model *m, vl_pool *pool, size_t batch, int sides, vlm_use use,
                              vlm_graph *g, vl_err *e);
void vlm_graph_free(vlm_graph *g); /* zeroed is harmless */

/* vlm_bind -- the parameters' x, gx, xt, gxt lie in flat vectors [m->n]; NULL leaves as it is. */
void vlm_bind(vlm_graph *g, vl_real *theta, vl_real *grad, vl_real *tangent, vl_real *grad_tangent);

#endif
