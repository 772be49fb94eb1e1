/* SPDX-License-Identifier: MIT
 * b_recall.c -- exact recall of whole test sets, both ways: seconds in all and after the product, and the rate
 * beside the machine's (a square product, on as many threads at once).
 *
 * 5,000 images with 25,010 captions are COCO's test set, 1,000 with 5,000 Flickr30K's. Median of three runs;
 * one thread by its processor time, two by the clock. Beside it the usual way in PyTorch (peer_recall.py),
 * where python3 has torch. */
#include "distill/eval_recall.h"
#include "pipeline/blas.h"
#include "pipeline/rng.h"
#include "tests/bench/timing.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

enum { RUNS = 3, SIDE = 2048 };

static void need(int ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "b_recall: %s failed\n", what);
    exit(1);
}

static void *memory(size_t n, size_t size)
{
    void *p = calloc(n, size);

    need(p != NULL, "calloc");
    return p;
}

/* Rows of a length near 1. */
static vl_real *rows(size_t n, size_t dim, uint64_t stream)
{
    vl_real *v = memory(n * dim, sizeof *v);

    vl_rng_normal(1, stream, n * dim, 1 / sqrt((double)dim), v);
    return v;
}

/* ---- the machine's rate ------------------------------------------------------------------------- */

typedef struct square {
    const vl_real *a, *b;
    vl_real *c; /* [threads][SIDE,SIDE] */
} square;

static void square_tile(void *arg, size_t tile, int worker)
{
    const square *s = arg;

    (void)worker;
    vl_gemm(0, 1, SIDE, SIDE, SIDE, 1, s->a, SIDE, s->b, SIDE, 0, s->c + tile * SIDE * SIDE, SIDE);
}

/* FLOP/s of one square product a thread, side by side. */
static double machine_rate(vl_pool *pool, int threads)
{
    vl_real *a = rows(SIDE, SIDE, 1), *b = rows(SIDE, SIDE, 2);
    square s = {a, b, memory((size_t)threads * SIDE, SIDE * sizeof *s.c)};
    double t[RUNS + 1];

    for (int r = 0; r <= RUNS; r++) {
        double t0 = bench_now(threads);
        vl_pool_run(pool, (size_t)threads, square_tile, &s);
        t[r] = bench_now(threads) - t0;
    }
    qsort(t + 1, RUNS, sizeof *t, bench_order);
    free(s.c);
    free(b);
    free(a);
    return 2.0 * SIDE * SIDE * SIDE * threads / t[1 + RUNS / 2];
}

/* ---- recall ------------------------------------------------------------------------------------- */

static vl_data world(size_t n, size_t n_caps)
{
    vl_data d = {.n = n, .n_caps = n_caps, .n_groups = n_caps};

    d.cap = memory(n + 1, sizeof *d.cap);
    d.group = memory(n_caps, sizeof *d.group);
    for (size_t i = 0; i < n; i++)
        d.cap[i + 1] = d.cap[i] + n_caps / n + (i < n_caps % n);
    for (size_t c = 0; c < n_caps; c++)
        d.group[c] = (uint32_t)c;
    return d;
}

static void bench(size_t n, size_t n_caps, size_t dim, int threads)
{
    vl_data d = world(n, n_caps);
    vl_real *u = rows(n, dim, 3), *v = rows(n_caps, dim, 4);
    vl_pool *pool = NULL;
    double t[RUNS], share[RUNS], rate, after, flops = 2.0 * (double)n * (double)n_caps * (double)dim;
    vld_recall r;

    need(!vl_pool_new(threads, &pool, NULL), "vl_pool_new");
    rate = machine_rate(pool, threads);
    vl_blas_timing(1);
    for (int k = 0; k < RUNS; k++) {
        double t0 = bench_now(threads), wall = bench_now(2), inside = vl_blas_seconds();
        need(!vld_recall_at(&d, dim, u, v, pool, &r, NULL), "vld_recall_at");
        t[k] = bench_now(threads) - t0;
        share[k] = (vl_blas_seconds() - inside) / threads / (bench_now(2) - wall);
    }
    vl_blas_timing(0);
    qsort(t, RUNS, sizeof *t, bench_order);
    qsort(share, RUNS, sizeof *share, bench_order);
    after = t[RUNS / 2] * (1 - share[RUNS / 2]);
    printf("%5zu x %5zu, D %4zu, %d thread%s  %7.3f s (%.3f-%.3f)  of it after the product %5.1f ms  %6.1f "
           "GFLOP/s, %3.0f %% of the machine's %.0f\n",
           n, n_caps, dim, threads, threads > 1 ? "s" : " ", t[RUNS / 2], t[0], t[RUNS - 1], 1e3 * after,
           1e-9 * flops / t[RUNS / 2], 100 * flops / t[RUNS / 2] / rate, 1e-9 * rate);
    fflush(stdout);
    vl_pool_free(pool);
    free(v);
    free(u);
    free(d.group);
    free(d.cap);
}

int main(void)
{
    static const size_t size[][3] = {
        {1000, 5000, 512}, {1000, 5000, 2304}, {5000, 25010, 512}, {5000, 25010, 2304}};
    struct rusage use;

    printf("%s, core %s\n", vl_blas_config(), vl_blas_core());
    for (size_t i = 0; i < sizeof size / sizeof *size; i++)
        for (int threads = 1; threads <= 2; threads++)
            bench(size[i][0], size[i][1], size[i][2], threads);
    getrusage(RUSAGE_SELF, &use);
    printf("peak memory %ld MiB, of it 264 of the largest embeddings; all scores at once would be 477\n",
           use.ru_maxrss / 1024);
    fflush(stdout);
    return system("python3 tests/bench/peer_recall.py") ? 1 : 0;
}
