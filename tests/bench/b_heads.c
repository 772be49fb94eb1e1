/* SPDX-License-Identifier: MIT
 * b_heads.c -- the projection heads at their published size, on the tape in dense form: a training step (batch 128,
 * InfoNCE) and a step of the adjoint (batch 20, wBCE, similarity of rank 10, blending). "products" is the share
 * of the time that goes into matrix products, over threads; the rest is what the elementwise ops cost. */
#include "tests/bench/network.h"

enum { H_IMAGE = 2304, H_TEXT = 768, H_EMBED = 2304 };

typedef struct bench {
    vlm_model m;
    vlm_graph g;
    vl_real *theta, *grad, *v, *hv;
} bench;

static void set_up(bench *b, vl_pool *pool, size_t batch, const vlm_objective *o, vlm_use use)
{
    char spec[32];

    snprintf(spec, sizeof spec, "heads:%d", H_IMAGE);
    net_need(!vlm_parse_heads(spec, H_TEXT, H_EMBED, 14.3, &b->m, NULL), "vlm_parse_heads");
    net_need(!vlm_graph_new_for(&b->m, o, pool, batch, VLM_HAS_BOTH, use, &b->g, NULL), "vlm_graph_new_for");
    b->theta = net_weights(&b->m, 0);
    b->v = net_weights(&b->m, 1);
    b->grad = net_weights(&b->m, 0);
    b->hv = net_weights(&b->m, 0);
    vlm_bind(&b->g, b->theta, b->grad, b->v, b->hv);
    vl_rng_normal(1, 1, batch * H_IMAGE, 1, vlt_x(b->g.tape, b->g.x));
    vl_rng_normal(1, 2, batch * H_TEXT, 1, vlt_x(b->g.tape, b->g.y));
    if (b->g.l >= 0) {
        vl_rng_normal(1, 3, batch * o->rank, 1, vlt_x(b->g.tape, b->g.l));
        for (size_t i = 0; i < batch; i++)
            vlt_x(b->g.tape, b->g.w)[i] = 1;
    }
}

static void tear_down(bench *b)
{
    vlm_graph_free(&b->g);
    free(b->theta);
    free(b->grad);
    free(b->v);
    free(b->hv);
}

static double run(bench *b, bool tangent, uint64_t step)
{
    double t = net_clock();

    vlt_draw(b->g.tape, 1, 0, step);
    vlt_forward(b->g.tape);
    vlt_backward(b->g.tape, b->g.loss);
    if (tangent)
        vlt_tangent(b->g.tape, b->g.loss);
    return net_clock() - t;
}

static void measure(const char *what, int threads, size_t batch, const vlm_objective *o, vlm_use use)
{
    double t[NET_REPS], products, total = 0;
    vl_pool *pool = net_pool(threads);
    bench_times s;
    bench b;

    set_up(&b, pool, batch, o, use);
    run(&b, use == VLM_ADJOINT, 0); /* pages in */
    vl_blas_timing(1);
    products = -vl_blas_seconds();
    for (int i = 0; i < NET_REPS; i++)
        total += t[i] = run(&b, use == VLM_ADJOINT, (uint64_t)i + 1);
    products += vl_blas_seconds();
    vl_blas_timing(0);
    s = net_median(t, NET_REPS);
    printf("%-24s -j %d  batch %3zu  %7.1f ms (%.1f to %.1f)  products %2.0f %%\n", what, threads, batch,
           1e3 * s.median, 1e3 * s.min, 1e3 * s.max, 100 * products / (total * threads));
    tear_down(&b);
    vl_pool_free(pool);
}

int main(void)
{
    const vlm_objective soft = {VLM_WBCE, VLM_SIM_LOWRANK, 10, 3, 1};

    printf("heads:%d, texts %d, embedding %d, core %s\n", H_IMAGE, H_TEXT, H_EMBED, vl_blas_core());
    for (int threads = 1; threads <= 2; threads++) {
        measure("forward and backward", threads, 128, NULL, VLM_TRAIN);
        measure("the same and the tangent", threads, 20, &soft, VLM_ADJOINT);
    }
    return 0;
}
