/* SPDX-License-Identifier: MIT
 * t_tarhead.c -- header bytes as FORMAT.md fixes them, every other byte refused; names and keys. */
#include "formats/names.h"
#include "formats/tarhead.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void exact_bytes(void **state)
{
    uint8_t h[VL_TAR_HEAD_MAX], want[512] = {0};
    size_t n;
    vl_err e;

    (void)state;
    memcpy(want, "syn-00017.txt", 13);
    memcpy(want + 100,
           "0000444\0"
           "0000000\0"
           "0000000\0"
           "00000000005\0"
           "00000000000\0",
           48);
    memcpy(want + 148,
           "011215\0 "
           "0",
           9);
    memcpy(want + 257,
           "ustar\0"
           "00",
           8);
    memcpy(want + 329,
           "0000000\0"
           "0000000\0",
           16);
    assert_int_equal(vl_tar_build("syn-00017.txt", 5, h, &n, &e), VL_OK);
    assert_int_equal(n, 512);
    assert_memory_equal(h, want, 512);
}

static void round_trip(void **state)
{
    char name[VL_TAR_NAME_MAX + 2], got[VL_TAR_NAME_MAX + 1];
    uint8_t h[VL_TAR_HEAD_MAX];
    size_t len, n, used, k;
    uint64_t size, sizes[] = {0, 1, 511, 512, VL_TAR_SIZE_MAX};
    vl_err e;

    (void)state;
    for (len = 1; len <= VL_TAR_NAME_MAX; len++) {
        for (k = 0; k < len; k++)
            name[k] = (char)('a' + k % 26);
        name[len] = 0;
        assert_int_equal(vl_tar_build(name, sizes[len % 5], h, &n, &e), VL_OK);
        assert_int_equal(n, len <= 100 ? 512 : len > 502 ? 2048 : 1536);
        assert_int_equal(vl_tar_parse(h, n, got, &size, &used, &e), VL_OK);
        assert_int_equal(used, n);
        assert_string_equal(got, name);
        assert_true(size == sizes[len % 5]);
        assert_int_equal(vl_tar_parse(h, n - 1, got, &size, &used, &e), VL_OK);
        assert_int_equal(used, 0); /* more bytes, please */
    }
    memset(name, 'a', sizeof name - 1);
    name[VL_TAR_NAME_MAX + 1] = 0;
    assert_int_equal(vl_tar_build(name, 0, h, &n, &e), VL_EARG);
    assert_int_equal(vl_tar_build("", 0, h, &n, &e), VL_EARG);
    assert_int_equal(vl_tar_build("a.b", VL_TAR_SIZE_MAX + 1, h, &n, &e), VL_EARG);
}

/* Any changed byte is noticed, also with the checksum put right again. */
static void every_byte_counts(void **state)
{
    char long_name[151], got[VL_TAR_NAME_MAX + 1];
    const char *names[] = {"k.txt", long_name};
    uint8_t h[VL_TAR_HEAD_MAX];
    uint64_t size;
    size_t n, i, r, used, block, k;
    unsigned sum;
    vl_err e;

    (void)state;
    memset(long_name, 'n', 150);
    long_name[150] = 0;
    for (r = 0; r < 2; r++) {
        assert_int_equal(vl_tar_build(names[r], 77, h, &n, &e), VL_OK);
        for (i = 0; i < n; i++) {
            uint8_t bad[VL_TAR_HEAD_MAX];
            memcpy(bad, h, n);
            bad[i] ^= 1;
            if (i >= 512 && i < 1024) /* the PAX body has no sum; a changed name is another name */
                continue;
            assert_int_equal(vl_tar_parse(bad, n, got, &size, &used, &e), VL_EFORMAT);
            block = i / 512 * 512;
            if (i - block >= 148 && i - block < 156)
                continue;
            for (sum = 256, k = 0; k < 512; k++)
                sum += k < 148 || k >= 156 ? bad[block + k] : 0;
            snprintf((char *)bad + block + 148, 7, "%06o", sum);
            if (vl_tar_parse(bad, n, got, &size, &used, &e) == VL_OK && used && !strcmp(got, names[r]) &&
                size == 77)
                fail_msg("name %zu: byte %zu is not fixed", r, i);
        }
    }
}

static const struct {
    const char *name;
    size_t key_n; /* 0: refused */
} names[] = {
    {"a.txt", 1},
    {"expert-0003/snap-0010.text.w.npy", 21},
    {"d.x/k.bert-base.img.npy", 5},
    {"\xc3\xa4\xe2\x82\xac.txt", 5},
    {"a b.txt", 3},
    {"a", 0},
    {".txt", 0},
    {"a.", 0},
    {"a.TXT", 0},
    {"a.t..x", 0},
    {"a.txt.", 0},
    {"/a.txt", 0},
    {"../a.txt", 0},
    {"a/../b.txt", 0},
    {"a//b.txt", 0},
    {"a/.txt", 0},
    {"./a.txt", 0},
    {"__vl__/.sums.0", 0},
    {"x/__y.txt", 0},
    {"a\\b.txt", 0},
    {"a\nb.txt", 0},
    {"a\x7f.txt", 0},
    {"a\xc2\x9b.txt", 0},
    {"a\xff.txt", 0},
    {"a\xc0\x80.txt", 0},
    {"a\xed\xa0\x80.txt", 0},
    {"a.t/x", 0},
    {"a.t x", 0},
};

static void name_table(void **state)
{
    size_t i, key_n;
    vl_err e;

    (void)state;
    for (i = 0; i < sizeof names / sizeof *names; i++) {
        int rc = vls_name_split(names[i].name, &key_n, &e);
        if (rc != (names[i].key_n ? VL_OK : VL_EFORMAT) || (!rc && key_n != names[i].key_n))
            fail_msg("'%s': code %d", names[i].name, rc);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exact_bytes),
        cmocka_unit_test(round_trip),
        cmocka_unit_test(every_byte_counts),
        cmocka_unit_test(name_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
