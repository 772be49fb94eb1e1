/* SPDX-License-Identifier: MIT
 * t_runlog.c -- whole lines of valid JSON, and no failure that goes unnoticed. */
#include "cli/runlog.h"

#include <jansson.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char path[] = "/tmp/vlkit-t_runlog.XXXXXX";

static int setup(void **state)
{
    int fd = mkstemp(path);

    (void)state;
    return fd < 0 || close(fd);
}

static int teardown(void **state)
{
    (void)state;
    return unlink(path);
}

static void open_or_fail(const char *name, bool append, cli_runlog **log)
{
    vl_err e = {0};

    if (cli_runlog_open(name, append, log, &e))
        fail_msg("%s", e.text);
}

static void close_or_fail(cli_runlog *log)
{
    vl_err e = {0};

    if (cli_runlog_close(log, &e))
        fail_msg("%s", e.text);
}

/* The line with this number, parsed; the caller's. NULL when the file is shorter. */
static json_t *line(size_t number)
{
    char text[4096];
    FILE *f = fopen(path, "r");
    json_t *v = NULL;
    json_error_t je;

    assert_non_null(f);
    for (size_t i = 0; fgets(text, sizeof text, f); i++) {
        assert_int_equal(text[strlen(text) - 1], '\n');
        if (i != number)
            continue;
        v = json_loads(text, JSON_REJECT_DUPLICATES, &je);
        if (!v)
            fail_msg("line %zu: %s: %s", number, je.text, text);
    }
    fclose(f);
    return v;
}

static void step(cli_runlog *log, int64_t i)
{
    cli_runlog_begin(log, "step");
    cli_runlog_int(log, "iteration", i);
    cli_runlog_end(log);
}

static void fields_come_back(void **state)
{
    cli_runlog *log = NULL;
    json_t *v;
    double seconds;

    (void)state;
    open_or_fail(path, false, &log);
    cli_runlog_begin(log, "step");
    cli_runlog_int(log, "big", INT64_MIN);
    cli_runlog_real(log, "loss", 0.1);
    cli_runlog_real(log, "nan", NAN);
    cli_runlog_real(log, "inf", -INFINITY);
    cli_runlog_text(log, "text", "a \"quoted\"\nline \303\274");
    cli_runlog_text(log, "bytes", "\377");
    cli_runlog_text(log, "none", NULL);
    cli_runlog_end(log);
    close_or_fail(log);
    v = line(0);
    assert_non_null(v);
    assert_string_equal(json_string_value(json_object_get(v, "event")), "step");
    seconds = json_real_value(json_object_get(v, "seconds"));
    assert_true(json_is_real(json_object_get(v, "seconds")) && seconds >= 0 && seconds < 60);
    assert_true(json_integer_value(json_object_get(v, "big")) == INT64_MIN);
    assert_true(json_real_value(json_object_get(v, "loss")) == 0.1);
    assert_true(json_is_null(json_object_get(v, "nan")));
    assert_true(json_is_null(json_object_get(v, "inf")));
    assert_string_equal(json_string_value(json_object_get(v, "text")), "a \"quoted\"\nline \303\274");
    assert_string_equal(json_string_value(json_object_get(v, "bytes")), "\\xff");
    assert_true(json_is_null(json_object_get(v, "none")));
    json_decref(v);
    assert_null(line(1));
}

static void appends_or_starts_anew(void **state)
{
    static const struct {
        bool append;
        int64_t first;
        size_t lines;
    } rows[] = {{false, 7, 1}, {true, 7, 2}, {true, 7, 3}, {false, 10, 1}};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        cli_runlog *log = NULL;
        json_t *v;

        open_or_fail(path, rows[i].append, &log);
        step(log, 7 + (int64_t)i);
        close_or_fail(log);
        v = line(0);
        assert_int_equal(json_integer_value(json_object_get(v, "iteration")), rows[i].first);
        json_decref(v);
        v = line(rows[i].lines - 1);
        assert_non_null(v);
        json_decref(v);
        assert_null(line(rows[i].lines));
    }
}

static void a_line_is_there_when_it_ends(void **state)
{
    cli_runlog *log = NULL;
    json_t *v;

    (void)state;
    open_or_fail(path, false, &log);
    step(log, 1);
    v = line(0);
    assert_non_null(v);
    json_decref(v);
    cli_runlog_begin(log, "left open");
    close_or_fail(log);
    assert_null(line(1));
}

static void a_full_disk_is_reported(void **state)
{
    cli_runlog *log = NULL;
    vl_err e = {0};

    (void)state;
    open_or_fail("/dev/full", false, &log);
    step(log, 1);
    step(log, 2);
    assert_int_equal(cli_runlog_close(log, &e), VL_EIO);
    assert_string_equal(e.text, "/dev/full: No space left on device");
    assert_int_equal(cli_runlog_open("/no/such/folder/log", false, &log, &e), VL_EIO);
    assert_null(log);
    assert_string_equal(e.text, "/no/such/folder/log: No such file or directory");
}

static void off_is_harmless(void **state)
{
    cli_runlog *log = (cli_runlog *)path;

    (void)state;
    open_or_fail(NULL, false, &log);
    assert_null(log);
    step(log, 1);
    cli_runlog_real(log, "x", 1);
    cli_runlog_text(log, "x", "y");
    close_or_fail(log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_come_back),
        cmocka_unit_test(appends_or_starts_anew),
        cmocka_unit_test(a_line_is_there_when_it_ends),
        cmocka_unit_test(a_full_disk_is_reported),
        cmocka_unit_test(off_is_harmless),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, setup, teardown);
}
