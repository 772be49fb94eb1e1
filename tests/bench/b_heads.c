/* SPDX-License-Identifier: MIT
 * b_heads.c -- the projection heads at their published size, on the tape in dense form: a training step (batch 128,
 * InfoNCE) and a step of the adjoint (batch 20, wBCE, similarity of rank 10, blending). */
#include "tests/bench/step.h"

enum { H_IMAGE = 2304, H_TEXT = 768, H_EMBED = 2304 };

int main(void)
{
    const vlm_objective soft = {VLM_WBCE, VLM_SIM_LOWRANK, 10, 3, 1};
    char spec[32];
    vlm_model m;

    snprintf(spec, sizeof spec, "heads:%d", H_IMAGE);
    net_need(!vlm_parse_heads(spec, H_TEXT, H_EMBED, 14.3, &m, NULL), "vlm_parse_heads");
    printf("%s, texts %d, embedding %d, core %s\n", m.spec, H_TEXT, H_EMBED, vl_blas_core());
    for (int threads = 1; threads <= 2; threads++) {
        step_measure("forward and backward", &m, threads, 128, NULL, VLM_TRAIN);
        step_measure("the same and the tangent", &m, threads, 20, &soft, VLM_ADJOINT);
    }
    return 0;
}
