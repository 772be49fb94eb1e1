/* SPDX-License-Identifier: MIT
 * golden_cases.h -- the engine against PyTorch's values in tests/golden/torch: t64_golden.c in double, t_golden.c
 * in float, with one bound each on max |difference| / max |reference| of a tensor. */
#ifndef VL_TESTS_GOLDEN_CASES_H
#define VL_TESTS_GOLDEN_CASES_H

#include "distill/unroll.h"
#include "pipeline/model.h"
#include "tests/golden_file.h"

enum { STEPS = 8, SEED = 5, ITER = 3 }; /* as in make_golden.py */
static const double golden_scale = 1 / 0.07;

/* ---- losses ---------------------------------------------------------------------------------- */

typedef vlt_id (*record_fn)(vlt_tape *t, const vlt_id *in);

static vlt_id record_infonce(vlt_tape *t, const vlt_id *in)
{
    return vlt_infonce(t, in[0]);
}
static vlt_id record_bce(vlt_tape *t, const vlt_id *in)
{
    return vlt_bce(t, in[0], in[1]);
}
static vlt_id record_wbce(vlt_tape *t, const vlt_id *in)
{
    return vlt_wbce(t, in[0], in[1]);
}
static vlt_id record_ence(vlt_tape *t, const vlt_id *in)
{
    return vlt_ence(t, in[0], in[1]);
}
static vlt_id record_wbce_lowrank(vlt_tape *t, const vlt_id *in)
{
    return vlt_wbce(t, in[0], vlt_lowrank(t, in[1], in[2], in[3], 3.0 / 3));
}

static const struct loss_case {
    const char *name;
    record_fn record;
    int n_in;
} loss_cases[] = {
    {"infonce", record_infonce, 1},
    {"bce", record_bce, 2},
    {"wbce", record_wbce, 2},
    {"ence", record_ence, 2},
    {"wbce_lowrank", record_wbce_lowrank, 4},
};

static const char *loss_key(const struct loss_case *c, const char *what, int i)
{
    static char key[64];

    if (i < 0)
        snprintf(key, sizeof key, "%s.%s", c->name, what);
    else
        snprintf(key, sizeof key, "%s.%s%d", c->name, what, i);
    return key;
}

static void check_loss(const golden *g, const struct loss_case *c)
{
    vlt_tape *t = NULL;
    vlt_id in[4], loss;
    vl_err e = {0};

    assert_int_equal(vlt_tape_new(NULL, true, &t, &e), VL_OK);
    for (int i = 0; i < c->n_in; i++) {
        const vl_npy *a = golden_find(g, loss_key(c, "x", i));
        size_t dim[2];
        assert_non_null(a);
        for (int k = 0; k < a->rank; k++)
            dim[k] = (size_t)a->shape[k];
        in[i] = vlt_leaf(t, VLT_PARAM, a->rank, dim);
    }
    loss = c->record(t, in);
    if (vlt_plan(t, &e))
        fail_msg("%s: %s", c->name, e.text);
    for (int i = 0; i < c->n_in; i++) {
        golden_read(g, loss_key(c, "x", i), vlt_x(t, in[i]), vlt_size(t, in[i]));
        golden_read(g, loss_key(c, "xt", i), vlt_xt(t, in[i]), vlt_size(t, in[i]));
    }
    vlt_forward(t);
    vlt_backward(t, loss);
    vlt_tangent(t, loss);
    golden_same(g, loss_key(c, "loss", -1), vlt_x(t, loss), 1);
    golden_same(g, loss_key(c, "tangent", -1), vlt_xt(t, loss), 1);
    for (int i = 0; i < c->n_in; i++) {
        golden_same(g, loss_key(c, "gx", i), vlt_gx(t, in[i]), vlt_size(t, in[i]));
        golden_same(g, loss_key(c, "gxt", i), vlt_gxt(t, in[i]), vlt_size(t, in[i]));
    }
    vlt_tape_free(t);
}

static void test_losses(void **state)
{
    golden g;

    (void)state;
    golden_open(&g, "losses");
    for (size_t i = 0; i < sizeof loss_cases / sizeof *loss_cases; i++)
        check_loss(&g, &loss_cases[i]);
    golden_close(&g);
}

/* ---- convnet: what vldistill runs ------------------------------------------------------------ */

static void same_pair(const golden *g, const char *tensor, const double *v)
{
    vl_real pair[2] = {(vl_real)v[0], (vl_real)v[1]};

    golden_same(g, tensor, pair, 2);
}

static void read_pair(const golden *g, const char *tensor, double *v)
{
    vl_err e = {0};

    assert_int_equal(vl_npy_doubles(golden_array(g, tensor, 2), v, &e), VL_OK);
}

static void test_convnet(void **state)
{
    enum { N = 8, BATCH = 4, S = 16, K = 10, D = 6 };
    const vld_inner inner = {STEPS, 0, BATCH, {false, 0}};
    vld_unroll_result res = {0};
    vld_unroll *u = NULL;
    vld_set set, grad;
    vl_real *start, *target;
    vlm_model m;
    golden g;
    vl_err e = {0};

    (void)state;
    golden_open(&g, "convnet");
    assert_int_equal(vlm_parse("convnet:4x2", S, K, D, golden_scale, &m, &e), VL_OK);
    assert_int_equal(vld_unroll_new(&m, NULL, N, &inner, &u, &e), VL_OK);
    assert_int_equal(vld_set_new(&m, N, &set, &e), VL_OK);
    assert_int_equal(vld_set_new(&m, N, &grad, &e), VL_OK);
    start = golden_new(&g, "start", m.n);
    target = golden_new(&g, "target", m.n);
    golden_read(&g, "x", set.pixels, N * m.image_n);
    golden_read(&g, "y", set.text, N * K);
    read_pair(&g, "rates", set.rate);
    const vld_window w = {start, target, 0, SEED, ITER};

    if (vld_unroll_run(u, &w, &set, VLD_EXACT, false, &grad, &res, &e))
        fail_msg("convnet: %s", e.text);
    same_pair(&g, "match", res.match);
    golden_same(&g, "g.x", grad.pixels, N * m.image_n);
    golden_same(&g, "g.y", grad.text, N * K);
    same_pair(&g, "g.rates", grad.rate);
    free(start);
    free(target);
    vld_set_free(&set);
    vld_set_free(&grad);
    vld_unroll_free(u);
    golden_close(&g);
}

/* ---- heads ----------------------------------------------------------------------------------- */

enum { H_N = 11, H_BATCH = 5, H_F = 12, H_K = 9, H_D = 16, H_R = 3, H_LEAVES = 5 };

/* The data of one iteration: a row of each for every pair, and the leaf that takes a batch's rows. */
static const struct heads_leaf {
    const char *name, *gradient;
    size_t width;
} heads_leaves[H_LEAVES] = {
    {"x", "g.x", H_F}, {"y", "g.y", H_K}, {"l", "g.l", H_R}, {"r", "g.r", H_R}, {"w", "g.w", 1}};

typedef struct heads_run {
    vlm_model m;
    vlm_graph g;
    vlt_id leaf[H_LEAVES];
    vl_real *data[H_LEAVES], *out[H_LEAVES];
    vl_real *theta[STEPS + 1], *target, *grad, *v, *hv, *lambda;
    uint32_t rows[STEPS * H_BATCH];
    double rate[2], g_rate[2], match[2];
    vl_real loss[STEPS];
} heads_run;

static vl_real *zeros(size_t n)
{
    vl_real *v = calloc(n, sizeof *v);

    assert_non_null(v);
    return v;
}

static void heads_open(heads_run *h, const golden *g, vl_pool *pool)
{
    const vlm_objective o = {VLM_WBCE, VLM_SIM_LOWRANK, H_R, 3.0, 1.0};
    uint32_t order[H_N];
    vl_err e = {0};

    memset(h, 0, sizeof *h);
    assert_int_equal(vlm_parse_heads("heads:12", H_K, H_D, golden_scale, &h->m, &e), VL_OK);
    if (vlm_graph_new_for(&h->m, &o, pool, H_BATCH, VLM_HAS_BOTH, VLM_ADJOINT, &h->g, &e))
        fail_msg("heads: %s", e.text);
    memcpy(h->leaf, (vlt_id[]){h->g.x, h->g.y, h->g.l, h->g.r, h->g.w}, sizeof h->leaf);
    for (int k = 0; k < H_LEAVES; k++) {
        h->data[k] = golden_new(g, heads_leaves[k].name, H_N * heads_leaves[k].width);
        h->out[k] = zeros(H_N * heads_leaves[k].width);
    }
    h->theta[0] = golden_new(g, "start", h->m.n);
    for (int i = 1; i <= STEPS; i++)
        h->theta[i] = zeros(h->m.n);
    h->target = golden_new(g, "target", h->m.n);
    h->grad = zeros(h->m.n);
    h->v = zeros(h->m.n);
    h->hv = zeros(h->m.n);
    h->lambda = zeros(h->m.n);
    read_pair(g, "rates", h->rate);
    vld_batch_rows(H_N, H_BATCH, SEED, ITER, STEPS, order, h->rows);
}

static void heads_close(heads_run *h)
{
    for (int k = 0; k < H_LEAVES; k++) {
        free(h->data[k]);
        free(h->out[k]);
    }
    for (int i = 0; i <= STEPS; i++)
        free(h->theta[i]);
    free(h->target);
    free(h->grad);
    free(h->v);
    free(h->hv);
    free(h->lambda);
    vlm_graph_free(&h->g);
}

/* Loss and gradient at step i. */
static void heads_gradient(heads_run *h, int i)
{
    vlt_tape *t = h->g.tape;

    vlm_bind(&h->g, h->theta[i], h->grad, h->v, h->hv);
    for (int k = 0; k < H_LEAVES; k++)
        for (size_t b = 0, width = heads_leaves[k].width; b < H_BATCH; b++)
            memcpy(vlt_x(t, h->leaf[k]) + b * width, h->data[k] + h->rows[i * H_BATCH + (int)b] * width,
                   width * sizeof(vl_real));
    vlt_draw(t, SEED, ITER, (uint64_t)i);
    vlt_forward(t);
    vlt_backward(t, h->g.loss);
    h->loss[i] = vlt_x(t, h->g.loss)[0];
}

static void heads_match(heads_run *h)
{
    for (int b = 0; b < VLM_BRANCHES; b++) {
        double num = 0, den = 0;
        for (size_t k = h->m.begin[b]; k < h->m.begin[b + 1]; k++) {
            double a = (double)h->theta[STEPS][k] - (double)h->target[k];
            double c = (double)h->theta[0][k] - (double)h->target[k];
            num += a * a;
            den += c * c;
        }
        h->match[b] = num / den;
        for (size_t k = h->m.begin[b]; k < h->m.begin[b + 1]; k++)
            h->lambda[k] = (vl_real)(2 / den * ((double)h->theta[STEPS][k] - (double)h->target[k]));
    }
}

/* One step of the adjoint: spec/math/adjoint.md. */
static void heads_back(heads_run *h, int i)
{
    heads_gradient(h, i);
    for (int b = 0; b < VLM_BRANCHES; b++)
        for (size_t k = h->m.begin[b]; k < h->m.begin[b + 1]; k++) {
            h->g_rate[b] -= (double)h->lambda[k] * (double)h->grad[k];
            h->v[k] = (vl_real)h->rate[b] * h->lambda[k];
        }
    vlt_tangent(h->g.tape, h->g.loss);
    for (int k = 0; k < H_LEAVES; k++)
        for (size_t j = 0, width = heads_leaves[k].width; j < H_BATCH * width; j++)
            h->out[k][h->rows[i * H_BATCH + (int)(j / width)] * width + j % width] -=
                vlt_gxt(h->g.tape, h->leaf[k])[j];
    for (size_t k = 0; k < h->m.n; k++)
        h->lambda[k] -= h->hv[k];
}

static void heads_iterate(heads_run *h)
{
    for (int i = 0; i < STEPS; i++) {
        heads_gradient(h, i);
        for (int b = 0; b < VLM_BRANCHES; b++)
            for (size_t k = h->m.begin[b]; k < h->m.begin[b + 1]; k++)
                h->theta[i + 1][k] = h->theta[i][k] - (vl_real)h->rate[b] * h->grad[k];
    }
    heads_match(h);
    for (int i = STEPS - 1; i >= 0; i--)
        heads_back(h, i);
}

static void test_heads(void **state)
{
    heads_run h;
    golden g;

    (void)state;
    golden_open(&g, "heads");
    heads_open(&h, &g, NULL);
    heads_iterate(&h);
    golden_same(&g, "losses", h.loss, STEPS);
    same_pair(&g, "match", h.match);
    same_pair(&g, "g.rates", h.g_rate);
    for (int k = 0; k < H_LEAVES; k++)
        golden_same(&g, heads_leaves[k].gradient, h.out[k], H_N * heads_leaves[k].width);
    heads_close(&h);
    golden_close(&g);
}

/* The same bytes at any number of threads. */
static void test_heads_threads(void **state)
{
    golden g;
    heads_run one, two;
    vl_pool *pool = NULL;
    vl_err e = {0};

    (void)state;
    golden_open(&g, "heads");
    assert_int_equal(vl_pool_new(3, &pool, &e), VL_OK);
    heads_open(&one, &g, NULL);
    heads_open(&two, &g, pool);
    heads_iterate(&one);
    heads_iterate(&two);
    for (int k = 0; k < H_LEAVES; k++)
        assert_memory_equal(one.out[k], two.out[k], H_N * heads_leaves[k].width * sizeof(vl_real));
    assert_memory_equal(one.g_rate, two.g_rate, sizeof one.g_rate);
    heads_close(&one);
    heads_close(&two);
    vl_pool_free(pool);
    golden_close(&g);
}

/* <u, Hv> = <v, Hu> on the whole graph, at the first step. */
static void test_heads_symmetry(void **state)
{
    double uhv = 0, vhu = 0, size = 0;
    heads_run h;
    vl_real *u, *hu;
    golden g;

    (void)state;
    golden_open(&g, "heads");
    heads_open(&h, &g, NULL);
    u = zeros(h.m.n);
    hu = zeros(h.m.n);
    vlm_init(&h.m, 1, 1, u);
    vlm_init(&h.m, 1, 2, h.v);
    heads_gradient(&h, 0);
    vlt_tangent(h.g.tape, h.g.loss);
    vlm_bind(&h.g, NULL, NULL, u, hu);
    vlt_tangent(h.g.tape, h.g.loss);
    for (size_t k = 0; k < h.m.n; k++) {
        uhv += (double)u[k] * (double)h.hv[k];
        vhu += (double)h.v[k] * (double)hu[k];
        size += fabs((double)u[k] * (double)h.hv[k]);
    }
    if (!(size > 0 && fabs(uhv - vhu) <= GOLDEN_BOUND * size))
        fail_msg("<u, Hv> = %.17g, <v, Hu> = %.17g", uhv, vhu);
    free(u);
    free(hu);
    heads_close(&h);
    golden_close(&g);
}

static const struct CMUnitTest golden_tests[] = {
    cmocka_unit_test(test_losses),        cmocka_unit_test(test_convnet),        cmocka_unit_test(test_heads),
    cmocka_unit_test(test_heads_threads), cmocka_unit_test(test_heads_symmetry),
};

#endif
