/* SPDX-License-Identifier: MIT
 * vlselect.c -- some of the records of pairs, of their embeddings and scores, all segments as they were.
 *
 *   pass 1   every operand to its end: keys, and features or scores where the method looks at them
 *   choose   record numbers, ascending in the order of the pairs          (choice.h)
 *   pass 2   every operand again: chosen records into segments with the old manifest and what was chosen
 *
 * What cannot be read twice is copied first (spool.h). Memory holds keys and, by the method, one number or the
 * features of each record, never images. */
#include "cli/choice.h"
#include "cli/loss.h"
#include "cli/msg.h"
#include "cli/opt.h"
#include "cli/spool.h"
#include "cli/writer.h"
#include "distill/forgetting.h"
#include "formats/version.h"
#include "pipeline/keytab.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static struct options {
    cli_common common;
    int64_t n, clusters, epoch, epochs;
    double threshold;
    const char *method, *joint, *image, *text, *score, *keep, *list;
} o = {.common = CLI_COMMON_DEFAULT,
       .epochs = 1,
       .threshold = NAN,
       .method = "random",
       .joint = "auto",
       .keep = "auto"};

static const cli_opt options[] = {
    {'n', "count", CLI_INT, &o.n, "N", "how many records to keep [must be given, or --threshold]", 1,
     4294967295.0, NULL},
    {0, "method", CLI_CHOICE, &o.method, "NAME",
     "random, rs2 (drawn anew for each epoch), herding, k-center, k-means, density (by features), cosine (of "
     "image and text), forgetting, score (by a number that a member holds)",
     0, 0, "random|rs2|herding|k-center|k-means|density|cosine|forgetting|score"},
    {0, NULL, CLI_GROUP, NULL, NULL, "By features", 0, 0, NULL},
    {0, "joint", CLI_CHOICE, &o.joint, "WHAT",
     "what is looked at; auto: what there is, both as their sum where dimensions agree, else one behind "
     "the other",
     0, 0, "auto|image|text|sum|concat"},
    {0, "image", CLI_TEXT, &o.image, "EXT",
     "member with the image rows, where there is more than one *.img.npy", 0, 0, NULL},
    {0, "text", CLI_TEXT, &o.text, "EXT", "member with the text rows, where there is more than one *.txt.npy",
     0, 0, NULL},
    {0, "clusters", CLI_INT, &o.clusters, "K",
     "density: how many clusters, at most N [the root of the number of records]", 1, VLD_CLUSTERS_MAX, NULL},
    {0, NULL, CLI_GROUP, NULL, NULL, "By score", 0, 0, NULL},
    {0, "score", CLI_TEXT, &o.score, "EXT",
     "member with the score, one number [forgetting: " VLD_FORGETTING_EXT "]", 0, 0, NULL},
    {0, "keep", CLI_CHOICE, &o.keep, "WHICH",
     "most: high scores; least: low ones; auto: least for forgetting, else most", 0, 0, "auto|most|least"},
    {0, "threshold", CLI_REAL, &o.threshold, "X",
     "keep every record whose score is X or more (with least: X or less) [none]", -1e300, 1e300, NULL},
    {0, NULL, CLI_GROUP, NULL, NULL, "rs2", 0, 0, NULL},
    {0, "epoch", CLI_INT, &o.epoch, "I", "the first epoch whose N records are kept", 0, 1e9, NULL},
    {0, "epochs", CLI_INT, &o.epochs, "E", "how many epochs: the shard holds what any of them uses", 1, 1e6,
     NULL},
    {0, NULL, CLI_GROUP, NULL, NULL, "Output", 0, 0, NULL},
    {0, "list", CLI_PATH, &o.list, "FILE", "write epoch, key and score of each record kept, as TSV", 0, 0,
     NULL},
    CLI_END};

static const cli_tool tool = {
    .name = "vlselect",
    .usage = "[options] -n N SHARD...|-",
    .sentence =
        "Keeps some records of pairs and of their embeddings: at random, typical, spread out, or the best.",
    .example = "vlselect -n 10 --method k-center -o few.tar.zst train.tar.zst train.emb.tar.zst",
    .options = options,
    .common = &o.common,
    .common_set = CLI_OUTPUT | CLI_SIGN | CLI_SKIP_BAD | CLI_THREADS | CLI_SEED,
    .min_operands = 1,
    .max_operands = -1,
    .print_engine = cli_print_blas,
};

/* A record is a pair, its embeddings, or both; its number is that of its key. */
typedef struct entry {
    bool pair, chosen;
    bool scored; /* first seen in a segment of scores */
    int shard;   /* that it was first seen in, for messages */
} entry;

typedef struct selector {
    cli_spool *shard; /* [n_shards] */
    vls_parent *id;   /* [n_shards] */
    int n_shards, opened;
    cli_choice choice;
    vl_keytab keys;
    entry *entry; /* [room] */
    size_t room;
    uint32_t *order; /* [n_order]: numbers in the order of the pairs, or of the embeddings without pairs */
    size_t n_order, order_room;
    bool pairs; /* there is a segment of pairs */
    vls_writer *writer;
    json_t *losses; /* of inputs, with --skip-bad */
    bool open;
} selector;

static bool selectable(const char *kind)
{
    return !strcmp(kind, "pairs") || !strcmp(kind, "embeddings") || !strcmp(kind, "scores");
}

/* ---- pass 1 --------------------------------------------------------------------------------------- */

static int number_of(selector *s, int shard, const char *key, bool scored, size_t *number, vl_err *e)
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
    s->entry[*number] = (entry){.shard = shard, .scored = scored};
    return VL_OK;
}

static int note_record(selector *s, int shard, const vls_record *rec, const vls_segment *seg, vl_err *e)
{
    size_t number = 0;
    int rc = number_of(s, shard, rec->key, !strcmp(seg->kind, "scores"), &number, e);

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
    return rc ? rc : cli_choice_look(&s->choice, rec, seg->manifest, number, e);
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
            return vl_fail(e, VL_EFORMAT, "%s: record '%s': %s without a pair",
                           s->shard[s->entry[i].shard].name, s->keys.key[i],
                           s->entry[i].scored ? "a score" : "an embedding");
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
    int rc = cli_choice_make(&s->choice, s->order, s->n_order, s->keys.key, e);

    if (rc)
        return s->choice.n > s->n_order
                   ? vl_within(e, "%s%s", s->shard[0].name, s->n_shards > 1 ? " and the others" : "")
                   : rc;
    for (size_t i = 0; i < s->n_order; i++)
        s->entry[s->order[i]].chosen = s->choice.chosen[i];
    return VL_OK;
}

/* ---- pass 2 --------------------------------------------------------------------------------------- */

/* The old manifest; "select" tells of each selection that the records went through. */
static int begin_segment(selector *s, const vls_segment *seg, vl_err *e)
{
    json_t *m = json_deep_copy(seg->manifest), *done = json_object_get(m, "select");
    json_t *now = cli_choice_step(&s->choice);
    int bad = !m || !now || json_object_set_new(now, "tool", json_string("vlselect")) ||
              json_object_set_new(now, "version", json_string(VL_VERSION)),
        rc;

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
    if (!rc && o.list)
        rc = cli_choice_list(&s->choice, o.list, s->order, s->n_order, s->keys.key, e);
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
    cli_choice_free(&s->choice);
    vl_keytab_free(&s->keys);
    free(s->entry);
    free(s->order);
    free(s->shard);
    vls_parents_free(s->id, (size_t)s->n_shards);
}

/* ---- the command line ----------------------------------------------------------------------------- */

static void check_method(const vld_select_method *m, vld_joint joint)
{
    bool scored = m->by == VLD_BY_COSINE || m->by == VLD_BY_SCORE, rs2 = !strcmp(m->name, "rs2");

    if (!m->needs_features && (joint || ((o.image || o.text) && m->by != VLD_BY_COSINE)))
        cli_misuse("%s: --method %s looks at no features",
                   m->by == VLD_BY_COSINE ? "--joint" : "--joint, --image, --text", m->name);
    if (o.clusters && strcmp(m->name, "density"))
        cli_misuse("--clusters: --method %s has none", m->name);
    if (!scored && (strcmp(o.keep, "auto") || !isnan(o.threshold)))
        cli_misuse("--keep, --threshold: --method %s has no scores", m->name);
    if (o.score && m->by != VLD_BY_SCORE)
        cli_misuse("--score: --method %s reads no scores", m->name);
    if (m->by == VLD_BY_SCORE && !m->score && !o.score)
        cli_misuse("--score EXT must be given: the member with the score");
    if (!rs2 && (o.epoch || o.epochs != 1))
        cli_misuse("--epoch, --epochs: --method %s keeps the same records in each", m->name);
    if (!o.n && isnan(o.threshold))
        cli_misuse("-n N must be given: how many records to keep");
    if (o.n && !isnan(o.threshold))
        cli_misuse("-n and --threshold: one of them says how many records are kept");
}

static void take_options(cli_choice *c)
{
    const vld_select_method *m = vld_select_methods;
    static const char *const joints[] = {"auto", "image", "text", "sum", "concat"}; /* as vld_joint */

    while (strcmp(m->name, o.method))
        m++;
    while (strcmp(joints[c->joint], o.joint))
        c->joint++;
    check_method(m, c->joint);
    c->method = m;
    c->least = strcmp(o.keep, "auto") ? !strcmp(o.keep, "least") : m->least;
    c->threshold = o.threshold;
    c->n = (size_t)o.n;
    c->clusters = (size_t)o.clusters;
    c->seed = (uint64_t)o.common.seed;
    c->epoch = (uint64_t)o.epoch;
    c->epochs = strcmp(m->name, "rs2") ? 0 : (uint64_t)o.epochs;
    c->threads = (int)o.common.threads;
    c->features.image.want = c->scores.image.want = o.image;
    c->features.text.want = c->scores.text.want = o.text;
    c->scores.member = m->by == VLD_BY_SCORE ? (o.score ? o.score : m->score) : NULL;
}

int main(int argc, char **argv)
{
    selector s = {0};
    vl_err e = {0};
    size_t kept;
    int rc;

    s.n_shards = cli_parse(&tool, argc, argv);
    take_options(&s.choice);
    if (o.list && !strcmp(o.list, "-") && (!o.common.output || !strcmp(o.common.output, "-")))
        cli_misuse("--list -: standard output is taken by the shard, -o FILE is needed");
    cli_refuse_tty(o.common.output);
    rc = select_all(&s, argv + 1, &e);
    kept = s.choice.kept;
    clean_up(&s);
    if (rc)
        return cli_fail(&e);
    cli_info("%zu of %zu records kept", kept, s.n_order);
    return 0;
}
