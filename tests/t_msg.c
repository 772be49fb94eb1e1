/* SPDX-License-Identifier: MIT
 * t_msg.c -- what reaches stderr: verbosity, one line an event, progress that does not flood. */
#include "cli/msg.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static cli_common common;

/* Runs fn with stderr in a file; returns what it wrote. */
static const char *stderr_of(void (*fn)(void))
{
    static char text[65536];
    FILE *f = tmpfile();
    int kept = dup(STDERR_FILENO);
    size_t n;

    assert_true(f && kept >= 0);
    fflush(stderr);
    assert_true(dup2(fileno(f), STDERR_FILENO) >= 0);
    cli_msg_setup("vltry", &common);
    fn();
    fflush(stderr);
    assert_true(dup2(kept, STDERR_FILENO) >= 0);
    close(kept);
    rewind(f);
    n = fread(text, 1, sizeof text - 1, f);
    text[n] = 0;
    fclose(f);
    return text;
}

static void say_all(void)
{
    vl_err e = {VL_EIO, "a failure"};

    cli_debug("debug %d", 1);
    cli_info("info %d", 2);
    cli_warn("warn %d", 3);
    cli_error("error %d", 4);
    assert_int_equal(cli_fail(&e), 1);
}

static void verbosity(void **state)
{
    static const struct {
        bool quiet, verbose;
        const char *want;
    } rows[] = {
        {true, false, "vltry: error 4\nvltry: a failure\n"},
        {true, true, "vltry: error 4\nvltry: a failure\n"},
        {false, false, "vltry: info 2\nvltry: warn 3\nvltry: error 4\nvltry: a failure\n"},
        {false, true, "vltry: debug 1\nvltry: info 2\nvltry: warn 3\nvltry: error 4\nvltry: a failure\n"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        common = (cli_common)CLI_COMMON_DEFAULT;
        common.quiet = rows[i].quiet;
        common.verbose = rows[i].verbose;
        assert_string_equal(stderr_of(say_all), rows[i].want);
    }
}

static void say_hostile(void)
{
    static char longer[5000];

    memset(longer, 'x', sizeof longer - 1);
    cli_error("%s", "two\nlines \033[2J\177");
    cli_error("%s", longer);
}

static void one_line_an_event(void **state)
{
    const char *text;

    (void)state;
    common = (cli_common)CLI_COMMON_DEFAULT;
    text = stderr_of(say_hostile);
    assert_ptr_equal(strstr(text, "vltry: two?lines ?[2J?\nvltry: xxx"), text);
    assert_string_equal(text + strlen(text) - 5, "x...\n");
    assert_true(strlen(text) < 1200);
}

static void work(void)
{
    cli_progress p;
    double start;

    cli_progress_begin(&p, "records", 100000000);
    start = cli_now();
    for (uint64_t i = 1; cli_now() - start < 0.5; i++, usleep(1000))
        cli_progress_at(&p, i, "loss %.2f nats", 2.5);
    cli_progress_end(&p);
}

static void progress_is_at_most_six_a_second(void **state)
{
    size_t lines = 0;
    const char *text;

    (void)state;
    common = (cli_common)CLI_COMMON_DEFAULT;
    common.progress = "always";
    text = stderr_of(work);
    for (const char *s = text; (s = strchr(s, '\n')); s++)
        lines++;
    /* one at once, then one in each sixth of the half second, one at the end */
    assert_true(lines >= 3 && lines <= 5);
    assert_ptr_equal(strstr(text, "records 1/100000000  loss 2.50 nats  "), text);
    assert_non_null(strstr(text, " records/s  eta "));
}

static void progress_is_off_where_nobody_looks(void **state)
{
    (void)state;
    common = (cli_common)CLI_COMMON_DEFAULT;
    assert_string_equal(stderr_of(work), ""); /* auto: stderr is a file here */
    common.progress = "never";
    assert_string_equal(stderr_of(work), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(verbosity),
        cmocka_unit_test(one_line_an_event),
        cmocka_unit_test(progress_is_at_most_six_a_second),
        cmocka_unit_test(progress_is_off_where_nobody_looks),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
