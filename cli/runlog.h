/* SPDX-License-Identifier: MIT
 * runlog.h -- what machines read about a run: one JSON object a line, one line a step.
 *
 *   cli_runlog *log = NULL;
 *   if (cli_runlog_open(common.run_log, false, &log, &e)) goto out;
 *   cli_runlog_begin(log, "step");
 *   cli_runlog_int(log, "iteration", i);
 *   cli_runlog_real(log, "loss_nats", loss);
 *   cli_runlog_end(log);
 *   ...
 *   rc = cli_runlog_close(log, &e);
 *
 * gives  {"event": "step", "seconds": 1.25, "iteration": 3, "loss_nats": 2.31}
 *
 * "seconds" is counted from cli_runlog_open. Numbers that are not finite become null. Each line
 * leaves in one write as soon as it ends, so `tail -f` and a killed run have whole lines.
 * Errors: the first one (a full disk, memory) is kept, later lines are left out, close reports it.
 * Threads: one thread a log. A NULL log is off: every call is harmless. */
#ifndef CLI_RUNLOG_H
#define CLI_RUNLOG_H

#include "formats/err.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct cli_runlog cli_runlog;

/* cli_runlog_open -- path NULL: no log, *out = NULL. append: a resumed run goes on in the same
 * file. Errors: VL_EIO, VL_ENOMEM. */
VL_MUST_USE int cli_runlog_open(const char *path, bool append, cli_runlog **out, vl_err *e);

void cli_runlog_begin(cli_runlog *log, const char *event);
void cli_runlog_int(cli_runlog *log, const char *name, int64_t v);
void cli_runlog_real(cli_runlog *log, const char *name, double v);      /* nine digits */
void cli_runlog_text(cli_runlog *log, const char *name, const char *v); /* see json_text.h; NULL: null */
void cli_runlog_end(cli_runlog *log);

/* cli_runlog_close -- reports the first error of the log's life; frees log in any case. */
VL_MUST_USE int cli_runlog_close(cli_runlog *log, vl_err *e);

#endif
