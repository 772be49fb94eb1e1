/* SPDX-License-Identifier: MIT
 * score_table.h -- one number a record, taken while the records stream by.
 *
 *   cosine  of the image feature and the text feature (select_features.h) of a record, both in one space. The
 *           rows of a side are kept only until the other side has come: at once where both lie in one record
 *   member  a .npy member with one number of any type of float, such as forgetting.score.npy */
#ifndef VLD_SCORE_TABLE_H
#define VLD_SCORE_TABLE_H

#include "distill/select_features.h"

typedef struct vld_scores {
    const char *member;           /* the member that holds the score, the caller's; NULL: cosine */
    vld_feature_side image, text; /* cosine: want, ext, dim are used; rows are not kept here */
    size_t room;
    double *score;   /* [room], by record number */
    uint8_t *have;   /* [room], see score_table.c */
    float **waiting; /* [room] cosine: the side that came first */
} vld_scores;        /* zeroed is empty and takes cosines */

/* vld_scores_add -- takes what record `number` has; nothing is no error.
 * Errors: VL_EFORMAT (as vld_features_add; sides of different dimensions; a member that is not one finite
 * number; a score for the second time), VL_ENOMEM. */
VL_MUST_USE int vld_scores_add(vld_scores *s, const vls_record *rec, const json_t *manifest, size_t number,
                               vl_err *e);

/* vld_scores_take -- out[i] is the score of record number order[i], [n].
 *   key  by record number, for messages
 * Errors: VL_EFORMAT (a record without one, saying which side it lacks; no such member in any shard). */
VL_MUST_USE int vld_scores_take(const vld_scores *s, const uint32_t *order, size_t n, char *const *key,
                                double *out, vl_err *e);

void vld_scores_free(vld_scores *s);

#endif
