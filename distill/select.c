/* SPDX-License-Identifier: MIT */
#include "distill/select.h"
#include "distill/forgetting.h"

#include <stddef.h>

const vld_select_method vld_select_methods[] = {
    {"random", vld_select_random, 0, VLD_BY_NUMBER, NULL, false},
    {"rs2", NULL, 0, VLD_BY_NUMBER, NULL, false},
    {"herding", vld_select_herding, 1, VLD_BY_FEATURES, NULL, false},
    {"k-center", vld_select_kcenter, 1, VLD_BY_FEATURES, NULL, false},
    {"k-means", vld_select_kmeans, 1, VLD_BY_FEATURES, NULL, false},
    {"density", vld_select_density, 1, VLD_BY_FEATURES, NULL, false},
    {"cosine", NULL, 0, VLD_BY_COSINE, NULL, false},
    {"forgetting", NULL, 0, VLD_BY_SCORE, VLD_FORGETTING_EXT, true},
    {"score", NULL, 0, VLD_BY_SCORE, NULL, false},
    {NULL, NULL, 0, VLD_BY_NUMBER, NULL, false},
};

size_t vld_select_marked(const uint8_t *mark, size_t n_records, uint32_t *out)
{
    size_t n = 0;

    for (size_t i = 0; i < n_records; i++)
        if (mark[i])
            out[n++] = (uint32_t)i;
    return n;
}
