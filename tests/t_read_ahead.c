/* SPDX-License-Identifier: MIT
 * t_read_ahead.c -- frames decoded by a thread before their turn: the same records, faults, places and counts as
 * from one thread, for sound shards and for damaged ones. And readings without the content id. */
#include "tests/shard_help.h"

enum { MIB = 1 << 20 };

/* Records whose members compress to nothing: many frames in a small file. */
static void make_long(const char *path, int segments, const size_t *bytes, int n)
{
    static uint8_t member[9 * MIB];
    vls_writer *w = writer(path);
    char key[32];
    vl_err e;

    for (int s = 0; s < segments; s++) {
        begin(w, "pairs");
        for (int i = 0; i < n; i++) {
            memset(member, 'a' + i, bytes[i]);
            snprintf(key, sizeof key, "s%d-%04d", s, i);
            add(w, key, "bin", member, bytes[i]);
        }
        if (vls_segment_end(w, &e))
            fail_msg("%s", e.text);
    }
    if (vls_writer_close(w, &e))
        fail_msg("%s", e.text);
}

static void same_reading(const char *path, const char *what, size_t at)
{
    const vls_read_opts alone = {.one_thread = true};
    reading a = read_all(path, &alone), b = read_all(path, NULL);

    if (a.rc != b.rc || (a.rc && strcmp(a.e.text, b.e.text)))
        fail_msg("%s %zu: %d '%s' from one thread, %d '%s' ahead", what, at, a.rc, a.rc ? a.e.text : "", b.rc,
                 b.rc ? b.e.text : "");
    if (a.log.n != b.log.n || (a.log.n && memcmp(a.log.p, b.log.p, a.log.n)))
        fail_msg("%s %zu: other records ahead", what, at);
    assert_int_equal(a.counts.frames, b.counts.frames);
    assert_int_equal(a.counts.raw_bytes, b.counts.raw_bytes);
    assert_int_equal(a.counts.sealed_bytes, b.counts.sealed_bytes);
    if (!a.rc) {
        assert_int_equal(a.counts.file_bytes, b.counts.file_bytes);
        assert_string_equal(a.id.id, b.id.id);
    }
    free(a.log.p);
    free(b.log.p);
}

/* Frames that end behind a member and inside one, records that fit before a frame and ones that do not, segments
 * with fewer frames than are worth a thread. */
static void sound(void **state)
{
    static const size_t even[] = {MIB, MIB, MIB, MIB, MIB, MIB, MIB}, small[] = {9, 9, 9},
                        mixed[] = {MIB,    9 * MIB, 5,      MIB - 1024, MIB, 300000,
                                   300000, 300000,  300000, 9 * MIB,    1};

    (void)state;
    make_long("even", 1, even, 7);
    same_reading("even", "even", 0);
    make_long("mixed", 2, mixed, 11);
    same_reading("mixed", "mixed", 0);
    make_long("small", 1, small, 3);
    assert_int_equal(system("cat small even small mixed > all"), 0); /* and a key is there twice */
    same_reading("all", "all", 0);
    make("noise", 3, 40, 100000);
    same_reading("noise", "noise", 0);
}

static void damaged(void **state)
{
    static const size_t bytes[] = {MIB, MIB, 2 * MIB, 40, MIB, MIB};
    uint8_t *p;
    size_t n, at;

    (void)state;
    make_long("a", 1, bytes, 6);
    slurp("a", &p, &n);
    for (at = 0; at < n; at += 1 + n / 150) {
        p[at] ^= 1 << at % 8;
        spill("c", p, n);
        same_reading("c", "bit of byte", at);
        p[at] ^= 1 << at % 8;
    }
    for (at = 0; at < n; at += 1 + n / 40) {
        spill("c", p, at);
        same_reading("c", "cut at", at);
    }
    free(p);
}

/* The first difference is in frame k; those before it are given. */
static void faults_wait(void **state)
{
    reading r;
    vl_span *spans;
    vl_seektab tab = {0};
    vl_err e;
    uint8_t *p;
    size_t n, n_spans, at = 0;
    char want[64];
    int fd;

    (void)state;
    make("a", 1, 80, 100000);
    fd = open("a", O_RDONLY);
    slurp("a", &p, &n);
    assert_int_equal(vl_seektab_walk(fd, n, &spans, &n_spans, &e), VL_OK);
    assert_int_equal(vl_seektab_load(fd, spans, &tab, &e), VL_OK);
    assert_true(tab.n > 8);
    for (uint32_t i = 0; i < 5; i++)
        at += vl_seektab_get(&tab, i).csize;
    p[at + vl_seektab_get(&tab, 5).csize / 2] ^= 1; /* its content */
    p[at + vl_seektab_get(&tab, 5).csize] ^= 1;     /* and the magic number of the frame behind it */
    spill("c", p, n);
    r = read_all("c", NULL);
    assert_int_equal(r.rc, VL_EFORMAT);
    snprintf(want, sizeof want, "c: frame 5 (byte %zu): does not decode: ", at);
    assert_memory_equal(r.e.text, want, strlen(want));
    assert_true(r.counts.records >= 40);
    same_reading("c", "two frames", 5);
    close(fd);
    free(r.log.p);
    free(spans);
    free(tab.b.p);
    free(p);
}

static void without_id(void **state)
{
    const vls_read_opts no_id = {.no_id = true};
    reading whole, r;
    vls_writer *w;
    uint8_t *p, *id;
    vl_err e;
    size_t n;

    (void)state;
    make("a", 2, 30, 100000);
    whole = read_all("a", NULL);
    r = read_all("a", &no_id);
    assert_int_equal(r.rc, 0);
    same_log(&whole, &r);
    assert_string_equal(r.id.kind, "pairs");
    assert_string_equal(r.id.id, "");
    w = writer("b");
    begin(w, "pairs");
    assert_int_equal(vls_add_parent(w, &r.id, &e), VL_EARG);
    vls_writer_abort(w);
    free(r.log.p);

    /* decoded, as nothing but the id tells of a change in the tail there */
    assert_int_equal(system("zstd -dcq a > t"), 0);
    slurp("t", &p, &n);
    id = memmem(p, n, "\"content_id\":\"", 14);
    assert_non_null(id);
    id[20] ^= 1;
    spill("t", p, n);
    r = read_all("t", NULL);
    assert_int_equal(r.rc, VL_EFORMAT);
    assert_non_null(strstr(r.e.text, "t: segment 0: content id is "));
    free(r.log.p);
    r = read_all("t", &no_id);
    assert_int_equal(r.rc, 0);
    same_log(&whole, &r);
    free(r.log.p);
    free(whole.log.p);
    free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(sound, enter, leave),
        cmocka_unit_test_setup_teardown(damaged, enter, leave),
        cmocka_unit_test_setup_teardown(faults_wait, enter, leave),
        cmocka_unit_test_setup_teardown(without_id, enter, leave),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
