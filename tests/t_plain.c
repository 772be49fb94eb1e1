/* SPDX-License-Identifier: MIT
 * t_plain.c -- the plain `.tar` carrier: the same records as the framed one, from files and pipes; cut and
 * flipped files. Rules as in t_damage.c; through a pipe the sums come last, so there a wrong record may be
 * given, but never without an error behind it. */
#include "tests/shard_help.h"

static void make_plain(const char *path, int segments, int n, size_t bytes)
{
    write_opts = (vls_write_opts){.plain = true};
    make(path, segments, n, bytes);
    write_opts = (vls_write_opts){0};
}

static void same_as_framed(void **state)
{
    static const struct {
        int segments, n;
        size_t bytes;
    } rows[] = {{1, 0, 0},  {1, 1, 0}, {1, 3, 700}, {3, 2, 511}, {1, 5, 600000}, {2, 3, (9 << 20) + 5},
                {70, 1, 40}};
    const vls_read_opts stream = {.plain_fd = true}, heads = {.heads_only = true};
    reading a, b, c, d;
    uint8_t *p;
    size_t n, i;

    (void)state;
    for (i = 0; i < sizeof rows / sizeof *rows; i++) {
        make("a", rows[i].segments, rows[i].n, rows[i].bytes);
        make_plain("p", rows[i].segments, rows[i].n, rows[i].bytes);
        slurp("p", &p, &n);
        a = read_all("a", NULL);
        b = read_all("p", NULL);
        c = read_all("p", &stream);
        d = read_pipe(p, n);
        if (b.rc || c.rc || d.rc)
            fail_msg("row %zu: %s", i, b.rc ? b.e.text : c.rc ? c.e.text : d.e.text);
        same_log(&a, &b);
        same_log(&a, &c);
        same_log(&a, &d);
        assert_string_equal(a.id.id, b.id.id);
        assert_string_equal(a.id.id, d.id.id);
        assert_true(b.counts.segments == (uint64_t)rows[i].segments && b.counts.file_bytes == n);
        assert_true(b.counts.raw_bytes == n && d.counts.raw_bytes == n);
        free(d.log.p);
        d = read_all("p", &heads);
        assert_int_equal(d.rc, 0);
        assert_true(d.counts.segments == a.counts.segments && !d.counts.records);
        free(a.log.p);
        free(b.log.p);
        free(c.log.p);
        free(p);
    }
}

/* Names of over 100 bytes have three or four header blocks. */
static void long_names(void **state)
{
    char key[VL_TAR_NAME_MAX];
    reading r;
    vls_writer *w;

    (void)state;
    for (int k = 90; k < VL_TAR_NAME_MAX - 4; k += 101) {
        memset(key, 'k', sizeof key);
        key[k] = 0;
        write_opts.plain = true;
        w = writer("p");
        begin(w, "pairs");
        add(w, key, "bin", "x", 1);
        end_and_close(w);
        r = read_all("p", NULL);
        if (r.rc)
            fail_msg("%d: %s", k, r.e.text);
        assert_int_equal(r.counts.records, 1);
        free(r.log.p);
    }
}

/* What `zstd -dc` gives of a framed shard is a plain shard, terminators among it. */
static void decoded_frames_are_plain(void **state)
{
    reading a, b;

    (void)state;
    write_opts.seal = true;
    make("a", 3, 2, 600000);
    assert_int_equal(system("zstd -dqcf <a >p"), 0);
    a = read_all("a", NULL);
    b = read_all("p", NULL);
    if (a.rc || b.rc)
        fail_msg("%s", a.rc ? a.e.text : b.e.text);
    same_log(&a, &b);
    assert_string_equal(a.id.id, b.id.id);
    free(b.log.p);
    write_opts = (vls_write_opts){.plain = true, .seal = true};
    make("p", 3, 2, 600000);
    assert_int_equal(system("cat p p >q && tar -tf p >list && test $(wc -l <list) = 21"), 0);
    b = read_all("p", NULL);
    assert_int_equal(b.rc, 0);
    same_log(&a, &b);
    free(b.log.p);
    b = read_all("q", NULL); /* keys twice, behind the terminator */
    assert_int_equal(b.rc, VL_EFORMAT);
    same_log(&a, &b);
    assert_non_null(strstr(b.e.text, "segment 3, record 0: key 'k-00000000' is there twice"));
    free(a.log.p);
    free(b.log.p);
}

static void foreign_tar_is_refused(void **state)
{
    reading r;

    (void)state;
    assert_int_equal(system("echo hi >k.txt && tar -cf t k.txt"), 0);
    r = read_all("t", NULL);
    assert_int_equal(r.rc, VL_EFORMAT);
    assert_non_null(strstr(r.e.text, "t: not a shard: "));
}

static void check(const reading *whole, reading *r, bool pipe, const char *what, size_t at)
{
    if (!pipe)
        is_beginning(whole, r, what, at);
    if (r->rc == 0)
        fail_msg("%s %zu: nobody says so", what, at);
    complains_well(r, what, at);
    free(r->log.p);
}

static void look_at_cut(const reading *whole, size_t k)
{
    const vls_read_opts stream = {.plain_fd = true};
    reading r = read_all("c", NULL);

    check(whole, &r, false, "cut at", k);
    r = read_all("c", &stream);
    check(whole, &r, false, "streamed, cut at", k);
}

static void every_cut(void **state)
{
    (void)state;
    make_plain("a", 1, 3, 40);
    each_cut("a", look_at_cut);
}

static void look_at_bit(const reading *whole, size_t k)
{
    const vls_read_opts stream = {.plain_fd = true};
    reading r = read_all("c", NULL);

    check(whole, &r, false, "bit", k);
    r = read_all("c", &stream);
    check(whole, &r, true, "streamed bit", k);
}

/* Not one bit of a plain shard may change: headers are fixed, padding is zero, all else has a sum. */
static void every_bit(void **state)
{
    (void)state;
    make_plain("a", 1, 2, 40);
    each_bit("a", look_at_bit);
}

/* A header that claims a gigabyte allocates what is there, not what it claims. */
static void claims_cost_nothing(void **state)
{
    struct rusage before, after;
    uint8_t head[VL_TAR_HEAD_MAX], *p;
    vl_buf out = {0};
    size_t n, head_n;
    reading r;
    vl_err e;

    (void)state;
    make_plain("a", 1, 1, 40);
    slurp("a", &p, &n);
    assert_int_equal(vl_tar_build("z.bin", VL_TAR_SIZE_MAX, head, &head_n, &e), 0);
    assert_int_equal(vl_buf_add(&out, p, 1024 + 2048, &e), 0); /* the manifest and the record */
    assert_int_equal(vl_buf_add(&out, head, head_n, &e), 0);
    getrusage(RUSAGE_SELF, &before);
    r = read_pipe(out.p, out.n);
    getrusage(RUSAGE_SELF, &after);
    assert_int_equal(r.rc, VL_EFORMAT);
    assert_non_null(strstr(r.e.text, "truncated: no tail, input ends at byte 3584"));
    assert_int_equal(r.counts.records, 1);
    assert_true(after.ru_maxrss - before.ru_maxrss < 32 << 10);
    free(r.log.p);
    free(out.p);
    free(p);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, enter, leave)
    const struct CMUnitTest tests[] = {
        T(same_as_framed), T(long_names), T(decoded_frames_are_plain), T(foreign_tar_is_refused),
        T(every_cut),      T(every_bit),  T(claims_cost_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
