/* SPDX-License-Identifier: MIT
 * t_data_load.c -- shards of pairs and embeddings come together by key, and what does not fit is named. */
#include "shard_help.h"

#include "data/images.h"
#include "formats/npy.h"
#include "pipeline/data.h"
#include "pipeline/image.h"

#include <math.h>

enum { S = 16, K = 5 };

/* ---- making shards ------------------------------------------------------------------------------ */

static blob picture(int number)
{
    uint32_t w = 20 + (uint32_t)number % 7, h = 17 + (uint32_t)number % 5;
    uint8_t *rgb = test_picture(w, h);
    blob b;

    rgb[0] = (uint8_t)number;
    b = test_png(rgb, w, h, w * 3, (png_how){.colour_type = PNG_COLOR_TYPE_RGB, .depth = 8});
    free(rgb);
    return b;
}

static float row_value(int number, size_t caption, size_t k)
{
    return (float)(number * 100) + (float)caption * 10 + (float)k;
}

/* Adds a record key-<number> with so many captions; json NULL: made here. */
static void add_pair(vls_writer *w, int number, int captions, const char *image, const char *json)
{
    blob b = picture(number);
    char key[32], text[1024];
    size_t n = (size_t)snprintf(text, sizeof text, "{\"captions\":[");
    vls_member m[2];
    vl_err e;

    snprintf(key, sizeof key, "key-%d", number);
    for (int c = 0; c < captions; c++)
        n += (size_t)snprintf(text + n, sizeof text - n, "%s\"thing %d, said %d\"", c ? "," : "", number / 2,
                              c);
    snprintf(text + n, sizeof text - n, "]}");
    m[0] = (vls_member){image ? image : "png", b.p, b.n};
    m[1] = (vls_member){"json", (const uint8_t *)(json ? json : text), strlen(json ? json : text)};
    if (vls_add(w, &(vls_record){key, m, 2}, &e))
        fail_msg("%s", e.text);
    free(b.p);
}

static void add_rows(vls_writer *w, int number, size_t rows, size_t dim, const char *ext, float last)
{
    float *v = malloc(rows * dim * sizeof *v);
    vl_npy a = {.dtype = VL_F32, .rank = 2, .shape = {rows, dim}, .data = v};
    uint8_t *p = NULL;
    size_t n = 0;
    char key[32];
    vl_err e;

    assert_non_null(v);
    for (size_t i = 0; i < rows * dim; i++)
        v[i] = row_value(number, i / dim, i % dim);
    if (!(last == 0))
        v[rows * dim - 1] = last;
    snprintf(key, sizeof key, "key-%d", number);
    assert_int_equal(vl_npy_build(&a, &p, &n, &e), VL_OK);
    vls_member m = {ext, p, n};
    if (vls_add(w, &(vls_record){key, &m, 1}, &e))
        fail_msg("%s", e.text);
    free(p);
    free(v);
}

static int captions_of(int number)
{
    return 1 + number % 3;
}

/* Records from..to-1. */
static void make_pairs(const char *path, int from, int to)
{
    vls_writer *w = writer(path);

    begin(w, "pairs");
    for (int i = from; i < to; i++)
        add_pair(w, i, captions_of(i), NULL, NULL);
    end_and_close(w);
}

static void make_rows(const char *path, int from, int to, bool backward)
{
    vls_writer *w = writer(path);

    begin(w, "embeddings");
    for (int i = from; i < to; i++) {
        int number = backward ? to - 1 - (i - from) : i;
        add_rows(w, number, (size_t)captions_of(number), K, "h.txt.npy", 0);
    }
    end_and_close(w);
}

/* ---- what must be there -------------------------------------------------------------------------- */

/* Record i of d is key-<number>, image, captions and rows. */
static void check_record(const vl_data *d, size_t i, int number, const vl_data_opts *o)
{
    char key[32], caption[64];
    blob b = picture(number);
    uint8_t *rgb = NULL, square[S * S * 3];
    vl_image_info info;
    vl_err e;

    snprintf(key, sizeof key, "key-%d", number);
    assert_string_equal(d->key[i], key);
    assert_int_equal(d->cap[i + 1] - d->cap[i], captions_of(number));
    for (size_t c = 0; c < (size_t)captions_of(number); c++) {
        snprintf(caption, sizeof caption, "thing %d, said %zu", number / 2, c);
        assert_string_equal(d->caption[d->cap[i] + c], caption);
        for (size_t k = 0; o->text && k < K; k++)
            assert_true(d->text[(d->cap[i] + c) * K + k] == row_value(number, c, k));
    }
    if (o->images) {
        assert_int_equal(vl_image_decode(b.p, b.n, 1000, &rgb, &info, &e), VL_OK);
        assert_int_equal(vl_image_square(rgb, info.width, info.height, S, square, &e), VL_OK);
        assert_memory_equal(d->images + i * sizeof square, square, sizeof square);
        free(rgb);
    }
    free(b.p);
}

static vl_data load(const char *const *paths, size_t n, const vl_data_opts *o)
{
    vl_data d = {0};
    vls_parent parents[4];
    vl_err e;

    if (vl_data_load(paths, n, o, &d, parents, &e))
        fail_msg("%s", e.text);
    for (size_t i = 0; i < n; i++) {
        reading r = read_all(paths[i], NULL);
        assert_string_equal(parents[i].id, r.id.id);
        assert_string_equal(parents[i].kind, r.id.kind);
        free(r.log.p);
    }
    assert_int_equal(d.size, S);
    assert_int_equal(d.text_dim, o->text ? K : 0);
    assert_int_equal(d.cap[d.n], d.n_caps);
    assert_true(!d.images == !o->images && !d.text == !o->text);
    return d;
}

/* ---- tests ---------------------------------------------------------------------------------------- */

/* Pairs in two shards, embeddings in any order around them, any thread count: one result. */
static void joined(void **state)
{
    static const char *const order[][4] = {{"p1", "p2", "e1", "e2"},
                                           {"e2", "p1", "e1", "p2"},
                                           {"p1", "p2", "back", NULL},
                                           {"back", "p1", "p2", NULL}};

    (void)state;
    make_pairs("p1", 0, 40);
    make_pairs("p2", 40, 61);
    make_rows("e1", 0, 20, false);
    make_rows("e2", 20, 61, false);
    make_rows("back", 0, 61, true);
    for (size_t r = 0; r < 4; r++)
        for (int threads = 1; threads <= 4; threads += 3) {
            vl_data_opts o = {.size = S, .images = true, .text = true, .threads = threads};
            vl_data d = load(order[r], order[r][3] ? 4 : 3, &o);
            assert_int_equal(d.n, 61);
            for (size_t i = 0; i < d.n; i++)
                check_record(&d, i, (int)i, &o);
            assert_int_equal(d.n_groups, 31 + 30 + 20); /* those said 0, 1, 2; "thing" is number / 2 */
            vl_data_free(&d);
        }
}

static void one_side(void **state)
{
    static const char *const paths[] = {"p1", "e1"};
    static const struct {
        bool images, text;
    } row[] = {{true, false}, {false, true}, {false, false}};

    (void)state;
    make_pairs("p1", 0, 9);
    make_rows("e1", 0, 9, false);
    for (size_t r = 0; r < 3; r++) {
        vl_data_opts o = {.size = S, .images = row[r].images, .text = row[r].text, .threads = 2};
        vl_data d = load(paths, 2, &o);
        assert_int_equal(d.n, 9);
        for (size_t i = 0; i < d.n; i++)
            check_record(&d, i, (int)i, &o);
        vl_data_free(&d);
    }
}

/* Only the records asked for, in the order asked for; the others' images are never looked at. */
static void subset(void **state)
{
    static const char *const paths[] = {"e", "p"};
    static const char *const keys[] = {"key-7", "key-0", "key-3"};
    static const int number[] = {7, 0, 3};
    vl_data_opts o = {.size = S, .images = true, .text = true, .threads = 3, .keys = keys, .n_keys = 3};
    vls_writer *w = writer("p");
    vl_data d;

    (void)state;
    make_rows("e", 0, 9, true);
    begin(w, "pairs");
    for (int i = 0; i < 9; i++)
        if (i == 5)
            add(w, "broken", "jpg", "no image at all", 15);
        else
            add_pair(w, i, captions_of(i), NULL, NULL);
    end_and_close(w);
    d = load(paths, 2, &o);
    assert_int_equal(d.n, 3);
    for (size_t i = 0; i < 3; i++)
        check_record(&d, i, number[i], &o);
    vl_data_free(&d);
}

/* Pairs and embeddings may share their keys within one shard; a kind's key twice is refused. */
static void one_stream(void **state)
{
    static const char *const paths[] = {"both"};
    vl_data_opts o = {.size = S, .images = true, .text = true, .threads = 2};
    vls_writer *w = writer("both");
    vl_err e;
    vl_data d;

    (void)state;
    begin(w, "pairs");
    add_pair(w, 0, 1, NULL, NULL);
    assert_int_equal(try_add(w, "key-0", "jpg", "x", 1, &e), VL_EARG);
    assert_int_equal(vls_segment_end(w, &e), VL_OK);
    begin(w, "embeddings");
    add_rows(w, 0, 1, K, "h.txt.npy", 0);
    assert_int_equal(try_add(w, "key-0", "i.img.npy", "x", 1, &e), VL_EARG);
    end_and_close(w);
    d = load(paths, 1, &o);
    assert_int_equal(d.n, 1);
    check_record(&d, 0, 0, &o);
    vl_data_free(&d);
}

static void named_text(void **state)
{
    static const char *const paths[] = {"p", "e"};
    vl_data_opts o = {.size = S, .images = false, .text = true, .threads = 1, .text_ext = "h.txt.npy"};
    vls_writer *w = writer("e");
    vl_data d;
    vl_err e;

    (void)state;
    make_pairs("p", 0, 1);
    begin(w, "embeddings");
    add_rows(w, 0, 1, K, "h.txt.npy", 0);
    assert_int_equal(vls_segment_end(w, &e), VL_OK);
    begin(w, "embeddings");
    add_rows(w, 1, 1, 2, "other.txt.npy", 0);
    end_and_close(w);
    d = load(paths, 2, &o);
    assert_int_equal(d.n, 1);
    check_record(&d, 0, 0, &o);
    vl_data_free(&d);
}

/* txt alone is a caption; json without captions leaves it to txt. */
static void plain_caption(void **state)
{
    static const char *const paths[] = {"p"};
    vl_data_opts o = {.size = S, .images = false, .threads = 1};
    vls_writer *w = writer("p");
    vl_data d;

    (void)state;
    begin(w, "pairs");
    add(w, "a sentence", "jpg", "x", 1);
    add_pair(w, 1, 1, NULL, "{\"captions\":[\"b\",\"a sentence\"],\"width\":3}");
    end_and_close(w);
    d = load(paths, 1, &o);
    assert_int_equal(d.n, 2);
    assert_int_equal(d.n_caps, 3);
    assert_string_equal(d.caption[0], "a sentence");
    assert_string_equal(d.caption[1], "b");
    assert_int_equal(d.n_groups, 2);
    assert_int_equal(d.group[0], d.group[2]);
    vl_data_free(&d);
}

/* ---- what is refused ------------------------------------------------------------------------------ */

static void make_odd(const char *path, const char *kind, void (*fill)(vls_writer *))
{
    vls_writer *w = writer(path);

    begin(w, kind);
    fill(w);
    end_and_close(w);
}

#define ODD(name, ...)                                                                                       \
    static void name(vls_writer *w)                                                                          \
    {                                                                                                        \
        __VA_ARGS__;                                                                                         \
    }
ODD(twice, add_pair(w, 1, 1, NULL, NULL))
ODD(no_image, add_pair(w, 9, 1, "bin", NULL))
ODD(no_caption, add_pair(w, 9, 0, NULL, "{}"))
ODD(no_list, add_pair(w, 9, 0, NULL, "{\"captions\":\"x\"}"))
ODD(no_string, add_pair(w, 9, 0, NULL, "{\"captions\":[\"x\",3]}"))
ODD(no_json, add_pair(w, 9, 0, NULL, "{\"captions\":["))
ODD(no_object, add_pair(w, 9, 0, NULL, "[1]"))
ODD(blank, add_pair(w, 9, 0, NULL, "{\"captions\":[\"x\",\" \"]}"))
ODD(control, add_pair(w, 9, 0, NULL, "{\"captions\":[\"x\\ny\"]}"))
ODD(rows_twice, add_rows(w, 1, 2, K, "h.txt.npy", 0))
ODD(rows_more, add_rows(w, 3, 4, K, "h.txt.npy", 0))
ODD(rows_fewer, add_rows(w, 5, 2, K, "h.txt.npy", 0))
ODD(rows_wide, add_rows(w, 3, 1, K + 1, "h.txt.npy", 0))
ODD(rows_nan, add_rows(w, 4, 2, K, "h.txt.npy", NAN))
ODD(rows_inf, add_rows(w, 4, 2, K, "h.txt.npy", -INFINITY))
ODD(rows_other, add_rows(w, 3, 1, K, "i.txt.npy", 0))
ODD(rows_alone, add_rows(w, 77, 1, K, "h.txt.npy", 0))
ODD(rows_junk, add(w, "key-3", "h.txt.npy", "junk", 4))

static void refused(void **state)
{
    static const char *const absent[] = {"key-0", "nowhere"}, *const same[] = {"key-0", "key-0"};
    static const struct {
        const char *paths;
        void (*odd)(vls_writer *); /* becomes the shard "odd", of this kind */
        const char *kind, *text;   /* the whole text; its beginning where it ends in a space */
        const char *const *keys;   /* two */
        int rc;                    /* 0: VL_EFORMAT */
    } row[] = {
        {"p odd", twice, "pairs", "odd: record 'key-1': was in p already", NULL, 0},
        {"p odd", no_image, "pairs", "odd: record 'key-9': no image (jpg, png or webp)", NULL, 0},
        {"p odd", no_caption, "pairs", "odd: record 'key-9': no caption", NULL, 0},
        {"p odd", no_list, "pairs", "odd: record 'key-9': json: captions: 1 to 1024 strings wanted", NULL, 0},
        {"p odd", no_string, "pairs", "odd: record 'key-9': json: caption 1 is no string", NULL, 0},
        {"p odd", no_json, "pairs", "odd: record 'key-9': json: ", NULL, 0},
        {"p odd", no_object, "pairs", "odd: record 'key-9': json: no object", NULL, 0},
        {"p odd", blank, "pairs", "odd: record 'key-9': caption 1 is blank", NULL, 0},
        {"p odd", control, "pairs",
         "odd: record 'key-9': caption 0 holds the control character U+000A (byte 1)", NULL, 0},
        {"p e odd", rows_twice, "embeddings", "odd: record 'key-1': h.txt.npy was in e already", NULL, 0},
        {"p e odd", rows_more, "embeddings", "odd: record 'key-3': 4 text rows for the 1 captions of p", NULL,
         0},
        {"odd p e", rows_fewer, "embeddings", "odd: record 'key-5': 2 text rows for the 3 captions of p",
         NULL, 0},
        {"p e odd", rows_wide, "embeddings",
         "odd: record 'key-3': h.txt.npy: rows of 6 dimensions, those before had 5", NULL, 0},
        {"p e odd", rows_nan, "embeddings", "odd: record 'key-4': h.txt.npy: row 1 is not finite", NULL, 0},
        {"p e odd", rows_inf, "embeddings", "odd: record 'key-4': h.txt.npy: row 1 is not finite", NULL, 0},
        {"p e odd", rows_other, "embeddings",
         "odd: record 'key-3': text rows 'i.txt.npy', and 'h.txt.npy' in e: say which are meant", NULL, 0},
        {"odd e p", rows_alone, "embeddings", "odd: record 'key-77': an embedding without a pair", NULL, 0},
        {"p e odd", rows_junk, "embeddings", "odd: record 'key-3': h.txt.npy: ", NULL, 0},
        {"p e", NULL, NULL, "p: record 'key-3': no text embedding (h.txt.npy) in any shard", NULL, 0},
        {"p", NULL, NULL, "p: record 'key-0': no text embedding (*.txt.npy) in any shard", NULL, 0},
        {"e", NULL, NULL, "e: no records of pairs", NULL, 0},
        {"odd e", twice, "trajectory", "odd and the others: no records of pairs", NULL, 0},
        {"p e", NULL, NULL, "record 'nowhere': no pair in p and the others", absent, 0},
        {"p e", NULL, NULL, "record 'key-0' is asked for twice", same, VL_EARG},
        {"p gone", NULL, NULL, "gone: open: No such file or directory", NULL, VL_EIO},
    };

    (void)state;
    make_pairs("p", 0, 6);
    make_rows("e", 0, 3, false);
    for (size_t r = 0; r < sizeof row / sizeof *row; r++) {
        const char *paths[3];
        char list[16];
        size_t n = 0, length = strlen(row[r].text);
        int want = row[r].rc ? row[r].rc : VL_EFORMAT;

        strcpy(list, row[r].paths);
        for (char *word = strtok(list, " "); word; word = strtok(NULL, " "))
            paths[n++] = word;
        if (row[r].odd)
            make_odd("odd", row[r].kind, row[r].odd);
        for (int threads = 1; threads <= 4; threads += 3) {
            vl_data_opts o = {.size = S,
                              .images = true,
                              .text = true,
                              .threads = threads,
                              .keys = row[r].keys,
                              .n_keys = 2};
            vl_data d = {0};
            vl_err e = {0};
            int rc = vl_data_load(paths, n, &o, &d, NULL, &e);
            if (rc != want || strncmp(e.text, row[r].text, length) ||
                (row[r].text[length - 1] != ' ' && e.text[length]))
                fail_msg("row %zu: %d '%s', wanted '%s'", r, rc, e.text, row[r].text);
            assert_null(d.key);
            assert_int_equal(vl_data_load(paths, n, &o, &d, NULL, NULL), want);
        }
    }
}

/* An image that fails is named before a fault behind it that the reading thread finds, and a fault before
 * an image is named before that image. */
static void first_fault(void **state)
{
    static const char *const paths[] = {"f"};

    (void)state;
    for (int which = 0; which < 2; which++)
        for (int threads = 1; threads <= 4; threads += 3) {
            vl_data_opts o = {.size = S, .images = true, .threads = threads};
            vls_writer *w = writer("f");
            vl_data d = {0};
            vl_err e = {0};
            vls_member m[2] = {{"png", (const uint8_t *)"\x89PNG\r\n\x1a\nrest", 12},
                               {"txt", (const uint8_t *)"x", 1}};
            vls_record bad = {"cut", m, 2};
            begin(w, "pairs");
            if (which)
                add_pair(w, 98, 1, "bin", NULL);
            add_pair(w, 97, 1, NULL, NULL);
            if (vls_add(w, &bad, &e))
                fail_msg("%s", e.text);
            add_pair(w, 99, 1, "bin", NULL);
            end_and_close(w);
            assert_int_equal(vl_data_load(paths, 1, &o, &d, NULL, &e), VL_EFORMAT);
            if (which)
                assert_string_equal(e.text, "f: record 'key-98': no image (jpg, png or webp)");
            else
                assert_memory_equal(e.text, "f: record 'cut': image: ", 24);
        }
}

static void arguments(void **state)
{
    static const char *const paths[] = {"p"};
    vl_data d = {0};
    vl_err e;

    (void)state;
    make_pairs("p", 0, 1);
    assert_int_equal(vl_data_load(paths, 0, &(vl_data_opts){.size = S, .threads = 1}, &d, NULL, &e), VL_EARG);
    assert_int_equal(vl_data_load(paths, 1, &(vl_data_opts){.size = 0, .threads = 1}, &d, NULL, &e), VL_EARG);
    assert_int_equal(vl_data_load(paths, 1, &(vl_data_opts){.size = 5000, .threads = 1}, &d, NULL, &e),
                     VL_EARG);
    assert_int_equal(vl_data_load(paths, 1, &(vl_data_opts){.size = S, .threads = 0}, &d, NULL, &e), VL_EARG);
    vl_data_free(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(joined, enter, leave),
        cmocka_unit_test_setup_teardown(one_side, enter, leave),
        cmocka_unit_test_setup_teardown(subset, enter, leave),
        cmocka_unit_test_setup_teardown(one_stream, enter, leave),
        cmocka_unit_test_setup_teardown(named_text, enter, leave),
        cmocka_unit_test_setup_teardown(plain_caption, enter, leave),
        cmocka_unit_test_setup_teardown(refused, enter, leave),
        cmocka_unit_test_setup_teardown(first_fault, enter, leave),
        cmocka_unit_test_setup_teardown(arguments, enter, leave),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
