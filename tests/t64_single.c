/* SPDX-License-Identifier: MIT
 * t64_single.c -- single-level losses in double: gradients against central differences at sizes that cross every
 * tile, values where they are known, and what is refused. */
#include "distill/gke.h"
#include "distill/projection.h"
#include "distill/single_loss.h"
#include "pipeline/rng.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/differ.h"

#define H 1e-4

typedef struct world {
    vld_single_setup s;
    vld_single_in in;
    vld_real_stats stats;
    vlm_model m;
    vld_single_loss *l;
    vl_real *x, *y, *xr, *yr, *theta, *gx, *gy;
} world;

static const struct row {
    const char *name, *method;
    size_t n, batch, f, k;
    bool teacher;
    double rho, lambda, gke, sigma, width, ridge, back;
    vld_kernel kernel;
} rows[] = {
    {"covmatch", "covmatch", 5, 1, 140, 9, false, 1, 0.5, 1, 1, 1, 1, 0, VLD_KERNEL_LINEAR},
    {"covmatch, two pairs, no means", "covmatch", 2, 1, 3, 600, false, 2, 0, 1, 1, 1, 1, 0,
     VLD_KERNEL_LINEAR},
    {"covmatch, teacher", "covmatch", 9, 4, 11, 7, true, 1, 3, 1, 1, 1, 1, 0, VLD_KERNEL_LINEAR},
    {"mdm", "mdm", 70, 300, 8, 6, true, 1, 1, 0.8, 0.5, 1, 1, 0, VLD_KERNEL_LINEAR},
    {"mdm, two pairs, one real", "mdm", 2, 1, 5, 5, true, 1, 1, 2, 1.5, 1, 1, 0, VLD_KERNEL_LINEAR},
    {"mdm, infonce alone", "mdm", 6, 3, 5, 5, true, 1, 1, 0, 0.5, 1, 1, 0, VLD_KERNEL_LINEAR},
    {"krr linear", "krr", 7, 70, 9, 12, false, 1, 1, 1, 1, 1, 0.05, 0.5, VLD_KERNEL_LINEAR},
    {"krr linear, more pairs than numbers", "krr", 20, 5, 3, 4, false, 1, 1, 1, 1, 1, 0.1, 0,
     VLD_KERNEL_LINEAR},
    {"krr gauss", "krr", 12, 130, 9, 70, false, 1, 1, 1, 1, 0.7, 0.05, 0.3, VLD_KERNEL_GAUSS},
    {"krr gauss, back only", "krr", 2, 1, 4, 3, false, 1, 1, 1, 1, 1.5, 0.2, 1, VLD_KERNEL_GAUSS},
};
enum { ROWS = sizeof rows / sizeof *rows, REAL = 320 };

static vl_real *normals(uint64_t stream, size_t n, double sd)
{
    vl_real *v = test_calloc(n, sizeof *v);

    vl_rng_normal(5, stream, n, sd, v);
    return v;
}

static void make(world *w, const struct row *r, vl_pool *pool)
{
    vl_real *x = normals(1, REAL * r->f, 1), *y = normals(2, REAL * r->k, 0.4);
    vl_err e;

    memset(w, 0, sizeof *w);
    for (size_t i = 0; i < REAL * r->k; i++) /* texts tell something of images */
        y[i] += x[i / r->k * r->f + i % r->k % r->f] + 0.3;
    assert_int_equal(vld_real_stats_new(r->f, r->k, true, NULL, &w->stats, &e), VL_OK);
    assert_int_equal(vld_real_stats_add(&w->stats, x, y, REAL, &e), VL_OK);
    w->xr = x;
    w->yr = y;
    w->x = normals(3, r->n * r->f, 1);
    w->y = normals(4, r->n * r->k, 1);
    w->gx = test_calloc(r->n * r->f, sizeof *w->gx);
    w->gy = test_calloc(r->n * r->k, sizeof *w->gy);
    w->s = (vld_single_setup){
        .n = r->n, .batch = r->batch, .image_n = r->f, .text_dim = r->k, .stats = &w->stats, .pool = pool};
    w->s.p = (vld_single_params){r->rho, r->lambda, r->gke, r->sigma, r->kernel, r->width, r->ridge, r->back};
    if (r->teacher) {
        char spec[32];
        snprintf(spec, sizeof spec, "heads:%zu", r->f);
        assert_int_equal(vlm_parse_heads(spec, r->k, 10, 4, &w->m, &e), VL_OK);
        w->theta = test_calloc(w->m.n, sizeof *w->theta);
        vlm_init(&w->m, 6, 1, w->theta);
        w->s.model = &w->m;
    }
    w->in = (vld_single_in){w->x, w->y, w->xr, w->yr, w->theta};
    if (vld_single_loss_new(vld_single_find(r->method), &w->s, &w->l, &e))
        fail_msg("%s: %s", r->name, e.text);
}

static void unmake(world *w)
{
    vld_single_loss_free(w->l);
    vld_real_stats_free(&w->stats);
    test_free(w->x);
    test_free(w->y);
    test_free(w->xr);
    test_free(w->yr);
    test_free(w->gx);
    test_free(w->gy);
    if (w->theta)
        test_free(w->theta);
}

static vld_single_out run(world *w)
{
    vld_single_out out = {.gx = w->gx, .gy = w->gy};
    vl_err e;

    if (vld_single_loss_run(w->l, &w->in, &out, &e))
        fail_msg("%s", e.text);
    return out;
}

/* ---- gradients ------------------------------------------------------------------------------------ */

/* Differences of the loss by every stride-th number of v. */
static void check_side(world *w, const struct row *r, const char *what, vl_real *v, const vl_real *gradient,
                       size_t n)
{
    enum { MAX = 40 };
    vl_real d[2][MAX], exact[MAX];
    size_t stride = n / MAX + 1, used = 0;
    double size = fabs(run(w).loss);

    for (size_t i = 0; i < n; i += stride)
        exact[used++] = gradient[i];
    for (int fine = 0; fine < 2; fine++)
        for (size_t k = 0; k < used; k++) {
            vl_real *at = v + k * stride, keep = *at, h = H / (1 + fine), up;
            *at = keep + h;
            up = run(w).loss;
            *at = keep - h;
            d[fine][k] = (up - run(w).loss) / (2 * h);
            *at = keep;
        }
    run(w);
    differ_judge(r->name, what, d[0], d[1], exact, used, H, size);
    assert_true(vec_max(exact, used) > 1e-6);
}

static void gradients(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS; i++) {
        const struct row *r = &rows[i];
        world w;
        vl_real *gx, *gy;

        make(&w, r, NULL);
        run(&w);
        gx = test_malloc(r->n * r->f * sizeof *gx);
        gy = test_malloc(r->n * r->k * sizeof *gy);
        memcpy(gx, w.gx, r->n * r->f * sizeof *gx);
        memcpy(gy, w.gy, r->n * r->k * sizeof *gy);
        check_side(&w, r, "images", w.x, gx, r->n * r->f);
        check_side(&w, r, "texts", w.y, gy, r->n * r->k);
        test_free(gx);
        test_free(gy);
        unmake(&w);
    }
}

/* Through a network of pixels: u, v and InfoNCE at once, and what add does. */
static void project_through(const char *spec)
{
    enum { N = 3, M = 2, SIZE = 16, K = 5, D = 6 };
    vld_projection p;
    vld_embedded at;
    vlm_model m;
    vl_err e;
    vl_real *x, *y, *gu, *gv, *gx, *gy, *theta, d1[2], d2[2], exact[2];

    assert_int_equal(vlm_parse(spec, SIZE, K, D, 3, &m, &e), VL_OK);
    assert_int_equal(vld_projection_new(&m, NULL, N, M, &p, &e), VL_OK);
    assert_true(vld_projection_bytes(&p) > 0);
    x = normals(1, N * m.image_n, 1);
    y = normals(2, N * K, 1);
    gu = normals(3, N * D, 1);
    gv = normals(4, N * D, 1);
    gx = normals(5, N * m.image_n, 1); /* a direction first, then gradients */
    gy = normals(6, N * K, 1);
    theta = test_calloc(m.n, sizeof *theta);
    vlm_init(&m, 1, 1, theta);
    for (int fine = 0; fine < 2; fine++) {
        double h = H / (1 + fine), f[2];
        for (int side = 0; side < 2; side++) {
            for (int up = 0; up < 2; up++) {
                vl_real *v = side ? y : x, *d = side ? gy : gx;
                size_t n = side ? N * K : N * m.image_n;
                for (size_t i = 0; i < n; i++)
                    v[i] += (up ? -2 : 1) * h * d[i];
                vld_projection_run(&p, theta, x, y, x, y, &at);
                f[up] = vec_dot(gu, at.u, N * D) + vec_dot(gv, at.v, N * D) + at.infonce;
                for (size_t i = 0; up && i < n; i++)
                    v[i] += h * d[i];
            }
            (fine ? d2 : d1)[side] = (f[0] - f[1]) / (2 * h);
        }
    }
    vld_projection_run(&p, theta, x, y, x, y, &at);
    assert_memory_equal(at.u, at.ur, M * D * sizeof *gu); /* the real side is the same network */
    assert_memory_equal(at.v, at.vr, M * D * sizeof *gu);
    {
        vl_real *dx = normals(5, N * m.image_n, 1), *dy = normals(6, N * K, 1), *one;
        vld_projection_back(&p, gu, gv, true, false, gx, gy);
        exact[0] = vec_dot(gx, dx, N * m.image_n);
        exact[1] = vec_dot(gy, dy, N * K);
        one = test_malloc(N * K * sizeof *one);
        memcpy(one, gy, N * K * sizeof *one);
        vld_projection_back(&p, gu, gv, true, true, gx, gy);
        for (size_t i = 0; i < N * K; i++)
            assert_true(gy[i] == 2 * one[i]);
        vld_projection_back(&p, gu, gv, false, false, gx, gy);
        assert_true(fabs(vec_dot(gy, dy, N * K) - exact[1]) > 1e-3); /* InfoNCE counts */
        test_free(dx);
        test_free(dy);
        test_free(one);
    }
    differ_judge(spec, "pixels and texts", d1, d2, exact, 2, H, 10);
    test_free(x);
    test_free(y);
    test_free(gu);
    test_free(gv);
    test_free(gx);
    test_free(gy);
    test_free(theta);
    vld_projection_free(&p);
}

static void projections(void **state)
{
    (void)state;
    project_through("convnet:4x2");
    project_through("vit:8x2x2/8");
    project_through("vit:8x1x2/8,lora=2");
}

/* ---- known values --------------------------------------------------------------------------------- */

static void same_bits(void **state)
{
    vl_pool *pool = NULL;
    vl_err e;

    (void)state;
    assert_int_equal(vl_pool_new(4, &pool, &e), VL_OK);
    for (size_t i = 0; i < ROWS; i++) {
        world one, four;
        make(&one, &rows[i], NULL);
        make(&four, &rows[i], pool);
        vld_single_out a = run(&one), b = run(&four);
        assert_memory_equal(&a.loss, &b.loss, sizeof a.loss);
        assert_memory_equal(a.part, b.part, sizeof a.part);
        assert_memory_equal(one.gx, four.gx, rows[i].n * rows[i].f * sizeof *one.gx);
        assert_memory_equal(one.gy, four.gy, rows[i].n * rows[i].k * sizeof *one.gy);
        assert_true(vld_single_loss_bytes(one.l) > rows[i].n * rows[i].f * sizeof(vl_real));
        unmake(&one);
        unmake(&four);
    }
    vl_pool_free(pool);
}

/* Synthetic pairs that are the real ones: nothing left to match. */
static void the_real_set_itself(void **state)
{
    static const struct row same = {"same", "covmatch",       REAL, REAL, 8, 6, false, 1, 1, 1, 0.5, 1, 1e-6,
                                    0,      VLD_KERNEL_LINEAR};
    struct row r = same;
    vld_single_out out;
    world w;

    (void)state;
    make(&w, &r, NULL);
    memcpy(w.x, w.xr, REAL * r.f * sizeof *w.x);
    memcpy(w.y, w.yr, REAL * r.k * sizeof *w.y);
    out = run(&w);
    assert_true(out.loss < 1e-24 && vec_max(w.gx, REAL * r.f) < 1e-12);
    unmake(&w);

    r.method = "mdm";
    r.teacher = true;
    make(&w, &r, NULL);
    memcpy(w.x, w.xr, REAL * r.f * sizeof *w.x);
    memcpy(w.y, w.yr, REAL * r.k * sizeof *w.y);
    out = run(&w);
    assert_true(out.part[1] == 0 && out.part[2] == 0 && out.part[0] > 0); /* below the floor */
    assert_true(out.loss == out.part[0]);
    unmake(&w);

    /* gauss kernel, hardly a ridge: the regression goes through every pair */
    r.method = "krr";
    r.teacher = false;
    r.kernel = VLD_KERNEL_GAUSS;
    r.back = 0.5;
    make(&w, &r, NULL);
    memcpy(w.x, w.xr, REAL * r.f * sizeof *w.x);
    memcpy(w.y, w.yr, REAL * r.k * sizeof *w.y);
    out = run(&w);
    assert_true(out.part[0] < 1e-3 && out.part[1] < 1e-3);
    memset(w.y, 0, REAL * r.k * sizeof *w.y);
    for (size_t i = 0; i < REAL * r.k; i++)
        w.y[i] = w.stats.mean_y[i % r.k];
    out = run(&w); /* texts that say nothing: all of the variance is left */
    assert_true(fabs(out.part[0] - 1) < 1e-12);
    unmake(&w);
}

/* Steps against the gradient lower each loss. */
static void descends(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS; i++) {
        const struct row *r = &rows[i];
        double first, length;
        world w;

        make(&w, r, NULL);
        first = run(&w).loss;
        length = vec_dot(w.gx, w.gx, r->n * r->f) + vec_dot(w.gy, w.gy, r->n * r->k);
        for (size_t k = 0; k < r->n * r->f; k++)
            w.x[k] -= 1e-4 * first / length * w.gx[k];
        for (size_t k = 0; k < r->n * r->k; k++)
            w.y[k] -= 1e-4 * first / length * w.gy[k];
        assert_true(fabs((first - run(&w).loss) / (1e-4 * first) - 1) < 0.05);
        unmake(&w);
    }
}

/* ---- the geodesic kernel -------------------------------------------------------------------------- */

static double plain_kernel(const vl_real *a, const vl_real *b, size_t dim, double sigma)
{
    double c = fmin(fmax(vec_dot(a, b, dim), -1), 1);

    return exp(-acos(c) * acos(c) / (2 * sigma * sigma));
}

static double plain_gke(const vl_real *s, size_t n, const vl_real *r, size_t m, size_t dim, double sigma)
{
    double ss = 0, sr = 0, rr = 0;

    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++)
            ss += i == j ? 1 : plain_kernel(s + i * dim, s + j * dim, dim, sigma);
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < m; j++)
            sr += plain_kernel(s + i * dim, r + j * dim, dim, sigma);
    for (size_t i = 0; i < m; i++)
        for (size_t j = 0; j < m; j++)
            rr += i == j ? 1 : plain_kernel(r + i * dim, r + j * dim, dim, sigma);
    return sqrt(ss / (double)(n * n) + rr / (double)(m * m) - 2 * sr / (double)(n * m));
}

static void units(vl_real *v, size_t n, size_t dim)
{
    for (size_t i = 0; i < n; i++) {
        double len = sqrt(vec_dot(v + i * dim, v + i * dim, dim));
        for (size_t j = 0; j < dim; j++)
            v[i * dim + j] /= len;
    }
}

/* Value against plain loops and gradient against differences: points as free vectors, close pairs (the series of
 * arccos), both sides of its end, and nearly opposite ones. */
static void geodesic_kernel(void **state)
{
    static const size_t size[][3] = {{1, 1, 3}, {2, 3, 2}, {65, 257, 5}, {130, 64, 4}};

    (void)state;
    for (size_t row = 0; row < sizeof size / sizeof *size; row++) {
        size_t n = size[row][0], m = size[row][1], dim = size[row][2], used = 0;
        vl_real *s = normals(1, n * dim, 1), *r = normals(2, m * dim, 1), *g = normals(3, n * dim, 1);
        double *sums = test_calloc(vld_gke_sums(n, m), sizeof *sums), value;
        vl_real *work = test_calloc(vld_gke_work(NULL), sizeof *work), d[2][64], exact[64];

        for (size_t i = 0; i < dim && m > 2; i++) {
            r[i] = s[i] + 0.05 * r[i];                  /* an angle of about 0.05 */
            r[dim + i] = s[dim + i] + 0.1 * r[dim + i]; /* about the end of the series */
            r[2 * dim + i] = -s[i] + 0.3 * r[2 * dim + i];
        }
        units(s, n, dim);
        units(r, m, dim);
        value = vld_gke(NULL, s, n, r, m, dim, 0.5, g, sums, work);
        assert_true(fabs(value - plain_gke(s, n, r, m, dim, 0.5)) < 1e-10);
        for (size_t i = 0; i < n * dim && used < 64; i += n * dim / 64 + 1)
            exact[used++] = g[i];
        for (int fine = 0; fine < 2; fine++)
            for (size_t k = 0; k < used; k++) {
                vl_real *at = s + k * (n * dim / 64 + 1), keep = *at, h = 1e-4 / (1 + fine);
                double up;
                *at = keep + h;
                up = plain_gke(s, n, r, m, dim, 0.5);
                *at = keep - h;
                d[fine][k] = (up - plain_gke(s, n, r, m, dim, 0.5)) / (2 * h);
                *at = keep;
            }
        differ_judge("gke", "points", d[0], d[1], exact, used, 1e-4, 1);
        test_free(s);
        test_free(r);
        test_free(g);
        test_free(sums);
        test_free(work);
    }
}

/* Two points at a known angle t, on both sides of the series' end: gke^2 = 2 - 2 k, and the gradient lies along the
 * other point with -k t / (s^2 sin t gke). */
static void geodesic_angles(void **state)
{
    static const double angle[] = {1e-3, 0.02, 0.07, 0.12, 0.1405, 0.142, 0.2, 0.7, 1.6, 2.5, 3.1};
    vl_real *work = test_calloc(vld_gke_work(NULL), sizeof *work);
    double sums[8];

    (void)state;
    for (size_t i = 0; i < sizeof angle / sizeof *angle; i++) {
        double t = angle[i], s = 0.6, k = exp(-t * t / (2 * s * s)),
               want = sqrt(-2 * expm1(-t * t / (2 * s * s)));
        vl_real a[2] = {1, 0}, b[2] = {cos(t), sin(t)}, g[2];
        double value = vld_gke(NULL, a, 1, b, 1, 2, s, g, sums, work),
               along = -k * t / (s * s * sin(t) * want);
        double digits = 1e-12 + 1e-15 / (t * t); /* of 1 - cos t, and of 1 - k */
        assert_true(fabs(value / want - 1) < digits);
        assert_true(fabs(g[0] - along * b[0]) < 2 * digits * fabs(along));
        assert_true(fabs(g[1] - along * b[1]) < 2 * digits * fabs(along));
    }
    test_free(work);
}

/* Zero rows, equal sets, points exactly opposite, NaN. */
static void geodesic_corners(void **state)
{
    vl_real zero[4] = {0}, e1[4] = {1, 0, 0, 1}, back[4] = {-1, 0, 0, -1}, g[4], odd[4] = {NAN, 0, 0, 1};
    vl_real *work = test_calloc(vld_gke_work(NULL), sizeof *work);
    double sums[8], right = exp(-acos(0) * acos(0) / 0.5);

    (void)state;
    assert_true(vld_gke(NULL, e1, 2, e1, 2, 2, 0.5, g, sums, work) == 0);
    assert_true(vec_max(g, 4) == 0);
    assert_true(fabs(vld_gke(NULL, zero, 1, e1, 1, 2, 0.5, g, sums, work) - sqrt(2 - 2 * right)) < 1e-14);
    assert_true(fabs(vld_gke(NULL, e1, 1, back, 1, 2, 0.5, g, sums, work) - sqrt(2)) < 1e-8);
    assert_true(isfinite(g[0]) && isfinite(g[1]));
    assert_true(isnan(vld_gke(NULL, odd, 2, e1, 2, 2, 0.5, g, sums, work)));
    test_free(work);
}

/* ---- refusals ------------------------------------------------------------------------------------- */

static void refused(const struct row *r, void (*spoil)(world *w), const char *text)
{
    vld_single_loss *l = NULL;
    world w;
    vl_err e;

    make(&w, r, NULL);
    spoil(&w);
    assert_int_equal(vld_single_loss_new(vld_single_find(r->method), &w.s, &l, &e), VL_EARG);
    assert_string_equal(e.text, text);
    assert_null(l);
    unmake(&w);
}

static void one_pair(world *w)
{
    w->s.n = 1;
}
static void no_teacher(world *w)
{
    w->s.model = NULL;
}
static void no_batch(world *w)
{
    w->s.batch = 0;
}
static void no_stats(world *w)
{
    w->s.stats = NULL;
}
static void no_cross(world *w)
{
    free(w->stats.sum_xy);
    w->stats.sum_xy = NULL;
}
static void other_width(world *w)
{
    w->s.image_n = 4;
}
static void other_stats(world *w)
{
    w->s.text_dim = 4;
}
static void bad_rho(world *w)
{
    w->s.p.rho = NAN;
}
static void bad_sigma(world *w)
{
    w->s.p.sigma = 0;
}
static void bad_ridge(world *w)
{
    w->s.p.ridge = 0;
}
static void one_real(world *w)
{
    w->stats.sum_y = 0;
}

static void setups(void **state)
{
    (void)state;
    refused(&rows[0], one_pair, "1 pairs of 140 and 9 numbers: at least 2, 1 and 1 wanted");
    refused(&rows[3], no_teacher, "mdm needs a teacher");
    refused(&rows[3], no_batch, "mdm needs a batch of real pairs");
    refused(&rows[2], no_batch, "covmatch needs a batch of real pairs");
    refused(&rows[6], no_batch, "krr needs a batch of real pairs");
    refused(&rows[0], no_stats, "covmatch needs statistics of two real pairs or more");
    refused(&rows[0], no_cross, "covmatch needs the real pairs' cross-covariance");
    refused(&rows[3], other_width, "a teacher of 8 and 6 numbers for pairs of 4 and 6");
    refused(&rows[6], other_stats, "statistics of 9 and 12 numbers for pairs of 9 and 4");
    refused(&rows[0], bad_rho, "rho nan and lambda 0.5: above 0, and 0 or more wanted");
    refused(&rows[3], bad_sigma, "a kernel weight of 0.8 and width of 0: 0 or more, and above 0 wanted");
    refused(&rows[6], bad_ridge,
            "width 1, ridge 0 and text to image 0.5: above 0, above 0, and 0 to 1 wanted");
    refused(&rows[6], one_real, "krr: the real rows do not differ");
    assert_null(vld_single_find("mtt"));
    assert_ptr_equal(vld_single_find("krr"), &vld_single_krr);
    vld_single_loss_free(NULL);
}

/* A number that is none: every method says so. */
static void not_finite(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS; i++) {
        const struct row *r = &rows[i];
        vld_single_out out;
        world w;
        vl_err e;

        make(&w, r, NULL);
        out = (vld_single_out){.gx = w.gx, .gy = w.gy};
        w.y[r->k] = NAN;
        assert_int_equal(vld_single_loss_run(w.l, &w.in, &out, &e), VL_EMATH);
        w.y[r->k] = 1;
        w.x[1] = INFINITY;
        assert_int_equal(vld_single_loss_run(w.l, &w.in, &out, &e), VL_EMATH);
        assert_int_equal(strncmp(e.text, r->method, strlen(r->method)), 0);
        unmake(&w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients),       cmocka_unit_test(projections),
        cmocka_unit_test(same_bits),       cmocka_unit_test(the_real_set_itself),
        cmocka_unit_test(descends),        cmocka_unit_test(geodesic_kernel),
        cmocka_unit_test(geodesic_angles), cmocka_unit_test(geodesic_corners),
        cmocka_unit_test(setups),          cmocka_unit_test(not_finite),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
