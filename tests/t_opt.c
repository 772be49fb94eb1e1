/* SPDX-License-Identifier: MIT
 * t_opt.c -- command lines and what the scanner makes of them. */
#include "cli/opt_table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

typedef struct values {
    cli_common common;
    int64_t n;
    double lr;
    uint64_t frame;
    const char *text, *method;
    bool flag, other;
    cli_list real;
} values;

static const values START = {CLI_COMMON_DEFAULT, 3, 0.5, 1 << 20, NULL, "a", false, false, {{0}, 0}};
static values v;

static const cli_opt options[] = {
    {0, NULL, CLI_GROUP, NULL, NULL, "method", 0, 0, NULL},
    {'n', "count", CLI_INT, &v.n, "N", "how many", -4, 1000, NULL},
    {0, "lr", CLI_REAL, &v.lr, "RATE", "learning rate", 0, 10, NULL},
    {'f', "frame", CLI_SIZE, &v.frame, "SIZE", "raw bytes", 65536, 8 << 20, NULL},
    {'t', "text", CLI_TEXT, &v.text, "TEXT", "any words", 0, 0, NULL},
    {0, "method", CLI_CHOICE, &v.method, "NAME", "one of three", 0, 0, "a|bc|d-e"},
    {'x', "flag", CLI_FLAG, &v.flag, NULL, "a switch", 0, 0, NULL},
    {'y', "flag-too", CLI_FLAG, &v.other, NULL, "its name begins like another's", 0, 0, NULL},
    {0, "real", CLI_LIST, &v.real, "FILE", "several", 0, 0, NULL},
    CLI_END};
static const cli_tool tool = {
    "vltry", "[options] FILE...", "Tries.", "vltry a", options, &v.common, 63, 1, 3, NULL, NULL};

enum { ARGS = 12 };

/* Splits line at spaces ("" stands for an empty argument) and scans it. */
static int scan_line(const char *line, char **argv, cli_table *t, vl_err *e)
{
    static char text[512];
    int argc = 1;

    snprintf(text, sizeof text, "%s", line);
    argv[0] = (char *)"vltry";
    for (char *p = strtok(text, " "); p; p = strtok(NULL, " "))
        argv[argc++] = strcmp(p, "\"\"") ? p : p + 2;
    assert_true(argc <= ARGS);
    argv[argc] = NULL;
    v = START;
    cli_table_build(t, &tool);
    return cli_table_scan(t, &tool, argc, argv, e);
}

static void scan_refuses(void **state)
{
    static const struct {
        const char *line, *text;
    } rows[] = {
        {"", "nothing to read: no operand"},
        {"a b c d", "unexpected operand 'd'"},
        {"a --nope", "unknown option --nope"},
        {"a --nope=3", "unknown option --nope"},
        {"a --coun 3", "unknown option --coun"},
        {"a --fla", "unknown option --fla"},
        {"a -z", "unknown option -z"},
        {"a -xz", "unknown option -z"},
        {"a --count", "--count needs a value (N)"},
        {"a -n", "-n needs a value (N)"},
        {"a --flag=1", "--flag takes no value"},
        {"a -n 3x", "--count: '3x' is not a whole number"},
        {"a -n \"\"", "--count: '' is not a whole number"},
        {"a -n 1.5", "--count: '1.5' is not a whole number"},
        {"a -n 0x10", "--count: '0x10' is not a whole number"},
        {"a -n 99999999999999999999", "--count: '99999999999999999999' is not a whole number"},
        {"a -n 1001", "--count: 1001 is outside -4 to 1000"},
        {"a -n -5", "--count: -5 is outside -4 to 1000"},
        {"a --lr nan", "--lr: 'nan' is not a finite number"},
        {"a --lr 1e999", "--lr: '1e999' is not a finite number"},
        {"a --lr 0.1f", "--lr: '0.1f' is not a finite number"},
        {"a --lr 10.5", "--lr: 10.5 is outside 0 to 10"},
        {"a --frame 1", "--frame: 1 is outside 64K to 8M bytes"},
        {"a --frame 9M", "--frame: 9M is outside 64K to 8M bytes"},
        {"a --frame 1T", "--frame: '1T' is not a size in bytes (suffixes K, M, G)"},
        {"a --frame 1MB", "--frame: '1MB' is not a size in bytes (suffixes K, M, G)"},
        {"a --frame -1", "--frame: '-1' is not a size in bytes (suffixes K, M, G)"},
        {"a --frame 18446744073709551615G", "--frame: 18446744073709551615G is outside 64K to 8M bytes"},
        {"a --method b", "--method: 'b' is none of a|bc|d-e"},
        {"a --method a|bc", "--method: 'a|bc' is none of a|bc|d-e"},
        {"a --method=", "--method: '' is none of a|bc|d-e"},
        {"a --text=", "--text: the argument is empty"},
        {"a --real=", "--real: the argument is empty"},
        {"a --threads 1025", "--threads: 1025 is outside 0 to 1024"},
        {"a --seed -1", "--seed: -1 is outside 0 to 9007199254740992"},
        {"a --device cuda", "--device: 'cuda' is none of cpu"},
        {"a --progress yes", "--progress: 'yes' is none of auto|always|never"},
        {"- -", "standard input (-) is named 2 times, it can be read once"},
        {"- --real - --real -", "standard input (-) is named 3 times, it can be read once"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char *argv[ARGS + 1];
        cli_table t;
        vl_err e = {0};
        int rc = scan_line(rows[i].line, argv, &t, &e);

        if (rc != VL_EARG || strcmp(e.text, rows[i].text))
            fail_msg("'%s': got %d '%s', not '%s'", rows[i].line, rc, e.text, rows[i].text);
    }
}

static void scan_takes(void **state)
{
    static const struct {
        const char *line, *operands;
        int64_t n;
        double lr;
        uint64_t frame;
        const char *text, *method;
        bool flag, other;
        int reals;
    } rows[] = {
        {"a", "a ", 3, 0.5, 1 << 20, NULL, "a", false, false, 0},
        {"a -n 7 b", "a b ", 7, 0.5, 1 << 20, NULL, "a", false, false, 0},
        {"-n7 a", "a ", 7, 0.5, 1 << 20, NULL, "a", false, false, 0},
        {"a --count=-4", "a ", -4, 0.5, 1 << 20, NULL, "a", false, false, 0},
        {"a --count -4", "a ", -4, 0.5, 1 << 20, NULL, "a", false, false, 0},
        {"a -n 1 -n 2", "a ", 2, 0.5, 1 << 20, NULL, "a", false, false, 0},
        {"a --lr 1e-3", "a ", 3, 1e-3, 1 << 20, NULL, "a", false, false, 0},
        {"a --lr=.25", "a ", 3, 0.25, 1 << 20, NULL, "a", false, false, 0},
        {"a -f 64K", "a ", 3, 0.5, 65536, NULL, "a", false, false, 0},
        {"a -f8M", "a ", 3, 0.5, 8 << 20, NULL, "a", false, false, 0},
        {"a -f 100000", "a ", 3, 0.5, 100000, NULL, "a", false, false, 0},
        {"a -xyn5 b c", "a b c ", 5, 0.5, 1 << 20, NULL, "a", true, true, 0},
        {"a --flag", "a ", 3, 0.5, 1 << 20, NULL, "a", true, false, 0},
        {"a --flag-too", "a ", 3, 0.5, 1 << 20, NULL, "a", false, true, 0},
        {"a --text=b=c", "a ", 3, 0.5, 1 << 20, "b=c", "a", false, false, 0},
        {"a --text --flag", "a ", 3, 0.5, 1 << 20, "--flag", "a", false, false, 0},
        {"a -t -- b", "a b ", 3, 0.5, 1 << 20, "--", "a", false, false, 0},
        {"a --method bc", "a ", 3, 0.5, 1 << 20, NULL, "bc", false, false, 0},
        {"a --method d-e", "a ", 3, 0.5, 1 << 20, NULL, "d-e", false, false, 0},
        {"-- -n --flag", "-n --flag ", 3, 0.5, 1 << 20, NULL, "a", false, false, 0},
        {"-x -- -- a", "-- a ", 3, 0.5, 1 << 20, NULL, "a", true, false, 0},
        {"- -x", "- ", 3, 0.5, 1 << 20, NULL, "a", true, false, 0},
        {"a --real b --real -", "a ", 3, 0.5, 1 << 20, NULL, "a", false, false, 2},
        {"- --output -", "- ", 3, 0.5, 1 << 20, NULL, "a", false, false, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char *argv[ARGS + 1], operands[256] = "";
        cli_table t;
        vl_err e = {0};
        int n = scan_line(rows[i].line, argv, &t, &e);

        if (n < 0)
            fail_msg("'%s' is refused: %s", rows[i].line, e.text);
        for (int k = 1; k <= n; k++) {
            strcat(operands, argv[k]);
            strcat(operands, " ");
        }
        print_message("# row '%s'\n", rows[i].line);
        assert_string_equal(operands, rows[i].operands);
        assert_int_equal(v.n, rows[i].n);
        assert_true(v.lr == rows[i].lr);
        assert_int_equal(v.frame, rows[i].frame);
        if (rows[i].text)
            assert_string_equal(v.text, rows[i].text);
        else
            assert_null(v.text);
        assert_string_equal(v.method, rows[i].method);
        assert_int_equal(v.flag, rows[i].flag);
        assert_int_equal(v.other, rows[i].other);
        assert_int_equal(v.real.n, rows[i].reals);
    }
}

static void list_is_bounded(void **state)
{
    char *argv[2 * CLI_LIST_MAX + 5];
    int argc = 0;
    cli_table t;
    vl_err e = {0};

    (void)state;
    argv[argc++] = (char *)"vltry";
    for (int i = 0; i <= CLI_LIST_MAX; i++) {
        argv[argc++] = (char *)"--real";
        argv[argc++] = (char *)"f";
    }
    v = START;
    cli_table_build(&t, &tool);
    assert_int_equal(cli_table_scan(&t, &tool, argc, argv, &e), VL_EARG);
    assert_string_equal(e.text, "--real: given more than 64 times");
}

static void asked_beats_misuse_behind_it(void **state)
{
    char *argv[ARGS + 1];
    cli_table t;
    vl_err e = {0};

    (void)state;
    assert_int_equal(scan_line("--help --nope", argv, &t, &e), 0);
    assert_true(t.help);
    assert_int_equal(scan_line("--version", argv, &t, &e), 0);
    assert_true(t.version);
    assert_int_equal(scan_line("--options-tsv", argv, &t, &e), 0);
    assert_true(t.tsv);
}

/* What is on the line, however it is said; and values that follow another option unless they are. */
static void given(void **state)
{
    static const char *const names[] = {"count", "lr", "frame", "text", "method", "flag", "flag-too", "real"};
    static const struct {
        const char *line, *given; /* a character a name */
    } rows[] = {
        {"a", "........"},
        {"a -n 3", "x......."},
        {"a --count=3 --lr 0.5", "xx......"},
        {"a -xyn5", "x....xx."},
        {"a --flag-too", "......x."},
        {"a --text --flag", "...x...."},
        {"a -- --flag", "........"},
        {"a --real b -f 1M --method a", "..x.x..x"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const values other = {CLI_COMMON_DEFAULT, 9, 0.25, 1 << 16, "w", "bc", true, true, {{"q"}, 1}};
        char *argv[ARGS + 1], got[sizeof names / sizeof *names + 1] = "";
        values before;
        cli_table t;
        vl_err e = {0};

        assert_true(scan_line(rows[i].line, argv, &t, &e) >= 0);
        for (size_t k = 0; k < sizeof names / sizeof *names; k++)
            got[k] = cli_table_given(&t, names[k]) ? 'x' : '.';
        assert_string_equal(got, rows[i].given);
        assert_false(cli_table_given(&t, "no-such-option"));
        before = v;
        cli_table_defaults(&t, &other, &v, sizeof v);
        assert_true(v.n == (got[0] == 'x' ? before.n : 9));
        assert_true(v.lr == (got[1] == 'x' ? before.lr : 0.25));
        assert_true(v.frame == (got[2] == 'x' ? before.frame : 1 << 16));
        assert_ptr_equal(v.text, got[3] == 'x' ? before.text : other.text);
        assert_ptr_equal(v.method, got[4] == 'x' ? before.method : other.method);
        assert_true(v.flag && v.other);
        assert_true(v.real.n == 1 && v.real.item[0] == (got[7] == 'x' ? before : other).real.item[0]);
    }
}

static void sizes_as_text(void **state)
{
    static const struct {
        uint64_t bytes;
        const char *text;
    } rows[] = {{0, "0"},
                {1, "1"},
                {1023, "1023"},
                {1024, "1K"},
                {1536, "1536"},
                {65536, "64K"},
                {8 << 20, "8M"},
                {3 << 10, "3K"},
                {(uint64_t)5 << 30, "5G"},
                {(uint64_t)1 << 40, "1024G"},
                {UINT64_MAX, "18446744073709551615"}};
    char out[CLI_SIZE_TEXT];

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        cli_size_text(rows[i].bytes, out);
        assert_string_equal(out, rows[i].text);
    }
}

/* Reads what fn prints for the table. */
static char *printed(void (*fn)(FILE *, const cli_table *, const cli_tool *))
{
    static char text[16384];
    cli_table t;
    FILE *f = tmpfile();
    size_t n;

    assert_non_null(f);
    v = START;
    cli_table_build(&t, &tool);
    fn(f, &t, &tool);
    rewind(f);
    n = fread(text, 1, sizeof text - 1, f);
    assert_int_equal(fclose(f), 0);
    text[n] = 0;
    return text;
}

static void tsv(FILE *f, const cli_table *t, const cli_tool *x)
{
    (void)x;
    cli_print_tsv(f, t);
}

static void help_shows_the_table(void **state)
{
    static const char *lines[] = {
        "usage: vltry [options] FILE...\nTries.\n\nmethod:\n",
        "\n  -n, --count N             how many [3]\n",
        "\n      --lr RATE             learning rate [0.5]\n",
        "\n  -f, --frame SIZE          raw bytes [1M]\n",
        "\n  -t, --text TEXT           any words\n",
        "\n      --method NAME         one of three [a]\n",
        "\n  -x, --flag                a switch\n",
        ("\n  -j, --threads N           threads, never changes the bytes written [processors\n"
         "                            online]\n"),
        "\nexample:\n  vltry a\n"};
    const char *text = printed(cli_print_help);

    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        if (!strstr(text, lines[i]))
            fail_msg("--help lacks '%s':\n%s", lines[i], text);
    assert_null(strstr(text, "options-tsv"));
}

static void tsv_shows_the_table(void **state)
{
    const char *text = printed(tsv);

    (void)state;
    assert_ptr_equal(strstr(text, "--count\t-n\tN\tint\t3\thow many\n--lr\t-\tRATE\treal\t0.5\t"), text);
    assert_non_null(strstr(text, "\n--text\t-t\tTEXT\ttext\t-\tany words\n"));
    assert_non_null(strstr(text, "\n--flag\t-x\t-\tflag\t-\ta switch\n"));
    assert_non_null(strstr(text, "\n--version\t-\t-\tflag\t-\t"));
    assert_null(strstr(text, "method\t-\t-\tgroup"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scan_refuses),        cmocka_unit_test(scan_takes),
        cmocka_unit_test(list_is_bounded),     cmocka_unit_test(asked_beats_misuse_behind_it),
        cmocka_unit_test(sizes_as_text),       cmocka_unit_test(help_shows_the_table),
        cmocka_unit_test(tsv_shows_the_table), cmocka_unit_test(given),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
