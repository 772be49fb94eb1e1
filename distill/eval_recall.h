/* SPDX-License-Identifier: MIT
 * eval_recall.h -- recall@k of image-text retrieval, both ways.
 *
 *   IR@k  a caption asks for its image: the share of captions with a positive among the k best images
 *   TR@k  an image asks for its caption: the share of images with a positive among the k best captions
 *
 * Captions of equal text are one caption, which asks once, stands once among the candidates, and has every
 * image that carries it as a positive (28 pictures called "Blue Man" would else be 28 equal questions).
 * Ties are pessimistic: rank = 1 + the number of negatives that score at least as high as the best positive.
 * A score that is not a number is an error, never a rank. */
#ifndef VLD_EVAL_RECALL_H
#define VLD_EVAL_RECALL_H

#include "pipeline/data.h"
#include "pipeline/pool.h"
#include "pipeline/real.h"
#include <stdbool.h>

enum { VLD_N_K = 3 };
extern const int vld_recall_k[VLD_N_K]; /* 1, 5, 10 */

typedef struct vld_recall {
    double ir[VLD_N_K], tr[VLD_N_K]; /* percent */
    double mean;                     /* of the six */
} vld_recall;

/* vld_recall_ranks -- ranks from unit embeddings.
 *   u [d->n,D], v [d->n_caps,D];  ir [d->n_groups], tr [d->n]: out, ranks from 1
 * Each score is computed once, in tiles; the matrix never exists: beside u and v about 64 MiB and what a tile
 * takes for each thread (recall_ranks.c). Same ranks at any thread count.
 * Errors: VL_EMATH a score is not a number, VL_ENOMEM, VL_EARG d without groups. */
VL_MUST_USE int vld_recall_ranks(const vl_data *d, size_t dim, const vl_real *u, const vl_real *v,
                                 vl_pool *pool, uint32_t *ir, uint32_t *tr, vl_err *e);

void vld_recall_of_ranks(const uint32_t *ir, size_t n_ir, const uint32_t *tr, size_t n_tr, vld_recall *r);

/* Both in one. */
VL_MUST_USE int vld_recall_at(const vl_data *d, size_t dim, const vl_real *u, const vl_real *v, vl_pool *pool,
                              vld_recall *r, vl_err *e);

/* vld_recall_chance -- what random scores give in expectation, for the table's first row: with p
 * positives among n candidates, 1 - C(n-p, k) / C(n, k), averaged over queries. */
VL_MUST_USE int vld_recall_chance(const vl_data *d, vld_recall *r, vl_err *e);

#endif
