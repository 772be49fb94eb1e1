/* SPDX-License-Identifier: MIT
 * select_kmeans.c -- medoids of k-means: the features fall into n_out clusters, and each gives the record
 * nearest to its mean. What later distillation papers start their sets from, on features of both sides (MDM,
 * AMD; --joint sum or concat).
 * Cost: n_out passes over the features for the first means, then a product of features and means a round. */
#include "distill/kmeans.h"
#include "distill/select.h"

#include <stdlib.h>

int vld_select_kmeans(const vl_real *features, size_t n_records, size_t dim, uint64_t seed, vl_pool *pool,
                      size_t n_out, uint32_t *out, vl_err *e)
{
    vld_kmeans c = {0};
    uint32_t *medoid = NULL;
    uint8_t *mark = NULL;
    int rc;

    if (!n_out && features)
        return VL_OK;
    rc = vld_kmeans_run(features, n_records, dim, n_out, seed, pool, &c, e);
    if (rc)
        return rc;
    rc = VL_ENOMEM;
    if (!(medoid = vl_alloc(n_out, sizeof *medoid, e)) || !(mark = vl_alloc(n_records, 1, e)))
        goto out;
    for (size_t k = 0; k < n_out; k++)
        medoid[k] = UINT32_MAX;
    for (size_t i = 0; i < n_records; i++) {
        uint32_t *m = &medoid[c.cluster[i]];
        if (*m == UINT32_MAX || c.d2[i] < c.d2[*m])
            *m = (uint32_t)i;
    }
    for (size_t k = 0; k < n_out; k++)
        mark[medoid[k]] = 1; /* clusters are not empty and have no record in common */
    vld_select_marked(mark, n_records, out);
    rc = VL_OK;
out:
    free(mark);
    free(medoid);
    vld_kmeans_free(&c);
    return rc;
}
