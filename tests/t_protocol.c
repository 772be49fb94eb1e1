/* SPDX-License-Identifier: MIT
 * t_protocol.c -- settings come from validation and nothing else; threads and neighbours do not show;
 * divergence is a result. A toy network on made-up data: 24 coloured pictures, each with a text of its own. */
#include "distill/protocol.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/picture_help.h"

enum { N = 24 };

static vlm_model model;
static vl_data train, val, hostile; /* hostile: texts belong to other pictures */

static int set_up(void **state)
{
    vl_err e;

    (void)state;
    assert_int_equal(vlm_parse("convnet:4x1", SIDE, TEXT, 16, 10.0, &model, &e), VL_OK);
    make_pictures(&train, N, 1, 0);
    make_pictures(&val, N, 2, 0);
    make_pictures(&hostile, N, 3, 7);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    vl_data_free(&train);
    vl_data_free(&val);
    vl_data_free(&hostile);
    return 0;
}

static const double grid[][VLM_BRANCHES] = {{1e-7, 1e-7}, {0.02, 0.1}, {1e30, 1e30}, {0.1, 0.5}};
enum { GRID = sizeof grid / sizeof *grid };

static vld_task task_of(const vld_draw *draw, size_t n_draws)
{
    return (vld_task){.stream = "random",
                      .draw = draw,
                      .n_draws = n_draws,
                      .grid = grid,
                      .n_grid = GRID,
                      .epochs = 40,
                      .readings = 4,
                      .batch = 8,
                      .aug = {.shift = 1},
                      .students = 2};
}

static vld_protocol protocol_of(const vl_data *validation, vl_pool *pool)
{
    return (vld_protocol){&model, pool, 5, validation, NULL, NULL};
}

static void choose(const vl_data *validation, const vld_task *t, size_t n, vl_pool *pool, vld_outcome *o)
{
    vld_protocol p = protocol_of(validation, pool);
    vl_err e = {0};

    memset(o, 0, n * sizeof *o);
    assert_int_equal(vld_protocol_choose(&p, t, n, o, &e), VL_OK);
}

static void finish(const vl_data *validation, const vl_data *test, const vld_task *t, size_t n, vl_pool *pool,
                   vld_outcome *o)
{
    vld_protocol p = protocol_of(validation, pool);
    vl_err e = {0};

    assert_int_equal(vld_protocol_test(&p, test, t, n, o, &e), VL_OK);
}

/* Learning helps on validation and hurts on the hostile set: whoever looked at the latter would take a rate
 * at which nothing is learnt. */
static void test_choice_is_blind(void **state)
{
    vld_draw draw = {{&train, NULL, 0, NULL}, {1, 1}};
    vld_task t = task_of(&draw, 1);
    vld_outcome mine, theirs, kind;

    (void)state;
    choose(&val, &t, 1, NULL, &mine);
    choose(&hostile, &t, 1, NULL, &theirs);
    assert_int_not_equal(mine.best, 0);
    assert_int_not_equal(mine.best, theirs.best);
    assert_true(mine.best_valid > 50);
    choose(&val, &t, 1, NULL, &kind);
    size_t best = mine.best;
    int epochs = mine.epochs;
    finish(&val, &hostile, &t, 1, NULL, &mine);
    finish(&val, &val, &t, 1, NULL, &kind);
    assert_int_equal(mine.best, best);
    assert_int_equal(mine.epochs, epochs);
    assert_int_equal(mine.n_students, 2);
    assert_int_equal(mine.hits.students, 2);
    assert_true(kind.query_low < (kind.test_mean[0] + kind.test_mean[1]) / 2 &&
                kind.query_high > (kind.test_mean[0] + kind.test_mean[1]) / 2);
    for (size_t i = 0; i < mine.n_students; i++) {
        const vld_student *s = &mine.student[i], *k = &kind.student[i];
        assert_true(s->gauges.image_cosine > -0.1 && s->gauges.image_cosine < 1 && s->gauges.gap > 0);
        assert_true(s->rate[VLM_IMAGE] == grid[best][VLM_IMAGE]);
        assert_true(s->rate[VLM_TEXT] == grid[best][VLM_TEXT]);
        /* the same student, whatever it is tested on; and it was tested on what it was given */
        assert_memory_equal(s->loss, k->loss, (size_t)epochs * sizeof *s->loss);
        assert_true(s->valid.mean == k->valid.mean && k->test.mean == k->valid.mean);
        assert_true(s->test.mean < k->test.mean / 2);
        assert_true(mine.test_mean[i] == s->test.mean);
    }
    /* Fresh students: neither each other's nor the grid's. */
    assert_true(mine.student[0].loss[0] != mine.student[1].loss[0]);
    assert_true(mine.student[0].loss[0] != mine.point[best].loss[0]);
    vld_outcome_free(&mine);
    vld_outcome_free(&theirs);
    vld_outcome_free(&kind);
}

static void assert_equal_outcomes(const vld_outcome *a, const vld_outcome *b, int epochs)
{
    assert_int_equal(a->best, b->best);
    assert_int_equal(a->epochs, b->epochs);
    assert_int_equal(a->n_students, b->n_students);
    for (size_t i = 0; i < a->n_points; i++) {
        assert_memory_equal(a->point[i].loss, b->point[i].loss, (size_t)epochs * sizeof(double));
        assert_memory_equal(a->point[i].valid, b->point[i].valid, (size_t)a->n_readings * sizeof(double));
    }
    for (size_t i = 0; i < a->n_students; i++) {
        assert_memory_equal(a->student[i].loss, b->student[i].loss, (size_t)a->epochs * sizeof(double));
        assert_memory_equal(&a->student[i].test, &b->student[i].test, sizeof(vld_recall));
        assert_memory_equal(&a->student[i].valid, &b->student[i].valid, sizeof(vld_recall));
    }
}

static void count(void *arg, const vld_tick *tick)
{
    size_t *seen = arg;

    assert_int_equal(tick->done, ++*seen);
    assert_true((tick->point != NULL) != (tick->student != NULL));
}

static void test_threads_and_neighbours(void **state)
{
    uint32_t half[N / 2], other[N / 2];
    for (uint32_t i = 0; i < N / 2; i++)
        half[i] = 2 * i, other[i] = 2 * i + 1;
    vld_draw subsets[] = {{{&train, half, N / 2, NULL}, {1, 1}}, {{&train, other, N / 2, NULL}, {2, 0.5}}};
    vld_draw all = {{&train, NULL, 0, NULL}, {1, 1}};
    vld_task t[2] = {task_of(subsets, 2), task_of(&all, 1)};
    vld_outcome one[2], three[2], alone;
    size_t seen = 0;
    vl_pool *pool;
    vl_err e;

    (void)state;
    t[1].stream = "full";
    assert_int_equal(vl_pool_new(3, &pool, &e), VL_OK);
    choose(&val, t, 2, NULL, one);
    finish(&val, &hostile, t, 2, NULL, one);

    memset(three, 0, sizeof three);
    vld_protocol p = {&model, pool, 5, &val, count, &seen};
    assert_int_equal(vld_protocol_choose(&p, t, 2, three, &e), VL_OK);
    assert_int_equal(seen, 2 * GRID);
    seen = 0;
    assert_int_equal(vld_protocol_test(&p, &hostile, t, 2, three, &e), VL_OK);
    assert_int_equal(seen, 4 + 2);

    choose(&val, t, 1, pool, &alone);
    finish(&val, &hostile, t, 1, pool, &alone);
    for (int i = 0; i < 2; i++)
        assert_equal_outcomes(&one[i], &three[i], t[i].epochs);
    assert_equal_outcomes(&one[0], &alone, t[0].epochs);
    /* A draw's own base rates are multiplied. */
    assert_true(one[0].student[2].draw == 1 && one[0].student[2].number == 0);
    assert_true(one[0].student[2].rate[VLM_IMAGE] == 2 * grid[one[0].best][VLM_IMAGE]);
    assert_true(one[0].student[2].rate[VLM_TEXT] == 0.5 * grid[one[0].best][VLM_TEXT]);
    for (int i = 0; i < 2; i++) {
        vld_outcome_free(&one[i]);
        vld_outcome_free(&three[i]);
    }
    vld_outcome_free(&alone);
    vl_pool_free(pool);
}

static void test_divergence(void **state)
{
    vld_draw draw = {{&train, NULL, 0, NULL}, {1, 1}};
    vld_task t = task_of(&draw, 1);
    vld_outcome o, none;
    vld_row_stats s;

    (void)state;
    choose(&val, &t, 1, NULL, &o);
    for (size_t i = 0; i < GRID; i++)
        assert_int_equal(o.point[i].diverged, i == 2);
    for (int r = 0; r < o.n_readings; r++)
        assert_true(o.point[2].valid[r] == 0 && o.point[1].valid[r] > 0);
    assert_true(isnan(o.point[2].loss[t.epochs - 1]) && isfinite(o.point[1].loss[t.epochs - 1]));
    finish(&val, &val, &t, 1, NULL, &o);
    s = vld_outcome_stats(&o);
    assert_int_equal(s.points_diverged, 1);
    assert_int_equal(s.diverged, 0);
    assert_true(fabs(s.mean.mean - (o.test_mean[0] + o.test_mean[1]) / 2) < 1e-12);
    assert_true(s.seconds > 0 && s.flops > 6 * model.macs * N * t.epochs && s.mean.n == 2);
    vld_outcome_free(&o);

    t.grid = grid + 2; /* nothing but what diverges */
    t.n_grid = 1;
    choose(&val, &t, 1, NULL, &none);
    assert_true(none.best_valid == 0 && none.best == 0 && none.epochs == t.epochs / 4);
    finish(&val, &val, &t, 1, NULL, &none);
    s = vld_outcome_stats(&none);
    assert_true(s.mean.mean == 0 && s.diverged == 2 && s.points_diverged == 1 && s.tr[2] == 0);
    vld_outcome_free(&none);
}

/* Rates are constant, so a shorter run is the beginning of a longer one. */
static void test_lengths(void **state)
{
    vld_draw draw = {{&train, NULL, 0, NULL}, {1, 1}};
    vld_task t = task_of(&draw, 1), brief = t, odd = t;
    vld_outcome a, b, c;

    (void)state;
    brief.epochs = 10;
    brief.readings = 1;
    odd.epochs = 3;
    odd.readings = 7;
    choose(&val, &t, 1, NULL, &a);
    choose(&val, &brief, 1, NULL, &b);
    choose(&val, &odd, 1, NULL, &c);
    assert_int_equal(a.n_readings, 4);
    for (int i = 0; i < 4; i++)
        assert_int_equal(a.at[i], 10 * (i + 1));
    assert_true(a.point[1].valid[0] == b.point[1].valid[0]);
    assert_memory_equal(a.point[1].loss, b.point[1].loss, 10 * sizeof(double));
    assert_int_equal(c.n_readings, 3);
    assert_true(c.at[0] == 1 && c.at[1] == 2 && c.at[2] == 3);
    vld_outcome_free(&a);
    vld_outcome_free(&b);
    vld_outcome_free(&c);
}

/* Which epoch counts: three tasks with one choice between them, and the same ones alone. */
static void test_select(void **state)
{
    vld_draw draw = {{&train, NULL, 0, NULL}, {1, 1}};
    vld_task t[3] = {task_of(&draw, 1), task_of(&draw, 1), task_of(&draw, 1)};
    vld_outcome o[3], alone, brief;
    vld_row_stats s[3];
    size_t seen = 0;
    vl_err e;

    (void)state;
    t[1].select = VLD_AT_LAST;
    t[1].shares = 1;
    t[2].select = VLD_BY_TEST;
    t[2].shares = 2;
    memset(o, 0, sizeof o);
    vld_protocol p = {&model, NULL, 5, &val, count, &seen};
    assert_int_equal(vld_protocol_choose(&p, t, 3, o, &e), VL_OK);
    assert_int_equal(seen, GRID); /* one choice for all three */
    finish(&val, &hostile, t, 3, NULL, o);
    assert_int_equal(o[1].epochs, t[1].epochs);
    for (size_t i = 0; i < GRID; i++)
        assert_true(o[1].point[i].valid[3] <= o[1].best_valid);
    assert_true(o[1].best_valid == o[1].point[o[1].best].valid[3]);
    assert_int_equal(o[2].best, o[0].best);
    for (int i = 0; i < 3; i++)
        s[i] = vld_outcome_stats(&o[i]);
    assert_true(s[0].flops > s[1].flops); /* the grid's students are counted once */

    t[1].shares = 0; /* nobody shows */
    choose(&val, &t[1], 1, NULL, &alone);
    finish(&val, &hostile, &t[1], 1, NULL, &alone);
    assert_equal_outcomes(&o[1], &alone, t[1].epochs);
    vld_outcome_free(&alone);

    /* Chosen on test: no worse than at any reading, and what a student of so many epochs has. */
    for (size_t i = 0; i < o[2].n_students; i++) {
        const vld_student *k = &o[2].student[i];
        assert_true(k->test.mean >= o[0].student[i].test.mean);
        for (int r = 0; r < o[2].n_readings; r++) {
            vld_task b = t[0];
            b.grid = grid + o[2].best;
            b.n_grid = 1;
            b.epochs = o[2].at[r];
            b.readings = 1;
            choose(&val, &b, 1, NULL, &brief);
            finish(&val, &hostile, &b, 1, NULL, &brief);
            if (o[2].at[r] == k->epoch)
                assert_memory_equal(&k->test, &brief.student[i].test, sizeof k->test);
            else
                assert_true(brief.student[i].test.mean <= k->test.mean);
            vld_outcome_free(&brief);
        }
    }
    for (int i = 3; i-- > 0;)
        vld_outcome_free(&o[i]);
    for (int i = 0; i < 3; i++) { /* nobody there, not alike, itself sharing */
        vld_task bad[3] = {t[0], t[0], t[0]};
        bad[2].shares = i == 0 ? 3 : 1;
        bad[1].shares = i == 2;
        bad[2].epochs += i == 1;
        memset(o, 0, sizeof o);
        assert_int_equal(vld_protocol_choose(&p, bad, 3, o, &e), VL_EARG);
        for (int k = 3; k-- > 0;)
            vld_outcome_free(&o[k]);
    }
}

/* A task may have a network of its own; its numbers are those of a table of that network. */
static void test_models(void **state)
{
    vld_draw draw = {{&train, NULL, 0, NULL}, {1, 1}};
    vld_task t[2] = {task_of(&draw, 1), task_of(&draw, 1)};
    vlm_model wide, keep = model;
    vld_outcome both[2], alone;
    vl_err e;

    (void)state;
    assert_int_equal(vlm_parse("convnet:8x2", SIDE, TEXT, 16, 10.0, &wide, &e), VL_OK);
    t[1].model = &wide;
    choose(&val, t, 2, NULL, both);
    finish(&val, &hostile, t, 2, NULL, both);
    model = wide;
    choose(&val, t, 1, NULL, &alone);
    finish(&val, &hostile, t, 1, NULL, &alone);
    model = keep;
    assert_equal_outcomes(&both[1], &alone, t[0].epochs);
    assert_true(both[0].point[1].loss[0] != both[1].point[1].loss[0]);
    vld_outcome_free(&alone);
    vld_outcome_free(&both[1]);
    vld_outcome_free(&both[0]);
}

static void test_bad_tasks(void **state)
{
    static const double bad_grid[][VLM_BRANCHES] = {{0.1, 0}};
    vld_draw draw = {{&train, NULL, 0, NULL}, {1, 1}}, wrong = draw;
    vld_protocol p = protocol_of(&val, NULL);
    vl_data small = train;
    vld_outcome o;
    vl_err e;

    (void)state;
    small.size = 8;
    wrong.source.data = &small;
    for (int i = 0; i < 8; i++) {
        vld_task t = task_of(&draw, 1);
        switch (i) {
        case 0:
            t.n_draws = 0;
            break;
        case 1:
            t.n_grid = 0;
            break;
        case 2:
            t.grid = bad_grid, t.n_grid = 1;
            break;
        case 3:
            t.epochs = 0;
            break;
        case 4:
            t.readings = VLD_MAX_READINGS + 1;
            break;
        case 5:
            t.students = 0;
            break;
        case 6:
            t.batch = 1;
            break;
        case 7:
            t.draw = &wrong;
            break;
        }
        memset(&o, 0, sizeof o);
        assert_int_equal(vld_protocol_choose(&p, &t, 1, &o, &e), VL_EARG);
        vld_outcome_free(&o);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_choice_is_blind), cmocka_unit_test(test_threads_and_neighbours),
        cmocka_unit_test(test_divergence),      cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_select),          cmocka_unit_test(test_models),
        cmocka_unit_test(test_bad_tasks),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
