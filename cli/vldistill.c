/* SPDX-License-Identifier: MIT
 * vldistill.c -- expert trajectories and real pairs into a few synthetic pairs.
 *
 *   trajectories --> vld_experts            real pairs, embeddings --> vl_data
 *                         \                  /  (a few of them: where the set starts)
 *                          outer loop on the set --> one distilled segment
 *
 * All the work is in distill/outer.h and distill/single.h; here are the options. cli/distill.h names the other parts of the tool. */
#include "cli/distill.h"
#include "cli/msg.h"

#include <stdlib.h>
#include <string.h>

static distill_options o = {.common = CLI_COMMON_DEFAULT,
                            .method = "best",
                            .dataset = "flickr30k",
                            .gradient = "exact",
                            .loss = "infonce",
                            .similarity = "none",
                            .normaliser = "split",
                            .init = "real",
                            .space = "experts",
                            .checkpoint = 60,
                            .optimizer = "adam",
                            .schedule = "cosine",
                            .pairs = 100,
                            .inner_steps = 4,
                            .warm_steps = 50,
                            .batch = 50,
                            .start_max = 1,
                            .expert_epochs = 3,
                            .committee = 1,
                            .alpha = 1,
                            .rate_image = 0.12,
                            .rate_text = 2,
                            .rate_min = VLD_RATE_MIN,
                            .rate_max = VLD_RATE_MAX,
                            .step_image = 0.015,
                            .step_text = 0.002,
                            .step_similarity = 0.01,
                            .step_rates = 0.02,
                            .kernel = "gauss",
                            .real_batch = 256,
                            .rho = 1,
                            .lambda = 0.1,
                            .gke = 0.8,
                            .sigma = 0.5,
                            .width = 1,
                            .ridge = 0.01,
                            .text_to_image = 0.5,
                            .merge = VLD_MERGE_ALPHA};

static const cli_opt options[] = {
    {0, "real", CLI_LIST, &o.real, "SHARD", "real pairs and their embeddings; give it for each shard", 0, 0,
     NULL},
    {0, "text", CLI_TEXT, &o.text, "EXT",
     "which embeddings to use, such as hash768.txt.npy; the default is the only ones there are", 0, 0, NULL},
    {0, "image", CLI_TEXT, &o.image, "EXT", "the same for the image rows that experts of scope heads see", 0,
     0, NULL},
    {0, "base", CLI_PATH, &o.base, "FOLDER",
     "folder of the Hugging Face hub with the frozen weights that the experts' network names", 0, 0, NULL},
    {0, "pairs", CLI_INT, &o.pairs, "N", "synthetic pairs to make", 2, 100000, NULL},
    {0, "init", CLI_CHOICE, &o.init, "FROM",
     "real pairs to start from: drawn at random (real, and noise in place of their images), or by vlselect's "
     "k-means or k-center on features",
     0, 0, "real|k-means|k-center|noise"},
    {0, "space", CLI_CHOICE, &o.space, "KIND",
     "what the set's images are for experts of scope heads: features, or pixels in front of their encoder "
     "[what the experts see]",
     0, 0, "experts|features|pixels"},
    {0, "encoder", CLI_TEXT, &o.encoder, "NAME",
     "of --space pixels: the frozen encoder whose rows the experts know, as vlembed --image-model", 0, 0,
     NULL},
    {0, "memory", CLI_SIZE, &o.memory, "SIZE",
     "for the encoder's activations: fewer images are held, and computed again on the way back; 0: all are "
     "held",
     0, 1e15, NULL},
    {0, "checkpoint", CLI_REAL, &o.checkpoint, "SECONDS",
     "keep the state in FILE.checkpoint, so often; 0: never. It is gone when the set is written", 0, 1e9,
     NULL},
    {0, "resume", CLI_FLAG, &o.resume, NULL,
     "go on with FILE.checkpoint, which an earlier run of the same command left; begin where there is none",
     0, 0, NULL},
    {0, "method", CLI_CHOICE, &o.method, "NAME",
     "a published method: sets what follows, where it is not given; --method NAME --help shows it", 0, 0,
     distill_methods},
    {0, "dataset", CLI_CHOICE, &o.dataset, "NAME", "whose published settings --method takes, with --pairs", 0,
     0, "flickr30k|coco"},
    {0, "matching", CLI_GROUP, NULL, NULL, "Matching", 0, 0, NULL},
    {0, "match", CLI_CHOICE, &o.match, "SCOPE",
     "what the experts must be: of scope heads or image, or lora, of scope image by low-rank factors [what "
     "they are]",
     0, 0, "heads|image|lora"},
    {0, "gradient", CLI_CHOICE, &o.gradient, "KIND", "exact: the adjoint; tesla: without the Hessian terms",
     0, 0, "exact|tesla"},
    {0, "loss", CLI_CHOICE, &o.loss, "LOSS", "that students and inner steps go down", 0, 0,
     "infonce|wbce|bce|ence"},
    {0, "similarity", CLI_TEXT, &o.similarity, "KIND",
     "of every image with every text, learned with the set: none, full or lowrank:R", 0, 0, NULL},
    {0, "alpha", CLI_REAL, &o.alpha, "X", "of lowrank: the similarity is ALPHA / R L R' + diag(w)", 0, 1e6,
     NULL},
    {0, "blend", CLI_REAL, &o.blend, "X",
     "mix the inputs of a batch with one another, by a share of Beta(X, X); 0: never", 0, 1000, NULL},
    {0, "normaliser", CLI_CHOICE, &o.normaliser, "HOW",
     "of the match: each branch by its own distance, or both by the sum", 0, 0, "split|merged"},
    {0, "iterations", CLI_INT, &o.iterations, "N",
     "outer iterations; 0: 600, or 2000 where heads are trained inside", 0, 1e7, NULL},
    {0, "inner-steps", CLI_INT, &o.inner_steps, "T", "training steps on the set in an iteration", 1, 4096,
     NULL},
    {0, "warm-steps", CLI_INT, &o.warm_steps, "N",
     "begin each iteration behind 0 to N further training steps on the set, drawn anew, which no gradient "
     "goes through: students train longer than T steps",
     0, 4096, NULL},
    {0, "batch", CLI_INT, &o.batch, "N", "pairs in a training step; cut to --pairs", 2, 100000, NULL},
    {0, "start-max", CLI_INT, &o.start_max, "N", "start from the experts' snapshots 0 to N-1", 1, 4096, NULL},
    {0, "text-start-max", CLI_INT, &o.text_start_max, "N",
     "draw the text branch's start by itself, from 0 to N-1; 0: it starts where the image branch does", 0,
     4096, NULL},
    {0, "expert-epochs", CLI_INT, &o.expert_epochs, "N", "aim at the snapshot so many epochs ahead", 1, 4096,
     NULL},
    {0, "intermediate", CLI_FLAG, &o.intermediate, NULL,
     "aim at the experts' snapshots on the way, too: evenly over the steps, one for each epoch ahead", 0, 0,
     NULL},
    {0, "perturb", CLI_REAL, &o.perturb, "SIGMA",
     "start from the snapshot plus normal noise, by that share of each tensor's standard deviation; 0: none",
     0, 1e6, NULL},
    {0, "convexify", CLI_FLAG, &o.convexify, NULL,
     "straighten the experts' ways: snapshots move onto the line from the first to the last, as far along as "
     "the way to them is long",
     0, 0, NULL},
    {0, "committee", CLI_INT, &o.committee, "N", "experts an iteration, whose gradients are averaged", 1,
     1024, NULL},
    {0, "augment", CLI_TEXT, &o.augment, "VIEWS",
     "views of the set in training steps: none, or " VL_AUGMENT_FORM "; students see it the same way "
     "[the experts']",
     0, 0, NULL},
    {0, "log-cosine", CLI_INT, &o.log_cosine, "N",
     "every N iterations also compute the other gradient and log the cosine between them; 0: never", 0, 1e7,
     NULL},
    {0, "single", CLI_GROUP, NULL, NULL, "Without inner training (covmatch, mdm, krr)", 0, 0, NULL},
    {0, "real-batch", CLI_INT, &o.real_batch, "N", "real pairs an iteration; cut to all there are", 1, 1e6,
     NULL},
    {0, "teacher", CLI_FLAG, &o.teacher, NULL,
     "covmatch: compare means under a teacher, as mdm has one, in place of those of the rows themselves", 0,
     0, NULL},
    {0, "merge", CLI_REAL, &o.merge, "X",
     "a teacher's share of the second of its two snapshots, which are --expert-epochs or later", 0, 1, NULL},
    {0, "rho", CLI_REAL, &o.rho, "X", "covmatch: aim at so many times the real cross-covariance", 1e-9, 1e9,
     NULL},
    {0, "lambda", CLI_REAL, &o.lambda, "X", "covmatch: weight of the means' distances", 0, 1e9, NULL},
    {0, "gke", CLI_REAL, &o.gke, "X", "mdm: weight of each kernel energy beside InfoNCE", 0, 1e9, NULL},
    {0, "sigma", CLI_REAL, &o.sigma, "RADIANS", "mdm: width of the kernel of angles", 1e-6, 1e6, NULL},
    {0, "kernel", CLI_CHOICE, &o.kernel, "KIND", "krr: of rows about the real mean", 0, 0, "gauss|linear"},
    {0, "width", CLI_REAL, &o.width, "X", "krr: of gauss, in standard deviations of the real rows", 1e-6, 1e6,
     NULL},
    {0, "ridge", CLI_REAL, &o.ridge, "X", "krr: in units of the kernel matrix's mean diagonal", 1e-9, 1e9,
     NULL},
    {0, "text-to-image", CLI_REAL, &o.text_to_image, "X",
     "krr: weight of predicting images from texts; the other way has the rest", 0, 1, NULL},
    {0, "steps", CLI_GROUP, NULL, NULL, "Steps", 0, 0, NULL},
    {0, "optimizer", CLI_CHOICE, &o.optimizer, "NAME",
     "of the outer steps; rates move by their logarithm with adam", 0, 0, "adam|sgd"},
    {0, "momentum", CLI_REAL, &o.momentum, "X", "of sgd", 0, 0.999999, NULL},
    {0, "schedule", CLI_CHOICE, &o.schedule, "HOW", "cosine: steps fall to a tenth; constant", 0, 0,
     "cosine|constant"},
    {0, "clip", CLI_REAL, &o.clip, "LENGTH", "of a longer gradient of images, texts or similarity; 0: never",
     0, 1e30, NULL},
    {0, "rate-image", CLI_REAL, &o.rate_image, "RATE", "first inner learning rate of the image branch", 1e-9,
     1e9, NULL},
    {0, "rate-text", CLI_REAL, &o.rate_text, "RATE", "first inner learning rate of the text branch", 1e-9,
     1e9, NULL},
    {0, "rate-min", CLI_REAL, &o.rate_min, "RATE", "the least that an inner rate may become", 1e-9, 1e9,
     NULL},
    {0, "rate-max", CLI_REAL, &o.rate_max, "RATE", "the most", 1e-9, 1e9, NULL},
    {0, "step-image", CLI_REAL, &o.step_image, "STEP",
     "of the images, in standard deviations of pixels, or of the features' numbers", 0, 1e6, NULL},
    {0, "step-text", CLI_REAL, &o.step_text, "STEP", "of the texts' numbers; a text has length 1", 0, 1e6,
     NULL},
    {0, "step-similarity", CLI_REAL, &o.step_similarity, "STEP", "of the similarity's numbers", 0, 1e6, NULL},
    {0, "step-rates", CLI_REAL, &o.step_rates, "STEP", "of the inner rates; with adam, of their logarithms",
     0, 1e3, NULL},
    CLI_END};

/* The method, the data set and the budget decide the defaults of other options. */
static void take_method(void)
{
    distill_options preset = o;

    distill_preset(&preset);
    cli_take_defaults(&preset, &o, sizeof o);
}

static const cli_tool tool = {
    .name = "vldistill",
    .usage = "[options] --real PAIRS --real EMBEDDINGS TRAJECTORIES...",
    .sentence = "Distils real pairs into a few synthetic ones, by matching training trajectories or without "
                "training.",
    .example = "vldistill --real train.tar.zst --real train.emb.tar.zst -o set.tar.zst experts.tar.zst",
    .options = options,
    .common = &o.common,
    .common_set = CLI_OUTPUT | CLI_SIGN | CLI_SKIP_BAD | CLI_THREADS | CLI_SEED | CLI_DEVICE | CLI_PROGRESS |
                  CLI_RUNLOG,
    .min_operands = 1,
    .max_operands = -1,
    .print_engine = cli_print_blas,
    .settle = take_method,
};

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
    if (o.resume && (!o.common.output || !strcmp(o.common.output, "-")))
        cli_misuse("--resume: standard output cannot be resumed, -o FILE is needed");
    if (o.intermediate && (o.expert_epochs < 2 || o.expert_epochs > o.inner_steps))
        cli_misuse("--intermediate: --expert-epochs is %d, 2 to the %d of --inner-steps wanted",
                   (int)o.expert_epochs, (int)o.inner_steps);
    if (o.rate_min > o.rate_max)
        cli_misuse("--rate-min %g is more than --rate-max %g", o.rate_min, o.rate_max);
}

/* Options that the method would not look at are misuse. */
static void check_idle(void)
{
    static const char *const inner[] = {
        "gradient",   "loss",        "similarity", "alpha",           "blend",
        "normaliser", "inner-steps", "warm-steps", "start-max",       "text-start-max",
        "convexify",  "committee",   "log-cosine", "step-similarity", "step-rates",
        "rate-min",   "rate-max",    "perturb",    "intermediate",    NULL};
    static const char *const single[] = {"real-batch", "teacher", "merge", "rho",   "lambda",        "gke",
                                         "sigma",      "kernel",  "width", "ridge", "text-to-image", NULL};
    bool alone = vld_single_find(o.method);

    for (const char *const *idle = alone ? inner : single; *idle; idle++)
        if (cli_given(*idle))
            cli_misuse("--%s: %s", *idle,
                       alone ? "this method trains nothing inside" : "no part of matching trajectories");
}

int main(int argc, char **argv)
{
    distiller p = {.o = &o};
    vl_err e = {0}, late = {0};
    int n = cli_parse(&tool, argc, argv), rc;

    check_idle();
    check_inputs(n, argv + 1);
    if (o.augment && vl_augment_parse(o.augment, &p.aug, &e))
        cli_misuse("--augment: %s", e.text);
    if (distill_objective(&o, &p.objective, &e))
        cli_misuse("%s", e.text);
    if (o.batch > o.pairs)
        o.batch = o.pairs;
    cli_refuse_tty(o.common.output);
    p.n_paths = (size_t)n;
    p.n_real = (size_t)o.real.n;
    rc = distill_run(&p, tool.name, argv + 1, &e);
    if (distill_close(&p, rc, &late) && !rc) {
        e = late;
        rc = late.code;
    }
    return rc ? cli_fail(&e) : 0;
}
