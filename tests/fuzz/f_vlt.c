/* SPDX-License-Identifier: MIT
 * f_vlt.c -- any bytes as a .vlt tensor. The two sums that no mutation would hit are put right; then what
 * parses must decode, and building it again must give every byte of the file. */
#include "formats/vlt.h"
#include "tests/fuzz/fuzz.h"

enum { SUM_AT = 8, REF_SUM_AT = 16 }; /* in the header; see FORMAT.md */

static vl_vlt_ref reference(const vl_vlt *t)
{
    size_t n = vl_vlt_bytes(t);
    uint8_t *raw = malloc(n + 1);

    HOLDS(raw);
    for (size_t i = 0; i < n; i++)
        raw[i] = (uint8_t)(i * 37 >> 3);
    return (vl_vlt_ref){t->ref, raw, n, vl_vlt_sum(raw, n)};
}

static void round_trip(uint8_t *file, size_t n, vl_vlt *t)
{
    bool differs = t->filter == VL_VLT_XOR || t->filter == VL_VLT_SUB;
    vl_vlt_ref ref = reference(t);
    uint8_t *raw = malloc(ref.bytes + 1);
    vl_buf again = {0};
    vl_npy a = t->a;
    vl_err e;

    HOLDS(raw && differs == (t->ref[0] != 0));
    vl_vlt_unfilter(t->filter, vl_dtype_word(a.dtype), t->a.data, differs ? ref.raw : NULL, ref.bytes, raw);
    vl_put_le64(file + SUM_AT, vl_vlt_sum(raw, ref.bytes));
    if (differs)
        vl_put_le64(file + REF_SUM_AT, ref.sum);
    HOLDS(!vl_vlt_parse(file, n, t, &e));
    memset(raw, 0, ref.bytes);
    HOLDS(!vl_vlt_decode(t, &ref, raw, &e));
    if (differs)
        HOLDS(vl_vlt_decode(t, NULL, raw, &e) == VL_EFORMAT);
    a.data = raw;
    HOLDS(!vl_vlt_build(&a, t->filter, differs ? &ref : NULL, &again, NULL, &e));
    HOLDS(again.n == n && !memcmp(again.p, file, n));
    free(again.p);
    free(raw);
    free((void *)ref.raw);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    uint8_t *copy = fuzz_copy(data, n), *raw;
    vl_vlt t;
    vl_err e;

    if (!told(vl_vlt_parse(copy, n, &t, &e), &e)) {
        raw = malloc(vl_vlt_bytes(&t) + 1);
        HOLDS(raw);
        told(vl_vlt_decode(&t, NULL, raw, &e), &e);
        free(raw);
        round_trip(copy, n, &t);
    }
    free(copy);
    return 0;
}
