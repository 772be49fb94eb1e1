/* SPDX-License-Identifier: MIT
 * loss.h -- what --skip-bad left out: said on standard error, and recorded in what is written. */
#ifndef CLI_LOSS_H
#define CLI_LOSS_H

#include "formats/left_out.h"

/* cli_loss_say -- names the shard, counts, and at most 20 gaps and 20 keys. 1 when something was left out, else 0. */
int cli_loss_say(const vls_reader *r);

/* cli_loss_note -- says it, and records it in the tail of w's open segment: "input_loss" is an array with one
 * vls_reader_loss_note, with its "content_id", for each input that lost something. *all holds them, NULL at first; json_decref is the
 * caller's. */
VL_MUST_USE int cli_loss_note(const vls_reader *r, json_t **all, vls_writer *w, vl_err *e);

/* What several loadings lost. {0} is empty. */
typedef struct cli_losses {
    json_t *all; /* "input_loss": an object for each input that lost something, and one for the records of a
                         loading that could not be used; in an order that does not depend on the inputs'.
                         NULL: nothing was lost */
    const char *role; /* of the inputs that are loaded, goes into the objects as "role"; NULL: it does not */
    /* of the loading at hand */
    json_t *keys;      /* the first 100 of the records that could not be used */
    uint64_t left_out; /* such records */
} cli_losses;

/* cli_losses_ear -- hears what a loading leaves out, and says it. l is borrowed. */
vls_left_out cli_losses_ear(cli_losses *l);

/* cli_losses_done -- after each loading: says how many records could not be used, and closes its account. */
VL_MUST_USE int cli_losses_done(cli_losses *l, vl_err *e);

void cli_losses_free(cli_losses *l);

#endif
