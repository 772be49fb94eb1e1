/* SPDX-License-Identifier: MIT
 * t_damage.c -- cut, flipped and hostile shards.
 *
 * One rule: whatever the bytes, a reader gives a beginning of the true records and then either ends
 * without complaint having given all of them, or says why not. */
#include "tests/shard_help.h"

/* ---- damaged shards ------------------------------------------------------------------------- */

/* The rule at the head of this file. */
static void check_damage(const reading *true_one, reading *r, const char *what, size_t at)
{
    is_beginning(true_one, r, what, at);
    if (r->rc == 0 && r->log.n != true_one->log.n)
        fail_msg("%s %zu: records are missing and nobody says so", what, at);
    complains_well(r, what, at);
    free(r->log.p);
}

static void look_at_cut(const reading *whole, size_t k)
{
    const vls_read_opts stream = {.plain_fd = true};
    reading r = read_all("c", NULL);
    char want[80];

    snprintf(want, sizeof want, "c: truncated: no seek table, file ends at byte %zu", k);
    assert_int_equal(r.rc, VL_EFORMAT);
    assert_string_equal(r.e.text, want);
    check_damage(whole, &r, "cut at", k);
    r = read_all("c", &stream);
    assert_string_equal(r.e.text, want);
    check_damage(whole, &r, "cut at", k);
}

static void every_truncation(void **state)
{
    reading whole, r;
    char want[80];
    uint8_t *p;
    size_t n;

    (void)state;
    make("a", 1, 3, 40);
    each_cut("a", look_at_cut);
    slurp("a", &p, &n);
    whole = read_all("a", NULL);
    r = read_pipe(p, n - 1);
    snprintf(want, sizeof want, "standard input: truncated: no seek table, input ends at byte %zu", n - 1);
    assert_string_equal(r.e.text, want);
    check_damage(&whole, &r, "pipe cut at", n - 1);
    free(whole.log.p);
    free(p);
}

static size_t silent; /* flipped bits that nobody noticed */

static void look_at_bit(const reading *whole, size_t k)
{
    const vls_read_opts stream = {.plain_fd = true}, skip = {.skip_bad = true};
    reading r = read_all("c", NULL);

    silent += r.rc == 0;
    check_damage(whole, &r, "bit", k);
    r = read_all("c", &stream);
    check_damage(whole, &r, "streamed bit", k);
    r = read_all("c", &skip); /* may give fewer records; must say so or fail */
    if (r.rc == 0 && r.log.n != whole->log.n && !r.counts.bad_frames)
        fail_msg("bit %zu: --skip-bad lost records in silence", k);
    free(r.log.p);
}

static void every_bit(void **state)
{
    size_t bits;

    (void)state;
    silent = 0;
    make("a", 1, 3, 40);
    bits = each_bit("a", look_at_bit);
    /* zstd codes some content in more than one way (repeat offsets, spare bits of a table), so a
     * few flips decode to the same bytes; the checksum is of those */
    if (silent > bits / 100)
        fail_msg("%zu of %zu flipped bits went unnoticed", silent, bits);
}

static void garbage_behind_and_between(void **state)
{
    reading whole, r;
    uint8_t *p, *q;
    size_t n;
    vl_buf all = {0};
    vl_err e;

    (void)state;
    make("a", 1, 3, 40);
    slurp("a", &p, &n);
    whole = read_all("a", NULL);
    assert_int_equal(vl_buf_add(&all, p, n, &e), 0);
    assert_int_equal(vl_buf_add(&all, "garbage at the end", 18, &e), 0);
    spill("c", all.p, all.n);
    r = read_all("c", NULL);
    assert_int_equal(r.rc, VL_EFORMAT);
    assert_non_null(strstr(r.e.text, "no zstd frame: begins 67 61 72 62"));
    same_log(&whole, &r);
    free(r.log.p);
    assert_int_equal(vl_buf_add(&all, p, n, &e), 0); /* the walk ends at the garbage */
    spill("c", all.p, all.n);
    r = read_all("c", NULL);
    assert_int_equal(r.rc, VL_EFORMAT);
    same_log(&whole, &r);
    free(r.log.p);
    q = p + n - 30; /* frames out of place: a seek table alone */
    spill("c", q, 30);
    r = read_all("c", NULL);
    assert_int_equal(r.rc, VL_EFORMAT);
    free(all.p);
    free(whole.log.p);
    free(p);
}

/* skip_bad: the frame with the flipped bit goes, and what straddles it; the rest comes. */
static void skip_bad_goes_on(void **state)
{
    const vls_read_opts skip = {.skip_bad = true};
    reading r;
    uint8_t *p;
    size_t n;

    (void)state;
    make("a", 1, 12, 600000); /* two records a frame */
    slurp("a", &p, &n);
    p[n / 2] ^= 1;
    spill("a", p, n);
    r = read_all("a", NULL);
    assert_int_equal(r.rc, VL_EFORMAT);
    assert_non_null(strstr(r.e.text, "a: frame "));
    free(r.log.p);
    r = read_all("a", &skip);
    assert_int_equal(r.rc, 0);
    assert_int_equal(r.counts.bad_frames, 1);
    assert_true(r.counts.records >= 8 && r.counts.records < 12);
    assert_int_equal(r.counts.lost_records, 12 - r.counts.records);
    free(r.log.p);
    free(p);
}

/* skip_bad: a table that denies sound frames costs no record, in its segment or behind it, and is counted; a frame that
 * is bad behind it is still found. And a segment without its HEAD is left out, its keys told by its TAIL. */
static void skip_bad_doubts_tables(void **state)
{
    const vls_read_opts skip = {.skip_bad = true};
    reading whole, r;
    vl_span *span = NULL;
    size_t n, n_spans = 0;
    uint8_t *p, *bad;
    vls_reader *one;
    vls_record rec;
    const vls_segment *seg;
    uint64_t lost = 0;
    vl_err e;
    int fd;

    (void)state;
    make("a", 2, 6, 600000);
    slurp("a", &p, &n);
    whole = read_all("a", NULL);
    fd = open("a", O_RDONLY);
    assert_int_equal(vl_seektab_walk(fd, n, &span, &n_spans, &e), VL_OK);
    close(fd);
    assert_true(n_spans == 2 && span[0].n >= 5);
    bad = malloc(n);
    assert_non_null(bad);
    for (uint32_t i = 0; i + 2 < span[0].n; i++) { /* HEAD and every frame of DATA; of its entry the sum */
        memcpy(bad, p, n);
        bad[span[0].table + 8 + 12 * i + 8] ^= 1;
        spill("c", bad, n);
        r = read_all("c", &skip);
        assert_int_equal(r.rc, 0);
        same_log(&whole, &r);
        assert_true(r.counts.bad_frames == 1 && r.counts.lost_records == 0);
        free(r.log.p);
        bad[span[1].start + (span[1].table - span[1].start) / 2] ^= 1;
        spill("c", bad, n);
        r = read_all("c", &skip);
        assert_int_equal(r.rc, 0);
        assert_true(r.counts.bad_frames == 2 && r.counts.records >= 8 && r.counts.records < 12);
        assert_int_equal(r.counts.lost_records, 12 - r.counts.records);
        free(r.log.p);
    }
    memcpy(bad, p, n);
    bad[20] ^= 1;
    spill("c", bad, n);
    assert_int_equal(vls_reader_open("c", &skip, &one, &e), VL_OK);
    while (vls_next(one, &rec, &seg, &e) == 1)
        assert_true(strcmp(rec.key, "k-00000006") >= 0);
    assert_string_equal(vls_reader_lost_keys(one, &lost), "k-00000000");
    assert_true(lost == 6 && vls_reader_counts(one)->lost_records == 6);
    assert_true(vls_reader_counts(one)->lost_tails == 0 && vls_reader_counts(one)->records == 6);
    vls_reader_close(one);
    free(bad);
    free(span);
    free(whole.log.p);
    free(p);
}

/* Seek tables that lie; each row changes the last 9 bytes or an entry. */
static void hostile_tables(void **state)
{
    static const struct {
        uint32_t n;
        uint8_t descriptor;
    } rows[] = {{0, 0x80},          {1, 0x80},          {4, 0x80}, {(1u << 27) + 1, 0x80},
                {0xffffffff, 0x80}, {0x15555555, 0x80}, {3, 0x00}, {3, 0x84}};
    reading whole, r;
    uint8_t *p, *bad;
    size_t n, i;

    (void)state;
    write_opts.index = VLS_INDEX_NEVER; /* so that the last 9 + 36 bytes are the footer and three entries */
    make("a", 1, 3, 40);
    slurp("a", &p, &n);
    whole = read_all("a", NULL);
    bad = malloc(n);
    assert_non_null(bad);
    for (i = 0; i < sizeof rows / sizeof *rows; i++) {
        memcpy(bad, p, n);
        vl_put_le32(bad + n - 9, rows[i].n);
        bad[n - 5] = rows[i].descriptor;
        spill("c", bad, n);
        r = read_all("c", NULL);
        assert_int_equal(r.rc, VL_EFORMAT);
        check_damage(&whole, &r, "table", i);
    }
    memcpy(bad, p, n); /* sizes that sum to the same but name other frames */
    vl_put_le32(bad + n - 9 - 36, vl_le32(p + n - 9 - 36) + 5);
    vl_put_le32(bad + n - 9 - 24, vl_le32(p + n - 9 - 24) - 5);
    spill("c", bad, n);
    r = read_all("c", NULL);
    assert_int_equal(r.rc, VL_EFORMAT);
    check_damage(&whole, &r, "table", 100);
    vl_put_le32(bad + n - 9 - 36, 0xffffffff); /* sums that pass the file's start */
    spill("c", bad, n);
    r = read_all("c", NULL);
    assert_int_equal(r.rc, VL_EFORMAT);
    check_damage(&whole, &r, "table", 101);
    free(bad);
    free(whole.log.p);
    free(p);
}

/* A segment put together by hand: HEAD, one DATA frame, TAIL, table. */
static void by_hand(const char *path, const char *first_key, const vl_buf *data, vl_buf *sums,
                    const char *content_id, uint64_t members, uint64_t records)
{
    vl_codec *c;
    vl_seektab t = {0};
    vl_buf out = {0}, raw[3] = {{0}};
    vls_totals sum = {records, members, 1, data->n, ""};
    json_t *m = json_pack("{s:s}", "kind", "pairs");
    char id[VLS_ID_HEX + 1];
    const uint8_t *comp;
    vl_frame f;
    vl_err e;
    int i;

    assert_int_equal(vl_codec_new(&c, &e), 0);
    assert_int_equal(vls_head_build(m, 0, first_key, &raw[0], id, &e), 0);
    raw[1] = *data;
    strcpy(sum.content_id, content_id);
    assert_int_equal(vls_tail_build(id, sums, &sum, NULL, NULL, false, &raw[2], &e), 0);
    for (i = 0; i < 3; i++) {
        assert_int_equal(vl_frame_encode(c, raw[i].p, raw[i].n, 1, &comp, &f, &e), 0);
        assert_int_equal(vl_buf_add(&out, comp, f.csize, &e), 0);
        assert_int_equal(vl_seektab_add(&t, &f, &e), 0);
    }
    assert_int_equal(vl_seektab_build(&t, &out, &e), 0);
    spill(path, out.p, out.n);
    vl_codec_free(c);
    json_decref(m);
    free(raw[0].p);
    free(raw[2].p);
    free(t.b.p);
    free(out.p);
}

/* Frames are sound, what they hold is not. name, its bytes; `claims` bytes in its header. */
static void hostile_content(void **state)
{
    static const struct {
        const char *a, *b, *text;
        uint64_t claims;
        int lie; /* 1 sums, 2 content id, 3 counts, 4 first key */
    } rows[] = {
        {"k.txt", "l.txt", NULL, 2, 0},
        {"k.txt", "k.txt", "member 'k.txt' is there twice", 2, 0},
        {"../k.txt", "l.txt", "member '../k.txt'", 2, 0},
        {"k.txt", "/etc/x.txt", "has an empty part", 2, 0},
        {"k.txt", "__vl__/.sums.0123456789abcdef", "begins with '.' or '__'", 2, 0},
        {"k.txt", "l", "has no extension", 2, 0},
        {"k.txt", "l.txt", "the seek table ends before the segment's tail", 1 << 29, 0},
        {"k.txt", "l.txt", "sums: line 0", 2, 1},
        {"k.txt", "l.txt", "content id is", 2, 2},
        {"k.txt", "l.txt", "members, 2 were read", 2, 3},
        {"k.txt", "l.txt", "the manifest says 'z'", 2, 4},
    };
    const char *body[2] = {"hi", "ho"};
    vl_sha *sha;
    vl_err e;
    size_t i;
    int k;

    (void)state;
    assert_int_equal(vl_sha_new(&sha, &e), 0);
    for (i = 0; i < sizeof rows / sizeof *rows; i++) {
        vl_buf data = {0}, sums = {0};
        uint8_t head[VL_TAR_HEAD_MAX], pad[510] = {0};
        char id[VL_SHA_HEX + 1];
        size_t head_n;
        reading r;

        for (k = 0; k < 2; k++) {
            const char *name = k ? rows[i].b : rows[i].a;
            assert_int_equal(vl_tar_build(name, k ? rows[i].claims : 2, head, &head_n, &e), 0);
            assert_int_equal(vl_buf_add(&data, head, head_n, &e), 0);
            assert_int_equal(vl_buf_add(&data, body[k], 2, &e), 0);
            assert_int_equal(vl_buf_add(&data, pad, sizeof pad, &e), 0);
            assert_int_equal(vls_sums_line(name, XXH64(body[k], 2, rows[i].lie == 1), &sums, &e), 0);
        }
        assert_int_equal(vl_sha_reset(sha, &e), 0);
        assert_int_equal(vl_sha_add(sha, data.p, data.n - (rows[i].lie == 2), &e), 0);
        assert_int_equal(vl_sha_hex(sha, id, &e), 0);
        by_hand("c", rows[i].lie == 4 ? "z" : "k", &data, &sums, id, 2 + (rows[i].lie == 3), 2);
        r = read_all("c", NULL);
        if (!rows[i].text ? r.rc != 0 : r.rc != VL_EFORMAT || !strstr(r.e.text, rows[i].text))
            fail_msg("row %zu: code %d '%s'", i, r.rc, r.e.text);
        free(r.log.p);
        free(data.p);
        free(sums.p);
    }
    vl_sha_free(sha);
}

/* A frame header that claims 2^62 bytes, and one over the limit by a byte, allocate nothing. */
static void hostile_frames(void **state)
{
    static const struct {
        uint8_t head[16];
        size_t n;
        const char *text;
    } rows[] = {
        {{0x28, 0xb5, 0x2f, 0xfd, 0xe4, 0, 0, 0, 0, 0, 0, 0, 0x40}, 13, "1 to 8388608 allowed"},
        {{0x28, 0xb5, 0x2f, 0xfd, 0xa4, 1, 0, 0x80, 0}, 9, "frame content of 8388609 bytes"},
        {{0x28, 0xb5, 0x2f, 0xfd, 0x84, 0xa0, 1, 0, 0, 0}, 10, "frame window of"},
        {{0x28, 0xb5, 0x2f, 0xfd, 0x24, 0}, 6, "frame content of 0 bytes"},
        {{0x28, 0xb5, 0x2f, 0xfd, 0x25, 1, 1}, 7, "dictionary"},
        {{0x28, 0xb5, 0x2f, 0xfd, 0x20, 1}, 6, "no content checksum"},
        {{0x28, 0xb5, 0x2f, 0xfd, 0x04, 0x58}, 6, "does not state its content size"},
        {{0x28, 0xb5, 0x2f, 0xfd, 0x2c, 1}, 6, "reserved bits"},
        {{0x28, 0xb5, 0x2f, 0xfd, 0x24, 1, 7, 0, 0}, 9, "block of a reserved type"},
        {{0x28, 0xb5, 0x2f, 0xfd, 0x24, 1, 5, 0, 0x80}, 9, "zstd block of"},
        {{0x5e, 0x2a, 0x4d, 0x18, 0xff, 0xff, 0xff, 0xff}, 8, "not a shard: no zstd frame"},
    };
    reading r;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof rows / sizeof *rows; i++) {
        spill("c", rows[i].head, rows[i].n);
        r = read_all("c", NULL);
        if (r.rc != VL_EFORMAT || !strstr(r.e.text, rows[i].text))
            fail_msg("row %zu: code %d '%s'", i, r.rc, r.e.text);
    }
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, enter, leave)
    const struct CMUnitTest tests[] = {
        T(every_truncation),
        T(every_bit),
        T(garbage_behind_and_between),
        T(skip_bad_goes_on),
        T(skip_bad_doubts_tables),
        T(hostile_tables),
        T(hostile_content),
        T(hostile_frames),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
