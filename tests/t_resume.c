/* SPDX-License-Identifier: MIT
 * t_resume.c -- NAME.part: what stays of an unfinished shard, and how writing goes on behind it. */
#include "tests/shard_help.h"

static vls_writer *open_part(const char *path, bool resume)
{
    write_opts = (vls_write_opts){.part = true, .resume = resume};
    return writer(path);
}

static void segment(vls_writer *w, const char *key)
{
    uint8_t bytes[3000];
    vl_err e;

    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 7 + (unsigned char)key[0]);
    begin(w, "pairs");
    add(w, key, "bin", bytes, sizeof bytes);
    if (vls_segment_end(w, &e))
        fail_msg("%s", e.text);
}

static bool there(const char *path)
{
    return !access(path, F_OK);
}

static size_t size_of(const char *path)
{
    struct stat st;

    return stat(path, &st) ? 0 : (size_t)st.st_size;
}

static void refused(const char *path, bool resume, int rc, const char *text)
{
    const vls_write_opts how = {.part = true, .resume = resume};
    vls_writer *w = NULL;
    vl_err e;

    assert_int_equal(vls_writer_open_opts(path, &how, &w, &e), rc);
    if (!strstr(e.text, text))
        fail_msg("'%s' where '%s' is expected", e.text, text);
    assert_null(w);
}

/* Three segments without a break, the reference of all tests. */
static void make_whole(void)
{
    vls_writer *w = open_part("whole", false);
    vl_err e;

    segment(w, "a");
    segment(w, "b");
    segment(w, "c");
    assert_int_equal(vls_writer_close(w, &e), VL_OK);
    assert_true(there("whole") && !there("whole.part"));
}

static void same_as_whole(const char *path)
{
    uint8_t *p, *q;
    size_t n, m;

    slurp("whole", &p, &n);
    slurp(path, &q, &m);
    assert_int_equal(n, m);
    assert_memory_equal(p, q, n);
    free(q);
    free(p);
}

static void what_stays(void **state)
{
    vls_writer *w = open_part("s", false);
    vl_err e;

    (void)state;
    assert_string_equal(vls_writer_resumed(w).path, "s.part");
    assert_true(there("s.part"));
    begin(w, "pairs");
    add(w, "a", "bin", "x", 1);
    vls_writer_abort(w); /* nothing sealed */
    assert_true(!there("s.part") && !there("s"));

    w = open_part("s", false);
    segment(w, "a");
    vls_writer_abort(w);
    assert_true(there("s.part") && !there("s"));

    size_t n = size_of("s.part");
    refused("s", false, VL_EARG, "s.part: holds 1 sealed segments of an earlier run");
    assert_int_equal(size_of("s.part"), n);

    w = open_part("s", true);
    assert_int_equal(vls_writer_resumed(w).segments, 1);
    assert_int_equal(vls_writer_resumed(w).bytes, n);
    assert_int_equal(vls_writer_resumed(w).cut, 0);
    refused("s", true, VL_EIO, "s.part: another run is writing it");
    vls_writer_discard(w);
    assert_true(!there("s.part") && !there("s"));

    w = open_part("s", true); /* nothing to resume */
    assert_int_equal(vls_writer_resumed(w).segments, 0);
    segment(w, "a");
    assert_int_equal(vls_writer_close(w, &e), VL_OK);
    assert_true(there("s") && !there("s.part"));

    write_opts = (vls_write_opts){0};
    w = writer("s"); /* the usual kind has no such file */
    assert_null(vls_writer_resumed(w).path);
    segment(w, "b");
    vls_writer_abort(w);
    assert_true(!there("s.part"));
}

/* Cut at every byte: what is sealed stays, and three segments come out whole. */
static void cut_anywhere(void **state)
{
    static const char *const keys[] = {"a", "b", "c"};
    uint8_t *p;
    size_t n, end[4] = {0};
    vl_span *spans;
    size_t n_spans;
    vl_err e;

    (void)state;
    make_whole();
    slurp("whole", &p, &n);
    int fd = open("whole", O_RDONLY);
    assert_int_equal(vl_seektab_walk(fd, n, &spans, &n_spans, &e), VL_OK);
    close(fd);
    assert_int_equal(n_spans, 3);
    for (int i = 1; i < 3; i++)
        end[i] = (size_t)spans[i].start;
    end[3] = n;
    free(spans);
    for (size_t k = 0; k <= n; k++) {
        uint64_t sealed = 0;
        spill("s.part", p, k);
        vls_writer *w = open_part("s", true);
        while (sealed < 3 && end[sealed + 1] <= k)
            sealed++;
        assert_int_equal(vls_writer_resumed(w).segments, sealed);
        assert_int_equal(vls_writer_resumed(w).bytes, end[sealed]);
        assert_int_equal(vls_writer_resumed(w).cut, k - end[sealed]);
        assert_int_equal(size_of("s.part"), end[sealed]);
        if (sealed) { /* keys are known again */
            begin(w, "pairs");
            assert_int_equal(try_add(w, "a", "bin", "x", 1, &e), VL_EARG);
            vls_writer_abort(w);
            assert_int_equal(size_of("s.part"), end[sealed]);
            w = open_part("s", true);
        }
        for (uint64_t i = sealed; i < 3; i++)
            segment(w, keys[i]);
        assert_int_equal(vls_writer_close(w, &e), VL_OK);
        same_as_whole("s");
        assert_true(!there("s.part"));
    }
    free(p);
}

/* Behind the last seal anything may lie after a power cut; inside, it is damage. */
static void garbage_and_damage(void **state)
{
    uint8_t *p, *q;
    size_t n;
    vl_err e;

    (void)state;
    make_whole();
    slurp("whole", &p, &n);
    q = calloc(1, n + 5000);
    assert_non_null(q);
    memcpy(q, p, n);
    spill("s.part", q, n + 5000); /* zeros */
    vls_writer *w = open_part("s", true);
    assert_int_equal(vls_writer_resumed(w).segments, 3);
    assert_int_equal(vls_writer_resumed(w).cut, 5000);
    assert_int_equal(vls_writer_close(w, &e), VL_OK);
    same_as_whole("s");

    q[n / 2] ^= 4;
    spill("s.part", q, n);
    refused("s", true, VL_EFORMAT, "s.part: ");
    assert_int_equal(size_of("s.part"), n);
    refused("s", false, VL_EFORMAT, "s.part: ");
    spill("s.part", (const uint8_t *)"notes", 5);
    refused("s", true, VL_EFORMAT, "s.part: is no part of a shard");
    refused("s", false, VL_EFORMAT, "s.part: is no part of a shard");
    assert_int_equal(size_of("s.part"), 5);
    assert_int_equal(unlink("s.part"), 0);
    assert_int_equal(symlink("whole", "s.part"), 0); /* a link is not followed */
    refused("s", true, VL_EIO, "s.part: ");
    same_as_whole("whole");
    assert_int_equal(unlink("s.part"), 0);
    assert_int_equal(mkfifo("s.part", 0600), 0);
    refused("s", true, VL_EIO, "s.part: is no regular file");
    assert_true(there("s.part"));
    free(q);
    free(p);
}

/* What is no file is written directly. */
static void direct(void **state)
{
    vls_writer *w = open_part("/dev/null", true);
    vl_err e;

    (void)state;
    assert_null(vls_writer_resumed(w).path);
    segment(w, "a");
    assert_int_equal(vls_writer_close(w, &e), VL_OK);
    assert_true(!there("/dev/null.part"));
    write_opts = (vls_write_opts){.part = true, .plain = true};
    assert_int_equal(vls_writer_open_opts("t", &write_opts, &w, &e), VL_EARG);
    assert_true(!there("t.part"));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, enter, leave)
    const struct CMUnitTest tests[] = {T(what_stays), T(cut_anywhere), T(garbage_and_damage), T(direct)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
