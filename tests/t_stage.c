/* SPDX-License-Identifier: MIT
 * t_stage.c -- jobs come out in order and done, whatever the threads do. */
#include "formats/stage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>
#include <cmocka.h>

typedef struct job {
    int number, result;
} job;

static atomic_int inside, most;

/* Later jobs are quicker, so that they overtake the earlier ones inside. */
static void square(void *p, void *ctx)
{
    job *j = p;
    int now = ++inside, seen = most;

    while (now > seen && !atomic_compare_exchange_weak(&most, &seen, now))
        ;
    nanosleep(&(struct timespec){0, (7 - j->number % 8) * 100000}, NULL);
    j->result = j->number * j->number + *(int *)ctx;
    inside--;
}

static void in_order(void **state)
{
    enum { JOBS = 200 };
    static const struct {
        int threads;
        size_t depth;
    } row[] = {{1, 1}, {1, 8}, {4, 1}, {4, 5}, {8, 64}};
    job jobs[JOBS];
    int plus = 5;

    (void)state;
    for (size_t i = 0; i < 2 * sizeof row / sizeof *row; i++) {
        size_t r = i / 2;
        void (*put_one)(vl_stage *, void *) = i % 2 ? vl_stage_put_more : vl_stage_put;
        vl_stage *s = NULL;
        vl_err e;
        int put = 0;
        assert_int_equal(vl_stage_new(row[r].threads, row[r].depth, square, &plus, &s, &e), VL_OK);
        most = 0;
        assert_null(vl_stage_take(s));
        for (int taken = 0; taken < JOBS; taken++) {
            size_t held = (size_t)(put - taken);
            for (; put < JOBS && !vl_stage_full(s); put++, held++) {
                jobs[put] = (job){.number = put};
                put_one(s, &jobs[put]);
            }
            assert_true(held <= row[r].depth);
            job *j = vl_stage_take(s);
            assert_ptr_equal(j, &jobs[taken]);
            assert_int_equal(j->result, taken * taken + plus);
        }
        assert_null(vl_stage_take(s));
        assert_true(most <= row[r].threads && (size_t)most <= row[r].depth);
        if (row[r].threads > 1 && row[r].depth > 1)
            assert_true(most > 1);
        vl_stage_free(s);
    }
}

static void arguments(void **state)
{
    vl_stage *s = NULL;
    vl_err e;

    (void)state;
    assert_int_equal(vl_stage_new(0, 1, square, NULL, &s, &e), VL_EARG);
    assert_int_equal(vl_stage_new(1025, 1, square, NULL, &s, &e), VL_EARG);
    assert_int_equal(vl_stage_new(1, 0, square, NULL, &s, &e), VL_EARG);
    vl_stage_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(in_order), cmocka_unit_test(arguments)};

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
