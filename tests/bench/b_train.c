/* SPDX-License-Identifier: MIT
 * b_train.c -- training steps a second of the demonstration's network, and how much of a step is products.
 *
 * Each line is the median of five repetitions of 20 steps, then the least and the greatest. One thread is
 * measured by its processor time. The share comes from a sixth repetition, in which each product reads the
 * clock twice. */
#include "tests/bench/network.h"

enum { STEPS = 20, TICKS = 1 + (NET_REPS + 1) * STEPS };

typedef struct ticks {
    double at[TICKS], inside, wall; /* wall: the clock when the sixth repetition begins */
    int n, threads;
} ticks;

static int tick(void *arg, int epoch, double loss, const vl_real *theta, vl_err *e)
{
    ticks *t = arg;

    (void)loss;
    (void)theta;
    (void)e;
    if (epoch == 1 + NET_REPS * STEPS) {
        vl_blas_timing(1);
        t->inside = vl_blas_seconds();
        t->wall = net_clock();
    }
    t->at[t->n++] = bench_now(t->threads);
    return VL_OK;
}

/* A set as large as the batch: one step an epoch, so that the callback sees each step. */
static void bench(const vlm_model *m, size_t batch, int threads)
{
    vl_pool *pool = net_pool(threads);
    vld_set set = net_set(m, batch);
    vl_real *theta = net_weights(m, 0);
    const vld_source src = {.set = &set};
    const vld_train_opts o = {
        .batch = batch, .epochs = TICKS, .rate = {0.01, 0.01}, .aug = {.flip = true, .shift = 4}, .seed = 1};
    ticks t = {.threads = threads};
    double reps[NET_REPS], flops = vl_blas_flops(), share;
    bench_times s;

    net_need(!vld_train(m, pool, &src, &o, theta, tick, &t, NULL), "vld_train");
    t.wall = net_clock() - t.wall;
    vl_blas_timing(0);
    flops = (vl_blas_flops() - flops) / TICKS;
    share = (vl_blas_seconds() - t.inside) / (t.wall * threads);
    for (int r = 0; r < NET_REPS; r++)
        reps[r] = (t.at[(r + 1) * STEPS] - t.at[r * STEPS]) / STEPS;
    s = net_median(reps, NET_REPS);
    printf("batch %3zu, %d thread%s  %6.2f steps/s (%.2f-%.2f)  %6.0f images/s  %6.1f GFLOP/s  %3.0f %% in "
           "products\n",
           batch, threads, threads > 1 ? "s" : " ", 1 / s.median, 1 / s.max, 1 / s.min,
           (double)batch / s.median, 1e-9 * flops / s.median, 100 * share);
    free(theta);
    vld_set_free(&set);
    vl_pool_free(pool);
}

int main(void)
{
    vlm_model m = net_model();

    net_head(&m);
    for (int threads = 1; threads <= 2; threads++)
        for (size_t batch = 50; batch <= 100; batch += 50)
            bench(&m, batch, threads);
    return 0;
}
