/* SPDX-License-Identifier: MIT
 * distill.h -- the parts of vldistill: its options (vldistill.c), the published methods as sets of options
 * (distill_method.c), where the set starts (distill_start.c), the run (distill_run.c), and the methods without inner
 * training (distill_single.c). */
#ifndef CLI_DISTILL_H
#define CLI_DISTILL_H

#include "cli/loss.h"
#include "cli/opt.h"
#include "cli/runlog.h"
#include "distill/distilled.h"
#include "distill/encoder.h"
#include "distill/outer.h"
#include "distill/single.h"
#include "pipeline/data.h"

typedef struct distill_options {
    cli_common common;
    cli_list real;
    const char *method, *dataset, *text, *image, *base, *augment, *gradient, *loss, *similarity, *normaliser,
        *init, *optimizer, *schedule, *kernel, *space, *encoder, *match;
    uint64_t memory;
    bool teacher, resume, convexify, intermediate;
    double checkpoint, perturb;
    int64_t pairs, inner_steps, warm_steps, batch, start_max, text_start_max, expert_epochs, committee,
        iterations, log_cosine, real_batch;
    double alpha, blend, rate_image, rate_text, rate_min, rate_max, step_image, step_text, step_similarity,
        step_rates, momentum, clip, rho, lambda, gke, sigma, width, ridge, text_to_image, merge;
} distill_options;

typedef struct distiller {
    const distill_options *o;
    vl_pool *pool;
    vld_experts experts;
    vl_real *base; /* the experts' frozen weights, loaded; NULL: none */
    vl_data data;
    vl_augment aug;      /* of the inner steps, or of the front */
    vld_encoder encoder; /* with --space pixels and heads; dim 0: none */
    vld_front *front;    /* the same */
    vlm_objective objective;
    int64_t iterations; /* of the options, or what suits the experts */
    vld_distilled d;
    vld_outer *outer;    /* trajectory matching, or */
    vld_single *single;  /* a method without inner training */
    vls_parent *parents; /* of the trajectories, the real shards, the encoder */
    size_t n_paths, n_real, n_parents;
    cli_losses losses; /* of both, with --skip-bad */
    vls_writer *writer;
    cli_runlog *log;
    double match[VLM_BRANCHES];  /* mean over the last tenth of the iterations, NAN when all of it diverged */
    double loss;                 /* single: the same */
    int done, n_match, diverged; /* iterations: all of them, those that match or loss sum up, ... */
    char *checkpoint;            /* FILE.checkpoint; NULL: standard output */
    double saved;                /* when it was written */
} distiller;

/* ---- distill_method.c ---- */

/* distill_preset -- the options of o->method, a published one, for o->dataset and o->pairs, over those in *o. */
void distill_preset(distill_options *o);
extern const char distill_methods[]; /* "best|mtt-vl|..." */

/* distill_objective -- loss, similarity and blend of the options. Errors: VL_EARG. */
VL_MUST_USE int distill_objective(const distill_options *o, vlm_objective *out, vl_err *e);

/* ---- distill_front.c ---- */

/* distill_front_open -- the encoder of --encoder between pixels and heads, where --space asks for pixels; after
 * the experts are read. Gives p->encoder, p->d.front. Errors: VL_EARG options that do not fit the experts. */
VL_MUST_USE int distill_front_open(distiller *p, vl_err *e);

/* distill_front_new -- p->front for the set's pairs. */
VL_MUST_USE int distill_front_new(distiller *p, vl_err *e);

/* ---- distill_start.c ---- */

/* distill_start -- p->d.set and what is known of its members, from p->experts, p->data and the options.
 * Errors: VL_EFORMAT too few real pairs; VL_ENOMEM. */
VL_MUST_USE int distill_start(distiller *p, vl_err *e);

/* distill_name_texts -- the real caption whose row points most nearly the same way, for people to read. */
VL_MUST_USE int distill_name_texts(distiller *p, vl_err *e);

/* ---- distill_single.c ---- */

/* Is a teacher made of the experts' snapshots? False for the methods that match trajectories. */
bool distill_takes_teacher(const distill_options *o);

/* p->single; all of its iterations; and its options for the manifest (non-zero: memory is short). */
VL_MUST_USE int distill_single_new(distiller *p, vl_err *e);
VL_MUST_USE int distill_single_iterate(distiller *p, vl_err *e);
int distill_single_options(const distill_options *o, json_t *options);

/* ---- distill_checkpoint.c ---- */

/* distill_checkpoint_open -- with --resume, brings back what an earlier run of the same command left. When all is
 * set up, with p->d.manifest. Errors: VL_EARG (another run's), VL_EFORMAT, VL_EIO. */
VL_MUST_USE int distill_checkpoint_open(distiller *p, vl_err *e);

/* distill_checkpoint_tick -- an iteration is done; writes the state when it is time. */
VL_MUST_USE int distill_checkpoint_tick(distiller *p, vl_err *e);

/* distill_checkpoint_close -- rc: how the run ended. It is gone when that was well; after divergence it holds the
 * last state. */
void distill_checkpoint_close(distiller *p, int rc);

/* ---- distill_run.c ---- */

/* distill_run -- from the shards to the written set. Everything in *p is freed by distill_close. */
VL_MUST_USE int distill_run(distiller *p, const char *tool, char **operand, vl_err *e);
/* how: distill_run's answer. */
VL_MUST_USE int distill_close(distiller *p, int how, vl_err *e);

#endif
