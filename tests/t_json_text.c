/* SPDX-License-Identifier: MIT */
#include "cli/json_text.h"
#include "formats/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void every_text_is_a_string(void **state)
{
    static const struct {
        const char *in, *want;
    } rows[] = {
        {"", ""},
        {"plain", "plain"},
        {"gr\xc3\xb6sse \xe2\x82\xac \xf0\x9f\x9b\xb6", "gr\xc3\xb6sse \xe2\x82\xac \xf0\x9f\x9b\xb6"},
        {"gr\xf6sse", "gr\\xf6sse"},
        {"\xff", "\\xff"},
        {"\xc3", "\\xc3"},                            /* a character cut off */
        {"\xe2\x82", "\\xe2\\x82"},                   /* and one with two bytes left */
        {"a\xc0\x80z", "a\\xc0\\x80z"},               /* too long a form */
        {"\xed\xa0\x80", "\\xed\\xa0\\x80"},          /* half a surrogate pair */
        {"\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"}, /* above U+10FFFF */
        {"\x80 then \xc3\xa4", "\\x80 then \xc3\xa4"},
        {"back\\slash", "back\\slash"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        json_t *j = cli_json_text(rows[i].in);
        assert_non_null(j);
        assert_string_equal(json_string_value(j), rows[i].want);
        json_decref(j);
    }
    assert_null(cli_json_text(NULL));
}

/* Whatever byte it begins at, a text of two, three or four bytes a character is cut between two of them. */
static void cut_between_characters(void **state)
{
    static const char *const c[] = {"x", "\xc3\xa4", "\xe2\x82\xac", "\xf0\x9f\x9b\xb6"};
    char text[64 + 8];

    (void)state;
    for (size_t k = 0; k < 4; k++)
        for (size_t shift = 0; shift < 4; shift++) {
            size_t n = 0;
            while (n < shift)
                text[n++] = '.';
            for (; n + strlen(c[k]) < sizeof text; n += strlen(c[k]))
                memcpy(text + n, c[k], strlen(c[k]) + 1);
            text[63] = 0; /* as snprintf leaves it */
            vl_cut(text, 64);
            json_t *j = json_string(text);
            assert_non_null(j);
            assert_in_range(strlen(text), 60, 63);
            assert_string_equal(text + strlen(text) - 3, "...");
            json_decref(j);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_text_is_a_string),
        cmocka_unit_test(cut_between_characters),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
