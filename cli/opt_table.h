/* SPDX-License-Identifier: MIT
 * opt_table.h -- the inside of cli_parse: a tool's whole table, the scanner, and what prints it.
 * Tools include opt.h; this header is for cli/ and its tests. */
#ifndef CLI_OPT_TABLE_H
#define CLI_OPT_TABLE_H

#include "cli/opt.h"
#include "formats/err.h"

enum { CLI_TABLE_MAX = 96 };

typedef struct cli_table {
    cli_opt row[CLI_TABLE_MAX]; /* the tool's rows, then the common ones it takes */
    bool given[CLI_TABLE_MAX];  /* it is on the command line */
    int n;
    bool help, version, tsv; /* asked for on the command line */
} cli_table;

/* cli_table_build -- fills t from the tool. t must stay where it is: rows point into it. */
void cli_table_build(cli_table *t, const cli_tool *tool);

/* cli_table_scan -- reads argv[1..argc-1], sets the rows' values, moves operands to argv[1..n].
 * Stops at --help, --version or --options-tsv. Prints nothing, never exits.
 * Returns the number of operands or VL_EARG with *e. Operand counts are checked here too. */
VL_MUST_USE int cli_table_scan(cli_table *t, const cli_tool *tool, int argc, char **argv, vl_err *e);

/* The insides of cli_given and cli_take_defaults (opt.h). */
bool cli_table_given(const cli_table *t, const char *name);
void cli_table_defaults(const cli_table *t, const void *from, void *to, size_t size);

/* cli_size_text -- bytes with the largest suffix that divides them: 1048576 is "1M". */
enum { CLI_SIZE_TEXT = 24 };
void cli_size_text(uint64_t bytes, char out[CLI_SIZE_TEXT]);

/* cli_default_text -- the row's present value as --help shows it; "" when there is none. */
void cli_default_text(const cli_opt *o, char *out, size_t n);

void cli_print_help(FILE *f, const cli_table *t, const cli_tool *tool);
void cli_print_version(FILE *f, const cli_tool *tool);

/* One line an option: long name, short name or "-", argument or "-", type, default or "-", help. */
void cli_print_tsv(FILE *f, const cli_table *t);

#endif
