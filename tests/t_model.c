/* SPDX-License-Identifier: MIT
 * t_model.c -- specs of heads, their parameters and initial weights; objectives; what masks and blends depend on. */
#include "pipeline/model.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { F = 12, K = 9, D = 16, B = 6 };

static void parse(vlm_model *m, const char *spec)
{
    vl_err e = {0};

    if (vlm_parse_heads(spec, K, D, 10, m, &e))
        fail_msg("%s: %s", spec, e.text);
}

static void test_specs(void **state)
{
    static const struct {
        const char *spec, *canonical;
        size_t features;
        double dropout;
    } good[] = {{"heads:2304", "heads:2304", 2304, 0.1},
                {"heads:1", "heads:1", 1, 0.1},
                {"heads:065536", "heads:65536", 65536, 0.1},
                {"heads:12,dropout=0.10", "heads:12", 12, 0.1},
                {"heads:12,dropout=0", "heads:12,dropout=0", 12, 0},
                {"heads:12,dropout=.25", "heads:12,dropout=0.25", 12, 0.25},
                {"heads:12,dropout=0.00001", "heads:12,dropout=0.00001", 12, 0.00001},
                {"heads:12,dropout=0.00000001", "heads:12,dropout=0", 12, 0},
                {"heads:12,dropout=0.123456789", "heads:12,dropout=0.123457", 12, 0.123457}};
    static const char *const bad[] = {"",
                                      "heads",
                                      "heads:",
                                      "heads:0",
                                      "heads:65537",
                                      "heads:1234567",
                                      "heads:99999999999999999999",
                                      "heads:-3",
                                      "heads: 3",
                                      "heads:12x",
                                      "heads:12,",
                                      "heads:12,dropout=",
                                      "heads:12,dropout=1",
                                      "heads:12,dropout=0.9999999999",
                                      "heads:12,dropout=-0.1",
                                      "heads:12,dropout=nan",
                                      "heads:12,dropout=0.1.2",
                                      "heads:12,dropout=.",
                                      "convnet:64x2"};

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        vlm_model m, again;
        parse(&m, good[i].spec);
        assert_string_equal(m.spec, good[i].canonical);
        assert_true(m.kind == VLM_HEADS && m.image_n == good[i].features && m.dropout == good[i].dropout);
        parse(&again, m.spec);
        assert_memory_equal(&m, &again, sizeof m);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        vlm_model m;
        vl_err e = {0};
        if (vlm_parse_heads(bad[i], K, D, 10, &m, &e) != VL_EARG)
            fail_msg("'%s' was accepted", bad[i]);
    }
}

static void test_sizes(void **state)
{
    static const size_t bad[][2] = {{0, D}, {K, 0}, {65537, D}, {K, 65537}};
    vlm_model m;
    vl_err e = {0};

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(vlm_parse_heads("heads:12", bad[i][0], bad[i][1], 10, &m, &e), VL_EARG);
    assert_int_equal(vlm_parse("heads:12", 32, K, D, 10, &m, &e), VL_EARG); /* pixels go to a convnet */
    assert_int_equal(vlm_parse("convnet:8x2", 32, K, D, 10, &m, &e), VL_OK);
    assert_true(m.kind == VLM_CONVNET && m.image_n == 32 * 32 * 3);
}

static void test_parameters(void **state)
{
    static const char *const names[] = {
        "image.projection.weight", "image.projection.bias", "image.fc.weight",        "image.fc.bias",
        "image.layer_norm.weight", "image.layer_norm.bias", "text.projection.weight", "text.projection.bias",
        "text.fc.weight",          "text.fc.bias",          "text.layer_norm.weight", "text.layer_norm.bias"};
    vlm_model m;
    size_t at = 0;

    (void)state;
    parse(&m, "heads:12");
    assert_int_equal(m.n_params, 12);
    for (int i = 0; i < m.n_params; i++) {
        assert_string_equal(m.param[i].name, names[i]);
        assert_int_equal(m.param[i].offset, at);
        assert_int_equal(m.param[i].branch, i < 6 ? VLM_IMAGE : VLM_TEXT);
        at += m.param[i].n;
    }
    assert_int_equal(m.n, at);
    assert_int_equal(m.begin[VLM_TEXT], F * D + D + D * D + D + 2 * D);
    assert_int_equal(m.begin[VLM_BRANCHES], m.n);
    assert_true(m.macs == F * D + K * D + 2 * D * D);
    assert_int_equal(vlm_parse_heads("heads:2304", 768, 2304, 10, &m, &(vl_err){0}), VL_OK);
    assert_int_equal(m.begin[VLM_TEXT], 10626048); /* the published sizes */
    assert_int_equal(m.n - m.begin[VLM_TEXT], 7087104);
}

/* Weights and biases of variance 1 / 3 fan-in; gains 1, shifts 0. */
static void test_initial(void **state)
{
    vl_real *theta;
    vlm_model m;
    vl_err e = {0};

    (void)state;
    assert_int_equal(vlm_parse_heads("heads:90", 60, 80, 10, &m, &e), VL_OK);
    theta = malloc(m.n * sizeof *theta);
    assert_non_null(theta);
    vlm_init(&m, 1, 0, theta);
    for (int i = 0; i < m.n_params; i++) {
        const vlm_param *p = &m.param[i];
        double sq = 0, fan_in = i % 6 > 1 ? 80 : i < 6 ? 90 : 60;
        for (size_t k = 0; k < p->n; k++) {
            double v = (double)theta[p->offset + k];
            if (i % 6 > 3)
                assert_true(v == (i % 6 == 4));
            sq += v * v;
        }
        if (i % 6 < 4)
            assert_true(fabs(sq / (double)p->n * 3 * fan_in - 1) < 5 * sqrt(2 / (double)p->n));
    }
    free(theta);
}

/* ---- graphs ---------------------------------------------------------------------------------- */

typedef struct world {
    vlm_model m;
    vlm_graph g;
    vl_real *theta;
} world;

static void open_world(world *w, const char *spec, const vlm_objective *o, int sides, vlm_use use)
{
    vl_err e = {0};

    parse(&w->m, spec);
    w->theta = malloc(w->m.n * sizeof *w->theta);
    assert_non_null(w->theta);
    vlm_init(&w->m, 3, 0, w->theta);
    if (vlm_graph_new_for(&w->m, o, NULL, B, sides, use, &w->g, &e))
        fail_msg("%s", e.text);
    vlm_bind(&w->g, w->theta, NULL, NULL, NULL);
    for (int k = 0; k < B * F; k++)
        vlt_x(w->g.tape, w->g.x)[k] = VL_R(0.1) * (vl_real)(k * k % 31) - 1;
    for (int k = 0; w->g.y >= 0 && k < B * K; k++)
        vlt_x(w->g.tape, w->g.y)[k] = VL_R(0.1) * (vl_real)(k * k % 29) - 1;
}

static void close_world(world *w)
{
    vlm_graph_free(&w->g);
    free(w->theta);
}

static double loss_at(world *w, uint64_t seed, uint64_t iter, uint64_t step)
{
    vlt_draw(w->g.tape, seed, iter, step);
    vlt_forward(w->g.tape);
    return (double)vlt_x(w->g.tape, w->g.loss)[0];
}

/* Seed, iteration and step all matter; the same three give the same bits. */
static void check_draws(const char *spec, double blend, bool matters)
{
    const vlm_objective o = {.loss = VLM_WBCE, .blend = blend};
    double one, again;
    world w;

    open_world(&w, spec, &o, VLM_HAS_BOTH, VLM_TRAIN);
    one = loss_at(&w, 1, 2, 3);
    assert_int_equal(loss_at(&w, 2, 2, 3) != one, matters);
    assert_int_equal(loss_at(&w, 1, 3, 3) != one, matters);
    assert_int_equal(loss_at(&w, 1, 2, 4) != one, matters);
    again = loss_at(&w, 1, 2, 3);
    assert_true(again == one);
    close_world(&w);
}

static void test_draws(void **state)
{
    (void)state;
    check_draws("heads:12", 0, true);
    check_draws("heads:12,dropout=0", 1, true);
    check_draws("heads:12,dropout=0", 0, false);
}

/* Embedding drops nothing: the embedding of a head with dropout is that of one without. */
static void test_embed(void **state)
{
    const vlm_objective o = {.blend = 1};
    world a, b;

    (void)state;
    open_world(&a, "heads:12,dropout=0.5", &o, VLM_HAS_IMAGE, VLM_EMBED);
    open_world(&b, "heads:12,dropout=0", NULL, VLM_HAS_IMAGE, VLM_EMBED);
    vlt_draw(a.g.tape, 1, 2, 3);
    vlt_forward(a.g.tape);
    vlt_forward(b.g.tape);
    assert_memory_equal(vlt_x(a.g.tape, a.g.u), vlt_x(b.g.tape, b.g.u), B * D * sizeof(vl_real));
    assert_true(a.g.loss == -1 && a.g.v == -1);
    close_world(&a);
    close_world(&b);
}

/* No similarity, the identity in full, and diag(1) + 0 are one loss; ence of it is infonce. */
static void test_identities(void **state)
{
    static const vlm_loss losses[] = {VLM_BCE, VLM_WBCE, VLM_ENCE};

    (void)state;
    for (size_t i = 0; i < sizeof losses / sizeof *losses; i++) {
        double value[3];
        for (int sim = VLM_SIM_NONE; sim <= VLM_SIM_LOWRANK; sim++) {
            const vlm_objective o = {.loss = losses[i], .sim = (vlm_sim)sim, .rank = 2, .alpha = 3};
            world w;
            open_world(&w, "heads:12", &o, VLM_HAS_BOTH, VLM_ADJOINT);
            for (size_t k = 0; sim == VLM_SIM_LOWRANK && k < B; k++) {
                vlt_x(w.g.tape, w.g.w)[k] = 1;
                vlt_x(w.g.tape, w.g.l)[k] = 5; /* r is zero */
            }
            value[sim] = loss_at(&w, 1, 2, 3);
            assert_int_equal(w.g.s >= 0, sim != VLM_SIM_LOWRANK);
            assert_int_equal(w.g.l >= 0, sim == VLM_SIM_LOWRANK);
            close_world(&w);
        }
        assert_true(value[0] == value[1] && value[0] == value[2]);
        if (losses[i] == VLM_ENCE) {
            world w;
            open_world(&w, "heads:12", NULL, VLM_HAS_BOTH, VLM_TRAIN);
            assert_true(fabs(loss_at(&w, 1, 2, 3) - value[0]) <= 1e-6 * value[0]);
            close_world(&w);
        }
    }
}

static void test_objectives_refused(void **state)
{
    static const vlm_objective bad[] = {{.loss = VLM_INFONCE, .sim = VLM_SIM_FULL},
                                        {.loss = VLM_WBCE, .sim = VLM_SIM_LOWRANK, .rank = 0},
                                        {.loss = VLM_WBCE, .sim = VLM_SIM_LOWRANK, .rank = 65537},
                                        {.loss = VLM_WBCE, .blend = -1},
                                        {.loss = VLM_WBCE, .blend = NAN},
                                        {.loss = VLM_WBCE, .blend = 1001}};
    vlm_model m;

    (void)state;
    parse(&m, "heads:12");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        vlm_graph g;
        vl_err e = {0};
        if (vlm_graph_new_for(&m, &bad[i], NULL, B, VLM_HAS_BOTH, VLM_TRAIN, &g, &e) != VL_EARG || !e.text[0])
            fail_msg("objective %zu was accepted", i);
        vlm_graph_free(&g);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_specs),      cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_parameters), cmocka_unit_test(test_initial),
        cmocka_unit_test(test_draws),      cmocka_unit_test(test_embed),
        cmocka_unit_test(test_identities), cmocka_unit_test(test_objectives_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
