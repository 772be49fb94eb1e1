/* SPDX-License-Identifier: MIT
 * timing.h -- repetitions, median and spread for the benchmarks. What one thread does is measured
 * by its processor time, so that other programs' turns do not count; what several do, by the clock. */
#ifndef VL_BENCH_TIMING_H
#define VL_BENCH_TIMING_H

#include <stdlib.h>
#include <time.h>

enum { BENCH_REPS = 7 };

typedef struct bench_times {
    double median, min, max; /* seconds a call */
} bench_times;

static inline double bench_now(int threads)
{
    struct timespec t;

    clock_gettime(threads > 1 ? CLOCK_MONOTONIC : CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static inline int bench_order(const void *a, const void *b)
{
    const double *x = a, *y = b;

    return *x < *y ? -1 : *x > *y;
}

/* bench_run -- seven repetitions of as many calls as fill `seconds` (one call at least), after one
 * call to warm up. */
static inline bench_times bench_run(void (*fn)(void *arg), void *arg, double seconds, int threads)
{
    double t[BENCH_REPS], t0, once;
    long calls;

    fn(arg);
    t0 = bench_now(threads);
    fn(arg);
    once = bench_now(threads) - t0;
    calls = once < seconds ? (long)(seconds / (once + 1e-9)) : 1;
    for (int r = 0; r < BENCH_REPS; r++) {
        t0 = bench_now(threads);
        for (long i = 0; i < calls; i++)
            fn(arg);
        t[r] = (bench_now(threads) - t0) / (double)calls;
    }
    qsort(t, BENCH_REPS, sizeof *t, bench_order);
    return (bench_times){t[BENCH_REPS / 2], t[0], t[BENCH_REPS - 1]};
}

#endif
