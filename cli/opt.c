/* SPDX-License-Identifier: MIT
 * opt.c -- reads a command line against the tool's table. */
#include "cli/opt.h"

#include "cli/msg.h"
#include "cli/opt_table.h"
#include "cli/signals.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

/* ---- the table ------------------------------------------------------------------------------- */

static void add(cli_table *t, cli_opt row)
{
    assert(t->n < CLI_TABLE_MAX);
    t->row[t->n++] = row;
}

static void add_common(cli_table *t, cli_common *c, unsigned set)
{
    if (set & CLI_OUTPUT)
        add(t, (cli_opt){'o', "output", CLI_PATH, &c->output, "FILE",
                         "write to FILE; - is standard output [-]", 0, 0, NULL});
    if (set & CLI_SIGN)
        add(t, (cli_opt){0, "sign", CLI_PATH, &c->sign, "KEY",
                         "sign the content id with this Ed25519 private key, a PEM file", 0, 0, NULL});
    if (set & CLI_SKIP_BAD)
        add(t,
            (cli_opt){
                0, "skip-bad", CLI_FLAG, &c->skip_bad, NULL,
                "leave out what does not verify in the shards that are read; say and record what is missing",
                0, 0, NULL});
    if (set & CLI_THREADS)
        add(t, (cli_opt){'j', "threads", CLI_INT, &c->threads, "N",
                         "threads, never changes the bytes written [processors online]", 0, 1024, NULL});
    if (set & CLI_SEED)
        add(t, (cli_opt){0, "seed", CLI_INT, &c->seed, "N", "seed of every random choice", 0,
                         9007199254740992.0, NULL});
    if (set & CLI_DEVICE)
        add(t,
            (cli_opt){0, "device", CLI_CHOICE, &c->device, "DEVICE", "where to compute: cpu", 0, 0, "cpu"});
    if (set & CLI_PROGRESS)
        add(t, (cli_opt){0, "progress", CLI_CHOICE, &c->progress, "WHEN",
                         "show progress: auto (on a terminal), always or never", 0, 0, "auto|always|never"});
    if (set & CLI_RUNLOG)
        add(t, (cli_opt){0, "run-log", CLI_PATH, &c->run_log, "FILE",
                         "write one JSON object a line for each step to FILE", 0, 0, NULL});
    add(t, (cli_opt){'q', "quiet", CLI_FLAG, &c->quiet, NULL, "print errors only", 0, 0, NULL});
    add(t, (cli_opt){'v', "verbose", CLI_FLAG, &c->verbose, NULL, "print decisions taken, too", 0, 0, NULL});
}

void cli_table_build(cli_table *t, const cli_tool *tool)
{
    memset(t, 0, sizeof *t);
    for (const cli_opt *o = tool->options; o && o->type != CLI_END_; o++)
        add(t, *o);
    add_common(t, tool->common, tool->common_set);
    add(t, (cli_opt){0, "help", CLI_FLAG, &t->help, NULL, "print this help", 0, 0, NULL});
    add(t, (cli_opt){0, "version", CLI_FLAG, &t->version, NULL,
                     "print versions of tool, format and libraries", 0, 0, NULL});
}

static const cli_opt *find_long(const cli_table *t, const char *name, size_t n)
{
    for (int i = 0; i < t->n; i++) {
        const cli_opt *o = &t->row[i];
        if (o->type != CLI_GROUP && strlen(o->long_name) == n && !memcmp(o->long_name, name, n))
            return o;
    }
    return NULL;
}

static const cli_opt *find_short(const cli_table *t, char c)
{
    for (int i = 0; i < t->n; i++)
        if (t->row[i].type != CLI_GROUP && c && t->row[i].short_name == c)
            return &t->row[i];
    return NULL;
}

/* ---- values ---------------------------------------------------------------------------------- */

static bool has_range(const cli_opt *o)
{
    return o->min != 0 || o->max != 0;
}

static int set_int(const cli_opt *o, const char *s, vl_err *e)
{
    char *end = NULL;
    long long v = 0;

    errno = 0;
    if ((*s >= '0' && *s <= '9') || *s == '-')
        v = strtoll(s, &end, 10);
    if (!end || end == s || *end || errno)
        return vl_fail(e, VL_EARG, "--%s: '%s' is not a whole number", o->long_name, s);
    if (has_range(o) && ((double)v < o->min || (double)v > o->max))
        return vl_fail(e, VL_EARG, "--%s: %lld is outside %.0f to %.0f", o->long_name, v, o->min, o->max);
    *(int64_t *)o->value = v;
    return VL_OK;
}

static int set_real(const cli_opt *o, const char *s, vl_err *e)
{
    char *end = NULL;
    double v = 0;

    if (*s && strchr("0123456789.-", *s))
        v = strtod(s, &end);
    if (!end || end == s || *end || !isfinite(v))
        return vl_fail(e, VL_EARG, "--%s: '%s' is not a finite number", o->long_name, s);
    if (has_range(o) && (v < o->min || v > o->max))
        return vl_fail(e, VL_EARG, "--%s: %g is outside %g to %g", o->long_name, v, o->min, o->max);
    *(double *)o->value = v;
    return VL_OK;
}

static int size_shift(const char *end)
{
    static const char suffix[] = "KMG";
    const char *at;

    if (!*end)
        return 0;
    at = strchr(suffix, *end);
    return at && !end[1] ? 10 * (int)(at - suffix + 1) : -1;
}

static int set_size(const cli_opt *o, const char *s, vl_err *e)
{
    double max = has_range(o) ? o->max : 9223372036854775807.0;
    char *end = NULL, lo[CLI_SIZE_TEXT], hi[CLI_SIZE_TEXT];
    unsigned long long v = 0;
    int shift = -1;

    errno = 0;
    if (*s >= '0' && *s <= '9')
        v = strtoull(s, &end, 10);
    if (end && end != s && !errno)
        shift = size_shift(end);
    if (shift < 0)
        return vl_fail(e, VL_EARG, "--%s: '%s' is not a size in bytes (suffixes K, M, G)", o->long_name, s);
    /* ldexp, not a shift: the product must be compared before it can overflow. */
    if (ldexp((double)v, shift) < o->min || ldexp((double)v, shift) > max) {
        cli_size_text((uint64_t)o->min, lo);
        cli_size_text(has_range(o) ? (uint64_t)max : (uint64_t)INT64_MAX, hi);
        return vl_fail(e, VL_EARG, "--%s: %s is outside %s to %s bytes", o->long_name, s, lo, hi);
    }
    *(uint64_t *)o->value = (uint64_t)v << shift;
    return VL_OK;
}

static int set_choice(const cli_opt *o, const char *s, vl_err *e)
{
    size_t n = strlen(s);

    for (const char *p = o->choices; p; p = strchr(p, '|') ? strchr(p, '|') + 1 : NULL)
        if (n && strcspn(p, "|") == n && !memcmp(p, s, n)) {
            *(const char **)o->value = s;
            return VL_OK;
        }
    return vl_fail(e, VL_EARG, "--%s: '%s' is none of %s", o->long_name, s, o->choices);
}

static int set_text(const cli_opt *o, const char *s, vl_err *e)
{
    if (!*s)
        return vl_fail(e, VL_EARG, "--%s: the argument is empty", o->long_name);
    *(const char **)o->value = s;
    return VL_OK;
}

static int set_list(const cli_opt *o, const char *s, vl_err *e)
{
    cli_list *l = o->value;

    if (!*s)
        return vl_fail(e, VL_EARG, "--%s: the argument is empty", o->long_name);
    if (l->n >= CLI_LIST_MAX)
        return vl_fail(e, VL_EARG, "--%s: given more than %d times", o->long_name, CLI_LIST_MAX);
    l->item[l->n++] = s;
    return VL_OK;
}

static int convert(const cli_opt *o, const char *s, vl_err *e)
{
    switch (o->type) {
    case CLI_FLAG:
        *(bool *)o->value = true;
        return VL_OK;
    case CLI_INT:
        return set_int(o, s, e);
    case CLI_REAL:
        return set_real(o, s, e);
    case CLI_SIZE:
        return set_size(o, s, e);
    case CLI_CHOICE:
        return set_choice(o, s, e);
    case CLI_LIST:
        return set_list(o, s, e);
    case CLI_TEXT:
    case CLI_PATH:
        return set_text(o, s, e);
    case CLI_END_:
    case CLI_GROUP:
        break;
    }
    return vl_fail(e, VL_EARG, "--%s: takes no value", o->long_name);
}

static size_t value_bytes(cli_type type)
{
    static const size_t bytes[] = {[CLI_FLAG] = sizeof(bool),
                                   [CLI_INT] = sizeof(int64_t),
                                   [CLI_REAL] = sizeof(double),
                                   [CLI_SIZE] = sizeof(uint64_t),
                                   [CLI_TEXT] = sizeof(const char *),
                                   [CLI_PATH] = sizeof(const char *),
                                   [CLI_CHOICE] = sizeof(const char *),
                                   [CLI_LIST] = sizeof(cli_list),
                                   [CLI_GROUP] = 0};

    return bytes[type];
}

bool cli_table_given(const cli_table *t, const char *name)
{
    const cli_opt *o = find_long(t, name, strlen(name));

    return o && t->given[o - t->row];
}

void cli_table_defaults(const cli_table *t, const void *from, void *to, size_t size)
{
    for (int i = 0; i < t->n; i++) {
        uintptr_t at = (uintptr_t)t->row[i].value - (uintptr_t)to;
        if (!t->given[i] && t->row[i].value && at < size)
            memcpy((char *)to + at, (const char *)from + at, value_bytes(t->row[i].type));
    }
}

/* ---- the scanner ----------------------------------------------------------------------------- */

typedef struct scan {
    cli_table *t;
    char **argv;
    int argc, i; /* i: the argument being read */
} scan;

static int set_value(scan *s, const cli_opt *o, const char *value, vl_err *e)
{
    int rc = convert(o, value, e);

    if (!rc)
        s->t->given[o - s->t->row] = true;
    return rc;
}

/* The value behind an option: what follows in the same argument, or the next argument. */
static const char *value_of(scan *s, const char *rest)
{
    if (rest)
        return rest;
    return s->i + 1 < s->argc ? s->argv[++s->i] : NULL;
}

static int scan_long(scan *s, const char *name, vl_err *e)
{
    size_t n = strcspn(name, "=");
    const cli_opt *o = find_long(s->t, name, n);
    const char *value;

    if (n == strlen("options-tsv") && !strcmp(name, "options-tsv")) {
        s->t->tsv = true;
        return VL_OK;
    }
    if (!o)
        return vl_fail(e, VL_EARG, "unknown option --%.*s", (int)n, name);
    if (o->type == CLI_FLAG) {
        if (name[n])
            return vl_fail(e, VL_EARG, "--%s takes no value", o->long_name);
        return set_value(s, o, NULL, e);
    }
    value = value_of(s, name[n] ? name + n + 1 : NULL);
    if (!value)
        return vl_fail(e, VL_EARG, "--%s needs a value (%s)", o->long_name, o->arg);
    return set_value(s, o, value, e);
}

static int scan_short(scan *s, const char *letters, vl_err *e)
{
    for (const char *p = letters; *p; p++) {
        const cli_opt *o = find_short(s->t, *p);
        const char *value;
        int rc;

        if (!o)
            return vl_fail(e, VL_EARG, "unknown option -%c", *p);
        if (o->type != CLI_FLAG) {
            value = value_of(s, p[1] ? p + 1 : NULL);
            if (!value)
                return vl_fail(e, VL_EARG, "-%c needs a value (%s)", *p, o->arg);
            return set_value(s, o, value, e);
        }
        rc = set_value(s, o, NULL, e);
        if (rc)
            return rc;
    }
    return VL_OK;
}

/* Standard input can be read once: "-" may stand once among operands and repeatable inputs. */
static int check_operands(const cli_table *t, const cli_tool *tool, char **argv, int n, vl_err *e)
{
    int dashes = 0;

    if (n < tool->min_operands)
        return vl_fail(e, VL_EARG, "%s", n ? "too few operands" : "nothing to read: no operand");
    if (tool->max_operands >= 0 && n > tool->max_operands)
        return vl_fail(e, VL_EARG, "unexpected operand '%s'", argv[tool->max_operands + 1]);
    for (int i = 1; i <= n; i++)
        dashes += !strcmp(argv[i], "-");
    for (int i = 0; i < t->n; i++)
        if (t->row[i].type == CLI_LIST)
            for (int k = 0; k < ((cli_list *)t->row[i].value)->n; k++)
                dashes += !strcmp(((cli_list *)t->row[i].value)->item[k], "-");
    if (dashes > 1)
        return vl_fail(e, VL_EARG, "standard input (-) is named %d times, it can be read once", dashes);
    return n;
}

int cli_table_scan(cli_table *t, const cli_tool *tool, int argc, char **argv, vl_err *e)
{
    scan s = {t, argv, argc, 1};
    bool options = true;
    int n = 0;

    for (; s.i < argc; s.i++) {
        char *a = argv[s.i];
        int rc = VL_OK;

        if (!options || a[0] != '-' || !a[1])
            argv[++n] = a; /* n <= s.i: never overwrites what is still to be read */
        else if (!strcmp(a, "--"))
            options = false;
        else if (a[1] == '-')
            rc = scan_long(&s, a + 2, e);
        else
            rc = scan_short(&s, a + 1, e);
        if (rc)
            return rc;
        if (t->help || t->version || t->tsv)
            return 0;
    }
    return check_operands(t, tool, argv, n, e);
}

/* ---- the whole start of a tool --------------------------------------------------------------- */

static int processors(void)
{
    cpu_set_t set;

    if (sched_getaffinity(0, sizeof set, &set))
        return 1;
    return CPU_COUNT(&set) > 0 ? CPU_COUNT(&set) : 1;
}

/* In one write: a failure between several would be known at the end, its cause not. */
static void print_and_exit(const cli_table *t, const cli_tool *tool)
{
    static char room[1 << 16];

    setvbuf(stdout, room, _IOFBF, sizeof room);
    if (t->help)
        cli_print_help(stdout, t, tool);
    else if (t->version)
        cli_print_version(stdout, tool);
    else
        cli_print_tsv(stdout, t);
    exit(cli_stdout_close(true));
}

static cli_table line; /* what cli_parse read */

int cli_parse(const cli_tool *tool, int argc, char **argv)
{
    vl_err e = {0};
    int n;

    cli_msg_setup(tool->name, tool->common);
    cli_signals_install();
    cli_table_build(&line, tool);
    n = cli_table_scan(&line, tool, argc, argv, &e);
    if (n < 0)
        cli_misuse("%s", e.text);
    if (tool->settle)
        tool->settle();
    if (line.help || line.version || line.tsv)
        print_and_exit(&line, tool);
    if (tool->common->threads == 0)
        tool->common->threads = processors();
    return n;
}

bool cli_given(const char *name)
{
    return cli_table_given(&line, name);
}

void cli_take_defaults(const void *from, void *to, size_t size)
{
    cli_table_defaults(&line, from, to, size);
}
