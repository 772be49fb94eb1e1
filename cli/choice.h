/* SPDX-License-Identifier: MIT
 * choice.h -- the middle of vlselect: what a method looks at is gathered, records are chosen, and what was
 * done is told in the manifest and in a list. */
#ifndef CLI_CHOICE_H
#define CLI_CHOICE_H

#include "distill/score_table.h"
#include "distill/select.h"

typedef struct cli_choice {
    /* what the options say */
    const vld_select_method *method;
    vld_joint joint;    /* VLD_AUTO becomes what it stood for */
    bool least;         /* by score: the low ones */
    double threshold;   /* by score: keep all that reach it; NAN: the n best */
    size_t n, clusters; /* clusters 0: as the method likes */
    uint64_t seed, epoch, epochs;
    int threads;
    vld_features features; /* image.want and text.want by the options */
    vld_scores scores;     /* likewise, and member */
    /* what came out */
    uint8_t *chosen; /* [n_records] by place in the order */
    double *score;   /* [n_records], by score only */
    size_t kept;
} cli_choice;

/* cli_choice_look -- record `number` is read. Errors: those of select_features.h and score_table.h. */
VL_MUST_USE int cli_choice_look(cli_choice *c, const vls_record *rec, const json_t *manifest, size_t number,
                                vl_err *e);

/* cli_choice_make -- all records were read: chosen, score and kept, of the records order [n_records].
 * Errors: VL_EFORMAT (fewer than n; none reaches the threshold; what a method looks at is missing), VL_ENOMEM. */
VL_MUST_USE int cli_choice_make(cli_choice *c, const uint32_t *order, size_t n_records, char *const *key,
                                vl_err *e);

/* cli_choice_step -- one step of the manifest's "select", without tool and version: names are long options.
 * NULL when memory is short. New reference. */
json_t *cli_choice_step(const cli_choice *c);

/* cli_choice_list -- writes path: a line "epoch<TAB>key<TAB>score" for each record kept, in order; score is "-"
 * where the method has none. rs2 has the lines of each epoch behind one another.
 * Errors: VL_EIO, VL_ENOMEM; nothing is left then. */
VL_MUST_USE int cli_choice_list(const cli_choice *c, const char *path, const uint32_t *order,
                                size_t n_records, char *const *key, vl_err *e);

void cli_choice_free(cli_choice *c);

#endif
