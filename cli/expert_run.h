/* SPDX-License-Identifier: MIT
 * expert_run.h -- trains experts beside each other and writes their snapshots in order: the work of
 * vltrain-expert, whose command line and inputs are in vltrain_expert.c. */
#ifndef CLI_EXPERT_RUN_H
#define CLI_EXPERT_RUN_H

#include "cli/loss.h"
#include "cli/msg.h"
#include "cli/runlog.h"
#include "distill/forgetting.h"
#include "distill/resume.h"
#include "distill/smooth.h"

#include <pthread.h>
#include <stdatomic.h>

typedef struct expert_opts {
    int experts, epochs;
    size_t batch;
    double rate_image, rate_text, momentum, weight_decay;
    vld_smooth_opts smooth;
    uint64_t seed;
} expert_opts;

struct expert;

typedef struct expert_trainer {
    expert_opts o;
    vlm_model model;
    vl_real *base; /* frozen weights that were loaded; NULL: none */
    vl_augment aug;
    vl_data train, val;
    vls_parent *parents;
    size_t n_parents;
    cli_losses losses; /* of the data trained on, with --skip-bad */
    json_t *manifest;
    vls_writer *writer;
    vl_pool *pool;
    vld_resume_point start; /* where this run begins */
    bool watch;             /* forgetting and loss of each record are wanted, into sum */
    vld_forgetting_sum sum; /* [train.n], made by the caller */
    pthread_mutex_t report; /* of what follows, and of expert.ready */
    struct expert *round;   /* experts from `from` on, which are being trained */
    int from, count;
    int expert, snap; /* the next snapshot to be written */
    int write_rc;     /* the first failed write; nothing is written behind it */
    vl_err write_e;
    cli_progress progress;
    cli_runlog *log;
    int epochs_done;         /* by this run */
    atomic_int first_failed; /* expert; those above it stop */
} expert_trainer;

/* expert_run -- from t->expert, t->snap on, where t->start says how far an earlier run came, to the end. What
 * comes before `report` is filled in, with t->writer open.
 * Errors: those of the training (VL_EMATH, VL_ENOMEM) or of the output, with the expert's number in front;
 * VL_EARG when an earlier run's weights are not come to again. */
VL_MUST_USE int expert_run(expert_trainer *t, vl_err *e);

#endif
