/* SPDX-License-Identifier: MIT
 * t64_tape.c -- the three sweeps over a whole network, in double: gradient, Hessian-vector product
 * and mixed data derivative against differences, symmetry, weights used twice, threads, errors.
 *
 * The network: image [B,8,7,2] -> conv 3x3 (4) -> gelu -> conv 3x3 (4) -> gelu -> the same conv
 * again -> gelu -> conv 4x4 stride 2 (5) -> gelu -> mean -> linear (6) -> l2norm; text [B,9] ->
 * linear (6) -> l2norm; logits; InfoNCE. Parameters, gradient, direction and product are flat
 * vectors that the leaves are bound to, as in distill/. */
#include "pipeline/op.h"
#include "pipeline/rng.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/differ.h"

enum { BATCH = 5, N_PARAM = 10, N_DATA = 2 };
#define H 1e-4

typedef struct net {
    vlt_tape *t;
    vlt_id param[N_PARAM], data[N_DATA], loss;
    size_t n;                /* parameters */
    vl_real *w, *g, *v, *hv; /* [n]: value, gradient, direction, H v */
    vl_real *d[N_DATA];      /* the data's values; ours */
} net;

static vlt_id add_param(net *m, int i, int rank, const size_t *dim)
{
    m->param[i] = vlt_leaf(m->t, VLT_PARAM, rank, dim);
    return m->param[i];
}

static vlt_id conv(net *m, vlt_id x, int i, size_t k, size_t ci, size_t co, int stride, int pad)
{
    vlt_id w = add_param(m, i, 4, (size_t[]){k, k, ci, co});
    vlt_id b = add_param(m, i + 1, 1, &co);

    return vlt_gelu(m->t, vlt_conv2d(m->t, x, w, b, stride, pad));
}

static vlt_id head(net *m, vlt_id x, int i, size_t in, size_t out)
{
    vlt_id w = add_param(m, i, 2, (size_t[]){in, out});
    vlt_id b = add_param(m, i + 1, 1, &out);

    return vlt_l2norm(m->t, vlt_linear(m->t, x, w, b));
}

static void record(net *m, unsigned data_flow)
{
    vlt_tape *t = m->t;
    vlt_id x, y;

    m->data[0] = vlt_leaf(t, data_flow, 4, (size_t[]){BATCH, 8, 7, 2});
    m->data[1] = vlt_leaf(t, data_flow, 2, (size_t[]){BATCH, 9});
    x = conv(m, m->data[0], 0, 3, 2, 4, 1, 1);
    x = conv(m, x, 2, 3, 4, 4, 1, 1);
    x = vlt_gelu(t, vlt_conv2d(t, x, m->param[2], m->param[3], 1, 1));
    x = conv(m, x, 4, 4, 4, 5, 2, 1);
    x = head(m, vlt_meanpool(t, x), 6, 5, 6);
    y = head(m, m->data[1], 8, 9, 6);
    m->loss = vlt_infonce(t, vlt_logits(t, x, y, 5));
}

static vl_real *vec(size_t n, uint64_t stream, double sd)
{
    vl_real *p = calloc(n, sizeof *p);

    assert_non_null(p);
    if (sd > 0)
        vl_rng_normal(7, stream, n, sd, p);
    return p;
}

static void net_open(net *m, vl_pool *pool, unsigned data_flow)
{
    vl_err e = {0};
    size_t at = 0;

    memset(m, 0, sizeof *m);
    assert_int_equal(vlt_tape_new(pool, true, &m->t, &e), VL_OK);
    record(m, data_flow);
    if (vlt_plan(m->t, &e))
        fail_msg("%s", e.text);
    for (int i = 0; i < N_PARAM; i++)
        m->n += vlt_size(m->t, m->param[i]);
    m->w = vec(m->n, 0, 0.5);
    m->v = vec(m->n, 1, 1);
    m->g = vec(m->n, 0, 0);
    m->hv = vec(m->n, 0, 0);
    for (int i = 0; i < N_PARAM; i++) {
        vlt_bind(m->t, m->param[i], m->w + at, m->g + at, m->v + at, m->hv + at);
        at += vlt_size(m->t, m->param[i]);
    }
    for (int i = 0; i < N_DATA; i++) {
        m->d[i] = vec(vlt_size(m->t, m->data[i]), 2 + (uint64_t)i, 1);
        vlt_bind(m->t, m->data[i], m->d[i], NULL, NULL, NULL);
    }
}

static void net_close(net *m)
{
    vlt_tape_free(m->t);
    free(m->w);
    free(m->g);
    free(m->v);
    free(m->hv);
    for (int i = 0; i < N_DATA; i++)
        free(m->d[i]);
}

static void sweeps(net *m)
{
    vlt_forward(m->t);
    vlt_backward(m->t, m->loss);
    vlt_tangent(m->t, m->loss);
}

static void axpy(vl_real *y, double a, const vl_real *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] += a * x[i];
}

static vl_real *keep(const vl_real *p, size_t n)
{
    vl_real *c = vec(n, 0, 0);

    memcpy(c, p, n * sizeof *c);
    return c;
}

/* ---- derivatives ----------------------------------------------------------------------------- */

static void test_gradient(void **state)
{
    vl_real d[2], exact;
    net m;

    (void)state;
    net_open(&m, NULL, VLT_DATA);
    sweeps(&m);
    exact = vec_dot(m.g, m.v, m.n);
    for (int k = 0; k < 2; k++) {
        double h = k ? H / 2 : H, plus;
        vl_real *w = keep(m.w, m.n);
        axpy(m.w, h, m.v, m.n);
        vlt_forward(m.t);
        plus = vlt_x(m.t, m.loss)[0];
        memcpy(m.w, w, m.n * sizeof *w);
        axpy(m.w, -h, m.v, m.n);
        vlt_forward(m.t);
        d[k] = (plus - vlt_x(m.t, m.loss)[0]) / (2 * h);
        memcpy(m.w, w, m.n * sizeof *w);
        free(w);
    }
    assert_true(fabs(exact) > 1e-3);
    differ_judge("net", "gradient along v", &d[0], &d[1], &exact, 1, H, 1);
    net_close(&m);
}

/* out = (g(x + h dx) - g(x - h dx)) / 2h, x: n reals that the tape reads */
static void grad_difference(net *m, vl_real *x, const vl_real *dx, size_t n, double h, vl_real *out)
{
    vl_real *x0 = keep(x, n);

    axpy(x, h, dx, n);
    vlt_forward(m->t);
    vlt_backward(m->t, m->loss);
    memcpy(out, m->g, m->n * sizeof *out);
    memcpy(x, x0, n * sizeof *x);
    axpy(x, -h, dx, n);
    vlt_forward(m->t);
    vlt_backward(m->t, m->loss);
    for (size_t i = 0; i < m->n; i++)
        out[i] = (out[i] - m->g[i]) / (2 * h);
    memcpy(x, x0, n * sizeof *x);
    free(x0);
}

static void test_hessian_vector(void **state)
{
    vl_real *d1, *d2, *hv;
    net m;

    (void)state;
    net_open(&m, NULL, VLT_DATA);
    sweeps(&m);
    hv = keep(m.hv, m.n);
    d1 = vec(m.n, 0, 0);
    d2 = vec(m.n, 0, 0);
    grad_difference(&m, m.w, m.v, m.n, H, d1);
    grad_difference(&m, m.w, m.v, m.n, H / 2, d2);
    assert_true(vec_max(hv, m.n) > 1e-2);
    differ_judge("net", "H v", d1, d2, hv, m.n, H, vec_max(m.g, m.n));
    free(d1);
    free(d2);
    free(hv);
    net_close(&m);
}

static void test_symmetry(void **state)
{
    vl_real *u, *v, *hv;
    double uhv, vhu;
    net m;

    (void)state;
    net_open(&m, NULL, VLT_DATA);
    sweeps(&m);
    hv = keep(m.hv, m.n);
    v = keep(m.v, m.n);
    u = vec(m.n, 40, 1);
    memcpy(m.v, u, m.n * sizeof *u);
    vlt_tangent(m.t, m.loss); /* again on the same forward and backward */
    uhv = vec_dot(u, hv, m.n);
    vhu = vec_dot(v, m.hv, m.n);
    if (!(fabs(uhv - vhu) <= 1e-12 * vec_dot_abs(u, hv, m.n)) || fabs(uhv) < 1e-2)
        fail_msg("<u,Hv> = %.17g, <v,Hu> = %.17g", uhv, vhu);
    free(u);
    free(v);
    free(hv);
    net_close(&m);
}

/* gxt of a data leaf is d<v, g> / d(data): held along a random direction. */
static void test_mixed(void **state)
{
    net m;

    (void)state;
    net_open(&m, NULL, VLT_DATA);
    for (int i = 0; i < N_DATA; i++) {
        size_t n = vlt_size(m.t, m.data[i]);
        vl_real *dx = vec(n, 50 + (uint64_t)i, 1), *dg = vec(m.n, 0, 0), d[2], exact;
        sweeps(&m);
        assert_null(vlt_gx(m.t, m.data[i]));
        assert_null(vlt_xt(m.t, m.data[i]));
        exact = vec_dot(vlt_gxt(m.t, m.data[i]), dx, n);
        assert_true(fabs(exact) > 1e-3);
        for (int k = 0; k < 2; k++) {
            grad_difference(&m, m.d[i], dx, n, k ? H / 2 : H, dg);
            d[k] = vec_dot(m.v, dg, m.n);
        }
        differ_judge(i ? "text" : "image", "d<v,g>/d(data)", &d[0], &d[1], &exact, 1, H,
                     vec_dot_abs(m.v, m.g, m.n));
        free(dx);
        free(dg);
    }
    net_close(&m);
}

/* With all leaves as parameters the same sweep moves the data too: R{g} along (v, dx). */
static void test_joint_direction(void **state)
{
    vl_real *hv, *both, *mixed;
    net m;

    (void)state;
    net_open(&m, NULL, VLT_PARAM);
    for (int i = 0; i < N_DATA; i++)
        memset(vlt_xt(m.t, m.data[i]), 0, vlt_size(m.t, m.data[i]) * sizeof(vl_real));
    sweeps(&m);
    hv = keep(m.hv, m.n);
    for (int i = 0; i < N_DATA; i++)
        vl_rng_normal(7, 60 + (uint64_t)i, vlt_size(m.t, m.data[i]), 1, vlt_xt(m.t, m.data[i]));
    vlt_tangent(m.t, m.loss);
    both = keep(m.hv, m.n);
    memset(m.v, 0, m.n * sizeof *m.v);
    vlt_tangent(m.t, m.loss);
    mixed = m.hv;
    for (size_t i = 0; i < m.n; i++)
        if (!(fabs(both[i] - hv[i] - mixed[i]) <= 1e-12 * (1 + vec_max(both, m.n))))
            fail_msg("the tangent sweep is not linear at parameter %zu", i);
    assert_true(vec_max(mixed, m.n) > 1e-2);
    free(hv);
    free(both);
    net_close(&m);
}

/* ---- bits ------------------------------------------------------------------------------------ */

static void same_bits(const net *a, const net *b, const char *what)
{
    if (memcmp(vlt_x(a->t, a->loss), vlt_x(b->t, b->loss), sizeof(vl_real)) ||
        memcmp(a->g, b->g, a->n * sizeof *a->g) || memcmp(a->hv, b->hv, a->n * sizeof *a->hv))
        fail_msg("other bits %s", what);
    for (int i = 0; i < N_DATA; i++)
        if (memcmp(vlt_gxt(a->t, a->data[i]), vlt_gxt(b->t, b->data[i]),
                   vlt_size(a->t, a->data[i]) * sizeof(vl_real)))
            fail_msg("other bits in data leaf %d %s", i, what);
}

static void test_threads_and_repeats(void **state)
{
    net a;

    (void)state;
    net_open(&a, NULL, VLT_DATA);
    sweeps(&a);
    for (int threads = 1; threads <= 3; threads++) {
        vl_pool *pool = NULL;
        vl_err e = {0};
        net b;
        assert_int_equal(vl_pool_new(threads, &pool, &e), VL_OK);
        net_open(&b, pool, VLT_DATA);
        sweeps(&b);
        same_bits(&a, &b, "with more threads");
        axpy(b.w, 1, b.v, b.n); /* elsewhere and back: nothing of it may stay */
        sweeps(&b);
        memcpy(b.w, a.w, a.n * sizeof *a.w);
        sweeps(&b);
        same_bits(&a, &b, "the second time");
        net_close(&b);
        vl_pool_free(pool);
    }
    net_close(&a);
}

/* ---- recording errors ------------------------------------------------------------------------ */

static const size_t d4[] = {2, 5, 5, 3}, dw[] = {3, 3, 3, 4}, d2[] = {2, 3}, d1[] = {4};

static vlt_id leaf(vlt_tape *t, int rank, const size_t *dim)
{
    return vlt_leaf(t, VLT_PARAM, rank, dim);
}
static void bad_flow(vlt_tape *t)
{
    vlt_leaf(t, VLT_T | VLT_GT, 1, d1);
}
static void bad_rank(vlt_tape *t)
{
    vlt_leaf(t, VLT_PARAM, 5, (size_t[]){1, 1, 1, 1, 1});
}
static void bad_zero(vlt_tape *t)
{
    leaf(t, 2, (size_t[]){3, 0});
}
static void bad_huge(vlt_tape *t)
{
    leaf(t, 4, (size_t[]){1 << 30, 1 << 30, 1 << 30, 1 << 30});
}
static void bad_wide(vlt_tape *t)
{
    leaf(t, 1, (size_t[]){(size_t)1 << 31});
}
static void bad_long(vlt_tape *t)
{
    for (int i = 0; i < 5000; i++)
        leaf(t, 1, d1);
}
static void bad_id(vlt_tape *t)
{
    vlt_gelu(t, 3);
}
static void bad_negative(vlt_tape *t)
{
    vlt_gelu(t, -1);
}
static void bad_channels(vlt_tape *t)
{
    vlt_conv2d(t, leaf(t, 4, d4), leaf(t, 4, (size_t[]){3, 3, 2, 4}), leaf(t, 1, d1), 1, 1);
}
static void bad_conv_bias(vlt_tape *t)
{
    vlt_conv2d(t, leaf(t, 4, d4), leaf(t, 4, dw), leaf(t, 1, (size_t[]){3}), 1, 1);
}
static void bad_conv_flow(vlt_tape *t)
{
    vlt_conv2d(t, leaf(t, 4, d4), leaf(t, 4, dw), vlt_leaf(t, VLT_CONST, 1, d1), 1, 1);
}
static void bad_stride(vlt_tape *t)
{
    vlt_conv2d(t, leaf(t, 4, d4), leaf(t, 4, dw), leaf(t, 1, d1), 0, 1);
}
static void bad_pad(vlt_tape *t)
{
    vlt_conv2d(t, leaf(t, 4, d4), leaf(t, 4, dw), leaf(t, 1, d1), 1, 3);
}
static void bad_small(vlt_tape *t)
{
    vlt_conv2d(t, leaf(t, 4, (size_t[]){1, 2, 9, 3}), leaf(t, 4, dw), leaf(t, 1, d1), 1, 0);
}
static void bad_patches(vlt_tape *t) /* 2^32 patches of 2^32 numbers */
{
    size_t k = 65536;

    vlt_conv2d(t, leaf(t, 4, (size_t[]){1, 1, 1, 1}), leaf(t, 4, (size_t[]){k, k, 1, 1}),
               leaf(t, 1, (size_t[]){1}), 1, 65535);
}
static void bad_linear(vlt_tape *t)
{
    vlt_linear(t, leaf(t, 2, d2), leaf(t, 2, (size_t[]){4, 4}), leaf(t, 1, d1));
}
static void bad_pool(vlt_tape *t)
{
    vlt_meanpool(t, leaf(t, 2, d2));
}
static void bad_norm(vlt_tape *t)
{
    vlt_l2norm(t, leaf(t, 1, d1));
}
static void bad_logits(vlt_tape *t)
{
    vlt_logits(t, leaf(t, 2, d2), leaf(t, 2, (size_t[]){3, 3}), 1);
}
static void bad_square(vlt_tape *t)
{
    vlt_infonce(t, leaf(t, 2, d2));
}
static void bad_then_good(vlt_tape *t) /* the first error is the one reported */
{
    bad_linear(t);
    bad_square(t);
    vlt_gelu(t, leaf(t, 1, d1));
}

static const struct {
    const char *name, *text;
    void (*record)(vlt_tape *t);
} errors[] = {
    {"flow without G", "leaf of rank 1 with flow 6", bad_flow},
    {"rank 5", "leaf of rank 5", bad_rank},
    {"zero dimension", "dimension 1 of a tensor is 0", bad_zero},
    {"2^120 elements", "dimension 1 of a tensor is 1073741824", bad_huge},
    {"dimension past int", "dimension 0 of a tensor is 2147483648", bad_wide},
    {"tape too long", "more than 4096 nodes", bad_long},
    {"unknown input", "gelu: input 0 is not a node", bad_id},
    {"negative input", "gelu: input 0 is not a node", bad_negative},
    {"conv channels", "conv2d: shapes do not fit", bad_channels},
    {"conv bias", "conv2d: shapes do not fit", bad_conv_bias},
    {"conv flows", "conv2d: shapes do not fit", bad_conv_flow},
    {"conv stride", "conv2d: stride 0, pad 1, kernel 3", bad_stride},
    {"conv pad", "conv2d: stride 1, pad 3, kernel 3", bad_pad},
    {"image under kernel", "kernel 3 do not fit 2 x 9", bad_small},
    {"patches overflow", "conv2d: ", bad_patches},
    {"linear shapes", "linear: shapes do not fit", bad_linear},
    {"meanpool rank", "meanpool: input has rank 2", bad_pool},
    {"l2norm rank", "l2norm: input has rank 1", bad_norm},
    {"logits shapes", "logits: inputs", bad_logits},
    {"infonce square", "infonce: logits are not square", bad_square},
    {"first error stays", "linear: shapes do not fit", bad_then_good},
};

static void test_errors(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        vlt_tape *t = NULL;
        vl_err e = {0};
        assert_int_equal(vlt_tape_new(NULL, true, &t, &e), VL_OK);
        errors[i].record(t);
        if (vlt_plan(t, &e) != VL_EARG || e.code != VL_EARG || !strstr(e.text, errors[i].text))
            fail_msg("%s: code %d, \"%s\"", errors[i].name, e.code, e.text);
        vlt_tape_free(t);
    }
}

/* Without tangents a tape keeps gradients only. */
static void test_no_tangents(void **state)
{
    vlt_tape *t = NULL;
    vl_err e = {0};
    vlt_id x, y;

    (void)state;
    assert_int_equal(vlt_tape_new(NULL, false, &t, &e), VL_OK);
    x = vlt_leaf(t, VLT_PARAM, 1, d1);
    y = vlt_gelu(t, x);
    assert_int_equal(vlt_plan(t, &e), VL_OK);
    assert_true(vlt_gx(t, x) && vlt_gx(t, y));
    assert_true(!vlt_xt(t, y) && !vlt_gxt(t, y) && !vlt_xt(t, x) && !vlt_gxt(t, x));
    assert_int_equal(vlt_plan(t, &e), VL_EARG); /* recording has ended */
    vlt_tape_free(t);
    vlt_tape_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gradient),        cmocka_unit_test(test_hessian_vector),
        cmocka_unit_test(test_symmetry),        cmocka_unit_test(test_mixed),
        cmocka_unit_test(test_joint_direction), cmocka_unit_test(test_threads_and_repeats),
        cmocka_unit_test(test_errors),          cmocka_unit_test(test_no_tangents),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
