/* SPDX-License-Identifier: MIT
 * t_rng.c -- the generator against Random123's known answers; what is drawn from it against what
 * it should look like. All draws have fixed seeds: a failure is a change, not bad luck. */
#include "pipeline/rng.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Philox 4x32-10 known answers (Random123, kat_vectors): counter (index, stream), key (seed), and
 * the first two of four output words. */
static void test_known_answers(void **state)
{
    static const struct {
        uint64_t seed, stream, index;
        uint32_t word[2];
    } rows[] = {
        {0, 0, 0, {0x6627e8d5u, 0xe169c58du}},
        {UINT64_MAX, UINT64_MAX, UINT64_MAX, {0x408f276du, 0x41c83b0eu}},
        {0x299f31d0a4093822u, 0x0370734413198a2eu, 0x85a308d3243f6a88u, {0xd16cfe09u, 0x94fdccebu}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_int_equal(vl_rng(rows[i].seed, rows[i].stream, rows[i].index),
                         (uint64_t)rows[i].word[1] << 32 | rows[i].word[0]);
}

/* Seed, stream and index each matter, and no two of 3 x 4096 counters agree. */
static int by_value(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;

    return *x < *y ? -1 : *x > *y;
}

static void test_distinct(void **state)
{
    enum { N = 4096 };
    uint64_t *v = malloc(3 * N * sizeof *v);

    (void)state;
    assert_non_null(v);
    for (uint64_t i = 0; i < N; i++) {
        v[3 * i] = vl_rng(i + 1, 5, 5);
        v[3 * i + 1] = vl_rng(0, i, 5);
        v[3 * i + 2] = vl_rng(0, 6 + N, i);
    }
    qsort(v, 3 * N, sizeof *v, by_value);
    for (size_t i = 1; i < 3 * N; i++)
        assert_true(v[i] != v[i - 1]);
    free(v);
}

static void test_unit_and_below(void **state)
{
    enum { N = 70000 };
    double sum = 0, sq = 0;
    size_t count[7] = {0};

    (void)state;
    for (uint64_t i = 0; i < N; i++) {
        double u = vl_rng_unit(3, 1, i);
        assert_true(u >= 0 && u < 1);
        sum += u;
        sq += u * u;
        count[vl_rng_below(4, 1, i, 7)]++;
        assert_true(vl_rng_below(4, 1, i, 1) == 0);
        assert_true(vl_rng_below(4, 1, i, UINT64_MAX) < UINT64_MAX);
    }
    assert_true(fabs(sum / N - 0.5) < 4 * sqrt(1.0 / 12 / N));
    assert_true(fabs(sq / N - 1.0 / 3) < 4 * sqrt(4.0 / 45 / N));
    for (int k = 0; k < 7; k++) /* 10000 expected, sd 93 */
        assert_true(count[k] > 9600 && count[k] < 10400);
}

static void moments(const vl_real *v, size_t n, double m[4])
{
    for (int k = 0; k < 4; k++) {
        m[k] = 0;
        for (size_t i = 0; i < n; i++)
            m[k] += pow((double)v[i], k + 1);
        m[k] /= (double)n;
    }
}

static void test_normal(void **state)
{
    enum { N = 200001 };
    vl_real *v = malloc(N * sizeof *v), *w = malloc(N * sizeof *w);
    double m[4], cov = 0, tail = 0, s = sqrt((double)N);

    (void)state;
    assert_true(v && w);
    vl_rng_normal(11, 2, N, 1, v);
    moments(v, N, m); /* the standard errors of these are 1, sqrt 2, sqrt 15, sqrt 96 over sqrt N */
    assert_true(fabs(m[0]) < 4 / s && fabs(m[1] - 1) < 4 * sqrt(2) / s);
    assert_true(fabs(m[2]) < 4 * sqrt(15) / s && fabs(m[3] - 3) < 4 * sqrt(96) / s);
    for (size_t i = 0; i + 1 < N; i++) {
        cov += (double)v[i] * (double)v[i + 1];
        tail += fabs((double)v[i]) > 3;
    }
    assert_true(fabs(cov / N) < 4 / s);                                /* pairs are independent */
    assert_true(fabs(tail / N - 0.0026998) < 4 * sqrt(0.0026998) / s); /* and tails are there */
    vl_rng_normal(11, 2, 1001, 2, w); /* a prefix, scaled: numbers belong to their index */
    for (size_t i = 0; i < 1001; i++)
        assert_true(fabs((double)(w[i] - 2 * v[i])) <= 1e-6);
    vl_rng_normal(11, 3, N, 1, w);
    cov = 0;
    for (size_t i = 0; i < N; i++)
        cov += (double)v[i] * (double)w[i];
    assert_true(fabs(cov / N) < 4 / s);
    free(v);
    free(w);
}

static void test_shuffle(void **state)
{
    enum { MAX = 1000, RUNS = 12000 };
    static const size_t sizes[] = {0, 1, 2, 3, 7, 64, 1000};
    uint32_t p[MAX + 1], q[MAX];
    size_t at[4][4] = {{0}};

    (void)state;
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        unsigned char seen[MAX] = {0};
        size_t n = sizes[s];
        p[n] = 0xdeadbeefu;
        vl_rng_shuffle(1, s, n, p);
        assert_int_equal(p[n], 0xdeadbeefu);
        for (size_t i = 0; i < n; i++) {
            assert_true(p[i] < n && !seen[p[i]]);
            seen[p[i]] = 1;
        }
    }
    vl_rng_shuffle(1, 99, MAX, q);
    vl_rng_shuffle(1, 99, MAX, p);
    assert_memory_equal(p, q, sizeof q);
    vl_rng_shuffle(2, 99, MAX, p);
    assert_true(memcmp(p, q, sizeof q) != 0);
    for (uint64_t r = 0; r < RUNS; r++) { /* every place takes every value: 3000 expected, sd 47 */
        vl_rng_shuffle(5, r, 4, p);
        for (int i = 0; i < 4; i++)
            at[i][p[i]]++;
    }
    for (int i = 0; i < 16; i++)
        assert_true(at[i / 4][i % 4] > 2800 && at[i / 4][i % 4] < 3200);
}

static void test_streams(void **state)
{
    uint64_t base = vl_rng_stream("batch", 1, 2, 3);

    (void)state;
    assert_int_equal(vl_rng_stream("batch", 1, 2, 3), base);
    assert_true(vl_rng_stream("mask", 1, 2, 3) != base && vl_rng_stream("batch", 2, 1, 3) != base);
    assert_true(vl_rng_stream("batch", 1, 2, 4) != base && vl_rng_stream("batch", 0, 2, 3) != base);
}

/* Mean 1/2, variance 1 / (4 (2 alpha + 1)); alpha 1: a fifth of the values in each fifth. */
static void test_beta(void **state)
{
    enum { N = 40000 };
    static const double alphas[] = {0.2, 0.5, 0.6, 1, 3, 50};

    (void)state;
    for (size_t a = 0; a < sizeof alphas / sizeof *alphas; a++) {
        double sum = 0, sq = 0, var = 1 / (4 * (2 * alphas[a] + 1));
        size_t count[5] = {0};
        for (uint64_t i = 0; i < N; i++) {
            double v = vl_rng_beta(9, vl_rng_stream("t", i, 0, 0), alphas[a]);
            assert_true(v >= 0 && v <= 1);
            sum += v - 0.5;
            sq += (v - 0.5) * (v - 0.5);
            count[v < 1 ? (int)(5 * v) : 4]++;
        }
        assert_true(fabs(sum / N) < 4 * sqrt(var / N));
        assert_true(fabs(sq / N / var - 1) < 4 * sqrt(2.0 / N));
        for (int k = 0; k < 5 && alphas[a] == 1; k++) /* 8000 expected, sd 80 */
            assert_true(count[k] > 7680 && count[k] < 8320);
    }
}

/* Any length, from any index: also where the index takes a second word. */
static void test_halves(void **state)
{
    enum { LENGTH = 67 };
    static const uint64_t from[] = {0, 5, UINT32_MAX - 9, UINT64_MAX - LENGTH / 2};

    (void)state;
    for (size_t f = 0; f < sizeof from / sizeof *from; f++)
        for (size_t n = 0; n <= LENGTH; n++) {
            uint32_t half[LENGTH + 1] = {0};
            half[n] = 77;
            vl_rng_halves(3, (uint64_t)1 << 40 | 4, from[f], n, half);
            for (size_t i = 0; i < n; i++)
                assert_int_equal(half[i], (uint32_t)(vl_rng(3, (uint64_t)1 << 40 | 4, from[f] + i / 2) >>
                                                     (i & 1 ? 32 : 0)));
            assert_int_equal(half[n], 77);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_halves),   cmocka_unit_test(test_known_answers),
        cmocka_unit_test(test_distinct), cmocka_unit_test(test_unit_and_below),
        cmocka_unit_test(test_beta),     cmocka_unit_test(test_normal),
        cmocka_unit_test(test_shuffle),  cmocka_unit_test(test_streams),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
