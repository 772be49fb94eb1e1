/* SPDX-License-Identifier: MIT
 * t_forgetting.c -- forgetting events and losses against a plain account of the same batches. */
#include "distill/forgetting.h"
#include "pipeline/rng.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { N = 150, DIM = 6, EPOCHS = 7, BATCH = 70 };

/* Record i has captions 2 i and 2 i + 1; texts repeat, so that some records of a batch are no rivals. */
static uint32_t group[2 * N];
static size_t cap[N + 1];
static const vl_data data = {.n = N, .n_caps = 2 * N, .cap = cap, .group = group, .n_groups = 2 * N};

static void make_batch(uint64_t epoch, vl_real *u, vl_real *v, uint32_t *row, uint32_t *caption)
{
    uint32_t all[N];

    vl_rng_shuffle(3, epoch, N, all);
    vl_rng_normal(4, epoch, BATCH * DIM, 1, u);
    vl_rng_normal(5, epoch, BATCH * DIM, 0.4, v);
    for (size_t i = 0; i < BATCH; i++) {
        row[i] = all[i];
        caption[i] = 2 * all[i] + (uint32_t)(epoch & 1);
        for (size_t k = 0; k < DIM; k++)
            v[i * DIM + k] += u[i * DIM + k];
    }
}

static double logit(const vl_real *u, const vl_real *v, size_t i, size_t j)
{
    double sum = 0;

    for (size_t k = 0; k < DIM; k++)
        sum += (double)u[i * DIM + k] * (double)v[j * DIM + k];
    return 3 * sum;
}

/* What the header says, a pair at a time. */
static bool plain(const vl_real *u, const vl_real *v, const uint32_t *caption, size_t i, double *loss)
{
    double own = logit(u, v, i, i), row = 0, column = 0;
    bool right = true;

    for (size_t j = 0; j < BATCH; j++) {
        row += exp(logit(u, v, i, j) - own);
        column += exp(logit(u, v, j, i) - own);
        if (group[caption[j]] != group[caption[i]] && (logit(u, v, i, j) >= own || logit(u, v, j, i) >= own))
            right = false;
    }
    *loss = 0.5 * (log(row) + log(column));
    return right;
}

static void as_a_plain_account(void **state)
{
    static vl_real u[BATCH * DIM], v[BATCH * DIM];
    uint32_t row[BATCH], caption[BATCH];
    unsigned events[N] = {0}, visits[N] = {0}, was[N] = {0}, ever[N] = {0}, total = 0, right = 0;
    double loss[N] = {0}, one;
    vld_forgetting f;
    vld_forgetting_sum s;
    vl_err e;

    (void)state;
    for (size_t i = 0; i < 2 * N; i++)
        group[i] = (uint32_t)(i % 9 ? i : 0);
    assert_int_equal(vld_forgetting_new(&data, BATCH, &f, &e), VL_OK);
    assert_int_equal(vld_forgetting_sum_new(N, &s, &e), VL_OK);
    for (uint64_t epoch = 0; epoch < EPOCHS; epoch++) {
        make_batch(epoch, u, v, row, caption);
        vld_forgetting_pairs(&f, BATCH, DIM, 3, u, v, row, caption);
        for (size_t i = 0; i < BATCH; i++) {
            bool now = plain(u, v, caption, i, &one);
            events[row[i]] += was[row[i]] && !now;
            was[row[i]] = now;
            ever[row[i]] |= now;
            visits[row[i]]++;
            loss[row[i]] += one;
            right += now;
        }
    }
    for (size_t i = 0; i < N; i++) {
        assert_int_equal(f.events[i], events[i]);
        assert_int_equal(f.visits[i], visits[i]);
        assert_true(fabs(f.loss[i] - loss[i]) < 1e-4);
        total += events[i];
    }
    assert_true(total > 5 && right > 50 &&
                right < EPOCHS * BATCH - 50); /* the data are neither easy nor hopeless */
    vld_forgetting_add(&s, &f, EPOCHS);
    vld_forgetting_add(&s, &f, EPOCHS);
    for (size_t i = 0; i < N; i++) {
        double want = !visits[i] ? 0 : ever[i] ? events[i] : EPOCHS;
        assert_true(s.forgetting[i] == 2 * want);
        assert_int_equal(s.experts[i], visits[i] ? 2 : 0);
        assert_int_equal(s.visits[i], 2 * visits[i]);
    }
    vld_forgetting_sum_free(&s);
    vld_forgetting_free(&f);
}

/* By hand: two pairs; right, wrong, right, wrong is two events. Equal captions are no rivals; a tie is one. */
static void by_hand(void **state)
{
    static const vl_real same[4] = {1, 0, 0, 1}, turned[4] = {0, 1, 1, 0}, equal[4] = {1, 0, 1, 0};
    static const uint32_t row[2] = {0, 1}, apart[2] = {0, 2};
    vld_forgetting f;
    vl_err e;

    (void)state;
    for (size_t i = 0; i < 2 * N; i++)
        group[i] = (uint32_t)i;
    assert_int_equal(vld_forgetting_new(&data, 2, &f, &e), VL_OK);
    for (int i = 0; i < 4; i++)
        vld_forgetting_pairs(&f, 2, 2, 1, same, i % 2 ? turned : same, row, apart);
    assert_int_equal(f.events[0], 2);
    assert_int_equal(f.events[1], 2);
    assert_true(fabs(f.loss[0] - 2 * (log(1 + exp(-1)) + log(1 + exp(1)))) < 1e-6);
    vld_forgetting_pairs(&f, 2, 2, 1, same, same, row, apart);
    vld_forgetting_pairs(&f, 2, 2, 1, same, equal, row,
                         apart); /* image 0 cannot tell its text from the other */
    assert_int_equal(f.events[0], 3);
    vld_forgetting_pairs(&f, 2, 2, 1, same, same, row, apart);
    group[2] = 0; /* now both have the same caption */
    vld_forgetting_pairs(&f, 2, 2, 1, same, turned, row, apart);
    assert_int_equal(f.events[0], 3);
    vld_forgetting_free(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_a_plain_account),
        cmocka_unit_test(by_hand),
    };

    for (size_t i = 0; i <= N; i++)
        cap[i] = 2 * i;
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
