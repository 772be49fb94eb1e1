/* SPDX-License-Identifier: MIT
 * vltrain_expert.c -- N networks trained on real pairs; their weights after each epoch are trajectories.
 *
 *   pairs, embeddings --vl_data_load--> arrays --vld_train, an expert a thread--> snapshots in memory
 *     --in the order of the experts--> one sealed segment a snapshot
 *
 * As long as at least as many experts are left as there are threads, each thread trains one of them by
 * itself; then one after another is trained by all threads together. Both give the same bits (pool.h), so
 * the bytes written do not depend on -j. Of experts that fail the one with the lowest number is reported: all
 * below it were trained to their end. */
#include "cli/msg.h"
#include "cli/opt.h"
#include "cli/runlog.h"
#include "cli/writer.h"
#include "distill/eval_recall.h"
#include "distill/train.h"
#include "distill/trajectory.h"
#include "pipeline/blas.h"
#include "pipeline/rng.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static struct options {
    cli_common common;
    const char *scope, *model, *augment, *text;
    int64_t size, embed_dim, experts, epochs, batch;
    double scale, rate_image, rate_text, momentum, weight_decay;
    cli_list val;
} o = {
    .common = CLI_COMMON_DEFAULT,
    .scope = "image",
    .model = "convnet:64x2",
    .size = 32,
    .embed_dim = 512,
    .scale = 7,
    .experts = 60,
    .epochs = 2,
    .batch = 64,
    .rate_image = 0.1,
    .rate_text = 1,
    .momentum = 0,
    .weight_decay = 0,
    .augment = "flip+shift2",
};

static const cli_opt options[] = {
    {0, NULL, CLI_GROUP, NULL, NULL, "Network", 0, 0, NULL},
    {0, "scope", CLI_CHOICE, &o.scope, "PARTS", "what is trained: image, the image encoder and the text head",
     0, 0, "image"},
    {0, "model", CLI_TEXT, &o.model, "SPEC", "image encoder: convnet:WIDTHxLAYERS", 0, 0, NULL},
    {0, "size", CLI_INT, &o.size, "PIXELS", "side of the square images, a multiple of 4", 16, 1024, NULL},
    {0, "embed-dim", CLI_INT, &o.embed_dim, "N", "length of the common embedding", 1, 65536, NULL},
    {0, "scale", CLI_REAL, &o.scale, "X", "of the logits: 1 / temperature", 1e-3, 1e6, NULL},
    {0, "text", CLI_TEXT, &o.text, "EXT",
     "member of the embeddings with the text rows; the default is the only one there is", 0, 0, NULL},
    {0, NULL, CLI_GROUP, NULL, NULL, "Training", 0, 0, NULL},
    {'n', "experts", CLI_INT, &o.experts, "N", "how many", 1, VLD_MAX_EXPERTS, NULL},
    {'e', "epochs", CLI_INT, &o.epochs, "N", "of each; a snapshot is written after every one", 1,
     VLD_MAX_SNAPS - 1, NULL},
    {0, "batch", CLI_INT, &o.batch, "PAIRS", "a step", 2, 65536, NULL},
    {0, "rate-image", CLI_REAL, &o.rate_image, "X", "learning rate of the image encoder", 0, 1e38, NULL},
    {0, "rate-text", CLI_REAL, &o.rate_text, "X", "learning rate of the text head", 0, 1e38, NULL},
    {0, "momentum", CLI_REAL, &o.momentum, "X", "share of the last step that is kept", 0, 0.999999, NULL},
    {0, "weight-decay", CLI_REAL, &o.weight_decay, "X", "times rate and weight, a step", 0, 1e6, NULL},
    {0, "augment", CLI_TEXT, &o.augment, "VIEWS",
     "none, flip, shiftN or flip+shiftN: mirrored half of the time, moved by up to N pixels", 0, 0, NULL},
    {0, "val", CLI_LIST, &o.val, "FILE",
     "pairs or embeddings for validation (repeatable): recall is printed after every epoch", 0, 0, NULL},
    CLI_END};

static const cli_tool tool = {
    .name = "vltrain-expert",
    .usage = "[options] PAIRS EMBEDDINGS...",
    .sentence = "Trains expert networks on real pairs and writes their trajectories.",
    .example = "vltrain-expert -n 5 -e 3 -o experts.tar.zst train.tar.zst train.emb.tar.zst",
    .options = options,
    .common = &o.common,
    .common_set = CLI_OUTPUT | CLI_SIGN | CLI_THREADS | CLI_SEED | CLI_DEVICE | CLI_PROGRESS | CLI_RUNLOG,
    .min_operands = 1,
    .max_operands = -1,
};

typedef struct trainer {
    vlm_model model;
    vl_augment aug;
    vl_data train, val;
    vls_parent *parents;
    size_t n_parents;
    json_t *manifest;
    vls_writer *writer;
    vl_pool *pool;
    pthread_mutex_t report; /* of what follows */
    cli_progress progress;
    cli_runlog *log;
    int epochs_done;
    atomic_int first_failed; /* expert; those above it stop */
} trainer;

/* One run: weights[epochs + 1][model.n], losses[epochs + 1]; the weights in training come last. */
typedef struct expert {
    trainer *t;
    int number, rc;
    vl_pool *pool; /* inside this expert; NULL when others run beside it */
    vl_real *weights;
    double *loss;
    vl_err e;
} expert;

/* ---- one expert ------------------------------------------------------------------------------- */

static int validate(expert *x, double *recall, vl_err *e)
{
    const trainer *t = x->t;
    size_t dim = t->model.embed_dim;
    vl_real *theta = x->weights + (size_t)(o.epochs + 1) * t->model.n;
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
    trainer *t = x->t;
    size_t steps = t->train.n / (size_t)o.batch;
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
                    (double)t->epochs_done * (double)(steps * (size_t)o.batch) / seconds);
    pthread_mutex_unlock(&t->report);
}

/* The last step of an epoch may break the weights without a loss that shows it. */
static int check_weights(const expert *x, const vl_real *theta, int epoch, vl_err *e)
{
    for (size_t k = 0; k < x->t->model.n; k++)
        if (!isfinite(theta[k]))
            return vl_fail(e, VL_EMATH, "epoch %d: a weight is not finite (rates %g and %g)", epoch - 1,
                           o.rate_image, o.rate_text);
    return VL_OK;
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
    memcpy(x->weights + (size_t)epoch * x->t->model.n, theta, x->t->model.n * sizeof *theta);
    x->loss[epoch] = loss;
    report_epoch(x, epoch, recall);
    return VL_OK;
}

static void fail_expert(expert *x)
{
    int now = atomic_load(&x->t->first_failed);

    vl_within(&x->e, "expert %d", x->number);
    while (x->number < now && !atomic_compare_exchange_weak(&x->t->first_failed, &now, x->number))
        ;
}

static void train_expert(void *arg, size_t tile, int worker)
{
    expert *x = (expert *)arg + tile;
    const vlm_model *m = &x->t->model;
    const vld_source source = {.data = &x->t->train};
    vld_train_opts to = {.batch = (size_t)o.batch,
                         .epochs = (int)o.epochs,
                         .rate = {o.rate_image, o.rate_text},
                         .momentum = o.momentum,
                         .weight_decay = o.weight_decay,
                         .aug = x->t->aug};
    vl_real *theta;

    (void)worker;
    to.seed = vl_rng((uint64_t)o.common.seed, vl_rng_stream("expert", (uint64_t)x->number, 0, 0), 0);
    x->rc = VL_ENOMEM;
    x->loss = vl_alloc((size_t)o.epochs + 1, sizeof *x->loss, &x->e);
    if (x->loss)
        x->weights = vl_alloc((size_t)o.epochs + 2, m->n * sizeof *x->weights, &x->e);
    if (x->weights) {
        vlm_init(m, (uint64_t)o.common.seed, (uint64_t)x->number, x->weights);
        theta = x->weights + (size_t)(o.epochs + 1) * m->n;
        memcpy(theta, x->weights, m->n * sizeof *theta);
        x->rc = vld_train(m, x->pool, &source, &to, theta, after_epoch, x, &x->e);
    }
    if (x->rc)
        fail_expert(x);
}

/* ---- all of them ------------------------------------------------------------------------------ */

static int write_expert(const trainer *t, const expert *x, vl_err *e)
{
    int rc = VL_OK;

    for (int s = 0; !rc && s <= o.epochs; s++) {
        json_t *stats =
            json_pack("{s:i, s:o, s:[f,f]}", "epoch", s, "loss", s ? json_real(x->loss[s]) : json_null(),
                      "rates", o.rate_image, o.rate_text);
        if (!stats)
            return vl_fail(e, VL_ENOMEM, "out of memory: snapshot");
        rc = vld_snapshot_write(
            t->writer, t->manifest, &t->model, x->number, s, x->weights + (size_t)s * t->model.n,
            s ? x->weights + (size_t)(s - 1) * t->model.n : NULL, stats, t->parents, t->n_parents, e);
        json_decref(stats);
    }
    return rc;
}

/* `count` experts from number `from` on: beside each other, or one with all threads inside it. */
static int train_round(trainer *t, expert *x, int from, int count, vl_err *e)
{
    int rc = VL_OK;

    for (int i = 0; i < count; i++)
        x[i] = (expert){.t = t, .number = from + i, .pool = count == 1 ? t->pool : NULL};
    if (count == 1)
        train_expert(x, 0, 0);
    else
        vl_pool_run(t->pool, (size_t)count, train_expert, x);
    for (int i = 0; i < count; i++) {
        if (!rc && x[i].rc) {
            *e = x[i].e;
            rc = x[i].rc;
        }
        if (!rc)
            rc = write_expert(t, &x[i], e);
        free(x[i].weights);
        free(x[i].loss);
    }
    return rc;
}

static int train_all(trainer *t, vl_err *e)
{
    int threads = vl_pool_threads(t->pool), n = (int)o.experts, rc = VL_OK;
    expert *x = vl_alloc((size_t)threads, sizeof *x, e);

    if (!x)
        return VL_ENOMEM;
    atomic_init(&t->first_failed, n);
    cli_progress_begin(&t->progress, "epochs", (uint64_t)n * (uint64_t)o.epochs);
    for (int k = 0, count; !rc && k < n; k += count) {
        count = n - k >= threads ? threads : 1;
        rc = train_round(t, x, k, count, e);
    }
    cli_progress_end(&t->progress);
    free(x);
    return rc;
}

/* ---- what goes in, and around it -------------------------------------------------------------- */

/* Operands come in any order, the bytes written do not show it. */
static int by_kind(const void *a, const void *b)
{
    const vls_parent *p = a, *q = b;
    int c = strcmp(q->kind, p->kind); /* pairs before embeddings */

    return c ? c : strcmp(p->id, q->id);
}

static int load(trainer *t, char **paths, int n, vl_err *e)
{
    const vl_data_opts data = {.size = (size_t)o.size,
                               .text_ext = o.text,
                               .images = true,
                               .text = true,
                               .threads = (int)o.common.threads};
    int rc;

    t->n_parents = (size_t)n;
    t->parents = vl_alloc((size_t)n, sizeof *t->parents, e);
    if (!t->parents)
        return VL_ENOMEM;
    rc = vl_data_load((const char *const *)paths, (size_t)n, &data, &t->train, t->parents, e);
    if (!rc)
        qsort(t->parents, t->n_parents, sizeof *t->parents, by_kind);
    if (!rc && o.val.n)
        rc = vl_data_load(o.val.item, (size_t)o.val.n, &data, &t->val, NULL, e);
    if (!rc && o.val.n && t->val.text_dim != t->train.text_dim)
        rc = vl_fail(e, VL_EFORMAT, "texts for validation have %zu numbers, those for training %zu",
                     t->val.text_dim, t->train.text_dim);
    if (!rc && t->train.n < 2)
        rc = vl_fail(e, VL_EFORMAT, "%s: %zu pair, at least 2 needed", paths[0], t->train.n);
    if (!rc && (size_t)o.batch > t->train.n) {
        cli_warn("there are %zu pairs: a batch has so many, not %d", t->train.n, (int)o.batch);
        o.batch = (int64_t)t->train.n;
    }
    return rc;
}

static int make_manifest(trainer *t, vl_err *e)
{
    json_t *schema = NULL, *opts;
    int rc = vld_manifest("trajectory", tool.name, o.common.seed, &t->model, &t->aug, &t->manifest, e);

    if (!rc)
        rc = vld_trajectory_schema(&t->model, &schema, e);
    if (rc)
        return rc;
    opts = json_pack("{s:s, s:I, s:I, s:I, s:f, s:f, s:f, s:f}", "scope", o.scope, "experts",
                     (json_int_t)o.experts, "epochs", (json_int_t)o.epochs, "batch", (json_int_t)o.batch,
                     "rate_image", o.rate_image, "rate_text", o.rate_text, "momentum", o.momentum,
                     "weight_decay", o.weight_decay);
    rc = json_object_set_new(t->manifest, "schema", schema) |
         json_object_set_new(t->manifest, "options", opts);
    return rc ? vl_fail(e, VL_ENOMEM, "out of memory: manifest") : VL_OK;
}

static int run(trainer *t, char **paths, int n, vl_err *e)
{
    int rc = cli_runlog_open(o.common.run_log, false, &t->log, e);

    if (!rc)
        rc = load(t, paths, n, e);
    if (!rc)
        rc =
            vlm_parse(o.model, (size_t)o.size, t->train.text_dim, (size_t)o.embed_dim, o.scale, &t->model, e);
    if (!rc)
        rc = make_manifest(t, e);
    if (!rc)
        rc = vl_pool_new((int)o.common.threads, &t->pool, e);
    if (!rc)
        rc = cli_writer_open(&o.common, &t->writer, e);
    if (!rc)
        rc = train_all(t, e);
    if (!rc) {
        vls_writer *w = t->writer;
        t->writer = NULL;
        rc = vls_writer_close(w, e);
    }
    return rc;
}

static int clean_up(trainer *t, int rc, vl_err *e)
{
    vl_err late;

    vls_writer_abort(t->writer);
    vl_pool_free(t->pool);
    json_decref(t->manifest);
    vls_parents_free(t->parents, t->n_parents);
    vl_data_free(&t->val);
    vl_data_free(&t->train);
    if (cli_runlog_close(t->log, &late) && !rc) {
        *e = late;
        rc = late.code;
    }
    return rc;
}

/* Everything that can be said before a file is opened. */
static void check_line(trainer *t)
{
    vl_err e;

    if (vl_augment_parse(o.augment, &t->aug, &e))
        cli_misuse("--augment: %s", e.text);
    if (vlm_parse(o.model, (size_t)o.size, 1, (size_t)o.embed_dim, o.scale, &t->model, &e))
        cli_misuse("%s", e.text);
    cli_refuse_tty(o.common.output);
}

int main(int argc, char **argv)
{
    trainer t = {.report = PTHREAD_MUTEX_INITIALIZER};
    int n = cli_parse(&tool, argc, argv);
    double t0 = cli_now(), seconds, images;
    vl_err e = {0};
    int rc;

    check_line(&t);
    rc = run(&t, argv + 1, n, &e);
    seconds = cli_now() - t0;
    images = (double)(o.experts * o.epochs) * (double)(t.train.n / (size_t)o.batch * (size_t)o.batch);
    if (clean_up(&t, rc, &e))
        return cli_fail(&e);
    cli_info("%d experts of %d epochs in %.1f s: %.0f images/s, %.1f GFLOP/s", (int)o.experts, (int)o.epochs,
             seconds, images / seconds, 1e-9 * vl_blas_flops() / seconds);
    return 0;
}
