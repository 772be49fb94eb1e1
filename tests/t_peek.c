/* SPDX-License-Identifier: MIT
 * t_peek.c -- manifests and tails found without the records are those that a reading gives; the spill gives
 * back what was put; the output folder keeps to itself. */
#include "formats/outfolder.h"
#include "formats/peek.h"
#include "pipeline/spill.h"
#include "tests/shard_help.h"

static void same_as_reading(const char *path)
{
    const vls_segment *seg;
    vls_reader *r = NULL;
    vls_record rec;
    vls_briefs b;
    vl_err e;
    size_t i = 0;

    if (vls_peek(path, NULL, false, &b, &e) || vls_reader_open(path, NULL, &r, &e))
        fail_msg("%s", e.text);
    while (vls_next(r, &rec, &seg, &e) == 1)
        ;
    for (; (seg = vls_reader_segment(r, i)); i++) {
        assert_true(i < b.n);
        assert_true(json_equal(seg->manifest, b.seg[i].manifest));
        assert_true(json_equal(vls_reader_tail(r, i), b.seg[i].tail));
    }
    assert_int_equal(b.n, i);
    vls_reader_close(r);
    vls_briefs_free(&b);
}

static void peeks(void **state)
{
    uint8_t *a, *b;
    size_t n, m;

    (void)state;
    make("one", 1, 3, 100);
    same_as_reading("one");
    make("many", 5, 4, 300000); /* several frames a segment */
    same_as_reading("many");
    make("none", 2, 0, 0);
    same_as_reading("none");
    slurp("one", &a, &n);
    slurp("many", &b, &m);
    a = realloc(a, 2 * n + 2 * VL_TERM_BYTES + m);
    assert_non_null(a);
    memcpy(a + n, vl_term, VL_TERM_BYTES);
    memcpy(a + n + VL_TERM_BYTES, b, m);
    memcpy(a + n + VL_TERM_BYTES + m, vl_term, VL_TERM_BYTES);
    spill("terms", a, n + m + 2 * VL_TERM_BYTES);
    free(a);
    free(b);
    {
        vls_briefs all;
        vl_err e;
        assert_int_equal(vls_peek("terms", NULL, false, &all, &e),
                         VL_OK); /* keys are there twice: not for a peek */
        assert_int_equal(all.n, 6);
        vls_briefs_free(&all);
    }
}

/* A file is cut anywhere, or any byte is another: briefs or an error, and never those of another file. */
static void damaged(void **state)
{
    vls_briefs b;
    uint8_t *p;
    size_t n;
    vl_err e;

    (void)state;
    make("whole", 2, 2, 50);
    slurp("whole", &p, &n);
    for (size_t cut = 0; cut < n; cut += 7) {
        spill("cut", p, cut);
        if (!vls_peek("cut", "shown", false, &b, &e)) {
            assert_int_equal(b.n, 1); /* the first segment alone is a shard */
            vls_briefs_free(&b);
        } else {
            assert_memory_equal(e.text, "shown: ", 7);
        }
    }
    for (size_t at = 0; at < n; at += 3) {
        p[at] ^= 0x10;
        spill("flip", p, n);
        if (!vls_peek("flip", NULL, false, &b, &e)) {
            assert_int_equal(b.n, 2);
            assert_string_equal(json_string_value(json_object_get(b.seg[1].manifest, "kind")), "pairs");
            vls_briefs_free(&b);
        }
        p[at] ^= 0x10;
    }
    free(p);
    assert_int_equal(vls_peek("nowhere", NULL, false, &b, &e), VL_EIO);
    assert_int_equal(b.n, 0);
}

static void spills(void **state)
{
    enum { N = 50 };
    static uint8_t big[3 << 20];
    uint64_t at[N];
    vl_spill *s = NULL;
    vls_record got;
    char key[24], text[24];
    vl_err e;

    (void)state;
    for (size_t i = 0; i < sizeof big; i++)
        big[i] = (uint8_t)(i * 2654435761u >> 13);
    assert_int_equal(vl_spill_new(&s, &e), VL_OK);
    for (int i = 0; i < N; i++) {
        snprintf(key, sizeof key, "k/%d", i);
        snprintf(text, sizeof text, "text %d", i);
        vls_member m[] = {{"bin", big, (size_t)i * 60000}, {"txt", (const uint8_t *)text, strlen(text)}};
        vls_record rec = {key, m, 2};
        assert_int_equal(vl_spill_put(s, &rec, &at[i], &e), VL_OK);
    }
    for (int i = N; i-- > 0;) {
        snprintf(key, sizeof key, "k/%d", i);
        snprintf(text, sizeof text, "text %d", i);
        assert_int_equal(vl_spill_get(s, at[i], &got, &e), VL_OK);
        assert_string_equal(got.key, key);
        assert_int_equal(got.n_members, 2);
        assert_string_equal(got.members[1].ext, "txt");
        assert_int_equal(got.members[1].n, strlen(text));
        assert_memory_equal(got.members[1].data, text, strlen(text));
        assert_int_equal(got.members[0].n, (size_t)i * 60000);
        assert_memory_equal(got.members[0].data, big, got.members[0].n);
    }
    vl_spill_free(s);
}

static void folder(void **state)
{
    static const char *const bad[] = {"", "/", "/x", "../x", "a/../x", "a//x", ".", "a/.", "a/", "./x", ".."};
    vl_outfolder *f = NULL;
    char long_name[400];
    vl_err e;

    (void)state;
    assert_int_equal(vl_outfolder_open("out//", &f, &e), VL_OK);
    assert_int_not_equal(access("out", F_OK), 0);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (vl_outfolder_put(f, bad[i], "x", 1, &e) != VL_EARG)
            fail_msg("'%s' passed", bad[i]);
    memset(long_name, 'x', sizeof long_name);
    long_name[300] = 0;
    assert_int_equal(vl_outfolder_put(f, long_name, "x", 1, &e), VL_EARG);
    assert_int_equal(vl_outfolder_put(f, "a/b/c", "text", 4, &e), VL_OK);
    assert_int_equal(vl_outfolder_put(f, "a/b/c", "text", 4, &e), VL_EARG);
    assert_int_equal(vl_outfolder_put(f, "a/b", "text", 4, &e), VL_EARG);
    assert_int_equal(vl_outfolder_put(f, "a/b/c/d", "text", 4, &e), VL_EIO);
    assert_int_equal(vl_outfolder_put(f, "a.b", "", 0, &e), VL_OK);
    assert_int_equal(vl_outfolder_commit(f, &e), VL_OK);
    assert_int_equal(access("out/a/b/c", F_OK), 0);
    assert_int_equal(access("out/a.b", F_OK), 0);
    assert_int_equal(vl_outfolder_open("out", &f, &e), VL_EIO);

    assert_int_equal(vl_outfolder_open("gone", &f, &e), VL_OK);
    for (int i = 0; i < 2000; i++) { /* more than one listing holds */
        snprintf(long_name, sizeof long_name, "%d/%d/file-with-a-name-%d", i % 7, i % 31, i);
        assert_int_equal(vl_outfolder_put(f, long_name, "x", 1, &e), VL_OK);
    }
    vl_outfolder_abort(f);
    assert_int_not_equal(system("ls -d gone* 2>/dev/null | grep -q ."), 0);
}

/* A link that somebody puts in the way is not followed. */
static void no_links(void **state)
{
    vl_outfolder *f = NULL;
    char cmd[128];
    vl_err e;

    (void)state;
    assert_int_equal(mkdir("away", 0777), 0);
    assert_int_equal(vl_outfolder_open("linked", &f, &e), VL_OK);
    snprintf(cmd, sizeof cmd, "ln -s \"$PWD/away\" linked.tmp-%ld/a", (long)getpid());
    assert_int_equal(system(cmd), 0);
    assert_int_equal(vl_outfolder_put(f, "a/x", "x", 1, &e), VL_EIO);
    vl_outfolder_abort(f);
    assert_int_equal(access("away", F_OK), 0);
    assert_int_not_equal(access("away/x", F_OK), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(peeks), cmocka_unit_test(damaged),
                                       cmocka_unit_test(spills), cmocka_unit_test(folder),
                                       cmocka_unit_test(no_links)};

    return cmocka_run_group_tests(tests, enter, leave);
}
