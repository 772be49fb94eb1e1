/* SPDX-License-Identifier: MIT
 * vleval.c -- how good is a small set? Students train on it from scratch and are asked to retrieve.
 *
 *   operands, options --eval_input--> sets, data --eval_rows--> rows, each with a task
 *   tasks --vld_protocol_choose (validation)--> settings --vld_protocol_test (test)--> numbers
 *   numbers --eval_verdict, eval_print, eval_json, eval_report--> table, JSON, page
 *
 * Outputs that are files are opened before anything is trained, so that a bad path costs no minutes. */
#include "cli/eval.h"
#include "cli/msg.h"
#include "cli/runlog.h"
#include "formats/outfile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static eval v = {.o = {.common = CLI_COMMON_DEFAULT,
                       .grid_text = "0.03:0.3,0.1:0.3,0.1:1,0.3:3",
                       .multiples_text = "0.5,1,2",
                       .full_grid_text = "0.1:1,0.2:2",
                       .pairs = 100,
                       .draws = 5,
                       .students = 3,
                       .students_text = "3",
                       .select = "validation",
                       .epochs = 160,
                       .full_epochs = 12,
                       .readings = 8,
                       .dropout = -1,
                       .augment = VLM_DEFAULT_VIEWS}};

static const cli_opt options[] = {
    {0, "data", CLI_GROUP, NULL, NULL, "Data: pairs and embeddings, each shard with an option of its own", 0,
     0, NULL},
    {0, "train", CLI_LIST, &v.o.train, "SHARD", "training data, for the controls", 0, 0, NULL},
    {0, "val", CLI_LIST, &v.o.val, "SHARD", "validation data: rates and epochs are chosen on them", 0, 0,
     NULL},
    {0, "test", CLI_LIST, &v.o.test, "SHARD", "test data: read once a student", 0, 0, NULL},
    {0, "text", CLI_TEXT, &v.o.text_ext, "EXT",
     "member with the text rows; the default is the only *.txt.npy there is", 0, 0, NULL},
    {0, "image", CLI_TEXT, &v.o.image_ext, "EXT", "the same for image rows, of protocol heads", 0, 0, NULL},
    {0, "rows", CLI_GROUP, NULL, NULL, "Rows", 0, 0, NULL},
    {0, "controls", CLI_TEXT, &v.o.controls, "LIST",
     "of chance, random, initial, initial-rates, full (default: all of these that the inputs allow), "
     "herding, "
     "k-center, k-means, density, cosine, forgetting; or none [default]",
     0, 0, NULL},
    {0, "ablate", CLI_TEXT, &v.o.ablate_text, "LIST",
     "of similarity, rates, text, images: distilled sets without what they learned there, a row each", 0, 0,
     NULL},
    {0, "ars", CLI_FLAG, &v.o.ars, NULL,
     "also train random and distilled sets without views and with the same ones: augmentation robust score",
     0, 0, NULL},
    {0, "pairs", CLI_INT, &v.o.pairs, "N", "size of random subsets where no set is given", 2, 1e6, NULL},
    {0, "draws", CLI_INT, &v.o.draws, "N", "random subsets", 1, 1000, NULL},
    {0, "students", CLI_TEXT, &v.o.students_text, "LIST",
     "how many of each set are tested, and other networks to train on the same sets, as in 3,convnet:32x2", 0,
     0, NULL},
    {0, "random-students", CLI_INT, &v.o.random_students, "N", "of each random subset; 0: as --students", 0,
     1000, NULL},
    {0, "full-students", CLI_INT, &v.o.full_students, "N", "of the full data; 0: as --students", 0, 1000,
     NULL},
    {0, "training", CLI_GROUP, NULL, NULL, "Training", 0, 0, NULL},
    {0, "grid", CLI_TEXT, &v.o.grid_text, "LIST", "rates IMAGE:TEXT to choose from, for real pairs", 0, 0,
     NULL},
    {0, "multiples", CLI_TEXT, &v.o.multiples_text, "LIST",
     "of the learned rates to choose from, for distilled sets", 0, 0, NULL},
    {0, "full-grid", CLI_TEXT, &v.o.full_grid_text, "LIST", "rates to choose from, for the full data", 0, 0,
     NULL},
    {0, "epochs", CLI_INT, &v.o.epochs, "N", "the most that are tried on a set", 1, 100000, NULL},
    {0, "full-epochs", CLI_INT, &v.o.full_epochs, "N", "the most that are tried on the full data", 1, 100000,
     NULL},
    {0, "readings", CLI_INT, &v.o.readings, "N", "lengths to choose from, at even distances", 1,
     VLD_MAX_READINGS, NULL},
    {0, "select", CLI_CHOICE, &v.o.select, "WHICH",
     "epoch that counts: chosen on validation, the last, or both in rows of their own", 0, 0,
     "validation|last|both"},
    {0, "legacy-best", CLI_FLAG, &v.o.legacy_best, NULL,
     "also show each row at the reading that is best on the test data, as published tables do; marked", 0, 0,
     NULL},
    {0, "batch", CLI_INT, &v.o.batch, "PAIRS", "a step; 0: as the distilled set says, or 50", 0, 65536, NULL},
    {0, "full-batch", CLI_INT, &v.o.full_batch, "PAIRS", "a step on the full data; 0: as --batch", 0, 65536,
     NULL},
    {0, "momentum", CLI_REAL, &v.o.momentum, "X", "share of the last step that is kept, in every row", 0,
     0.999999, NULL},
    {0, "network", CLI_GROUP, NULL, NULL, "Network; a distilled set names its own", 0, 0, NULL},
    {0, "protocol", CLI_CHOICE, &v.o.protocol, "PARTS",
     "what students train: image, encoder and text head, on pixels; heads, a projection head on each side, "
     "on "
     "features [the set's, or image]",
     0, 0, "image|heads"},
    {0, "encoder", CLI_TEXT, &v.o.encoder, "NAME",
     "of sets of pixels for heads: the frozen encoder that they were made for, as vlembed --image-model", 0,
     0, NULL},
    {0, "base", CLI_PATH, &v.o.base, "FOLDER",
     "folder of the Hugging Face hub with the frozen weights of a vit with lora", 0, 0, NULL},
    {0, "dropout", CLI_REAL, &v.o.dropout, "P", "of heads, while they train; -1: the set's, or 0.1", -1,
     0.999, NULL},
    {0, "model", CLI_TEXT, &v.o.model, "SPEC",
     "convnet:WIDTHxLAYERS or vit:DIMxDEPTHxHEADS/PATCH [the set's, or convnet:64x2]", 0, 0, NULL},
    {0, "size", CLI_INT, &v.o.size, "PIXELS", "side of the images; 0: the set's, or 32", 0, 1024, NULL},
    {0, "embed-dim", CLI_INT, &v.o.embed_dim, "N", "length of embeddings; 0: the set's, or 512", 0, 65536,
     NULL},
    {0, "scale", CLI_REAL, &v.o.scale, "X", "of the logits; 0: the set's, or 7", 0, 1e6, NULL},
    {0, "augment", CLI_TEXT, &v.o.augment, "VIEWS",
     "of real pairs: none, or " VL_AUGMENT_FORM "; a distilled set, and its start with its "
     "rates, are seen as the set was in its making",
     0, 0, NULL},
    {0, "output", CLI_GROUP, NULL, NULL, "Output", 0, 0, NULL},
    {'o', "output", CLI_PATH, &v.o.common.output, "FILE", "write the table to FILE; - is standard output [-]",
     0, 0, NULL},
    {0, "json", CLI_PATH, &v.o.json, "FILE",
     "also write everything as JSON; - is standard output, without the table then", 0, 0, NULL},
    {0, "report", CLI_PATH, &v.o.report, "FILE", "also write a self-contained HTML page", 0, 0, NULL},
    {0, "track", CLI_FLAG, &v.o.track, NULL,
     "also write the digest of the recipe: everything that determines the table", 0, 0, NULL},
    CLI_END};

static const cli_tool tool = {
    .name = "vleval",
    .usage = "[options] --val SHARD... --test SHARD... [SET...]",
    .sentence = "Trains students from scratch on small sets and prints what they retrieve.",
    .example = "vleval --val val.both.tar.zst --test test.both.tar.zst set.tar.zst",
    .options = options,
    .common = &v.o.common,
    .common_set = CLI_SKIP_BAD | CLI_THREADS | CLI_SEED | CLI_DEVICE | CLI_PROGRESS | CLI_RUNLOG,
    .min_operands = 0,
    .max_operands = -1,
    .print_engine = cli_print_blas,
};

typedef struct watcher { /* of the students */
    cli_progress progress;
    cli_runlog *log;
    uint64_t before; /* done in the first half */
} watcher;

static void log_point(cli_runlog *log, const eval_row *r, const vld_tick *t)
{
    const double *g = r->grid->rate[t->index];
    int last = r->out->n_readings - 1;

    cli_runlog_begin(log, "grid point");
    cli_runlog_text(log, "row", r->name);
    cli_runlog_real(log, "grid_image", g[VLM_IMAGE]);
    cli_runlog_real(log, "grid_text", g[VLM_TEXT]);
    cli_runlog_int(log, "epochs", r->out->at[last]);
    cli_runlog_int(log, "diverged", t->point->diverged);
    cli_runlog_real(log, "validation_percent", t->point->valid[last]);
    cli_runlog_real(log, "student_seconds", t->point->seconds);
    cli_runlog_end(log);
}

static void log_student(cli_runlog *log, const eval_row *r, const vld_tick *t)
{
    const vld_student *s = t->student;

    cli_runlog_begin(log, "student");
    cli_runlog_text(log, "row", r->name);
    cli_runlog_int(log, "set", (int64_t)s->draw);
    cli_runlog_int(log, "student", s->number);
    cli_runlog_real(log, "rate_image", s->rate[VLM_IMAGE]);
    cli_runlog_real(log, "rate_text", s->rate[VLM_TEXT]);
    cli_runlog_int(log, "epochs", s->epoch);
    cli_runlog_int(log, "diverged", s->diverged);
    cli_runlog_real(log, "validation_percent", s->valid.mean);
    cli_runlog_real(log, "test_percent", s->test.mean);
    cli_runlog_real(log, "student_seconds", s->seconds);
    cli_runlog_end(log);
}

static void watch(void *arg, const vld_tick *t)
{
    watcher *w = arg;
    const eval_row *r = &v.row[t->task + v.o.chance]; /* chance comes first and has no task */

    if (t->point)
        log_point(w->log, r, t);
    else
        log_student(w->log, r, t);
    cli_progress_at(&w->progress, w->before + t->done, "%s %s", t->point ? "choosing for" : "testing",
                    r->name);
}

/* Both halves; the test data enter here and nowhere before. */
static int measure(watcher *w, vl_err *e)
{
    vl_pool *pool = NULL;
    uint64_t points = 0, students = 0;
    double began = cli_now();
    int rc = vl_pool_new((int)v.o.common.threads, &pool, e);
    vld_protocol p = {&v.model, pool, (uint64_t)v.o.common.seed, &v.val.d, watch, w};

    for (size_t i = 0; i < v.n_tasks; i++) {
        points += v.task[i].shares ? 0 : v.task[i].n_grid;
        students += v.task[i].n_draws * (size_t)v.task[i].students;
    }
    cli_progress_begin(&w->progress, "students", points + students);
    if (!rc)
        rc = vld_protocol_choose(&p, v.task, v.n_tasks, v.out, e);
    w->before = points;
    if (!rc)
        rc = vld_protocol_test(&p, &v.test.d, v.task, v.n_tasks, v.out, e);
    cli_progress_end(&w->progress);
    vl_pool_free(pool);
    v.seconds = cli_now() - began;
    return rc;
}

/* ---- output --------------------------------------------------------------------------------------- */

typedef int (*maker)(const eval *, char **, size_t *, vl_err *);

typedef struct output {
    const char *path; /* NULL: not wanted; "-": standard output */
    maker make;
    vl_outfile *file;
} output;

enum { TABLE, JSON, PAGE, OUTPUTS };

static int outputs_open(output *out, vl_err *e)
{
    int rc = VL_OK;

    for (int i = 0; !rc && i < OUTPUTS; i++)
        if (out[i].path && strcmp(out[i].path, "-"))
            rc = vl_outfile_open(out[i].path, &out[i].file, e);
    return rc;
}

static int output_write(output *out, vl_err *e)
{
    char *text = NULL;
    size_t n = 0;
    int rc = out->make(&v, &text, &n, e);

    if (!rc && out->file) {
        vl_outfile *f = out->file;
        rc = vl_outfile_write(f, text, n, e);
        if (!rc) {
            out->file = NULL;
            rc = vl_outfile_commit(f, e);
        }
    } else if (!rc) {
        fwrite(text, 1, n, stdout); /* cli_stdout_close sees a failure */
    }
    free(text);
    return rc;
}

static int run(output *out, watcher *w, vl_err *e)
{
    int rc = outputs_open(out, e);

    if (!rc)
        rc = eval_load(&v, e);
    if (!rc)
        rc = eval_front(&v, e);
    if (!rc)
        rc = eval_rows(&v, e);
    if (!rc)
        rc = cli_runlog_open(v.o.common.run_log, false, &w->log, e);
    if (!rc && v.o.track)
        rc = eval_track(&v, e);
    if (rc)
        return rc;
    eval_notes(&v);
    rc = measure(w, e);
    if (!rc) {
        eval_rows_done(&v);
        eval_verdict(&v);
    }
    for (int i = 0; !rc && i < OUTPUTS; i++)
        if (out[i].path)
            rc = output_write(&out[i], e);
    return rc;
}

static void check_texts(void)
{
    const struct {
        const char *name, *text;
        eval_grid *grid;
    } g[] = {{"--grid", v.o.grid_text, &v.o.grid},
             {"--multiples", v.o.multiples_text, &v.o.multiples},
             {"--full-grid", v.o.full_grid_text, &v.o.full_grid}};
    vl_err e;

    for (int i = 0; i < 3; i++)
        if (eval_grid_parse(g[i].text, g[i].grid, &e))
            cli_misuse("%s: %s", g[i].name, e.text);
    if (vl_augment_parse(v.o.augment, &v.o.aug, &e))
        cli_misuse("--augment: %s", e.text);
    if (!v.o.val.n)
        cli_misuse("--val: validation data are needed, rates are chosen on them");
    if (!v.o.test.n)
        cli_misuse("--test: test data are needed");
    if (v.o.json && !strcmp(v.o.json, "-") && v.o.report && !strcmp(v.o.report, "-"))
        cli_misuse("--json and --report cannot share standard output");
}

int main(int argc, char **argv)
{
    int n = cli_parse(&tool, argc, argv);
    vl_err e = {0}, closing = {0};
    watcher w = {0};
    int rc;

    check_texts();
    bool table = v.o.common.output ||
                 ((!v.o.json || strcmp(v.o.json, "-")) && (!v.o.report || strcmp(v.o.report, "-")));
    output out[OUTPUTS] = {[TABLE] = {.path = v.o.common.output ? v.o.common.output
                                              : table           ? "-"
                                                                : NULL,
                                      .make = eval_table},
                           [JSON] = {.path = v.o.json, .make = eval_json},
                           [PAGE] = {.path = v.o.report, .make = eval_page}};
    rc = eval_lists_parse(&v, &e);
    if (!rc)
        rc = eval_sets_parse(&v, n, argv + 1, &e);
    if (rc == VL_EARG)
        cli_misuse("%s", e.text);
    if (!rc)
        rc = eval_sets_open(&v, &e);
    if (!rc && eval_protocol(&v, &e))
        cli_misuse("%s", e.text);
    if (!rc && eval_controls_parse(&v, &e) == VL_EARG)
        cli_misuse("%s", e.text);
    if (!rc)
        rc = run(out, &w, &e);
    for (int i = 0; i < OUTPUTS; i++)
        vl_outfile_abort(out[i].file);
    if (cli_runlog_close(w.log, &closing) && !rc) {
        e = closing;
        rc = e.code;
    }
    eval_close(&v);
    if (rc)
        return cli_fail(&e);
    return cli_stdout_close(true);
}
