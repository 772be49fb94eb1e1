/* SPDX-License-Identifier: MIT
 * vlls -- says what is in a shard. Everything that is printed was verified first. */
#include "cli/ls.h"
#include "cli/msg.h"
#include "cli/operands.h"
#include "formats/shard_index.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static cli_common common = CLI_COMMON_DEFAULT;
static ls_opts o;
static cli_list get;
static const char *public_key;
static bool recipe, diff;

static const cli_opt options[] = {
    {0, "manifest", CLI_FLAG, &o.manifest, NULL,
     "print each segment's manifest, one JSON object a line, instead of the records", 0, 0, NULL},
    {0, "check", CLI_FLAG, &o.check, NULL,
     "print one line a shard, after every frame, sum, key and count was verified", 0, 0, NULL},
    {0, "verify", CLI_PATH, &public_key, "KEY",
     "as --check; and every segment must be signed with this Ed25519 key, a PEM file with its public half", 0,
     0, NULL},
    {0, "json", CLI_FLAG, &o.json, NULL, "one JSON object a line; manifests with their tails", 0, 0, NULL},
    {0, "skip-bad", CLI_FLAG, &o.skip_bad, NULL,
     "leave out what does not verify and go on behind it; say what is missing, still exit 1", 0, 0, NULL},
    {0, "recipe", CLI_FLAG, &recipe, NULL,
     "print the command lines that made the first shard, back through all parents that are found in the "
     "other "
     "operands (shards, folders), or beside it",
     0, 0, NULL},
    {0, "diff", CLI_FLAG, &diff, NULL, "print what differs between two shards; exit 1 when something does", 0,
     0, NULL},
    {0, "get", CLI_LIST, &get, "KEY",
     "print only the record with this key, reading no other; for several keys give it several times; of the "
     "shards' first kind; no pipes",
     0, 0, NULL},
    CLI_END};

static const cli_tool tool = {
    .name = "vlls",
    .usage = "[options] [SHARD...]",
    .sentence = "Lists the records of shards: key, bytes, and each member with its bytes.",
    .example = "vlls --check train-*.tar.zst",
    .options = options,
    .common = &common,
    .common_set = CLI_THREADS,
    .min_operands = 0,
    .max_operands = -1,
};

/* The records of --get, in the order of the keys; 0 or 1 with a message printed. */
static int get_all(const char *const *paths, size_t n)
{
    vls_index *x = NULL;
    vls_segment seg = {0};
    vls_where where;
    vls_record rec;
    uint64_t number;
    vl_err e;
    int bad = 0, rc = vls_index_open(paths, n, NULL, &x, &e);

    if (rc)
        return cli_fail(&e);
    seg.kind = vls_index_kind(x);
    for (int i = 0; i < get.n && !ferror(stdout); i++) {
        rc = vls_index_find(x, get.item[i], &number, &e);
        if (rc == 1)
            rc = vls_index_get(x, number, &rec, &where, &e);
        else if (!rc)
            rc = vl_fail(&e, VL_EARG, "%s%s: no record '%s' of kind '%s'", paths[0],
                         n > 1 ? " and others" : "", get.item[i], seg.kind);
        if (rc) {
            bad = cli_fail(&e);
            continue;
        }
        seg.ordinal = where.segment;
        ls_record(&o, where.path, &rec, &seg);
    }
    vls_index_close(x);
    return bad;
}

static void check_options(size_t n, bool dash)
{
    if (public_key && (o.manifest || o.skip_bad || get.n || recipe || diff))
        cli_misuse("--verify goes with --json only");
    if (get.n && (o.manifest || o.check || o.skip_bad || recipe || diff))
        cli_misuse("--get goes with --json only");
    if ((recipe || diff) && (o.manifest || o.check || (recipe && (diff || o.skip_bad))))
        cli_misuse("--recipe and --diff go with --json only, --diff with --skip-bad, too");
    if ((get.n || recipe) && dash)
        cli_misuse("--%s needs files: a pipe has no single records, and cannot be read twice",
                   get.n ? "get" : "recipe");
    if (diff && n != 2)
        cli_misuse("--diff compares two shards, %zu are named", n);
}

static int list_all(const cli_operands *in)
{
    int bad = 0;

    if (o.check)
        return ls_check(&o, in->name, in->n);
    for (size_t i = 0; i < in->n && !ferror(stdout); i++)
        bad |= ls_list(&o, in->name[i]);
    return bad;
}

int main(int argc, char **argv)
{
    int n = cli_parse(&tool, argc, argv), bad;
    static char dash[] = "-";
    cli_operands in = {0};
    bool from_stdin = false;
    vl_err e;

    if (n == 0)
        argv[++n] = dash; /* a shard on standard input */
    cli_operands_of(&in, n, argv);
    for (size_t i = 0; i < in.n; i++)
        from_stdin |= !strcmp(in.name[i], "-");
    check_options(in.n, from_stdin);
    if (public_key) {
        vl_sign_key *key = NULL;
        if (vl_sign_key_public(public_key, &key, &e))
            return cli_fail(&e);
        o.key = key;
        o.check = true;
    }
    o.threads = (int)common.threads;
    if (get.n)
        bad = get_all((const char *const *)in.name, in.n);
    else if (recipe)
        bad = ls_recipe(&o, in.name, in.n);
    else if (diff)
        bad = ls_diff(&o, in.name[0], in.name[1]);
    else
        bad = list_all(&in);
    cli_operands_free(&in);
    vl_sign_key_free((vl_sign_key *)o.key);
    return cli_stdout_close(true) | bad;
}
