/* SPDX-License-Identifier: MIT
 * loss.h -- what --skip-bad left out, said on standard error. */
#ifndef CLI_LOSS_H
#define CLI_LOSS_H

#include "formats/shard.h"

/* cli_loss_say -- names the shard, counts, and at most 20 gaps and 20 keys. 1 when something was left out, else 0. */
int cli_loss_say(const vls_reader *r);

/* cli_loss_note -- says it, and records it in the tail of w's open segment: "input_loss" is an array with one
 * vls_reader_loss_note for each input that lost something. *all holds them, NULL at first; json_decref is the
 * caller's. */
VL_MUST_USE int cli_loss_note(const vls_reader *r, json_t **all, vls_writer *w, vl_err *e);

#endif
