/* SPDX-License-Identifier: MIT
 * t_pool.c -- loops over tiles: each tile once, worker numbers in range and never shared, results
 * that do not know how many threads there were. Meant to run under SAN=thread as well. */
#include "pipeline/pool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { MAX_THREADS = 8, MAX_TILES = 4096 };

typedef struct loop {
    int threads;
    unsigned char hits[MAX_TILES]; /* plain memory: each tile writes its own */
    size_t by_worker[MAX_THREADS]; /* plain memory: each worker writes its own */
    double value[MAX_TILES];
    int bad_worker;
} loop;

static void tile(void *arg, size_t i, int worker)
{
    loop *l = arg;
    double v = (double)i + 1;

    if (worker < 0 || worker >= l->threads) {
        l->bad_worker = 1;
        return;
    }
    l->hits[i]++;
    l->by_worker[worker]++;
    for (int k = 0; k < 20; k++)
        v = v / 1.7 + 1 / v;
    l->value[i] = v;
}

static vl_pool *open_pool(int threads)
{
    vl_pool *p = NULL;
    vl_err e = {0};

    if (vl_pool_new(threads, &p, &e))
        fail_msg("%d threads: %s", threads, e.text);
    return p;
}

static void check_loop(const loop *l, size_t n)
{
    size_t sum = 0;

    assert_int_equal(l->bad_worker, 0);
    for (size_t i = 0; i < MAX_TILES; i++)
        if (l->hits[i] != (i < n))
            fail_msg("%d threads, %zu tiles: tile %zu ran %d times", l->threads, n, i, l->hits[i]);
    for (int w = 0; w < MAX_THREADS; w++)
        sum += l->by_worker[w];
    assert_int_equal(sum, n);
}

static void test_coverage(void **state)
{
    static const size_t counts[] = {0, 1, 2, 3, 7, 8, 9, 64, 1000, MAX_TILES};
    static loop l, alone;

    (void)state;
    for (int threads = 1; threads <= MAX_THREADS; threads++) {
        vl_pool *p = open_pool(threads);
        assert_int_equal(vl_pool_threads(p), threads);
        for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
            memset(&l, 0, sizeof l);
            memset(&alone, 0, sizeof alone);
            l.threads = threads;
            alone.threads = 1;
            vl_pool_run(p, counts[c], tile, &l);
            vl_pool_run(NULL, counts[c], tile, &alone);
            check_loop(&l, counts[c]);
            check_loop(&alone, counts[c]);
            assert_memory_equal(l.value, alone.value, sizeof l.value);
        }
        vl_pool_free(p);
    }
}

static void add_one(void *arg, size_t i, int worker)
{
    (void)worker;
    ((uint32_t *)arg)[i]++;
}

/* Loops so short that workers are still leaving the last one when the next begins. */
static void test_many_tiny_loops(void **state)
{
    enum { LOOPS = 3000 };

    (void)state;
    for (int threads = 1; threads <= MAX_THREADS; threads += threads < 3 ? 1 : 5) {
        uint32_t count[5] = {0}, runs[5] = {0};
        vl_pool *p = open_pool(threads);
        for (size_t r = 0; r < LOOPS; r++) {
            size_t n = 1 + r % 5;
            vl_pool_run(p, n, add_one, count);
            for (size_t i = 0; i < 5; i++) {
                runs[i] += i < n;
                if (count[i] != runs[i]) /* read between loops: their writes must be visible */
                    fail_msg("%d threads, loop %zu: tile %zu ran %u of %u times", threads, r, i, count[i],
                             runs[i]);
            }
        }
        vl_pool_free(p);
    }
}

/* Workers that went to sleep wake up again; a pool that never ran a loop can be freed. */
static void test_sleep_and_idle(void **state)
{
    vl_pool *p = open_pool(3);

    (void)state;
    for (int r = 0; r < 5; r++) {
        uint32_t count[64] = {0};
        usleep(3000);
        vl_pool_run(p, 64, add_one, count);
        for (int i = 0; i < 64; i++)
            assert_int_equal(count[i], 1);
    }
    vl_pool_free(p);
    for (int r = 0; r < 50; r++)
        vl_pool_free(open_pool(1 + r % MAX_THREADS));
    vl_pool_free(NULL);
}

static void test_arguments(void **state)
{
    vl_pool *p = NULL;
    vl_err e = {0};

    (void)state;
    assert_int_equal(vl_pool_threads(NULL), 1);
    assert_int_equal(vl_pool_new(-1, &p, &e), VL_EARG);
    assert_string_equal(e.text, "-1 threads: 1 to 256 allowed");
    assert_int_equal(vl_pool_new(VL_POOL_MAX + 1, &p, &e), VL_EARG);
    assert_null(p);
    p = open_pool(0);
    assert_true(vl_pool_threads(p) == (int)sysconf(_SC_NPROCESSORS_ONLN) ||
                vl_pool_threads(p) == VL_POOL_MAX);
    vl_pool_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_coverage),
        cmocka_unit_test(test_many_tiny_loops),
        cmocka_unit_test(test_sleep_and_idle),
        cmocka_unit_test(test_arguments),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
