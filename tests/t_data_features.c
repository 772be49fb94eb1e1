/* SPDX-License-Identifier: MIT
 * t_data_features.c -- features in place of pixels: with and without the pairs they were made from. */
#include "shard_help.h"

#include "formats/npy.h"
#include "pipeline/data.h"

#include <math.h>

enum { F = 4, K = 3 };

static float value(int number, size_t row, size_t k)
{
    return (float)(number * 100) + (float)row * 10 + (float)k;
}

/* Two of three captions of a record are the same as those of the one before. */
static int text_of(int number, int caption)
{
    return caption ? number / 2 * 3 + caption : number + 1000;
}

static int captions_of(int number)
{
    return 1 + number % 3;
}

typedef struct shape {
    size_t views, captions, f; /* 0: not there */
    const char *image_ext;
    float last; /* of the image rows, if not 0 */
} shape;

static uint8_t *rows(int number, bool text, size_t n, size_t dim, float last, size_t *size)
{
    float *v = malloc(n * dim * sizeof *v);
    vl_npy a = {.dtype = VL_F32, .rank = 2, .shape = {n, dim}, .data = v};
    uint8_t *p = NULL;
    vl_err e;

    assert_non_null(v);
    for (size_t i = 0; i < n * dim; i++)
        v[i] = value(text ? text_of(number, (int)(i / dim)) : number, 0, i % dim);
    if (!(last == 0))
        v[n * dim - 1] = last;
    assert_int_equal(vl_npy_build(&a, &p, size, &e), VL_OK);
    free(v);
    return p;
}

static void add_record(vls_writer *w, int number, shape s)
{
    vls_member m[2];
    char key[32];
    vls_record rec = {key, m, 0};
    uint8_t *p[2] = {0};
    vl_err e;

    snprintf(key, sizeof key, "key-%d", number);
    if (s.views) {
        m[rec.n_members].ext = s.image_ext ? s.image_ext : "c.img.npy";
        p[0] = rows(number, false, s.views, s.f ? s.f : F, s.last, &m[rec.n_members].n);
        m[rec.n_members++].data = p[0];
    }
    if (s.captions) {
        m[rec.n_members].ext = "h.txt.npy";
        p[1] = rows(number, true, s.captions, K, 0, &m[rec.n_members].n);
        m[rec.n_members++].data = p[1];
    }
    if (vls_add(w, &rec, &e))
        fail_msg("%s", e.text);
    free(p[0]);
    free(p[1]);
}

/* model: what the schema says made the image rows. */
static void begin_rows(vls_writer *w, const char *model)
{
    json_t *j = json_pack("{s:s, s:{s:{s:s}}}", "kind", "embeddings", "schema", "c.img.npy", "model", model);
    vl_err e;

    if (vls_segment_begin(w, j, 0, &e))
        fail_msg("%s", e.text);
    json_decref(j);
}

static void make_features_of(const char *path, int from, int to, const char *model)
{
    vls_writer *w = writer(path);

    begin_rows(w, model);
    for (int i = from; i < to; i++)
        add_record(w, i, (shape){.views = 1, .captions = (size_t)captions_of(i)});
    end_and_close(w);
}

static void make_features(const char *path, int from, int to)
{
    make_features_of(path, from, to, "an encoder");
}

/* Pairs in the other order; the image is never looked at. */
static void make_pairs(const char *path, int from, int to)
{
    vls_writer *w = writer(path);

    begin(w, "pairs");
    for (int i = to - 1; i >= from; i--) {
        char key[32], json[256];
        size_t n = (size_t)snprintf(json, sizeof json, "{\"captions\":[");
        vl_err e;
        snprintf(key, sizeof key, "key-%d", i);
        for (int c = 0; c < captions_of(i); c++)
            n += (size_t)snprintf(json + n, sizeof json - n, "%s\"text %d\"", c ? "," : "", text_of(i, c));
        n += (size_t)snprintf(json + n, sizeof json - n, "]}");
        vls_member m[2] = {{"jpg", (const uint8_t *)"no image", 8}, {"json", (const uint8_t *)json, n}};
        if (vls_add(w, &(vls_record){key, m, 2}, &e))
            fail_msg("%s", e.text);
    }
    end_and_close(w);
}

static void check_record(const vl_data *d, size_t i, int number, bool text)
{
    char key[32], caption[32];

    snprintf(key, sizeof key, "key-%d", number);
    assert_string_equal(d->key[i], key);
    for (size_t k = 0; k < F; k++)
        assert_true(d->features[i * F + k] == value(number, 0, k));
    for (size_t c = d->cap[i]; text && c < d->cap[i + 1]; c++) {
        int said = text_of(number, (int)(c - d->cap[i]));
        snprintf(caption, sizeof caption, "text %d", said);
        for (size_t k = 0; k < K; k++)
            assert_true(d->text[c * K + k] == value(said, 0, k));
        assert_true(!d->caption || !strcmp(d->caption[c], caption));
    }
}

static vl_data load(const char *const *paths, size_t n, const vl_data_opts *o)
{
    vl_data d = {0};
    vl_err e;

    if (vl_data_load(paths, n, o, &d, NULL, &e))
        fail_msg("%s", e.text);
    assert_int_equal(d.feature_dim, F);
    assert_null(d.images);
    assert_int_equal(d.size, 0);
    return d;
}

/* Equal captions are one group whether their texts are there or only their rows. */
static void joined(void **state)
{
    static const char *const paths[][3] = {{"f1", "f2", NULL}, {"p", "f1", "f2"}, {"f1", "f2", "p"}};
    const vl_data_opts plain = {.features = true, .text = true, .threads = 2};
    const vl_data_opts named = {
        .features = true, .text = true, .threads = 2, .text_ext = "h.txt.npy", .image_ext = "c.img.npy"};

    (void)state;
    make_features("f1", 0, 20);
    make_features("f2", 20, 31);
    make_pairs("p", 0, 31);
    for (size_t r = 0; r < 3; r++) {
        vl_data d = load(paths[r], r ? 3 : 2, r == 1 ? &named : &plain);
        assert_int_equal(d.n, 31);
        assert_int_equal(d.text_dim, K);
        assert_string_equal(d.feature_model, "an encoder");
        assert_string_equal(d.image_ext, "c.img.npy");
        assert_string_equal(d.text_ext, "h.txt.npy");
        assert_true(!d.caption == !r && !d.bytes == !r);
        for (size_t i = 0; i < d.n; i++) {
            check_record(&d, i, (int)i, true);
            assert_int_equal(d.cap[i + 1] - d.cap[i], captions_of((int)i));
            for (size_t c = d.cap[i]; c < d.cap[i + 1]; c++)
                for (size_t j = 0; j < d.n_caps; j++)
                    assert_true((d.group[c] == d.group[j]) ==
                                !memcmp(d.text + c * K, d.text + j * K, K * sizeof *d.text));
        }
        assert_true(d.n_groups < d.n_caps);
        vl_data_free(&d);
    }
}

static void subset(void **state)
{
    static const char *const paths[] = {"f"}, *const keys[] = {"key-7", "key-0", "key-3"};
    static const int number[] = {7, 0, 3};
    vl_data_opts o = {.features = true, .text = true, .threads = 1, .keys = keys, .n_keys = 3};
    vl_data d;

    (void)state;
    make_features("f", 0, 9);
    d = load(paths, 1, &o);
    assert_int_equal(d.n, 3);
    for (size_t i = 0; i < 3; i++)
        check_record(&d, i, number[i], true);
    vl_data_free(&d);
    o.text = false;
    d = load(paths, 1, &o);
    assert_int_equal(d.n_caps, 0);
    for (size_t i = 0; i < 3; i++)
        check_record(&d, i, number[i], false);
    vl_data_free(&d);
}

static int hear_shard(void *arg, const vls_reader *r, vl_err *e)
{
    (void)arg;
    (void)r;
    (void)e;
    return VL_OK;
}

static int hear_record(void *arg, const char *key, const char *why, vl_err *e)
{
    char *text = arg;

    (void)e;
    snprintf(text + strlen(text), 400 - strlen(text), "%s: %s;", key, why);
    return VL_OK;
}

static void odd(const char *path, shape s)
{
    vls_writer *w = writer(path);

    begin(w, "embeddings");
    add_record(w, 0, (shape){.views = 1, .captions = 1});
    add_record(w, 1, s);
    end_and_close(w);
}

static void refused(void **state)
{
    static const struct {
        shape s;
        const char *text;
    } row[] = {
        {{.views = 2, .captions = 2}, "odd: record 'key-1': c.img.npy: 2 views of an image, one wanted"},
        {{.views = 1, .captions = 2, .f = 5},
         "odd: record 'key-1': c.img.npy: rows of 5 dimensions, those before had 4"},
        {{.views = 1, .captions = 2, .last = NAN}, "odd: record 'key-1': c.img.npy: row 0 is not finite"},
        {{.captions = 2}, "odd: record 'key-1': no image embedding (c.img.npy) in any shard"},
        {{.views = 1}, "odd: record 'key-1': no text embedding (h.txt.npy) in any shard"},
        {{.views = 1, .captions = 2, .image_ext = "d.img.npy"},
         "odd: record 'key-1': image rows 'd.img.npy', and 'c.img.npy' in odd: say which are meant"},
    };
    static const char *const paths[] = {"odd", "p"};
    vl_data_opts o = {.features = true, .text = true, .threads = 1};
    char heard[400] = "";
    const vls_left_out ear = {heard, hear_shard, hear_record};
    vl_data d = {0};
    vl_err e;

    (void)state;
    make_pairs("p", 0, 2);
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        odd("odd", row[i].s);
        assert_int_equal(vl_data_load(paths, 1, &o, &d, NULL, &e), VL_EFORMAT);
        assert_string_equal(e.text, row[i].text);
    }
    odd("odd", (shape){.views = 1, .captions = 3});
    assert_int_equal(vl_data_load(paths, 2, &o, &d, NULL, &e), VL_EFORMAT);
    assert_string_equal(e.text, "odd: record 'key-1': 3 text rows for the 2 captions of p");
    assert_int_equal(vl_data_load(paths + 1, 1, &o, &d, NULL, &e), VL_EFORMAT);
    assert_string_equal(e.text, "p: no records of image embeddings");
    make_features("f1", 0, 2);
    make_features_of("f2", 2, 4, "another");
    assert_int_equal(vl_data_load((const char *[]){"f1", "f2"}, 2, &o, &d, NULL, &e), VL_EFORMAT);
    assert_string_equal(e.text,
                        "f2: record 'key-2': c.img.npy: rows of 'another', those before are of 'an encoder'");
    odd("odd", row[3].s);
    o.left_out = &ear;
    d = load(paths, 2, &o);
    assert_int_equal(d.n, 1);
    check_record(&d, 0, 0, true);
    vl_data_free(&d);
    assert_string_equal(heard, "key-1: p: record 'key-1': no image embedding (c.img.npy) in any shard;");
    o.images = true;
    assert_int_equal(vl_data_load(paths, 1, &o, &d, NULL, &e), VL_EARG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(joined, enter, leave),
                                       cmocka_unit_test_setup_teardown(subset, enter, leave),
                                       cmocka_unit_test_setup_teardown(refused, enter, leave)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
