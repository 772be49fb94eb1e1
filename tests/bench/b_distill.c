/* SPDX-License-Identifier: MIT
 * b_distill.c -- one iteration of distillation: seconds, how much of it is products, and memory.
 *
 * Time: 100 pairs, T = 8 inner steps of 50 pairs, exact and tesla; the median of five iterations, then the
 * least and the greatest; the share comes from a sixth, in which each product reads the clock twice.
 * Memory: the peak of a process that does one iteration at T = 8 and at T = 64, less its T + 1 parameter
 * vectors. It may not grow by more than a tenth: the exit status says so. */
#include "distill/unroll.h"
#include "tests/bench/network.h"

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PAIRS = 100, BATCH = 50 };

typedef struct work {
    vlm_model m;
    vl_pool *pool;
    vld_unroll *u;
    vld_set set, grad;
    vl_real *start, *target;
} work;

static void open_work(work *w, int steps, int threads)
{
    const vld_inner inner = {.steps = steps, .batch = BATCH, .aug = {.flip = true, .shift = 4}};

    w->m = net_model();
    w->pool = net_pool(threads);
    w->set = net_set(&w->m, PAIRS);
    w->grad = net_set(&w->m, PAIRS);
    w->start = net_weights(&w->m, 0);
    w->target = net_weights(&w->m, 1);
    net_need(!vld_unroll_new(&w->m, w->pool, PAIRS, &inner, &w->u, NULL), "vld_unroll_new");
}

static void close_work(work *w)
{
    vld_unroll_free(w->u);
    free(w->target);
    free(w->start);
    vld_set_free(&w->grad);
    vld_set_free(&w->set);
    vl_pool_free(w->pool);
}

static void iterate(work *w, uint64_t iter, vld_gradient kind)
{
    const vld_window at = {.start = w->start, .target = w->target, .warm = 0, .seed = 1, .iter = iter};
    vld_unroll_result res;

    net_need(!vld_unroll_run(w->u, &at, &w->set, kind, false, &w->grad, &res, NULL), "vld_unroll_run");
}

/* ---- time ------------------------------------------------------------------------------------- */

static void bench(int threads, vld_gradient kind)
{
    double reps[NET_REPS], flops, inside, t0, share;
    bench_times s;
    work w;

    open_work(&w, 8, threads);
    iterate(&w, 0, kind);
    flops = vl_blas_flops();
    for (int r = 0; r < NET_REPS; r++) {
        t0 = bench_now(threads);
        iterate(&w, (uint64_t)r, kind);
        reps[r] = bench_now(threads) - t0;
    }
    flops = (vl_blas_flops() - flops) / NET_REPS;
    vl_blas_timing(1);
    inside = vl_blas_seconds();
    t0 = net_clock();
    iterate(&w, 0, kind);
    share = (vl_blas_seconds() - inside) / ((net_clock() - t0) * threads);
    vl_blas_timing(0);
    s = net_median(reps, NET_REPS);
    printf("%s, %d thread%s  %.3f s an iteration (%.3f-%.3f)  %5.1f GFLOP  %5.1f GFLOP/s  %3.0f %% in "
           "products\n",
           kind == VLD_EXACT ? "exact" : "tesla", threads, threads > 1 ? "s" : " ", s.median, s.min, s.max,
           1e-9 * flops, 1e-9 * flops / s.median, 100 * share);
    close_work(&w);
}

/* ---- memory ----------------------------------------------------------------------------------- */

typedef struct peak {
    double process, planned, snapshots; /* bytes; planned: what vld_unroll_bytes says */
} peak;

/* In a process of its own, before this one has started threads. */
static peak measure(int steps)
{
    struct rusage r;
    size_t snapshots;
    int fd[2], status;
    peak p;
    pid_t pid;
    work w;

    net_need(!pipe(fd), "pipe");
    fflush(stdout);
    pid = fork();
    net_need(pid >= 0, "fork");
    if (!pid) {
        open_work(&w, steps, 1);
        iterate(&w, 0, VLD_EXACT);
        getrusage(RUSAGE_SELF, &r);
        p.planned = (double)vld_unroll_bytes(w.u, &snapshots);
        p.snapshots = (double)snapshots;
        p.process = (double)r.ru_maxrss * 1024;
        _exit(write(fd[1], &p, sizeof p) != sizeof p);
    }
    net_need(read(fd[0], &p, sizeof p) == sizeof p, "the child");
    net_need(waitpid(pid, &status, 0) == pid && !status, "the child");
    close(fd[0]);
    close(fd[1]);
    return p;
}

static int bench_memory(void)
{
    double ratio, rest[2];

    for (int i = 0; i < 2; i++) {
        peak p = measure(i ? 64 : 8);
        rest[i] = p.process - p.snapshots;
        printf(
            "T = %2d: peak of the process %.1f MB, of it snapshots %.1f MB, the rest %.1f MB; unroll without "
            "snapshots %.1f MB\n",
            i ? 64 : 8, 1e-6 * p.process, 1e-6 * p.snapshots, 1e-6 * rest[i],
            1e-6 * (p.planned - p.snapshots));
    }
    ratio = rest[1] / rest[0];
    printf("T = 64 takes %.3f times what T = 8 takes, apart from snapshots (at most 1.1 allowed)\n", ratio);
    return ratio > 1.1;
}

int main(void)
{
    vlm_model m = net_model();
    int bad;

    net_head(&m);
    bad = bench_memory();
    printf("%d pairs, T = 8, %d pairs a step\n", PAIRS, BATCH);
    for (int threads = 1; threads <= 2; threads++) {
        bench(threads, VLD_EXACT);
        bench(threads, VLD_TESLA);
    }
    return bad;
}
