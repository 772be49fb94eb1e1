/* SPDX-License-Identifier: MIT
 * expert_run.c -- experts in threads, their snapshots in order.
 *
 * As long as at least as many experts are left as there are threads, each thread trains one of them by
 * itself; then one after another is trained by all threads together. Both give the same bits (pool.h), so
 * the bytes written do not depend on -j. Of experts that fail the one with the lowest number is reported: all
 * below it were trained to their end.
 *
 * A snapshot is written as soon as all before it are: those of the first unfinished expert at once, by the
 * thread that trains it, those of the others when their turn comes. A file is written as NAME.part, whose
 * sealed segments a killed run leaves; --resume goes on behind the last one. An expert's epochs depend on its
 * seed, the epoch's number and the weights alone, so it goes on from its last snapshot; with momentum, whose
 * velocity no snapshot holds, it is trained again from the start and must come to the same weights.
 *
 * What --skip-bad left out of the data stands in the tail of every segment, as the parents do: a segment may be
 * cut out (vlcat), and a resumed run must find in each what it would write itself. */
#include "cli/expert_run.h"
#include "distill/eval_recall.h"
#include "pipeline/rng.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* One run: weights[epochs + 1][model.n], losses[epochs + 1]; the weights in training come last. */
typedef struct expert {
    expert_trainer *t;
    int number, rc;
    int first;     /* epochs that an earlier run did */
    int ready;     /* snapshots that may be written: 0 to ready - 1 */
    vl_pool *pool; /* inside this expert; NULL when others run beside it */
    vl_real *weights;
    double *loss;
    vld_forgetting seen;
    vl_err e;
} expert;

static vl_real *snapshot(const expert *x, int snap)
{
    return x->weights + (size_t)snap * x->t->model.n;
}

/* ---- writing ---------------------------------------------------------------------------------- */

static int write_snapshot(expert_trainer *t, const expert *x, int snap, vl_err *e)
{
    json_t *stats =
        json_pack("{s:i, s:o, s:[f,f]}", "epoch", snap, "loss", snap ? json_real(x->loss[snap]) : json_null(),
                  "rates", t->o.rate_image, t->o.rate_text);
    int rc;

    if (!stats)
        return vl_fail(e, VL_ENOMEM, "out of memory: snapshot");
    rc = vld_snapshot_put(t->writer, t->manifest, &t->model, x->number, snap, snapshot(x, snap),
                          snap ? snapshot(x, snap - 1) : NULL, stats, e);
    json_decref(stats);
    for (size_t i = 0; !rc && i < t->n_parents; i++)
        rc = vls_add_parent(t->writer, &t->parents[i], e);
    if (!rc && t->losses.all)
        rc = vls_segment_note(t->writer, "input_loss", json_deep_copy(t->losses.all), e);
    return rc ? rc : vls_segment_end(t->writer, e);
}

static void failed_from(expert_trainer *t, int number)
{
    int now = atomic_load(&t->first_failed);

    while (number < now && !atomic_compare_exchange_weak(&t->first_failed, &now, number))
        ;
}

/* Writes what has its turn. With the lock held. */
static void publish(expert_trainer *t)
{
    while (!t->write_rc && t->expert < t->from + t->count) {
        const expert *x = &t->round[t->expert - t->from];
        if (t->snap >= x->ready)
            return;
        t->write_rc = write_snapshot(t, x, t->snap, &t->write_e);
        if (t->write_rc)
            failed_from(t, x->number);
        else if (++t->snap > t->o.epochs) {
            t->expert++;
            t->snap = 0;
        }
    }
}

/* The first `ready` snapshots of x are there. */
static int offer(expert *x, int ready, vl_err *e)
{
    int rc;

    pthread_mutex_lock(&x->t->report);
    x->ready = ready;
    publish(x->t);
    rc = x->number >= x->t->expert ? x->t->write_rc : VL_OK; /* all of an expert below is written */
    pthread_mutex_unlock(&x->t->report);
    return rc ? vl_fail(e, rc, "given up: the output failed") : VL_OK;
}

/* ---- one expert ------------------------------------------------------------------------------- */

static int validate(expert *x, double *recall, vl_err *e)
{
    const expert_trainer *t = x->t;
    size_t dim = t->model.embed_dim;
    vl_real *theta = snapshot(x, t->o.epochs + 1);
    vl_real *u = vl_alloc(t->val.n, dim * sizeof *u, e), *v = NULL;
    vld_recall r = {.mean = NAN};
    int rc = VL_ENOMEM;

    if (u && (v = vl_alloc(t->val.n_caps, dim * sizeof *v, e)))
        rc = vld_embed_images(&t->model, x->pool, theta, &t->val, u, e);
    if (!rc)
        rc = vld_embed_texts(&t->model, x->pool, theta, &t->val, v, e);
    if (!rc)
        rc = vld_recall_at(&t->val, dim, u, v, x->pool, &r, e);
    *recall = r.mean;
    free(v);
    free(u);
    return rc;
}

static void report_epoch(const expert *x, int epoch, double recall)
{
    expert_trainer *t = x->t;
    size_t steps = t->train.n / t->o.batch;
    double seconds;

    pthread_mutex_lock(&t->report);
    t->epochs_done++;
    seconds = cli_now() - t->progress.t0;
    cli_runlog_begin(t->log, "epoch");
    cli_runlog_int(t->log, "expert", x->number);
    cli_runlog_int(t->log, "epoch", epoch);
    cli_runlog_real(t->log, "loss_nats", x->loss[epoch]);
    if (t->val.n) {
        cli_runlog_real(t->log, "val_mean_recall_percent", recall);
        cli_info("expert %d, epoch %d: loss %.4f nats, validation recall %.2f %%", x->number, epoch,
                 x->loss[epoch], recall);
    }
    cli_runlog_end(t->log);
    cli_progress_at(&t->progress, (uint64_t)t->epochs_done, "expert %d  loss %.3f nats  %.0f images/s",
                    x->number, x->loss[epoch],
                    (double)t->epochs_done * (double)(steps * t->o.batch) / seconds);
    pthread_mutex_unlock(&t->report);
}

/* The last step of an epoch may break the weights without a loss that shows it. */
static int check_weights(const expert *x, const vl_real *theta, int epoch, vl_err *e)
{
    for (size_t k = 0; k < x->t->model.n; k++)
        if (!isfinite(theta[k]))
            return vl_fail(e, VL_EMATH, "epoch %d: a weight is not finite (rates %g and %g)", epoch - 1,
                           x->t->o.rate_image, x->t->o.rate_text);
    return VL_OK;
}

/* Trained again up to where an earlier run was: the weights must be the sealed ones. */
static int check_again(const expert *x, int epoch, vl_err *e)
{
    const vld_resume_point *at = &x->t->start;

    if (!at->before || x->number != at->expert || epoch != at->snap - 1 ||
        !memcmp(snapshot(x, epoch), at->before, x->t->model.n * sizeof *at->before))
        return VL_OK;
    return vl_fail(e, VL_EARG, "epoch %d: other weights than the earlier run's: it ran on another machine?",
                   epoch - 1);
}

static int after_epoch(void *arg, int epoch, double loss, const vl_real *theta, vl_err *e)
{
    expert *x = arg;
    double recall = NAN;
    int rc = check_weights(x, theta, epoch, e);

    if (!rc && atomic_load(&x->t->first_failed) < x->number)
        rc = vl_fail(e, VL_EMATH, "given up: an expert before it failed");
    if (!rc && x->t->val.n)
        rc = validate(x, &recall, e);
    if (rc)
        return rc;
    memcpy(snapshot(x, epoch), theta, x->t->model.n * sizeof *theta);
    x->loss[epoch] = loss;
    report_epoch(x, epoch, recall);
    rc = check_again(x, epoch, e);
    return rc ? rc : offer(x, epoch + 1, e);
}

static void fail_expert(expert *x)
{
    vl_within(&x->e, "expert %d", x->number);
    failed_from(x->t, x->number);
}

/* The weights that the training begins with, and the snapshots that are known. */
static void first_weights(expert *x, vl_real *theta)
{
    const vld_resume_point *at = &x->t->start;
    const vlm_model *m = &x->t->model;

    vlm_init(m, x->t->o.seed, (uint64_t)x->number, snapshot(x, 0));
    if (x->number == at->expert && at->before && !(x->t->o.momentum > 0)) {
        x->first = at->snap - 1;
        memcpy(snapshot(x, x->first), at->before, m->n * sizeof *theta);
    }
    memcpy(theta, snapshot(x, x->first), m->n * sizeof *theta);
}

static void train_expert(void *arg, size_t tile, int worker)
{
    expert *x = (expert *)arg + tile;
    const vlm_model *m = &x->t->model;
    const vld_source source = {.data = &x->t->train};
    vld_train_opts to = {.batch = x->t->o.batch,
                         .epochs = x->t->o.epochs,
                         .rate = {x->t->o.rate_image, x->t->o.rate_text},
                         .momentum = x->t->o.momentum,
                         .weight_decay = x->t->o.weight_decay,
                         .smooth = x->t->o.smooth,
                         .aug = x->t->aug};
    vl_real *theta = NULL;

    (void)worker;
    to.seed = vl_rng(x->t->o.seed, vl_rng_stream("expert", (uint64_t)x->number, 0, 0), 0);
    x->rc = VL_ENOMEM;
    x->loss = vl_alloc((size_t)x->t->o.epochs + 1, sizeof *x->loss, &x->e);
    if (x->loss)
        x->weights = vl_alloc((size_t)x->t->o.epochs + 2, m->n * sizeof *x->weights, &x->e);
    if (x->weights) {
        theta = snapshot(x, x->t->o.epochs + 1);
        first_weights(x, theta);
        to.first_epoch = x->first;
        x->rc = offer(x, x->first + 1, &x->e);
    }
    if (!x->rc && x->t->watch) {
        x->rc = vld_forgetting_new(&x->t->train, x->t->o.batch, &x->seen, &x->e);
        to.watch = vld_forgetting_step;
        to.watch_arg = &x->seen;
    }
    if (!x->rc)
        x->rc = vld_train(m, x->pool, &source, &to, theta, after_epoch, x, &x->e);
    if (x->rc)
        fail_expert(x);
}

/* ---- all of them ------------------------------------------------------------------------------ */

/* `count` experts from number `from` on: beside each other, or one with all threads inside it. */
static int train_round(expert_trainer *t, expert *x, int from, int count, vl_err *e)
{
    int rc = VL_OK;

    for (int i = 0; i < count; i++)
        x[i] = (expert){.t = t, .number = from + i, .pool = count == 1 ? t->pool : NULL};
    t->round = x;
    t->from = from;
    t->count = count;
    if (count == 1)
        train_expert(x, 0, 0);
    else
        vl_pool_run(t->pool, (size_t)count, train_expert, x);
    for (int i = 0; i < count; i++) {
        if (!rc && t->write_rc && t->expert == x[i].number) {
            *e = t->write_e;
            rc = t->write_rc;
        }
        if (!rc && x[i].rc) {
            *e = x[i].e;
            rc = x[i].rc;
        }
        if (!rc && t->watch)
            vld_forgetting_add(&t->sum, &x[i].seen, t->o.epochs);
        vld_forgetting_free(&x[i].seen);
        free(x[i].weights);
        free(x[i].loss);
    }
    return rc;
}

int expert_run(expert_trainer *t, vl_err *e)
{
    int threads = vl_pool_threads(t->pool), n = t->o.experts, rc = VL_OK;
    expert *x = vl_alloc((size_t)threads, sizeof *x, e);

    if (!x)
        return VL_ENOMEM;
    atomic_init(&t->first_failed, n);
    cli_progress_begin(&t->progress, "epochs", (uint64_t)(n - t->expert) * (uint64_t)t->o.epochs);
    for (int k = t->expert, count; !rc && k < n; k += count) {
        count = n - k >= threads ? threads : 1;
        rc = train_round(t, x, k, count, e);
    }
    cli_progress_end(&t->progress);
    free(x);
    return rc;
}
