/* SPDX-License-Identifier: MIT */
#include "cli/signals.h"

#include "formats/outfile.h"

#include <assert.h>
#include <signal.h>
#include <stddef.h>

enum { MAX_FN = 8 };

/* A slot is filled before the count that makes it visible grows: no handler sees half of it. */
static void (*volatile on_signal[MAX_FN])(void);
static volatile sig_atomic_t n_on_signal;

static void handle(int sig)
{
    vl_outfile_on_signal();
    for (int i = 0; i < n_on_signal; i++)
        on_signal[i]();
    /* SA_RESETHAND has put the default action back: the parent sees how this process died. */
    raise(sig);
}

void cli_on_signal(void (*fn)(void))
{
    assert(n_on_signal < MAX_FN);
    on_signal[n_on_signal] = fn;
    n_on_signal = n_on_signal + 1;
}

void cli_signals_install(void)
{
    static const int fatal[] = {SIGINT, SIGTERM, SIGHUP};
    struct sigaction sa = {0};

    sa.sa_handler = handle;
    sa.sa_flags = (int)SA_RESETHAND;
    sigemptyset(&sa.sa_mask);
    for (size_t i = 0; i < sizeof fatal / sizeof *fatal; i++) {
        struct sigaction old;
        /* nohup and background jobs of old shells set "ignore": that stays. */
        if (!sigaction(fatal[i], NULL, &old) && old.sa_handler != SIG_IGN)
            sigaction(fatal[i], &sa, NULL);
    }
    /* A closed pipe and a file size limit arrive as errors of write(2), which have a text. */
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
}
