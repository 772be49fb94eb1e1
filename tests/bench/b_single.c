/* SPDX-License-Identifier: MIT
 * b_single.c -- seconds an iteration of the losses without inner training, at the published size of heads: features
 * of 2304, texts of 768, a teacher of 17.7 million weights; 100 and 500 pairs, 256 real ones. */
#include "distill/merge_experts.h"
#include "distill/single_loss.h"
#include "tests/bench/network.h"

enum { F = 2304, K = 768, D = 2304, BATCH = 256, REAL = 512 };

static vl_real *normals(uint64_t stream, size_t n, double sd)
{
    vl_real *v = malloc(n * sizeof *v);

    net_need(v != NULL, "malloc");
    vl_rng_normal(2, stream, n, sd, v);
    return v;
}

static void row(const vld_single_method *how, const vlm_model *m, const vld_real_stats *stats, vl_pool *pool,
                size_t n, const vl_real *theta, const vl_real *xr, const vl_real *yr)
{
    vl_real *x = normals(3, n * F, 1), *y = normals(4, n * K, 0.036);
    vld_single_out out = {.gx = normals(5, n * F, 1), .gy = normals(6, n * K, 1)};
    const vld_single_setup s = {
        n, BATCH, F, K, how->needs & VLD_NEEDS_TEACHER ? m : NULL, stats, pool, vld_single_defaults};
    const vld_single_in in = {x, y, xr, yr, theta};
    double best = 1e30, flops = 0;
    vld_single_loss *l = NULL;

    net_need(!vld_single_loss_new(how, &s, &l, NULL), how->name);
    for (int i = 0; i < NET_REPS; i++) {
        double t0 = net_clock(), f0 = vl_blas_flops(), t;
        net_need(!vld_single_loss_run(l, &in, &out, NULL), how->name);
        t = net_clock() - t0;
        if (t < best) {
            best = t;
            flops = vl_blas_flops() - f0;
        }
    }
    printf("%-10s %5zu %10.4f %9.0f %9.0f\n", how->name, n, best, 1e-9 * flops / best,
           (double)vld_single_loss_bytes(l) / 1048576);
    vld_single_loss_free(l);
    free(x);
    free(y);
    free(out.gx);
    free(out.gy);
}

int main(void)
{
    vl_pool *pool = net_pool(0);
    vl_real *xr = normals(1, (size_t)REAL * F, 1), *yr = normals(2, (size_t)REAL * K, 0.036), *a, *b;
    double best = 1e30, t0;
    vld_real_stats stats;
    vlm_model m;

    net_need(!vlm_parse_heads("heads:2304", K, D, 1 / 0.07, &m, NULL), "vlm_parse_heads");
    a = net_weights(&m, 1);
    b = net_weights(&m, 2);
    net_need(!vld_real_stats_new(F, K, true, pool, &stats, NULL), "vld_real_stats_new");
    t0 = net_clock();
    net_need(!vld_real_stats_add(&stats, xr, yr, REAL, NULL), "vld_real_stats_add");
    printf("statistics of real pairs: %.0f pairs/s, BLAS core %s, %d threads\n", REAL / (net_clock() - t0),
           vl_blas_core(), vl_pool_threads(pool));
    for (int i = 0; i < NET_REPS; i++) {
        t0 = net_clock();
        net_need(!vld_merge_experts(&m, pool, a, b, a, 0.5, b, NULL, NULL), "vld_merge_experts");
        best = net_clock() - t0 < best ? net_clock() - t0 : best;
    }
    printf("a merged teacher of %.1f million weights: %.4f s\n", 1e-6 * (double)m.n, best);
    printf("%-10s %5s %10s %9s %9s\n", "loss", "pairs", "seconds", "GFLOP/s", "MiB");
    for (const vld_single_method *const *how = vld_single_methods; *how; how++)
        for (size_t n = 100; n <= 500; n += 400)
            row(*how, &m, &stats, pool, n, a, xr, yr);
    vld_real_stats_free(&stats);
    free(a);
    free(b);
    free(xr);
    free(yr);
    vl_pool_free(pool);
    return 0;
}
