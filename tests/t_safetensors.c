/* SPDX-License-Identifier: MIT
 * t_safetensors.c -- headers good and bad, and a file equal to what the reference writes. */
#include "formats/safetensors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* length, text, n zero bytes of data; to be freed. */
static uint8_t *file_of(const char *text, size_t n, size_t *size)
{
    size_t head = strlen(text);
    uint8_t *p = calloc(1, VL_ST_FIXED + head + n);

    assert_non_null(p);
    vl_put_le64(p, head);
    memcpy(p + VL_ST_FIXED, text, head);
    *size = VL_ST_FIXED + head + n;
    return p;
}

#define T(type, shape, at) "{\"dtype\":\"" type "\",\"shape\":" shape ",\"data_offsets\":" at "}"

static const struct {
    const char *text;
    size_t data;
    const char *why; /* NULL: good */
    size_t n;
} rows[] = {
    {"{}", 0, NULL, 0},
    {"{}      ", 0, NULL, 0},
    {"{\"__metadata__\":{\"a\":\"b\"}}", 0, NULL, 0},
    {"{\"a\":" T("F32", "[2,3]", "[0,24]") "}", 24, NULL, 1},
    {"{\"a\":" T("F32", "[]", "[0,4]") "}", 4, NULL, 1},
    {"{\"b\":" T("BF16", "[3]", "[4,10]") ",\"a\":" T("I32", "[1]", "[0,4]") "}", 10, NULL, 2},
    {"{\"b\":" T("F32", "[1]", "[0,4]") ",\"a\":" T("F64", "[0,7]", "[0,0]") "}", 4, NULL, 2},
    {"{\"b\":" T("F32", "[1]", "[0,4]") ",\"a\":" T("F64", "[0,7]", "[4,4]") "}", 4, NULL, 2},
    {"{\"a\":" T("F32", "[1]", "[0,4]") ",\"a\":" T("F32", "[1]", "[0,4]") "}", 4, "duplicate", 0},
    {"{\"a\":" T("F32", "[1]", "[0,4]") ",\"b\":" T("F32", "[1]", "[2,6]") "}", 6, "those before it end", 0},
    {"{\"a\":" T("F32", "[1]", "[0,4]") ",\"b\":" T("F32", "[1]", "[0,4]") "}", 4, "those before it end", 0},
    {"{\"a\":" T("F32", "[1]", "[0,4]") ",\"b\":" T("F32", "[1]", "[8,12]") "}", 12,
     "the bytes before it end", 0},
    {"{\"a\":" T("F32", "[1]", "[4,8]") "}", 8, "begins at byte 4", 0},
    {"{\"a\":" T("F32", "[1]", "[0,4]") "}", 5, "4 bytes of tensors declared, 5 there", 0},
    {"{\"a\":" T("F32", "[1]", "[0,4]") "}", 3, "4 bytes of tensors declared, 3 there", 0},
    {"{\"a\":" T("F32", "[2]", "[0,4]") "}", 4, "4 bytes, its shape has 8", 0},
    {"{\"a\":" T("F32", "[1]", "[4,0]") "}", 4, "data_offsets", 0},
    {"{\"a\":" T("F32", "[1]", "[-4,0]") "}", 4, "data_offsets", 0},
    {"{\"a\":" T("F32", "[1]", "[0]") "}", 4, "data_offsets", 0},
    {"{\"a\":" T("F32", "[1]", "[0.0,4.0]") "}", 4, "data_offsets", 0},
    {"{\"a\":" T("F32", "[1]", "[0,18446744073709551620]") "}", 4, "integer", 0},
    {"{\"a\":" T("F32", "[-1]", "[0,4]") "}", 4, "counts", 0},
    {"{\"a\":" T("F32", "\"1\"", "[0,4]") "}", 4, "no array", 0},
    {"{\"a\":" T("F32", "[1,1,1,1,1,1,1,1,1]", "[0,4]") "}", 4, "9 dimensions", 0},
    {"{\"a\":" T("F32", "[4294967296,4294967296]", "[0,0]") "}", 0, "elements", 0},
    {"{\"a\":" T("F32", "[2305843009213693953,0]", "[0,0]") "}", 0, "elements", 0},
    {"{\"a\":" T("F8_E4M3", "[4]", "[0,4]") "}", 4, "dtype 'F8_E4M3' is not known", 0},
    {"{\"a\":" T("f32", "[1]", "[0,4]") "}", 4, "dtype 'f32' is not known", 0},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4, "not an object", 0},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4],\"x\":1}}", 4, "not an object", 0},
    {"{\"a\":[1]}", 4, "not an object", 0},
    {"{\"\":" T("F32", "[1]", "[0,4]") "}", 4, "name of 0 bytes", 0},
    {"{\"a\\u0000b\":" T("F32", "[1]", "[0,4]") "}", 4, "header: byte", 0},
    {"{\"__metadata__\":{\"a\":1}}", 0, "'a' is no string", 0},
    {"{\"__metadata__\":[]}", 0, "no object", 0},
    {" {}", 0, "begins with '{'", 0},
    {"{}{", 0, "header: byte", 0},
    {"{\"a\":", 0, "header: byte", 0},
    {"{\"a\xff\":1}", 0, "header: byte", 0},
};

static void table(void **state)
{
    vl_st s;
    vl_err e;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        size_t size;
        uint8_t *p = file_of(rows[i].text, rows[i].data, &size);
        int want = rows[i].why ? VL_EFORMAT : VL_OK, rc;
        e.text[0] = 0;
        rc = vl_st_load(p, size, &s, &e);
        if (rc != want || (want && !strstr(e.text, rows[i].why)))
            fail_msg("row %zu: code %d, '%s'", i, rc, e.text);
        if (!rc) {
            if (s.n != rows[i].n || s.data_bytes != rows[i].data)
                fail_msg("row %zu: %zu tensors, %d bytes", i, s.n, (int)s.data_bytes);
            vl_st_free(&s);
        }
        free(p);
    }
}

/* Every cut of a file and every length in front of it: refused, nothing read behind the end. */
static void cut_and_lengths(void **state)
{
    static const uint64_t lengths[] = {0, 1, VL_ST_HEAD_MAX + 1ull, UINT64_MAX, 1ull << 63};
    size_t size, head;
    uint8_t *p = file_of(rows[5].text, 10, &size);
    vl_st s;
    vl_err e;

    (void)state;
    for (size_t k = 0; k < size; k++) {
        uint8_t *exact = malloc(k ? k : 1);
        assert_non_null(exact);
        memcpy(exact, p, k);
        assert_int_equal(vl_st_load(exact, k, &s, &e), VL_EFORMAT);
        free(exact);
    }
    assert_int_equal(vl_st_load(p, size, &s, &e), VL_OK);
    assert_string_equal(s.tensor[0].name, "a"); /* in the order of their bytes */
    assert_ptr_equal(s.tensor[1].a.data, p + size - 6);
    assert_int_equal(s.tensor[1].a.dtype, VL_BF16);
    vl_st_free(&s);
    vl_st_free(&s);
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        vl_put_le64(p, lengths[i]);
        assert_int_equal(vl_st_head_bytes(p, &head, &e), VL_EFORMAT);
    }
    free(p);
}

/* Written by the reference, safetensors 0.8.0 for NumPy, from the same tensors and metadata. */
static const char golden[] = "{\"__metadata__\":{\"k\":\"v/\\\"\"},"
                             "\"c\":{\"dtype\":\"F64\",\"shape\":[1],\"data_offsets\":[0,8]},"
                             "\"a/b\":{\"dtype\":\"F32\",\"shape\":[2,1],\"data_offsets\":[8,16]},"
                             "\"w\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[16,20]},"
                             "\"i\":{\"dtype\":\"I32\",\"shape\":[0,3],\"data_offsets\":[20,20]},"
                             "\"h\":{\"dtype\":\"F16\",\"shape\":[1],\"data_offsets\":[20,22]},"
                             "\"\xc3\xa9\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[22,25]}}       ";

static void as_the_reference(void **state)
{
    vl_st_tensor t[] = {
        {"\xc3\xa9", {.dtype = VL_U8, .rank = 1, .shape = {3}}, 0, 0},
        {"w", {.dtype = VL_F32}, 0, 0},
        {"h", {.dtype = VL_F16, .rank = 1, .shape = {1}}, 0, 0},
        {"i", {.dtype = VL_I32, .rank = 2, .shape = {0, 3}}, 0, 0},
        {"c", {.dtype = VL_F64, .rank = 1, .shape = {1}}, 0, 0},
        {"a/b", {.dtype = VL_F32, .rank = 2, .shape = {2, 1}}, 0, 0},
    };
    json_t *meta = json_pack("{s:s}", "k", "v/\"");
    vl_buf out = {0};
    vl_st s;
    vl_err e;

    (void)state;
    assert_int_equal(vl_buf_add(&out, "before", 6, &e), VL_OK); /* appended */
    if (vl_st_head(t, 6, meta, &out, &e))
        fail_msg("%s", e.text);
    assert_int_equal(out.n, 6 + VL_ST_FIXED + sizeof golden - 1);
    assert_int_equal(vl_le64(out.p + 6), sizeof golden - 1);
    assert_memory_equal(out.p + 6 + VL_ST_FIXED, golden, sizeof golden - 1);
    assert_int_equal((sizeof golden - 1) % 8, 0);
    assert_string_equal(t[0].name, "c");
    assert_int_equal(t[5].at, 22);
    assert_int_equal(vl_st_parse(out.p + 14, out.n - 14, 25, &s, &e), VL_OK);
    assert_int_equal(s.n, 6);
    assert_string_equal(json_string_value(json_object_get(s.meta, "k")), "v/\"");
    vl_st_free(&s);
    free(out.p);
    json_decref(meta);
}

static void refused_to_write(void **state)
{
    static char longest[VL_ST_NAME_MAX + 2];
    static const struct {
        vl_st_tensor t[2];
        const char *meta, *why;
    } bad[] = {
        {{{"a", {.dtype = VL_F32}, 0, 0}, {"a", {.dtype = VL_F64}, 0, 0}}, NULL, "duplicate"},
        {{{"a", {.dtype = VL_F32}, 0, 0}, {"", {.dtype = VL_F32}, 0, 0}}, NULL, "name ''"},
        {{{"a", {.dtype = VL_F32}, 0, 0}, {"__metadata__", {.dtype = VL_F32}, 0, 0}}, NULL, "name '__meta"},
        {{{"a", {.dtype = VL_F32}, 0, 0}, {longest, {.dtype = VL_F32}, 0, 0}}, NULL, "not allowed"},
        {{{"a", {.dtype = VL_F32}, 0, 0}, {"\xff", {.dtype = VL_F32}, 0, 0}}, NULL, "not UTF-8"},
        {{{"a", {.dtype = VL_F32}, 0, 0}, {"b", {.dtype = VL_C128}, 0, 0}}, NULL, "no dtype <c16"},
        {{{"a", {.dtype = VL_F32}, 0, 0}, {"b", {.rank = 0}, 0, 0}}, NULL, "no dtype"},
        {{{"a", {.dtype = VL_F32}, 0, 0}, {"b", {.dtype = VL_F32, .rank = 9}, 0, 0}}, NULL, "out of range"},
        {{{"a", {.dtype = VL_F32, .rank = 1, .shape = {1ull << 60}}, 0, 0},
          {"b", {.dtype = VL_F32, .rank = 1, .shape = {1ull << 60}}, 0, 0}},
         NULL,
         "more bytes"},
        {{{"a", {.dtype = VL_F32}, 0, 0}, {"b", {.dtype = VL_F32}, 0, 0}}, "[]", "__metadata__"},
        {{{"a", {.dtype = VL_F32}, 0, 0}, {"b", {.dtype = VL_F32}, 0, 0}}, "{\"a\":1}", "__metadata__"},
    };
    vl_buf out = {0};
    vl_err e;

    (void)state;
    memset(longest, 'n', sizeof longest - 1);
    assert_int_equal(vl_buf_add(&out, "x", 1, &e), VL_OK);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        vl_st_tensor t[2];
        json_t *meta = bad[i].meta ? json_loads(bad[i].meta, 0, NULL) : NULL;
        memcpy(t, bad[i].t, sizeof t);
        e.text[0] = 0;
        if (vl_st_head(t, 2, meta, &out, &e) != VL_EARG || e.code != VL_EARG || !strstr(e.text, bad[i].why))
            fail_msg("row %zu: '%s'", i, e.text);
        assert_int_equal(out.n, 1);
        json_decref(meta);
    }
    free(out.p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table),
        cmocka_unit_test(cut_and_lengths),
        cmocka_unit_test(as_the_reference),
        cmocka_unit_test(refused_to_write),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
