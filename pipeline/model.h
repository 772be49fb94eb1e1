/* SPDX-License-Identifier: MIT
 * model.h -- the student: an image branch and a text branch as one list of named parameters, laid out in one
 * flat vector [image branch | text branch], and the graph that computes its loss.
 *
 * convnet: an image encoder and a text head
 *   image  [B,S,S,3] -> conv k4 s4 (3 -> W), GELU
 *          -> blocks of conv k3, GELU: the first keeps the size, each other one halves it and widens by half
 *          -> mean over positions -> linear -> [B,D]
 *   text   [B,K] -> linear -> [B,D]
 *   "convnet:64x3": W = 64, three blocks (64, 96, 144). No normalisation: He-style initial weights keep the
 *   variance, so a batch of one and a batch of a thousand see the same network.
 *
 * vit: a vision transformer and a text head
 *   image  [B,S,S,3] -> patches, conv kP sP (3 -> D); a class token in front; positions added: [B N,D], N = (S / P)^2 + 1
 *          -> blocks of h += attention(layernorm(h)), h += fc2(gelu(fc1(layernorm(h)))), fc1 to 4 D
 *          -> layernorm, class token, linear -> [B,E]
 *   text   as convnet
 *   "vit:192x4x3/8": D = 192, four blocks of three heads, patches of 8 x 8 pixels
 *   "vit:192x4x3/8,lora=4": the transformer is frozen, and what is trained of it are factors p [K,R], q [R,N] of
 *   each of its six projections a block: x w + b + (A / R) (x p) q, R = 4. Theta holds the factors and the two
 *   heads. ",alpha=A" when A is not R; ",seed=N" when the frozen weights are not those of seed 0; ",base=ID" when
 *   they were loaded (pipeline/vit_base.h), ID 16 hex digits.
 *   Source: Dosovitskiy et al. 2021, pre-norm; Hu et al. 2021.
 *
 * heads: two projection heads on frozen features, as in the published systems
 *   image  [B,F], text [B,K] -> p = linear(x) [B,D] -> layernorm(p + dropout(linear(gelu(p)))) [B,D]
 *   "heads:2304": F = 2304, dropout 0.1; "heads:2304,dropout=0": without. Parameters are named as in the
 *   published state dicts, behind "image." and "text.": projection, fc, layer_norm, each with weight and bias. A
 *   linear weight is [in,out] here, [out,in] there.
 *
 * loss      of z_ij = scale * cos(image_i, text_j); infonce, or what vlm_objective says */
#ifndef VLM_MODEL_H
#define VLM_MODEL_H

#include "formats/err.h"
#include "pipeline/tape.h"
#include <stdint.h>

enum {
    VLM_MAX_PARAMS = 256,
    VLM_MAX_DIM = 65536,
    VLM_MAX_LAYERS = 8,
    VLM_IMAGE = 0,
    VLM_TEXT = 1,
    VLM_BRANCHES = 2
};

/* What every tool takes where nobody says otherwise; tests/experiments/demo/search says how they were found. */
#define VLM_DEFAULT_SPEC  "convnet:64x2"
#define VLM_DEFAULT_VIEWS "flip+shift2" /* of real pairs */
#define VLM_DEFAULT_SCALE 7.0
enum { VLM_DEFAULT_SIZE = 32, VLM_DEFAULT_EMBED = 512 };

enum { VLM_ID_MAX = 17 }; /* 16 hex digits */

typedef enum vlm_kind { VLM_CONVNET, VLM_HEADS, VLM_VIT } vlm_kind;

/* The parameters of a head, in this order, from branch * VLM_HEAD_PARAMS on. */
enum { VLM_W1, VLM_B1, VLM_W2, VLM_B2, VLM_GAIN, VLM_SHIFT, VLM_HEAD_PARAMS };

typedef struct vlm_param {
    char name[32]; /* "image.conv1.weight" */
    int rank;
    size_t dim[VLT_MAX_RANK];
    size_t offset, n; /* reals, within the flat vector */
    int branch;       /* VLM_IMAGE or VLM_TEXT */
    double sd;        /* of the initial normal values; 0: starts at `start` */
    double start;     /* 1 for a layer norm's gain, else 0 */
} vlm_param;

typedef struct vlm_model {
    char spec[96]; /* "convnet:64x3"; names all that makes the network, frozen weights too */
    vlm_kind kind;
    size_t size;      /* S, pixels, a multiple of 4 (convnet) or of the patch (vit); heads: 0 */
    size_t image_n;   /* reals of one image input: S S 3, or F */
    size_t text_dim;  /* K */
    size_t embed_dim; /* D */
    int layers;       /* vit: blocks */
    double dropout;   /* heads: probability, in training only */
    double scale;     /* of the logits, 1 / temperature */
    size_t width;     /* vit: D */
    size_t patch;     /* vit: P, pixels */
    int heads;        /* vit: of attention */
    size_t lora;      /* vit: R; 0: everything is trained */
    double alpha;     /* vit with lora: A */
    vlm_param param[VLM_MAX_PARAMS];
    int n_params;
    size_t n;                       /* reals in the flat vector */
    size_t begin[VLM_BRANCHES + 1]; /* branch b is [begin[b], begin[b + 1]) */
    double macs;                    /* multiply-adds of one image and one text, forward */
    /* What is not trained (vit with lora), with offsets of its own. Graphs read it from base, which is borrowed and
     * outlives them, or make it from base_seed where base is NULL. Copies of a model share base. */
    vlm_param frozen[VLM_MAX_PARAMS];
    int n_frozen;
    size_t n_base; /* reals in base */
    uint64_t base_seed;
    char base_id[VLM_ID_MAX]; /* of a loaded base, else "": then a graph without base is refused */
    double norm_eps;          /* vit: of its layer norms */
    const vl_real *base;
} vlm_model;

/* vlm_parse -- fills *m from the spec of a model that takes pixels: convnet or vit. Errors: VL_EARG naming what is wrong with it. */
VL_MUST_USE int vlm_parse(const char *spec, size_t size, size_t text_dim, size_t embed_dim, double scale,
                          vlm_model *m, vl_err *e);

/* vlm_parse_heads -- the same for "heads:F" and "heads:F,dropout=P", 0 <= P < 1; m->spec is written one way,
 * whatever way P was. Apart from vlm_parse so that a caller who feeds pixels never gets a model of features. */
VL_MUST_USE int vlm_parse_heads(const char *spec, size_t text_dim, size_t embed_dim, double scale,
                                vlm_model *m, vl_err *e);

/* vlm_parse_any -- a spec of either kind; of heads where it begins with "heads:", size is then ignored. */
VL_MUST_USE int vlm_parse_any(const char *spec, size_t size, size_t text_dim, size_t embed_dim, double scale,
                              vlm_model *m, vl_err *e);

/* vlm_init -- fresh weights theta[m->n] from (seed, stream). */
void vlm_init(const vlm_model *m, uint64_t seed, uint64_t stream, vl_real *theta);

/* vlm_init_base -- the frozen weights base[m->n_base] of m->base_seed: what graphs use while m->base is NULL. */
void vlm_init_base(const vlm_model *m, vl_real *base);

/* A model recorded on a tape for one batch size. */
typedef struct vlm_graph {
    const vlm_model *model;
    vlt_tape *tape;
    size_t batch;
    vlt_id x, y;   /* leaves: images [B,S,S,3] or [B,F], texts [B,K]; -1 when the graph lacks that side */
    vlt_id u, v;   /* unit embeddings [B,D] */
    vlt_id loss;   /* -1 when the graph lacks a side */
    unsigned data; /* flow of x and y: VLT_DATA, with VLM_INPUTS VLT_G */
    /* Leaves of the similarity, -1 where there is none: s [B,B], or l and r [B,R] and w [B]. */
    vlt_id s, l, r, w;
    vlt_id leaf[VLM_MAX_PARAMS];   /* -1: a parameter that a graph by maps lacks */
    vlt_id frozen[VLM_MAX_PARAMS]; /* constants; none without the image side */
    const vlt_map *fc;             /* of a graph by maps; else NULL */
} vlm_graph;

/* What is trained for. Zeroed: infonce, no similarity, no blend. */
typedef enum vlm_loss { VLM_INFONCE, VLM_WBCE, VLM_BCE, VLM_ENCE } vlm_loss;
typedef enum vlm_sim {
    VLM_SIM_NONE,   /* the identity */
    VLM_SIM_FULL,   /* s: the batch's block of a full matrix */
    VLM_SIM_LOWRANK /* alpha / R l r^T + diag(w): the batch's rows of l, r, w */
} vlm_sim;
typedef struct vlm_objective {
    vlm_loss loss;
    vlm_sim sim;  /* VLM_SIM_NONE with infonce */
    size_t rank;  /* R, lowrank: 1 to 65536 */
    double alpha; /* lowrank */
    double blend; /* of Beta(blend, blend), both branches' inputs (convnet: features) mixed alike; 0: none */
} vlm_objective;

enum { VLM_HAS_IMAGE = 1, VLM_HAS_TEXT = 2, VLM_HAS_BOTH = 3 };

typedef enum vlm_use {
    VLM_EMBED,   /* forward only */
    VLM_TRAIN,   /* forward and backward */
    VLM_ADJOINT, /* and tangents, with mixed derivatives at x and y */
    VLM_INPUTS   /* forward and backward to x and y; weights are constants, nothing is masked or blended */
} vlm_use;

/* vlm_graph_new -- model and pool are borrowed. Free with vlm_graph_free. */
VL_MUST_USE int vlm_graph_new(const vlm_model *m, vl_pool *pool, size_t batch, int sides, vlm_use use,
                              vlm_graph *g, vl_err *e);
/* The same with an objective (NULL: infonce). The similarity's leaves are data: VLM_ADJOINT gives their gxt.
 * Masks and blends: vlt_draw(g->tape, seed, iteration, step) before each forward; VLM_EMBED and VLM_INPUTS have
 * neither.
 * Errors: VL_EARG an objective without sense. */
VL_MUST_USE int vlm_graph_new_for(const vlm_model *m, const vlm_objective *o, vl_pool *pool, size_t batch,
                                  int sides, vlm_use use, vlm_graph *g, vl_err *e);
/* vlm_graph_new_maps -- heads whose weight matrices stay with the caller; both sides, VLM_ADJOINT. What differs:
 *   g->x, g->y   leaves [B,D] of flow PARAM: the rows of x W1 + b1, before blending (which is linear, and its
 *                weights add up to 1). Their gx and gxt, summed over rows, are those of b1.
 *   fc           [branch] products with W2 [D,D]; borrowed
 *   leaf         -1 for W1, b1 and W2; vlm_bind passes them by
 * Errors: as vlm_graph_new_for; VL_EARG unless the model is of heads. */
VL_MUST_USE int vlm_graph_new_maps(const vlm_model *m, const vlm_objective *o, vl_pool *pool, size_t batch,
                                   const vlt_map *fc, vlm_graph *g, vl_err *e);
/* vlm_graph_new_loss -- the loss alone: u and v are leaves [B,D] of flow G, unit rows by the caller; x, y and every
 * leaf[] are -1. Objective and the leaves of its similarity as in vlm_graph_new_for; it blends nothing. */
VL_MUST_USE int vlm_graph_new_loss(const vlm_model *m, const vlm_objective *o, vl_pool *pool, size_t batch,
                                   vlm_graph *g, vl_err *e);
void vlm_graph_free(vlm_graph *g); /* zeroed is harmless */

/* vlm_bind -- the parameters' x, gx, xt, gxt lie in flat vectors [m->n]; NULL leaves as it is. */
void vlm_bind(vlm_graph *g, vl_real *theta, vl_real *grad, vl_real *tangent, vl_real *grad_tangent);

#endif
