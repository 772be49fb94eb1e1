/* SPDX-License-Identifier: MIT
 * t_vit_base.c -- folders of the transformers library as frozen bases: its class tokens, what names a base, what is
 * refused. */
#define GOLDEN_BOUND 1e-5
#include "pipeline/model.h"
#include "pipeline/vit_base.h"
#include "tests/vit_folder.h"

#include <sys/stat.h>

enum { D = 8, B = 2 };
static const char spec[] = "vit:8x2x2/4,lora=2,alpha=3";

static void parse(vlm_model *m, const char *text, size_t size)
{
    vl_err e = {0};

    if (vlm_parse(text, size, 3, D, 10, m, &e))
        fail_msg("%s: %s", text, e.text);
}

static vl_real *load(vlm_model *m, const char *folder)
{
    vl_real *base = NULL;
    vl_err e = {0};

    if (vlm_base_load(m, folder, true, &base, &e))
        fail_msg("%s", e.text);
    return base;
}

/* ---- what it computes ------------------------------------------------------------------------ */

/* With the identity as head and factors that are zero, u is the class token's direction. */
static void class_tokens(const vlm_model *m, const golden *g, const char *x, vl_real *out)
{
    vl_real *theta = calloc(m->n, sizeof *theta);
    vlm_graph graph;
    vl_err e = {0};

    assert_non_null(theta);
    for (size_t i = 0; i < D; i++)
        theta[m->param[m->n_params - 4].offset + i * D + i] = 1;
    if (vlm_graph_new(m, NULL, B, VLM_HAS_IMAGE, VLM_EMBED, &graph, &e))
        fail_msg("%s", e.text);
    vlm_bind(&graph, theta, NULL, NULL, NULL);
    golden_read(g, x, vlt_x(graph.tape, graph.x), B * m->image_n);
    vlt_forward(graph.tape);
    memcpy(out, vlt_x(graph.tape, graph.u), B * D * sizeof *out);
    vlm_graph_free(&graph);
    free(theta);
}

static void test_values(void **state)
{
    golden g;

    (void)state;
    golden_open(&g, "folders");
    for (size_t f = 0; f < 2; f++)
        for (size_t size = 16; size <= 24; size += 8) { /* 24: positions are interpolated */
            vl_real got[B * D], want[B * D], *base;
            char x[20], y[20];
            vlm_model m;
            parse(&m, spec, size);
            base = load(&m, folder_of(families[f]));
            snprintf(x, sizeof x, "x.%zu", size);
            snprintf(y, sizeof y, "%s.%zu", families[f], size);
            class_tokens(&m, &g, x, got);
            golden_read(&g, y, want, B * D);
            for (size_t b = 0; b < B; b++) { /* directions have the lengths of theirs */
                double sum = 0;
                for (size_t i = 0; i < D; i++)
                    sum += (double)want[b * D + i] * (double)want[b * D + i];
                for (size_t i = 0; i < D; i++)
                    got[b * D + i] *= (vl_real)sqrt(sum);
            }
            golden_same(&g, y, got, B * D);
            free(base);
        }
    golden_close(&g);
}

/* ---- its name -------------------------------------------------------------------------------- */

static void test_name(void **state)
{
    vlm_model m, again, other;
    vl_real *base[4], *none = NULL;
    vlm_graph graph;
    vl_err e = {0};

    (void)state;
    parse(&m, spec, 16);
    base[0] = load(&m, folder_of("vit"));
    assert_string_equal(m.spec, "vit:8x2x2/4,lora=2,alpha=3,base=7e0248ee6e3ae02a");
    assert_true(m.base == base[0] && m.norm_eps == 1e-12);

    /* From a manifest: no graph before the base is here, then the same network. */
    parse(&again, m.spec, 16);
    assert_string_equal(again.spec, m.spec);
    assert_int_equal(vlm_graph_new(&again, NULL, B, VLM_HAS_IMAGE, VLM_EMBED, &graph, &e), VL_EARG);
    assert_non_null(strstr(e.text, "its frozen weights are not here: --base FOLDER"));
    if (vlm_base_load(&again, folder_of("vit"), false, &base[1], &e))
        fail_msg("%s", e.text);
    assert_memory_equal(base[0], base[1], m.n_base * sizeof **base);

    /* Other weights, and other positions, are another base. */
    assert_int_equal(vlm_base_load(&again, folder_of("dinov2"), true, &none, &e), VL_EARG);
    assert_non_null(strstr(e.text, "the network's are base 7e0248ee6e3ae02a"));
    parse(&other, spec, 24);
    base[2] = load(&other, folder_of("vit"));
    assert_string_not_equal(other.spec, m.spec);
    parse(&other, spec, 16);
    base[3] = load(&other, folder_of("dinov2"));
    assert_string_not_equal(other.spec, m.spec);
    assert_true(other.norm_eps == 1e-6);

    /* A network that was trained on a seed's weights takes no others. */
    parse(&other, spec, 16);
    assert_int_equal(vlm_base_load(&other, folder_of("vit"), false, &none, &e), VL_EARG);
    assert_non_null(strstr(e.text, "are those of seed 0"));
    parse(&other, "vit:8x2x2/4,lora=2,seed=5", 16);
    assert_int_equal(vlm_base_load(&other, folder_of("vit"), true, &none, &e), VL_EARG);
    parse(&other, "vit:8x2x2/4", 16);
    assert_int_equal(vlm_base_load(&other, folder_of("vit"), true, &none, &e), VL_EARG);
    parse(&other, "convnet:4x1", 16);
    assert_int_equal(vlm_base_load(&other, folder_of("vit"), true, &none, &e), VL_EARG);
    assert_null(none);
    for (int i = 0; i < 4; i++)
        free(base[i]);
}

/* ---- what is refused ------------------------------------------------------------------------- */

static const struct bad {
    const char *file, *from,
        *to; /* text that is replaced by another of the same length; to NULL: the file ends there */
    const char *why;
} bads[] = {
    {"config.json", "\"hidden_size\": 8", "\"hidden_size\": 9", "hidden_size is 9, the network has 8"},
    {"config.json", "\"hidden_size\": 8", "\"hidden_siez\": 8", "config.json: hidden_size: a whole number"},
    {"config.json", "\"hidden_size\": 8", "\"hidden_size\":-8", "config.json: hidden_size: a whole number"},
    {"config.json", "\"model_type\": \"vit\"", "\"model_type\": \"vat\"", "model_type 'vat': vit or dinov2"},
    {"config.json", "\"gelu\"", "\"relu\"", "config.json: gelu,"},
    {"config.json", "\"gelu\"", "[1,22]", "config.json: hidden_act: a string"},
    {"config.json", "\"image_size\": 16", "\"image_size\": 99",
     "embeddings.position_embeddings: not of shape"},
    {"config.json", "\"image_size\": 16", "\"image_size\": 00", "config.json:"},
    {"config.json", "\"image_size\": 16", "\"image_size\": 3 ", "1 to 64 patches a side"},
    {"config.json", "\"intermediate_size\": 32", "\"intermediate_size\": 16", "intermediate_size is 16"},
    {"config.json", "1e-12", "-1e-1", "eps under 1"},
    {"config.json", "\"num_channels\": 3", "\"num_channels\": 1", "num_channels is 1, the network has 3"},
    {"config.json", "\"hidden_act\"", NULL, "config.json"},
    {"preprocessor_config.json", "image_std", "image_sdt", "image_mean and image_std of three channels"},
    {"preprocessor_config.json", "[0.5, 0.5, 0.5], \"image_std\"", "[0.5, 0.5     ], \"image_std\"",
     "three channels"},
    {"preprocessor_config.json", "image_std\": [0.5", "image_std\": [0.0", "three channels"},
    {"model.safetensors", "embeddings.cls_token", "embeddings.cls_tokem", "no embeddings.cls_token"},
    {"model.safetensors", "layer.1.output.dense.bias", "layer.1.output.dense.bais",
     "encoder.layer.1.output.dense.bias: missing, shape [8]"},
    {"model.safetensors", "layer.0.output.dense.weight\":{\"dtype\":\"F32\",\"shape\":[8,32]",
     "layer.0.output.dense.weight\":{\"dtype\":\"F32\",\"shape\":[32,8]",
     "encoder.layer.0.output.dense.weight: not of shape [8,32]"},
    {"model.safetensors", "embeddings.cls_token\":{\"dtype\":\"F32\"",
     "embeddings.cls_token\":{\"dtype\":\"I32\"", "embeddings.cls_token:"},
    {"model.safetensors", "{", NULL, "model.safetensors"},
};

static void check_refused(const char *why, const char *what)
{
    vl_real *base = NULL;
    vlm_model m;
    vl_err e = {0};

    parse(&m, spec, 16);
    if (!vlm_base_load(&m, scratch, true, &base, &e))
        fail_msg("%s was accepted", what);
    if (!strstr(e.text, why) || strncmp(e.text, scratch, strlen(scratch)))
        fail_msg("%s: %s", what, e.text);
    assert_true(!base && !m.base && !strcmp(m.spec, spec));
}

static void spoil(const struct bad *b, uint8_t *p, size_t *n)
{
    uint8_t *at = memmem(p, *n, b->from, strlen(b->from));

    if (!at)
        fail_msg("%s: no %s in it", b->file, b->from);
    if (b->to) {
        assert_int_equal(strlen(b->from), strlen(b->to));
        memcpy(at, b->to, strlen(b->to));
    } else
        *n = (size_t)(at - p);
}

/* The vit folder, with one file spoilt; NULL: with a last value that is no number. */
static void make_bad(const struct bad *b)
{
    for (size_t f = 0; f < 3; f++) {
        size_t n;
        uint8_t *p = read_kept("vit", f, &n);
        if (b && !strcmp(files[f], b->file))
            spoil(b, p, &n);
        if (!b && f == 2)
            memset(p + n - 4, 0xff, 4);
        write_file(f, p, n);
        free(p);
    }
}

static void test_refused(void **state)
{
    char path[100];

    (void)state;
    for (size_t i = 0; i < sizeof bads / sizeof *bads; i++) {
        make_bad(&bads[i]);
        check_refused(bads[i].why, bads[i].from);
    }
    make_bad(NULL);
    check_refused("is not finite", "NaN");
    for (size_t f = 0; f < 3; f++) {
        snprintf(path, sizeof path, "%s/%s", scratch, files[f]);
        assert_int_equal(unlink(path), 0);
    }
    check_refused("config.json: No such file", "an empty folder");
    snprintf(path, sizeof path, "%s/%s", scratch, files[0]);
    assert_int_equal(mkfifo(path, 0600), 0); /* nobody writes: it must not wait */
    check_refused("config.json: not a regular file", "a pipe");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_name),
        cmocka_unit_test(test_refused),
    };

    return cmocka_run_group_tests(tests, open_scratch, close_scratch);
}
