/* SPDX-License-Identifier: MIT
 * distill_run.c -- the outer loop with its log, and what it reads and writes. */
#include "cli/distill.h"
#include "cli/msg.h"
#include "cli/writer.h"
#include "distill/convexify.h"
#include "distill/train.h"
#include "pipeline/blas.h"
#include "pipeline/vit_base.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

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
    int n = (int)p->iterations, rc = VL_OK;

    cli_progress_begin(&progress, "iteration", (uint64_t)n);
    for (int k = p->done; !rc && k < n; k++) {
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
        rc = distill_checkpoint_tick(p, e);
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

/* Are the experts what --match says? */
static int check_scope(const distiller *p, vl_err *e)
{
    const vlm_model *m = &p->experts.model;
    const char *is = m->kind == VLM_HEADS ? "heads" : m->lora ? "lora" : "image", *match = p->o->match;

    if (!match || !strcmp(match, is))
        return VL_OK;
    return vl_fail(e, VL_EARG, "--match %s: the experts are %s, which is %s", match, m->spec, is);
}

static int read_experts(distiller *p, char **operand, const vls_left_out *left_out, vl_err *e)
{
    const distill_options *o = p->o;
    int64_t starts = o->start_max > o->text_start_max ? o->start_max : o->text_start_max;
    int snaps = (int)(starts + o->expert_epochs), rc;

    if (o->convexify) /* to the end of each */
        snaps = 0;
    if (vld_single_find(o->method)) /* teachers are made of all of them; else the network counts alone */
        snaps = distill_takes_teacher(o) ? 0 : 1;
    rc = vld_experts_salvage((const char *const *)operand, p->n_paths, snaps, left_out, &p->experts,
                             p->parents, e);
    if (!rc)
        rc = check_scope(p, e);
    if (!rc && o->base)
        rc = vlm_base_load(&p->experts.model, o->base, false, &p->base, e);
    if (!rc)
        rc = cli_losses_done(&p->losses, e);
    if (!rc && o->convexify)
        vld_convexify(&p->experts);
    return rc;
}

/* What the experts take: pixels, or features. */
static int read_real(distiller *p, const vls_left_out *left_out, vl_err *e)
{
    const distill_options *o = p->o;
    bool features = p->experts.model.kind == VLM_HEADS && !p->d.front.n;
    const vl_data_opts want = {.size = p->d.front.n ? p->d.front.size : p->experts.model.size,
                               .text_ext = o->text,
                               .image_ext = o->image,
                               .images = !features,
                               .features = features,
                               .text = true,
                               .threads = (int)o->common.threads,
                               .left_out = left_out};
    int rc;

    if (!features && o->image)
        return vl_fail(e, VL_EARG, "--image: %s",
                       p->d.front.n ? "the encoder makes the rows"
                                    : "the experts are of scope image, and see pixels");
    rc = vl_data_load(o->real.item, p->n_real, &want, &p->data, p->parents + p->n_paths, e);
    if (!rc)
        rc = cli_losses_done(&p->losses, e);
    if (!rc && vld_data_fits(p->d.front.n ? &p->d.front : &p->experts.model, &p->data, e))
        rc = vl_within(e, "real pairs for the experts' network");
    return rc;
}

/* The shard that the encoder's weights came from, if it is none of the others. */
static void take_parent(distiller *p)
{
    for (size_t i = 0; i < p->n_parents; i++)
        if (!strcmp(p->parents[i].id, p->encoder.weights.id))
            return;
    p->parents[p->n_parents++] = p->encoder.weights;
    memset(&p->encoder.weights, 0, sizeof p->encoder.weights);
}

/* Where heads are trained inside, validation goes on rising for longer, and an iteration takes less. */
static int64_t iterations_of(const distiller *p)
{
    bool heads = p->experts.model.kind == VLM_HEADS && !vld_single_find(p->o->method);

    return p->o->iterations ? p->o->iterations : heads ? 2000 : 600;
}

static int read_all(distiller *p, char **operand, vl_err *e)
{
    const vls_left_out ear = cli_losses_ear(&p->losses), *left_out = p->o->common.skip_bad ? &ear : NULL;
    int rc;

    p->parents = vl_alloc(p->n_paths + p->n_real + 1, sizeof *p->parents, e);
    if (!p->parents)
        return VL_ENOMEM;
    rc = read_experts(p, operand, left_out, e);
    if (!rc && !p->o->augment)
        p->aug = p->experts.augment;
    p->iterations = iterations_of(p);
    if (!rc)
        rc = distill_front_open(p, e);
    if (!rc)
        rc = read_real(p, left_out, e);
    p->n_parents = p->n_paths + p->n_real;
    if (!rc && p->encoder.weights.id[0])
        take_parent(p);
    p->d.input_loss = json_incref(p->losses.all);
    return rc;
}

static json_t *number(double x)
{
    return isfinite(x) ? json_real(x) : json_null();
}

/* Those that are used. */
static int add_used(const distill_options *o, json_t *options)
{
    int bad = 0;

    if (o->match)
        bad |= json_object_set_new(options, "match", json_string(o->match));
    if (o->perturb > 0)
        bad |= json_object_set_new(options, "perturb", json_real(o->perturb));
    if (o->intermediate)
        bad |= json_object_set_new(options, "intermediate", json_true());
    return bad;
}

static json_t *options_json(const distiller *p)
{
    const distill_options *o = p->o;
    json_t *steps = json_pack("{s:f, s:f, s:f, s:f, s:s, s:f, s:s, s:f, s:f, s:f, s:b}", "step_image",
                              o->step_image, "step_text", o->step_text, "step_similarity", o->step_similarity,
                              "step_rates", o->step_rates, "optimizer", o->optimizer, "momentum", o->momentum,
                              "schedule", o->schedule, "clip", o->clip, "rate_min", o->rate_min, "rate_max",
                              o->rate_max, "convexify", (int)o->convexify);
    json_t *j =
        json_pack("{s:s, s:I, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:s, s:f, s:f}", "method",
                  o->method, "pairs", (json_int_t)o->pairs, "init", o->init, "gradient", o->gradient,
                  "iterations", (json_int_t)p->iterations, "inner_steps", (json_int_t)o->inner_steps,
                  "warm_steps", (json_int_t)o->warm_steps, "batch", (json_int_t)o->batch, "start_max",
                  (json_int_t)o->start_max, "text_start_max", (json_int_t)o->text_start_max, "expert_epochs",
                  (json_int_t)o->expert_epochs, "committee", (json_int_t)o->committee, "normaliser",
                  o->normaliser, "rate_image", o->rate_image, "rate_text", o->rate_text);

    if (j && steps)
        json_object_update(j, steps);
    json_decref(steps);
    return j;
}

/* The encoder's name and network, and how its views were drawn. */
static int describe_front(distiller *p, vl_err *e)
{
    json_t *model = NULL, *views = NULL;
    int rc;

    if (!p->d.front.n)
        return VL_OK;
    rc = vld_model_to_json(&p->d.front, &model, e);
    if (!rc)
        rc = vld_augment_to_json(&p->aug, &views, e);
    if (!rc && json_object_set_new(
                   p->d.manifest, "encoder",
                   json_pack("{s:s, s:O, s:O}", "name", p->d.encoder, "model", model, "augment", views)))
        rc = vl_fail(e, VL_ENOMEM, "out of memory: manifest");
    json_decref(model);
    json_decref(views);
    return rc;
}

/* The manifest: which run it is, whatever comes of it. */
static int describe(distiller *p, const char *tool, vl_err *e)
{
    json_t *objective = NULL, *options;
    int rc =
        vld_manifest("distilled", tool, p->o->common.seed, &p->d.model, &p->d.augment, &p->d.manifest, e);

    if (!rc)
        rc = describe_front(p, e);
    if (!rc)
        rc = vld_objective_to_json(&p->objective, &objective, e);
    if (rc)
        return rc;
    options = options_json(p);
    if (json_object_set_new(p->d.manifest, "objective", objective) |
            json_object_set_new(p->d.manifest, "options", options) ||
        add_used(p->o, options) || (p->single && distill_single_options(p->o, options)))
        return vl_fail(e, VL_ENOMEM, "out of memory: manifest");
    return VL_OK;
}

/* What came of it. */
static int tell_result(distiller *p, vl_err *e)
{
    json_t *about = p->d.about =
        json_pack("{s:I, s:I, s:[o,o]}", "iterations", (json_int_t)p->iterations, "diverged",
                  (json_int_t)p->diverged, "match", number(p->match[VLM_IMAGE]), number(p->match[VLM_TEXT]));

    if (!about || (p->single && json_object_set_new(about, "loss", number(p->loss))))
        return vl_fail(e, VL_ENOMEM, "out of memory: json");
    return VL_OK;
}

static int write_set(distiller *p, vl_err *e)
{
    vls_writer *w;
    int rc = vld_distilled_write(p->writer, &p->d, p->parents, p->n_parents, e);

    if (rc)
        return rc;
    w = p->writer;
    p->writer = NULL;
    return vls_writer_close(w, e);
}

static vld_outer_opts outer_options(const distiller *p)
{
    const distill_options *o = p->o;

    return (vld_outer_opts){.inner = {.steps = (int)o->inner_steps,
                                      .warm_max = (int)o->warm_steps,
                                      .batch = (size_t)o->batch,
                                      .aug = p->d.augment,
                                      .objective = p->objective,
                                      .merged = !strcmp(o->normaliser, "merged")},
                            .start_max = (int)o->start_max,
                            .text_start_max = (int)o->text_start_max,
                            .expert_epochs = (int)o->expert_epochs,
                            .committee = (int)o->committee,
                            .perturb = o->perturb,
                            .intermediate = o->intermediate,
                            .optimiser = strcmp(o->optimizer, "sgd") ? VLD_ADAM : VLD_SGD,
                            .momentum = o->momentum,
                            .clip = o->clip,
                            .step_image = o->step_image,
                            .step_text = o->step_text,
                            .step_similarity = o->step_similarity,
                            .step_rates = o->step_rates,
                            .rate_min = o->rate_min,
                            .rate_max = o->rate_max,
                            .iterations = (int)p->iterations,
                            .constant = !strcmp(o->schedule, "constant"),
                            .gradient = strcmp(o->gradient, "tesla") ? VLD_EXACT : VLD_TESLA,
                            .front = p->front,
                            .log_cosine = (int)o->log_cosine,
                            .seed = (uint64_t)o->common.seed};
}

static int make_loop(distiller *p, vl_err *e)
{
    vld_outer_opts outer;

    if (vld_single_find(p->o->method))
        return distill_single_new(p, e);
    outer = outer_options(p);
    return vld_outer_new(&p->experts, p->pool, &outer, &p->d.set, &p->outer, e);
}

/* Everything up to the first iteration. */
static int prepare(distiller *p, const char *tool, char **operand, vl_err *e)
{
    int rc = vl_pool_new((int)p->o->common.threads, &p->pool, e);

    if (!rc)
        rc = cli_runlog_open(p->o->common.run_log, p->o->resume, &p->log, e);
    if (!rc)
        rc = cli_writer_open(&p->o->common, &p->writer, e);
    if (!rc)
        rc = read_all(p, operand, e);
    if (!rc)
        rc = distill_start(p, e);
    if (!rc)
        rc = distill_front_new(p, e);
    if (!rc)
        rc = make_loop(p, e);
    if (!rc)
        rc = describe(p, tool, e);
    return rc ? rc : distill_checkpoint_open(p, e);
}

static void report(const distiller *p, double seconds, double flops)
{
    if (p->single) {
        cli_info("%d iterations in %.1f s, %.3f s each, %.0f GFLOP/s; loss %.4g", (int)p->iterations, seconds,
                 seconds / (double)p->iterations, 1e-9 * flops / seconds, p->loss);
        if (p->diverged)
            cli_info("%d iterations were not finite, and changed nothing", p->diverged);
        return;
    }
    cli_info(
        "%d iterations in %.1f s, %.3f s each, %.0f GFLOP/s; match %.3f image, %.3f text; rates %.4g, %.4g",
        (int)p->iterations, seconds, seconds / (double)p->iterations, 1e-9 * flops / seconds,
        p->match[VLM_IMAGE], p->match[VLM_TEXT], p->d.set.rate[VLM_IMAGE], p->d.set.rate[VLM_TEXT]);
    if (p->diverged)
        cli_info("%d iterations diverged, and only cut the rates", p->diverged);
}

int distill_run(distiller *p, const char *tool, char **operand, vl_err *e)
{
    int rc = prepare(p, tool, operand, e);
    double t0 = cli_now(), flops = vl_blas_flops();

    if (!rc)
        rc = p->single ? distill_single_iterate(p, e) : iterate(p, e);
    double seconds = cli_now() - t0;
    flops = vl_blas_flops() - flops;
    if (!rc)
        rc = distill_name_texts(p, e);
    if (!rc)
        rc = tell_result(p, e);
    if (!rc)
        rc = write_set(p, e);
    if (!rc)
        report(p, seconds, flops);
    return rc;
}

int distill_close(distiller *p, int how, vl_err *e)
{
    int rc = cli_runlog_close(p->log, e);

    distill_checkpoint_close(p, how);
    vls_writer_abort(p->writer);
    vld_single_free(p->single);
    vld_outer_free(p->outer);
    vld_front_free(p->front);
    vld_encoder_close(&p->encoder);
    vld_distilled_free(&p->d);
    vl_data_free(&p->data);
    vld_experts_free(&p->experts);
    free(p->base);
    cli_losses_free(&p->losses);
    vls_parents_free(p->parents, p->n_paths + p->n_real + 1);
    vl_pool_free(p->pool);
    return rc;
}
