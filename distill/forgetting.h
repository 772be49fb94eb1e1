/* SPDX-License-Identifier: MIT
 * forgetting.h -- what the training of experts tells of each record: how often it was forgotten, and how high
 * its loss was.
 *
 * At each visit (once an epoch, as part of a batch, under that epoch's view and caption) a pair is *right* when
 * it ranks first both ways: no image of the batch scores as high with its caption, no caption as high with its
 * image, but for pairs whose caption is the same. Going from right to wrong between two visits is one
 * forgetting event. A record that was never right in a run counts as one forgotten as often as there were
 * epochs, which is more than any other can reach.
 *
 *   forgetting  mean of the events over the experts
 *   loss        mean over all visits of the pair's share of the contrastive loss, both ways, nats
 *
 * Source: Toneva et al. 2019 (events, never learnt); right for pairs: both ranks, as in the coresets of Jeong
 * et al. 2026 (MDM). Low scores are the easy records; which end to keep is the selection's choice. */
#ifndef VLD_FORGETTING_H
#define VLD_FORGETTING_H

#include "distill/train.h"

#define VLD_FORGETTING_EXT "forgetting.score.npy"
#define VLD_LOSS_EXT       "loss.score.npy"

/* One expert's training so far. {0} is empty. */
typedef struct vld_forgetting {
    const vl_data *data; /* captions grouped; borrowed */
    uint8_t *state;      /* [n] bits, see forgetting.c */
    uint32_t *events;    /* [n] */
    uint32_t *visits;    /* [n] */
    double *loss;        /* [n] sum over visits, nats */
    vl_real *logit;      /* scratch */
    double *row;         /* scratch */
    size_t batch;
} vld_forgetting;

/* vld_forgetting_new -- batch: the most pairs of a step. Free with vld_forgetting_free. Errors: VL_ENOMEM. */
VL_MUST_USE int vld_forgetting_new(const vl_data *d, size_t batch, vld_forgetting *out, vl_err *e);
void vld_forgetting_free(vld_forgetting *f); /* zeroed is harmless */

/* vld_forgetting_step -- a vld_step_fn (arg: the vld_forgetting): looks at the embeddings of the step. */
void vld_forgetting_step(void *arg, const vld_step *s);

/* vld_forgetting_pairs -- the same on bare numbers: u, v [n,dim] unit rows of the pairs, record numbers row [n],
 * captions cap [n]; n <= batch. */
void vld_forgetting_pairs(vld_forgetting *f, size_t n, size_t dim, double scale, const vl_real *u,
                          const vl_real *v, const uint32_t *row, const uint32_t *cap);

/* Sums over experts; the caller's, zeroed, [n] each. */
typedef struct vld_forgetting_sum {
    double *forgetting, *loss;
    uint64_t *experts, *visits; /* experts: those that visited the record */
} vld_forgetting_sum;

VL_MUST_USE int vld_forgetting_sum_new(size_t n, vld_forgetting_sum *out, vl_err *e);
void vld_forgetting_sum_free(vld_forgetting_sum *s);

/* vld_forgetting_add -- a finished expert of `epochs` epochs. Add them in their order: sums are in double. */
void vld_forgetting_add(vld_forgetting_sum *s, const vld_forgetting *f, int epochs);

/* vld_forgetting_write -- one segment of kind "scores" with both scores (f64 [1]) of every record that was
 * visited, in the order of the data; the others are left out and counted.
 *   manifest  borrowed: that of the experts, whose kind and schema are replaced
 * Errors: those of the writer. */
VL_MUST_USE int vld_forgetting_write(const vld_forgetting_sum *s, const vl_data *d, const json_t *manifest,
                                     const vls_parent *parents, size_t n_parents, vls_writer *w,
                                     size_t *left_out, vl_err *e);

#endif
