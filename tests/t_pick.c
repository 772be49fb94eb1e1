/* SPDX-License-Identifier: MIT
 * t_pick.c -- which records are wanted; numbered names; what trimming makes of a record. */
#include "formats/numbered.h"
#include "pipeline/pick.h"
#include "pipeline/trim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Each row over records 0 to 9 with keys "a/0" ... "a/4", "b/5" ... "b/9"; wanted: the digits that are taken. */
static const struct {
    const char *name, *glob, *wanted;
    uint64_t from, to, every, part, parts, head;
} rows[] = {
    {"all", NULL, "0123456789", 0, UINT64_MAX, 1, 0, 0, UINT64_MAX},
    {"glob", "b*", "56789", 0, UINT64_MAX, 1, 0, 0, UINT64_MAX},
    {"range", NULL, "345", 3, 6, 1, 0, 0, UINT64_MAX},
    {"empty range", NULL, "", 3, 3, 1, 0, 0, UINT64_MAX},
    {"range past the end", NULL, "89", 8, 100, 1, 0, 0, UINT64_MAX},
    {"every", NULL, "0369", 0, UINT64_MAX, 3, 0, 0, UINT64_MAX},
    {"every from", NULL, "258", 2, UINT64_MAX, 3, 0, 0, UINT64_MAX},
    {"part 0/3", NULL, "012", 0, UINT64_MAX, 1, 0, 3, UINT64_MAX},
    {"part 1/3", NULL, "345", 0, UINT64_MAX, 1, 1, 3, UINT64_MAX},
    {"part 2/3", NULL, "6789", 0, UINT64_MAX, 1, 2, 3, UINT64_MAX},
    {"more parts than records", NULL, "", 0, UINT64_MAX, 1, 0, 20, UINT64_MAX},
    {"head", NULL, "01", 0, UINT64_MAX, 1, 0, 0, 2},
    {"every step", "[ab]/[1-8]", "58", 1, 8, 3, 1, 2, 7},
    {"every step, head", "[ab]/[1-8]", "5", 2, 8, 1, 1, 3, 1},
};

static void run_row(size_t i, char *got)
{
    const char *const glob[] = {rows[i].glob};
    vl_pick_opts o = {.glob = glob,
                      .n_globs = rows[i].glob != NULL,
                      .from = rows[i].from,
                      .to = rows[i].to,
                      .every = rows[i].every,
                      .part = rows[i].part,
                      .parts = rows[i].parts,
                      .head = rows[i].head};
    vl_pick *p = NULL;
    vl_err e;
    char key[16];
    size_t n = 0;

    assert_int_equal(vl_pick_new(&o, &p, &e), VL_OK);
    for (int pass = 0; pass < 2; pass++) {
        for (int k = 0; k < 10; k++) {
            snprintf(key, sizeof key, "%c/%d", k < 5 ? 'a' : 'b', k);
            if (!pass)
                assert_int_equal(vl_pick_count(p, "pairs", key, &e), VL_OK);
            else if (vl_pick_next(p, "pairs", key, false, &e))
                got[n++] = (char)('0' + k);
        }
        if (!pass)
            vl_pick_again(p);
    }
    got[n] = 0;
    assert_int_equal(vl_pick_unused(p, &e), VL_OK);
    vl_pick_free(p);
}

static void picks(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char got[16];
        run_row(i, got);
        if (strcmp(got, rows[i].wanted))
            fail_msg("%s: '%s', wanted '%s'", rows[i].name, got, rows[i].wanted);
    }
}

static void kinds_count_apart(void **state)
{
    vl_pick_opts o = {.to = 2, .every = 1, .head = UINT64_MAX};
    vl_pick *p = NULL;
    char kind[8];
    vl_err e;

    (void)state;
    assert_int_equal(vl_pick_new(&o, &p, &e), VL_OK);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(vl_pick_next(p, "pairs", "k", false, &e), i < 2);
        assert_int_equal(vl_pick_next(p, "embeddings", "k", false, &e), i < 2);
        assert_int_equal(vl_pick_next(p, "distilled", "set", false, &e), 1); /* is not counted */
        assert_int_equal(vl_pick_next(p, "distilled", "syn-00000", false, &e), i < 2);
        assert_int_equal(vl_pick_next(p, "pairs-x", "set", false, &e), i < 2);
    }
    for (int i = 4; i < VL_PICK_KINDS; i++) {
        snprintf(kind, sizeof kind, "k%c%c", 'a' + i / 26, 'a' + i % 26);
        assert_int_equal(vl_pick_next(p, kind, "k", false, &e), 1);
    }
    assert_int_equal(vl_pick_next(p, "one-more", "k", false, &e), VL_EFORMAT);
    vl_pick_free(p);
}

static void unused_is_said(void **state)
{
    const char *const glob[] = {"a*", "z*"};
    vl_keytab keys = {0};
    vl_pick_opts o = {.glob = glob, .n_globs = 2, .keys = &keys, .to = 9, .every = 1, .head = 9};
    vl_pick *p = NULL;
    size_t at;
    vl_err e;

    (void)state;
    assert_int_equal(vl_keytab_add(&keys, "b", &at, &e), 1);
    assert_int_equal(vl_keytab_add(&keys, "c", &at, &e), 1);
    assert_int_equal(vl_pick_new(&o, &p, &e), VL_OK);
    assert_int_equal(vl_pick_next(p, "pairs", "a1", false, &e), 1);
    assert_int_equal(vl_pick_next(p, "pairs", "b", false, &e), 1);
    assert_int_equal(vl_pick_next(p, "pairs", "d", false, &e), 0);
    assert_int_equal(vl_pick_unused(p, &e), VL_EFORMAT);
    assert_string_equal(e.text, "no record has a key like 'z*'");
    assert_int_equal(vl_pick_next(p, "pairs", "z", false, &e), 1);
    assert_int_equal(vl_pick_unused(p, &e), VL_EFORMAT);
    assert_string_equal(e.text, "no record has the key 'c'");
    vl_pick_free(p);
    vl_keytab_free(&keys);
}

static void numbered(void **state)
{
    static const char *const good[][2] = {
        {"out-%06d.tar", "out-000042.tar"}, {"%d", "42"}, {"a/%01d-x", "a/42-x"}, {"%09d", "000000042"}};
    static const char *const bad[] = {"out.tar", "%s", "%06x", "%d-%d", "%%d",
                                      "%6d",     "%",  "%00d", "%012d", "%0"};
    vl_err e;

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        char *name;
        assert_int_equal(vl_numbered_check(good[i][0], &e), VL_OK);
        name = vl_numbered_name(good[i][0], 42, &e);
        assert_string_equal(name, good[i][1]);
        free(name);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (vl_numbered_check(bad[i], &e) != VL_EARG)
            fail_msg("'%s' passed", bad[i]);
}

static void trims(void **state)
{
    static const char *const drop[] = {"j*"}, *const rename_[] = {"txt=caption.txt", "jpg=x"};
    vl_trim t = {.o = {drop, rename_, 1, 2, "in/", "out-%d/"}};
    vls_member m[] = {{"jpg", NULL, 0}, {"txt", (const uint8_t *)"a", 1}, {"png", NULL, 0}};
    vls_record in = {"in/key", m, 3}, out;
    json_t *schema = json_pack("{s:i, s:i, s:i}", "jpg", 1, "txt", 2, "png", 3);
    vl_err e;

    (void)state;
    assert_int_equal(vl_trim_check(&t.o, &e), VL_OK);
    assert_int_equal(vl_trim_record(&t, &in, 7, &out, &e), 1);
    assert_string_equal(out.key, "out-7/key");
    assert_int_equal(out.n_members, 2);
    assert_string_equal(out.members[0].ext, "caption.txt");
    assert_ptr_equal(out.members[0].data, m[1].data);
    assert_string_equal(out.members[1].ext, "png");
    assert_int_equal(vl_trim_unused(&t, &e), VL_EFORMAT); /* jpg is dropped before it is renamed */
    assert_string_equal(e.text, "no member is called 'jpg'");
    in.n_members = 1;
    assert_int_equal(vl_trim_record(&t, &in, 7, &out, &e), 0);
    in.key = "other";
    assert_int_equal(vl_trim_record(&t, &in, 7, &out, &e), VL_EFORMAT);
    assert_int_equal(vl_trim_schema(&t, schema, &e), VL_OK);
    assert_int_equal(json_object_size(schema), 2);
    assert_int_equal(json_integer_value(json_object_get(schema, "caption.txt")), 2);
    json_decref(schema);
    vl_trim_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(picks),          cmocka_unit_test(kinds_count_apart),
        cmocka_unit_test(unused_is_said), cmocka_unit_test(numbered),
        cmocka_unit_test(trims),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
