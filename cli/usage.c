/* SPDX-License-Identifier: MIT
 * usage.c -- what --help, --version and --options-tsv print, all from the one table. */
#include "cli/opt_table.h"

#include "formats/version.h"

#include <inttypes.h>
#include <string.h>
#include <zstd.h>

enum { HELP_COLUMN = 28, HELP_WIDTH = 80 };

void cli_size_text(uint64_t bytes, char out[CLI_SIZE_TEXT])
{
    static const char *suffix[] = {"", "K", "M", "G"};
    int i = 0;

    for (; i < 3 && bytes && bytes % 1024 == 0; i++)
        bytes /= 1024;
    snprintf(out, CLI_SIZE_TEXT, "%" PRIu64 "%s", bytes, suffix[i]);
}

void cli_default_text(const cli_opt *o, char *out, size_t n)
{
    const char *text;
    char size[CLI_SIZE_TEXT];

    out[0] = 0;
    switch (o->type) {
    case CLI_INT:
        snprintf(out, n, "%" PRId64, *(const int64_t *)o->value);
        break;
    case CLI_REAL:
        snprintf(out, n, "%g", *(const double *)o->value);
        break;
    case CLI_SIZE:
        cli_size_text(*(const uint64_t *)o->value, size);
        snprintf(out, n, "%s", size);
        break;
    case CLI_TEXT:
    case CLI_PATH:
    case CLI_CHOICE:
        text = *(const char *const *)o->value;
        snprintf(out, n, "%s", text ? text : "");
        break;
    case CLI_FLAG:
    case CLI_LIST:
    case CLI_GROUP:
    case CLI_END_:
        break;
    }
}

/* Words of s from the given column on, later lines indented by indent. */
static void wrap(FILE *f, const char *s, int column, int indent)
{
    bool first = true;

    while (*s) {
        int n = (int)strcspn(s, " ");
        if (!first && column + 1 + n > HELP_WIDTH) {
            fprintf(f, "\n%*s", indent, "");
            column = indent;
        } else if (!first) {
            fputc(' ', f);
            column++;
        }
        fprintf(f, "%.*s", n, s);
        column += n;
        s += n;
        s += strspn(s, " ");
        first = false;
    }
    fputc('\n', f);
}

static void print_option(FILE *f, const cli_opt *o)
{
    char head[96], value[128], help[1024];
    size_t len = strlen(o->help);
    int n = snprintf(head, sizeof head, "  %c%c%s --%s%s%s", o->short_name ? '-' : ' ',
                     o->short_name ? o->short_name : ' ', o->short_name ? "," : " ", o->long_name,
                     o->arg ? " " : "", o->arg ? o->arg : "");

    cli_default_text(o, value, sizeof value);
    if (*value && !(len && o->help[len - 1] == ']'))
        snprintf(help, sizeof help, "%s [%s]", o->help, value);
    else
        snprintf(help, sizeof help, "%s", o->help);
    fputs(head, f);
    if (n >= HELP_COLUMN - 1)
        fprintf(f, "\n%*s", HELP_COLUMN, "");
    else
        fprintf(f, "%*s", HELP_COLUMN - n, "");
    wrap(f, help, HELP_COLUMN, HELP_COLUMN);
}

void cli_print_help(FILE *f, const cli_table *t, const cli_tool *tool)
{
    fprintf(f, "usage: %s %s\n", tool->name, tool->usage);
    wrap(f, tool->sentence, 0, 0);
    fputc('\n', f);
    for (int i = 0; i < t->n; i++) {
        const cli_opt *o = &t->row[i];
        if (o->type == CLI_GROUP)
            fprintf(f, "%s:\n", o->help ? o->help : o->long_name);
        else
            print_option(f, o);
    }
    fprintf(f, "\nexample:\n  %s\n", tool->example);
}

void cli_print_version(FILE *f, const cli_tool *tool)
{
    fprintf(f, "%s (vlkit) %s\n", tool->name, VL_VERSION);
    fprintf(f, "shard format  reads and writes version %d\n", VL_FORMAT_VERSION);
    if (tool->print_engine)
        tool->print_engine(f);
    fprintf(f, "libzstd       %s\n", ZSTD_versionString());
    fprintf(f, "CUDA          no\n");
}

static const char *type_name(cli_type t)
{
    static const char *name[] = {
        [CLI_END_] = "end",  [CLI_FLAG] = "flag",  [CLI_INT] = "int",   [CLI_REAL] = "real",
        [CLI_SIZE] = "size", [CLI_TEXT] = "text",  [CLI_PATH] = "path", [CLI_CHOICE] = "choice",
        [CLI_LIST] = "list", [CLI_GROUP] = "group"};
    return name[t];
}

void cli_print_tsv(FILE *f, const cli_table *t)
{
    for (int i = 0; i < t->n; i++) {
        const cli_opt *o = &t->row[i];
        char value[128];

        if (o->type == CLI_GROUP)
            continue;
        cli_default_text(o, value, sizeof value);
        fprintf(f, "--%s\t", o->long_name);
        fprintf(f, o->short_name ? "-%c\t" : "-\t", o->short_name);
        fprintf(f, "%s\t%s\t%s\t%s\n", o->arg ? o->arg : "-", type_name(o->type), *value ? value : "-",
                o->help);
    }
}
