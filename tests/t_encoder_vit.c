/* SPDX-License-Identifier: MIT
 * t_encoder_vit.c -- a folder of the transformers library as an encoder: its class tokens, its name, sizes, what is
 * refused. */
#define GOLDEN_BOUND 1e-5
#include "distill/encoder.h"
#include "distill/front.h"
#include "tests/vit_folder.h"

enum { D = 8, B = 2 };

static void open_enc(const char *name, vl_pool *pool, vld_encoder *enc)
{
    static const vld_encoder_opts nothing = {.size = 48, .embed_dim = 5}; /* of others */
    vl_err e;

    if (vld_encoder_open(VLD_OF_IMAGES, name, &nothing, pool, enc, &e))
        fail_msg("%s: %s", name, e.text);
}

/* The bytes of the golden images, which are exact. */
static uint8_t *bytes_of(const golden *g, size_t size)
{
    size_t n = B * size * size * 3;
    vl_real *x = malloc(n * sizeof *x);
    uint8_t *rgb = malloc(n);
    char name[20];

    assert_true(x && rgb);
    snprintf(name, sizeof name, "x.%zu", size);
    golden_read(g, name, x, n);
    for (size_t i = 0; i < n; i++)
        rgb[i] = (uint8_t)lround(255 * ((double)x[i] * 0.25 + 0.5));
    free(x);
    return rgb;
}

static void to_unit(vl_real *row)
{
    double sum = 0;

    for (size_t i = 0; i < D; i++)
        sum += (double)row[i] * (double)row[i];
    for (size_t i = 0; i < D; i++)
        row[i] /= (vl_real)sqrt(sum);
}

static void values(void **state)
{
    vl_pool *pool = NULL;
    golden g;
    vl_err e;

    (void)state;
    golden_open(&g, "folders");
    assert_int_equal(vl_pool_new(3, &pool, &e), VL_OK);
    for (size_t f = 0; f < 2; f++)
        for (size_t size = 16; size <= 24; size += 8) { /* 24: positions are interpolated */
            char name[60], y[20];
            vl_real want[B * D];
            float got[B * D], again[B * D];
            vld_encoder enc;
            uint8_t *rgb = bytes_of(&g, size);

            snprintf(name, sizeof name, size == 16 ? "%s" : "%s#size=24", folder_of(families[f]));
            open_enc(name, NULL, &enc);
            assert_int_equal(enc.dim, D);
            assert_int_equal(enc.size, size);
            assert_true(enc.blas && enc.model && enc.theta && !enc.texts && !*enc.weights.id);
            assert_int_equal(enc.images(&enc, rgb, B, got, &e), VL_OK);
            snprintf(y, sizeof y, "%s.%zu", families[f], size);
            golden_read(&g, y, want, B * D);
            for (size_t b = 0; b < B; b++)
                to_unit(want + b * D);
            for (size_t i = 0; i < B * D; i++)
                assert_true(fabs((double)got[i] - (double)want[i]) < 1e-5);
            vld_encoder_close(&enc);
            open_enc(name, pool, &enc);
            assert_int_equal(enc.images(&enc, rgb, B, again, &e), VL_OK);
            assert_memory_equal(got, again, sizeof got);
            vld_encoder_close(&enc);
            free(rgb);
        }
    vl_pool_free(pool);
    golden_close(&g);
}

/* It names the weights, not the folder; a front takes the network with its frozen part. */
static void names(void **state)
{
    const vl_augment still = {0};
    vl_real pixels[16 * 16 * 3] = {0}, row[D];
    vld_encoder enc;
    vld_front *f = NULL;
    char name[60];
    vl_err e;

    (void)state;
    snprintf(name, sizeof name, "%s/", folder_of("vit"));
    open_enc(name, NULL, &enc);
    assert_string_equal(enc.name, "vit:8x2x2/4@7e0248ee6e3ae02a#size=16");
    assert_string_equal(enc.ext, "vit-8x2x2-4-7e0248ee6e3ae02a-16.img.npy");
    assert_int_equal(vld_front_new(enc.model, enc.theta, NULL, 1, 0, &still, &f, &e), VL_OK);
    vld_front_run(f, pixels, 0, 0, row);
    double length = 0;
    for (size_t i = 0; i < D; i++)
        length += (double)row[i] * (double)row[i];
    assert_true(fabs(length - 1) < 1e-5);
    vld_front_free(f);
    vld_encoder_close(&enc);

    /* The size of the preprocessor's crop, else of its images, before that of the weights. */
    static const struct {
        const char *json;
        size_t size;
    } rows[] = {
        {"{\"image_mean\": [0,0,0], \"image_std\": [1,1,1], \"size\": {\"height\": 24, \"width\": 24}}", 24},
        {"{\"image_mean\": [0,0,0], \"image_std\": [1,1,1], \"size\": {\"shortest_edge\": 24}}", 16},
        {"{\"image_mean\": [0,0,0], \"image_std\": [1,1,1], \"size\": {\"height\": 99}, \"crop_size\": "
         "{\"height\": 32}}",
         32},
        {"{\"image_mean\": [0,0,0], \"image_std\": [1,1,1], \"size\": 24, \"crop_size\": {\"height\": -4}}",
         24},
        {"{\"image_mean\": [0,0,0], \"image_std\": [1,1,1], \"size\": 24, \"crop_size\": 20}", 20},
        {"{\"image_mean\": [0,0,0], \"image_std\": [1,1,1], \"size\": 99999999999, \"crop_size\": \"20\"}",
         16},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        write_file(1, rows[i].json, strlen(rows[i].json));
        open_enc(scratch, NULL, &enc);
        assert_int_equal(enc.size, rows[i].size);
        vld_encoder_close(&enc);
    }
}

static void refused(void **state)
{
    static const struct {
        const char *behind;
        int code;
        const char *text;
    } rows[] = {
        {"#size=18", VL_EARG, ": image size 18: a multiple of 4 from 16 to 1024 wanted"},
        {"#size=", VL_EARG, "'#size=': a number of at most 6 digits wanted"},
        {"#size=16x", VL_EARG, "'#size=16x': a number of at most 6 digits wanted"},
        {"#size=-16", VL_EARG, "'#size=-16': a number of at most 6 digits wanted"},
        {"#seed=1", VL_EARG, "a folder of the Hugging Face hub (ViT, DINO, DINOv2) wanted"},
        {"/config.json", VL_EARG, "a folder of the Hugging Face hub (ViT, DINO, DINOv2) wanted"},
        {".", VL_EARG, "a folder of the Hugging Face hub (ViT, DINO, DINOv2) wanted"},
    };
    const vld_encoder_opts o = {.size = 32, .embed_dim = 5};
    static const char *const broken[] = {
        "{\"model_type\": \"vit\", \"hidden_size\": 8}",
        "{\"model_type\": \"vit\", \"hidden_size\": 2000000, "
        "\"num_hidden_layers\": 2, \"num_attention_heads\": 2, \"patch_size\": 4, "
        "\"image_size\": 16}"};
    vld_encoder enc = {.dim = 77};
    vl_err e;

    (void)state;
    folder_of("vit");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char name[60];
        snprintf(name, sizeof name, "%s%s", scratch, rows[i].behind);
        assert_int_equal(vld_encoder_open(VLD_OF_IMAGES, name, &o, NULL, &enc, &e), rows[i].code);
        if (!strstr(e.text, rows[i].text))
            fail_msg("%s: %s", name, e.text);
    }
    assert_int_equal(vld_encoder_open(VLD_OF_TEXTS, scratch, &o, NULL, &enc, &e), VL_EARG);
    for (size_t i = 0; i < 2; i++) {
        write_file(0, broken[i], strlen(broken[i]));
        assert_int_not_equal(vld_encoder_open(VLD_OF_IMAGES, scratch, &o, NULL, &enc, &e), VL_OK);
        assert_memory_equal(e.text, scratch, strlen(scratch));
    }
    assert_int_equal(enc.dim, 77); /* untouched */
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(values), cmocka_unit_test(names),
                                       cmocka_unit_test(refused)};

    return cmocka_run_group_tests(tests, open_scratch, close_scratch);
}
