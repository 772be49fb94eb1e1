/* SPDX-License-Identifier: MIT
 * t_shard_index.c -- single records against a reading of everything: by number and by key, over shards of both
 * carriers, with and without record indexes, cut in many ways; damage stays where it is. */
#include "formats/shard_index.h"
#include "tests/shard_help.h"

#include <dirent.h>

enum { SHARDS = 12 };

static const char *paths[SHARDS];
static char names[SHARDS][16];

/* Shards that differ in everything a fetch depends on; records p-000 ... of kind "pairs" through all of them. */
static void make_list(void)
{
    static const size_t bytes[] = {0, 40, 700, 511, 300000, (9 << 20) + 5, 1 << 20};
    uint8_t *noise = malloc(10 << 20);
    uint32_t x = 1;
    int number = 0;

    assert_non_null(noise);
    for (size_t k = 0; k < 10 << 20; k++)
        noise[k] = (uint8_t)((x = x * 1664525 + 1013904223) >> 24);
    for (int s = 0; s < SHARDS; s++) {
        vl_err e;
        snprintf(names[s], sizeof names[s], "s%02d", s);
        paths[s] = names[s];
        write_opts = (vls_write_opts){.plain = s % 3 == 1,
                                      .seal = s == 4 || s == 5,
                                      .index = s % 4 == 3 ? VLS_INDEX_NEVER : VLS_INDEX_AUTO};
        vls_writer *w = writer(names[s]);
        for (int seg = 0; seg <= s % 3; seg++) {
            begin(w, seg == 1 ? "embeddings" : "pairs");
            for (int i = 0; i < (s * 7 + seg * 3) % 5; i++) {
                char key[16];
                snprintf(key, sizeof key, "p-%03d", number);
                add(w, key, "bin", noise + number, bytes[number % 7]);
                number++;
            }
            if (vls_segment_end(w, &e))
                fail_msg("%s", e.text);
        }
        if (vls_writer_close(w, &e))
            fail_msg("%s", e.text);
    }
    write_opts = (vls_write_opts){0};
    free(noise);
}

/* Records of a kind as a plain reading gives them; log[i] of record i. */
static size_t expected(const char *kind, vl_buf *log, size_t max)
{
    size_t n = 0;

    for (int s = 0; s < SHARDS; s++) {
        vls_reader *r;
        vls_record rec;
        const vls_segment *seg;
        vl_err e;
        assert_int_equal(vls_reader_open(paths[s], NULL, &r, &e), 0);
        while (vls_next(r, &rec, &seg, &e) == 1)
            if (!strcmp(seg->kind, kind)) {
                assert_true(n < max);
                log[n] = (vl_buf){0};
                note(&log[n++], &rec, seg);
            }
        vls_reader_close(r);
    }
    return n;
}

/* A reading of that shard finds the key at that place. */
static void check_where(const vls_where *where, const char *key)
{
    uint64_t n = 0, last = UINT64_MAX;
    const vls_segment *seg;
    vls_reader *r;
    vls_record rec;
    vl_err e;

    assert_int_equal(vls_reader_open(where->path, NULL, &r, &e), 0);
    while (vls_next(r, &rec, &seg, &e) == 1) {
        n = seg->ordinal == last ? n + 1 : 0;
        last = seg->ordinal;
        if (!strcmp(rec.key, key))
            break;
    }
    assert_true(where->segment == last && where->record == n);
    vls_reader_close(r);
}

static void check_one(vls_index *x, const vl_buf *want, uint64_t i)
{
    vls_segment seg = {.kind = vls_index_kind(x)};
    vls_record rec;
    vl_buf got = {0};
    uint64_t number;
    vls_where where;
    vl_err e;

    if (vls_index_get(x, i, &rec, &where, &e))
        fail_msg("record %d: %s", (int)i, e.text);
    check_where(&where, rec.key);
    note(&got, &rec, &seg);
    assert_int_equal(got.n, want->n);
    assert_memory_equal(got.p, want->p, got.n);
    assert_int_equal(vls_index_find(x, rec.key, &number, &e), 1);
    assert_true(number == i);
    free(got.p);
}

static void every_record(void **state)
{
    static const vls_index_opts rows[] = {{0},
                                          {.kind = "embeddings"},
                                          {.rebuild = true},
                                          {.cache_bytes = 1},
                                          {.kind = "embeddings", .rebuild = true}};
    vl_buf log[100];
    vls_index *x;
    vls_record rec;
    uint64_t number;
    vl_err e;

    (void)state;
    make_list();
    for (size_t row = 0; row < sizeof rows / sizeof *rows; row++) {
        size_t n = expected(rows[row].kind ? rows[row].kind : "pairs", log, 100);
        assert_true(n > 5);
        if (vls_index_open(paths, SHARDS, &rows[row], &x, &e))
            fail_msg("row %zu: %s", row, e.text);
        assert_true(vls_index_records(x) == n);
        for (size_t i = 0; i < n; i++)
            check_one(x, &log[i], i);
        for (size_t i = 0; i < 3 * n; i++)
            check_one(x, &log[i * 7919 % n], i * 7919 % n);
        assert_int_equal(vls_index_find(x, "nobody", &number, &e), 0);
        assert_int_equal(vls_index_find(x, "", &number, &e), 0);
        assert_int_equal(vls_index_get(x, n, &rec, NULL, &e), VL_EARG);
        vls_index_close(x);
        for (size_t i = 0; i < n; i++)
            free(log[i].p);
    }
}

static void what_is_refused(void **state)
{
    const char *one[] = {"a"}, *twice[] = {"a", "b"}, *none[] = {"a", "nowhere"}, *fifo[] = {"f"},
               *cut[] = {"c"};
    const vls_index_opts other = {.kind = "distilled"}, bad = {.kind = "Pairs"};
    uint64_t number;
    uint8_t *p;
    size_t n;
    vls_index *x;
    vl_err e;

    (void)state;
    make("a", 1, 3, 40);
    make("b", 1, 1, 50);
    assert_int_equal(vls_index_open(one, 1, &other, &x, &e), VL_EFORMAT);
    assert_string_equal(e.text, "a: no segment of kind 'distilled'");
    assert_int_equal(vls_index_open(one, 1, &bad, &x, &e), VL_EARG);
    assert_int_equal(vls_index_open(one, 0, NULL, &x, &e), VL_EFORMAT);
    assert_int_equal(vls_index_open(none, 2, NULL, &x, &e), VL_EIO);
    assert_string_equal(e.text, "nowhere: open: No such file or directory");
    assert_int_equal(mkfifo("f", 0600), 0);
    assert_int_equal(vls_index_open(fifo, 1, NULL, &x, &e), VL_EIO);
    assert_int_equal(vls_index_open(twice, 2, NULL, &x, &e), 0);
    assert_int_equal(vls_index_find(x, "k-00000002", &number, &e), VL_EFORMAT);
    assert_string_equal(e.text, "b: key 'k-00000000' is also in a");
    vls_index_close(x);
    slurp("a", &p, &n);
    for (size_t k = 0; k < n; k++) {
        spill("c", p, k);
        assert_int_equal(vls_index_open(cut, 1, NULL, &x, &e), VL_EFORMAT);
    }
    free(p);
}

/* Every flipped bit: a fetch gives the true record or an error, and an error only where the bit lies. */
static void every_bit(void **state)
{
    const char *list[] = {"c"};
    vl_buf want[3] = {{0}};
    uint8_t *p;
    size_t n;

    (void)state;
    for (int plain = 0; plain < 2; plain++) {
        vls_segment seg = {.kind = "pairs"};
        vls_record rec;
        vls_index *x;
        vl_err e;
        write_opts.plain = plain;
        make("c", 1, 3, 40);
        slurp("c", &p, &n);
        assert_int_equal(vls_index_open(list, 1, NULL, &x, &e), 0);
        for (uint64_t i = 0; i < 3; i++) {
            want[i] = (vl_buf){0};
            assert_int_equal(vls_index_get(x, i, &rec, NULL, &e), 0);
            note(&want[i], &rec, &seg);
        }
        vls_index_close(x);
        for (size_t k = 0; k < 8 * n; k++) {
            p[k / 8] ^= (uint8_t)(1 << k % 8);
            spill("c", p, n);
            if (!vls_index_open(list, 1, NULL, &x, &e)) {
                for (uint64_t i = 0; i < 3 && i < vls_index_records(x); i++) {
                    vl_buf got = {0};
                    if (vls_index_get(x, i, &rec, NULL, &e)) {
                        assert_non_null(strstr(e.text, "c: segment 0, record "));
                        continue;
                    }
                    note(&got, &rec, &seg);
                    if (got.n != want[i].n || memcmp(got.p, want[i].p, got.n))
                        fail_msg("bit %zu: record %d is wrong", k, (int)i);
                    free(got.p);
                }
                vls_index_close(x);
            }
            p[k / 8] ^= (uint8_t)(1 << k % 8);
        }
        for (int i = 0; i < 3; i++)
            free(want[i].p);
        free(p);
    }
}

static void damage_stays_in_its_frame(void **state)
{
    const char *list[] = {"a"};
    vls_record rec;
    vls_index *x;
    uint8_t *p;
    size_t n, bad = 0;
    vl_err e;

    (void)state;
    make("a", 1, 12, 600000); /* two records a frame */
    slurp("a", &p, &n);
    p[n / 2] ^= 1;
    spill("a", p, n);
    assert_int_equal(vls_index_open(list, 1, NULL, &x, &e), 0);
    for (uint64_t i = 0; i < 12; i++)
        if (vls_index_get(x, i, &rec, NULL, &e)) {
            assert_non_null(strstr(e.text, ": frame "));
            bad++;
        }
    assert_true(bad >= 1 && bad <= 3);
    vls_index_close(x);
    free(p);
}

static int open_files(void)
{
    DIR *d = opendir("/proc/self/fd");
    int n = 0;

    if (!d)
        return 0;
    while (readdir(d))
        n++;
    closedir(d);
    return n;
}

/* More shards than a process may open files. */
static void many_shards(void **state)
{
    static char name[1100][16];
    const char *list[1100];
    vls_record rec;
    vls_index *x;
    char key[32];
    uint64_t number;
    vl_err e;

    (void)state;
    for (int i = 0; i < 1100; i++) {
        snprintf(name[i], sizeof name[i], "m%04d", i);
        list[i] = name[i];
        vls_writer *w = writer(name[i]);
        begin(w, "pairs");
        for (int k = 0; k < 3; k++) {
            snprintf(key, sizeof key, "key-%d", 3 * i + k);
            add(w, key, "bin", "x", 1);
        }
        end_and_close(w);
    }
    assert_int_equal(vls_index_open(list, 1100, NULL, &x, &e), 0);
    assert_true(vls_index_records(x) == 3300);
    for (uint64_t i = 0; i < 3300; i++) {
        uint64_t at = i * 1009 % 3300;
        snprintf(key, sizeof key, "key-%d", (int)at);
        if (vls_index_get(x, at, &rec, NULL, &e))
            fail_msg("%s", e.text);
        assert_string_equal(rec.key, key);
        assert_int_equal(vls_index_find(x, key, &number, &e), 1);
        assert_true(number == at);
    }
    assert_true(open_files() < 60);
    vls_index_close(x);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, enter, leave)
    const struct CMUnitTest tests[] = {
        T(every_record), T(what_is_refused), T(every_bit), T(damage_stays_in_its_frame), T(many_shards),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
