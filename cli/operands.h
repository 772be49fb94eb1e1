/* SPDX-License-Identifier: MIT
 * operands.h -- shard lists: what the user named, as files.
 *
 *   train-{000..099}.tar.zst   a hundred names; the width of the numbers is kept, {9..0} counts down
 *   {train,val}.tar.zst        two
 *   @LIST                      the lines of the file LIST, each an operand again (but no @LIST); empty ones
 *                              are passed over
 *
 * A shell that knows braces has replaced them already; sh has not, and a hundred thousand names do not fit its
 * command line. A name that exists as it stands is taken as it stands. */
#ifndef CLI_OPERANDS_H
#define CLI_OPERANDS_H

#include "formats/err.h"

enum { CLI_OPERANDS_MAX = 1000000 };

typedef struct cli_operands { /* {0} is empty */
    char **name;              /* [n] */
    size_t n, room;
} cli_operands;

/* cli_operands_add -- appends what an operand stands for. Errors: VL_EARG (a brace that is not closed, a range
 * that is none, more than CLI_OPERANDS_MAX names), VL_EIO a list that cannot be read, VL_ENOMEM. */
VL_MUST_USE int cli_operands_add(cli_operands *o, const char *operand, vl_err *e);

/* cli_operands_of -- argv[1..n], as cli_parse left them, and "-" at most once. Exits 2 when one is wrong, 1
 * when a list cannot be read. */
void cli_operands_of(cli_operands *o, int n, char **argv);

void cli_operands_free(cli_operands *o);

#endif
