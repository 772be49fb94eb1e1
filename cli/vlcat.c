/* SPDX-License-Identifier: MIT
 * vlcat -- shards in, records out: sliced, shuffled, joined, renamed, in another carrier.
 * The passes are those of pipeline/cat.c; the carriers are the sinks of pipeline/sink.h. */
#include "cli/cat_args.h"
#include "cli/msg.h"
#include "cli/signals.h"
#include "cli/spool.h"
#include "cli/writer.h"
#include "formats/outfolder.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static cat_args a = {.common = CLI_COMMON_DEFAULT, .every = 1, .shuffle = -1};

static const cli_opt options[] = {
    {0, NULL, CLI_GROUP, NULL, NULL, "Which records, in this order", 0, 0, NULL},
    {0, "kind", CLI_TEXT, &a.kind, "KIND", "segments of this kind only: pairs, embeddings, ...", 0, 0, NULL},
    {0, "key", CLI_LIST, &a.key, "GLOB", "keys like this shell pattern; * matches /, too; repeatable", 0, 0,
     NULL},
    {0, "keys", CLI_PATH, &a.keys, "FILE", "keys that are lines of FILE", 0, 0, NULL},
    {0, "range", CLI_TEXT, &a.range, "A:B", "records A up to B without B, counted from 0 within their kind",
     0, 0, NULL},
    {0, "every", CLI_INT, &a.every, "N", "of those, numbers 0, N, 2N, ...", 1, 9007199254740992.0, NULL},
    {0, "part", CLI_TEXT, &a.part, "I/N", "of those, part I (from 0) of N consecutive ones of equal size", 0,
     0, NULL},
    {0, "shuffle", CLI_INT, &a.shuffle, "SEED",
     "in the order of a hash of seed and key [the order of the input]", 0, 9007199254740992.0, NULL},
    {0, "head", CLI_INT, &a.head, "N", "at most N [all]", 1, 9007199254740992.0, NULL},
    {0, NULL, CLI_GROUP, NULL, NULL, "What they hold", 0, 0, NULL},
    {0, "join", CLI_LIST, &a.join, "SHARD", "add the members of the same key in SHARD (or list); repeatable",
     0, 0, NULL},
    {0, "any-parent", CLI_FLAG, &a.any_parent, NULL, "join even what was made from something else", 0, 0,
     NULL},
    {0, "drop", CLI_LIST, &a.drop, "EXT", "leave out members EXT, a shell pattern; repeatable", 0, 0, NULL},
    {0, "rename", CLI_LIST, &a.rename, "OLD=NEW", "call members OLD NEW; repeatable", 0, 0, NULL},
    {0, "plain", CLI_FLAG, &a.plain, NULL, "expand .vlt members to .npy", 0, 0, NULL},
    {0, "strip", CLI_TEXT, &a.strip, "TEXT", "take TEXT from the beginning of every key", 0, 0, NULL},
    {0, "prefix", CLI_TEXT, &a.prefix, "TEXT",
     "put TEXT in front of every key; %d in it is the number of the input", 0, 0, NULL},
    {0, NULL, CLI_GROUP, NULL, NULL, "Where to", 0, 0, NULL},
    {0, "to", CLI_CHOICE, &a.to, "CARRIER",
     "tar.zst, tar, folder, safetensors or npz [by the name of the output, else tar.zst]", 0, 0,
     "tar.zst|tar|folder|safetensors|npz"},
    {0, "reseal", CLI_FLAG, &a.reseal, NULL, "one segment with one seek table", 0, 0, NULL},
    {0, "seal", CLI_FLAG, &a.seal, NULL, "end with the mark that strict tar readers want", 0, 0, NULL},
    {0, "shard-size", CLI_SIZE, &a.shard_size, "SIZE",
     "several shards, of at most SIZE decoded bytes of records; -o out-%06d.tar.zst [one shard]", 1,
     9223372036854775807.0, NULL},
    {0, "shard-records", CLI_INT, &a.shard_records, "N", "several shards, of at most N records [one shard]",
     1, 1048576, NULL},
    {0, "dali-index", CLI_FLAG, &a.dali, NULL, "write NAME.idx beside each NAME.tar", 0, 0, NULL},
    {0, "bare", CLI_FLAG, &a.bare, NULL, "safetensors, npz: call a tensor EXT, not KEY.EXT", 0, 0, NULL},
    {0, "stack", CLI_FLAG, &a.stack, NULL, "safetensors, npz: one tensor for all members EXT, a row a record",
     0, 0, NULL},
    {0, "skip-bad", CLI_FLAG, &a.skip_bad, NULL, "in files, leave out frames that do not verify; count them",
     0, 0, NULL},
    CLI_END};

static const cli_tool tool = {
    .name = "vlcat",
    .usage = "[options] SHARD...|-",
    .sentence = "Joins shards, and cuts, shuffles, renames or converts what is in them.",
    .example = "vlcat --shuffle 1 --head 10 -o ten.tar.zst 'train-{000000..000001}.tar.zst'",
    .options = options,
    .common = &a.common,
    .common_set = CLI_OUTPUT | CLI_SIGN,
    .min_operands = 1,
    .max_operands = -1,
};

/* ---- inputs --------------------------------------------------------------------------------------- */

typedef struct inputs { /* shards, and those that are pipes as copies where they are read twice */
    cli_operands names;
    cli_spool *spool; /* [names.n], or NULL */
    size_t spooled;
    const char **path, **name; /* [names.n] what to open, what to call it */
} inputs;

static bool is_pipe(const char *operand)
{
    struct stat st;

    return !strcmp(operand, "-") || (!stat(operand, &st) && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode));
}

/* Pipes are copied only where they must be: elsewhere they are streams. */
static int open_inputs(inputs *in, bool twice, vl_err *e)
{
    size_t n = in->names.n;
    int rc = VL_OK;

    in->path = vl_alloc(n, sizeof *in->path, e);
    in->name = vl_alloc(n, sizeof *in->name, e);
    in->spool = vl_alloc(n, sizeof *in->spool, e);
    if (!in->path || !in->name || !in->spool)
        return VL_ENOMEM;
    for (size_t i = 0; !rc && i < n; i++) {
        in->path[i] = in->names.name[i];
        in->name[i] = strcmp(in->path[i], "-") ? in->path[i] : "standard input";
        if (!twice || !is_pipe(in->path[i]))
            continue;
        in->spooled = i + 1;
        rc = cli_spool_open(in->path[i], &in->spool[i], e);
        in->path[i] = cli_spool_path(&in->spool[i]);
    }
    return rc;
}

static void close_inputs(inputs *in)
{
    for (size_t i = 0; i < in->spooled; i++)
        if (in->spool[i].operand)
            cli_spool_close(&in->spool[i]);
    free(in->spool);
    free(in->path);
    free(in->name);
    cli_operands_free(&in->names);
}

/* ---- the run -------------------------------------------------------------------------------------- */

typedef struct job {
    inputs in, side[CLI_LIST_MAX];
    vl_join *join[CLI_LIST_MAX];
    vl_cat_input *input; /* [in.names.n] */
    vl_keytab keys;
    vl_pick *pick;
    vl_trim trim;
    json_t *step;
    vl_sink *sink;
    vl_sink_counts sunk;
    vl_cat_counts counts;
} job;

static int open_sink(job *j, cat_carrier to, vl_err *e)
{
    const char *out = a.common.output;
    vl_shards_opts shards = {.path = out,
                             .records = (uint64_t)a.shard_records,
                             .bytes = a.shard_size,
                             .plain = to == CAT_TAR,
                             .seal = a.seal,
                             .dali = a.dali};
    vl_arrays_opts arrays = {.path = out, .npz = to == CAT_NPZ, .bare = a.bare, .stack = a.stack};

    int rc = cli_sign_key(&a.common, &shards.sign, e);

    if (rc)
        return rc;
    if (to == CAT_FOLDER) {
        cli_on_signal(vl_outfolder_on_signal);
        return vl_folder_open(out, &j->sunk, &j->sink, e);
    }
    if (to >= CAT_SAFETENSORS)
        return vl_arrays_open(&arrays, &j->sunk, &j->sink, e);
    return vl_shards_open(&shards, &j->sunk, &j->sink, e);
}

static int open_joins(job *j, vl_err *e)
{
    int rc = VL_OK;

    for (int i = 0; !rc && i < a.join.n; i++) {
        inputs *s = &j->side[i];
        rc = cli_operands_add(&s->names, a.join.item[i], e);
        if (!rc)
            rc = open_inputs(s, true, e);
        if (!rc)
            rc = vl_join_open(s->path, s->name, s->names.n, &j->join[i], e);
    }
    return rc;
}

static int run(job *j, cat_carrier to, vl_err *e)
{
    vl_cat_opts o = {.n_inputs = j->in.names.n,
                     .pick = j->pick,
                     .trim = &j->trim,
                     .join = j->join,
                     .n_joins = (size_t)a.join.n,
                     .any_parent = a.any_parent,
                     .plain = a.plain,
                     .shuffle = a.shuffle >= 0,
                     .seed = (uint64_t)a.shuffle,
                     .reseal = a.reseal,
                     .skip_bad = a.skip_bad,
                     .step = j->step};
    int rc = open_joins(j, e);

    if (!rc && !(j->input = vl_alloc(o.n_inputs, sizeof *j->input, e)))
        rc = VL_ENOMEM;
    if (!rc)
        rc = open_inputs(&j->in, vl_cat_twice(&o, a.shard_size || a.shard_records), e);
    for (size_t i = 0; !rc && i < o.n_inputs; i++)
        j->input[i] = (vl_cat_input){j->in.path[i], j->in.name[i]};
    o.input = j->input;
    if (!rc)
        rc = open_sink(j, to, e);
    if (!rc)
        rc = vl_cat_run(&o, j->sink, &j->counts, e);
    if (!rc) {
        vl_sink *sink = j->sink;
        j->sink = NULL;
        rc = sink->close(sink, e);
    }
    return rc;
}

static void clean_up(job *j)
{
    if (j->sink)
        j->sink->abort(j->sink);
    for (int i = 0; i < a.join.n; i++) {
        vl_join_free(j->join[i]);
        close_inputs(&j->side[i]);
    }
    close_inputs(&j->in);
    free(j->input);
    vl_pick_free(j->pick);
    vl_trim_free(&j->trim);
    vl_keytab_free(&j->keys);
    json_decref(j->step);
}

/* Nothing is lost in silence. */
static void report(const job *j)
{
    vl_err e;

    for (int i = 0; i < a.join.n; i++) {
        uint64_t unused = vl_join_unused(j->join[i]);
        const char *key = vl_join_disorder(j->join[i]);
        if (key)
            cli_debug("%s: in another order from '%s' on; the rest of it was kept in a temporary file",
                      vl_join_name(j->join[i]), key);
        if (unused)
            cli_warn("%s: %" PRIu64 " records were not asked for", vl_join_name(j->join[i]), unused);
    }
    if (vl_trim_unused(&j->trim, &e))
        cli_warn("%s", e.text);
    if (j->counts.emptied)
        cli_warn("%" PRIu64 " records left out: no member of theirs is left", j->counts.emptied);
    if (j->sunk.left_out)
        cli_warn("%" PRIu64 " members left out: they are no arrays (.npy)", j->sunk.left_out);
    if (j->counts.bad_frames)
        cli_warn("%" PRIu64 " bad frames left out, at least %" PRIu64 " records lost", j->counts.bad_frames,
                 j->counts.lost_records);
    if (!j->counts.written)
        cli_warn("no record was chosen");
    cli_info("%" PRIu64 " of %" PRIu64 " records, %" PRIu64 " file%s", j->counts.written, j->counts.read,
             j->sunk.files, j->sunk.files == 1 ? "" : "s");
}

static int prepare(job *j, vl_err *e)
{
    vl_pick_opts pick;
    uint64_t keys_sum;
    int rc = cat_pick_of(&a, &j->keys, &keys_sum, &pick, e);

    cat_trim_of(&a, &j->trim.o);
    if (!rc)
        rc = cat_step_of(&a, &pick, keys_sum, &j->step, e);
    return rc ? rc : vl_pick_new(&pick, &j->pick, e);
}

int main(int argc, char **argv)
{
    static job j;
    vl_err e = {0};
    int n = cli_parse(&tool, argc, argv), rc;
    cat_carrier to = cat_carrier_of(&a);

    cli_refuse_tty(a.common.output);
    cli_operands_of(&j.in.names, n, argv);
    rc = prepare(&j, &e);
    if (!rc)
        rc = run(&j, to, &e);
    if (!rc)
        report(&j);
    clean_up(&j);
    return rc ? cli_fail(&e) : 0;
}
