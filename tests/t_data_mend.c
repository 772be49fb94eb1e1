/* SPDX-License-Identifier: MIT
 * t_data_mend.c -- damaged shards of pairs and embeddings: what is whole comes together as ever, what is not is
 * told of; an independent reading of the same bytes says which is which. Without left_out nothing is forgiven. */
#include "shard_help.h"

#include "data/images.h"
#include "formats/npy.h"
#include "pipeline/data.h"

enum { S = 16, K = 5, N = 14, PAD = 400000 };

/* ---- making shards ------------------------------------------------------------------------------ */

static uint8_t *pad;

static void key_of(int number, char key[32])
{
    snprintf(key, 32, "key-%02d", number);
}

static blob picture(int number)
{
    uint8_t *rgb = test_picture(20, 20);
    blob b;

    rgb[0] = (uint8_t)number;
    b = test_png(rgb, 20, 20, 60, (png_how){.colour_type = PNG_COLOR_TYPE_RGB, .depth = 8});
    free(rgb);
    return b;
}

/* Records of 400 kB, so that a shard has frames to lose. broken: the number of a record with half an image. */
static void make_pairs(const char *path, int broken)
{
    vls_writer *w = writer(path);
    vl_err e;

    begin(w, "pairs");
    for (int i = 0; i < N; i++) {
        blob b = picture(i);
        char key[32], json[64];
        int n = snprintf(json, sizeof json, "{\"captions\":[\"thing %d\"]}", i);
        vls_member m[3] = {{"png", b.p, i == broken ? b.n / 2 : b.n},
                           {"json", (const uint8_t *)json, (size_t)n},
                           {"pad", pad + i, PAD}};
        key_of(i, key);
        if (vls_add(w, &(vls_record){key, m, 3}, &e))
            fail_msg("%s", e.text);
        free(b.p);
    }
    end_and_close(w);
}

/* wrong: the number of a record with two rows for its one caption. */
static void make_rows(const char *path, int wrong)
{
    vls_writer *w = writer(path);
    vl_err e;

    begin(w, "embeddings");
    for (int i = 0; i < N; i++) {
        float row[2 * K];
        vl_npy a = {.dtype = VL_F32, .rank = 2, .shape = {i == wrong ? 2 : 1, K}, .data = row};
        uint8_t *p = NULL;
        size_t n = 0;
        char key[32];
        for (int k = 0; k < 2 * K; k++)
            row[k] = (float)(100 * i + k);
        assert_int_equal(vl_npy_build(&a, &p, &n, &e), VL_OK);
        vls_member m[2] = {{"h.txt.npy", p, n}, {"pad", pad + N + i, PAD}};
        key_of(i, key);
        if (vls_add(w, &(vls_record){key, m, 2}, &e))
            fail_msg("%s", e.text);
        free(p);
    }
    end_and_close(w);
}

static int enter_with_pad(void **state)
{
    uint32_t x = 7;

    pad = malloc(PAD + 2 * N);
    if (!pad)
        return -1;
    for (size_t i = 0; i < PAD + 2 * N; i++)
        pad[i] = (uint8_t)((x = x * 1664525 + 1013904223) >> 24);
    return enter(state);
}

static int leave_with_pad(void **state)
{
    free(pad);
    return leave(state);
}

/* to: what from is, with a byte at 1/of of its length turned over, or cut there. */
static void damage(const char *from, const char *to, double at, bool cut)
{
    uint8_t *p;
    size_t n, k;

    slurp(from, &p, &n);
    k = (size_t)((double)n * at);
    p[k] ^= 0xff;
    spill(to, p, cut ? k : n);
    free(p);
}

/* ---- what a loading tells, and what it should ---------------------------------------------------- */

typedef struct heard {
    vl_buf text; /* a line each */
    uint64_t bad_frames, lost_tails;
    int records, fail_at; /* fail_at: the record's number at which the listener has enough; 0: never */
} heard;

static int hear_shard(void *arg, const vls_reader *r, vl_err *e)
{
    heard *h = arg;

    (void)e;
    h->bad_frames += vls_reader_counts(r)->bad_frames;
    h->lost_tails += vls_reader_counts(r)->lost_tails;
    return VL_OK;
}

static int hear_record(void *arg, const char *key, const char *why, vl_err *e)
{
    heard *h = arg;

    assert_non_null(strstr(why, key));
    if (++h->records == h->fail_at)
        return vl_fail(e, VL_EIO, "enough");
    return vl_buf_fmt(&h->text, e, "%s\n", why);
}

/* Which records a shard still gives. */
static void given(const char *path, bool has[N])
{
    const vls_read_opts how = {.skip_bad = true};
    const vls_segment *seg;
    vls_reader *r;
    vls_record rec;
    vl_err e;
    int rc;

    memset(has, 0, N * sizeof *has);
    assert_int_equal(vls_reader_open(path, &how, &r, &e), VL_OK);
    while ((rc = vls_next(r, &rec, &seg, &e)) == 1)
        has[atoi(rec.key + 4)] = true;
    assert_int_equal(rc, 0);
    vls_reader_close(r);
}

/* The lines that should be told (of a broken image its beginning), and the records that should be there:
 * kept[N]. */
static int expect(const char *pairs, const char *rows, int broken, bool kept[N], vl_buf *lines)
{
    bool p[N], t[N];
    char key[32];
    int n = 0, rc = 0;
    vl_err e;

    given(pairs, p);
    given(rows, t);
    for (int i = 0; i < N; i++) {
        key_of(i, key);
        n += kept[i] = p[i] && t[i] && i != broken;
        if (p[i] && !t[i])
            rc |= vl_buf_fmt(lines, &e, "%s: record '%s': no text embedding (h.txt.npy) in any shard\n",
                             pairs, key);
        else if (p[i] && i == broken)
            rc |= vl_buf_fmt(lines, &e, "%s: record '%s': image: ", pairs, key);
    }
    for (int i = 0; i < N; i++) {
        key_of(i, key);
        if (t[i] && !p[i])
            rc |= vl_buf_fmt(lines, &e, "%s: record '%s': an embedding without a pair\n", rows, key);
    }
    assert_int_equal(rc, 0);
    return n;
}

static void check_data(const vl_data *d, const bool kept[N], const vl_data *whole)
{
    const size_t bytes = (size_t)S * S * 3;
    size_t at = 0;
    char key[32], caption[32];

    for (int i = 0; i < N; i++) {
        if (!kept[i])
            continue;
        key_of(i, key);
        snprintf(caption, sizeof caption, "thing %d", i);
        assert_string_equal(d->key[at], key);
        assert_int_equal(d->cap[at], at);
        assert_string_equal(d->caption[at], caption);
        assert_int_equal(d->bytes[at], whole->bytes[i]);
        assert_memory_equal(d->images + at * bytes, whole->images + (size_t)i * bytes, bytes);
        for (size_t k = 0; k < K; k++)
            assert_true(d->text[at * K + k] == (float)(100 * i + (int)k));
        at++;
    }
    assert_int_equal(d->n, at);
    assert_int_equal(d->n_caps, at);
    assert_int_equal(d->n_groups, at);
}

/* Both orders of the shards, one thread and four: the same records, the same lines. */
static void check_pair(const char *pairs, const char *rows, int broken, const vl_data *whole)
{
    const char *paths[2][2] = {{pairs, rows}, {rows, pairs}};
    bool kept[N];
    vl_buf want = {0};
    vl_err e;
    int n = expect(pairs, rows, broken, kept, &want);

    assert_true(n >= 2 && n < N);
    for (int run = 0; run < 4; run++) {
        heard h = {0};
        const vls_left_out ear = {&h, hear_shard, hear_record};
        vl_data_opts o = {.size = S, .images = true, .text = true, .threads = run < 2 ? 1 : 4};
        vl_data d = {0};

        assert_int_equal(vl_data_load(paths[run % 2], 2, &o, &d, NULL, &e), VL_EFORMAT); /* as ever */
        o.left_out = &ear;
        if (vl_data_load(paths[run % 2], 2, &o, &d, NULL, &e))
            fail_msg("%s", e.text);
        check_data(&d, kept, whole);
        vl_data_free(&d);
        assert_true(broken >= 0 || h.bad_frames + h.lost_tails > 0);
        if (broken < 0)
            assert_int_equal(h.text.n, want.n);
        assert_true(h.text.n >= want.n);
        assert_memory_equal(h.text.p, want.p, want.n);
        free(h.text.p);
    }
    free(want.p);
}

static vl_data load_whole(void)
{
    static const char *const paths[] = {"p", "t"};
    heard h = {0};
    const vls_left_out ear = {&h, hear_shard, hear_record};
    const vl_data_opts o = {.size = S, .images = true, .text = true, .threads = 2, .left_out = &ear};
    vl_data d;
    vl_err e;

    make_pairs("p", -1);
    make_rows("t", -1);
    if (vl_data_load(paths, 2, &o, &d, NULL, &e))
        fail_msg("%s", e.text);
    assert_int_equal(d.n, N);
    assert_int_equal(h.records + (int)h.bad_frames + (int)h.lost_tails, 0);
    return d;
}

/* ---- tests ---------------------------------------------------------------------------------------- */

static void damaged(void **state)
{
    vl_data whole = load_whole();

    (void)state;
    for (int i = 1; i < 4; i++) {
        damage("p", "p-bad", i / 4.0 + 0.01, false);
        check_pair("p-bad", "t", -1, &whole);
        damage("p", "p-bad", i / 4.0 + 0.01, true);
        check_pair("p-bad", "t", -1, &whole);
        damage("t", "t-bad", i / 4.0 + 0.01, false);
        check_pair("p", "t-bad", -1, &whole);
        damage("t", "t-bad", i / 4.0 + 0.01, true);
        check_pair("p", "t-bad", -1, &whole);
    }
    damage("p", "p-bad", 0.3, false);
    damage("t", "t-bad", 0.7, false);
    check_pair("p-bad", "t-bad", -1, &whole);
    vl_data_free(&whole);
}

static void broken_image(void **state)
{
    vl_data whole = load_whole();

    (void)state;
    for (int broken = 0; broken < N; broken += N - 1) {
        make_pairs("p", broken);
        check_pair("p", "t", broken, &whole);
    }
    vl_data_free(&whole);
}

/* Only what was asked for is told of, in the order asked for. */
static void asked(void **state)
{
    static const char *const paths[] = {"p-cut", "t"}, *const keys[] = {"key-13", "key-01", "key-00"};
    heard h = {0};
    const vls_left_out ear = {&h, hear_shard, hear_record};
    const vl_data_opts o = {
        .size = S, .images = true, .text = true, .threads = 1, .keys = keys, .n_keys = 3, .left_out = &ear};
    vl_data whole = load_whole(), d = {0};
    vl_err e;

    (void)state;
    damage("p", "p-cut", 0.5, true);
    if (vl_data_load(paths, 2, &o, &d, NULL, &e))
        fail_msg("%s", e.text);
    assert_int_equal(d.n, 2);
    assert_string_equal(d.key[0], "key-01");
    assert_string_equal(d.key[1], "key-00");
    assert_memory_equal(d.images + S * S * 3, whole.images, S * S * 3);
    assert_true(d.text[0] == 100 && d.text[K] == 0);
    assert_int_equal(h.records, 1);
    vl_data_free(&d);
    vl_data_free(&whole);
    free(h.text.p);
}

/* What is not a loss stays an error, and so does having nothing left; a listener may end it. */
static void refused(void **state)
{
    static const char *const paths[] = {"p", "t"}, *const pairs[] = {"p"};
    heard h = {0};
    const vls_left_out ear = {&h, hear_shard, hear_record};
    const vl_data_opts o = {.size = S, .images = true, .text = true, .threads = 2, .left_out = &ear};
    vl_data d = {.n = 77};
    vl_err e;

    (void)state;
    make_pairs("p", -1);
    make_rows("t", 3);
    assert_int_equal(vl_data_load(paths, 2, &o, &d, NULL, &e), VL_EFORMAT);
    assert_string_equal(e.text, "t: record 'key-03': 2 text rows for the 1 captions of p");
    assert_int_equal(vl_data_load(pairs, 1, &o, &d, NULL, &e), VL_EFORMAT);
    assert_string_equal(e.text, "no record is whole, the last one: p: record 'key-13': no text embedding "
                                "(*.txt.npy) in any shard");
    assert_int_equal(h.records, N);
    h.fail_at = N + 2;
    assert_int_equal(vl_data_load(pairs, 1, &o, &d, NULL, &e), VL_EIO);
    assert_string_equal(e.text, "enough");
    assert_int_equal(d.n, 77); /* untouched */
    free(h.text.p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(damaged, enter_with_pad, leave_with_pad),
        cmocka_unit_test_setup_teardown(broken_image, enter_with_pad, leave_with_pad),
        cmocka_unit_test_setup_teardown(asked, enter_with_pad, leave_with_pad),
        cmocka_unit_test_setup_teardown(refused, enter_with_pad, leave_with_pad),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
