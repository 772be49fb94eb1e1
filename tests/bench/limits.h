/* SPDX-License-Identifier: MIT
 * limits.h -- what the machine can do while nothing else is asked of it, to hold a benchmark's times against: the rate
 * of a library product that stays in the caches, and the rate of reading memory that does not. The best of some tries,
 * all threads at once. */
#ifndef VL_BENCH_LIMITS_H
#define VL_BENCH_LIMITS_H

#include "tests/bench/network.h"

enum { LIMIT_TRIES = 7, LIMIT_SIDE = 1024 };

typedef struct limits {
    vl_real **v;  /* of each thread: what it multiplies, or reads */
    size_t reals; /* each one's share to read */
    double *sum;
} limits;

static inline void limits_multiply(void *arg, size_t i, int worker)
{
    vl_real *v = ((limits *)arg)->v[i];
    const size_t n = LIMIT_SIDE;

    (void)worker;
    vl_gemm(0, 0, n, n, n, 1, v, n, v + n * n, n, 0, v + 2 * n * n, n);
}

static inline void limits_read(void *arg, size_t i, int worker)
{
    limits *l = arg;
    double s[32] = {0};

    (void)worker;
    for (size_t k = 0; k + 32 <= l->reals; k += 32)
        for (size_t lane = 0; lane < 32; lane++)
            s[lane] += (double)l->v[i][k + lane];
    for (size_t lane = 0; lane < 32; lane++)
        l->sum[i] += s[lane];
}

/* Seconds of fn on every thread at once, `reals` at each one's disposal. */
static inline double limits_time(int threads, size_t reals, vl_tile_fn fn)
{
    vl_pool *pool = net_pool(threads);
    limits l = {calloc((size_t)threads, sizeof *l.v), reals, calloc((size_t)threads, sizeof *l.sum)};
    double best = 1e9;

    net_need(l.v && l.sum, "calloc");
    for (int i = 0; i < threads; i++) {
        net_need((l.v[i] = malloc(reals * sizeof **l.v)) != NULL, "malloc");
        for (size_t k = 0; k < reals; k++)
            l.v[i][k] = (vl_real)(k % 5) - 2; /* not zeros, which the system would keep in one page */
    }
    for (int k = 0; k < LIMIT_TRIES; k++) {
        double t = bench_now(threads);
        vl_pool_run(pool, (size_t)threads, fn, &l);
        t = bench_now(threads) - t;
        best = t < best ? t : best;
    }
    for (int i = 0; i < threads; i++)
        free(l.v[i]);
    free(l.v);
    free(l.sum);
    vl_pool_free(pool);
    return best;
}

/* Floating-point operations a second. */
static inline double limits_flops(int threads)
{
    const size_t n = LIMIT_SIDE;

    return threads * 2.0 * (double)n * (double)n * (double)n /
           limits_time(threads, 3 * n * n, limits_multiply);
}

/* Bytes a second, of `bytes` in all. */
static inline double limits_reading(int threads, size_t bytes)
{
    size_t reals = bytes / sizeof(vl_real) / (size_t)threads;

    return (double)bytes / limits_time(threads, reals, limits_read);
}

#endif
