/* SPDX-License-Identifier: MIT
 * t_shard.c -- shards written and read back, from files and pipes; what the writer refuses. */
#include "tests/shard_help.h"

/* Memory follows one frame and one record, not the shard: 420 MB of zeros may
 * raise the peak by 64 MiB. */
static void memory_is_bounded(void **state)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    const long limit = 384 << 10; /* KiB; a sanitizer keeps freed blocks for a while */
#else
    const long limit = 64 << 10;
#endif
    static uint8_t zeros[4 << 20];
    struct rusage before, after;
    vls_writer *w = writer("a");
    reading r = {.rc = 0};
    vls_reader *rd;
    vls_record rec;
    const vls_segment *seg;
    char key[32];
    vl_err e;
    int i;

    (void)state;
    getrusage(RUSAGE_SELF, &before);
    begin(w, "pairs");
    for (i = 0; i < 100; i++) {
        snprintf(key, sizeof key, "k-%03d", i);
        add(w, key, "bin", zeros, sizeof zeros);
    }
    end_and_close(w);
    assert_int_equal(vls_reader_open("a", NULL, &rd, &e), 0);
    while ((r.rc = vls_next(rd, &rec, &seg, &e)) == 1)
        assert_int_equal(rec.members[0].n, sizeof zeros);
    assert_int_equal(r.rc, 0);
    vls_reader_close(rd);
    getrusage(RUSAGE_SELF, &after);
    if (after.ru_maxrss - before.ru_maxrss > limit)
        fail_msg("peak memory grew by %ld KiB", after.ru_maxrss - before.ru_maxrss);
}

/* ---- whole shards --------------------------------------------------------------------------- */

static void file_and_pipe_agree(void **state)
{
    static const struct {
        int segments, n;
        size_t bytes;
    } rows[] = {{1, 0, 0},
                {1, 1, 0},
                {1, 3, 700},
                {3, 2, 511},
                {1, 5, 600000},
                {2, 3, (9 << 20) + 5},
                {1, 2, (8 << 20) - 1024},
                {200, 1, 40}};
    const vls_read_opts stream = {.plain_fd = true};
    reading a, b, c;
    uint8_t *p;
    size_t n, i;

    (void)state;
    for (i = 0; i < sizeof rows / sizeof *rows; i++) {
        make("a", rows[i].segments, rows[i].n, rows[i].bytes);
        slurp("a", &p, &n);
        a = read_all("a", NULL);
        b = read_all("a", &stream);
        c = read_pipe(p, n);
        if (a.rc || b.rc || c.rc)
            fail_msg("row %zu: %s", i, a.rc ? a.e.text : b.rc ? b.e.text : c.e.text);
        assert_true(a.counts.records == (uint64_t)(rows[i].segments * rows[i].n));
        assert_true(a.counts.segments == (uint64_t)rows[i].segments);
        assert_true(a.counts.file_bytes == n && c.counts.file_bytes == n);
        same_log(&a, &b);
        same_log(&a, &c);
        assert_string_equal(a.id.id, c.id.id);
        assert_string_equal(a.id.kind, "pairs");
        make("again", rows[i].segments, rows[i].n, rows[i].bytes);
        free(c.log.p);
        c = read_all("again", NULL);
        assert_string_equal(a.id.id, c.id.id);
        free(p);
        free(a.log.p);
        free(b.log.p);
        free(c.log.p);
    }
}

static void equal_input_equal_bytes(void **state)
{
    uint8_t *p, *q;
    size_t n, m;

    (void)state;
    make("a", 2, 4, 500000);
    make("b", 2, 4, 500000);
    slurp("a", &p, &n);
    slurp("b", &q, &m);
    assert_int_equal(n, m);
    assert_memory_equal(p, q, n);
    free(p);
    free(q);
}

/* Nor do the bytes depend on the number of threads, in either carrier. */
static void threads_do_not_show(void **state)
{
    static const int threads[] = {1, 2, 3, 7, 64};
    uint8_t *p = NULL, *q;
    size_t n = 0, m;

    (void)state;
    for (int plain = 0; plain < 2; plain++)
        for (size_t i = 0; i < sizeof threads / sizeof *threads; i++) {
            write_opts = (vls_write_opts){.plain = plain, .threads = threads[i]};
            make(i ? "b" : "a", 2, 7, 900000);
            if (!i) {
                slurp("a", &p, &n);
                continue;
            }
            slurp("b", &q, &m);
            if (n != m || memcmp(p, q, n))
                fail_msg("plain %d: %d threads give other bytes", plain, threads[i]);
            free(q);
            if (i + 1 == sizeof threads / sizeof *threads)
                free(p);
        }
}

/* Frames end at the first member end at or past 1 MiB, or at 8 MiB. */
static void frames_are_cut_as_said(void **state)
{
    vl_span *spans;
    vl_seektab t = {0};
    size_t n;
    uint32_t i;
    vl_err e;
    int fd;
    static const uint32_t want[] = {0, 1 << 20, 8 << 20, 1 << 20, 1024};
    const size_t big = (9 << 20) - 512;
    uint8_t *zeros = calloc(1, big);
    vls_writer *w = writer("a");

    (void)state;
    assert_non_null(zeros);
    begin(w, "pairs");
    add(w, "a", "bin", zeros, (1 << 20) - 3 * 512); /* and three blocks more make 1 MiB */
    add(w, "b", "bin", zeros, big);
    end_and_close(w);
    free(zeros);
    fd = open("a", O_RDONLY);
    assert_true(fd >= 0);
    assert_int_equal(vl_seektab_walk(fd, (uint64_t)lseek(fd, 0, SEEK_END), &spans, &n, &e), VL_OK);
    assert_int_equal(n, 1);
    assert_int_equal(vl_seektab_load(fd, spans, &t, &e), VL_OK);
    /* b.bin: 512 + 9 MiB - 512 = 8 MiB + 1 MiB, so its end is at 1 MiB of the second frame; b.txt
     * is then alone in a third */
    assert_int_equal(t.n, 7); /* the last one is the record index */
    for (i = 1; i < 5; i++)
        assert_int_equal(vl_seektab_get(&t, i).dsize, want[i]);
    close(fd);
    free(spans);
    free(t.b.p);
}

static void parents_and_notes_arrive(void **state)
{
    vls_parent p = {.kind = "pairs"}, bad = {.id = "xyz", .kind = "pairs"};
    vls_writer *w = writer("a");
    vls_reader *r;
    vls_record rec;
    const vls_segment *seg;
    const json_t *tail;
    vl_err e;

    (void)state;
    memset(p.id, 'a', 64);
    begin(w, "embeddings");
    assert_int_equal(vls_add_parent(w, &p, &e), VL_OK);
    assert_int_equal(vls_add_parent(w, &bad, &e), VL_EARG);
    assert_int_equal(vls_segment_note(w, "left_out", json_integer(7), &e), VL_OK);
    assert_int_equal(vls_segment_note(w, "records", json_integer(7), &e), VL_EARG);
    add(w, "k", "m.img.npy", "x", 1);
    end_and_close(w);
    assert_int_equal(vls_reader_open("a", NULL, &r, &e), VL_OK);
    assert_int_equal(vls_next(r, &rec, &seg, &e), 1);
    assert_string_equal(seg->kind, "embeddings");
    assert_non_null(vls_get(&rec, "m.img.npy"));
    assert_null(vls_get(&rec, "img.npy"));
    assert_null(vls_reader_tail(r, 0));
    assert_int_equal(vls_next(r, &rec, &seg, &e), 0);
    tail = vls_reader_tail(r, 0);
    assert_int_equal(json_integer_value(json_object_get(tail, "left_out")), 7);
    assert_string_equal(
        json_string_value(json_object_get(json_array_get(json_object_get(tail, "parents"), 0), "content_id")),
        p.id);
    assert_string_equal(json_string_value(json_object_get(seg->manifest, "first_key")), "k");
    assert_null(vls_reader_tail(r, 1));
    vls_reader_close(r);
}

/* cat of shards is a shard; terminators inside are stepped over; heads_only reads manifests alone. */
static void cat_and_terminators(void **state)
{
    const vls_read_opts heads = {.heads_only = true}, stream = {.plain_fd = true};
    uint8_t *p;
    size_t n;
    reading a, b, c;
    vl_buf all = {0};
    vl_err e;

    (void)state;
    make("a", 2, 3, 100);
    slurp("a", &p, &n);
    a = read_all("a", NULL);
    assert_int_equal(vl_buf_add(&all, vl_term, sizeof vl_term, &e), 0);
    assert_int_equal(vl_buf_add(&all, p, n, &e), 0);
    assert_int_equal(vl_buf_add(&all, vl_term, sizeof vl_term, &e), 0);
    spill("b", all.p, all.n);
    b = read_all("b", NULL);
    assert_int_equal(b.rc, 0);
    same_log(&a, &b);
    c = read_all("b", &stream);
    assert_int_equal(c.rc, 0);
    same_log(&a, &c);
    free(c.log.p);
    c = read_all("b", &heads);
    assert_int_equal(c.rc, 0);
    assert_int_equal(c.counts.segments, 2);
    assert_int_equal(c.counts.records, 0);
    assert_int_equal(vl_buf_add(&all, p, n, &e), 0); /* the same keys again */
    spill("b", all.p, all.n);
    free(c.log.p);
    c = read_all("b", NULL);
    assert_int_equal(c.rc, VL_EFORMAT);
    assert_string_equal(c.e.text, "b: segment 2, record 0: key 'k-00000000' is there twice");
    same_log(&a, &c);
    free(a.log.p);
    free(b.log.p);
    free(c.log.p);
    free(all.p);
    free(p);
}

static void writer_refuses(void **state)
{
    static const struct {
        const char *key, *ext, *text;
    } rows[] = {
        {"a", "bin", "record 'a': the key is there twice"},
        {"b", "txt", "record 'b': extension 'txt' is there twice"},
        {"b.c", "bin", "key 'b.c' has a '.' in its last part"},
        {"../b", "bin", "key '../b': a part begins with '.' or '__'"},
        {"__vl__/b", "bin", "key '__vl__/b': a part begins with '.' or '__'"},
        {"/b", "bin", "key '/b' has an empty part"},
        {"b\xff", "bin", "key is not UTF-8 (byte 1)"},
        {"b", "BIN", "record 'b': extension 'BIN': only a-z 0-9 . _ + - are allowed"},
    };
    vls_writer *w = writer("a");
    json_t *m = json_object();
    reading r;
    vl_err e;
    size_t i;

    (void)state;
    assert_int_equal(try_add(w, "a", "bin", "x", 1, &e), VL_EARG); /* no segment is open */
    assert_int_equal(vls_segment_begin(w, m, 0, &e), VL_EARG);     /* no kind */
    json_object_set_new(m, "kind", json_string("Pairs!"));
    assert_int_equal(vls_segment_begin(w, m, 0, &e), VL_EARG);
    json_decref(m);
    begin(w, "pairs");
    add(w, "a", "bin", "x", 1);
    for (i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(try_add(w, rows[i].key, rows[i].ext, "y", 1, &e), VL_EARG);
        assert_string_equal(e.text, rows[i].text);
    }
    add(w, "b", "bin", "z", 1); /* a refused record leaves no trace */
    end_and_close(w);
    r = read_all("a", NULL);
    assert_int_equal(r.rc, 0);
    assert_int_equal(r.log.n, strlen("pairs a bin=x txt=apairs b bin=z txt=b"));
    assert_memory_equal(r.log.p, "pairs a bin=x txt=apairs b bin=z txt=b", r.log.n);
    free(r.log.p);
}

static void nothing_partial(void **state)
{
    vls_writer *w = writer("a");
    vl_err e;

    (void)state;
    begin(w, "pairs");
    add(w, "a", "bin", "x", 1);
    assert_int_equal(vls_writer_close(w, &e), VL_EARG); /* the segment is open */
    assert_int_equal(access("a", F_OK), -1);
    assert_int_equal(vls_writer_close(writer("a"), &e), VL_EARG); /* no segment */
    assert_int_equal(access("a", F_OK), -1);
    assert_int_equal(chdir("/"), 0);
    assert_int_equal(rmdir(dir), 0); /* empty: no temporary name is left */
    assert_int_equal(mkdir(dir, 0700), 0);
    assert_int_equal(chdir(dir), 0);
}

static void full_disk(void **state)
{
    vls_writer *w = writer("/dev/full");
    vl_err e = {0}, again;
    int rc;

    (void)state;
    begin(w, "pairs");
    rc = try_add(w, "a", "bin", "x", 1, &e);
    assert_int_equal(rc, VL_EIO);
    assert_string_equal(e.text, "/dev/full: write at byte 0: No space left on device");
    assert_int_equal(try_add(w, "b", "bin", "x", 1, &again), VL_EIO);
    assert_string_equal(again.text, e.text);
    assert_int_equal(vls_segment_end(w, &again), VL_EIO);
    assert_int_equal(vls_writer_close(w, &again), VL_EIO);
    assert_string_equal(again.text, e.text);
}

/* A writer that gives up between two segments of a stream must not leave what looks like a whole shard. */
static void given_up_streams_are_truncated(void **state)
{
    reading r;
    vls_writer *w;
    vl_err e;
    int status;
    pid_t pid;

    (void)state;
    for (int segments = 0; segments <= 2; segments++) {
        assert_int_equal(mkfifo("pipe", 0600), 0);
        pid = fork();
        if (pid == 0)
            _exit(system("cat pipe >copy") != 0);
        w = writer("pipe");
        for (int i = 0; i < segments; i++) {
            char key[8] = {(char)('a' + i)};
            begin(w, "pairs");
            add(w, key, "bin", "x", 1);
            assert_int_equal(vls_segment_end(w, &e), VL_OK);
        }
        if (segments == 2)
            begin(w, "pairs"); /* open, but nothing of it written */
        vls_writer_abort(w);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
        r = read_all("copy", NULL);
        assert_int_equal(r.rc, VL_EFORMAT);
        assert_int_equal(r.counts.records, segments);
        if (segments && !strstr(r.e.text, "truncated"))
            fail_msg("%s", r.e.text);
        free(r.log.p);
        assert_int_equal(unlink("pipe"), 0);
    }
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, enter, leave)
    const struct CMUnitTest tests[] = {
        T(memory_is_bounded), /* first: later peaks would hide its own */
        T(file_and_pipe_agree),
        T(equal_input_equal_bytes),
        T(threads_do_not_show),
        T(frames_are_cut_as_said),
        T(parents_and_notes_arrive),
        T(cat_and_terminators),
        T(writer_refuses),
        T(nothing_partial),
        T(full_disk),
        T(given_up_streams_are_truncated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
