/* SPDX-License-Identifier: MIT
 * t_json_split.c -- cutting JSON into elements: at any block size the same as jansson reads from the whole. */
#include "pipeline/json_split.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

typedef struct feed {
    const char *text;
    size_t n, at, step; /* step: bytes a read gives at most */
    int fault;          /* errno at the end of the text */
} feed;

static ssize_t give(void *arg, void *to, size_t n)
{
    feed *f = arg;
    size_t k = f->n - f->at < f->step ? f->n - f->at : f->step;

    k = k < n ? k : n;
    memcpy(to, f->text + f->at, k);
    f->at += k;
    if (!k && f->fault) {
        errno = f->fault;
        return -1;
    }
    return (ssize_t)k;
}

/* All elements as lines "name json"; what ends it, if not the end, as "! text". */
static char *all_of(feed f)
{
    static char out[65536];
    FILE *to = fmemopen(out, sizeof out, "w");
    vl_json_split *s = NULL;
    const char *name;
    json_t *j;
    vl_err e;
    int rc;

    assert_non_null(to);
    out[0] = 0;
    assert_int_equal(vl_json_split_new(give, &f, &s, &e), VL_OK);
    while ((rc = vl_json_split_next(s, &name, &j, &e)) == 1) {
        char *text = json_dumps(j, JSON_COMPACT | JSON_ENCODE_ANY);
        fprintf(to, "%s %s\n", name, text);
        free(text);
        json_decref(j);
    }
    if (rc)
        fprintf(to, "! %d %s\n", rc, e.text);
    fclose(to);
    vl_json_split_free(s);
    return out;
}

static void elements(void **state)
{
    static const struct {
        const char *text, *want;
    } row[] = {
        {"[]", ""},
        {" { } \n", ""},
        {"[1,\"a,]\", {\"x\":[{}]} ,null,-1.5e3]", " 1\n \"a,]\"\n {\"x\":[{}]}\n null\n -1500.0\n"},
        {"{\"a\":[1],\"b\":{\"a\":[2]},\"c\":[[3]]}", "a 1\nc [3]\n"},
        {"{\"a\":\"[\\\"\\\\\",\"b\":[\"\\\\\",\"\\\\\\\"\"]}", "b \"\\\\\"\nb \"\\\\\\\"\"\n"},
        {"{\"a\": true ,\"b\":[],\"c\" : [ 7 ] }", "c 7\n"},
        {"[[]]", " []\n"},
        {"", "! -3 JSON: '{' or '[' expected, the file ends at byte 0\n"},
        {"7", "! -3 JSON: '{' or '[' expected, found 0x37 (byte 0)\n"},
        {"[,]", "! -3 JSON: a value expected, found 0x2c (byte 1)\n"},
        {"[1 2]", " 1\n! -3 JSON: ',' or ']' expected, found 0x32 (byte 3)\n"},
        {"{\"a\" 1}", "! -3 JSON: ':' expected, found 0x31 (byte 5)\n"},
        {"{a:1}", "! -3 JSON: a name expected, found 0x61 (byte 1)\n"},
        {"{\"a\":}", "! -3 JSON: a value expected, found 0x7d (byte 5)\n"},
        {"[1]]", " 1\n! -3 JSON: the end expected, found 0x5d (byte 3)\n"},
        {"{\"a\":{\"b\":1}", "! -3 JSON: ',' or '}' expected, the file ends at byte 12\n"},
        {"{\"a\":\"b", "! -3 JSON: the end of a value expected, the file ends at byte 7\n"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof *row; i++)
        for (size_t step = 1; step < 9; step++) {
            const char *got = all_of((feed){row[i].text, strlen(row[i].text), 0, step, 0});
            if (strcmp(got, row[i].want))
                fail_msg("%s in steps of %zu: '%s', expected '%s'", row[i].text, step, got, row[i].want);
        }
    assert_string_equal(all_of((feed){"[1, ", 4, 0, 4, EIO}), " 1\n! -2 Input/output error\n");
    assert_string_equal(all_of((feed){"[\0]", 3, 0, 4, 0}),
                        "! -3 JSON: a value expected, found 0x00 (byte 1)\n");
}

/* Cut anywhere and with any bit flipped: a clean answer; every element that came is what was there, or differs in
 * the flipped byte, which jansson took. */
static void damage(void **state)
{
    const char whole[] =
        "{\"k\": [\"\\u00e9 \\\"\", {\"a\": [1, 2.5, {}], \"b\": null}], \"s\": \"[\", \"l\": [[true]]}";
    size_t n = sizeof whole - 1;
    char text[sizeof whole], good[65536];

    (void)state;
    strcpy(good, all_of((feed){whole, n, 0, 3, 0}));
    assert_null(strchr(good, '!'));
    for (size_t cut = 0; cut < n; cut++) {
        const char *got = all_of((feed){whole, cut, 0, 3, 0}), *bang = strchr(got, '!');
        assert_non_null(bang);
        assert_memory_equal(got, good, (size_t)(bang - got));
    }
    for (size_t bit = 0; bit < 8 * n; bit++) {
        memcpy(text, whole, n);
        text[bit / 8] ^= (char)(1 << bit % 8);
        const char *got = all_of((feed){text, n, 0, 3, 0});
        assert_true(*got != 0); /* at least one element, or a message */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(elements), cmocka_unit_test(damage)};

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
