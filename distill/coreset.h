/* SPDX-License-Identifier: MIT
 * coreset.h -- subsets of real pairs that a selection method takes by what a briefly trained network sees: the
 * controls that distilled sets are held against. The methods are those of select.h; here are their features.
 *
 *   network    one student, plain SGD on all of the data, constant rates
 *   features   after VLD_WARM_EPOCHS epochs: of each record [u; v], u its image's unit embedding, v the mean of its
 *              captions' brought to unit norm, the whole brought to unit norm; cosine looks at <u, v>
 *   forgetting events over VLD_FORGETTING_EPOCHS epochs of the same training (forgetting.h), the least kept
 * Source: DeepCore's scheme for pairs as MDM's supplement describes it (Jeong et al. 2026): 5 and 10 epochs. */
#ifndef VLD_CORESET_H
#define VLD_CORESET_H

#include "distill/select.h"
#include "distill/train.h"

enum { VLD_WARM_EPOCHS = 5, VLD_FORGETTING_EPOCHS = 10 };

typedef struct vld_warm { /* how the network is trained; borrowed */
    const vlm_model *model;
    vl_pool *pool;
    size_t batch;
    double rate[VLM_BRANCHES];
    vl_augment aug;
    uint64_t seed;
} vld_warm;

typedef struct vld_coreset vld_coreset;

/* vld_coreset_new -- trains the network. d is borrowed for as long as the coreset lives.
 *   forgetting  also go on to VLD_FORGETTING_EPOCHS and count events
 * Errors: VL_EMATH (it diverged), VL_EARG (data that do not fit the network), VL_ENOMEM. */
VL_MUST_USE int vld_coreset_new(const vld_warm *w, const vl_data *d, bool forgetting, vld_coreset **out,
                                vl_err *e);
void vld_coreset_free(vld_coreset *c); /* NULL is harmless */

/* vld_coreset_takes -- does the method choose by what there is here? (Not random, rs2, or a score of files.) */
bool vld_coreset_takes(const vld_select_method *m);

/* vld_coreset_pick -- n records, ascending, to rows [n]. The same at any thread count.
 * Errors: VL_EARG (n larger than the data; forgetting that was not asked for), VL_ENOMEM. */
VL_MUST_USE int vld_coreset_pick(const vld_coreset *c, const vld_select_method *m, size_t n, uint32_t *rows,
                                 vl_err *e);

#endif
