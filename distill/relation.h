/* SPDX-License-Identifier: MIT
 * relation.h -- who belongs to whom in retrieval: the positives of each query. Inside of eval_recall. */
#ifndef VLD_RELATION_H
#define VLD_RELATION_H

#include "pipeline/data.h"

/* As lists: positives of query q are list[begin[q]] .. list[begin[q + 1] - 1], distinct. */
typedef struct vld_relation {
    size_t n; /* queries */
    size_t *begin;
    uint32_t *list;
} vld_relation;

/* vld_relate_texts -- the texts of each image: its captions' groups, each once.
 * Errors: VL_EARG d without groups, VL_ENOMEM. Free with vld_relation_free in any case. */
VL_MUST_USE int vld_relate_texts(const vl_data *d, vld_relation *r, vl_err *e);

/* vld_relate_images -- the images of each text: the transpose. */
VL_MUST_USE int vld_relate_images(const vl_data *d, const vld_relation *texts, vld_relation *r, vl_err *e);

void vld_relation_free(vld_relation *r); /* zeroed is harmless */

#endif
