/* SPDX-License-Identifier: MIT
 * t_text_hash.c -- captions: what is refused, and hashed rows against those of an independent
 * script. */
#include "pipeline/text_hash.h"
#include "pipeline/text_utf8.h"
#include "tests/data/text_hash_golden.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { DIM = VL_TEXT_HASH_DIM };

static void golden_rows(void **state)
{
    (void)state;
    for (size_t g = 0; g < sizeof golden / sizeof *golden; g++) {
        double want[DIM] = {0}, square = 0;
        float out[DIM];
        vl_err e;
        for (const char *p = golden[g].row; *p;) {
            char *end;
            long i = strtol(p, &end, 10), v = strtol(end + 1, &end, 10);
            want[i] = (double)v;
            square += (double)(v * v);
            p = end + strspn(end, " ");
        }
        assert_int_equal(vl_text_hash(golden[g].caption, strlen(golden[g].caption), DIM, out, &e), VL_OK);
        for (int i = 0; i < DIM; i++)
            if (out[i] != (float)(want[i] / (square > 0 ? sqrt(square) : 1)))
                fail_msg("'%s': index %d is %g, sum %g of norm %g expected", golden[g].caption, i, out[i],
                         want[i], sqrt(square));
    }
}

static double dot(const char *a, const char *b)
{
    float x[DIM], y[DIM];
    double sum = 0;
    vl_err e;

    assert_int_equal(vl_text_hash(a, strlen(a), DIM, x, &e), VL_OK);
    assert_int_equal(vl_text_hash(b, strlen(b), DIM, y, &e), VL_OK);
    for (int i = 0; i < DIM; i++)
        sum += (double)x[i] * y[i];
    return sum;
}

/* What the rows are for: near texts are near, far ones are not. */
static void nearness(void **state)
{
    (void)state;
    assert_true(fabs(dot("a red dog", "A red, dog!") - 1) < 1e-6);
    assert_true(dot("a red dog", "two red dogs") > 0.3);
    assert_true(fabs(dot("a red dog", "snowy mountain peaks")) < 0.15);
    assert_true(dot("the dog bites the man", "the man bites the dog") < 0.999);
    assert_true(dot("", "a") == 0);
}

static void refused(void **state)
{
    static const struct {
        const char *bytes;
        size_t n;
        int code; /* of vl_caption_check */
        const char *words;
        int hash_code;
    } row[] = {
        {"two dogs", 8, VL_OK, "", VL_OK},
        {"", 0, VL_EFORMAT, "is empty", VL_OK},
        {" \xc2\xa0 ", 4, VL_EFORMAT, "is blank", VL_OK},
        {"two\tdogs", 8, VL_EFORMAT, "holds the control character U+0009 (byte 3)", VL_OK},
        {"two\0dogs", 8, VL_EFORMAT, "holds the control character U+0000 (byte 3)", VL_OK},
        {"dogs\r", 5, VL_EFORMAT, "holds the control character U+000D (byte 4)", VL_OK},
        {"x\xc2\x85y", 4, VL_EFORMAT, "holds the control character U+0085 (byte 1)", VL_OK},
        {"\xe2\x80\xa8", 3, VL_EFORMAT, "holds the control character U+2028 (byte 0)", VL_OK},
        {"caf\xe9", 4, VL_EFORMAT, "is not UTF-8 (byte 3)", VL_EFORMAT},
        {"a dog in a caf\xe9 bar", 19, VL_EFORMAT, "is not UTF-8 (byte 14)", VL_EFORMAT},
        {"overlong \xc0\xaf", 11, VL_EFORMAT, "is not UTF-8 (byte 9)", VL_EFORMAT},
        {"surrogate \xed\xa0\x80", 13, VL_EFORMAT, "is not UTF-8 (byte 10)", VL_EFORMAT},
        {"too high \xf4\x90\x80\x80", 13, VL_EFORMAT, "is not UTF-8 (byte 9)", VL_EFORMAT},
        {"cut \xf0\x9f\x98", 7, VL_EFORMAT, "is not UTF-8 (byte 4)", VL_EFORMAT},
        {"stray \x80", 7, VL_EFORMAT, "is not UTF-8 (byte 6)", VL_EFORMAT},
        {"\xf0\x9f\x98\x80", 4, VL_OK, "", VL_OK},
    };

    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        vl_err e = {0};
        float out[DIM];
        char *exact = malloc(row[i].n + 1); /* its own block: ASan sees a byte too many */
        assert_non_null(exact);
        memcpy(exact, row[i].bytes, row[i].n);
        exact = realloc(exact, row[i].n ? row[i].n : 1);
        assert_non_null(exact);
        int rc = vl_caption_check(exact, row[i].n, &e);
        if (rc != row[i].code || (rc && strcmp(e.text, row[i].words) != 0))
            fail_msg("row %zu: code %d, '%s', expected '%s'", i, rc, e.text, row[i].words);
        assert_int_equal(vl_text_hash(exact, row[i].n, DIM, out, &e), row[i].hash_code);
        free(exact);
    }
}

static void limits(void **state)
{
    char *s = malloc(VL_CAPTION_MAX + 1);
    float out[1];
    vl_err e;

    (void)state;
    assert_non_null(s);
    memset(s, 'x', VL_CAPTION_MAX + 1);
    assert_int_equal(vl_caption_check(s, VL_CAPTION_MAX, &e), VL_OK);
    assert_int_equal(vl_caption_check(s, VL_CAPTION_MAX + 1, &e), VL_EFORMAT);
    assert_int_equal(vl_text_hash("a dog", 5, 0, out, &e), VL_EARG);
    assert_int_equal(vl_text_hash("a dog", 5, 1, out, &e), VL_OK);
    assert_true(out[0] == 1 || out[0] == -1 || out[0] == 0);
    free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_rows),
        cmocka_unit_test(nearness),
        cmocka_unit_test(refused),
        cmocka_unit_test(limits),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
