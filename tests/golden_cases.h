/* SPDX-License-Identifier: MIT
 * golden_cases.h -- the engine against PyTorch's values in tests/golden/torch: t64_golden.c in double, t_golden.c
 * in float, with one bound each on max |difference| / max |reference| of a tensor. */
#ifndef VL_TESTS_GOLDEN_CASES_H
#define VL_TESTS_GOLDEN_CASES_H

#include "distill/unroll.h"
#include "pipeline/model.h"
#include "tests/golden_read.h"
#include "tests/golden_symmetry.h"

enum { STEPS = 8 }; /* as in make_golden.py */

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

static void test_convnet(void **state)
{
    enum { N = 8, BATCH = 4, S = 16, K = 10, D = 6 };
    const vld_inner inner = {.steps = STEPS, .batch = BATCH};
    vld_unroll_result res = {0};
    vld_unroll *u = NULL;
    vld_set set, grad;
    vl_real *start, *target;
    vlm_model m;
    golden g;
    vl_err e = {0};

    (void)state;
    golden_open(&g, "convnet");
    assert_int_equal(vlm_parse("convnet:4x2", S, K, D, GOLDEN_SCALE, &m, &e), VL_OK);
    assert_int_equal(vld_unroll_new(&m, NULL, N, &inner, &u, &e), VL_OK);
    assert_int_equal(vld_set_new(&m, N, &set, &e), VL_OK);
    assert_int_equal(vld_set_new(&m, N, &grad, &e), VL_OK);
    start = golden_new(&g, "start", m.n);
    target = golden_new(&g, "target", m.n);
    golden_read(&g, "x", set.image, N * m.image_n);
    golden_read(&g, "y", set.text, N * K);
    read_pair(&g, "rates", set.rate);
    const vld_window w = {.start = start, .target = target, .warm = 0, .seed = SEED, .iter = ITER};

    if (vld_unroll_run(u, &w, &set, VLD_EXACT, false, &grad, &res, &e))
        fail_msg("convnet: %s", e.text);
    same_pair(&g, "match", res.match);
    golden_same(&g, "g.x", grad.image, N * m.image_n);
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

/* The data of one iteration: a row of each for every pair. */
static const struct heads_leaf {
    const char *name, *gradient;
    vld_set_part part;
    size_t width;
} heads_leaves[H_LEAVES] = {{"x", "g.x", VLD_PART_IMAGE, H_F},
                            {"y", "g.y", VLD_PART_TEXT, H_K},
                            {"l", "g.l", VLD_PART_L, H_R},
                            {"r", "g.r", VLD_PART_R, H_R},
                            {"w", "g.w", VLD_PART_W, 1}};

static const vlm_objective heads_objective = {VLM_WBCE, VLM_SIM_LOWRANK, H_R, 3.0, 1.0};

typedef struct heads_run {
    vlm_model m;
    vld_unroll *u;
    vld_set set, grad;
    vl_real *start, *target;
    vld_unroll_result res;
} heads_run;

static void heads_open(heads_run *h, const golden *g, vld_form form, vl_pool *pool)
{
    const vld_inner inner = {.steps = STEPS, .batch = H_BATCH, .objective = heads_objective, .form = form};
    vl_err e = {0};

    memset(h, 0, sizeof *h);
    assert_int_equal(vlm_parse_heads("heads:12", H_K, H_D, GOLDEN_SCALE, &h->m, &e), VL_OK);
    if (vld_unroll_new(&h->m, pool, H_N, &inner, &h->u, &e))
        fail_msg("heads: %s", e.text);
    assert_int_equal(vld_set_new_for(&h->m, &heads_objective, H_N, &h->set, &e), VL_OK);
    assert_int_equal(vld_set_new_for(&h->m, &heads_objective, H_N, &h->grad, &e), VL_OK);
    for (int k = 0; k < H_LEAVES; k++)
        golden_read(g, heads_leaves[k].name, vld_set_part_of(&h->set, heads_leaves[k].part),
                    H_N * heads_leaves[k].width);
    h->start = golden_new(g, "start", h->m.n);
    h->target = golden_new(g, "target", h->m.n);
    read_pair(g, "rates", h->set.rate);
}

static void heads_close(heads_run *h)
{
    vld_set_free(&h->set);
    vld_set_free(&h->grad);
    vld_unroll_free(h->u);
    free(h->start);
    free(h->target);
}

static void heads_iterate(heads_run *h)
{
    const vld_window w = {.start = h->start, .target = h->target, .warm = 0, .seed = SEED, .iter = ITER};
    vl_err e = {0};

    if (vld_unroll_run(h->u, &w, &h->set, VLD_EXACT, false, &h->grad, &h->res, &e))
        fail_msg("heads: %s", e.text);
}

static void check_heads(vld_form form)
{
    vl_real losses[STEPS];
    heads_run h;
    golden g;

    golden_open(&g, "heads");
    heads_open(&h, &g, form, NULL);
    heads_iterate(&h);
    golden_read(&g, "losses", losses, STEPS);
    assert_true(fabs(h.res.loss_first - (double)losses[0]) <= GOLDEN_BOUND * fabs((double)losses[0]));
    assert_true(fabs(h.res.loss_last - (double)losses[STEPS - 1]) <=
                GOLDEN_BOUND * fabs((double)losses[STEPS - 1]));
    same_pair(&g, "match", h.res.match);
    same_pair(&g, "g.rates", h.grad.rate);
    for (int k = 0; k < H_LEAVES; k++)
        golden_same(&g, heads_leaves[k].gradient, vld_set_part_of(&h.grad, heads_leaves[k].part),
                    H_N * heads_leaves[k].width);
    heads_close(&h);
    golden_close(&g);
}

static void test_heads(void **state)
{
    (void)state;
    check_heads(VLD_FORM_DENSE);
}

static void test_heads_lowrank(void **state)
{
    (void)state;
    check_heads(VLD_FORM_LOWRANK);
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
    heads_open(&one, &g, VLD_FORM_DENSE, NULL);
    heads_open(&two, &g, VLD_FORM_DENSE, pool);
    heads_iterate(&one);
    heads_iterate(&two);
    for (int k = 0; k < H_LEAVES; k++)
        assert_memory_equal(vld_set_part_of(&one.grad, heads_leaves[k].part),
                            vld_set_part_of(&two.grad, heads_leaves[k].part),
                            H_N * heads_leaves[k].width * sizeof(vl_real));
    assert_memory_equal(one.grad.rate, two.grad.rate, sizeof one.grad.rate);
    heads_close(&one);
    heads_close(&two);
    vl_pool_free(pool);
    golden_close(&g);
}

/* <u, Hv> = <v, Hu> on the whole graph, at the first step. */
static void test_heads_symmetry(void **state)
{
    vlm_graph graph;
    heads_run h;
    golden g;
    vl_err e = {0};

    (void)state;
    golden_open(&g, "heads");
    heads_open(&h, &g, VLD_FORM_DENSE, NULL);
    if (vlm_graph_new_for(&h.m, &heads_objective, NULL, H_BATCH, VLM_HAS_BOTH, VLM_ADJOINT, &graph, &e))
        fail_msg("heads: %s", e.text);
    memcpy(vlt_x(graph.tape, graph.x), h.set.image, H_BATCH * H_F * sizeof *h.set.image);
    memcpy(vlt_x(graph.tape, graph.y), h.set.text, H_BATCH * H_K * sizeof *h.set.text);
    memcpy(vlt_x(graph.tape, graph.l), h.set.l, H_BATCH * H_R * sizeof *h.set.l);
    memcpy(vlt_x(graph.tape, graph.r), h.set.r, H_BATCH * H_R * sizeof *h.set.r);
    memcpy(vlt_x(graph.tape, graph.w), h.set.w, H_BATCH * sizeof *h.set.w);
    golden_symmetry(&graph, h.start);
    vlm_graph_free(&graph);
    heads_close(&h);
    golden_close(&g);
}

static const struct CMUnitTest golden_tests[] = {
    cmocka_unit_test(test_losses),        cmocka_unit_test(test_convnet),
    cmocka_unit_test(test_heads),         cmocka_unit_test(test_heads_lowrank),
    cmocka_unit_test(test_heads_threads), cmocka_unit_test(test_heads_symmetry),
};

#endif
