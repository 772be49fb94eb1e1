/* SPDX-License-Identifier: MIT
 * b_unroll_heads.c -- a whole iteration of trajectory matching on projection heads at RepBlend's size: 2304 -> 2304
 * and 768 -> 2304, 99 pairs, mini-batches of 20, features given. The exact gradient in low-rank and dense form;
 * beside it the arithmetic of the official loop in PyTorch (peer_repblend.py), where torch is installed: PEER
 * names the Python, else python3. And the least that the low-rank form can take here: its operations at the rate of a
 * large product, where products with W_0 read it from memory each time (counts: spec/math/unroll-lowrank.md). One
 * thread is timed by the processor, which other programs do not disturb; two
 * by the clock.  b_unroll_heads [THREADS] */
#include "tests/bench/limits.h"
#include "distill/unroll.h"
#include "tests/bench/peer.h"

enum {
    F_IMAGE = 2304,
    F_TEXT = 768,
    EMBED = 2304,
    PAIRS = 99,
    BATCH = 20,
    RANK = 10,
    MAX_REPS = 2 * NET_REPS
};

static const vlm_objective repblend = {VLM_WBCE, VLM_SIM_LOWRANK, RANK, 3, 1};

typedef struct bench {
    vlm_model m;
    vld_set set, grad;
    vl_real *start, *target;
} bench;

static void set_up(bench *b, const vlm_objective *o)
{
    vl_real *noise;

    net_need(!vlm_parse_heads("heads:2304", F_TEXT, EMBED, 1 / 0.07, &b->m, NULL), "vlm_parse_heads");
    net_need(!vld_set_new_for(&b->m, o, PAIRS, &b->set, NULL), "vld_set_new_for");
    net_need(!vld_set_new_for(&b->m, o, PAIRS, &b->grad, NULL), "vld_set_new_for");
    vl_rng_normal(1, 1, PAIRS * F_IMAGE, 1, b->set.image);
    vl_rng_normal(1, 2, PAIRS * F_TEXT, 1, b->set.text);
    vld_set_similarity(o, 1, &b->set);
    b->set.rate[VLM_IMAGE] = b->set.rate[VLM_TEXT] = 0.1;
    b->start = net_weights(&b->m, 0);
    b->target = net_weights(&b->m, 0);
    noise = net_weights(&b->m, 1);
    for (size_t i = 0; i < b->m.n; i++)
        b->target[i] += VL_R(0.3) * noise[i];
    free(noise);
}

static void tear_down(bench *b)
{
    vld_set_free(&b->set);
    vld_set_free(&b->grad);
    free(b->start);
    free(b->target);
}

/* reps iterations, after one; adds their seconds to t. */
static void iterate(bench *b, const vlm_objective *o, vld_form form, int steps, int threads, int reps,
                    double *t)
{
    const vld_inner inner = {.steps = steps, .batch = BATCH, .objective = *o, .form = form};
    vl_pool *pool = net_pool(threads);
    vld_unroll *u = NULL;
    size_t growing, all;

    net_need(!vld_unroll_new(&b->m, pool, PAIRS, &inner, &u, NULL), "vld_unroll_new");
    for (int i = 0; i <= reps; i++) {
        const vld_window w = {
            .start = b->start, .target = b->target, .warm = 0, .seed = 1, .iter = (uint64_t)i};
        vld_unroll_result res;
        double begin = bench_now(threads);
        net_need(!vld_unroll_run(u, &w, &b->set, VLD_EXACT, false, &b->grad, &res, NULL), "vld_unroll_run");
        if (i > 0)
            *t++ = bench_now(threads) - begin;
    }
    all = vld_unroll_bytes(u, &growing);
    printf("%-8s %-7s T %2d  -j %d  %5.0f MB, %4.0f MB of it grow with T  ",
           o == &repblend ? "repblend" : "infonce", form == VLD_FORM_DENSE ? "dense" : "lowrank", steps,
           threads, 1e-6 * (double)all, 1e-6 * (double)growing);
    vld_unroll_free(u);
    vl_pool_free(pool);
}

static double report(double *t, int n)
{
    bench_times s = net_median(t, n);

    printf("%8.1f ms (%.1f to %.1f)\n", 1e3 * s.median, 1e3 * s.min, 1e3 * s.max);
    return s.median;
}

static double measure(const vlm_objective *o, vld_form form, int steps, int threads, int reps)
{
    double t[MAX_REPS];
    bench b;

    set_up(&b, o);
    iterate(&b, o, form, steps, threads, reps, t);
    tear_down(&b);
    return report(t, reps);
}

/* Seconds of the PyTorch loop; 0 where there is none. */
static double peer(int steps, int threads)
{
    char script[100], about[100];
    double s[3];

    snprintf(script, sizeof script, "peer_repblend.py %d %d", steps, NET_REPS);
    if (!peer_run(script, threads, s, about, sizeof about))
        return 0;
    printf("PyTorch, the official loop T %2d: %8.1f ms (%.1f to %.1f)  %s\n", steps, 1e3 * s[0], 1e3 * s[1],
           1e3 * s[2], about);
    return s[0];
}

/* What an iteration in low-rank form does, both branches: products of mini-batches with W_0 of the second layers, the
 * bytes of W_0 that they read, all other products. */
typedef struct work {
    double streaming_flops, streaming_bytes, other_flops;
} work;

static work work_of(int steps)
{
    double t = steps, b = BATCH, d = EMBED, n = PAIRS;
    double wide = 2 * (2 * t * b * d * d) + 4 * n * (F_IMAGE + F_TEXT) * d;
    double thin = 2 * ((8 * t * t - 4 * t) * b * b * d + 3 * t * b * n * d);

    return (work){2 * 2 * (4 * t * b * d * d), 2 * 4 * t * d * d * sizeof(vl_real), 2 * (wide + thin)};
}

/* Prints the least that it can take; returns it in seconds. */
static double least(int steps, int threads, double flops, double reading)
{
    work w = work_of(steps);
    double multiply = w.streaming_flops / flops, read = w.streaming_bytes / reading;
    double all = (multiply > read ? multiply : read) + w.other_flops / flops;

    printf("T %2d  -j %d at the least %8.1f ms: %.1f GFLOP at %.0f GFLOP/s %.1f ms", steps, threads,
           1e3 * all, 1e-9 * (w.streaming_flops + w.other_flops), 1e-9 * flops,
           1e3 * (w.streaming_flops + w.other_flops) / flops);
    printf("; W_0, %.2f GB at %.1f GB/s, %.1f ms beside %.1f ms of them\n", 1e-9 * w.streaming_bytes,
           1e-9 * reading, 1e3 * read, 1e3 * multiply);
    return all;
}

static void compare(int threads)
{
    const vlm_objective infonce = {.loss = VLM_INFONCE};
    double ours = measure(&repblend, VLD_FORM_LOWRANK, 8, threads, NET_REPS), other = peer(8, threads);
    double again = measure(&repblend, VLD_FORM_LOWRANK, 8, threads, NET_REPS);
    double long_run = measure(&repblend, VLD_FORM_LOWRANK, 64, threads, 2);
    double flops = limits_flops(threads);
    double reading = limits_reading(threads, 2 * (size_t)EMBED * EMBED * sizeof(vl_real));
    double bound = least(8, threads, flops, reading), long_bound = least(64, threads, flops, reading);

    measure(&infonce, VLD_FORM_LOWRANK, 8, threads, NET_REPS);
    measure(&repblend, VLD_FORM_DENSE, 8, threads, 3);
    if (other > 0)
        printf("PyTorch takes %.1f times as long (%.1f before it, %.1f after it)\n",
               2 * other / (ours + again), other / ours, other / again);
    printf("T 8 takes %.2f, T 64 %.2f times the least\n", (ours + again) / 2 / bound, long_run / long_bound);
    printf("T 64 takes %.1f times T 8\n", 2 * long_run / (ours + again));
}

int main(int argc, char **argv)
{
    int only = argc > 1 ? atoi(argv[1]) : 0;

    setvbuf(stdout, NULL, _IOLBF, 0);
    printf("heads:%d, texts %d, embedding %d, %d pairs, mini-batch %d, core %s\n", F_IMAGE, F_TEXT, EMBED,
           PAIRS, BATCH, vl_blas_core());
    for (int threads = 1; threads <= 2; threads++)
        if (!only || only == threads)
            compare(threads);
    return 0;
}
