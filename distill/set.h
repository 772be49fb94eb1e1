/* SPDX-License-Identifier: MIT
 * set.h -- a synthetic set in memory; also the shape of a gradient with respect to it. */
#ifndef VLD_SET_H
#define VLD_SET_H

#include "pipeline/model.h"
#include "pipeline/view.h"

typedef struct vld_set {
    size_t n;       /* pairs */
    vl_real *image; /* [n,image_n]: pixels [n,S,S,3], or features [n,F] */
    vl_real *text;  /* [n,K] */
    /* A learned similarity of every image with every text; NULL where the objective has none. */
    vl_real *s;                /* VLM_SIM_FULL: [n,n] */
    vl_real *l, *r, *w;        /* VLM_SIM_LOWRANK: [n,R], [n,R], [n]; alpha / R l r^T + diag(w) */
    double rate[VLM_BRANCHES]; /* inner learning rates, > 0 */
} vld_set;

/* vld_set_new -- zeroed, without a similarity. vld_set_free: zeroed is harmless. Errors: VL_ENOMEM. */
VL_MUST_USE int vld_set_new(const vlm_model *m, size_t n, vld_set *s, vl_err *e);
/* vld_set_new_for -- with the arrays that the objective's similarity has, zeroed. */
VL_MUST_USE int vld_set_new_for(const vlm_model *m, const vlm_objective *o, size_t n, vld_set *s, vl_err *e);
void vld_set_free(vld_set *s);

/* The arrays of a set as a list, so that what is done to all of them is written once. */
typedef enum vld_set_part {
    VLD_PART_IMAGE,
    VLD_PART_TEXT,
    VLD_PART_S,
    VLD_PART_L,
    VLD_PART_R,
    VLD_PART_W,
    VLD_SET_PARTS /* how many */
} vld_set_part;

extern const char *const vld_set_part_name[VLD_SET_PARTS]; /* "image", "text", "s", "l", "r", "w" */

/* vld_set_part_of -- the array (NULL: the set has none) and the reals in a pair's row of it. */
vl_real *vld_set_part_of(const vld_set *s, vld_set_part part);
/* vld_set_give -- the set owns array x as that part from now on; the old one is freed. */
void vld_set_give(vld_set *s, vld_set_part part, vl_real *x);
size_t vld_set_width(const vlm_model *m, const vlm_objective *o, size_t n, vld_set_part part);

/* vld_set_similarity -- where LoRS begins: the identity. w = 1, l normal of sd 1 from (seed, "similarity"), r = 0;
 * or s = I. Nothing where the set has none. */
void vld_set_similarity(const vlm_objective *o, uint64_t seed, vld_set *s);

/* vld_set_copy_similarity -- `to`, of as many pairs, gets copies of from's. Errors: VL_ENOMEM. */
VL_MUST_USE int vld_set_copy_similarity(const vlm_model *m, const vlm_objective *o, const vld_set *from,
                                        vld_set *to, vl_err *e);

/* vld_set_gather -- row b of the batch `rows` into every leaf of the graph that the set fills: pixels under the view
 * (features have none), of a full similarity the batch's columns.
 * Of a graph by maps or of the loss alone (vlm_graph_new_maps, _loss) images and texts are left to the caller, here
 * as below.
 * vld_set_scatter -- grad -= the leaves' gxt, its adjoint. Rows of a batch are distinct, so batches of one graph may
 * be cut among threads by b. */
void vld_set_gather(const vld_set *s, const vlm_objective *o, const vlm_graph *g, const uint32_t *rows,
                    size_t b, const vl_view *view);
void vld_set_scatter(vld_set *grad, const vlm_objective *o, const vlm_graph *g, const uint32_t *rows,
                     size_t b, const vl_view *view);

#endif
