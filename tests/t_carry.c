/* SPDX-License-Identifier: MIT
 * t_carry.c -- manifests, notes and ancestors brought together: the same however it is cut. */
#include "pipeline/carry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static json_t *text(const char *s)
{
    json_t *j = json_loads(s, 0, NULL);

    if (!j)
        fail_msg("no JSON: %s", s);
    return j;
}

static void is(json_t *got, const char *want)
{
    char *s = json_dumps(got, JSON_COMPACT | JSON_SORT_KEYS);

    if (strcmp(s, want))
        fail_msg("%s, wanted %s", s, want);
    free(s);
    json_decref(got);
}

static json_t *merged(const char *const *m, size_t n)
{
    json_t *into = NULL;
    vl_err e;

    for (size_t i = 0; i < n; i++) {
        json_t *j = text(m[i]);
        if (vl_carry_merge(&into, j, &e))
            fail_msg("%s", e.text);
        json_decref(j);
    }
    return into;
}

static void manifests(void **state)
{
    static const char *const m[] = {
        "{\"kind\":\"pairs\",\"source\":\"a\",\"split\":\"train\",\"licence\":\"x\"}",
        "{\"kind\":\"pairs\",\"source\":\"b\",\"split\":\"train\",\"licence\":\"x\"}",
        "{\"kind\":\"pairs\",\"source\":\"a\",\"split\":\"train\",\"seed\":3}",
        "{\"kind\":\"pairs\",\"source\":\"c\",\"split\":\"train\",\"licence\":\"x\"}",
    };
    static const char want[] =
        "{\"kind\":\"pairs\",\"split\":\"train\",\"various\":{\"licence\":[\"x\",\"NOASSERTION\"],"
        "\"seed\":[3],\"source\":[\"a\",\"b\",\"c\"]}}";
    json_t *left = merged(m, 2), *right = merged(m + 2, 2);
    vl_err e;

    (void)state;
    is(merged(m, 1), "{\"kind\":\"pairs\",\"licence\":\"x\",\"source\":\"a\",\"split\":\"train\"}");
    is(merged(m, 2),
       "{\"kind\":\"pairs\",\"licence\":\"x\",\"split\":\"train\",\"various\":{\"source\":[\"a\",\"b\"]}}");
    is(merged(m, 4), want);
    assert_int_equal(vl_carry_merge(&left, right, &e), VL_OK); /* two halves */
    json_decref(right);
    is(left, want);
}

static void must_agree(void **state)
{
    static const char *const pair[][3] = {
        {"{\"kind\":\"pairs\"}", "{\"kind\":\"embeddings\"}", "kind"},
        {"{\"kind\":\"a\",\"schema\":{\"x\":1}}", "{\"kind\":\"a\",\"schema\":{\"x\":2}}", "schema"},
        {"{\"kind\":\"a\",\"schema\":{}}", "{\"kind\":\"a\"}", "schema"},
        {"{\"kind\":\"a\",\"model\":1}", "{\"kind\":\"a\",\"model\":2}", "model"},
        {"{\"kind\":\"a\"}", "{\"kind\":\"a\",\"augment\":2}", "augment"},
    };
    char want[80];
    vl_err e;

    (void)state;
    for (size_t i = 0; i < sizeof pair / sizeof *pair; i++) {
        json_t *into = text(pair[i][0]), *m = text(pair[i][1]);
        assert_int_equal(vl_carry_merge(&into, m, &e), VL_EFORMAT);
        snprintf(want, sizeof want, "segments that differ in '%s' cannot become one", pair[i][2]);
        assert_string_equal(e.text, want);
        json_decref(into);
        json_decref(m);
    }
}

#define TAIL "\"bytes\":1,\"content_id\":\"c\",\"frames\":1,\"members\":1,\"records\":1"

static void tails(void **state)
{
    json_t *a = text("{" TAIL ",\"parents\":[{\"content_id\":\"p\",\"kind\":\"k\"}],\"skipped\":2,"
                     "\"input_loss\":[{\"bad_frames\":1}]}");
    json_t *b = text(
        "{" TAIL ",\"parents\":[{\"content_id\":\"q\",\"kind\":\"k\"},{\"content_id\":\"p\",\"kind\":\"k\"}],"
        "\"ancestors\":[{\"content_id\":\"o\",\"kind\":\"k\"}],\"skipped\":3,"
        "\"input_loss\":[{\"left_out\":2},{\"bad_frames\":1}]}");
    json_t *parents = json_array(), *notes = NULL, *made = json_array();
    vl_err e;

    (void)state;
    assert_int_equal(vl_carry_parents(parents, a, &e), VL_OK);
    assert_int_equal(vl_carry_parents(parents, b, &e), VL_OK);
    assert_int_equal(vl_carry_parent(parents, b, "k", &e), VL_OK);
    is(parents, "[{\"content_id\":\"p\",\"kind\":\"k\"},{\"content_id\":\"q\",\"kind\":\"k\"},"
                "{\"content_id\":\"c\",\"kind\":\"k\"}]");
    assert_int_equal(vl_carry_notes(&notes, a, &e), VL_OK);
    assert_int_equal(vl_carry_notes(&notes, b, &e), VL_OK);
    assert_int_equal(vl_carry_notes(&notes, b, &e), VL_OK);
    is(notes, "{\"ancestors\":[{\"content_id\":\"o\",\"kind\":\"k\"}],"
              "\"input_loss\":[{\"bad_frames\":1},{\"left_out\":2}],\"various\":{\"skipped\":[2,3]}}");
    notes = NULL;
    assert_int_equal(vl_carry_ancestors(&notes, a, &e), VL_OK);
    assert_int_equal(vl_carry_ancestors(&notes, b, &e), VL_OK);
    is(notes, "{\"ancestors\":[{\"content_id\":\"p\",\"kind\":\"k\"},{\"content_id\":\"q\",\"kind\":\"k\"},"
              "{\"content_id\":\"o\",\"kind\":\"k\"}]}");
    assert_int_equal(vl_carry_made_of(made, b, &e), VL_OK);
    assert_int_equal(json_array_size(made), 3);
    json_decref(made);
    json_decref(a);
    json_decref(b);
}

static void steps(void **state)
{
    json_t *m = text("{\"kind\":\"pairs\",\"format\":1,\"ordinal\":3,\"first_key\":\"k\"}"),
           *step = text("{\"n\":1}"), *c;
    vl_err e;

    (void)state;
    c = vl_carry_manifest(m, &e);
    assert_int_equal(vl_carry_step(c, "cat", step, &e), VL_OK);
    assert_int_equal(vl_carry_step(c, "cat", step, &e), VL_OK);
    is(c, "{\"cat\":[{\"n\":1},{\"n\":1}],\"kind\":\"pairs\"}");
    json_decref(m);
    json_decref(step);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(manifests), cmocka_unit_test(must_agree),
                                       cmocka_unit_test(tails), cmocka_unit_test(steps)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
