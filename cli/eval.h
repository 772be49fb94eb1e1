/* SPDX-License-Identifier: MIT
 * eval.h -- the parts of vleval: what was asked, the sets and data that were read, the rows of the table.
 *
 *   eval_lists.c   options that are lists
 *   eval_input.c   operands and options to sets, data and grids
 *   eval_rows.c    sets and data to rows, each with its task (distill/protocol.h)
 *   eval_more.c    rows that are asked for: coresets, sets without a part, other networks, views and epochs
 *   eval_track.c   the recipe: what determines the table, and its digest
 *   eval_gain.c    what rows say of each other in numbers: gain over random, share of full, DD-Ranking's scores
 *   eval_verdict.c notes in front of the table, what the rows say together
 *   eval_print.c   the table as TSV
 *   eval_json.c    everything as JSON
 *   eval_report.c  the page */
#ifndef CLI_EVAL_H
#define CLI_EVAL_H

#include "cli/loss.h"
#include "cli/opt.h"
#include "distill/ablate.h"
#include "distill/controls.h"
#include "distill/coreset.h"
#include "distill/protocol.h"
#include "formats/digest.h"

enum { EVAL_LINE = 480, EVAL_MORE_MAX = 16 /* other networks; coresets */ };

typedef struct eval_grid {
    double rate[VLD_MAX_GRID][VLM_BRANCHES];
    size_t n;
    char text[VLD_MAX_GRID * 24]; /* "0.03:0.3 0.1:1"; "0.5 1 2" where both rates of every point agree */
} eval_grid;

typedef struct eval_options {
    cli_common common;
    cli_list train, val, test;
    const char *controls, *grid_text, *multiples_text, *full_grid_text;
    const char *protocol, *model, *base, *augment, *text_ext, *image_ext, *encoder, *json, *report;
    const char *students_text, *ablate_text, *select;
    bool legacy_best, ars, track;
    int64_t pairs, draws, students, random_students, full_students, epochs, full_epochs, readings, batch,
        full_batch;
    int64_t size, embed_dim;
    double momentum, scale, dropout;
    /* from the texts above */
    vl_augment aug;
    eval_grid grid, multiples, full_grid;
    bool random, initial, initial_rates, full, chance;
    const vld_select_method *coreset[EVAL_MORE_MAX];
    size_t n_coresets;
    char *transfer_text; /* of transfer */
    const char *transfer[EVAL_MORE_MAX];
    size_t n_transfer;
    bool ablate[VLD_ABLATIONS];
} eval_options;

/* Records with embeddings, from one or more shards. */
typedef struct eval_data {
    vl_data d;
    vls_parent *id; /* [n_ids] of the shards */
    int n_ids;
} eval_data;

typedef struct eval_set { /* an operand */
    const char *label, *path[CLI_LIST_MAX];
    int n_paths;
    char *text; /* label and paths point into it */
    bool named; /* the operand gave the label */
    bool distilled;
    vld_distilled set; /* distilled */
    vl_real *pixels;   /* of a set of pixels for heads, whose set.image holds their features; NULL: none */
    vls_parent id;
    uint64_t file_bytes;
    vls_reader *reader; /* selected, on standard input: what was opened to see its kind */
    eval_data data;     /* selected */
} eval_set;

typedef enum eval_kind {
    EVAL_CHANCE,
    EVAL_RANDOM,
    EVAL_SELECTED,
    EVAL_INITIAL,
    EVAL_INITIAL_RATES,
    EVAL_DISTILLED,
    EVAL_ABLATED,
    EVAL_CORESET,
    EVAL_FULL
} eval_kind;

/* What is seen of the pairs in training. */
typedef enum eval_views {
    EVAL_AS_EVER, /* --augment for real pairs; for what carries learned rates, the set's own */
    EVAL_PLAIN,   /* nothing but the pairs */
    EVAL_AUGMENTED
} eval_views;

/* How a row stands to others of its network, epochs and views. NAN: there is none. */
typedef struct eval_gain {
    vld_difference ior; /* over random pairs */
    double of_full;     /* percent of the full data's recall */
    double lrs, ars;    /* 0 to 100 */
} eval_gain;

typedef struct eval_row {
    eval_kind kind;
    char name[192], stream[96];
    const vlm_model *model; /* NULL: the table's */
    vld_select select;
    eval_views views;
    size_t set_number;    /* of the first operand of this row, or of the row that it takes a part from */
    vld_ablation without; /* ablated */
    bool copy;            /* draw, rows and set are another row's */
    size_t like;          /* > 0: row like - 1 differs in select alone: they share the choice */
    size_t n;             /* pairs of a set; 0: chance */
    uint64_t bytes;       /* stored, of a set, mean over the sets; 0: not known */
    const eval_grid *grid;
    vld_draw *draw;
    size_t n_draws;
    uint32_t *rows;          /* random: [n_draws][n] */
    vld_set *set;            /* initial: [n_draws] */
    size_t batch;            /* the distilled sets'; 0: any */
    vlm_objective objective; /* of its students' training */
    vld_task task;           /* not of chance */
    vld_outcome *out;        /* borrowed from eval.out */
    vld_row_stats stats;
    eval_gain gain;
} eval_row;

typedef struct eval_lines { /* text for people, a line each; grows */
    char (*line)[EVAL_LINE];
    size_t n, room;
    bool failed; /* out of memory */
} eval_lines;

typedef struct eval {
    eval_options o;
    eval_set *set;
    size_t n_sets;
    size_t first; /* the first distilled set; n_sets: none */
    eval_data train, val, test;
    cli_losses losses; /* of sets and data, with --skip-bad */
    vlm_model model;
    vlm_model transfer[EVAL_MORE_MAX]; /* [o.n_transfer] */
    vl_real *base;                     /* its frozen weights, loaded; NULL: none */
    bool heads;                        /* students are projection heads on features */
    vl_augment aug, set_aug; /* views of real pairs; of a distilled set and of its start with its rates */
    size_t batch, n;         /* n: pairs of every set */
    eval_row *row;
    size_t n_rows;
    vld_outcome *out; /* [n_tasks] */
    vld_task *task;
    size_t n_tasks;
    double seconds, flops; /* of all training and testing, wall clock */
    uint64_t peak;         /* bytes, of the whole process, when the rows were done */
    char recipe[VL_SHA_HEX + 1];
    json_t *recipe_json; /* NULL: no --track */
    eval_lines notes, verdict;
} eval;

const char *eval_kind_name(eval_kind k); /* "random" */

/* ---- eval_lists.c ---- */

/* eval_lists_parse -- --students, --ablate, --select. Before anything is read. Errors: VL_EARG, VL_ENOMEM. */
VL_MUST_USE int eval_lists_parse(eval *v, vl_err *e);

/* eval_controls_parse -- NULL: all that the inputs allow. Also what --ablate, --students and --ars need of the
 * inputs. After eval_protocol. Errors: VL_EARG. */
VL_MUST_USE int eval_controls_parse(eval *v, vl_err *e);

/* ---- eval_input.c ---- */

/* eval_grid_parse -- "0.03:0.3,0.1:1": image rate, text rate; "2" means 2:2. Errors: VL_EARG. */
VL_MUST_USE int eval_grid_parse(const char *text, eval_grid *g, vl_err *e);

/* eval_sets_parse -- operands to labels and paths; nothing is read. Errors: VL_EARG, VL_ENOMEM. */
VL_MUST_USE int eval_sets_parse(eval *v, int n, char **operand, vl_err *e);

/* eval_sets_open -- finds out which sets are distilled, and reads those. */
VL_MUST_USE int eval_sets_open(eval *v, vl_err *e);

/* eval_protocol -- v->heads: of the distilled sets, or of the options. After eval_sets_open. Errors: VL_EARG. */
VL_MUST_USE int eval_protocol(eval *v, vl_err *e);

/* eval_network -- v->model, aug, batch: of the distilled sets, which must agree, or of the options; data: whose
 * features and texts count where there is no distilled set. eval_load calls it. */
VL_MUST_USE int eval_network(eval *v, const vl_data *data, vl_err *e);

/* eval_load -- training, validation and test data, and selected sets. */
VL_MUST_USE int eval_load(eval *v, vl_err *e);
void eval_close(eval *v);

/* ---- eval_front.c ---- */

/* eval_front -- sets of pixels for heads: features by --encoder. After eval_load. Errors: VL_EARG. */
VL_MUST_USE int eval_front(eval *v, vl_err *e);

/* ---- eval_rows.c ---- */

/* eval_rows -- the table's rows in order, and v->task, v->out for those that train. */
VL_MUST_USE int eval_rows(eval *v, vl_err *e);

/* eval_rows_done -- after the protocol ran: stats of every row, gains, peak memory. */
void eval_rows_done(eval *v);

/* For eval_more.c. The next row; there is room, see eval_rows. label NULL: of no set. */
eval_row *eval_row_new(eval *v, eval_kind kind, const char *label, const eval_grid *grid);
VL_MUST_USE int eval_row_draws(eval_row *r, size_t n, vl_err *e);

/* ---- eval_more.c ---- */

size_t eval_more_room(const eval *v,
                      size_t rows); /* the most rows there are of so many, all that is asked for */
VL_MUST_USE int eval_coreset_rows(eval *v, vl_err *e);
VL_MUST_USE int eval_ablated_rows(eval *v, vl_err *e); /* of the distilled rows there are */
/* eval_variant_rows -- last: copies of the rows there are, with other networks, views and epochs. */
VL_MUST_USE int eval_variant_rows(eval *v, vl_err *e);
void eval_more_notes(eval *v); /* what these rows are, for eval_notes */

/* ---- eval_track.c ---- */

/* eval_track -- v->recipe and v->recipe_json; after eval_rows. Errors: VL_ENOMEM. */
VL_MUST_USE int eval_track(eval *v, vl_err *e);

/* ---- eval_gain.c ---- */

/* May these rows be compared: the same network, rule for epochs and views? a of a set, b of real pairs. */
bool eval_comparable(const eval_row *a, const eval_row *b);
void eval_gains(eval *v); /* gain of every row */

/* ---- eval_verdict.c ---- */

void eval_say(eval_lines *l, const char *fmt, ...) VL_PRINTF(2, 3);

/* eval_notes -- v->notes: the protocol, line by line. Before the rows are run. */
void eval_notes(eval *v);

/* eval_verdict -- v->verdict: how the rows compare, what diverged. */
void eval_verdict(eval *v);

/* ---- output: whole texts in new memory (free()) ---- */

VL_MUST_USE int eval_table(const eval *v, char **text, size_t *n, vl_err *e);
VL_MUST_USE int eval_json(const eval *v, char **text, size_t *n, vl_err *e);
VL_MUST_USE int eval_page(const eval *v, char **text, size_t *n, vl_err *e);

#endif
