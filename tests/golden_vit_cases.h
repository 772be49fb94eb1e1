/* SPDX-License-Identifier: MIT
 * golden_vit_cases.h -- attention, the vision transformer and one iteration through its low-rank factors against
 * PyTorch's values: t64_golden_vit.c in double, t_golden_vit.c in float. */
#ifndef VL_TESTS_GOLDEN_VIT_CASES_H
#define VL_TESTS_GOLDEN_VIT_CASES_H

#include "distill/unroll.h"
#include "pipeline/model.h"
#include "tests/golden_read.h"
#include "tests/golden_symmetry.h"

/* As in make_golden_vit.py. */
enum { V_SIDE = 16, V_TEXT = 10, V_EMBED = 6, V_BATCH = 3, V_N = 6, V_STEPS = 4 };

static void read_leaf(const golden *g, const char *tensor, vlt_tape *t, vlt_id leaf)
{
    golden_read(g, tensor, vlt_x(t, leaf), vlt_size(t, leaf));
}

/* ---- attention ------------------------------------------------------------------------------- */

static void test_attention(void **state)
{
    enum { B = 4, N = 5, D = 6, HEADS = 3 };
    static const char *const x[] = {"x0", "x1", "x2"}, *const xt[] = {"xt0", "xt1", "xt2"};
    static const char *const gx[] = {"gx0", "gx1", "gx2"}, *const gxt[] = {"gxt0", "gxt1", "gxt2"};
    vlt_id in[3], other, loss;
    vlt_tape *t = NULL;
    golden g;
    vl_err e = {0};

    (void)state;
    golden_open(&g, "attention");
    assert_int_equal(vlt_tape_new(NULL, true, &t, &e), VL_OK);
    for (int i = 0; i < 3; i++)
        in[i] = vlt_leaf(t, VLT_PARAM, 2, (size_t[]){B * N, D});
    other = vlt_leaf(t, VLT_CONST, 2, (size_t[]){B * N, D});
    loss = vlt_l2norm(t, vlt_attention(t, in[0], in[1], in[2], HEADS, N));
    loss = vlt_infonce(t, vlt_logits(t, loss, other, 3));
    if (vlt_plan(t, &e))
        fail_msg("attention: %s", e.text);
    read_leaf(&g, "other", t, other);
    for (int i = 0; i < 3; i++) {
        read_leaf(&g, x[i], t, in[i]);
        golden_read(&g, xt[i], vlt_xt(t, in[i]), B * N * D);
    }
    vlt_forward(t);
    vlt_backward(t, loss);
    vlt_tangent(t, loss);
    golden_same(&g, "loss", vlt_x(t, loss), 1);
    golden_same(&g, "tangent", vlt_xt(t, loss), 1);
    for (int i = 0; i < 3; i++) {
        golden_same(&g, gx[i], vlt_gx(t, in[i]), B * N * D);
        golden_same(&g, gxt[i], vlt_gxt(t, in[i]), B * N * D);
    }
    vlt_tape_free(t);
    golden_close(&g);
}

/* ---- the whole network ----------------------------------------------------------------------- */

static void test_whole(void **state)
{
    vl_real *theta, *grad, *hv;
    vlm_graph graph;
    vlm_model m;
    golden g;
    vl_err e = {0};

    (void)state;
    golden_open(&g, "vit");
    assert_int_equal(vlm_parse("vit:8x2x2/4", V_SIDE, V_TEXT, V_EMBED, GOLDEN_SCALE, &m, &e), VL_OK);
    if (vlm_graph_new(&m, NULL, V_BATCH, VLM_HAS_BOTH, VLM_ADJOINT, &graph, &e))
        fail_msg("vit: %s", e.text);
    theta = golden_new(&g, "theta", m.n);
    grad = calloc(m.n, sizeof *grad);
    hv = calloc(m.n, sizeof *hv);
    assert_true(grad && hv);
    read_leaf(&g, "x", graph.tape, graph.x);
    read_leaf(&g, "y", graph.tape, graph.y);
    vlm_bind(&graph, theta, grad, grad, hv); /* along the gradient itself */
    vlt_forward(graph.tape);
    vlt_backward(graph.tape, graph.loss);
    vlt_tangent(graph.tape, graph.loss);
    golden_same(&g, "u", vlt_x(graph.tape, graph.u), V_BATCH * V_EMBED);
    golden_same(&g, "loss", vlt_x(graph.tape, graph.loss), 1);
    golden_same(&g, "grad", grad, m.n);
    golden_same(&g, "hv", hv, m.n);
    free(theta);
    free(grad);
    free(hv);
    vlm_graph_free(&graph);
    golden_close(&g);
}

/* ---- one iteration through the factors ------------------------------------------------------- */

typedef struct lora_run {
    vlm_model m;
    vld_unroll *u;
    vld_set set, grad;
    vld_unroll_result res;
    vl_real *base, *start, *target;
} lora_run;

static void lora_open(lora_run *r, const golden *g, vl_pool *pool)
{
    const vld_inner inner = {.steps = V_STEPS, .batch = V_BATCH};
    vl_err e = {0};

    memset(r, 0, sizeof *r);
    assert_int_equal(
        vlm_parse("vit:8x2x2/4,lora=2,alpha=3", V_SIDE, V_TEXT, V_EMBED, GOLDEN_SCALE, &r->m, &e), VL_OK);
    r->base = golden_new(g, "base", r->m.n_base);
    r->m.base = r->base;
    if (vld_unroll_new(&r->m, pool, V_N, &inner, &r->u, &e))
        fail_msg("lora: %s", e.text);
    assert_int_equal(vld_set_new(&r->m, V_N, &r->set, &e), VL_OK);
    assert_int_equal(vld_set_new(&r->m, V_N, &r->grad, &e), VL_OK);
    r->start = golden_new(g, "start", r->m.n);
    r->target = golden_new(g, "target", r->m.n);
    golden_read(g, "x", r->set.image, V_N * r->m.image_n);
    golden_read(g, "y", r->set.text, V_N * V_TEXT);
    read_pair(g, "rates", r->set.rate);
}

static void lora_close(lora_run *r)
{
    vld_set_free(&r->set);
    vld_set_free(&r->grad);
    vld_unroll_free(r->u);
    free(r->base);
    free(r->start);
    free(r->target);
}

static void lora_iterate(lora_run *r)
{
    const vld_window w = {.start = r->start, .target = r->target, .warm = 0, .seed = SEED, .iter = ITER};
    vl_err e = {0};

    if (vld_unroll_run(r->u, &w, &r->set, VLD_EXACT, false, &r->grad, &r->res, &e))
        fail_msg("lora: %s", e.text);
}

static void test_lora(void **state)
{
    vl_real losses[V_STEPS];
    lora_run r;
    golden g;

    (void)state;
    golden_open(&g, "lora");
    lora_open(&r, &g, NULL);
    lora_iterate(&r);
    golden_read(&g, "losses", losses, V_STEPS); /* of which the first and the last come out */
    losses[0] = (vl_real)r.res.loss_first;
    losses[V_STEPS - 1] = (vl_real)r.res.loss_last;
    golden_same(&g, "losses", losses, V_STEPS);
    same_pair(&g, "match", r.res.match);
    golden_same(&g, "g.x", r.grad.image, V_N * r.m.image_n);
    golden_same(&g, "g.y", r.grad.text, V_N * V_TEXT);
    same_pair(&g, "g.rates", r.grad.rate);
    lora_close(&r);
    golden_close(&g);
}

/* The same bytes at any number of threads. */
static void test_lora_threads(void **state)
{
    lora_run one, three;
    vl_pool *pool = NULL;
    golden g;
    vl_err e = {0};

    (void)state;
    golden_open(&g, "lora");
    assert_int_equal(vl_pool_new(3, &pool, &e), VL_OK);
    lora_open(&one, &g, NULL);
    lora_open(&three, &g, pool);
    lora_iterate(&one);
    lora_iterate(&three);
    assert_memory_equal(one.grad.image, three.grad.image, V_N * one.m.image_n * sizeof(vl_real));
    assert_memory_equal(one.grad.text, three.grad.text, V_N * V_TEXT * sizeof(vl_real));
    assert_memory_equal(one.grad.rate, three.grad.rate, sizeof one.grad.rate);
    lora_close(&one);
    lora_close(&three);
    vl_pool_free(pool);
    golden_close(&g);
}

/* At the whole network's weights, and at the factors'. */
static void test_symmetry(void **state)
{
    static const char *const specs[] = {"vit:8x2x2/4", "vit:8x2x2/4,lora=2,alpha=3"};

    (void)state;
    for (int i = 0; i < 2; i++) {
        vlm_graph graph;
        vl_real *theta;
        vlm_model m;
        golden g;
        vl_err e = {0};
        golden_open(&g, i ? "lora" : "vit");
        assert_int_equal(vlm_parse(specs[i], V_SIDE, V_TEXT, V_EMBED, GOLDEN_SCALE, &m, &e), VL_OK);
        if (vlm_graph_new(&m, NULL, V_BATCH, VLM_HAS_BOTH, VLM_ADJOINT, &graph, &e))
            fail_msg("%s: %s", specs[i], e.text);
        theta = golden_new(&g, i ? "start" : "theta", m.n);
        vl_rng_normal(1, 3, V_BATCH * m.image_n, 1, vlt_x(graph.tape, graph.x));
        vl_rng_normal(1, 4, V_BATCH * V_TEXT, 1, vlt_x(graph.tape, graph.y));
        golden_symmetry(&graph, theta);
        free(theta);
        vlm_graph_free(&graph);
        golden_close(&g);
    }
}

static const struct CMUnitTest golden_vit_tests[] = {
    cmocka_unit_test(test_attention),    cmocka_unit_test(test_whole),    cmocka_unit_test(test_lora),
    cmocka_unit_test(test_lora_threads), cmocka_unit_test(test_symmetry),
};

#endif
