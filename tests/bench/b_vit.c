/* SPDX-License-Identifier: MIT
 * b_vit.c -- a small vision transformer at 64 pixels, trained whole and through factors of rank 8: a training step
 * (batch 64) and a step of the adjoint (batch 20). */
#include "tests/bench/step.h"

enum { V_SIZE = 64 };

int main(void)
{
    static const char *const specs[] = {"vit:192x4x3/8", "vit:192x4x3/8,lora=8"};

    for (int i = 0; i < 2; i++) {
        vlm_model m;
        net_need(!vlm_parse(specs[i], V_SIZE, NET_TEXT, NET_EMBED, 7, &m, NULL), "vlm_parse");
        printf("%s at %d pixels: %zu weights, %zu frozen, %.1f million multiply-adds a pair, core %s\n",
               m.spec, V_SIZE, m.n, m.n_base, 1e-6 * m.macs, vl_blas_core());
        for (int threads = 1; threads <= 2; threads++) {
            step_measure("forward and backward", &m, threads, 64, NULL, VLM_TRAIN);
            step_measure("the same and the tangent", &m, threads, 20, NULL, VLM_ADJOINT);
        }
    }
    return 0;
}
