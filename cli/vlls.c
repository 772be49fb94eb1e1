/* SPDX-License-Identifier: MIT
 * vlls -- says what is in a shard. Everything that is printed was verified first. */
#include "cli/msg.h"
#include "cli/opt.h"
#include "formats/licence.h"
#include "formats/shard_index.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static cli_common common = CLI_COMMON_DEFAULT;
static struct {
    bool manifest, check, json, skip_bad;
    const char *verify;
    cli_list get;
} o;
static vl_sign_key *key; /* of --verify */

static const cli_opt options[] = {
    {0, "manifest", CLI_FLAG, &o.manifest, NULL,
     "print each segment's manifest, one JSON object a line, instead of the records", 0, 0, NULL},
    {0, "check", CLI_FLAG, &o.check, NULL,
     "print one line a shard, after every frame, sum, key and count was verified", 0, 0, NULL},
    {0, "verify", CLI_PATH, &o.verify, "KEY",
     "as --check; and every segment must be signed by the owner of this Ed25519 public key, a PEM file", 0, 0,
     NULL},
    {0, "json", CLI_FLAG, &o.json, NULL, "one JSON object a line; manifests with their tails", 0, 0, NULL},
    {0, "skip-bad", CLI_FLAG, &o.skip_bad, NULL,
     "in files, leave out frames that do not verify; count them, still exit 1", 0, 0, NULL},
    {0, "get", CLI_LIST, &o.get, "KEY",
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
    .min_operands = 0,
    .max_operands = -1,
};

/* Prints and frees j. */
static void print_json(json_t *j)
{
    char *text = j ? json_dumps(j, JSON_COMPACT | JSON_SORT_KEYS | JSON_REAL_PRECISION(17)) : NULL;

    if (text)
        puts(text);
    else
        cli_error("out of memory: JSON");
    free(text);
    json_decref(j);
}

static void list_json(const char *path, const vls_record *rec, const vls_segment *seg)
{
    json_t *members = json_object();

    for (size_t i = 0; i < rec->n_members; i++)
        json_object_set_new(members, rec->members[i].ext, json_integer((json_int_t)rec->members[i].n));
    print_json(json_pack("{s:s, s:I, s:s, s:s, s:o}", "file", path, "segment", (json_int_t)seg->ordinal,
                         "kind", seg->kind, "key", rec->key, "members", members));
}

static void list_text(const vls_record *rec)
{
    uint64_t bytes = 0;

    for (size_t i = 0; i < rec->n_members; i++)
        bytes += rec->members[i].n;
    printf("%s\t%" PRIu64 "\t", rec->key, bytes);
    for (size_t i = 0; i < rec->n_members; i++)
        printf("%s%s=%zu", i ? " " : "", rec->members[i].ext, rec->members[i].n);
    putchar('\n');
}

static void print_manifests(const char *path, const vls_reader *r)
{
    const vls_segment *s;

    for (uint64_t i = 0; (s = vls_reader_segment(r, i)) != NULL; i++) {
        if (!o.json) {
            print_json(json_deep_copy(s->manifest));
            continue;
        }
        const json_t *tail = vls_reader_tail(r, i);
        print_json(json_pack("{s:s, s:I, s:o, s:o}", "file", path, "segment", (json_int_t)i, "manifest",
                             json_deep_copy(s->manifest), "tail", tail ? json_deep_copy(tail) : json_null()));
    }
}

static void print_check(const char *path, const vls_reader *r)
{
    const vls_read_counts *c = vls_reader_counts(r);
    const char *licence;
    vls_parent id;

    vls_reader_id(r, &id);
    licence = vl_licence_strictest(json_object_get(id.rights, "licences"));
    if (o.json) {
        json_t *j = json_pack("{s:s, s:b, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:s, s:s?, s:O?}", "file", path,
                              "ok", c->bad_frames == 0, "kind", id.kind, "segments", (json_int_t)c->segments,
                              "records", (json_int_t)c->records, "frames", (json_int_t)c->frames, "raw_bytes",
                              (json_int_t)c->raw_bytes, "file_bytes", (json_int_t)c->file_bytes, "bad_frames",
                              (json_int_t)c->bad_frames, "content_id", id.id, "licence", licence, "rights",
                              id.rights);
        if (o.verify)
            json_object_set_new(j, "verified", json_true());
        print_json(j);
    } else {
        printf("%s\t%s\t%s\tsegments=%" PRIu64 " records=%" PRIu64 " frames=%" PRIu64 " raw_bytes=%" PRIu64
               " file_bytes=%" PRIu64 "\t%s",
               path, c->bad_frames ? "damaged" : "ok", id.kind, c->segments, c->records, c->frames,
               c->raw_bytes, c->file_bytes, id.id);
        if (licence)
            printf("\tlicence=%s", licence);
        printf("%s\n", o.verify ? "\tverified" : "");
    }
    vls_parent_free(&id);
}

/* Every segment is signed by the key: its content id was computed from what was read. */
static int verify(const char *path, const vls_reader *r, vl_err *e)
{
    const vls_segment *s;

    for (uint64_t i = 0; (s = vls_reader_segment(r, i)) != NULL; i++) {
        const json_t *tail = vls_reader_tail(r, i);
        const char *id = json_string_value(json_object_get(tail, "content_id"));
        int rc = vl_verify(key, id ? id : "", s->kind, json_object_get(tail, "signature"), e);
        if (rc)
            return vl_within(e, "%s: segment %" PRIu64, path, i);
    }
    return VL_OK;
}

/* --skip-bad leaves nothing unsaid. */
static int say_bad(const char *path, const vls_reader *r)
{
    const vls_read_counts *c = vls_reader_counts(r);

    if (!c->bad_frames)
        return 0;
    cli_error("%s: %" PRIu64 " bad frames left out, at least %" PRIu64 " records lost", path, c->bad_frames,
              c->lost_records);
    return 1;
}

/* One shard; 0 or 1 with a message printed. The records before a fault are printed all the same. */
static int one_shard(const char *path)
{
    vls_read_opts ro = {.skip_bad = o.skip_bad, .heads_only = o.manifest && !o.check && !o.json};
    vls_reader *r = NULL;
    vls_record rec;
    const vls_segment *seg;
    vl_err e;
    int rc = vls_reader_open(path, &ro, &r, &e);

    if (rc)
        return cli_fail(&e);
    while ((rc = vls_next(r, &rec, &seg, &e)) == 1) {
        if (o.check || o.manifest)
            continue;
        if (o.json)
            list_json(path, &rec, seg);
        else
            list_text(&rec);
        if (ferror(stdout))
            break;
    }
    if (rc == 0 && o.verify)
        rc = verify(path, r, &e);
    if (rc == 0 && o.check)
        print_check(path, r);
    if (o.manifest)
        print_manifests(path, r);
    if (rc < 0) {
        fflush(stdout); /* on a terminal the message follows what it is about */
        rc = cli_fail(&e);
    } else {
        rc = say_bad(path, r);
    }
    vls_reader_close(r);
    return rc;
}

/* The records of --get, in the order of the keys; 0 or 1 with a message printed. */
static int get_all(const char *const *paths, int n)
{
    vls_index *x = NULL;
    vls_segment seg = {0};
    vls_where where;
    vls_record rec;
    uint64_t number;
    vl_err e;
    int bad = 0, rc = vls_index_open(paths, (size_t)n, NULL, &x, &e);

    if (rc)
        return cli_fail(&e);
    seg.kind = vls_index_kind(x);
    for (int i = 0; i < o.get.n && !ferror(stdout); i++) {
        rc = vls_index_find(x, o.get.item[i], &number, &e);
        if (rc == 1)
            rc = vls_index_get(x, number, &rec, &where, &e);
        else if (!rc)
            rc = vl_fail(&e, VL_EARG, "%s%s: no record '%s' of kind '%s'", paths[0],
                         n > 1 ? " and others" : "", o.get.item[i], seg.kind);
        if (rc) {
            bad = cli_fail(&e);
            continue;
        }
        seg.ordinal = where.segment;
        if (o.json)
            list_json(where.path, &rec, &seg);
        else
            list_text(&rec);
    }
    vls_index_close(x);
    return bad;
}

int main(int argc, char **argv)
{
    int n = cli_parse(&tool, argc, argv), bad = 0, inputs = 0;
    static char dash[] = "-";
    vl_err e;

    if (o.get.n && (o.manifest || o.check || o.skip_bad || o.verify))
        cli_misuse("--get goes with --json only");
    if (o.verify && (o.manifest || o.skip_bad))
        cli_misuse("--verify goes with --json only: a shard is what was signed, or it is not");
    if (o.verify && vl_sign_key_public(o.verify, &key, &e))
        return cli_fail(&e);
    o.check |= o.verify != NULL;
    if (n == 0)
        argv[n++ + 1] = dash; /* a shard on standard input */
    for (int i = 1; i <= n; i++)
        inputs += !strcmp(argv[i], "-");
    if (inputs > 1)
        cli_misuse("standard input can be read once");
    if (o.get.n && inputs)
        cli_misuse("--get needs files: a pipe has no single records");
    if (o.get.n)
        return get_all((const char *const *)argv + 1, n) | cli_stdout_close(true);
    for (int i = 1; i <= n && !ferror(stdout); i++)
        bad |= one_shard(argv[i]);
    return cli_stdout_close(true) | bad;
}
