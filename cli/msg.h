/* SPDX-License-Identifier: MIT
 * msg.h -- one-line messages and progress on stderr. The only place that prints for people. */
#ifndef CLI_MSG_H
#define CLI_MSG_H

#include "cli/opt.h"
#include "formats/err.h"
#include <stdint.h>

/* cli_msg_setup -- name in front of messages; quiet, verbose and progress are read from c at each
 * message, so options take effect as they are parsed. c is kept. cli_parse calls it. */
void cli_msg_setup(const char *tool, const cli_common *c);

/* "vlpack: <text>\n"; cli_info with default verbosity, cli_debug with -v, cli_warn unless -q,
 * cli_error always. Control bytes become '?'. What ends the run goes through cli_fail. */
void cli_warn(const char *fmt, ...) VL_PRINTF(1, 2);
void cli_error(const char *fmt, ...) VL_PRINTF(1, 2);
void cli_info(const char *fmt, ...) VL_PRINTF(1, 2);
void cli_debug(const char *fmt, ...) VL_PRINTF(1, 2);

/* cli_fail -- prints "tool: text" and returns 1, for  return cli_fail(&e);  */
int cli_fail(const vl_err *e);

/* cli_misuse -- prints "tool: text" and "try 'tool --help'"; exits 2. */
void cli_misuse(const char *fmt, ...) VL_PRINTF(1, 2) __attribute__((noreturn));

/* Progress: one line on a terminal, rewritten at most six times a second.
 *   "step 1200/5000  loss 2.31 nats  8.1 step/s  eta 14 min" */
typedef struct cli_progress {
    const char *what;     /* "records", "step" */
    uint64_t done, total; /* total 0: unknown */
    double t0, last;      /* cli_now() at the beginning and at the last refresh */
    bool wanted;          /* asked once: the answer costs a system call */
} cli_progress;
void cli_progress_begin(cli_progress *p, const char *what, uint64_t total);
void cli_progress_at(cli_progress *p, uint64_t done, const char *fmt, ...) VL_PRINTF(3, 4);
void cli_progress_end(cli_progress *p);

/* cli_refuse_tty -- exits 2 when binary output would go to a terminal (output NULL or "-"). */
void cli_refuse_tty(const char *output);

/* cli_stdout_close -- flushes and closes stdout, checked; 0 or 1 with a message. A closed pipe
 * (EPIPE) is quiet success when quiet_pipe is set (vlls, vleval). */
int cli_stdout_close(bool quiet_pipe);

double cli_now(void); /* seconds, monotonic */

#endif
