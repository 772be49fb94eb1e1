/* SPDX-License-Identifier: MIT
 * vldistill.c -- expert trajectories and real pairs into a few synthetic pairs.
 *
 *   trajectories --> vld_experts            real pairs, embeddings --> vl_data
 *                         \                  /  (a few of them: where the set starts)
 *                          outer loop on the set --> one distilled segment
 *
 * All the work is in distill/outer.h; here are the options, the start of the set, and what is reported. */
#include "cli/loss.h"
#include "cli/msg.h"
#include "cli/opt.h"
#include "cli/runlog.h"
#include "cli/writer.h"
#include "distill/distilled.h"
#include "distill/outer.h"
#include "distill/select.h"
#include "pipeline/data.h"
#include "pipeline/blas.h"
#include "pipeline/rng.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static struct options {
    cli_common common;
    cli_list real;
    const char *gradient, *text, *augment;
    int64_t pairs, inner_steps, warm_steps, batch, start_max, expert_epochs, iterations, log_cosine;
    double rate_image, rate_text, step_pixels, step_text, step_rates;
} o = {.common = CLI_COMMON_DEFAULT,
       .gradient = "exact",
       .pairs = 100,
       .inner_steps = 4,
       .warm_steps = 50,
       .batch = 50,
       .start_max = 1,
       .expert_epochs = 3,
       .iterations = 600,
       .rate_image = 0.12,
       .rate_text = 2,
       .step_pixels = 0.015,
       .step_text = 0.002,
       .step_rates = 0.02};

static const cli_opt options[] = {
    {0, "real", CLI_LIST, &o.real, "SHARD", "real pairs and their embeddings; give it for each shard", 0, 0,
     NULL},
    {0, "text", CLI_TEXT, &o.text, "EXT",
     "which embeddings to use, such as hash768.txt.npy; the default is the only ones there are", 0, 0, NULL},
    {0, "pairs", CLI_INT, &o.pairs, "N", "synthetic pairs to make", 2, 100000, NULL},
    {0, "matching", CLI_GROUP, NULL, NULL, "Matching", 0, 0, NULL},
    {0, "gradient", CLI_CHOICE, &o.gradient, "KIND", "exact: the adjoint; tesla: without the Hessian terms",
     0, 0, "exact|tesla"},
    {0, "iterations", CLI_INT, &o.iterations, "N", "outer iterations", 1, 1e7, NULL},
    {0, "inner-steps", CLI_INT, &o.inner_steps, "T", "training steps on the set in an iteration", 1, 4096,
     NULL},
    {0, "warm-steps", CLI_INT, &o.warm_steps, "N",
     "begin each iteration behind 0 to N further training steps on the set, drawn anew, which no gradient "
     "goes through: students train longer than T steps",
     0, 4096, NULL},
    {0, "batch", CLI_INT, &o.batch, "N", "pairs in a training step; at most --pairs", 2, 100000, NULL},
    {0, "start-max", CLI_INT, &o.start_max, "N", "start from the experts' snapshots 0 to N-1", 1, 4096, NULL},
    {0, "expert-epochs", CLI_INT, &o.expert_epochs, "N", "aim at the snapshot so many epochs ahead", 1, 4096,
     NULL},
    {0, "augment", CLI_TEXT, &o.augment, "VIEWS",
     "views of the set in training steps: none, flip, shiftN or flip+shiftN; students see it the same way "
     "[the experts']",
     0, 0, NULL},
    {0, "log-cosine", CLI_INT, &o.log_cosine, "N",
     "every N iterations also compute the other gradient and log the cosine between them; 0: never", 0, 1e7,
     NULL},
    {0, "steps", CLI_GROUP, NULL, NULL, "Steps (Adam; they fall to a tenth)", 0, 0, NULL},
    {0, "rate-image", CLI_REAL, &o.rate_image, "RATE", "first inner learning rate of the image encoder", 1e-9,
     1e9, NULL},
    {0, "rate-text", CLI_REAL, &o.rate_text, "RATE", "first inner learning rate of the text head", 1e-9, 1e9,
     NULL},
    {0, "step-pixels", CLI_REAL, &o.step_pixels, "STEP", "of the pixels, in standard deviations", 0, 1e3,
     NULL},
    {0, "step-text", CLI_REAL, &o.step_text, "STEP", "of the texts' numbers; a text has length 1", 0, 1e3,
     NULL},
    {0, "step-rates", CLI_REAL, &o.step_rates, "STEP", "of the logarithms of the inner rates", 0, 1e3, NULL},
    CLI_END};

static const cli_tool tool = {
    .name = "vldistill",
    .usage = "[options] --real PAIRS --real EMBEDDINGS TRAJECTORIES...",
    .sentence = "Distils real pairs into a few synthetic ones by matching training trajectories.",
    .example = "vldistill --real train.tar.zst --real train.emb.tar.zst -o set.tar.zst experts.tar.zst",
    .options = options,
    .common = &o.common,
    .common_set = CLI_OUTPUT | CLI_SIGN | CLI_SKIP_BAD | CLI_THREADS | CLI_SEED | CLI_DEVICE | CLI_PROGRESS |
                  CLI_RUNLOG,
    .min_operands = 1,
    .max_operands = -1,
    .print_engine = cli_print_blas,
};

typedef struct distiller {
    vl_pool *pool;
    vld_experts experts;
    vl_data data;
    vl_augment aug; /* of the inner steps */
    vld_distilled d;
    vld_outer *outer;
    vls_parent *parents; /* of the trajectories, then of the real shards */
    size_t n_paths, n_real;
    cli_losses losses; /* of both, with --skip-bad */
    vls_writer *writer;
    cli_runlog *log;
    double match[VLM_BRANCHES]; /* mean over the last tenth of the iterations, NAN when all of it diverged */
    int n_match, diverged;
} distiller;

/* ---- where the set starts ------------------------------------------------------------------------ */

static int own_arrays(vld_distilled *d, vl_err *e)
{
    size_t n = d->set.n, image = d->model.size * d->model.size * 3;

    d->init_key = vl_alloc(n, sizeof *d->init_key, e);
    d->nearest = d->init_key ? vl_alloc(n, sizeof *d->nearest, e) : NULL;
    d->init_cap = d->nearest ? vl_alloc(n, sizeof *d->init_cap, e) : NULL;
    d->init_pixels = d->init_cap ? vl_alloc(n, image, e) : NULL;
    return d->init_pixels ? VL_OK : VL_ENOMEM;
}

/* One real pair, with one of its captions, becomes pair i of the set. */
static int start_pair(distiller *p, size_t i, size_t row, vl_err *e)
{
    const vl_view still = {false, 0, 0};
    const vl_data *r = &p->data;
    size_t size = p->d.model.size, pixels = size * size * 3, dim = p->d.model.text_dim;
    uint64_t n_caps = r->cap[row + 1] - r->cap[row];
    uint64_t cap = vl_rng_below((uint64_t)o.common.seed, vl_rng_stream("init caption", 0, 0, 0), i, n_caps);
    const float *text = r->text + (r->cap[row] + cap) * dim;

    memcpy(p->d.init_pixels + i * pixels, r->images + row * pixels, pixels);
    vl_view_apply_u8(r->images + row * pixels, size, still, p->d.set.pixels + i * pixels);
    for (size_t k = 0; k < dim; k++)
        p->d.set.text[i * dim + k] = (vl_real)text[k];
    p->d.init_cap[i] = (uint32_t)cap;
    p->d.init_key[i] = vl_strdup(r->key[row], e);
    return p->d.init_key[i] ? VL_OK : VL_ENOMEM;
}

static int start_set(distiller *p, vl_err *e)
{
    size_t n = (size_t)o.pairs;
    uint32_t *rows = NULL;
    int rc;

    if (p->data.n < n)
        return vl_fail(e, VL_EFORMAT, "%zu real pairs; %zu synthetic ones are asked for", p->data.n, n);
    p->d.model = p->experts.model;
    p->d.augment = p->aug;
    p->d.batch = (size_t)o.batch;
    rc = vld_set_new(&p->d.model, n, &p->d.set, e);
    if (!rc)
        rc = own_arrays(&p->d, e);
    if (!rc && !(rows = vl_alloc(n, sizeof *rows, e)))
        rc = VL_ENOMEM;
    if (!rc)
        rc = vld_select_random(NULL, p->data.n, 0, (uint64_t)o.common.seed, NULL, n, rows, e);
    for (size_t i = 0; !rc && i < n; i++)
        rc = start_pair(p, i, rows[i], e);
    p->d.set.rate[VLM_IMAGE] = o.rate_image;
    p->d.set.rate[VLM_TEXT] = o.rate_text;
    free(rows);
    return rc;
}

/* The real caption whose row points most nearly the same way, for people to read. */
static int name_texts(distiller *p, vl_err *e)
{
    const vl_data *r = &p->data;
    size_t dim = p->d.model.text_dim;
    vl_real *score = vl_alloc(r->n_caps, sizeof *score, e);
    int rc = score ? VL_OK : VL_ENOMEM;

    for (size_t i = 0; !rc && i < p->d.set.n; i++) {
        size_t best = 0;
        vl_gemm(0, 1, 1, r->n_caps, dim, 1, p->d.set.text + i * dim, dim, r->text, dim, 0, score, r->n_caps);
        for (size_t c = 1; c < r->n_caps; c++)
            best = score[c] > score[best] ? c : best;
        p->d.nearest[i] = vl_strdup(r->caption[best], e);
        rc = p->d.nearest[i] ? VL_OK : VL_ENOMEM;
    }
    free(score);
    return rc;
}

/* ---- the loop ------------------------------------------------------------------------------------ */

static void log_iteration(distiller *p, int k, const vld_outer_report *r)
{
    cli_runlog_begin(p->log, "iteration");
    cli_runlog_int(p->log, "iteration", k);
    cli_runlog_int(p->log, "expert", r->expert);
    cli_runlog_int(p->log, "start", r->start);
    cli_runlog_int(p->log, "warm", r->warm);
    cli_runlog_real(p->log, "match_image", r->inner.match[VLM_IMAGE]);
    cli_runlog_real(p->log, "match_text", r->inner.match[VLM_TEXT]);
    cli_runlog_real(p->log, "loss_first_nats", r->inner.loss_first);
    cli_runlog_real(p->log, "loss_last_nats", r->inner.loss_last);
    cli_runlog_real(p->log, "rate_image", p->d.set.rate[VLM_IMAGE]);
    cli_runlog_real(p->log, "rate_text", p->d.set.rate[VLM_TEXT]);
    if (isfinite(r->inner.cosine))
        cli_runlog_real(p->log, "cosine", r->inner.cosine);
    cli_runlog_end(p->log);
}

static int iterate(distiller *p, vl_err *e)
{
    cli_progress progress;
    int n = (int)o.iterations, rc = VL_OK;

    cli_progress_begin(&progress, "iteration", (uint64_t)n);
    for (int k = 0; !rc && k < n; k++) {
        vld_outer_report r;
        rc = vld_outer_step(p->outer, k, &r, e);
        if (rc)
            break;
        p->diverged += r.diverged;
        if (!r.diverged && k >= n - (n + 9) / 10) {
            p->n_match++;
            for (int b = 0; b < VLM_BRANCHES; b++)
                p->match[b] += r.inner.match[b];
        }
        log_iteration(p, k, &r);
        if (r.diverged)
            cli_debug("iteration %d: the inner training diverged; its rates are cut to %g and %g", k,
                      p->d.set.rate[VLM_IMAGE], p->d.set.rate[VLM_TEXT]);
        else if (isfinite(r.inner.cosine))
            cli_info("iteration %d: cosine between exact and tesla gradient %.4f", k, r.inner.cosine);
        cli_progress_at(&progress, (uint64_t)k + 1, "match %.3f image %.3f text", r.inner.match[VLM_IMAGE],
                        r.inner.match[VLM_TEXT]);
    }
    cli_progress_end(&progress);
    for (int b = 0; b < VLM_BRANCHES; b++)
        p->match[b] = p->n_match ? p->match[b] / p->n_match : NAN;
    if (!rc && p->diverged == n)
        return vl_fail(e, VL_EMATH, "every iteration diverged, the last one at rates %g and %g",
                       p->d.set.rate[VLM_IMAGE], p->d.set.rate[VLM_TEXT]);
    return rc;
}

/* ---- reading and writing ------------------------------------------------------------------------- */

static int read_all(distiller *p, char **operand, vl_err *e)
{
    const vls_left_out ear = cli_losses_ear(&p->losses), *left_out = o.common.skip_bad ? &ear : NULL;
    vl_data_opts want = {.text_ext = o.text,
                         .images = true,
                         .text = true,
                         .threads = (int)o.common.threads,
                         .left_out = left_out};
    int rc;

    p->parents = vl_alloc(p->n_paths + p->n_real, sizeof *p->parents, e);
    if (!p->parents)
        return VL_ENOMEM;
    rc = vld_experts_salvage((const char *const *)operand, p->n_paths, (int)(o.start_max + o.expert_epochs),
                             left_out, &p->experts, p->parents, e);
    if (!rc)
        rc = cli_losses_done(&p->losses, e);
    if (rc)
        return rc;
    want.size = p->experts.model.size;
    rc = vl_data_load(o.real.item, p->n_real, &want, &p->data, p->parents + p->n_paths, e);
    if (!rc)
        rc = cli_losses_done(&p->losses, e);
    p->d.input_loss = json_incref(p->losses.all);
    if (!rc && p->data.text_dim != p->experts.model.text_dim)
        rc = vl_fail(e, VL_EFORMAT, "the experts know texts of %zu numbers, the embeddings have %zu",
                     p->experts.model.text_dim, p->data.text_dim);
    return rc;
}

static json_t *number(double x)
{
    return isfinite(x) ? json_real(x) : json_null();
}

static json_t *options_json(void)
{
    return json_pack("{s:I, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:f, s:f, s:f, s:f}", "pairs",
                     (json_int_t)o.pairs, "gradient", o.gradient, "iterations", (json_int_t)o.iterations,
                     "inner_steps", (json_int_t)o.inner_steps, "warm_steps", (json_int_t)o.warm_steps,
                     "batch", (json_int_t)o.batch, "start_max", (json_int_t)o.start_max, "expert_epochs",
                     (json_int_t)o.expert_epochs, "rate_image", o.rate_image, "rate_text", o.rate_text,
                     "step_pixels", o.step_pixels, "step_text", o.step_text, "step_rates", o.step_rates);
}

static int describe(distiller *p, vl_err *e)
{
    int rc =
        vld_manifest("distilled", tool.name, o.common.seed, &p->d.model, &p->d.augment, &p->d.manifest, e);

    if (rc)
        return rc;
    p->d.about =
        json_pack("{s:I, s:I, s:[o,o]}", "iterations", (json_int_t)o.iterations, "diverged",
                  (json_int_t)p->diverged, "match", number(p->match[VLM_IMAGE]), number(p->match[VLM_TEXT]));
    if (!p->d.about || json_object_set_new(p->d.manifest, "options", options_json()))
        return vl_fail(e, VL_ENOMEM, "out of memory: manifest");
    return VL_OK;
}

static int write_set(distiller *p, vl_err *e)
{
    vls_writer *w;
    int rc = vld_distilled_write(p->writer, &p->d, p->parents, p->n_paths + p->n_real, e);

    if (rc)
        return rc;
    w = p->writer;
    p->writer = NULL;
    return vls_writer_close(w, e);
}

static int run(distiller *p, char **operand, vl_err *e)
{
    vld_outer_opts outer = {
        .inner = {.steps = (int)o.inner_steps, .warm_max = (int)o.warm_steps, .batch = (size_t)o.batch},
        .start_max = (int)o.start_max,
        .expert_epochs = (int)o.expert_epochs,
        .step_pixels = o.step_pixels,
        .step_text = o.step_text,
        .step_rates = o.step_rates,
        .iterations = (int)o.iterations,
        .gradient = strcmp(o.gradient, "tesla") ? VLD_EXACT : VLD_TESLA,
        .log_cosine = (int)o.log_cosine,
        .seed = (uint64_t)o.common.seed};
    double t0, flops, seconds;
    int rc = vl_pool_new((int)o.common.threads, &p->pool, e);

    if (!rc)
        rc = cli_runlog_open(o.common.run_log, false, &p->log, e);
    if (!rc)
        rc = cli_writer_open(&o.common, &p->writer, e);
    if (!rc)
        rc = read_all(p, operand, e);
    if (!rc && !o.augment)
        p->aug = p->experts.augment;
    outer.inner.aug = p->aug;
    if (!rc)
        rc = start_set(p, e);
    if (!rc)
        rc = vld_outer_new(&p->experts, p->pool, &outer, &p->d.set, &p->outer, e);
    if (rc)
        return rc;
    t0 = cli_now();
    flops = vl_blas_flops();
    rc = iterate(p, e);
    seconds = cli_now() - t0;
    if (!rc)
        rc = name_texts(p, e);
    if (!rc)
        rc = describe(p, e);
    if (!rc)
        rc = write_set(p, e);
    if (!rc)
        cli_info("%d iterations in %.1f s, %.3f s each, %.0f GFLOP/s; match %.3f image, %.3f text; rates "
                 "%.4g, %.4g",
                 (int)o.iterations, seconds, seconds / (double)o.iterations,
                 1e-9 * (vl_blas_flops() - flops) / seconds, p->match[VLM_IMAGE], p->match[VLM_TEXT],
                 p->d.set.rate[VLM_IMAGE], p->d.set.rate[VLM_TEXT]);
    if (!rc && p->diverged)
        cli_info("%d iterations diverged, and only cut the rates", p->diverged);
    return rc;
}

static int clean_up(distiller *p, vl_err *e)
{
    int rc = cli_runlog_close(p->log, e);

    vls_writer_abort(p->writer);
    vld_outer_free(p->outer);
    vld_distilled_free(&p->d);
    vl_data_free(&p->data);
    vld_experts_free(&p->experts);
    cli_losses_free(&p->losses);
    vls_parents_free(p->parents, p->n_paths + p->n_real);
    vl_pool_free(p->pool);
    return rc;
}

/* Standard input can be read once. */
static void check_inputs(int n, char **operand)
{
    int dashes = 0;

    for (int i = 0; i < n; i++)
        dashes += !strcmp(operand[i], "-");
    for (int i = 0; i < o.real.n; i++)
        dashes += !strcmp(o.real.item[i], "-");
    if (dashes > 1)
        cli_misuse("standard input (-) is named %d times, it can be read once", dashes);
    if (!o.real.n)
        cli_misuse("--real is missing: the set starts from real pairs");
    if (o.batch > o.pairs)
        cli_misuse("--batch %d is more than --pairs %d", (int)o.batch, (int)o.pairs);
}

int main(int argc, char **argv)
{
    distiller p = {0};
    vl_err e = {0}, late = {0};
    int n = cli_parse(&tool, argc, argv), rc;

    check_inputs(n, argv + 1);
    if (o.augment && vl_augment_parse(o.augment, &p.aug, &e))
        cli_misuse("--augment: %s", e.text);
    cli_refuse_tty(o.common.output);
    p.n_paths = (size_t)n;
    p.n_real = (size_t)o.real.n;
    rc = run(&p, argv + 1, &e);
    if (clean_up(&p, &late) && !rc) {
        e = late;
        rc = late.code;
    }
    return rc ? cli_fail(&e) : 0;
}
