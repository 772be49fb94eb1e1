/* SPDX-License-Identifier: MIT
 * b_gemm.c -- what the products, the convolution's four kernels and gelu reach.
 *
 * GFLOP/s are of one core's processor time, or of the clock where a line says 2 threads; median of
 * seven repetitions, then the range.
 * A convolution's GFLOP/s count its products only, so that all it does besides shows as lost. */
#include "pipeline/blas.h"
#include "pipeline/op.h"
#include "pipeline/rng.h"
#include "tests/bench/timing.h"

#include <cblas.h>
#include <stdio.h>
#include <stdlib.h>

static void die(const char *what)
{
    fprintf(stderr, "b_gemm: %s\n", what);
    exit(1);
}

static float *normals(size_t n)
{
    float *v = malloc(n * sizeof *v);

    if (!v)
        die("out of memory");
    vl_rng_normal(1, 1, n, 1, v);
    return v;
}

/* ---- products -------------------------------------------------------------------------------- */

typedef struct product {
    const char *name;
    int ta, tb, add;
    size_t m, n, k;
    float *a, *b, *c;
} product;

static void ours(void *arg)
{
    const product *p = arg;

    vl_gemm(p->ta, p->tb, p->m, p->n, p->k, 1, p->a, p->ta ? p->m : p->k, p->b, p->tb ? p->k : p->n,
            (float)p->add, p->c, p->n);
}

static void theirs(void *arg)
{
    const product *p = arg;

    cblas_sgemm(CblasRowMajor, p->ta ? CblasTrans : CblasNoTrans, p->tb ? CblasTrans : CblasNoTrans,
                (int)p->m, (int)p->n, (int)p->k, 1, p->a, (int)(p->ta ? p->m : p->k), p->b,
                (int)(p->tb ? p->k : p->n), (float)p->add, p->c, (int)p->n);
}

static void bench_product(product p)
{
    double gflop = 2e-9 * (double)p.m * (double)p.n * (double)p.k;
    bench_times u, t;

    p.a = normals(p.m * p.k);
    p.b = normals(p.k * p.n);
    p.c = normals(p.m * p.n);
    u = bench_run(ours, &p, 0.04, 1);
    t = bench_run(theirs, &p, 0.04, 1);
    printf("%-26s %c%c %5zu %5zu %5zu  %6.1f (%.1f-%.1f)  %6.1f (%.1f-%.1f)\n", p.name, p.ta ? 'T' : 'N',
           p.tb ? 'T' : 'N', p.m, p.n, p.k, gflop / u.median, gflop / u.max, gflop / u.min, gflop / t.median,
           gflop / t.max, gflop / t.min);
    free(p.a);
    free(p.b);
    free(p.c);
}

static void bench_products(void)
{
    bench_product((product){.name = "square", .m = 2048, .n = 2048, .k = 2048});
    for (size_t m = 256; m <= 1024; m *= 2) {
        bench_product((product){.name = "conv forward", .add = 1, .m = m, .n = 64, .k = 576});
        bench_product(
            (product){.name = "conv weight gradient", .ta = 1, .add = 1, .m = 576, .n = 64, .k = m});
        bench_product((product){.name = "conv data gradient", .tb = 1, .m = m, .n = 576, .k = 64});
    }
    bench_product((product){.name = "stem forward", .add = 1, .m = 256, .n = 64, .k = 48});
    bench_product((product){.name = "second conv forward", .add = 1, .m = 256, .n = 96, .k = 576});
    bench_product((product){.name = "text head forward", .add = 1, .m = 50, .n = 512, .k = 768});
    bench_product((product){.name = "linear forward", .m = 20, .n = 2304, .k = 2304});
    bench_product((product){.name = "linear data gradient", .tb = 1, .m = 20, .n = 2304, .k = 2304});
    bench_product((product){.name = "linear weight gradient", .ta = 1, .m = 2304, .n = 2304, .k = 20});
}

/* ---- kernels through the tape ---------------------------------------------------------------- */

typedef struct kernel {
    vlt_tape *t;
    vlt_node *y;
    void (*fn)(vlt_tape *t, vlt_node *y);
} kernel;

static void call(void *arg)
{
    kernel *k = arg;

    k->fn(k->t, k->y);
}

/* The share of the threads' clock time spent inside products, median of seven calls. */
static double share_inside(kernel *j, int threads)
{
    double share[BENCH_REPS];

    vl_blas_timing(1);
    for (int r = 0; r < BENCH_REPS; r++) {
        double inside = vl_blas_seconds(), t0 = bench_now(2);
        call(j);
        share[r] = (vl_blas_seconds() - inside) / ((bench_now(2) - t0) * threads);
    }
    vl_blas_timing(0);
    qsort(share, BENCH_REPS, sizeof *share, bench_order);
    return share[BENCH_REPS / 2];
}

static vlt_id leaf(vlt_tape *t, int rank, size_t a, size_t b, size_t c, size_t d)
{
    return vlt_leaf(t, VLT_PARAM, rank, (size_t[]){a, b, c, d});
}

/* Random numbers everywhere, so that no product meets zeros or denormals. */
static void fill_nodes(vlt_tape *t, vlt_id last)
{
    for (vlt_id i = 0; i <= last; i++) {
        vlt_node *n = vlt_at(t, i);
        vl_rng_normal(2, (uint64_t)i, n->n, 0.1, n->x);
        vl_rng_normal(3, (uint64_t)i, n->n, 0.1, n->gx);
        vl_rng_normal(4, (uint64_t)i, n->n, 0.1, n->xt);
        vl_rng_normal(5, (uint64_t)i, n->n, 0.1, n->gxt);
    }
}

static vlt_tape *open_tape(vl_pool *pool)
{
    vlt_tape *t = NULL;

    if (vlt_tape_new(pool, true, &t, NULL))
        die("no tape");
    return t;
}

static void bench_conv(size_t b, size_t size, size_t ci, size_t k, size_t co, int stride, int pad,
                       int threads)
{
    static const char *const name[4] = {"fwd", "bwd", "fwd_tan", "bwd_tan"};
    vl_pool *pool = NULL;
    vlt_tape *t;
    vlt_id y;
    const vlt_op *o = vlt_ops[VLT_OP_conv2d];

    if (vl_pool_new(threads, &pool, NULL))
        die("no pool");
    t = open_tape(pool);
    y = vlt_conv2d(t, leaf(t, 4, b, size, size, ci), leaf(t, 4, k, k, ci, co), leaf(t, 1, co, 1, 1, 1),
                   stride, pad);
    if (vlt_plan(t, NULL))
        die("conv2d does not plan");
    fill_nodes(t, y);
    printf("conv2d [%zu,%zu,%zu,%zu] w [%zu,%zu,%zu,%zu] s%d p%d, %d thread%s\n", b, size, size, ci, k, k, ci,
           co, stride, pad, threads, threads > 1 ? "s" : "");
    for (int i = 0; i < 4; i++) {
        kernel j = {t, vlt_at(t, y),
                    (void (*[])(vlt_tape *, vlt_node *)){o->fwd, o->bwd, o->fwd_tan, o->bwd_tan}[i]};
        double flops = vl_blas_flops(), inside;
        bench_times u;
        call(&j);
        flops = vl_blas_flops() - flops;
        u = bench_run(call, &j, 0.04, threads);
        inside = share_inside(&j, threads);
        printf("  %-8s %8.3f ms  %6.1f GFLOP/s (%.1f-%.1f)  %3.0f %% in products\n", name[i], 1e3 * u.median,
               1e-9 * flops / u.median, 1e-9 * flops / u.max, 1e-9 * flops / u.min, 100 * inside);
    }
    vlt_tape_free(t);
    vl_pool_free(pool);
}

static void bench_gelu(void)
{
    static const char *const name[4] = {"fwd", "bwd", "fwd_tan", "bwd_tan"};
    const vlt_op *o = vlt_ops[VLT_OP_gelu];
    vlt_tape *t = open_tape(NULL);
    vlt_id y = vlt_gelu(t, leaf(t, 4, 10, 16, 16, 64));

    if (vlt_plan(t, NULL))
        die("gelu does not plan");
    fill_nodes(t, y);
    printf("gelu of %zu values, 1 thread\n", vlt_size(t, y));
    for (int i = 0; i < 4; i++) {
        kernel j = {t, vlt_at(t, y),
                    (void (*[])(vlt_tape *, vlt_node *)){o->fwd, o->bwd, o->fwd_tan, o->bwd_tan}[i]};
        double ns = 1e9 / (double)vlt_size(t, y);
        bench_times u = bench_run(call, &j, 0.02, 1);
        printf("  %-8s %.2f ns a value (%.2f-%.2f)\n", name[i], ns * u.median, ns * u.min, ns * u.max);
    }
    vlt_tape_free(t);
}

int main(void)
{
    printf("%s, core %s\n", vl_blas_config(), vl_blas_core());
    printf("%-26s    %5s %5s %5s  vl_gemm GFLOP/s        cblas_sgemm in a loop\n", "product", "m", "n", "k");
    bench_products();
    for (int threads = 1; threads <= 2; threads++) {
        bench_conv(50, 32, 3, 4, 64, 4, 0, threads); /* the demonstration's three */
        bench_conv(50, 8, 64, 3, 64, 1, 1, threads);
        bench_conv(50, 8, 64, 3, 96, 2, 1, threads);
        bench_conv(50, 16, 64, 3, 64, 1, 1, threads);
    }
    bench_gelu();
    return 0;
}
