/* SPDX-License-Identifier: MIT
 * t_salvage.c -- skip_bad on files and pipes, framed and plain.
 *
 * One rule: what is given are true records in their order, and where one is missing somebody says so. (A plain
 * shard through a pipe has its sums last: there a wrong record may be given, with an error behind it.) */
#include "tests/shard_help.h"

enum { RECORDS_MAX = 64, FILE_WAY = 0, STREAM_WAY, PIPE_WAY, WAYS };

/* A reading with skip_bad: every record as one text, and all that is said about the rest. */
typedef struct salvage {
    vl_buf rec[RECORDS_MAX];
    size_t n;
    int rc;
    vl_err e;
    vls_read_counts counts;
    char *keys; /* lost keys, joined by spaces */
    char *gaps; /* "after>before after>before" */
    json_t *note;
} salvage;

static void collect(salvage *s, vls_reader *r)
{
    const vls_loss *loss;
    const char *key;
    vl_buf keys = {0}, gaps = {0};
    uint64_t n;
    size_t k;
    vl_err e;

    s->counts = *vls_reader_counts(r);
    key = vls_reader_lost_keys(r, &n);
    for (uint64_t i = 0; i < n; i++, key += strlen(key) + 1)
        assert_int_equal(vl_buf_fmt(&keys, &e, "%s%s", i ? " " : "", key), 0);
    k = vls_reader_losses(r, &loss);
    for (size_t i = 0; i < k; i++)
        assert_int_equal(vl_buf_fmt(&gaps, &e, "%s%s>%s", i ? " " : "", loss[i].after ? loss[i].after : "",
                                    loss[i].before ? loss[i].before : ""),
                         0);
    assert_int_equal(vl_buf_add(&keys, "", 1, &e), 0);
    assert_int_equal(vl_buf_add(&gaps, "", 1, &e), 0);
    s->keys = (char *)keys.p;
    s->gaps = (char *)gaps.p;
    s->note = vls_reader_loss_note(r);
}

static salvage read_from(const char *path, bool stream)
{
    const vls_read_opts opts = {.skip_bad = true, .plain_fd = stream};
    salvage s = {.n = 0};
    const vls_segment *seg;
    vls_reader *r = NULL;
    vls_record rec;

    s.rc = vls_reader_open(path, &opts, &r, &s.e);
    if (s.rc)
        return s;
    while ((s.rc = vls_next(r, &rec, &seg, &s.e)) == 1) {
        assert_true(s.n < RECORDS_MAX);
        note(&s.rec[s.n++], &rec, seg);
    }
    collect(&s, r);
    vls_reader_close(r);
    return s;
}

/* way: through its tables, as a stream that can seek, or through a pipe. */
static salvage read_way(int way)
{
    int keep, fd;
    salvage s;
    FILE *f;

    if (way != PIPE_WAY)
        return read_from("c", way == STREAM_WAY);
    keep = dup(STDIN_FILENO);
    f = popen("exec cat c", "r");
    assert_non_null(f);
    fd = dup2(fileno(f), STDIN_FILENO);
    assert_int_equal(fd, STDIN_FILENO);
    s = read_from("-", false);
    assert_int_equal(dup2(keep, STDIN_FILENO), STDIN_FILENO);
    close(keep);
    pclose(f);
    return s;
}

static void put_away(salvage *s)
{
    for (size_t i = 0; i < s->n; i++)
        free(s->rec[i].p);
    free(s->keys);
    free(s->gaps);
    json_decref(s->note);
}

static bool equal(const vl_buf *a, const vl_buf *b)
{
    return a->n == b->n && !memcmp(a->p, b->p, a->n);
}

/* The rule at the head of this file. */
static void check(const salvage *whole, const salvage *s, bool plain_stream, const char *what, size_t at)
{
    size_t k = 0, i = 0;

    for (; i < s->n; i++, k++) {
        while (k < whole->n && !equal(&whole->rec[k], &s->rec[i]))
            k++;
        if (k == whole->n)
            break;
    }
    if (i < s->n && !(plain_stream && s->rc < 0))
        fail_msg("%s %zu: a wrong record was given", what, at);
    if (!s->rc && s->n < whole->n && !s->counts.bad_frames && !s->counts.lost_tails)
        fail_msg("%s %zu: %zu of %zu records are missing and nobody says so", what, at, whole->n - s->n,
                 whole->n);
    if (!s->rc && !s->note && (s->counts.bad_frames || s->counts.lost_tails))
        fail_msg("%s %zu: no note of the loss", what, at);
    if (s->rc && (s->rc != VL_EFORMAT || !strchr(s->e.text, ':')))
        fail_msg("%s %zu: code %d '%s'", what, at, s->rc, s->e.text);
}

/* Both carriers, three records of which a bit is flipped or the end is missing; every place. */
static void every_bit_and_cut(void **state)
{
    salvage whole, s;
    uint8_t *p;
    size_t n;

    (void)state;
    for (int plain = 0; plain < 2; plain++) {
        write_opts.plain = plain;
        make("c", 1, plain ? 2 : 3, 40);
        slurp("c", &p, &n);
        whole = read_way(FILE_WAY);
        assert_true(whole.n == (plain ? 2 : 3) && !whole.rc && !whole.note);
        for (size_t k = 0; k < 8 * n; k++) {
            p[k / 8] ^= (uint8_t)(1 << k % 8);
            spill("c", p, n);
            for (int way = 0; way <= STREAM_WAY; way++) {
                s = read_way(way);
                check(&whole, &s, plain && way, plain ? "plain, bit" : "bit", k);
                put_away(&s);
            }
            p[k / 8] ^= (uint8_t)(1 << k % 8);
        }
        for (size_t k = 0; k < n; k++) {
            spill("c", p, k);
            s = read_way(FILE_WAY);
            check(&whole, &s, plain, plain ? "plain, cut at" : "cut at", k);
            if (k > n / 2 && s.rc)
                fail_msg("cut at %zu: %s", k, s.e.text);
            put_away(&s);
        }
        put_away(&whole);
        free(p);
    }
}

/* What was done to the bytes, and what must come of it, each way. Two segments of 6 records, 2 a frame. */
static const struct damage {
    const char *name;
    double at;      /* in the file */
    int cut, add;   /* bytes taken out there, bytes put in */
    bool flip;      /* a bit */
    size_t at_most; /* records that may be missing */
} damages[] = {
    {"one bit of a block", 0.25, 0, 0, true, 4},
    {"a stretch is gone", 0.25, 5000, 0, false, 5},
    {"a stretch too many", 0.25, 0, 5000, false, 5},
    {"half of the first segment is gone", 0.2, 1500000, 0, false, 6},
    {"the end is gone", 0.9, 100000000, 0, false, 3},
    {"a frame's worth in the second segment", 0.7, 1200000, 0, false, 6},
};

static void hurt(const struct damage *d, const uint8_t *p, size_t n)
{
    size_t at = (size_t)(d->at * (double)n), rest = n - at > (size_t)d->cut ? at + (size_t)d->cut : n;
    vl_buf out = {0};
    vl_err e;

    assert_int_equal(vl_buf_add(&out, p, at, &e), 0);
    for (int i = 0; i < d->add; i++)
        assert_int_equal(vl_buf_add(&out, i % 7 ? "x" : "(", 1, &e), 0);
    assert_int_equal(vl_buf_add(&out, p + rest, n - rest, &e), 0);
    if (d->flip)
        out.p[at] ^= 8;
    spill("c", out.p, out.n);
    free(out.p);
}

static void big_damage(void **state)
{
    salvage whole, s;
    uint8_t *p;
    size_t n;

    (void)state;
    for (int plain = 0; plain < 2; plain++) {
        write_opts.plain = plain;
        make("c", 2, 6, 600000);
        slurp("c", &p, &n);
        whole = read_way(FILE_WAY);
        assert_int_equal(whole.n, 12);
        for (size_t i = 0; i < sizeof damages / sizeof *damages; i++)
            for (int way = 0; way < WAYS; way++) {
                const struct damage *d = &damages[i];
                hurt(d, p, n);
                s = read_way(way);
                check(&whole, &s, plain && way, d->name, (size_t)way);
                if (plain && way && d->flip) {
                    assert_int_equal(s.rc, VL_EFORMAT); /* given before its sum was known */
                } else if (s.rc || s.n + d->at_most < 12 || (s.n == 12 && d->at < 0.9)) {
                    fail_msg("%s, plain %d, way %d: %zu records, '%s'", d->name, plain, way, s.n,
                             s.rc ? s.e.text : "");
                }
                put_away(&s);
            }
        put_away(&whole);
        free(p);
    }
}

/* With the tail intact the lost keys are known; the neighbours always are. */
static void keys_are_named(void **state)
{
    uint8_t *p;
    size_t n;
    salvage s;

    (void)state;
    make("c", 1, 12, 600000);
    slurp("c", &p, &n);
    p[n / 2] ^= 1;
    spill("c", p, n);
    for (int way = 0; way < WAYS; way++) {
        s = read_way(way);
        assert_int_equal(s.rc, 0);
        assert_int_equal(s.counts.bad_frames, 1);
        assert_int_equal(s.counts.lost_tails, 0);
        assert_true(s.counts.lost_records == 12 - s.n && s.n >= 8);
        assert_string_equal(s.gaps, "k-00000004>k-00000008");
        assert_string_equal(s.keys, "k-00000005 k-00000006 k-00000007");
        assert_int_equal(json_array_size(json_object_get(s.note, "keys")), 3);
        assert_int_equal(json_integer_value(json_object_get(s.note, "lost_records")), 3);
        put_away(&s);
    }
    free(p);
}

/* The tail and the table of the first of two shards are gone: the second one is whole. */
static void a_lost_tail_ends_at_the_next_head(void **state)
{
    uint8_t *p, *q;
    size_t n, m;
    vl_buf all = {0};
    salvage s;
    vl_err e;

    (void)state;
    for (int plain = 0; plain < 2; plain++) {
        write_opts.plain = plain;
        make("a", 1, 2, 600000);
        vls_writer *w = writer("b");
        begin(w, "pairs");
        add(w, "other", "bin", "x", 1);
        end_and_close(w);
        slurp("a", &p, &n);
        slurp("b", &q, &m);
        all.n = 0;
        assert_int_equal(vl_buf_add(&all, p, n - (plain ? 1536 : 500), &e), 0);
        assert_int_equal(vl_buf_add(&all, q, m, &e), 0);
        spill("c", all.p, all.n);
        for (int way = 0; way < WAYS; way++) {
            s = read_way(way);
            if (s.rc || s.n < 2 || s.counts.lost_tails != 1)
                fail_msg("plain %d, way %d: %zu records, %d lost tails, '%s'", plain, way, s.n,
                         (int)s.counts.lost_tails, s.rc ? s.e.text : "");
            assert_non_null(strstr((char *)s.rec[s.n - 1].p, "other"));
            put_away(&s);
        }
        free(p);
        free(q);
    }
    free(all.p);
}

/* Bytes that are no shard at all stay an error, and a hostile heap of magic numbers ends. */
static void what_cannot_be_salvaged(void **state)
{
    static uint8_t heap[4 << 20];
    salvage s;

    (void)state;
    for (size_t i = 0; i + 16 <= sizeof heap; i += 16)
        memcpy(heap + i, "\x28\xb5\x2f\xfd\x64\x00\x03\x01\x00\x01\x00\x00\x00\x00\x00\x00", 16);
    spill("c", heap, sizeof heap);
    s = read_way(FILE_WAY);
    assert_int_equal(s.rc, VL_EFORMAT);
    assert_non_null(strstr(s.e.text, "places that do not verify"));
    put_away(&s);
    memset(heap, 'x', sizeof heap);
    spill("c", heap, sizeof heap);
    for (int way = 0; way < WAYS; way++) {
        s = read_way(way);
        assert_int_equal(s.rc, VL_EFORMAT);
        assert_non_null(strstr(s.e.text, "not a shard"));
        put_away(&s);
    }
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, enter, leave)
    const struct CMUnitTest tests[] = {
        T(every_bit_and_cut),       T(big_damage), T(keys_are_named), T(a_lost_tail_ends_at_the_next_head),
        T(what_cannot_be_salvaged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
