/* SPDX-License-Identifier: MIT
 * set_batch.h -- a mini-batch of a synthetic set: its rows into the leaves of a graph, and gradients back. */
#ifndef VLD_SET_BATCH_H
#define VLD_SET_BATCH_H

#include "distill/set.h"
#include "pipeline/view.h"

typedef struct vld_batch {
    const vlm_graph *graph;
    const vlm_objective *objective;
    const vl_augment *aug;     /* views of pixels */
    vld_set_part from;         /* parts before this one are not this batch's business */
    const vld_set *set;        /* gathered from */
    vld_set *grad;             /* scattered to; NULL: never */
    const uint32_t *rows;      /* [graph->batch], distinct */
    uint64_t seed, iter, step; /* what its views are drawn from */
} vld_batch;

/* vld_batch_gather -- rows of every part that the set has. Of a full similarity it is the batch's columns. */
void vld_batch_gather(vl_pool *pool, const vld_batch *b);

/* vld_batch_scatter -- grad -= the leaves' gxt, each in its row's place. */
void vld_batch_scatter(vl_pool *pool, const vld_batch *b);

#endif
