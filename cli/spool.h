/* SPDX-License-Identifier: MIT
 * spool.h -- operands that can be read twice, pipes included. */
#ifndef CLI_SPOOL_H
#define CLI_SPOOL_H

#include "formats/err.h"

typedef struct cli_spool {
    char path[64];    /* to open, as often as wanted, when the operand itself cannot be; else "" */
    const char *name; /* of the operand, for messages */
    const char *operand;
    int fd; /* of the copy, -1: none */
} cli_spool;

/* cli_spool_open -- a regular file stays where it is; anything else ("-", a FIFO, /dev/fd/63) is copied, to
 * its end, into a file in $TMPDIR or /tmp that has no name, so nothing can be left behind.
 * Errors: VL_EIO, naming the operand. */
VL_MUST_USE int cli_spool_open(const char *operand, cli_spool *s, vl_err *e);

/* cli_spool_path -- what to open. */
const char *cli_spool_path(const cli_spool *s);

void cli_spool_close(cli_spool *s); /* after a failed open, too */

#endif
