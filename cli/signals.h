/* SPDX-License-Identifier: MIT
 * signals.h -- what happens on Ctrl-C: temporary output is removed, then the signal takes its
 * course. */
#ifndef CLI_SIGNALS_H
#define CLI_SIGNALS_H

/* cli_on_signal -- calls fn on SIGINT, SIGTERM and SIGHUP, before the process dies of it. fn must
 * be async-signal-safe. At most 8 functions, called in the order given. */
void cli_on_signal(void (*fn)(void));

/* cli_signals_install -- cli_parse calls it. Registers outfile.h's temporary names; SIGPIPE and
 * SIGXFSZ are ignored from here on. */
void cli_signals_install(void);

#endif
