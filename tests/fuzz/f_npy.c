/* SPDX-License-Identifier: MIT
 * f_npy.c -- any bytes as .npy: what parses is built again and parses to the same array. */
#include "formats/npy.h"
#include "tests/fuzz/fuzz.h"

static void numbers(const vl_npy *a)
{
    float *f = malloc(a->n * sizeof *f + 1);
    double *d = malloc(a->n * sizeof *d + 1);
    vl_err e;

    HOLDS(f && d);
    if (!told(vl_npy_floats(a, f, &e), &e)) {
        HOLDS(!vl_npy_doubles(a, d, &e));
        for (uint64_t i = 0; i < a->n; i++)
            HOLDS(a->dtype == VL_F64 || f[i] != f[i] || f[i] == (float)d[i]);
    }
    free(d);
    free(f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    uint8_t *again = NULL;
    size_t m = 0;
    vl_npy a, b;
    vl_err e;

    if (told(vl_npy_parse(data, n, &a, &e), &e))
        return 0;
    HOLDS(a.n * vl_dtype_size(a.dtype) <= n);
    numbers(&a);
    HOLDS(!vl_npy_build(&a, &again, &m, &e));
    HOLDS(!vl_npy_parse(again, m, &b, &e));
    HOLDS(a.dtype == b.dtype && a.rank == b.rank && a.n == b.n);
    HOLDS(!memcmp(a.shape, b.shape, (size_t)a.rank * sizeof *a.shape));
    HOLDS(!a.n || !memcmp(a.data, b.data, (size_t)a.n * vl_dtype_size(a.dtype)));
    free(again);
    return 0;
}
