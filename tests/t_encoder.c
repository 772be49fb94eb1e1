/* SPDX-License-Identifier: MIT
 * t_encoder.c -- encoders by name give what the functions under them give. */
#include "shard_help.h"

#include "distill/encoder.h"
#include "distill/train.h"
#include "distill/trajectory.h"
#include "pipeline/rng.h"
#include "pipeline/text_hash.h"

#include <math.h>

enum { S = 16, D = 12, N = 70 }; /* N: more than one batch */

static const vld_encoder_opts opts = {.size = S, .embed_dim = D};

static vld_encoder open_enc(vld_side side, const char *name, vl_pool *pool)
{
    vld_encoder enc = {0};
    vl_err e;

    if (vld_encoder_open(side, name, &opts, pool, &enc, &e))
        fail_msg("%s: %s", name, e.text);
    return enc;
}

static void hash_rows(void **state)
{
    char text[N][32];
    const char *caption[N];
    float *got = malloc(N * 50 * sizeof *got), want[50];
    vl_err e;

    (void)state;
    assert_non_null(got);
    for (int i = 0; i < N; i++) {
        snprintf(text[i], sizeof text[i], "caption number %d", i);
        caption[i] = text[i];
    }
    for (int threads = 1; threads <= 4; threads += 3) {
        vl_pool *pool = NULL;
        assert_int_equal(vl_pool_new(threads, &pool, &e), VL_OK);
        vld_encoder enc = open_enc(VLD_OF_TEXTS, threads > 1 ? "hash50" : "hash:50", pool);
        assert_string_equal(enc.name, "hash:50");
        assert_string_equal(enc.ext, "hash50.txt.npy");
        assert_int_equal(enc.dim, 50);
        assert_false(enc.blas);
        assert_null(enc.images);
        assert_int_equal(enc.texts(&enc, caption, N, got, &e), VL_OK);
        for (int i = 0; i < N; i++) {
            assert_int_equal(vl_text_hash(caption[i], strlen(caption[i]), 50, want, &e), VL_OK);
            assert_memory_equal(got + i * 50, want, sizeof want);
        }
        caption[41] = "bad \xff";
        caption[69] = "worse \xff\xff";
        assert_int_equal(enc.texts(&enc, caption, N, got, &e), VL_EFORMAT);
        assert_non_null(strstr(e.text, "caption is not UTF-8 (byte 4)"));
        caption[41] = text[41];
        caption[69] = text[69];
        vld_encoder_close(&enc);
        vl_pool_free(pool);
    }
    free(got);
}

/* ---- images --------------------------------------------------------------------------------------- */

static uint8_t *pictures(void)
{
    uint8_t *rgb = malloc((size_t)N * S * S * 3);

    assert_non_null(rgb);
    for (size_t i = 0; i < (size_t)N * S * S * 3; i++)
        rgb[i] = (uint8_t)vl_rng(1, 2, i);
    return rgb;
}

/* The encoder's rows of all pictures are those of vld_embed_images with these weights. */
static void check_images(const char *name, const vlm_model *m, vl_real *theta, const uint8_t *rgb)
{
    vl_data d = {.n = N, .size = S, .images = (uint8_t *)rgb};
    vl_real *want = malloc(N * D * sizeof *want);
    float *got = malloc(N * D * sizeof *got);
    vl_err e;

    assert_true(want && got);
    assert_int_equal(vld_embed_images(m, NULL, theta, &d, want, &e), VL_OK);
    for (int threads = 1; threads <= 4; threads += 3) {
        vl_pool *pool = NULL;
        assert_int_equal(vl_pool_new(threads, &pool, &e), VL_OK);
        vld_encoder enc = open_enc(VLD_OF_IMAGES, name, pool);
        assert_int_equal(enc.size, S);
        assert_int_equal(enc.dim, D);
        assert_true(enc.blas);
        assert_null(enc.texts);
        assert_int_equal(enc.images(&enc, rgb, N, got, &e), VL_OK);
        for (size_t i = 0; i < N * D; i++)
            assert_true(got[i] == (float)want[i]);
        for (size_t i = 0; i < N; i++) {
            double square = 0;
            for (size_t k = 0; k < D; k++)
                square += (double)got[i * D + k] * (double)got[i * D + k];
            assert_true(fabs(square - 1) < 1e-5);
        }
        vld_encoder_close(&enc);
        vl_pool_free(pool);
    }
    free(want);
    free(got);
}

static vl_real *fresh(const vlm_model *m, uint64_t seed)
{
    vl_real *theta = malloc(m->n * sizeof *theta);

    assert_non_null(theta);
    vlm_init(m, seed, 0, theta);
    return theta;
}

static void convnet_by_seed(void **state)
{
    uint8_t *rgb = pictures();
    vlm_model m;
    vl_err e;

    (void)state;
    assert_int_equal(vlm_parse("convnet:8x2", S, 30, D, 10, &m, &e), VL_OK);
    vl_real *theta = fresh(&m, 7);
    check_images("convnet:8x2#seed=7", &m, theta, rgb);
    vld_encoder enc = open_enc(VLD_OF_IMAGES, "convnet:8x2#seed=7", NULL);
    assert_string_equal(enc.name, "convnet:8x2#seed=7");
    assert_string_equal(enc.ext, "convnet-8x2-seed7.img.npy");
    assert_string_equal(enc.weights.id, "");
    vld_encoder_close(&enc);
    vld_encoder_close(&enc);
    free(theta);
    free(rgb);
}

/* Two experts of two snapshots, weights by seeds 10, 11, 20, 21; NaN in one weight of the last. */
static void make_experts(const char *path, const vlm_model *m)
{
    vl_augment aug = {0};
    vl_real *before = NULL;
    json_t *manifest = NULL, *stats = json_object();
    vls_writer *w = writer(path);
    vl_err e;

    assert_int_equal(vld_manifest("trajectory", "t_encoder", 0, m, &aug, &manifest, &e), VL_OK);
    for (int i = 0; i < 4; i++) {
        vl_real *theta = fresh(m, (uint64_t)(i / 2 * 10 + 10 + i % 2));
        if (i == 3)
            theta[5] = NAN;
        if (vld_snapshot_write(w, manifest, m, i / 2 ? 7 : 2, i % 2, theta, i % 2 ? before : NULL, stats,
                               NULL, 0, &e))
            fail_msg("%s", e.text);
        free(before);
        before = theta;
    }
    free(before);
    assert_int_equal(vls_writer_close(w, &e), VL_OK);
    json_decref(manifest);
    json_decref(stats);
}

static void convnet_by_snapshot(void **state)
{
    static const struct {
        const char *name;
        uint64_t seed;
    } row[] = {{"convnet:8x2@x@#1.tar.zst#expert-0002/snap-0000", 10},
               {"convnet:8x2@x@#1.tar.zst#expert-0002/snap-0001", 11},
               {"convnet:8x2@x@#1.tar.zst#expert-0007/snap-0000", 20}};
    const vld_encoder_opts other = {.size = 2 * S, .embed_dim = 3};
    uint8_t *rgb = pictures();
    char name[192];
    vlm_model m;
    vl_err e;

    (void)state;
    assert_int_equal(vlm_parse("convnet:8x2", S, 30, D, 10, &m, &e), VL_OK);
    make_experts("x@#1.tar.zst", &m);
    reading r = read_all("x@#1.tar.zst", NULL);
    for (size_t i = 0; i < 3; i++) {
        vl_real *theta = fresh(&m, row[i].seed);
        check_images(row[i].name, &m, theta, rgb);
        free(theta);
    }
    vld_encoder enc = {0}; /* sizes come from the snapshot, whatever was asked for */
    assert_int_equal(vld_encoder_open(VLD_OF_IMAGES, row[1].name, &other, NULL, &enc, &e), VL_OK);
    assert_int_equal(enc.size, S);
    assert_int_equal(enc.dim, D);
    assert_string_equal(enc.weights.id, r.id.id);
    assert_string_equal(enc.weights.kind, "trajectory");
    assert_string_equal(enc.ext, "convnet-8x2-expert-0002-snap-0001.img.npy");
    snprintf(name, sizeof name, "convnet:8x2@%s#expert-0002/snap-0001", r.id.id);
    assert_string_equal(enc.name, name);
    vld_encoder_close(&enc);
    free(r.log.p);
    free(rgb);
}

static void refused(void **state)
{
    static const struct {
        vld_side side;
        const char *name;
        int rc;
        const char *text; /* its beginning */
    } row[] = {
        {VLD_OF_IMAGES, "convnet:8x2@x#expert-0002/snap-0002", VL_EFORMAT,
         "x: no snapshot 'expert-0002/snap-0002'"},
        {VLD_OF_IMAGES, "convnet:8x2@x#expert-0007/snap-0001", VL_EFORMAT,
         "x: expert-0007/snap-0001: image.stem"},
        {VLD_OF_IMAGES, "convnet:8x3@x#expert-0002/snap-0001", VL_EFORMAT,
         "x: expert-0002/snap-0001: its network is convnet:8x2, asked for was convnet:8x3"},
        {VLD_OF_IMAGES, "convnet:8x2@gone#expert-0002/snap-0001", VL_EIO, "gone: open: "},
        {VLD_OF_IMAGES, "convnet:8x2@cut#expert-0002/snap-0000", VL_EFORMAT, "cut: truncated: "},
        {VLD_OF_IMAGES, "convnet:8x2@x#expert-2/snap-0001", VL_EARG, "'@x#expert-2/snap-0001': "},
        {VLD_OF_IMAGES, "convnet:8x2@x#expert-0002/snap-0001x", VL_EARG, "'@x#"},
        {VLD_OF_IMAGES, "convnet:8x2@#expert-0002/snap-0001", VL_EARG, "'@#"},
        {VLD_OF_IMAGES, "convnet:8x2@x", VL_EARG, "'@x': "},
        {VLD_OF_IMAGES, "convnet:8x2#seed=", VL_EARG, "'#seed=': "},
        {VLD_OF_IMAGES, "convnet:8x2#seed=-1", VL_EARG, "'#seed=-1': "},
        {VLD_OF_IMAGES, "convnet:8x2#seed=1234567890123456789", VL_EARG, "'#seed=1234567890123456789': "},
        {VLD_OF_IMAGES, "convnet:8x2", VL_EARG, "'convnet:8x2': which weights? "},
        {VLD_OF_IMAGES, "convnet:8#seed=1", VL_EARG, "model 'convnet:8'"},
        {VLD_OF_IMAGES, "hash768", VL_EARG, "no encoder of images 'hash768': convnet:"},
        {VLD_OF_TEXTS, "convnet:8x2#seed=1", VL_EARG,
         "no encoder of captions 'convnet:8x2#seed=1': hash:DIM wanted"},
        {VLD_OF_TEXTS, "hash", VL_EARG, "'hash': hash:DIM wanted"},
        {VLD_OF_TEXTS, "hash: 7", VL_EARG, "'hash: 7': "},
        {VLD_OF_TEXTS, "", VL_EARG, "no encoder of captions ''"},
    };
    uint8_t *bytes;
    size_t n;
    vlm_model m;
    vl_err e;

    (void)state;
    assert_int_equal(vlm_parse("convnet:8x2", S, 30, D, 10, &m, &e), VL_OK);
    make_experts("x", &m);
    slurp("x", &bytes, &n); /* the snapshot asked for is whole, the shard is not */
    spill("cut", bytes, n - 1);
    free(bytes);
    for (size_t r = 0; r < sizeof row / sizeof *row; r++) {
        vld_encoder enc = {0};
        if (vld_encoder_open(row[r].side, row[r].name, &opts, NULL, &enc, &e) != row[r].rc ||
            strncmp(e.text, row[r].text, strlen(row[r].text)))
            fail_msg("%s: %d '%s'", row[r].name, e.code, e.text);
        assert_null(enc.state);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hash_rows),
        cmocka_unit_test(convnet_by_seed),
        cmocka_unit_test_setup_teardown(convnet_by_snapshot, enter, leave),
        cmocka_unit_test_setup_teardown(refused, enter, leave),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
