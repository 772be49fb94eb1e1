/* SPDX-License-Identifier: MIT
 * step.h -- the time of one step of training, or of the adjoint, of any network. "products" is the share of the time
 * that goes into matrix products, over threads; the rest is what the elementwise ops cost. */
#ifndef VL_BENCH_STEP_H
#define VL_BENCH_STEP_H

#include "tests/bench/network.h"

typedef struct step_bench {
    vlm_graph g;
    vl_real *theta, *grad, *v, *hv;
} step_bench;

static inline void step_open(step_bench *b, const vlm_model *m, vl_pool *pool, size_t batch,
                             const vlm_objective *o, vlm_use use)
{
    net_need(!vlm_graph_new_for(m, o, pool, batch, VLM_HAS_BOTH, use, &b->g, NULL), "vlm_graph_new_for");
    b->theta = net_weights(m, 0);
    b->v = net_weights(m, 1);
    b->grad = net_weights(m, 0);
    b->hv = net_weights(m, 0);
    vlm_bind(&b->g, b->theta, b->grad, b->v, b->hv);
    vl_rng_normal(1, 1, batch * m->image_n, 1, vlt_x(b->g.tape, b->g.x));
    vl_rng_normal(1, 2, batch * m->text_dim, 1, vlt_x(b->g.tape, b->g.y));
    if (b->g.l >= 0) {
        vl_rng_normal(1, 3, batch * o->rank, 1, vlt_x(b->g.tape, b->g.l));
        for (size_t i = 0; i < batch; i++)
            vlt_x(b->g.tape, b->g.w)[i] = 1;
    }
}

static inline void step_close(step_bench *b)
{
    vlm_graph_free(&b->g);
    free(b->theta);
    free(b->grad);
    free(b->v);
    free(b->hv);
}

static inline double step_run(step_bench *b, bool tangent, uint64_t step)
{
    double t = net_clock();

    vlt_draw(b->g.tape, 1, 0, step);
    vlt_forward(b->g.tape);
    vlt_backward(b->g.tape, b->g.loss);
    if (tangent)
        vlt_tangent(b->g.tape, b->g.loss);
    return net_clock() - t;
}

static inline void step_measure(const char *what, const vlm_model *m, int threads, size_t batch,
                                const vlm_objective *o, vlm_use use)
{
    double t[NET_REPS], products, flops, total = 0;
    vl_pool *pool = net_pool(threads);
    bench_times s;
    step_bench b;

    step_open(&b, m, pool, batch, o, use);
    step_run(&b, use == VLM_ADJOINT, 0); /* pages in */
    vl_blas_timing(1);
    products = -vl_blas_seconds();
    flops = -vl_blas_flops();
    for (int i = 0; i < NET_REPS; i++)
        total += t[i] = step_run(&b, use == VLM_ADJOINT, (uint64_t)i + 1);
    products += vl_blas_seconds();
    flops += vl_blas_flops();
    vl_blas_timing(0);
    s = net_median(t, NET_REPS);
    printf(
        "%-24s -j %d  batch %3zu  %7.1f ms (%.1f to %.1f)  products %2.0f %%  %4.0f GFLOP/s  tape %4zu MB\n",
        what, threads, batch, 1e3 * s.median, 1e3 * s.min, 1e3 * s.max, 100 * products / (total * threads),
        1e-9 * flops / NET_REPS / s.median, vlt_bytes(b.g.tape) >> 20);
    step_close(&b);
    vl_pool_free(pool);
}

#endif
