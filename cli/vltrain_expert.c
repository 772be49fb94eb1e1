/* SPDX-License-Identifier: MIT
 * vltrain_expert.c -- N networks trained on real pairs; their weights after each epoch are trajectories.
 *
 *   pairs, embeddings --vl_data_load--> arrays --vld_train, an expert a thread--> snapshots in memory
 *     --in the order of the experts--> one sealed segment a snapshot        (expert_run.c) */
#include "cli/expert_run.h"
#include "cli/opt.h"
#include "cli/writer.h"
#include "pipeline/blas.h"
#include "pipeline/vit_base.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct options {
    cli_common common;
    const char *scope, *model, *augment, *text, *image, *base;
    int64_t size, embed_dim, experts, epochs, batch;
    double scale, dropout, rate_image, rate_text, momentum, weight_decay;
    vld_smooth_opts smooth;
    bool resume;
    const char *scores;
    cli_list val;
} o = {
    .common = CLI_COMMON_DEFAULT,
    .scope = "image",
    .size = VLM_DEFAULT_SIZE,
    .embed_dim = VLM_DEFAULT_EMBED,
    .scale = VLM_DEFAULT_SCALE,
    .experts = 64,
    .epochs = 3,
    .batch = 64,
    .rate_image = 0.1,
    .rate_text = 1,
    .momentum = 0,
    .weight_decay = 0,
    .dropout = 0.1,
};

static const cli_opt options[] = {
    {0, NULL, CLI_GROUP, NULL, NULL, "Network", 0, 0, NULL},
    {0, "scope", CLI_CHOICE, &o.scope, "PARTS",
     "what is trained: image, the image encoder and the text head, on pairs; heads, a projection head on "
     "each side, "
     "on embeddings of images and captions",
     0, 0, "image|heads"},
    {0, "model", CLI_TEXT, &o.model, "SPEC",
     "image encoder: convnet:WIDTHxLAYERS or vit:DIMxDEPTHxHEADS/PATCH, which ,lora=R may follow "
     "[" VLM_DEFAULT_SPEC "]",
     0, 0, NULL},
    {0, "base", CLI_PATH, &o.base, "FOLDER",
     "folder of the Hugging Face hub (ViT, DINO, DINOv2) with the frozen weights of a vit with lora", 0, 0,
     NULL},
    {0, "dropout", CLI_REAL, &o.dropout, "P", "of the heads, while they train", 0, 0.999, NULL},
    {0, "size", CLI_INT, &o.size, "PIXELS", "side of the square images, a multiple of 4, or of the patch", 16,
     1024, NULL},
    {0, "embed-dim", CLI_INT, &o.embed_dim, "N", "length of the common embedding", 1, 65536, NULL},
    {0, "scale", CLI_REAL, &o.scale, "X", "of the logits: 1 / temperature", 1e-3, 1e6, NULL},
    {0, "text", CLI_TEXT, &o.text, "EXT",
     "member of the embeddings with the text rows; the default is the only one there is", 0, 0, NULL},
    {0, "image", CLI_TEXT, &o.image, "EXT",
     "the same for the image rows of scope heads, such as convnet-64x2-seed1.img.npy", 0, 0, NULL},
    {0, NULL, CLI_GROUP, NULL, NULL, "Training", 0, 0, NULL},
    {'n', "experts", CLI_INT, &o.experts, "N", "how many", 1, VLD_MAX_EXPERTS, NULL},
    {'e', "epochs", CLI_INT, &o.epochs, "N", "of each; a snapshot is written after every one", 1,
     VLD_MAX_SNAPS - 1, NULL},
    {0, "batch", CLI_INT, &o.batch, "PAIRS", "a step", 2, 65536, NULL},
    {0, "rate-image", CLI_REAL, &o.rate_image, "X", "learning rate of the image branch", 0, 1e38, NULL},
    {0, "rate-text", CLI_REAL, &o.rate_text, "X", "learning rate of the text branch", 0, 1e38, NULL},
    {0, "momentum", CLI_REAL, &o.momentum, "X", "share of the last step that is kept", 0, 0.999999, NULL},
    {0, "weight-decay", CLI_REAL, &o.weight_decay, "X", "times rate and weight, a step", 0, 1e6, NULL},
    {0, "flat", CLI_REAL, &o.smooth.flat, "RHO",
     "flat ways: take the gradient so far further up its own direction; two passes a step; 0: no", 0, 1e6,
     NULL},
    {0, "grad-penalty", CLI_REAL, &o.smooth.penalty, "X",
     "smooth ways: weight of the gradient's length beside the loss; a tangent sweep a step; 0: no", 0, 1e6,
     NULL},
    {0, "clip", CLI_REAL, &o.smooth.clip, "LENGTH", "of a branch's longer gradient; 0: never", 0, 1e30, NULL},
    {0, "augment", CLI_TEXT, &o.augment, "VIEWS",
     "of images: none, or " VL_AUGMENT_FORM ", mirrored half of the time, moved by up to N pixels, and so on "
     "[" VLM_DEFAULT_VIEWS "]",
     0, 0, NULL},
    {0, "val", CLI_LIST, &o.val, "FILE",
     "pairs or embeddings for validation (repeatable): recall is printed after every epoch", 0, 0, NULL},
    {0, "resume", CLI_FLAG, &o.resume, NULL,
     "go on with FILE.part, which an earlier run of the same command left; begin where there is none", 0, 0,
     NULL},
    {0, "scores", CLI_PATH, &o.scores, "FILE",
     "also write how often each record was forgotten, and its mean loss, for vlselect", 0, 0, NULL},
    CLI_END};

static const cli_tool tool = {
    .name = "vltrain-expert",
    .usage = "[options] [PAIRS...] EMBEDDINGS...",
    .sentence = "Trains expert networks on real pairs and writes their trajectories.",
    .example = "vltrain-expert -n 5 -e 3 -o experts.tar.zst train.tar.zst train.emb.tar.zst",
    .options = options,
    .common = &o.common,
    .common_set = CLI_OUTPUT | CLI_SIGN | CLI_SKIP_BAD | CLI_THREADS | CLI_SEED | CLI_DEVICE | CLI_PROGRESS |
                  CLI_RUNLOG,
    .min_operands = 1,
    .max_operands = -1,
    .print_engine = cli_print_blas,
};

static bool heads_only(void)
{
    return !strcmp(o.scope, "heads");
}

/* The network, for images and texts of this many numbers. */
static int parse_model(size_t features, size_t text_dim, vlm_model *m, vl_err *e)
{
    char spec[64];

    if (!heads_only())
        return vlm_parse(o.model ? o.model : VLM_DEFAULT_SPEC, (size_t)o.size, text_dim, (size_t)o.embed_dim,
                         o.scale, m, e);
    snprintf(spec, sizeof spec, "heads:%zu,dropout=%.6f", features, o.dropout);
    return vlm_parse_heads(spec, text_dim, (size_t)o.embed_dim, o.scale, m, e);
}

/* ---- what goes in, and around it -------------------------------------------------------------- */

/* Operands come in any order, the bytes written do not show it. */
static int by_kind(const void *a, const void *b)
{
    const vls_parent *p = a, *q = b;
    int c = strcmp(q->kind, p->kind); /* pairs before embeddings */

    return c ? c : strcmp(p->id, q->id);
}

static int load_data(const char *const *paths, int n, cli_losses *losses, vl_data *out, vls_parent *parents,
                     vl_err *e)
{
    const vls_left_out ear = cli_losses_ear(losses);
    const vl_data_opts data = {.size = (size_t)o.size,
                               .text_ext = o.text,
                               .image_ext = o.image,
                               .images = !heads_only(),
                               .features = heads_only(),
                               .text = true,
                               .threads = (int)o.common.threads,
                               .left_out = o.common.skip_bad ? &ear : NULL};
    int rc = vl_data_load(paths, (size_t)n, &data, out, parents, e);

    return rc ? rc : cli_losses_done(losses, e);
}

/* What is missing of the data for validation is said; it changes nothing that is written. */
static int load_val(expert_trainer *t, vl_err *e)
{
    cli_losses losses = {0};
    int rc = load_data(o.val.item, o.val.n, &losses, &t->val, NULL, e);

    cli_losses_free(&losses);
    return rc;
}

static int load(expert_trainer *t, char **paths, int n, vl_err *e)
{
    int rc;

    t->n_parents = (size_t)n;
    t->parents = vl_alloc((size_t)n, sizeof *t->parents, e);
    if (!t->parents)
        return VL_ENOMEM;
    rc = load_data((const char *const *)paths, n, &t->losses, &t->train, t->parents, e);
    if (!rc)
        qsort(t->parents, t->n_parents, sizeof *t->parents, by_kind);
    if (!rc && o.val.n)
        rc = load_val(t, e);
    if (!rc && t->train.n < 2)
        rc = vl_fail(e, VL_EFORMAT, "%s: %zu pair, at least 2 needed", paths[0], t->train.n);
    if (!rc && (size_t)o.batch > t->train.n) {
        cli_warn("there are %zu pairs: a batch has so many, not %d", t->train.n, (int)o.batch);
        o.batch = (int64_t)t->train.n;
    }
    return rc;
}

/* Those that are used. */
static int add_smooth(json_t *opts)
{
    const struct {
        const char *name;
        double value;
    } row[] = {{"flat", o.smooth.flat}, {"grad_penalty", o.smooth.penalty}, {"clip", o.smooth.clip}};
    int bad = 0;

    for (size_t i = 0; i < sizeof row / sizeof *row; i++)
        if (row[i].value > 0)
            bad |= json_object_set_new(opts, row[i].name, json_real(row[i].value));
    return bad;
}

static int make_manifest(expert_trainer *t, vl_err *e)
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
    rc = add_smooth(opts) | json_object_set_new(t->manifest, "schema", schema) |
         json_object_set_new(t->manifest, "options", opts);
    if (t->train.feature_model)
        rc |= json_object_set_new(t->manifest, "encoder", json_string(t->train.feature_model));
    return rc ? vl_fail(e, VL_ENOMEM, "out of memory: manifest") : VL_OK;
}

/* The output, and how far it has come. */
static int open_output(expert_trainer *t, vl_err *e)
{
    vls_write_opts how = {.part = true, .resume = o.resume, .threads = 1};
    const vld_resume_plan plan = {&t->model,      t->manifest,   t->parents,   t->n_parents,
                                  (int)o.experts, (int)o.epochs, t->losses.all};
    vls_resumed was;
    int rc = cli_sign_key(&o.common, &how.sign, e);

    if (!rc)
        rc = vls_writer_open_opts(o.common.output, &how, &t->writer, e);
    if (rc)
        return rc;
    was = vls_writer_resumed(t->writer);
    if (was.segments)
        rc = vld_resume_read(was.path, &plan, &t->start, e);
    if (rc)
        return rc;
    t->expert = t->start.expert;
    t->snap = t->start.snap;
    if (was.segments)
        cli_info("%s: goes on at expert %d, snapshot %d; %" PRIu64 " bytes that were not sealed are cut",
                 was.path, t->expert, t->snap, was.cut);
    else if (o.resume)
        cli_info("nothing to resume: begins");
    return VL_OK;
}

static void take_options(expert_trainer *t)
{
    t->o = (expert_opts){.experts = (int)o.experts,
                         .epochs = (int)o.epochs,
                         .batch = (size_t)o.batch,
                         .rate_image = o.rate_image,
                         .rate_text = o.rate_text,
                         .momentum = o.momentum,
                         .weight_decay = o.weight_decay,
                         .smooth = o.smooth,
                         .seed = (uint64_t)o.common.seed};
}

/* ---- scores of the records -------------------------------------------------------------------- */

static int open_scores(expert_trainer *t, vls_writer **scores, vl_err *e)
{
    cli_common common = o.common;

    if (!o.scores)
        return VL_OK;
    t->watch = true;
    common.output = o.scores;
    return vld_forgetting_sum_new(t->train.n, &t->sum, e) ? VL_ENOMEM : cli_writer_open(&common, scores, e);
}

static int write_scores(expert_trainer *t, vls_writer **scores, vl_err *e)
{
    vls_writer *w = *scores;
    size_t left_out;
    int rc;

    if (!w)
        return VL_OK;
    rc = vld_forgetting_write(&t->sum, &t->train, t->manifest, t->parents, t->n_parents, w, &left_out, e);
    if (rc)
        return rc;
    if (left_out)
        cli_warn("%s: %zu records were in no batch and have no score", o.scores, left_out);
    *scores = NULL;
    return vls_writer_close(w, e);
}

/* ---- all of it -------------------------------------------------------------------------------- */

static int run(expert_trainer *t, char **paths, int n, vl_err *e)
{
    vls_writer *scores = NULL;
    int rc = cli_runlog_open(o.common.run_log, o.resume, &t->log, e);

    if (!rc)
        rc = load(t, paths, n, e);
    if (!rc)
        rc = parse_model(t->train.feature_dim, t->train.text_dim, &t->model, e);
    if (!rc && o.base)
        rc = vlm_base_load(&t->model, o.base, true, &t->base, e);
    if (!rc && o.val.n)
        rc = vld_data_fits(&t->model, &t->val, e) ? vl_within(e, "data for validation") : VL_OK;
    if (!rc)
        rc = make_manifest(t, e);
    if (!rc)
        rc = vl_pool_new((int)o.common.threads, &t->pool, e);
    if (!rc)
        rc = open_output(t, e);
    if (!rc)
        rc = open_scores(t, &scores, e);
    take_options(t); /* the batch may have been cut */
    if (!rc)
        rc = expert_run(t, e);
    if (!rc)
        rc = write_scores(t, &scores, e);
    vls_writer_abort(scores);
    if (!rc) {
        vls_writer *w = t->writer;
        t->writer = NULL;
        rc = vls_writer_close(w, e);
    }
    if (rc == VL_EMATH) { /* the same command would end here again */
        vls_writer_discard(t->writer);
        t->writer = NULL;
    }
    return rc;
}

/* Ends the output without a result; what a later run can go on with is named. */
static void leave_output(expert_trainer *t)
{
    const char *part = t->writer ? vls_writer_resumed(t->writer).path : NULL;
    char *name = part ? vl_strdup(part, NULL) : NULL;

    vls_writer_abort(t->writer);
    if (name && !access(name, F_OK))
        cli_info("%s stays: --resume goes on with it", name);
    free(name);
}

static int clean_up(expert_trainer *t, int rc, vl_err *e)
{
    vl_err late;

    leave_output(t);
    vl_pool_free(t->pool);
    free(t->base);
    json_decref(t->manifest);
    free(t->start.before);
    cli_losses_free(&t->losses);
    vld_forgetting_sum_free(&t->sum);
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
static void check_line(expert_trainer *t)
{
    vl_err e;

    if (heads_only() && (o.model || o.augment || o.base))
        cli_misuse("--%s is of pixels: scope heads has features", o.model     ? "model"
                                                                  : o.augment ? "augment"
                                                                              : "base");
    if (!heads_only() && o.image)
        cli_misuse("--image is of scope heads: scope image has pixels");
    if (vl_augment_parse(o.augment ? o.augment : heads_only() ? "none" : VLM_DEFAULT_VIEWS, &t->aug, &e))
        cli_misuse("--augment: %s", e.text);
    if (parse_model(1, 1, &t->model, &e))
        cli_misuse("%s", e.text);
    if (o.resume && (!o.common.output || !strcmp(o.common.output, "-")))
        cli_misuse("--resume: standard output cannot be resumed, -o FILE is needed");
    if (o.resume && o.scores)
        cli_misuse("--scores with --resume: the epochs of the earlier run left none");
    cli_refuse_tty(o.common.output);
    if (o.scores)
        cli_refuse_tty(o.scores);
}

int main(int argc, char **argv)
{
    expert_trainer t = {.report = PTHREAD_MUTEX_INITIALIZER};
    int n = cli_parse(&tool, argc, argv);
    double t0 = cli_now(), seconds, images;
    vl_err e = {0};
    int rc;

    check_line(&t);
    rc = run(&t, argv + 1, n, &e);
    seconds = cli_now() - t0;
    images = (double)t.epochs_done * (double)(t.train.n / (size_t)o.batch * (size_t)o.batch);
    if (clean_up(&t, rc, &e))
        return cli_fail(&e);
    cli_info("%d experts of %d epochs in %.1f s: %.0f images/s, %.1f GFLOP/s", (int)o.experts, (int)o.epochs,
             seconds, images / seconds, 1e-9 * vl_blas_flops() / seconds);
    return 0;
}
