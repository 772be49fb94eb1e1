/* SPDX-License-Identifier: MIT
 * t_signals.c -- a killed tool leaves nothing partial and is seen to have died of the signal. */
#include "cli/signals.h"

#include "formats/outfile.h"

#include <glob.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[] = "/tmp/vlkit-t_signals.XXXXXX";
static int tell[2]; /* the child writes a byte for each function that ran */

static int setup(void **state)
{
    (void)state;
    return !mkdtemp(folder) || pipe(tell);
}

static int teardown(void **state)
{
    (void)state;
    return rmdir(folder); /* fails when something was left */
}

static void say_a(void)
{
    if (write(tell[1], "a", 1) != 1)
        _exit(9);
}

static void say_b(void)
{
    if (write(tell[1], "b", 1) != 1)
        _exit(9);
}

static size_t files(void)
{
    char pattern[64];
    glob_t g;
    size_t n;

    snprintf(pattern, sizeof pattern, "%s/*", folder);
    n = glob(pattern, 0, NULL, &g) ? 0 : g.gl_pathc;
    if (n)
        globfree(&g);
    return n;
}

/* The child: a tool with half an output, which gets sig. Exits 7 when it survives. */
static void child(int sig, bool ignored)
{
    char path[64];
    vl_outfile *f = NULL;

    signal(sig, ignored ? SIG_IGN : SIG_DFL); /* a shell's background job starts with SIGINT ignored */
    cli_signals_install();
    cli_on_signal(say_a);
    cli_on_signal(say_b);
    snprintf(path, sizeof path, "%s/out", folder);
    if (vl_outfile_open(path, &f, NULL) || vl_outfile_write(f, "half", 4, NULL) || files() != 1)
        _exit(8);
    raise(sig);
    vl_outfile_abort(f);
    _exit(7);
}

static int run_child(int sig, bool ignored)
{
    int status = 0;
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (!pid)
        child(sig, ignored);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void signals(void **state)
{
    static const struct {
        int sig;
        bool ignored;
        int dies_of; /* 0: it survives */
    } rows[] = {{SIGINT, false, SIGINT}, {SIGTERM, false, SIGTERM}, {SIGHUP, false, SIGHUP},
                {SIGHUP, true, 0},       {SIGINT, true, 0},         {SIGPIPE, false, 0},
                {SIGXFSZ, false, 0}};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int status = run_child(rows[i].sig, rows[i].ignored);
        char said[2];

        if (rows[i].dies_of) {
            if (!WIFSIGNALED(status) || WTERMSIG(status) != rows[i].dies_of)
                fail_msg("row %zu: status %x", i, status);
            assert_int_equal(read(tell[0], said, 2), 2);
            assert_memory_equal(said, "ab", 2);
        } else if (!WIFEXITED(status) || WEXITSTATUS(status) != 7) {
            fail_msg("row %zu: status %x", i, status);
        }
        if (files())
            fail_msg("row %zu: something was left in %s", i, folder);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(signals)};

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, setup, teardown);
}
