/* SPDX-License-Identifier: MIT */
#include "cli/operands.h"

#include "cli/msg.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { NAME_LONGEST = 4095, DIGITS_MAX = 18 };

static int add_name(cli_operands *o, const char *name, vl_err *e)
{
    if (o->n == CLI_OPERANDS_MAX)
        return vl_fail(e, VL_EARG, "more than %d operands", CLI_OPERANDS_MAX);
    if (o->n == o->room) {
        size_t room = o->room ? 2 * o->room : 16;
        char **more = vl_realloc(o->name, room, sizeof *more, e);
        if (!more)
            return VL_ENOMEM;
        o->name = more;
        o->room = room;
    }
    o->name[o->n] = vl_strdup(name, e);
    if (!o->name[o->n])
        return VL_ENOMEM;
    o->n++;
    return VL_OK;
}

static int expand(cli_operands *o, const char *operand, size_t done, vl_err *e);

/* The operand with [from, to) replaced by n bytes of text; what lies before `from` is done with. */
static int replaced(cli_operands *o, const char *operand, size_t from, size_t to, const char *text, size_t n,
                    vl_err *e)
{
    char name[NAME_LONGEST + 1];

    if (from + n + strlen(operand + to) > NAME_LONGEST)
        return vl_fail(e, VL_EARG, "a name of more than %d bytes", NAME_LONGEST);
    memcpy(name, operand, from);
    memcpy(name + from, text, n);
    strcpy(name + from + n, operand + to);
    return expand(o, name, from + n, e);
}

static bool number(const char *s, size_t n, int64_t *v)
{
    *v = 0;
    if (n < 1 || n > DIGITS_MAX)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (s[i] < '0' || s[i] > '9')
            return false;
        *v = *v * 10 + (s[i] - '0');
    }
    return true;
}

/* {A..B} at operand[from, to). */
static int expand_range(cli_operands *o, const char *operand, size_t from, size_t to, const char *dots,
                        vl_err *e)
{
    const char *a = operand + from + 1, *b = dots + 2;
    size_t a_n = (size_t)(dots - a), b_n = (size_t)(operand + to - 1 - b);
    int64_t first, last, at;
    char text[32];
    int width = 1, rc;

    if (!number(a, a_n, &first) || !number(b, b_n, &last))
        return vl_fail(e, VL_EARG, "%s: '%.*s' is no range of numbers", operand, (int)(to - from),
                       operand + from);
    if ((first > last ? first - last : last - first) >= CLI_OPERANDS_MAX)
        return vl_fail(e, VL_EARG, "%s: more than %d names", operand, CLI_OPERANDS_MAX);
    if ((a[0] == '0' && a_n > 1) || (b[0] == '0' && b_n > 1)) /* as the shell has it */
        width = (int)(a_n > b_n ? a_n : b_n);
    for (at = first;; at += first < last ? 1 : -1) {
        int n = snprintf(text, sizeof text, "%0*" PRId64, width, at);
        rc = replaced(o, operand, from, to, text, (size_t)n, e);
        if (rc || at == last)
            return rc;
    }
}

/* {A,B,...} at operand[from, to). */
static int expand_words(cli_operands *o, const char *operand, size_t from, size_t to, vl_err *e)
{
    size_t at = from + 1, n;
    int rc = VL_OK;

    for (; !rc && at < to; at += n + 1) {
        n = strcspn(operand + at, ",}");
        rc = replaced(o, operand, from, to, operand + at, n, e);
    }
    return rc;
}

static int expand(cli_operands *o, const char *operand, size_t done, vl_err *e)
{
    const char *open = strchr(operand + done, '{'), *close = open ? strchr(open, '}') : NULL, *dots;
    size_t from, to;

    if (!open)
        return add_name(o, operand, e);
    if (!close)
        return vl_fail(e, VL_EARG, "%s: a brace is not closed", operand);
    from = (size_t)(open - operand);
    to = (size_t)(close - operand) + 1;
    if (memchr(open + 1, '{', (size_t)(close - open - 1)))
        return vl_fail(e, VL_EARG, "%s: braces within braces", operand);
    dots = strstr(open, "..");
    if (dots && dots < close)
        return expand_range(o, operand, from, to, dots, e);
    if (memchr(open, ',', (size_t)(close - open)))
        return expand_words(o, operand, from, to, e);
    return expand(o, operand, to, e); /* as it stands, as in the shell */
}

static int add_plain(cli_operands *o, const char *operand, vl_err *e)
{
    if (!strcmp(operand, "-") || !strchr(operand, '{') || !access(operand, F_OK))
        return add_name(o, operand, e);
    return expand(o, operand, 0, e);
}

static int add_list(cli_operands *o, const char *path, vl_err *e)
{
    FILE *f = fopen(path, "re");
    char line[NAME_LONGEST + 2];
    int rc = VL_OK;

    if (!f)
        return vl_fail_errno(e, "%s", path);
    while (!rc && fgets(line, sizeof line, f)) {
        size_t n = strcspn(line, "\n");
        if (!line[n] && !feof(f))
            rc = vl_fail(e, VL_EIO, "%s: a line of more than %d bytes, or with a zero byte", path,
                         NAME_LONGEST);
        line[n] = 0;
        if (!rc && n)
            rc = add_plain(o, line, e);
    }
    if (!rc && ferror(f))
        rc = vl_fail_errno(e, "%s", path);
    fclose(f);
    return rc;
}

int cli_operands_add(cli_operands *o, const char *operand, vl_err *e)
{
    if (operand[0] == '@' && operand[1] && access(operand, F_OK))
        return add_list(o, operand + 1, e);
    return add_plain(o, operand, e);
}

void cli_operands_of(cli_operands *o, int n, char **argv)
{
    size_t dashes = 0;
    vl_err e = {0};
    int rc = VL_OK;

    for (int i = 1; !rc && i <= n; i++)
        rc = cli_operands_add(o, argv[i], &e);
    if (rc == VL_EARG)
        cli_misuse("%s", e.text);
    if (rc)
        exit(cli_fail(&e));
    for (size_t i = 0; i < o->n; i++)
        dashes += !strcmp(o->name[i], "-");
    if (dashes > 1)
        cli_misuse("standard input (-) is named %zu times, it can be read once", dashes);
}

void cli_operands_free(cli_operands *o)
{
    for (size_t i = 0; i < o->n; i++)
        free(o->name[i]);
    free(o->name);
    *o = (cli_operands){0};
}
