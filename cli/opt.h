/* SPDX-License-Identifier: MIT
 * opt.h -- one table of options a tool: the parser, --help and the man-page test all read it.
 *
 * Long names are never abbreviated, numbers are parsed whole with range and unit in the complaint,
 * "--" ends options, "-" is an operand. --help prints to stdout and exits 0; misuse prints one line
 * and "try 'vlpack --help'" to stderr and exits 2. */
#ifndef CLI_OPT_H
#define CLI_OPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

typedef enum cli_type {
    CLI_END_,
    CLI_FLAG,   /* bool *            */
    CLI_INT,    /* int64_t *, min..max */
    CLI_REAL,   /* double *, min..max */
    CLI_SIZE,   /* uint64_t *, bytes, suffix K M G, min..max */
    CLI_TEXT,   /* const char **     */
    CLI_PATH,   /* const char **     */
    CLI_CHOICE, /* const char **; choices in `choices`, separated by '|' */
    CLI_LIST,   /* cli_list *; may be given several times */
    CLI_GROUP   /* heading in --help, no option */
} cli_type;

enum { CLI_LIST_MAX = 64 };

typedef struct cli_list {
    const char *item[CLI_LIST_MAX];
    int n;
} cli_list;

typedef struct cli_opt {
    char short_name; /* 0: none */
    const char *long_name;
    cli_type type;
    void *value;         /* holds the default before parsing */
    const char *arg;     /* "FILE", "N", NULL for flags */
    const char *help;    /* "raw bytes in a frame, 64K to 8M [1M]" */
    double min, max;     /* CLI_INT, CLI_REAL, CLI_SIZE; both 0: the type's range */
    const char *choices; /* CLI_CHOICE */
} cli_opt;

#define CLI_END                                                                                              \
    {                                                                                                        \
        0, NULL, CLI_END_, NULL, NULL, NULL, 0, 0, NULL                                                      \
    }

/* What every tool understands. */
typedef struct cli_common {
    const char *output;   /* -o --output; NULL: standard output */
    int64_t threads;      /* -j --threads; 0: processors online */
    int64_t seed;         /* --seed */
    const char *device;   /* --device cpu */
    bool quiet, verbose;  /* -q, -v */
    const char *progress; /* --progress auto|always|never */
    const char *run_log;  /* --run-log FILE: JSON lines */
    const char *sign;     /* --sign KEY, NULL: no signature */
    bool skip_bad;        /* --skip-bad: of the shards that are read */
} cli_common;

#define CLI_COMMON_DEFAULT                                                                                   \
    {                                                                                                        \
        NULL, 0, 0, "cpu", false, false, "auto", NULL, NULL, false                                           \
    }

/* Which of the common options a tool takes: --help, --version, -q, -v always. */
enum {
    CLI_OUTPUT = 1,
    CLI_THREADS = 2,
    CLI_SEED = 4,
    CLI_DEVICE = 8,
    CLI_PROGRESS = 16,
    CLI_RUNLOG = 32,
    CLI_SIGN = 64, /* for shards; see writer.h */
    CLI_SKIP_BAD = 128
};

typedef struct cli_tool {
    const char *name;     /* "vlpack" */
    const char *usage;    /* "[options] TSV|DIR" */
    const char *sentence; /* what it does, one sentence */
    const char *example;  /* one that works */
    const cli_opt *options;
    cli_common *common;
    unsigned common_set;            /* CLI_OUTPUT | ... */
    int min_operands, max_operands; /* max < 0: any */
    void (*print_engine)(
        FILE *f); /* lines of --version on what multiplies matrices: cli_print_blas; NULL where
                                       nothing does, and then the linker leaves OpenBLAS out of the program */
    void (*settle)(
        void); /* called when the line is read, before --help shows the values: for options that change
                             the defaults of others. NULL: there are none */
} cli_tool;

/* cli_print_blas -- OpenBLAS: its version, the kernels in use, threads. */
void cli_print_blas(FILE *f);

/* cli_parse -- fills the table's values; returns the number of operands, moved to argv[1..n].
 * Options and operands may be mixed. threads is at least 1 afterwards (0 became the processors that
 * this process may use). Help text need not name its default: --help adds it where the text does
 * not end in "[...]". Exits 0 after --help, --version and --options-tsv (hidden; for the man-page
 * test), 2 on misuse. Installs the signal handlers that unlink
 * temporary output; SIGPIPE is ignored, so a closed pipe is a write error like any other. */
int cli_parse(const cli_tool *tool, int argc, char **argv);

/* cli_given -- was --name (or its short form) on the line? From tool->settle on. */
bool cli_given(const char *name);

/* cli_take_defaults -- for tool->settle: *from and *to are of one type, size bytes, and the table's values lie in *to;
 * those whose options are not on the line become what they are in *from. */
void cli_take_defaults(const void *from, void *to, size_t size);

#endif
