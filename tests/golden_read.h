/* SPDX-License-Identifier: MIT
 * golden_read.h -- PyTorch's values in tests/golden/torch: reading them, and comparing with the one bound that a
 * program defines before (GOLDEN_BOUND), on max |difference| / max |reference| of a tensor. */
#ifndef VL_TESTS_GOLDEN_READ_H
#define VL_TESTS_GOLDEN_READ_H

#include "formats/safetensors.h"
#include "pipeline/real.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define GOLDEN "tests/golden/torch/"
enum { SEED = 5, ITER = 3 }; /* as in make_golden.py */
#define GOLDEN_SCALE (1 / 0.07)

/* ---- files ----------------------------------------------------------------------------------- */

typedef struct golden {
    const char *name;
    uint8_t *bytes;
    vl_st st;
} golden;

static inline void golden_open(golden *g, const char *name)
{
    char path[100];
    long n;
    FILE *f;
    vl_err e = {0};

    snprintf(path, sizeof path, GOLDEN "%s.safetensors", name);
    f = fopen(path, "rb");
    if (!f)
        fail_msg("%s: cannot be opened", path);
    assert_int_equal(fseek(f, 0, SEEK_END), 0);
    n = ftell(f);
    rewind(f);
    g->name = name;
    g->bytes = malloc((size_t)n);
    assert_true(g->bytes && fread(g->bytes, 1, (size_t)n, f) == (size_t)n);
    fclose(f);
    if (vl_st_load(g->bytes, (size_t)n, &g->st, &e))
        fail_msg("%s: %s", path, e.text);
}

static inline void golden_close(golden *g)
{
    vl_st_free(&g->st);
    free(g->bytes);
}

static inline const vl_npy *golden_find(const golden *g, const char *tensor)
{
    for (size_t i = 0; i < g->st.n; i++)
        if (!strcmp(g->st.tensor[i].name, tensor))
            return &g->st.tensor[i].a;
    return NULL;
}

static inline const vl_npy *golden_array(const golden *g, const char *tensor, size_t n)
{
    const vl_npy *a = golden_find(g, tensor);

    if (!a || a->n != n)
        fail_msg("%s: %s: %zu values wanted, %zu there", g->name, tensor, n, a ? (size_t)a->n : 0);
    return a;
}

static inline void golden_read(const golden *g, const char *tensor, vl_real *out, size_t n)
{
    const vl_npy *a = golden_array(g, tensor, n);
    double *v = calloc(n, sizeof *v);
    vl_err e = {0};

    assert_non_null(v);
    assert_int_equal(vl_npy_doubles(a, v, &e), VL_OK);
    for (size_t i = 0; i < n; i++)
        out[i] = (vl_real)v[i];
    free(v);
}

static inline vl_real *golden_new(const golden *g, const char *tensor, size_t n)
{
    vl_real *v = calloc(n, sizeof *v);

    assert_non_null(v);
    golden_read(g, tensor, v, n);
    return v;
}

static inline void golden_same(const golden *g, const char *tensor, const vl_real *got, size_t n)
{
    double *want = calloc(n, sizeof *want), top = 0, worst = 0;
    vl_err e = {0};

    assert_non_null(want);
    assert_int_equal(vl_npy_doubles(golden_array(g, tensor, n), want, &e), VL_OK);
    for (size_t i = 0; i < n; i++) {
        double d = fabs((double)got[i] - want[i]);
        top = fmax(top, fabs(want[i]));
        worst = d <= worst ? worst : d; /* NaN counts */
    }
    if (getenv("GOLDEN_PRINT"))
        print_message("%s %s: %.3g of %.3g: %.2g\n", g->name, tensor, worst, top, worst / top);
    if (!(top > 0) || !(worst <= GOLDEN_BOUND * top))
        fail_msg("%s: %s: off by %.3g, largest value %.3g", g->name, tensor, worst, top);
    free(want);
}

static inline void same_pair(const golden *g, const char *tensor, const double *v)
{
    vl_real pair[2] = {(vl_real)v[0], (vl_real)v[1]};

    golden_same(g, tensor, pair, 2);
}

static inline void read_pair(const golden *g, const char *tensor, double *v)
{
    vl_err e = {0};

    assert_int_equal(vl_npy_doubles(golden_array(g, tensor, 2), v, &e), VL_OK);
}

#endif
