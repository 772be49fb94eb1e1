/* SPDX-License-Identifier: MIT
 * t_model_vit.c -- specs of vision transformers, what is trained and what is frozen, where frozen weights come from,
 * what they cost. */
#include "pipeline/blas.h"
#include "pipeline/model.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { S = 16, K = 9, D = 12, B = 6 };

static void parse(vlm_model *m, const char *spec)
{
    vl_err e = {0};

    if (vlm_parse(spec, S, K, D, 10, m, &e))
        fail_msg("%s: %s", spec, e.text);
}

static void test_specs(void **state)
{
    static const struct {
        const char *spec, *canonical;
        double alpha;
    } good[] = {{"vit:192x4x3/8", "vit:192x4x3/8", 0},
                {"vit:1x1x1/1", "vit:1x1x1/1", 0},
                {"vit:1024x12x16/16", "vit:1024x12x16/16", 0},
                {"vit:012x002x03/04", "vit:12x2x3/4", 0},
                {"vit:12x2x3/4,lora=5", "vit:12x2x3/4,lora=5", 5},
                {"vit:12x2x3/4,lora=5,alpha=5.0", "vit:12x2x3/4,lora=5", 5},
                {"vit:12x2x3/4,lora=5,alpha=.125,seed=0", "vit:12x2x3/4,lora=5,alpha=0.125", 0.125},
                {"vit:12x2x3/4,lora=5,seed=7", "vit:12x2x3/4,lora=5,seed=7", 5},
                {"vit:12x2x3/4,lora=5,alpha=0.123456789", "vit:12x2x3/4,lora=5,alpha=0.123457", 0.123457},
                {"vit:1024x12x1024/16,lora=256,alpha=0.123457,base=0123456789abcdef",
                 "vit:1024x12x1024/16,lora=256,alpha=0.123457,base=0123456789abcdef", 0.123457},
                {"vit:1024x12x1024/16,lora=256,alpha=65535.9,seed=999999999",
                 "vit:1024x12x1024/16,lora=256,alpha=65535.9,seed=999999999", 65535.9}};
    static const char *const bad[] = {"vit:",
                                      "vit:12",
                                      "vit:12x2",
                                      "vit:12x2x3",
                                      "vit:12x2x3/",
                                      "vit:12x2x5/4", /* five heads of twelve columns */
                                      "vit:12x2x0/4",
                                      "vit:0x2x1/4",
                                      "vit:12x0x3/4",
                                      "vit:12x13x3/4",
                                      "vit:1025x1x1/4",
                                      "vit:12x2x3/65",
                                      "vit:12x2x3/0",
                                      "vit:-12x2x3/4",
                                      "vit:+12x2x3/4",
                                      "vit: 12x2x3/4",
                                      "vit:12x2x3/4 ",
                                      "vit:12x2x3/4,",
                                      "vit:12x2x3/4,lora=0",
                                      "vit:12x2x3/4,lora=257",
                                      "vit:12x2x3/4,lora=",
                                      "vit:12x2x3/4,alpha=2",
                                      "vit:12x2x3/4,seed=2",
                                      "vit:12x2x3/4,lora=2,alpha=0",
                                      "vit:12x2x3/4,lora=2,alpha=1.2.3",
                                      "vit:12x2x3/4,lora=2,alpha=1e3",
                                      "vit:12x2x3/4,lora=2,alpha=70000",
                                      "vit:12x2x3/4,lora=2,seed=1000000000",
                                      "vit:12x2x3/4,lora=2,seed=-1",
                                      "vit:12x2x3/4,lora=2,seed=1,alpha=2",
                                      "vit:12x2x3/4,lora=2,seed=1,base=0123456789abcdef",
                                      "vit:12x2x3/4,lora=2,base=0123456789abcde",
                                      "vit:12x2x3/4,lora=2,base=0123456789abcdef0",
                                      "vit:12x2x3/4,lora=2,base=0123456789ABCDEF",
                                      "vit:12x2x3/4,base=0123456789abcdef",
                                      "vit:99999999999999999999x2x3/4"};

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        vlm_model m, again;
        parse(&m, good[i].spec);
        assert_string_equal(m.spec, good[i].canonical);
        assert_true(m.kind == VLM_VIT && m.alpha == good[i].alpha && m.image_n == S * S * 3);
        parse(&again, m.spec);
        assert_memory_equal(&m, &again, sizeof m);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        vlm_model m;
        vl_err e = {0};
        if (vlm_parse(bad[i], S, K, D, 10, &m, &e) != VL_EARG || !strstr(e.text, "wanted"))
            fail_msg("'%s' was accepted", bad[i]);
    }
}

static void test_sizes(void **state)
{
    static const struct {
        size_t size, text, embed;
    } bad[] = {{18, K, D}, {8, K, D}, {1028, K, D}, {132, K, D}, {16, 0, D}, {16, K, 65537}};
    vlm_model m;
    vl_err e = {0};

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(vlm_parse("vit:12x2x3/4", bad[i].size, bad[i].text, bad[i].embed, 10, &m, &e),
                         VL_EARG);
    assert_int_equal(vlm_parse("vit:12x2x3/4", 128, K, D, 10, &m, &e), VL_OK); /* 1025 tokens */
}

/* ---- parameters ------------------------------------------------------------------------------ */

static size_t check_list(const vlm_param *p, int n)
{
    size_t at = 0;

    for (int i = 0; i < n; i++) {
        assert_int_equal(p[i].offset, at);
        for (int k = 0; k < i; k++)
            assert_string_not_equal(p[k].name, p[i].name);
        at += p[i].n;
    }
    return at;
}

static void test_parameters(void **state)
{
    static const char *const block[] = {"norm1.weight", "norm1.bias", "q.weight",     "q.bias",
                                        "k.weight",     "k.bias",     "v.weight",     "v.bias",
                                        "o.weight",     "o.bias",     "norm2.weight", "norm2.bias",
                                        "fc1.weight",   "fc1.bias",   "fc2.weight",   "fc2.bias"};
    const size_t tokens = 17,
                 whole = (4 * 4 * 3 + 1 + 1 + tokens + 2) * 12 + 2 * (12 * 144 + 9 * 12 + 4 * 12);
    vlm_model m;

    (void)state;
    parse(&m, "vit:12x2x3/4");
    assert_int_equal(m.n_params, 4 + 2 * 16 + 2 + 4);
    assert_int_equal(check_list(m.param, m.n_params), m.n);
    for (int i = 0; i < 32; i++) {
        char name[40];
        snprintf(name, sizeof name, "image.block%d.%s", i / 16 + 1, block[i % 16]);
        assert_string_equal(m.param[4 + i].name, name);
    }
    assert_string_equal(m.param[0].name, "image.patch.weight");
    assert_string_equal(m.param[2].name, "image.class");
    assert_string_equal(m.param[3].name, "image.position");
    assert_string_equal(m.param[37].name, "image.norm.bias");
    assert_string_equal(m.param[38].name, "image.head.weight");
    assert_int_equal(m.begin[VLM_TEXT], whole + 13 * D);
    assert_int_equal(m.n - m.begin[VLM_TEXT], (K + 1) * D);
    assert_int_equal(m.n_frozen, 0);
    assert_true(m.macs == 16 * 48 * 12 + 2 * (17 * 12 * 144 + 2 * 17 * 17 * 12) + 12 * D + K * D);
}

/* Trained: factors and heads. Frozen: all else, named and shaped as where it is trained. */
static void test_factors(void **state)
{
    static const char *const projections[] = {"q", "k", "v", "o", "fc1", "fc2"};
    vlm_model m, whole;
    size_t trained = 0;

    (void)state;
    parse(&m, "vit:12x2x3/4,lora=5");
    parse(&whole, "vit:12x2x3/4");
    assert_int_equal(m.n_params, 2 * 12 + 4);
    for (int i = 0; i < 24; i++) {
        const vlm_param *p = &m.param[i];
        char name[40];
        snprintf(name, sizeof name, "image.block%d.%s.lora_%c", i / 12 + 1, projections[i % 12 / 2],
                 i % 2 ? 'b' : 'a');
        assert_string_equal(p->name, name);
        assert_true(p->rank == 2 && p->dim[1 - i % 2] == 5 && p->branch == VLM_IMAGE);
        trained += p->n;
    }
    assert_int_equal(trained, 2 * 5 * 18 * 12);
    assert_int_equal(check_list(m.param, m.n_params), m.n);
    assert_int_equal(check_list(m.frozen, m.n_frozen), m.n_base);
    assert_int_equal(m.n_frozen, whole.n_params - 4);
    assert_memory_equal(m.frozen, whole.param, (size_t)m.n_frozen * sizeof *m.frozen);
    assert_string_equal(m.param[24].name, "image.head.weight");
    assert_int_equal(m.begin[VLM_TEXT], trained + 13 * D);
}

/* ---- graphs ---------------------------------------------------------------------------------- */

typedef struct world {
    vlm_model m;
    vlm_graph g;
    vl_real *theta, *grad;
} world;

static void open_world(world *w, const char *spec, const vl_real *base, vl_pool *pool, vlm_use use)
{
    vl_err e = {0};

    parse(&w->m, spec);
    w->m.base = base;
    w->theta = calloc(w->m.n, sizeof *w->theta);
    w->grad = calloc(w->m.n, sizeof *w->grad);
    assert_true(w->theta && w->grad);
    vlm_init(&w->m, 3, 0, w->theta);
    if (vlm_graph_new(&w->m, pool, B, VLM_HAS_BOTH, use, &w->g, &e))
        fail_msg("%s: %s", spec, e.text);
    vlm_bind(&w->g, w->theta, w->grad, NULL, NULL);
    for (int k = 0; k < B * S * S * 3; k++)
        vlt_x(w->g.tape, w->g.x)[k] = VL_R(0.1) * (vl_real)(k * (long)k % 31) - 1;
    for (int k = 0; k < B * K; k++)
        vlt_x(w->g.tape, w->g.y)[k] = VL_R(0.1) * (vl_real)(k * k % 29) - 1;
    vlt_forward(w->g.tape);
}

static void close_world(world *w)
{
    vlm_graph_free(&w->g);
    free(w->theta);
    free(w->grad);
}

static void same_rows(world *a, world *b, bool same)
{
    const vl_real *u = vlt_x(a->g.tape, a->g.u), *v = vlt_x(b->g.tape, b->g.u);

    assert_int_equal(!memcmp(u, v, B * D * sizeof *u), same);
}

/* Fresh factors change nothing: the network is the one that is frozen. */
static void test_begins_at_base(void **state)
{
    world whole, w;
    vl_real *base, *head;

    (void)state;
    open_world(&w, "vit:12x2x3/4,lora=5", NULL, NULL, VLM_EMBED);
    open_world(&whole, "vit:12x2x3/4", NULL, NULL, VLM_EMBED);
    same_rows(&w, &whole, false);
    base = calloc(w.m.n_base, sizeof *base);
    assert_non_null(base);
    vlm_init_base(&w.m, base);
    head = whole.theta + w.m.n_base;
    memcpy(whole.theta, base, w.m.n_base * sizeof *base);
    memcpy(head, w.theta + w.m.param[w.m.n_params - 4].offset, (whole.m.n - w.m.n_base) * sizeof *head);
    vlt_forward(whole.g.tape);
    same_rows(&w, &whole, true);
    w.theta[w.m.param[1].offset] = 1; /* one number of the first lora_b */
    vlt_forward(w.g.tape);
    same_rows(&w, &whole, false);
    free(base);
    close_world(&w);
    close_world(&whole);
}

/* NULL, or the seed's weights in the caller's memory: one network. Another seed, another. */
static void test_base(void **state)
{
    world own, bound, other;
    vl_real *base;
    vlm_model m;

    (void)state;
    parse(&m, "vit:12x2x3/4,lora=5,seed=7");
    base = calloc(m.n_base, sizeof *base);
    assert_non_null(base);
    vlm_init_base(&m, base);
    open_world(&own, "vit:12x2x3/4,lora=5,seed=7", NULL, NULL, VLM_EMBED);
    open_world(&bound, "vit:12x2x3/4,lora=5", base, NULL, VLM_EMBED);
    open_world(&other, "vit:12x2x3/4,lora=5,seed=8", NULL, NULL, VLM_EMBED);
    same_rows(&own, &bound, true);
    same_rows(&own, &other, false);
    close_world(&own);
    close_world(&bound);
    close_world(&other);
    free(base);
}

/* ---- cost ------------------------------------------------------------------------------------ */

static double backward_flops(const char *spec)
{
    double before;
    world w;

    open_world(&w, spec, NULL, NULL, VLM_TRAIN);
    before = vl_blas_flops();
    vlt_backward(w.g.tape, w.g.loss);
    before = vl_blas_flops() - before;
    close_world(&w);
    return before;
}

/* A frozen layer's share of a backward sweep is one product, not two. */
static void test_frozen_is_free(void **state)
{
    const double rows = B * 17, d = 192, blocks = 2;
    double whole = backward_flops("vit:192x2x3/4"), lora = backward_flops("vit:192x2x3/4,lora=1");
    double products = 2 * rows * 12 * d * d * blocks; /* one pass over the projections */
    double patches = 2 * 2 * B * 16 * 48 * d, first = 2 * rows * 3 * d * d; /* below the first factors */
    double factors = 2 * rows * 18 * d * blocks * 2;

    (void)state;
    assert_true(fabs(whole - lora - products) <= factors + patches + first);
    assert_true(lora < 0.6 * whole);
}

static void test_leaves(void **state)
{
    world w;
    vlm_graph texts;
    vl_err e = {0};

    (void)state;
    open_world(&w, "vit:12x2x3/4,lora=5", NULL, NULL, VLM_ADJOINT);
    for (int i = 0; i < w.m.n_frozen; i++)
        assert_true(!vlt_gx(w.g.tape, w.g.frozen[i]) && !vlt_gxt(w.g.tape, w.g.frozen[i]));
    assert_non_null(vlt_gxt(w.g.tape, w.g.x));
    assert_int_equal(vlm_graph_new(&w.m, NULL, B, VLM_HAS_TEXT, VLM_EMBED, &texts, &e), VL_OK);
    assert_int_equal(texts.frozen[0], -1);
    vlm_graph_free(&texts);
    close_world(&w);
}

/* Away from the zeros that factors begin with. */
static void stir(world *w)
{
    for (size_t k = 0; k < w->m.n; k++)
        w->theta[k] += VL_R(0.01) * (vl_real)((long)(k * 7 % 13) - 6);
    vlt_forward(w->g.tape);
    vlt_backward(w->g.tape, w->g.loss);
}

/* Large enough that products are cut. */
static void test_threads(void **state)
{
    static const char *const specs[] = {"vit:96x2x3/2", "vit:96x2x3/2,lora=4"};
    vl_pool *pool = NULL;
    vl_err e = {0};

    (void)state;
    assert_int_equal(vl_pool_new(3, &pool, &e), VL_OK);
    for (int i = 0; i < 2; i++) {
        world one, three;
        open_world(&one, specs[i], NULL, NULL, VLM_TRAIN);
        open_world(&three, specs[i], NULL, pool, VLM_TRAIN);
        stir(&one);
        stir(&three);
        assert_memory_equal(one.grad, three.grad, one.m.n * sizeof *one.grad);
        assert_true(isfinite(one.grad[0]) && one.grad[1] != 0);
        close_world(&one);
        close_world(&three);
    }
    vl_pool_free(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_specs),          cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_parameters),     cmocka_unit_test(test_factors),
        cmocka_unit_test(test_begins_at_base), cmocka_unit_test(test_base),
        cmocka_unit_test(test_frozen_is_free), cmocka_unit_test(test_leaves),
        cmocka_unit_test(test_threads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
