/* SPDX-License-Identifier: MIT
 * distill_single.c -- vldistill's methods without inner training: their options, their loop and its log. */
#include "cli/distill.h"
#include "cli/msg.h"

#include <math.h>
#include <string.h>

bool distill_takes_teacher(const distill_options *o)
{
    const vld_single_method *m = vld_single_find(o->method);

    return m && ((m->needs & VLD_NEEDS_TEACHER) || ((m->needs & VLD_TAKES_TEACHER) && o->teacher));
}

int distill_single_new(distiller *p, vl_err *e)
{
    const distill_options *o = p->o;
    const vld_single_opts s = {
        .method = vld_single_find(o->method),
        .params = {.rho = o->rho,
                   .lambda = o->lambda,
                   .gke = o->gke,
                   .sigma = o->sigma,
                   .kernel = strcmp(o->kernel, "linear") ? VLD_KERNEL_GAUSS : VLD_KERNEL_LINEAR,
                   .width = o->width,
                   .ridge = o->ridge,
                   .text_to_image = o->text_to_image},
        .teacher = o->teacher,
        .batch = (size_t)o->real_batch < p->data.n ? (size_t)o->real_batch : p->data.n,
        .aug = p->aug,
        .alpha = o->merge,
        .first_snap = (int)o->expert_epochs,
        .optimiser = strcmp(o->optimizer, "sgd") ? VLD_ADAM : VLD_SGD,
        .momentum = o->momentum,
        .clip = o->clip,
        .step_image = o->step_image,
        .step_text = o->step_text,
        .iterations = (int)p->iterations,
        .constant = !strcmp(o->schedule, "constant"),
        .seed = (uint64_t)o->common.seed};

    return vld_single_new(&s, &p->d.model, &p->experts, &p->data, p->pool, &p->d.set, &p->single, e);
}

static void log_iteration(distiller *p, int k, const vld_single_report *r)
{
    const vld_single_method *m = vld_single_find(p->o->method);

    cli_runlog_begin(p->log, "iteration");
    cli_runlog_int(p->log, "iteration", k);
    cli_runlog_real(p->log, "loss", r->loss);
    for (int i = 0; i < VLD_MAX_PARTS && m->part[i]; i++)
        cli_runlog_real(p->log, m->part[i], r->part[i]);
    if (r->expert[0] >= 0) {
        cli_runlog_int(p->log, "expert_0", r->expert[0]);
        cli_runlog_int(p->log, "snapshot_0", r->snap[0]);
        cli_runlog_int(p->log, "expert_1", r->expert[1]);
        cli_runlog_int(p->log, "snapshot_1", r->snap[1]);
        cli_runlog_real(p->log, "ratio", r->ratio);
    }
    cli_runlog_end(p->log);
}

int distill_single_iterate(distiller *p, vl_err *e)
{
    int n = (int)p->iterations, rc = VL_OK;
    cli_progress progress;

    cli_progress_begin(&progress, "iteration", (uint64_t)n);
    for (int k = p->done; !rc && k < n; k++) {
        vld_single_report r;
        rc = vld_single_step(p->single, k, &r, e);
        if (rc)
            break;
        p->diverged += r.diverged;
        if (r.diverged)
            cli_debug("iteration %d: loss %g or its gradient is not finite; nothing was changed", k, r.loss);
        else if (k >= n - (n + 9) / 10) {
            p->n_match++;
            p->loss += r.loss;
        }
        log_iteration(p, k, &r);
        rc = distill_checkpoint_tick(p, e);
        cli_progress_at(&progress, (uint64_t)k + 1, "loss %.4g", r.loss);
    }
    cli_progress_end(&progress);
    p->loss = p->n_match ? p->loss / p->n_match : NAN;
    p->match[VLM_IMAGE] = p->match[VLM_TEXT] = NAN;
    if (!rc && p->diverged == n)
        return vl_fail(e, VL_EMATH, "no iteration had a finite loss and gradient");
    return rc;
}

int distill_single_options(const distill_options *o, json_t *options)
{
    json_t *j = json_pack("{s:I, s:b, s:f, s:f, s:f, s:f, s:f, s:s, s:f, s:f, s:f}", "real_batch",
                          (json_int_t)o->real_batch, "teacher", (int)o->teacher, "merge", o->merge, "rho",
                          o->rho, "lambda", o->lambda, "gke", o->gke, "sigma", o->sigma, "kernel", o->kernel,
                          "width", o->width, "ridge", o->ridge, "text_to_image", o->text_to_image);
    int bad = !j || json_object_update(options, j);

    json_decref(j);
    return bad;
}
