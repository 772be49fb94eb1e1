/* SPDX-License-Identifier: MIT
 * network.h -- the demonstration's network and made-up inputs of its shape, for the benchmarks. */
#ifndef VL_BENCH_NETWORK_H
#define VL_BENCH_NETWORK_H

#include "distill/train.h"
#include "pipeline/blas.h"
#include "pipeline/rng.h"
#include "tests/bench/timing.h"

#include <stdio.h>
#include <stdlib.h>

enum { NET_SIZE = 32, NET_TEXT = 768, NET_EMBED = 512, NET_REPS = 5 };

static inline void net_need(int ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "%s failed\n", what);
    exit(1);
}

static inline vlm_model net_model(void)
{
    vlm_model m;

    net_need(!vlm_parse("convnet:64x2", NET_SIZE, NET_TEXT, NET_EMBED, 7, &m, NULL), "vlm_parse");
    return m;
}

static inline vld_set net_set(const vlm_model *m, size_t n)
{
    vld_set s;

    net_need(!vld_set_new(m, n, &s, NULL), "vld_set_new");
    vl_rng_normal(1, 1, n * m->size * m->size * 3, 1, s.image);
    vl_rng_normal(1, 2, n * m->text_dim, 0.036, s.text); /* rows of length 1 */
    s.rate[VLM_IMAGE] = s.rate[VLM_TEXT] = 0.01;
    return s;
}

static inline vl_real *net_weights(const vlm_model *m, uint64_t stream)
{
    vl_real *theta = malloc(m->n * sizeof *theta);

    net_need(theta != NULL, "malloc");
    vlm_init(m, 1, stream, theta);
    return theta;
}

static inline vl_pool *net_pool(int threads)
{
    vl_pool *p = NULL;

    net_need(!vl_pool_new(threads, &p, NULL), "vl_pool_new");
    return p;
}

static inline void net_head(const vlm_model *m)
{
    printf("%s, core %s\n%s at %d pixels: %zu weights, %.1f million multiply-adds a pair\n", vl_blas_config(),
           vl_blas_core(), m->spec, NET_SIZE, m->n, 1e-6 * m->macs);
}

/* What vl_blas_seconds counts by: the clock, whoever else has the processor. */
static inline double net_clock(void)
{
    return bench_now(2);
}

static inline bench_times net_median(double *t, int n)
{
    qsort(t, (size_t)n, sizeof *t, bench_order);
    return (bench_times){t[n / 2], t[0], t[n - 1]};
}

#endif
