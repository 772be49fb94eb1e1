/* SPDX-License-Identifier: MIT
 * t_card.c -- networks and views to manifests and back; values that come from a file are checked. */
#include "distill/card.h"
#include "formats/bytes.h"
#include "formats/manifest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static json_t *parse(const char *text)
{
    json_t *j = json_loads(text, 0, NULL);

    assert_non_null(j);
    return j;
}

/* Through the text that lies on disk: no digit of the scale may be lost. */
static void models_return(void **state)
{
    static const struct {
        const char *spec;
        size_t size, text, embed;
        double scale;
    } rows[] = {
        {"convnet:64x3", 64, 768, 128, 14.3},
        {"convnet:1x1", 16, 1, 1, 1.0 / 3},
        {"convnet:8x8", 1024, 65536, 65536, 1e-3},
        {"convnet:64x3", 64, 768, 128, 100},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        vlm_model a, b;
        json_t *j = NULL, *again = NULL;
        vl_buf text = {0};
        vl_err e;

        assert_int_equal(
            vlm_parse(rows[i].spec, rows[i].size, rows[i].text, rows[i].embed, rows[i].scale, &a, &e), VL_OK);
        assert_int_equal(vld_model_to_json(&a, &j, &e), VL_OK);
        assert_int_equal(vls_json_dump(j, &text, &e), VL_OK);
        assert_int_equal(vls_json_load(text.p, text.n, &again, &e), VL_OK);
        if (vld_model_from_json(again, &b, &e))
            fail_msg("%s: %s", rows[i].spec, e.text);
        assert_memory_equal(&a, &b, sizeof a);
        json_decref(again);
        json_decref(j);
        free(text.p);
    }
}

static void models_refused(void **state)
{
#define CARD(spec, size, text, embed, scale)                                                                 \
    "{\"spec\":" spec ",\"size\":" size ",\"text_dim\":" text ",\"embed_dim\":" embed ",\"scale\":" scale "}"
    static const char lacks[] = "manifest: model lacks spec, size, text_dim, embed_dim or scale";
    static const struct {
        const char *json, *text;
    } rows[] = {
        {"{}", lacks},
        {"[]", lacks},
        {CARD("\"convnet:8x1\"", "16", "10", "6", "0"), lacks},
        {CARD("\"convnet:8x1\"", "16", "10", "6", "-1"), lacks},
        {CARD("\"convnet:8x1\"", "-16", "10", "6", "1"), lacks},
        {CARD("\"convnet:8x1\"", "16.0", "10", "6", "1"), lacks},
        {CARD("\"convnet:8x1\"", "16", "\"10\"", "6", "1"), lacks},
        {CARD("7", "16", "10", "6", "1"), lacks},
        {CARD("\"vit\"", "16", "10", "6", "1"), "manifest: model 'vit': convnet:WIDTHxLAYERS wanted, such as "
                                                "convnet:64x3, or vit:DIMxDEPTHxHEADS/PATCH"},
        {CARD("\"convnet:8x1 \"", "16", "10", "6", "1"),
         "manifest: model 'convnet:8x1 ': convnet:WIDTHxLAYERS wanted, such as convnet:64x3, or "
         "vit:DIMxDEPTHxHEADS/PATCH"},
        {CARD("\"convnet:8x1\"", "12", "10", "6", "1"),
         "manifest: image size 12: a multiple of 4 from 16 to 1024 wanted"},
        {CARD("\"convnet:8x1\"", "9223372036854775804", "10", "6", "1"), NULL},
        {CARD("\"convnet:8x1\"", "16", "0", "6", "1"),
         "manifest: text and embedding sizes 0 and 6: 1 to 65536 wanted"},
        {CARD("\"convnet:4096x8\"", "16", "10", "6", "1"), NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        json_t *j = parse(rows[i].json);
        vlm_model m;
        vl_err e = {0};

        assert_int_equal(vld_model_from_json(j, &m, &e), VL_EFORMAT);
        assert_int_equal(e.code, VL_EFORMAT);
        if (rows[i].text)
            assert_string_equal(e.text, rows[i].text);
        json_decref(j);
    }
    vlm_model m;
    vl_err e;
    assert_int_equal(vld_model_from_json(NULL, &m, &e), VL_EFORMAT); /* not in the manifest at all */
}

static void augments(void **state)
{
    static const struct {
        const char *json;
        int flip, shift; /* flip -1: refused */
    } rows[] = {
        {"{\"flip\":true,\"shift\":4}", 1, 4},
        {"{\"flip\":true,\"shift\":4,\"crop\":50,\"cutout\":20,\"colour\":true}", 1, 4},
        {"{\"flip\":false,\"shift\":0,\"crop\":100}", 0, 0},
        {"{\"flip\":false,\"shift\":0,\"crop\":101}", -1, 0},
        {"{\"flip\":false,\"shift\":0,\"crop\":true}", -1, 0},
        {"{\"flip\":false,\"shift\":0,\"cutout\":-1}", -1, 0},
        {"{\"flip\":false,\"shift\":0,\"colour\":1}", -1, 0},
        {"{\"flip\":false,\"shift\":0}", 0, 0},
        {"{\"flip\":true,\"shift\":64}", 1, 64},
        {"{\"flip\":true,\"shift\":65}", -1, 0},
        {"{\"flip\":true,\"shift\":-1}", -1, 0},
        {"{\"flip\":1,\"shift\":4}", -1, 0},
        {"{\"flip\":true}", -1, 0},
        {"{\"flip\":true,\"shift\":\"4\"}", -1, 0},
        {"{}", -1, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        json_t *j = parse(rows[i].json), *again = NULL;
        vl_augment a = {.flip = true, .shift = 77};
        vl_err e;
        int rc = vld_augment_from_json(j, &a, &e);

        assert_int_equal(rc, rows[i].flip < 0 ? VL_EFORMAT : VL_OK);
        if (rc) {
            assert_int_equal(a.shift, 77); /* untouched */
        } else {
            assert_true(a.flip == rows[i].flip && a.shift == rows[i].shift);
            assert_int_equal(vld_augment_to_json(&a, &again, &e), VL_OK);
            assert_true(json_equal(j, again));
            json_decref(again);
        }
        json_decref(j);
    }
}

static void manifests(void **state)
{
    const vl_augment aug = {.flip = true, .shift = 4};
    const char *kind, *name, *version, *blas;
    json_t *j = NULL, *model, *augment;
    json_int_t seed;
    vlm_model m, back;
    vl_augment a;
    vl_err e;

    (void)state;
    assert_int_equal(vlm_parse("convnet:8x2", 32, 10, 6, 14.3, &m, &e), VL_OK);
    assert_int_equal(vld_manifest("distilled", "t_card", -5, &m, &aug, &j, &e), VL_OK);
    assert_int_equal(json_unpack(j, "{s:s, s:{s:s, s:s}, s:I, s:s, s:o, s:o !}", "kind", &kind, "tool",
                                 "name", &name, "version", &version, "seed", &seed, "blas", &blas, "model",
                                 &model, "augment", &augment),
                     0);
    assert_string_equal(kind, "distilled");
    assert_string_equal(name, "t_card");
    assert_true(seed == -5 && strlen(version) > 0 && strlen(blas) > 0);
    assert_int_equal(vld_model_from_json(model, &back, &e), VL_OK);
    assert_memory_equal(&m, &back, sizeof m);
    assert_int_equal(vld_augment_from_json(augment, &a, &e), VL_OK);
    assert_true(a.flip && a.shift == 4);
    json_decref(j);
}

static void objectives(void **state)
{
    static const vlm_objective good[] = {{.loss = VLM_INFONCE},
                                         {.loss = VLM_BCE, .sim = VLM_SIM_FULL},
                                         {.loss = VLM_WBCE, .sim = VLM_SIM_LOWRANK, .rank = 10, .alpha = 3},
                                         {.loss = VLM_ENCE, .blend = 0.5}};
    static const char *const bad[] = {"{}",
                                      "{\"loss\": \"wbce\"}",
                                      "{\"loss\": 1, \"similarity\": \"none\"}",
                                      "{\"loss\": \"mse\", \"similarity\": \"none\"}",
                                      "{\"loss\": \"bce\", \"similarity\": \"half\"}",
                                      "{\"loss\": \"infonce\", \"similarity\": \"full\"}",
                                      "{\"loss\": \"bce\", \"similarity\": \"lowrank\"}",
                                      "{\"loss\": \"bce\", \"similarity\": \"lowrank\", \"rank\": 65537}",
                                      "{\"loss\": \"bce\", \"similarity\": \"none\", \"blend\": -1}"};
    vlm_objective o;
    vl_err e;

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        json_t *j = NULL;
        assert_int_equal(vld_objective_to_json(&good[i], &j, &e), VL_OK);
        assert_int_equal(vld_objective_from_json(j, &o, &e), VL_OK);
        assert_true(o.loss == good[i].loss && o.sim == good[i].sim && o.rank == good[i].rank &&
                    o.alpha == good[i].alpha && o.blend == good[i].blend);
        json_decref(j);
    }
    assert_int_equal(vld_objective_from_json(NULL, &o, &e), VL_OK);
    assert_int_equal(o.loss, VLM_INFONCE);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        json_t *j = json_loads(bad[i], 0, NULL);
        assert_non_null(j);
        assert_int_equal(vld_objective_from_json(j, &o, &e), VL_EFORMAT);
        assert_memory_equal(e.text, "manifest: objective", 19);
        json_decref(j);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(models_return), cmocka_unit_test(models_refused),
                                       cmocka_unit_test(augments), cmocka_unit_test(manifests),
                                       cmocka_unit_test(objectives)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
