/* SPDX-License-Identifier: MIT
 * t_licence.c -- which licence is stricter than which, and rights brought together. */
#include "formats/licence.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* From the loosest to the strictest; every pair of them is compared. */
static const struct {
    const char *licence;
    vl_licence_group group;
} order[] = {
    {"CC0-1.0", VL_PUBLIC_DOMAIN},
    {"PDDL-1.0", VL_PUBLIC_DOMAIN},
    {"MIT", VL_ATTRIBUTION},
    {"Apache-2.0", VL_ATTRIBUTION},
    {"CDLA-Permissive-2.0", VL_ATTRIBUTION},
    {"CC-BY-2.0", VL_ATTRIBUTION},
    {"CC-BY-3.0-US", VL_ATTRIBUTION},
    {"CC-BY-4.0", VL_ATTRIBUTION},
    {"ODbL-1.0", VL_SHARE_ALIKE},
    {"CC-BY-SA-2.0", VL_SHARE_ALIKE},
    {"CC-BY-SA-3.0-DE", VL_SHARE_ALIKE},
    {"GFDL-1.3-or-later", VL_SHARE_ALIKE},
    {"GPL-2.0+", VL_SHARE_ALIKE},
    {"GPL-3.0-only", VL_SHARE_ALIKE},
    {"CC-BY-NC-2.0", VL_NON_COMMERCIAL},
    {"CC-BY-NC-4.0", VL_NON_COMMERCIAL},
    {"CC-BY-NC-SA-2.0", VL_NON_COMMERCIAL},
    {"CC-BY-ND-4.0", VL_RESTRICTED},
    {"CC-BY-NC-ND-4.0", VL_RESTRICTED},
    {"NONE", VL_RESTRICTED},
    {VL_LICENCE_UNKNOWN, VL_RESTRICTED},
    {"", VL_RESTRICTED},
    {"Attribution License", VL_RESTRICTED},
    {"CC-BY", VL_RESTRICTED},
    {"CC-BY-SA-4.0 OR MIT", VL_RESTRICTED},
    {"CC-BY-SA-x", VL_RESTRICTED},
    {"GPL-2.0 WITH anything", VL_RESTRICTED},
    {"MIT ", VL_RESTRICTED},
    {"nur f\xc3\xbcr Forschung", VL_RESTRICTED},
};

static void groups_and_order(void **state)
{
    enum { N = sizeof order / sizeof *order };
    json_t *list = json_array();

    (void)state;
    for (int i = 0; i < N; i++) {
        if (vl_licence_group_of(order[i].licence) != order[i].group)
            fail_msg("%s: %s", order[i].licence,
                     vl_licence_group_name(vl_licence_group_of(order[i].licence)));
        for (int k = 0; k < N; k++) {
            int c = vl_licence_compare(order[i].licence, order[k].licence);
            if ((c > 0) != (i > k) || (c < 0) != (i < k))
                fail_msg("%s against %s: %d", order[i].licence, order[k].licence, c);
        }
    }
    assert_null(vl_licence_strictest(list));
    for (int i = 0; i < N; i++) { /* whatever came before, loosest first or last */
        json_array_insert_new(list, 0, json_string(order[i].licence));
        assert_string_equal(vl_licence_strictest(list), order[i].licence);
    }
    json_decref(list);
    assert_int_equal(vl_licence_group_of("cc-by-sa-4.0"), VL_SHARE_ALIKE);
    assert_string_equal(vl_licence_group_name(VL_SHARE_ALIKE), "share-alike");
}

static void deeds(void **state)
{
    static const struct {
        const char *url, *want;
    } row[] = {
        {"http://creativecommons.org/licenses/by-nc-sa/2.0/", "CC-BY-NC-SA-2.0"},
        {"https://creativecommons.org/licenses/by/4.0", "CC-BY-4.0"},
        {"http://creativecommons.org/licenses/by-nd/2.0/", "CC-BY-ND-2.0"},
        {"http://creativecommons.org/licenses/by/3.0/us/", NULL},
        {"http://creativecommons.org/licenses/x/9.9/", NULL},
        {"http://creativecommons.org/licenses/", NULL},
        {"http://creativecommons.org/licenses/by-nc-sa-by-nc-sa-by-nc-sa/2.0/", NULL},
        {"http://flickr.com/commons/usage/", NULL},
    };
    char got[32];

    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        assert_int_equal(vl_licence_of_url(row[i].url, got), row[i].want != NULL);
        if (row[i].want)
            assert_string_equal(got, row[i].want);
    }
}

static void is_json(const json_t *j, const char *want)
{
    char *text = j ? json_dumps(j, JSON_COMPACT | JSON_SORT_KEYS) : strdup("NULL");

    assert_string_equal(text, want);
    free(text);
}

static void rights(void **state)
{
    json_t *r = NULL, *manifest, *tail;
    bool silent;
    vl_err e;

    (void)state;
    assert_int_equal(vl_rights_add(&r, NULL, NULL, &e), VL_OK);
    is_json(r, "NULL");
    assert_int_equal(vl_rights_add(&r, "MIT", NULL, &e), VL_OK);
    is_json(r, "{\"licences\":[\"MIT\"]}");
    assert_int_equal(vl_rights_add(&r, "CC0-1.0", "b", &e), VL_OK);
    assert_int_equal(vl_rights_add(&r, "MIT", "a", &e), VL_OK);
    assert_int_equal(vl_rights_add(&r, "zz", "b", &e), VL_OK);
    is_json(r, "{\"licences\":[\"CC0-1.0\",\"MIT\",\"zz\"],\"sources\":[\"a\",\"b\"]}");
    manifest = json_pack("{s:s, s:s, s:{s:[s,s], s:[s]}}", "licence", "X", "source", "s", "various",
                         "licence", "Y", "MIT", "source", "t");
    tail = json_pack("{s:[s,i], s:[s], s:i}", "licences", "Z", 7, "sources", "u", "records", 1);
    assert_int_equal(vl_rights_segment(&r, manifest, tail, &silent, &e), VL_OK);
    assert_false(silent);
    is_json(r, "{\"licences\":[\"CC0-1.0\",\"MIT\",\"X\",\"Y\",\"Z\",\"zz\"],"
               "\"sources\":[\"a\",\"b\",\"s\",\"t\",\"u\"]}");
    json_object_del(manifest, "various");
    json_object_set_new(manifest, "licence", json_integer(3)); /* of a stranger: says nothing */
    json_object_clear(tail);
    assert_int_equal(vl_rights_segment(&r, manifest, tail, &silent, &e), VL_OK);
    assert_true(silent);
    assert_int_equal(vl_rights_segment(&r, manifest, NULL, &silent, &e), VL_OK);
    json_decref(manifest);
    json_decref(tail);
    json_decref(r);
    r = NULL;
    assert_int_equal(vl_rights_add(&r, "\xff", NULL, &e), VL_EARG);
    char text[VL_RIGHTS_TEXT_MAX + 2];
    memset(text, 'x', sizeof text - 1);
    text[VL_RIGHTS_TEXT_MAX + 1] = 0;
    assert_int_equal(vl_rights_add(&r, NULL, text, &e), VL_EARG);
    assert_string_equal(e.text, "sources: one of 1001 bytes, at most 1000 allowed");
    for (int i = 0; i < VL_RIGHTS_MAX; i++) {
        char name[16];
        snprintf(name, sizeof name, "%d", i);
        assert_int_equal(vl_rights_add(&r, name, NULL, &e), VL_OK);
    }
    assert_int_equal(vl_rights_add(&r, "0", NULL, &e), VL_OK);
    assert_int_equal(vl_rights_add(&r, "more", NULL, &e), VL_EARG);
    assert_string_equal(e.text, "more than 256 licences");
    json_decref(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(groups_and_order), cmocka_unit_test(deeds),
                                       cmocka_unit_test(rights)};

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
