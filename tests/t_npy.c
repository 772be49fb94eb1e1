/* SPDX-License-Identifier: MIT
 * t_npy.c -- .npy headers good and bad, and numbers out of them. */
#include "formats/npy.h"
#include "formats/bytes.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* A file with this header text and n data bytes. */
static size_t make(uint8_t *out, const char *dict, size_t n)
{
    size_t len = strlen(dict);

    memcpy(out, "\x93NUMPY\1\0", 8);
    vl_put_le16(out + 8, (uint16_t)len);
    memcpy(out + 10, dict, len);
    memset(out + 10 + len, 0, n);
    return 10 + len + n;
}

static const struct {
    const char *dict;
    size_t data;
    const char *why; /* NULL: good */
    int rank;
    uint64_t n;
} headers[] = {
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }\n", 24, NULL, 2, 6},
    {"{'shape':(3,),'fortran_order':False,'descr':'<f2'}   \n", 6, NULL, 1, 3},
    {"{'descr': '|u1', 'fortran_order': False, 'shape': (), }\n", 1, NULL, 0, 1},
    {"{'descr': '<i8', 'fortran_order': False, 'shape': (5, 0, 7), }\n", 0, NULL, 3, 0},
    {"{'descr': '<f8', 'fortran_order': False, 'shape': (0, 4611686018427387904), }\n", 0, "elements", 0, 0},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }\n", 23, "24 bytes declared", 0, 0},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }\n", 25, "24 bytes declared", 0, 0},
    {"{'descr': '>f4', 'fortran_order': False, 'shape': (1,), }\n", 4, "big-endian", 0, 0},
    {"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }\n", 4, "none of", 0, 0},
    {"{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }\n", 4, "simple", 0, 0},
    {"{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3), }\n", 24, "Fortran", 0, 0},
    {"{'descr': '<f4', 'fortran_order': 1, 'shape': (2, 3), }\n", 24, "neither", 0, 0},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (6), }\n", 24, "tuple", 0, 0},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (2 3), }\n", 24, "tuple", 0, 0},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (-2,), }\n", 24, "tuple", 0, 0},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1), }\n", 4, "dimensions", 0, 0},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (18446744073709551616,), }\n", 4, "tuple", 0, 0},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296), }\n", 0, "elements", 0, 0},
    {"{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (1,), }\n", 4, "twice", 0, 0},
    {"{'descr': '<f4', 'shape': (1,), }\n", 4, "lacks", 0, 0},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,), 'x': 1}\n", 4, "unknown", 0, 0},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }", 4, "newline", 0, 0},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,), } x\n", 4, "newline", 0, 0},
    {"{'descr': '<f4", 4, "simple", 0, 0},
    {"", 4, "dict", 0, 0},
    {"{'descr': '<u1', 'fortran_order': False, 'shape': (4,), }\n", 4, "none of", 0, 0},
    {"{'descr': '<f16', 'fortran_order': False, 'shape': (1,), }\n", 16, "none of", 0, 0},
    {"{'descr': '<U1', 'fortran_order': False, 'shape': (1,), }\n", 4, "none of", 0, 0},
    {"{'descr': '<c8', 'fortran_order': False, 'shape': (1152921504606846976,), }\n", 0, "elements", 0, 0},
};

static void header_table(void **state)
{
    uint8_t buf[256];
    vl_npy a;
    vl_err e;
    size_t i, n;

    (void)state;
    for (i = 0; i < sizeof headers / sizeof *headers; i++) {
        int want = headers[i].why ? VL_EFORMAT : VL_OK, rc;
        n = make(buf, headers[i].dict, headers[i].data);
        e.text[0] = 0;
        rc = vl_npy_parse(buf, n, &a, &e);
        if (rc != want || (want && !strstr(e.text, headers[i].why)))
            fail_msg("row %zu: code %d, '%s'", i, rc, e.text);
        if (!want && (a.rank != headers[i].rank || a.n != headers[i].n))
            fail_msg("row %zu: rank %d, n %d", i, a.rank, (int)a.n);
    }
}

static void cut_anywhere(void **state)
{
    uint8_t buf[256];
    size_t n = make(buf, headers[0].dict, headers[0].data), k;
    vl_npy a;
    vl_err e;

    (void)state;
    for (k = 0; k < n; k++) {
        uint8_t *exact = malloc(k ? k : 1); /* the sanitizer sees a read past the end */
        assert_non_null(exact);
        memcpy(exact, buf, k);
        assert_int_equal(vl_npy_parse(exact, k, &a, &e), VL_EFORMAT);
        free(exact);
    }
    buf[6] = 4;
    assert_int_equal(vl_npy_parse(buf, n, &a, &e), VL_EFORMAT);
    assert_string_equal(e.text, "npy: version 4.0, 1.0 to 3.0 are read");
    buf[6] = 1;
    buf[7] = 1;
    assert_int_equal(vl_npy_parse(buf, n, &a, &e), VL_EFORMAT);
}

/* Versions 2.0 and 3.0 have four bytes of length; each cut of such a file is refused. */
static void long_headers(void **state)
{
    uint8_t buf[256], wide[258];
    size_t n = make(buf, headers[0].dict, headers[0].data), k;
    vl_npy a;
    vl_err e;

    (void)state;
    for (uint8_t version = 2; version <= 3; version++) {
        memcpy(wide, buf, 8);
        wide[6] = version;
        vl_put_le32(wide + 8, vl_le16(buf + 8));
        memcpy(wide + 12, buf + 10, n - 10);
        assert_int_equal(vl_npy_parse(wide, n + 2, &a, &e), VL_OK);
        assert_int_equal(a.n, 6);
        assert_ptr_equal(a.data, wide + n + 2 - 24);
        for (k = 0; k < n + 2; k++) {
            uint8_t *exact = malloc(k ? k : 1);
            assert_non_null(exact);
            memcpy(exact, wide, k);
            assert_int_equal(vl_npy_parse(exact, k, &a, &e), VL_EFORMAT);
            free(exact);
        }
        vl_put_le32(wide + 8, UINT32_MAX);
        assert_int_equal(vl_npy_parse(wide, n + 2, &a, &e), VL_EFORMAT);
    }
}

/* Every dtype: NumPy's name for it, and bytes that come back as they went in -- they hold NaN payloads,
 * negative zeros and denormals of all widths. */
static void all_dtypes(void **state)
{
    static const char *const names[VL_DTYPES] = {NULL,  "<f2", "<f4", "<f8", "<u2", "|u1", "|i1", "<u2",
                                                 "<i2", "<u4", "<i4", "<u8", "<i8", "|b1", "<c8", "<c16"};
    static const uint8_t bits[48] = {1,    0,    0xa0, 0x7f, 0,    0, 0, 0x80, 0x01, 0x7c, 0x01, 0xfc,
                                     0,    0x80, 1,    0,    0x23, 1, 0, 0,    0,    0,    0xf4, 0x7f,
                                     0xff, 0xff, 0xff, 0xff, 1,    0, 0, 0,    0,    0,    0,    0x80};
    vl_err e;

    (void)state;
    for (int t = 1; t < VL_DTYPES; t++) {
        vl_npy a = {(vl_dtype)t, 1, {sizeof bits / vl_dtype_size((vl_dtype)t)}, 0, bits}, b;
        uint8_t *p;
        size_t n;
        assert_string_equal(vl_dtype_descr((vl_dtype)t), names[t]);
        assert_int_equal(vl_dtype_of_name(vl_dtype_name((vl_dtype)t)), t);
        assert_int_equal(vl_npy_build(&a, &p, &n, &e), VL_OK);
        assert_int_equal(vl_npy_parse(p, n, &b, &e), VL_OK);
        assert_int_equal(b.dtype, t == VL_BF16 ? VL_U16 : t);
        assert_int_equal(b.n * vl_dtype_size(b.dtype), sizeof bits);
        assert_memory_equal(b.data, bits, sizeof bits);
        free(p);
    }
    assert_int_equal(vl_dtype_size((vl_dtype)0), 0);
    assert_int_equal(vl_dtype_size(VL_DTYPES), 0);
    assert_int_equal(vl_dtype_of_descr("bf16"), 0);
    assert_int_equal(vl_dtype_of_name("f4"), 0);
    assert_int_equal(vl_dtype_of_safetensors("C128"), 0);
}

/* bf16 is u2 until the manifest's schema says what it is. */
static void bfloat(void **state)
{
    static const uint8_t bits[10] = {0x80, 0x3f, 1, 0, 0, 0x80, 0x81, 0x7f, 0x80, 0xff};
    static const uint32_t floats[5] = {0x3f800000, 0x00010000, 0x80000000, 0x7f810000, 0xff800000};
    vl_npy a = {VL_U16, 1, {5}, 5, bits}, f4 = {VL_F32, 1, {2}, 2, bits};
    json_t *m = json_pack("{s:{s:{s:s},s:{s:i},s:s}}", "schema", "x.npy", "dtype", "bf16", "y.npy", "dtype",
                          1, "z.npy", "bf16");
    double d[5];
    float y[5];
    vl_err e;

    (void)state;
    assert_int_equal(vl_npy_floats(&a, y, &e), VL_EFORMAT);
    assert_int_equal(vl_npy_schema(NULL, "x.npy", &a, &e), VL_OK);
    assert_int_equal(vl_npy_schema(m, "absent.npy", &a, &e), VL_OK);
    assert_int_equal(vl_npy_schema(m, "y.npy", &a, &e), VL_OK);
    assert_int_equal(vl_npy_schema(m, "z.npy", &a, &e), VL_OK);
    assert_int_equal(a.dtype, VL_U16);
    assert_int_equal(vl_npy_schema(m, "x.npy", &f4, &e), VL_EFORMAT);
    assert_int_equal(vl_npy_schema(m, "x.npy", &a, &e), VL_OK);
    assert_int_equal(a.dtype, VL_BF16);
    assert_int_equal(vl_npy_floats(&a, y, &e), VL_OK);
    for (int i = 0; i < 5; i++)
        if (i != 3) /* through double a signalling NaN becomes a quiet one */
            assert_memory_equal(&y[i], &floats[i], 4);
    assert_true(isnan(y[3]));
    assert_int_equal(vl_npy_doubles(&a, d, &e), VL_OK);
    assert_true(d[1] == 0x1p-133 && signbit(d[2]) && isnan(d[3]) && d[4] == -INFINITY);
    json_decref(m);
}

static void build_and_parse(void **state)
{
    static const float x[6] = {0, -0.0f, 1.5f, -2e38f, 1e-45f, 3};
    vl_npy a = {VL_F32, 2, {2, 3}, 0, x}, b;
    uint8_t *p, *q;
    size_t n, m;
    float y[6];
    vl_err e;

    (void)state;
    assert_int_equal(vl_npy_build(&a, &p, &n, &e), VL_OK);
    assert_int_equal(n, 128 + sizeof x);
    assert_memory_equal(p + 10, "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }", 59);
    q = malloc(n + 1); /* unaligned data are read all the same */
    assert_non_null(q);
    memcpy(q + 1, p, n);
    assert_int_equal(vl_npy_parse(q + 1, n, &b, &e), VL_OK);
    assert_int_equal(vl_npy_floats(&b, y, &e), VL_OK);
    assert_memory_equal(x, y, sizeof x);
    free(p);
    assert_int_equal(vl_npy_build(&b, &p, &m, &e), VL_OK);
    assert_int_equal(m, n);
    assert_memory_equal(p, q + 1, n);
    free(p);
    free(q);
    a.rank = 0;
    a.dtype = VL_I64;
    a.data = "\1\0\0\0\0\0\0";
    assert_int_equal(vl_npy_build(&a, &p, &n, &e), VL_OK);
    assert_int_equal(vl_npy_parse(p, n, &b, &e), VL_OK);
    assert_int_equal(b.n, 1);
    assert_int_equal(vl_npy_floats(&b, y, &e), VL_EFORMAT);
    free(p);
    a.rank = VL_NPY_MAX_RANK + 1;
    assert_int_equal(vl_npy_build(&a, &p, &n, &e), VL_EARG);
}

static void halves_and_doubles(void **state)
{
    static const struct {
        uint16_t h;
        float f;
    } rows[] = {{0, 0},
                {0x3c00, 1},
                {0xc000, -2},
                {0x7bff, 65504},
                {1, 0x1p-24f},
                {0x3ff, 0x1.ff8p-15f},
                {0x400, 0x1p-14f},
                {0x3555, 0x1.554p-2f},
                {0x7c00, INFINITY},
                {0xfc00, -INFINITY}};
    uint8_t h[2];
    double d = 1e300, got;
    vl_npy a = {VL_F16, 1, {1}, 1, h};
    vl_err e;
    float f;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof rows / sizeof *rows; i++) {
        vl_put_le16(h, rows[i].h);
        assert_int_equal(vl_npy_floats(&a, &f, &e), VL_OK);
        assert_true(f == rows[i].f);
        assert_int_equal(vl_npy_doubles(&a, &got, &e), VL_OK);
        assert_true(got == (double)rows[i].f);
    }
    vl_put_le16(h, 0x8000);
    assert_int_equal(vl_npy_floats(&a, &f, &e), VL_OK);
    assert_true(f == 0 && signbit(f));
    vl_put_le16(h, 0x7e01);
    assert_int_equal(vl_npy_floats(&a, &f, &e), VL_OK);
    assert_true(isnan(f));
    a = (vl_npy){VL_F64, 1, {1}, 1, &d};
    assert_int_equal(vl_npy_doubles(&a, &got, &e), VL_OK);
    assert_true(got == d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(header_table),
        cmocka_unit_test(cut_anywhere),
        cmocka_unit_test(long_headers),
        cmocka_unit_test(all_dtypes),
        cmocka_unit_test(bfloat),
        cmocka_unit_test(build_and_parse),
        cmocka_unit_test(halves_and_doubles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
