/* SPDX-License-Identifier: MIT
 * vlpack.c -- images and captions into a pairs shard.
 *
 *   layout --pair--> stage (read, check, build: -j threads) --record, in order--> shard writer
 *
 * A bad record travels through the stage like a good one, so that the first fault of the source is
 * the one that is reported, however many threads there are. */
#include "cli/msg.h"
#include "cli/opt.h"
#include "cli/writer.h"
#include "formats/licence.h"
#include "formats/numbered.h"
#include "formats/stage.h"
#include "formats/version.h"
#include "pipeline/pack.h"
#include "pipeline/sink.h"
#include "pipeline/text_utf8.h"

#include <inttypes.h>
#include <malloc.h>
#include <string.h>

enum { SEGMENT_RECORDS = 1 << 20, WARNED_MAX = 20, DEPTH_PER_THREAD = 16, IMAGE_GUESS = 4 << 20 };
#define HELD_MAX                                                                                             \
    ((size_t)32 << 20) /* bytes of images in the stage, as far as they are known; and one more record */

static struct options {
    cli_common common;
    bool skip_bad, decode;
    int64_t max_pixels, shard_records;
    uint64_t shard_size;
    const char *root, *split, *source, *licence;
} o = {.common = CLI_COMMON_DEFAULT, .max_pixels = VL_IMAGE_MAX_PIXELS};

static const cli_opt options[] = {
    {0, "skip-bad", CLI_FLAG, &o.skip_bad, NULL,
     "leave out records that are not sound, and count them; the default is to stop at the first", 0, 0, NULL},
    {0, "max-pixels", CLI_INT, &o.max_pixels, "N", "refuse larger images, by their header", 1, 1e10, NULL},
    {0, "decode", CLI_FLAG, &o.decode, NULL,
     "decode each image too, which finds damage that its structure does not show", 0, 0, NULL},
    {0, "root", CLI_PATH, &o.root, "DIR",
     "where the image paths of a TSV or JSON start; the default is the folder that holds it", 0, 0, NULL},
    {0, "split", CLI_TEXT, &o.split, "NAME",
     "recorded in the manifest and in each record; of a Karpathy JSON only these are packed (A,B: both)", 0,
     0, NULL},
    {0, "source", CLI_TEXT, &o.source, "TEXT", "recorded: where the data come from", 0, 0, NULL},
    {0, "licence", CLI_TEXT, &o.licence, "TEXT", "recorded: the terms of their use, best an SPDX identifier",
     0, 0, NULL},
    {0, "shard-size", CLI_SIZE, &o.shard_size, "SIZE",
     "several shards, of at most SIZE decoded bytes of records; -o out-%06d.tar.zst [no bound]", 1,
     9223372036854775807.0, NULL},
    {0, "shard-records", CLI_INT, &o.shard_records, "N", "several shards, of at most N records [no bound]", 1,
     1048576, NULL},
    CLI_END};

static const cli_tool tool = {
    .name = "vlpack",
    .usage = "[options] TSV|JSON|TAR|DIR|-",
    .sentence = "Packs images and their captions into a shard of pairs, checking each file.",
    .example = "vlpack --split train -o train.tar.zst pairs.tsv",
    .options = options,
    .common = &o.common,
    .common_set = CLI_OUTPUT | CLI_SIGN | CLI_THREADS | CLI_PROGRESS,
    .min_operands = 1,
    .max_operands = 1,
};

typedef struct packer {
    const char *operand;
    vl_layout *layout;
    bool source_ended;
    vl_stage *stage;
    size_t inside; /* jobs in it */
    size_t held;   /* bytes in it that came with the pairs */
    size_t expect; /* bytes of the images that it will read: the largest of late */
    vl_sink *sink;
    vl_sink_counts sunk;
    uint64_t shard; /* its number, when the last record was added */
    json_t *manifest, *notes;
    uint64_t in_segment, bad_in_segment; /* records in, left out of, the open segment */
    uint64_t packed, bad, trailing;
    bool open;           /* a segment is open */
    bool named, unnamed; /* records in it, or in its piece, that have a licence, that have none */
} packer;

static void make(void *job, void *opts)
{
    vl_packed_make(job, opts);
}

static int manifest(json_t **out, vl_err *e)
{
    json_t *m = json_pack(
        "{s:s, s:{s:s, s:s}, s:{s:b, s:I, s:b}, s:{s:{s:s}, s:{s:s}, s:{s:s}, s:{s:s}, s:{s:s}}}", "kind",
        "pairs", "tool", "name", "vlpack", "version", VL_VERSION, "options", "decode", o.decode, "max_pixels",
        (json_int_t)o.max_pixels, "skip_bad", o.skip_bad, "schema", "jpg", "type", "image", "png", "type",
        "image", "webp", "type", "image", "json", "type", "json", "txt", "type", "text");
    int bad = !m || (o.split && json_object_set_new(m, "split", json_string(o.split))) ||
              (o.source && json_object_set_new(m, "source", json_string(o.source))) ||
              (o.licence && json_object_set_new(m, "licence", json_string(o.licence)));

    if (bad) {
        json_decref(m);
        return vl_fail(e, VL_ENOMEM, "out of memory: manifest");
    }
    *out = m;
    return VL_OK;
}

/* ---- the output ------------------------------------------------------------------------------------ */

/* The notes of a segment, or of its piece in one of several shards: the sink has them from the beginning and may end a
 * piece whenever a record comes, so they are kept up to date. */
static int fresh_notes(packer *p, vl_err *e)
{
    json_object_clear(p->notes);
    p->bad_in_segment = 0;
    p->named = p->unnamed = false;
    return o.skip_bad && json_object_set_new(p->notes, "left_out", json_integer(0))
               ? vl_fail(e, VL_ENOMEM, "out of memory: notes")
               : VL_OK;
}

/* Records may have licences of their own, which count beside that of --licence. Where there are more, or longer ones,
 * than a tail takes, they stand in the records alone, and the whole is not known. */
static int note_licence(packer *p, const vl_packed *job, vl_err *e)
{
    const char *licence = json_string_value(json_object_get(job->more, "licence"));
    bool full = json_array_size(json_object_get(p->notes, "licences")) >= VL_RIGHTS_MAX - 1;

    if (licence && (full || strlen(licence) > VL_RIGHTS_TEXT_MAX))
        return vl_rights_add(&p->notes, VL_LICENCE_UNKNOWN, NULL, e);
    p->named |= licence != NULL;
    p->unnamed |= !licence && !o.licence;
    if (p->named && p->unnamed && vl_rights_add(&p->notes, VL_LICENCE_UNKNOWN, NULL, e))
        return e->code;
    return vl_rights_add(&p->notes, licence, NULL, e);
}

static int begin_segment(packer *p, vl_err *e)
{
    int rc = vl_sink_begin(p->sink, p->manifest, e);

    p->open = !rc;
    if (!rc)
        vl_sink_tail(p->sink, NULL, p->notes);
    return rc;
}

static int end_segment(packer *p, vl_err *e)
{
    int rc = p->open ? p->sink->end(p->sink, e) : VL_OK;

    p->open = false;
    p->in_segment = 0;
    return rc ? rc : fresh_notes(p, e);
}

/* A record that is not sound: counted where the caller asked for that, else the end. */
static int refuse(packer *p, const vl_err *why, vl_err *e)
{
    if (!o.skip_bad) {
        *e = *why;
        return why->code;
    }
    p->bad++;
    if (json_object_set_new(p->notes, "left_out", json_integer((json_int_t)++p->bad_in_segment)))
        return vl_fail(e, VL_ENOMEM, "out of memory: notes");
    if (p->bad <= WARNED_MAX)
        cli_warn("%s; left out", why->text);
    else
        cli_debug("%s; left out", why->text);
    if (p->bad == WARNED_MAX)
        cli_warn("further records that are left out are only counted (-v names them)");
    return VL_OK;
}

static int write_record(packer *p, const vl_packed *job, vl_err *e)
{
    vl_err why = {0};
    int rc = VL_OK;

    if (p->in_segment == SEGMENT_RECORDS)
        rc = end_segment(p, e);
    if (!rc && !p->open)
        rc = begin_segment(p, e);
    if (rc)
        return rc;
    rc = p->sink->add(p->sink, &job->record, &why);
    if (p->sunk.shard != p->shard) { /* the record is the first of another shard, whatever became of it */
        p->shard = p->sunk.shard;
        p->in_segment = 0;
        if (fresh_notes(p, e))
            return VL_ENOMEM;
    }
    if (rc == VL_EARG) { /* a key that was there before, a name that is too long */
        vl_within(&why, "%s", job->where);
        return refuse(p, &why, e);
    }
    if (rc) {
        *e = why;
        return rc;
    }
    p->packed++;
    p->in_segment++;
    p->trailing += job->info.trailing > 0;
    return note_licence(p, job, e);
}

/* How many jobs may be in the stage: each keeps its image in memory. */
static size_t room(const packer *p)
{
    size_t threads = (size_t)o.common.threads, n = HELD_MAX / p->expect;

    return n < threads ? threads : n > threads * DEPTH_PER_THREAD ? threads * DEPTH_PER_THREAD : n;
}

/* Fills the stage from the source, as far as both allow; not before it is half empty, for that wakes its threads. */
static int fill(packer *p, vl_err *e)
{
    size_t most = room(p);

    if (p->inside > most / 2)
        return VL_OK;
    while (!p->source_ended && p->inside < most && p->held < HELD_MAX) {
        vl_pair pair;
        vl_err why = {0};
        vl_packed *job;
        int rc = vl_layout_next(p->layout, &pair, &why);

        if (!rc) {
            p->source_ended = true;
            return VL_OK;
        }
        job = rc == 1 ? vl_packed_new(&pair, e) : vl_packed_bad(rc, &why, e);
        if (!job)
            return VL_ENOMEM;
        p->source_ended = rc != 1 && rc != VL_EFORMAT;
        p->held += job->held;
        p->inside++;
        vl_stage_put_more(p->stage, job);
    }
    return VL_OK;
}

static int pack_all(packer *p, vl_err *e)
{
    cli_progress progress;
    vl_packed *job;
    int rc;

    cli_progress_begin(&progress, "records", 0);
    while (!(rc = fill(p, e)) && (job = vl_stage_take(p->stage))) {
        p->held -= job->held;
        p->inside--;
        p->expect -= p->expect / 16;
        p->expect = job->n < p->expect ? p->expect : job->n;
        if (!job->rc)
            rc = write_record(p, job, e);
        else if (job->rc == VL_EFORMAT)
            rc = refuse(p, &job->e, e);
        else
            *e = job->e, rc = job->rc;
        vl_packed_free(job);
        if (rc)
            break;
        cli_progress_at(&progress, p->packed + p->bad, NULL);
    }
    cli_progress_end(&progress);
    if (!rc)
        rc = end_segment(p, e);
    if (!rc && !p->packed)
        rc = vl_fail(e, VL_EFORMAT, "%s: no records%s", p->operand, p->bad ? " but bad ones" : "");
    return rc;
}

static int run(packer *p, vl_pack_opts *opts, vl_err *e)
{
    int threads = (int)o.common.threads;
    vl_shards_opts how = {
        .path = o.common.output, .records = (uint64_t)o.shard_records, .bytes = o.shard_size};
    int rc = vl_layout_open(p->operand, o.root, o.split, &p->layout, e);

    if (rc == VL_EARG) /* nothing was touched yet */
        cli_misuse("%s", e->text);
    if (rc)
        return rc;
    if (!(p->notes = json_object()))
        return vl_fail(e, VL_ENOMEM, "out of memory: notes");
    rc = manifest(&p->manifest, e);
    if (!rc)
        rc = fresh_notes(p, e);
    if (!rc)
        rc = cli_sign_key(&o.common, &how.sign, e);
    if (!rc)
        rc = vl_shards_open(&how, &p->sunk, &p->sink, e);
    if (!rc)
        rc = vl_stage_new(threads, (size_t)threads * DEPTH_PER_THREAD, make, opts, &p->stage, e);
    if (!rc)
        rc = pack_all(p, e);
    if (!rc) {
        vl_sink *sink = p->sink;
        p->sink = NULL;
        rc = sink->close(sink, e);
    }
    return rc;
}

static void clean_up(packer *p)
{
    vl_packed *job;

    while (p->stage && (job = vl_stage_take(p->stage)))
        vl_packed_free(job);
    vl_stage_free(p->stage);
    if (p->sink)
        p->sink->abort(p->sink);
    json_decref(p->notes);
    json_decref(p->manifest);
    vl_layout_close(p->layout);
}

/* What goes into JSON is held to what captions are held to. */
static void check_text(const char *option, const char *s)
{
    vl_err e;

    if (s && vl_caption_check(s, strlen(s), &e))
        cli_misuse("%s: text %s", option, e.text);
    if (s && strlen(s) > VL_RIGHTS_TEXT_MAX)
        cli_misuse("%s: %zu bytes, at most %d allowed", option, strlen(s), VL_RIGHTS_TEXT_MAX);
}

/* Several shards need names. */
static void check_set(void)
{
    const char *out = o.common.output;
    vl_err e;

    if (!o.shard_size && !o.shard_records)
        return;
    if (!out || !strcmp(out, "-"))
        cli_misuse(
            "--shard-size and --shard-records need -o with a place for a number, such as out-%%06d.tar.zst");
    if (vl_numbered_check(out, &e))
        cli_misuse("-o: %s", e.text);
}

/* What one image leaves the next one takes; by itself the allocator gives it back to the system, which clears it and
 * maps it again for each image (a twelfth of all time). */
static void keep_memory(void)
{
    mallopt(M_MMAP_THRESHOLD, (int)HELD_MAX / 4);
    mallopt(M_TRIM_THRESHOLD, (int)HELD_MAX);
}

int main(int argc, char **argv)
{
    packer p = {.expect = IMAGE_GUESS};
    vl_err e = {0};
    int rc;

    keep_memory();

    cli_parse(&tool, argc, argv);
    check_text("--split", o.split);
    check_text("--source", o.source);
    check_text("--licence", o.licence);
    check_set();
    cli_refuse_tty(o.common.output);
    p.operand = argv[1];
    vl_pack_opts opts = {(uint64_t)o.max_pixels, o.decode, o.split};
    rc = run(&p, &opts, &e);
    uint64_t ignored = p.layout ? vl_layout_ignored(p.layout) : 0;
    clean_up(&p);
    if (rc)
        return cli_fail(&e);
    if (p.trailing)
        cli_warn("%" PRIu64 " images have bytes behind their end; packed as they are", p.trailing);
    if (ignored)
        cli_warn("%" PRIu64 " files or folders belong to no pair; ignored", ignored);
    if (p.bad)
        cli_warn("%" PRIu64 " of %" PRIu64 " records left out", p.bad, p.bad + p.packed);
    if (o.shard_size || o.shard_records)
        cli_info("%" PRIu64 " records packed in %" PRIu64 " shards", p.packed, p.sunk.files);
    else
        cli_info("%" PRIu64 " records packed", p.packed);
    return 0;
}
