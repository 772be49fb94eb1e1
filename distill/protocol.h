/* SPDX-License-Identifier: MIT
 * protocol.h -- how sets are compared: settings chosen on validation, then fresh students on test.
 *
 *   choose   each grid point of rates trains one student on a task's first draw; validation recall is read
 *            at a few numbers of epochs; the best (rates, epochs) is fixed. This half is never given the
 *            test set.
 *   test     fresh students, so many a draw, train with what was fixed for exactly that many epochs; the
 *            test set is read once a student, after its last epoch.
 *
 * Which epoch counts is a task's own affair (vld_select). Tasks that differ in nothing else share the students
 * of the choice.
 *
 * Rates are constant, so a student of 30 epochs is what a student of 60 was halfway.
 * Starts     students draw their weights from streams with the top bit set, which numbers of experts
 *            (below VLD_MAX_EXPERTS) never have; those of the choice and those of the test differ. All grid
 *            points of a task start from the same weights and see the same batches.
 * Divergence (VL_EMATH) is a result: recall 0 at every reading, and a flag.
 * Threads    students are independent and run side by side, one a thread; fewer than there are threads, one after
 *            another by all of them; what each computes depends on
 *            the seed, its task's stream, draw and number alone, so neither threads nor other tasks show. */
#ifndef VLD_PROTOCOL_H
#define VLD_PROTOCOL_H

#include "distill/bootstrap.h"
#include "distill/gauges.h"
#include "distill/stats.h"
#include "distill/train.h"

enum { VLD_MAX_GRID = 64, VLD_MAX_READINGS = 64, VLD_MAX_STUDENTS = 10000 };

/* One set of a task: one of several random subsets, or one distilled set. */
typedef struct vld_draw {
    vld_source source;
    double base[VLM_BRANCHES]; /* a grid point is a multiple of these; 1 and 1: the grid holds the rates */
} vld_draw;

typedef enum vld_select {
    VLD_BY_VALIDATION, /* rates and epochs: the greatest validation reading */
    VLD_AT_LAST,       /* rates: the greatest validation reading after the last epoch; epochs: the most */
    VLD_BY_TEST /* rates as VLD_BY_VALIDATION; each student counts at whichever of the readings it does best
                          *on the test set*: what published evaluations did. Not a fair number */
} vld_select;

/* What is to be measured: a row of the table. Everything is borrowed. */
typedef struct vld_task {
    const vlm_model *model; /* the students'; NULL: that of the protocol */
    vld_select select;
    size_t shares; /* > 0: the task so many places before this one is the same but for select, and its grid
                      points serve both; it has shares 0 */
    const char *stream; /* what its random numbers hang on: "random", a content id */
    const vld_draw *draw;
    size_t n_draws;
    const double (*grid)[VLM_BRANCHES];
    size_t n_grid;
    int epochs;   /* the most that are tried */
    int readings; /* of validation, at even distances up to epochs; at most epochs of them */
    size_t batch; /* cut to the size of the source */
    vl_augment aug;
    vlm_objective objective; /* of the training; a similarity is the sources' sets' */
    double momentum;
    int students; /* of each draw */
} vld_task;

typedef struct vld_point { /* one grid point */
    bool diverged;
    double *loss;  /* [task->epochs] mean of each epoch, nats; NAN from divergence on */
    double *valid; /* [n_readings] mean recall, percent */
    double seconds, flops;
} vld_point;

typedef struct vld_student {
    size_t draw;
    int number; /* within the draw */
    bool diverged;
    double rate[VLM_BRANCHES];
    double *loss; /* [epochs] */
    int epoch;    /* of the numbers below: the last, but with VLD_BY_TEST */
    vld_recall valid, test;
    vld_gauges gauges;     /* on test; 0 where it diverged */
    double seconds, flops; /* counted: 6 flops a multiply-add of a training pair, 2 of an embedded one */
} vld_student;

typedef struct vld_outcome {
    int at[VLD_MAX_READINGS]; /* epochs at which validation was read */
    int n_readings;
    vld_point *point; /* [task->n_grid] */
    size_t n_points;
    bool shared; /* point is another outcome's */
    size_t best; /* the point that was chosen; ties: the earlier one, the fewer epochs */
    int epochs;  /* chosen */
    double best_valid;
    vld_student *student; /* [n_draws * students], by draw, then number */
    double *test_mean;    /* [n_students] test mean recall of each */
    size_t n_students;
    vld_hits hits;                /* of all of them */
    double query_low, query_high; /* 95 % interval of the mean recall over test queries (bootstrap.h) */
} vld_outcome;

void vld_outcome_free(vld_outcome *o); /* zeroed is harmless */

/* One student has ended. Called from any thread, one call at a time. */
typedef struct vld_tick {
    size_t task, done, total;   /* done of total in this half */
    const vld_point *point;     /* choosing: the point; else NULL */
    size_t index;               /* its number */
    const vld_student *student; /* testing: the student; else NULL */
} vld_tick;
typedef void (*vld_tick_fn)(void *arg, const vld_tick *tick);

typedef struct vld_protocol {
    const vlm_model *model;
    vl_pool *pool;
    uint64_t seed;
    const vl_data *validation; /* grouped */
    vld_tick_fn tick;          /* NULL: none */
    void *arg;
} vld_protocol;

/* vld_protocol_choose -- out [n], zeroed by the caller, freed by the caller in any case.
 * Errors: VL_EARG (a grid, epochs, readings, students or rates out of range, data of another size, shares that
 * point at no such task), VL_ENOMEM. */
VL_MUST_USE int vld_protocol_choose(const vld_protocol *p, const vld_task *task, size_t n, vld_outcome *out,
                                    vl_err *e);

/* vld_protocol_test -- after vld_protocol_choose, with the same tasks. */
VL_MUST_USE int vld_protocol_test(const vld_protocol *p, const vl_data *test, const vld_task *task, size_t n,
                                  vld_outcome *out, vl_err *e);

/* A row in numbers. */
typedef struct vld_row_stats {
    vld_summary mean;                 /* of test mean recall over draws x students */
    double ir[VLD_N_K], tr[VLD_N_K];  /* means over students */
    double valid;                     /* validation mean recall of the same students */
    double query_low, query_high;     /* 95 % interval over test queries, of the same students */
    vld_gauges gauges;                /* means over the students that did not diverge; NAN: none did not */
    size_t points_diverged, diverged; /* grid points; students */
    double seconds, flops; /* processor time; summed over its own students, of the grid and of the test */
} vld_row_stats;
vld_row_stats vld_outcome_stats(const vld_outcome *o);

#endif
