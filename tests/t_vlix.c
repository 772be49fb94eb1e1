/* SPDX-License-Identifier: MIT
 * t_vlix.c -- the record index: what the writer writes against a plain search of the decoded bytes; every
 * flipped bit and every lie is found. */
#include "formats/names.h"
#include "formats/vlix.h"
#include "tests/shard_help.h"

/* A shard's first segment taken apart: DATA decoded, its seek table, its index. */
typedef struct apart {
    uint8_t *file;
    size_t n;
    vl_span *spans;
    size_t n_spans;
    vl_seektab tab;
    vl_buf data;
    size_t vlix, vlix_n; /* in the file; n 0: none */
} apart;

static apart take_apart(const char *path)
{
    apart a = {.file = NULL};
    vl_codec *c;
    size_t at;
    vl_err e;
    int fd = open(path, O_RDONLY);

    slurp(path, &a.file, &a.n);
    assert_int_equal(vl_codec_new(&c, &e), 0);
    assert_int_equal(vl_seektab_walk(fd, a.n, &a.spans, &a.n_spans, &e), 0);
    assert_int_equal(vl_seektab_load(fd, a.spans, &a.tab, &e), 0);
    close(fd);
    at = (size_t)a.spans->start;
    for (uint32_t i = 0; i < a.tab.n; i++) {
        vl_frame f = vl_seektab_get(&a.tab, i);
        if (!f.dsize) {
            a.vlix = at;
            a.vlix_n = f.csize;
        } else if (i) { /* TAIL comes along; it lies behind DATA */
            assert_int_equal(vl_buf_room(&a.data, f.dsize, &e), 0);
            assert_int_equal(vl_frame_decode(c, a.file + at, &f, a.data.p + a.data.n, &e), 0);
            a.data.n += f.dsize;
        }
        at += f.csize;
    }
    vl_codec_free(c);
    return a;
}

static void put_away(apart *a)
{
    free(a->file);
    free(a->spans);
    free(a->tab.b.p);
    free(a->data.p);
}

/* The frame in which byte `offset` of DATA lies, by adding up. */
static uint32_t frame_of(const apart *a, uint64_t offset)
{
    uint64_t at = 0;

    for (uint32_t i = 1; i < a->tab.n; i++) {
        at += vl_seektab_get(&a->tab, i).dsize;
        if (offset < at)
            return i;
    }
    return 0;
}

/* The members at the place, and nothing else, are the record's; returns where it ends. */
static uint64_t check_place(const apart *a, const vls_place *p, const char *key, size_t key_n)
{
    char name[VL_TAR_NAME_MAX + 1];
    uint64_t at = p->offset, size;
    size_t used, split;
    vl_buf lines = {0};
    vl_err e;

    while (at < p->offset + p->bytes) {
        assert_int_equal(vl_tar_parse(a->data.p + at, a->data.n - (size_t)at, name, &size, &used, &e), 0);
        assert_int_equal(vls_name_split(name, &split, &e), 0);
        assert_int_equal(split, key_n);
        assert_memory_equal(name, key, key_n);
        at += used;
        assert_int_equal(vls_sums_line(name, XXH64(a->data.p + at, size, 0), &lines, &e), 0);
        at += size + vl_tar_padding(size);
    }
    assert_true(at == p->offset + p->bytes);
    assert_true(p->sum == XXH64(lines.p, lines.n, 0));
    assert_int_equal(p->frame, frame_of(a, p->offset));
    free(lines.p);
    return at;
}

static void says_where_records_lie(void **state)
{
    static const struct {
        int n;
        size_t bytes;
    } rows[] = {{0, 0}, {1, 0}, {40, 700}, {9, 600000}, {3, (9 << 20) + 5}, {2, (8 << 20) - 1024}};
    vls_vlix x = {{0}, {0}};
    vl_err e;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint64_t end = 0;
        char name[VL_TAR_NAME_MAX + 1];
        make("a", 1, rows[i].n, rows[i].bytes);
        apart a = take_apart("a");
        assert_true(a.vlix_n > 8);
        for (size_t k = 0; k < (size_t)rows[i].n; k++) { /* where DATA ends is known once it was walked */
            uint64_t size;
            size_t used;
            for (int m = 0; m < 2; m++) {
                assert_int_equal(vl_tar_parse(a.data.p + end, a.data.n - (size_t)end, name, &size, &used, &e),
                                 0);
                end += used + size + vl_tar_padding(size);
            }
        }
        assert_int_equal(vls_vlix_parse(a.file + a.vlix + 8, a.vlix_n - 8, end, &x, &e), 0);
        assert_int_equal(vls_vlix_n(&x), rows[i].n);
        end = 0;
        for (size_t k = 0; k < (size_t)rows[i].n; k++) {
            size_t key_at, key_n;
            vls_place p = vls_vlix_get(&x, k, &key_at, &key_n);
            snprintf(name, sizeof name, "k-%08zu", k);
            assert_int_equal(key_n, strlen(name));
            assert_memory_equal(x.keys.p + key_at, name, key_n);
            assert_true(p.offset == end);
            end = check_place(&a, &p, name, key_n);
        }
        put_away(&a);
    }
    vls_vlix_free(&x);
}

static void which_segments_have_one(void **state)
{
    static const struct {
        const char *kind;
        vls_write_opts opts;
        bool want;
    } rows[] = {{"pairs", {0}, true},
                {"embeddings", {0}, true},
                {"trajectory", {0}, false},
                {"distilled", {0}, false},
                {"distilled", {.index = VLS_INDEX_ALWAYS}, true},
                {"pairs", {.index = VLS_INDEX_NEVER}, false}};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        write_opts = rows[i].opts;
        vls_writer *w = writer("a");
        begin(w, rows[i].kind);
        add(w, "k", "bin", "x", 1);
        end_and_close(w);
        apart a = take_apart("a");
        assert_int_equal(a.vlix_n != 0, rows[i].want);
        put_away(&a);
    }
}

static void every_bit_of_it(void **state)
{
    const vls_read_opts stream = {.plain_fd = true}, skip = {.skip_bad = true};
    reading whole, r;

    (void)state;
    make("a", 2, 3, 40);
    whole = read_all("a", NULL);
    apart a = take_apart("a");
    for (size_t k = 8 * a.vlix; k < 8 * (a.vlix + a.vlix_n); k++) {
        a.file[k / 8] ^= (uint8_t)(1 << k % 8);
        spill("c", a.file, a.n);
        for (int way = 0; way < 2; way++) {
            r = read_all("c", way ? &stream : NULL);
            if (r.rc != VL_EFORMAT || r.log.n > whole.log.n || memcmp(r.log.p, whole.log.p, r.log.n))
                fail_msg("bit %zu: code %d '%s'", k, r.rc, r.e.text);
            free(r.log.p);
        }
        r = read_all("c", &skip);
        if (r.rc || !r.counts.bad_frames)
            fail_msg("bit %zu with skip_bad: code %d '%s'", k, r.rc, r.e.text);
        same_log(&whole, &r); /* an index holds no record */
        free(r.log.p);
        a.file[k / 8] ^= (uint8_t)(1 << k % 8);
    }
    free(whole.log.p);
    put_away(&a);
}

/* The first segment of `a` again, with another index in its place. */
static void put_index(const apart *a, const vl_buf *index)
{
    vl_frame f = {(uint32_t)index->n, 0, VL_EMPTY_SUM};
    vl_seektab t = {0};
    vl_buf out = {0};
    vl_err e;

    for (uint32_t i = 0; i < a->tab.n; i++) {
        vl_frame old = vl_seektab_get(&a->tab, i);
        if (old.dsize)
            assert_int_equal(vl_seektab_add(&t, &old, &e), 0);
    }
    assert_int_equal(vl_seektab_add(&t, &f, &e), 0);
    assert_int_equal(vl_buf_add(&out, a->file, a->vlix, &e), 0);
    assert_int_equal(vl_buf_add(&out, index->p, index->n, &e), 0);
    assert_int_equal(vl_seektab_build(&t, &out, &e), 0);
    spill("c", out.p, out.n);
    free(t.b.p);
    free(out.p);
}

/* Indexes that are sound in themselves and wrong, and headers that claim too much. */
static void lies(void **state)
{
    static const struct {
        size_t at; /* in the payload */
        uint64_t add;
        size_t bytes;
        const char *text;
    } rows[] = {{16, 1, 8, "disagrees with the 3 records"},         /* offset */
                {24, 512, 4, "disagrees with"},                     /* bytes */
                {28, 1, 4, "disagrees with"},                       /* frame */
                {32, 1, 8, "disagrees with"},                       /* sum */
                {40, 1, 4, "disagrees with"},                       /* key end */
                {16 + 3 * 28, 1, 1, "disagrees with"},              /* key */
                {4, 1, 4, "record index: version 2, this program"}, /* version */
                {8, 1, 4, "record index of"},                       /* count */
                {8, 0xfffff000, 4, "record index of"},
                {12, 28, 4, "record index of"},
                {0, 1, 1, "no record index"}};
    reading r;

    (void)state;
    make("a", 1, 3, 40);
    apart a = take_apart("a");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        vl_buf x = {0};
        uint8_t *p;
        vl_err e;
        assert_int_equal(vl_buf_add(&x, a.file + a.vlix, a.vlix_n, &e), 0);
        p = x.p + 8 + rows[i].at;
        if (rows[i].bytes == 8)
            vl_put_le64(p, vl_le64(p) + rows[i].add);
        else if (rows[i].bytes == 4)
            vl_put_le32(p, vl_le32(p) + (uint32_t)rows[i].add);
        else
            *p = (uint8_t)(*p + rows[i].add);
        vl_put_le64(x.p + x.n - 8, XXH64(x.p + 8, x.n - 16, 0));
        put_index(&a, &x);
        r = read_all("c", NULL);
        if (r.rc != VL_EFORMAT || !strstr(r.e.text, rows[i].text) || r.counts.records != 3)
            fail_msg("row %zu: code %d '%s'", i, r.rc, r.e.text);
        free(r.log.p);
        free(x.p);
    }
    put_away(&a);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, enter, leave)
    const struct CMUnitTest tests[] = {
        T(says_where_records_lie),
        T(which_segments_have_one),
        T(every_bit_of_it),
        T(lies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
