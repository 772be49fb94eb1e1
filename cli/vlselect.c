/* SPDX-License-Identifier: MIT
 * vlselect.c -- some of the records of pairs and of their embeddings, all segments as they were.
 *
 *   pass 1   every operand to its end: keys, and features where the method looks at them
 *   choose   record numbers, ascending in the order of the pairs
 *   pass 2   every operand again: chosen records into segments with the old manifest and what was chosen
 *
 * What cannot be read twice is copied first (spool.h). Memory holds keys and features, never images. */
#include "cli/loss.h"
#include "cli/msg.h"
#include "cli/opt.h"
#include "cli/spool.h"
#include "cli/writer.h"
#include "distill/select.h"
#include "distill/select_features.h"
#include "formats/version.h"
#include "pipeline/keytab.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static struct options {
    cli_common common;
    int64_t n;
    const char *method, *joint, *image, *text;
} o = {.common = CLI_COMMON_DEFAULT, .method = "random", .joint = "auto"};

static const cli_opt options[] = {
    {'n', "count", CLI_INT, &o.n, "N", "how many records to keep [must be given]", 1, 4294967295.0, NULL},
    {0, "method", CLI_CHOICE, &o.method, "NAME",
     "random: each record with the same chance; k-center: each next one farthest from those there are", 0, 0,
     "random|k-center"},
    {0, "joint", CLI_CHOICE, &o.joint, "WHAT",
     "what k-center looks at; auto: what there is, both as their sum where dimensions agree, else one behind "
     "the other",
     0, 0, "auto|image|text|sum|concat"},
    {0, "image", CLI_TEXT, &o.image, "EXT",
     "member with the image rows, where there is more than one *.img.npy", 0, 0, NULL},
    {0, "text", CLI_TEXT, &o.text, "EXT", "member with the text rows, where there is more than one *.txt.npy",
     0, 0, NULL},
    CLI_END};

static const cli_tool tool = {
    .name = "vlselect",
    .usage = "[options] -n N SHARD...|-",
    .sentence = "Keeps N records of pairs and of their embeddings, at random or spread out.",
    .example = "vlselect -n 10 --method k-center -o few.tar.zst train.tar.zst train.emb.tar.zst",
    .options = options,
    .common = &o.common,
    .common_set = CLI_OUTPUT | CLI_SIGN | CLI_SKIP_BAD | CLI_THREADS | CLI_SEED,
    .min_operands = 1,
    .max_operands = -1,
};

static const char *const joints[] = {"auto", "image", "text", "sum", "concat"}; /* as vld_joint */

/* A record is a pair, its embeddings, or both; its number is that of its key. */
typedef struct entry {
    bool pair, chosen;
    int shard; /* that it was first seen in, for messages */
} entry;

typedef struct selector {
    cli_spool *shard; /* [n_shards] */
    vls_parent *id;   /* [n_shards] */
    int n_shards, opened;
    const vld_select_method *method;
    vld_features features;
    vld_joint joint;
    vl_keytab keys;
    entry *entry; /* [room] */
    size_t room;
    uint32_t *order; /* [n_order]: numbers in the order of the pairs, or of the embeddings without pairs */
    size_t n_order, order_room;
    bool pairs; /* there is a segment of pairs */
    vls_writer *writer;
    json_t *losses; /* of inputs, with --skip-bad */
    bool open;
    uint64_t kept;
} selector;

static bool selectable(const char *kind)
{
    return !strcmp(kind, "pairs") || !strcmp(kind, "embeddings");
}

/* ---- pass 1 --------------------------------------------------------------------------------------- */

static int number_of(selector *s, int shard, const char *key, size_t *number, vl_err *e)
{
    int added = vl_keytab_add(&s->keys, key, number, e);

    if (added <= 0)
        return added;
    if (*number >= s->room) {
        size_t room = s->room ? 2 * s->room : 256;
        entry *p = vl_realloc(s->entry, room, sizeof *p, e);
        if (!p)
            return VL_ENOMEM;
        s->entry = p;
        s->room = room;
    }
    s->entry[*number] = (entry){.shard = shard};
    return VL_OK;
}

static int note_record(selector *s, int shard, const vls_record *rec, const vls_segment *seg, vl_err *e)
{
    size_t number = 0;
    int rc = number_of(s, shard, rec->key, &number, e);

    if (!rc && !strcmp(seg->kind, "pairs")) {
        if (s->entry[number].pair)
            return vl_fail(e, VL_EFORMAT, "was in %s already", s->shard[s->entry[number].shard].name);
        s->entry[number].pair = s->pairs = true;
        s->entry[number].shard = shard;
        if (s->n_order == s->order_room) {
            size_t room = s->order_room ? 2 * s->order_room : 256;
            uint32_t *p = vl_realloc(s->order, room, sizeof *p, e);
            if (!p)
                return VL_ENOMEM;
            s->order = p;
            s->order_room = room;
        }
        s->order[s->n_order++] = (uint32_t)number;
    }
    if (!rc && s->method->needs_features)
        rc = vld_features_add(&s->features, rec, seg->manifest, number, e);
    return rc;
}

static int open_reader(const selector *s, int shard, vls_reader **r, vl_err *e)
{
    vls_read_opts how = {.name = s->shard[shard].name, .skip_bad = o.common.skip_bad};

    return vls_reader_open(cli_spool_path(&s->shard[shard]), &how, r, e);
}

static int look_at(selector *s, int shard, vl_err *e)
{
    vls_reader *r = NULL;
    vls_record rec;
    const vls_segment *seg;
    int rc = open_reader(s, shard, &r, e), bad = VL_OK;

    if (rc)
        return rc;
    while (!bad && (rc = vls_next(r, &rec, &seg, e)) == 1)
        if (selectable(seg->kind) && (bad = note_record(s, shard, &rec, seg, e)) != VL_OK)
            vl_within(e, "%s: record '%s'", s->shard[shard].name, rec.key);
    if (!bad && !rc)
        vls_reader_id(r, &s->id[shard]);
    vls_reader_close(r);
    return bad ? bad : rc;
}

/* Without pairs the embeddings are the set; with them, each embedding must belong to one. */
static int settle_order(selector *s, vl_err *e)
{
    if (!s->keys.n)
        return vl_fail(e, VL_EFORMAT, "%s%s: no records of pairs or embeddings", s->shard[0].name,
                       s->n_shards > 1 ? " and the others" : "");
    for (size_t i = 0; s->pairs && i < s->keys.n; i++)
        if (!s->entry[i].pair)
            return vl_fail(e, VL_EFORMAT, "%s: record '%s': an embedding without a pair",
                           s->shard[s->entry[i].shard].name, s->keys.key[i]);
    if (s->pairs)
        return VL_OK;
    if (!(s->order = vl_alloc(s->keys.n, sizeof *s->order, e)))
        return VL_ENOMEM;
    for (size_t i = 0; i < s->keys.n; i++)
        s->order[s->n_order++] = (uint32_t)i;
    return VL_OK;
}

/* ---- choose --------------------------------------------------------------------------------------- */

static int choose(selector *s, vl_err *e)
{
    size_t n = (size_t)o.n, dim = 0;
    vl_real *features = NULL;
    vl_pool *pool = NULL;
    uint32_t *out = NULL;
    int rc = VL_OK;

    if (n > s->n_order)
        return vl_fail(e, VL_EFORMAT, "%s%s: %zu records asked for, there are %zu", s->shard[0].name,
                       s->n_shards > 1 ? " and the others" : "", n, s->n_order);
    if (s->method->needs_features)
        rc =
            vld_features_join(&s->features, &s->joint, s->order, s->n_order, s->keys.key, &features, &dim, e);
    if (!rc)
        rc = vl_pool_new((int)o.common.threads, &pool, e);
    if (!rc && !(out = vl_alloc(n, sizeof *out, e)))
        rc = VL_ENOMEM;
    if (!rc)
        rc = s->method->fn(features, s->n_order, dim, (uint64_t)o.common.seed, pool, n, out, e);
    for (size_t i = 0; !rc && i < n; i++)
        s->entry[s->order[out[i]]].chosen = true;
    free(out);
    vl_pool_free(pool);
    free(features);
    return rc;
}

/* ---- pass 2 --------------------------------------------------------------------------------------- */

/* The old manifest; "select" tells of each selection that the records went through. */
static int begin_segment(selector *s, const vls_segment *seg, vl_err *e)
{
    json_t *m = json_deep_copy(seg->manifest), *done = json_object_get(m, "select");
    json_t *now = json_pack("{s:s, s:s, s:s, s:I, s:I}", "tool", "vlselect", "version", VL_VERSION, "method",
                            o.method, "n", (json_int_t)o.n, "seed", (json_int_t)o.common.seed);
    int bad = !m || !now, rc;

    if (!bad && s->method->needs_features)
        bad =
            json_object_set_new(now, "joint", json_string(joints[s->joint])) ||
            (s->joint != VLD_TEXT && json_object_set_new(now, "image", json_string(s->features.image.ext))) ||
            (s->joint != VLD_IMAGE && json_object_set_new(now, "text", json_string(s->features.text.ext)));
    if (!bad && !json_is_array(done)) {
        bad = json_object_set_new(m, "select", json_array());
        done = json_object_get(m, "select");
    }
    bad = bad || json_array_append(done, now);
    rc = bad ? vl_fail(e, VL_ENOMEM, "out of memory: manifest") : vls_segment_begin(s->writer, m, 0, e);
    s->open = !rc;
    for (int i = 0; !rc && i < s->n_shards; i++)
        rc = vls_add_parent(s->writer, &s->id[i], e);
    json_decref(now);
    json_decref(m);
    return rc;
}

static int end_segment(selector *s, vl_err *e)
{
    bool open = s->open;

    s->open = false;
    return open ? vls_segment_end(s->writer, e) : VL_OK;
}

static int keep(selector *s, const vls_record *rec, const vls_segment *seg, vl_err *e)
{
    size_t number = 0;
    int rc = VL_OK;

    if (selectable(seg->kind) && (!vl_keytab_find(&s->keys, rec->key, &number) || !s->entry[number].chosen))
        return VL_OK;
    if (!s->open)
        rc = begin_segment(s, seg, e);
    if (!rc)
        rc = vls_add(s->writer, rec, e);
    s->kept += !rc;
    return rc;
}

static int write_from(selector *s, int shard, vl_err *e)
{
    const vls_segment *seg, *before = NULL;
    vls_reader *r = NULL;
    vls_record rec;
    vls_parent id;
    int rc = open_reader(s, shard, &r, e), bad = VL_OK;

    if (rc)
        return rc;
    while (!bad && (rc = vls_next(r, &rec, &seg, e)) == 1) {
        if (seg != before)
            bad = end_segment(s, e);
        before = seg;
        if (!bad && (bad = keep(s, &rec, seg, e)) == VL_EARG) /* a key of another operand */
            vl_within(e, "%s", s->shard[shard].name);
    }
    if (!bad)
        bad = rc;
    if (!bad) {
        vls_reader_id(r, &id);
        bad = strcmp(id.id, s->id[shard].id)
                  ? vl_fail(e, VL_EFORMAT, "%s: changed while it was read", s->shard[shard].name)
                  : VL_OK;
        if (!bad && o.common.skip_bad && s->open)
            bad = cli_loss_note(r, &s->losses, s->writer, e);
        if (!bad)
            bad = end_segment(s, e);
        vls_parent_free(&id);
    }
    vls_reader_close(r);
    return bad;
}

/* ---- all of it ------------------------------------------------------------------------------------ */

static int open_shards(selector *s, char **operand, vl_err *e)
{
    int rc = VL_OK;

    if (!(s->shard = vl_alloc((size_t)s->n_shards, sizeof *s->shard, e)) ||
        !(s->id = vl_alloc((size_t)s->n_shards, sizeof *s->id, e)))
        return VL_ENOMEM;
    while (!rc && s->opened < s->n_shards) {
        rc = cli_spool_open(operand[s->opened], &s->shard[s->opened], e);
        s->opened++;
    }
    return rc;
}

static int select_all(selector *s, char **operand, vl_err *e)
{
    int rc = open_shards(s, operand, e);

    s->features.image.want = o.image;
    s->features.text.want = o.text;
    for (int i = 0; !rc && i < s->n_shards; i++)
        rc = look_at(s, i, e);
    if (!rc)
        rc = settle_order(s, e);
    if (!rc)
        rc = choose(s, e);
    if (!rc)
        rc = cli_writer_open(&o.common, &s->writer, e);
    for (int i = 0; !rc && i < s->n_shards; i++)
        rc = write_from(s, i, e);
    if (!rc) {
        vls_writer *w = s->writer;
        s->writer = NULL;
        rc = vls_writer_close(w, e);
    }
    return rc;
}

static void clean_up(selector *s)
{
    vls_writer_abort(s->writer);
    json_decref(s->losses);
    for (int i = 0; i < s->opened; i++)
        cli_spool_close(&s->shard[i]);
    vld_features_free(&s->features);
    vl_keytab_free(&s->keys);
    free(s->entry);
    free(s->order);
    free(s->shard);
    vls_parents_free(s->id, (size_t)s->n_shards);
}

int main(int argc, char **argv)
{
    selector s = {0};
    vl_err e = {0};
    int rc;

    s.n_shards = cli_parse(&tool, argc, argv);
    if (!o.n)
        cli_misuse("-n N must be given: how many records to keep");
    cli_refuse_tty(o.common.output);
    s.method = vld_select_methods;
    while (strcmp(s.method->name, o.method))
        s.method++;
    while (strcmp(joints[s.joint], o.joint))
        s.joint++;
    if (!s.method->needs_features && (s.joint || o.image || o.text))
        cli_misuse("--joint, --image, --text: --method %s looks at no features", o.method);
    rc = select_all(&s, argv + 1, &e);
    clean_up(&s);
    if (rc)
        return cli_fail(&e);
    cli_info("%" PRIu64 " of %zu records kept", (uint64_t)o.n, s.n_order);
    return 0;
}
