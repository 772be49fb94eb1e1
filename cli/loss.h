/* SPDX-License-Identifier: MIT
 * loss.h -- what --skip-bad left out, said on standard error. */
#ifndef CLI_LOSS_H
#define CLI_LOSS_H

#include "formats/shard.h"

/* cli_loss_say -- names the shard, counts, and at most 20 gaps and 20 keys. 1 when something was left out, else 0. */
int cli_loss_say(const vls_reader *r);

#endif
