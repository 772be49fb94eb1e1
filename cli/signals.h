/* SPDX-License-Identifier: MIT
 * signals.h -- what happens on Ctrl-C: temporary output is removed, then the signal takes its
 * course. */
#ifndef CLI_SIGNALS_H
#define CLI_SIGNALS_H

/* cli_on_signal -- calls fn on SIGINT, SIGTERM and SIGHUP, before the process dies of it;
 * temporary files of formats/outfile.h are removed without it. fn must be async-signal-safe.
 * At most 8 functions, called in the order given. */
void cli_on_signal(void (*fn)(void));

/* cli_signals_install -- cli_parse calls it. SIGPIPE and SIGXFSZ are ignored from here on:
 * closed pipes and file size limits are write errors. */
void cli_signals_install(void);

#endif
