/* SPDX-License-Identifier: MIT
 * t_distilled.c -- a distilled set written and read back; what it must not hold is refused by name. */
#include "distill/distilled.h"
#include "formats/npy.h"
#include "pipeline/image.h"
#include "pipeline/rng.h"
#include "tests/shard_help.h"

#include <math.h>

enum { SIZE = 16, TEXT = 10, PAIRS = 3, REALS = SIZE * SIZE * 3 };

static json_t *manifest_of(const char *kind, int batch)
{
    const vl_augment aug = {.flip = true, .shift = 2};
    json_t *j = NULL;
    vlm_model m;
    vl_err e;

    assert_int_equal(vlm_parse("convnet:4x1", SIZE, TEXT, 6, 14.3, &m, &e), VL_OK);
    assert_int_equal(vld_manifest(kind, "t_distilled", 3, &m, &aug, &j, &e), VL_OK);
    json_object_set_new(j, "options", json_pack("{s:i}", "batch", batch));
    return j;
}

static vld_distilled set_of(size_t n)
{
    vld_distilled d = {.batch = 2};
    vl_err e;

    assert_int_equal(vlm_parse("convnet:4x1", SIZE, TEXT, 6, 14.3, &d.model, &e), VL_OK);
    d.manifest = manifest_of("distilled", 2);
    d.about = json_pack("{s:i, s:[f,f]}", "iterations", 40, "match", 0.5, 0.25);
    assert_int_equal(vld_set_new(&d.model, n, &d.set, &e), VL_OK);
    vl_rng_normal(1, 1, n * REALS, 3, d.set.image);
    vl_rng_normal(1, 2, n * TEXT, 1, d.set.text);
    d.set.rate[0] = 0.1;
    d.set.rate[1] = 1.0 / 3;
    d.init_key = calloc(n, sizeof *d.init_key);
    d.nearest = calloc(n, sizeof *d.nearest);
    d.init_cap = calloc(n, sizeof *d.init_cap);
    d.init_pixels = calloc(n, REALS);
    for (size_t i = 0; i < n; i++) {
        char text[48];
        snprintf(text, sizeof text, "folder/real-%zu", i);
        d.init_key[i] = strdup(text);
        snprintf(text, sizeof text, "caf\xc3\xa9 \"%zu\"", i);
        d.nearest[i] = strdup(text);
        d.init_cap[i] = (uint32_t)(4 * i);
        for (size_t k = 0; k < REALS; k++)
            d.init_pixels[i * REALS + k] = (uint8_t)vl_rng(1, 3, i * REALS + k);
    }
    return d;
}

static void put_set(const char *path, const vld_distilled *d)
{
    vls_writer *w = writer(path);
    vls_parent parent = {.kind = "pairs"};
    vl_err e;

    memset(parent.id, 'c', 64);
    if (vld_distilled_write(w, d, &parent, 1, &e) || vls_writer_close(w, &e))
        fail_msg("%s", e.text);
}

static int read_set(const char *path, vld_distilled *d, vl_err *e)
{
    vls_reader *r;
    int rc;

    assert_int_equal(vls_reader_open(path, NULL, &r, e), VL_OK);
    rc = vld_distilled_read(r, d, e);
    vls_reader_close(r);
    return rc;
}

static void expect(const char *text)
{
    vld_distilled d = {.batch = 77};
    vl_err e = {0};

    assert_int_equal(read_set("b", &d, &e), VL_EFORMAT);
    if (strcmp(e.text, text))
        fail_msg("'%s' where '%s' is expected", e.text, text);
    assert_int_equal(d.batch, 77); /* untouched */
}

static void ok_same_bytes(const char *a, const char *b)
{
    uint8_t *p, *q;
    size_t n, m;

    slurp(a, &p, &n);
    slurp(b, &q, &m);
    assert_int_equal(n, m);
    assert_memory_equal(p, q, n);
    free(p);
    free(q);
}

static void round_trip(void **state)
{
    static const size_t rows[] = {2, PAIRS, 17, 33}; /* past the growth at 16 and 32 */
    vl_err e;

    (void)state;
    for (size_t row = 0; row < sizeof rows / sizeof *rows; row++) {
        size_t n = rows[row];
        vld_distilled d = set_of(n), x;

        put_set("a", &d);
        if (read_set("a", &x, &e))
            fail_msg("%s", e.text);
        assert_int_equal(x.set.n, n);
        assert_memory_equal(x.set.image, d.set.image, n * REALS * sizeof(vl_real));
        assert_memory_equal(x.set.text, d.set.text, n * TEXT * sizeof(vl_real));
        assert_memory_equal(x.set.rate, d.set.rate, sizeof x.set.rate);
        assert_memory_equal(x.init_pixels, d.init_pixels, n * REALS);
        for (size_t i = 0; i < n; i++) {
            assert_string_equal(x.init_key[i], d.init_key[i]);
            assert_string_equal(x.nearest[i], d.nearest[i]);
            assert_int_equal(x.init_cap[i], d.init_cap[i]);
        }
        assert_int_equal(x.batch, 2);
        assert_true(x.augment.flip && x.augment.shift == 2);
        assert_string_equal(x.model.spec, "convnet:4x1");
        assert_true(json_equal(x.about, d.about));
        put_set("b", &d); /* the same bytes again */
        ok_same_bytes("a", "b");
        vld_distilled_free(&x);
        vld_distilled_free(&x);
        vld_distilled_free(&d);
    }
}

/* What stock tools see: planes [3,S,S], the order of records and members, the preview. */
static void on_disk(void **state)
{
    static const char *const ext[] = {"pixels.npy", "text.npy", "png", "init.png", "txt", "json"};
    vld_distilled d = set_of(PAIRS);
    vls_reader *r;
    vls_record rec;
    const vls_segment *seg;
    vl_image_info info;
    uint8_t *rgb, want[REALS];
    vl_npy a;
    vl_err e;

    (void)state;
    put_set("a", &d);
    assert_int_equal(vls_reader_open("a", NULL, &r, &e), VL_OK);
    assert_int_equal(vls_next(r, &rec, &seg, &e), 1);
    assert_string_equal(rec.key, "set");
    assert_int_equal(vls_next(r, &rec, &seg, &e), 1);
    assert_int_equal(vls_next(r, &rec, &seg, &e), 1);
    assert_string_equal(rec.key, "syn-00001");
    assert_int_equal(rec.n_members, 6);
    for (size_t i = 0; i < 6; i++)
        assert_string_equal(rec.members[i].ext, ext[i]);
    assert_int_equal(vl_npy_parse(rec.members[0].data, rec.members[0].n, &a, &e), VL_OK);
    assert_true(a.dtype == VL_F32 && a.rank == 3 && a.shape[0] == 3 && a.shape[1] == SIZE &&
                a.shape[2] == SIZE);
    for (size_t y = 0; y < SIZE; y++)
        for (size_t x = 0; x < SIZE; x++)
            for (size_t c = 0; c < 3; c++) {
                float v;
                memcpy(&v, (const uint8_t *)a.data + 4 * ((c * SIZE + y) * SIZE + x), 4);
                assert_true(v == d.set.image[REALS + (y * SIZE + x) * 3 + c]);
            }
    assert_int_equal(vl_image_decode(rec.members[2].data, rec.members[2].n, 1000, &rgb, &info, &e), VL_OK);
    vld_preview(d.set.image + REALS, SIZE, want);
    assert_memory_equal(rgb, want, REALS);
    free(rgb);
    vls_reader_close(r);
    vld_distilled_free(&d);
}

/* u8 -> x -> u8 is the identity; beyond the ends it clamps; NaN does not reach a conversion. */
static void preview(void **state)
{
    vl_real x[16 * 3] = {0};
    uint8_t rgb[16 * 3];

    (void)state;
    for (int v = 0; v < 256; v++) {
        x[0] = ((vl_real)v / 255 - VL_PIXEL_MEAN) / VL_PIXEL_SD;
        vld_preview(x, 4, rgb);
        assert_int_equal(rgb[0], v);
        assert_int_equal(rgb[1], 128);
    }
    x[0] = 1e30f, x[1] = -1e30f, x[2] = NAN, x[3] = INFINITY;
    vld_preview(x, 4, rgb);
    assert_true(rgb[0] == 255 && rgb[1] == 0 && rgb[2] == 0 && rgb[3] == 255);
}

/* ---- hostile content ------------------------------------------------------------------------- */

typedef struct edit {
    const char *key, *ext; /* where */
    const char *as;        /* its new name; NULL: the member is left out; "" : as it was */
    const void *data;      /* its new bytes; NULL: as they were */
    size_t n;
    const char *text; /* the error */
} edit;

/* Copies set "a" to "b" with one member changed, under this manifest (NULL: its own). */
static void copy_with(const edit *x, const json_t *manifest)
{
    vls_writer *w = writer("b");
    vls_reader *r;
    vls_record rec;
    const vls_segment *seg;
    vl_err e;
    bool begun = false, seen = false;

    assert_int_equal(vls_reader_open("a", NULL, &r, &e), VL_OK);
    while (vls_next(r, &rec, &seg, &e) == 1) {
        vls_member m[8];
        size_t n = 0;
        if (!begun)
            assert_int_equal(vls_segment_begin(w, manifest ? manifest : seg->manifest, 0, &e), VL_OK);
        begun = true;
        for (size_t i = 0; i < rec.n_members; i++) {
            m[n++] = rec.members[i];
            if (!x || strcmp(rec.key, x->key) || strcmp(m[n - 1].ext, x->ext))
                continue;
            seen = true;
            if (!x->as) {
                n--;
                continue;
            }
            if (*x->as)
                m[n - 1].ext = x->as;
            if (x->data)
                m[n - 1].data = x->data, m[n - 1].n = x->n;
        }
        rec.members = m;
        rec.n_members = n;
        assert_int_equal(vls_add(w, &rec, &e), VL_OK);
    }
    assert_true(seen || !x);
    end_and_close(w);
    vls_reader_close(r);
}

static void array(vl_dtype type, int rank, const uint64_t *shape, const void *data, uint8_t **p, size_t *n)
{
    vl_npy a = {.dtype = type, .rank = rank, .data = data};
    vl_err e;

    memcpy(a.shape, shape, (size_t)rank * sizeof *shape);
    assert_int_equal(vl_npy_build(&a, p, n, &e), VL_OK);
}

static void hostile_arrays(void **state)
{
    static float pixels[REALS], text[TEXT];
    static const uint64_t hwc[] = {SIZE, SIZE, 3}, chw[] = {3, SIZE, SIZE}, one[] = {TEXT}, two[] = {2},
                          three[] = {3};
    static const double zero[] = {0.1, 0}, minus[] = {-0.1, 1}, inf[] = {INFINITY, 1}, nan[] = {1, NAN},
                        ok[] = {1, 1, 1};
    const struct {
        const char *key, *ext;
        vl_dtype type;
        int rank;
        const uint64_t *shape;
        const void *data;
        const char *text;
    } rows[] = {
        {"syn-00001", "pixels.npy", VL_F32, 3, hwc, pixels,
         "b: syn-00001: pixels.npy: shape [16,16,3], [3,16,16] expected"},
        {"syn-00001", "pixels.npy", VL_F32, 3, chw, pixels,
         "b: syn-00001: pixels.npy: value 700 is not finite"},
        {"syn-00000", "text.npy", VL_F32, 1, one, text, "b: syn-00000: text.npy: value 9 is not finite"},
        {"syn-00000", "text.npy", VL_I32, 1, one, text, "b: syn-00000: text.npy: dtype <i4, floats expected"},
        {"syn-00002", "text.npy", VL_F32, 1, two, text, "b: syn-00002: text.npy: shape [2], [10] expected"},
        {"set", "rates.npy", VL_F64, 1, two, zero,
         "b: set: rates.npy: rate 1 is 0, a positive number expected"},
        {"set", "rates.npy", VL_F64, 1, two, minus,
         "b: set: rates.npy: rate 0 is -0.1, a positive number expected"},
        {"set", "rates.npy", VL_F64, 1, two, inf,
         "b: set: rates.npy: rate 0 is inf, a positive number expected"},
        {"set", "rates.npy", VL_F64, 1, two, nan,
         "b: set: rates.npy: rate 1 is nan, a positive number expected"},
        {"set", "rates.npy", VL_F64, 1, three, ok, "b: set: rates.npy: shape [3], [2] expected"},
    };
    vld_distilled d = set_of(PAIRS);

    (void)state;
    pixels[700] = -INFINITY;
    text[9] = NAN;
    put_set("a", &d);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint8_t *p;
        size_t n;
        array(rows[i].type, rows[i].rank, rows[i].shape, rows[i].data, &p, &n);
        copy_with(&(edit){rows[i].key, rows[i].ext, "", p, n, NULL}, NULL);
        expect(rows[i].text);
        free(p);
    }
    vld_distilled_free(&d);
}

static void hostile_members(void **state)
{
#define BYTES(s) s, sizeof s - 1
    static const edit rows[] = {
        {"set", "rates.npy", NULL, NULL, 0, "b: set: rates.npy is missing"},
        {"set", "json", NULL, NULL, 0, "b: set: json is missing"},
        {"set", "json", "", BYTES("[1]"), NULL},
        {"syn-00002", "pixels.npy", NULL, NULL, 0, "b: syn-00002: pixels.npy is missing"},
        {"syn-00000", "text.npy", NULL, NULL, 0, "b: syn-00000: text.npy is missing"},
        {"syn-00000", "init.png", NULL, NULL, 0, "b: syn-00000: init.png is missing"},
        {"syn-00000", "txt", NULL, NULL, 0, "b: syn-00000: txt is missing"},
        {"syn-00000", "json", NULL, NULL, 0, "b: syn-00000: json is missing"},
        {"syn-00000", "init.png", "", BYTES("GIF89a"),
         "b: syn-00000: init.png: neither JPEG, PNG nor WebP (byte 0)"},
        {"syn-00000", "txt", "", BYTES("a\0b"),
         "b: syn-00000: txt: holds the control character U+0000 (byte 1)"},
        {"syn-00000", "txt", "", BYTES("\xff"), "b: syn-00000: txt: is not UTF-8 (byte 0)"},
        {"syn-00000", "json", "", BYTES("{\"init\":\"k\",\"init_caption\":-1}"),
         "b: syn-00000: json: init and init_caption, a key and a number, expected"},
        {"syn-00000", "json", "", BYTES("{\"init\":\"k\",\"init_caption\":4294967296}"),
         "b: syn-00000: json: init and init_caption, a key and a number, expected"},
        {"syn-00000", "json", "", BYTES("{\"init_caption\":1}"),
         "b: syn-00000: json: init and init_caption, a key and a number, expected"},
    };
    vld_distilled d = set_of(PAIRS), x;
    uint8_t *png, grey[32 * 32 * 3] = {0};
    size_t n;
    vl_err e;

    (void)state;
    put_set("a", &d);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        copy_with(&rows[i], NULL);
        if (rows[i].text)
            expect(rows[i].text);
        else
            assert_int_equal(read_set("b", &x, &e), VL_EFORMAT);
    }
    assert_int_equal(vl_png_encode(grey, 16, 8, &png, &n, &e), VL_OK);
    copy_with(&(edit){"syn-00001", "init.png", "", png, n, NULL}, NULL);
    expect("b: syn-00001: init.png: 16 x 8 pixels, 16 x 16 expected");
    free(png);
    assert_int_equal(vl_png_encode(grey, 32, 32, &png, &n, &e), VL_OK);
    copy_with(&(edit){"syn-00001", "init.png", "", png, n, NULL}, NULL);
    expect("b: syn-00001: init.png: PNG: 32 x 32 pixels, more than 256 allowed (byte 16)");
    free(png);
    copy_with(NULL, NULL); /* the copier itself changes nothing */
    assert_int_equal(read_set("b", &x, &e), VL_OK);
    vld_distilled_free(&x);
    vld_distilled_free(&d);
}

static void hostile_manifests(void **state)
{
    static const struct {
        const char *name;
        json_int_t value;
        const char *text;
    } rows[] = {
        /* Sets of 50 MB a pair that are not there: refused for the shape, before any allocation. */
        {"size", 1024, "b: syn-00000: pixels.npy: shape [3,16,16], [3,1024,1024] expected"},
        {"text_dim", 65536, "b: syn-00000: text.npy: shape [10], [65536] expected"},
        {"size", 1 << 30, "b: manifest: image size 1073741824: a multiple of 4 from 16 to 1024 wanted"},
        {"text_dim", 1 << 30, "b: manifest: text and embedding sizes 1073741824 and 6: 1 to 65536 wanted"},
    };
    static const int batches[] = {-1, 0, 1, 4, 1 << 30};
    vld_distilled d = set_of(PAIRS), x;
    vl_err e;

    (void)state;
    put_set("a", &d);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        json_t *m = manifest_of("distilled", 2);
        json_object_set_new(json_object_get(m, "model"), rows[i].name, json_integer(rows[i].value));
        copy_with(NULL, m);
        expect(rows[i].text);
        json_decref(m);
    }
    for (size_t i = 0; i < sizeof batches / sizeof *batches; i++) {
        json_t *m = manifest_of("distilled", batches[i]);
        copy_with(NULL, m);
        assert_int_equal(read_set("b", &x, &e), VL_EFORMAT);
        assert_non_null(strstr(e.text, "batch of"));
        json_decref(m);
    }
    json_t *m = manifest_of("pairs", 2);
    copy_with(NULL, m);
    expect("b: kind pairs, distilled expected");
    json_decref(m);
    vld_distilled_free(&d);
}

/* Records out of order, none, twice. */
static void order(void **state)
{
    vld_distilled d = set_of(PAIRS), none = set_of(PAIRS);
    vls_writer *w = writer("b");
    vl_err e;

    (void)state;
    begin(w, "distilled");
    add(w, "syn-00000", "bin", "x", 1);
    end_and_close(w);
    expect("b: record 'syn-00000': the record 'set' must come first");

    none.set.n = 0;
    put_set("b", &none);
    none.set.n = PAIRS;
    expect("b: no distilled pairs in it, its kind is distilled");

    w = writer("b");
    assert_int_equal(vld_distilled_write(w, &none, NULL, 0, &e), VL_OK);
    begin(w, "notes"); /* another kind behind it is for other tools */
    add(w, "k", "bin", "x", 1);
    end_and_close(w);
    vld_distilled x;
    assert_int_equal(read_set("b", &x, &e), VL_OK);
    assert_int_equal(x.set.n, PAIRS);
    vld_distilled_free(&x);

    w = writer("b");
    assert_int_equal(vld_distilled_write(w, &none, NULL, 0, &e), VL_OK);
    begin(w, "distilled");
    add(w, "k", "bin", "x", 1);
    end_and_close(w);
    expect("b: a second distilled set (segment 1)");
    vld_distilled_free(&none);
    vld_distilled_free(&d);
}

/* Behind a frame that is lost pairs go on with a later number, for a reader that was told to skip it. */
static void salvage(void **state)
{
    enum { MANY = 400 };
    const vls_read_opts how = {.skip_bad = true};
    vld_distilled d = set_of(MANY), x;
    const vls_segment *seg;
    vls_reader *r;
    vls_writer *w;
    vls_record rec;
    uint8_t *p;
    size_t n, at = 0;
    vl_err e;

    (void)state;
    put_set("b", &d);
    slurp("b", &p, &n);
    p[n / 2] ^= 0xff;
    spill("b", p, n);
    assert_int_equal(read_set("b", &x, &e), VL_EFORMAT);
    assert_int_equal(vls_reader_open("b", &how, &r, &e), VL_OK);
    if (vld_distilled_read(r, &x, &e))
        fail_msg("%s", e.text);
    assert_true(x.set.n > 2 && x.set.n < MANY);
    assert_int_equal(x.set.n + vls_reader_counts(r)->lost_records, MANY);
    for (size_t i = 0; i < x.set.n; i++, at++) {
        while (at < MANY && strcmp(x.init_key[i], d.init_key[at]))
            at++;
        assert_true(at < MANY);
        assert_memory_equal(x.set.image + i * REALS, d.set.image + at * REALS, REALS * sizeof *d.set.image);
        assert_memory_equal(x.set.text + i * TEXT, d.set.text + at * TEXT, TEXT * sizeof *d.set.text);
    }
    vls_reader_close(r);
    vld_distilled_free(&x);
    p[n / 2] ^= 0xff;
    p[60] ^= 0xff; /* the manifest */
    spill("b", p, n);
    assert_int_equal(vls_reader_open("b", &how, &r, &e), VL_OK);
    assert_int_equal(vld_distilled_read(r, &x, &e), VL_EFORMAT);
    assert_string_equal(e.text, "b: no distilled pairs in it, its kind is empty");
    vls_reader_close(r);
    free(p);

    /* A number that is missing without damage stays an error. */
    d.set.n = PAIRS;
    put_set("a", &d);
    assert_int_equal(vls_reader_open("a", NULL, &r, &e), VL_OK);
    w = writer("b");
    assert_int_equal(vls_segment_begin(w, d.manifest, 0, &e), VL_OK);
    while (vls_next(r, &rec, &seg, &e) == 1)
        if (strcmp(rec.key, "syn-00001"))
            assert_int_equal(vls_add(w, &rec, &e), VL_OK);
    end_and_close(w);
    vls_reader_close(r);
    assert_int_equal(vls_reader_open("b", &how, &r, &e), VL_OK);
    assert_int_equal(vld_distilled_read(r, &x, &e), VL_EFORMAT);
    assert_string_equal(e.text, "b: record 'syn-00002': syn-00001 expected here");
    vls_reader_close(r);
    d.set.n = MANY;
    vld_distilled_free(&d);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, enter, leave)
    const struct CMUnitTest tests[] = {T(round_trip),     T(on_disk),         T(preview),
                                       T(hostile_arrays), T(hostile_members), T(hostile_manifests),
                                       T(order),          T(salvage)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
