/* SPDX-License-Identifier: MIT
 * vlembed.c -- pairs into embeddings: a sidecar with the same keys in the same order.
 *
 *   reader --record--> batch (copies) --full--> decode in tiles, captions in one call, images in one call
 *                                               --rows, in order--> shard writer
 *
 * A batch ends after so many records, captions or bytes, which depend on the input alone: memory stays flat,
 * and no thread count shows in the bytes, not even in the last bits of a matrix product. */
#include "cli/loss.h"
#include "cli/msg.h"
#include "cli/opt.h"
#include "cli/runlog.h"
#include "cli/writer.h"
#include "distill/encoder.h"
#include "formats/npy.h"
#include "formats/version.h"
#include "pipeline/blas.h"
#include "pipeline/image.h"
#include "pipeline/model.h"
#include "pipeline/pair_read.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { SEGMENT_RECORDS = 1 << 20, BATCH_RECORDS = 64, BATCH_CAPTIONS = 4096 };
#define BATCH_BYTES ((size_t)64 << 20) /* of encoded images */

static struct options {
    cli_common common;
    const char *image_model, *text_model;
    int64_t size, embed_dim, max_pixels;
} o = {.common = CLI_COMMON_DEFAULT,
       .image_model = "none",
       .text_model = "hash768",
       .size = VLM_DEFAULT_SIZE,
       .embed_dim = VLM_DEFAULT_EMBED,
       .max_pixels = VL_IMAGE_MAX_PIXELS};

static const cli_opt options[] = {
    {0, "text-model", CLI_TEXT, &o.text_model, "NAME", "encoder of the captions: hash:DIM, or none", 0, 0,
     NULL},
    {0, "image-model", CLI_TEXT, &o.image_model, "NAME",
     "encoder of the images: convnet:64x2#seed=1, convnet:64x2@FILE#expert-0000/snap-0003, a folder of the "
     "Hugging Face hub (ViT, DINO, DINOv2), #size=N behind it or not, or none",
     0, 0, NULL},
    {0, "size", CLI_INT, &o.size, "PIXELS",
     "side of the images that a convnet by seed sees; others bring their own", 16, 1024, NULL},
    {0, "embed-dim", CLI_INT, &o.embed_dim, "D",
     "dimensions of the rows of a convnet by seed; others bring their own", 1, 65536, NULL},
    {0, "max-pixels", CLI_INT, &o.max_pixels, "N", "refuse larger images, by their header", 1, 1e10, NULL},
    CLI_END};

static const cli_tool tool = {
    .name = "vlembed",
    .usage = "[options] PAIRS...|-",
    .sentence = "Computes embeddings of the images and captions of pairs, as a sidecar shard.",
    .example = "vlembed --image-model convnet:64x2#seed=1 -o train.emb.tar.zst train.tar.zst",
    .options = options,
    .common = &o.common,
    .common_set = CLI_OUTPUT | CLI_SIGN | CLI_SKIP_BAD | CLI_THREADS | CLI_PROGRESS | CLI_RUNLOG,
    .min_operands = 1,
    .max_operands = -1,
    .print_engine = cli_print_blas,
};

typedef struct item { /* a record on its way */
    char *key;
    char **caption;
    size_t n_captions;
    uint8_t *bytes; /* the image file */
    size_t n;
    vl_err why; /* of the decoding */
} item;

typedef struct embedder {
    const char *shown; /* the operand at hand */
    vl_pool *pool;
    vld_encoder image, text; /* dim 0: none */
    vls_writer *writer;
    json_t *losses; /* of inputs, with --skip-bad */
    json_t *manifest;
    item item[BATCH_RECORDS];
    size_t n_items, n_captions, n_bytes;
    uint8_t *rgb;         /* [BATCH_RECORDS,S,S,3] */
    float *image_row;     /* [BATCH_RECORDS,D] */
    float *text_row;      /* [room,D] */
    const char **caption; /* [room]: of the whole batch */
    size_t room;
    bool open; /* a segment is open */
    uint64_t in_segment, records, captions;
    cli_progress progress;
} embedder;

/* ---- the batch ----------------------------------------------------------------------------------- */

static void empty(embedder *m)
{
    for (size_t i = 0; i < m->n_items; i++) {
        free(m->item[i].key);
        free(m->item[i].bytes);
        vl_captions_free(m->item[i].caption, m->item[i].n_captions);
        m->item[i] = (item){0};
    }
    m->n_items = m->n_captions = m->n_bytes = 0;
}

static void decode(void *arg, size_t i, int worker)
{
    embedder *m = arg;
    item *it = &m->item[i];
    size_t side = m->image.size;
    vl_image_info info;
    uint8_t *rgb = NULL;

    (void)worker;
    if (!vl_image_decode(it->bytes, it->n, (uint64_t)o.max_pixels, &rgb, &info, &it->why) &&
        !vl_image_square(rgb, info.width, info.height, (uint32_t)side, m->rgb + i * side * side * 3,
                         &it->why))
        it->why.code = VL_OK;
    free(rgb);
}

static int embed_images(embedder *m, vl_err *e)
{
    vl_pool_run(m->pool, m->n_items, decode, m);
    for (size_t i = 0; i < m->n_items; i++)
        if (m->item[i].why.code) {
            *e = m->item[i].why;
            return vl_within(e, "%s: record '%s': image", m->shown, m->item[i].key);
        }
    return m->image.images(&m->image, m->rgb, m->n_items, m->image_row, e);
}

static int embed_texts(embedder *m, vl_err *e)
{
    size_t c = 0;

    if (m->n_captions > m->room) {
        float *rows = vl_realloc(m->text_row, m->n_captions, m->text.dim * sizeof *rows, e);
        const char **list;
        if (!rows)
            return VL_ENOMEM;
        m->text_row = rows;
        if (!(list = vl_realloc(m->caption, m->n_captions, sizeof *list, e)))
            return VL_ENOMEM;
        m->caption = list;
        m->room = m->n_captions;
    }
    for (size_t i = 0; i < m->n_items; i++)
        for (size_t k = 0; k < m->item[i].n_captions; k++)
            m->caption[c++] = m->item[i].caption[k];
    return m->text.texts(&m->text, m->caption, c, m->text_row, e);
}

/* ---- the output ----------------------------------------------------------------------------------- */

static int describe(json_t *schema, const vld_encoder *enc, const char *rows)
{
    return enc->dim &&
           json_object_set_new(schema, enc->ext,
                               json_pack("{s:s, s:s, s:s, s:[s,I]}", "type", "npy", "model", enc->name,
                                         "dtype", "<f4", "shape", rows, (json_int_t)enc->dim));
}

static int make_manifest(embedder *m, vl_err *e)
{
    json_t *schema = json_object();
    int bad = !schema || describe(schema, &m->image, "V") || describe(schema, &m->text, "C");

    m->manifest =
        json_pack("{s:s, s:{s:s, s:s}, s:{s:s, s:s}, s:O}", "kind", "embeddings", "tool", "name", "vlembed",
                  "version", VL_VERSION, "options", "image_model", m->image.dim ? m->image.name : "none",
                  "text_model", m->text.dim ? m->text.name : "none", "schema", schema);
    json_decref(schema);
    bad = bad || !m->manifest;
    if (!bad && m->image.dim)
        bad = json_object_set_new(json_object_get(m->manifest, "options"), "size",
                                  json_integer((json_int_t)m->image.size));
    if (!bad && (m->image.blas || m->text.blas))
        bad = json_object_set_new(m->manifest, "blas", json_string(vl_blas_core()));
    return bad ? vl_fail(e, VL_ENOMEM, "out of memory: manifest") : VL_OK;
}

static int begin_segment(embedder *m, vl_err *e)
{
    const vld_encoder *enc[] = {&m->image, &m->text};
    int rc = vls_segment_begin(m->writer, m->manifest, 0, e);

    m->open = !rc;
    for (int i = 0; !rc && i < 2; i++)
        if (enc[i]->weights.id[0])
            rc = vls_add_parent(m->writer, &enc[i]->weights, e);
    return rc;
}

static int end_segment(embedder *m, vl_err *e)
{
    m->open = false;
    m->in_segment = 0;
    return vls_segment_end(m->writer, e);
}

static int build(const float *rows, size_t n, size_t dim, uint8_t **bytes, size_t *size, vl_err *e)
{
    return vl_npy_build(&(vl_npy){.dtype = VL_F32, .rank = 2, .shape = {n, dim}, .data = rows}, bytes, size,
                        e);
}

/* Record i of the batch, whose captions begin at row. */
static int write_item(embedder *m, size_t i, size_t row, vl_err *e)
{
    const item *it = &m->item[i];
    uint8_t *image = NULL, *text = NULL;
    vls_member member[2];
    vls_record rec = {it->key, member, 0};
    size_t n = 0;
    int rc = VL_OK;

    if (m->in_segment == SEGMENT_RECORDS)
        rc = end_segment(m, e);
    if (!rc && !m->open)
        rc = begin_segment(m, e);
    if (!rc && m->image.dim) {
        rc = build(m->image_row + i * m->image.dim, 1, m->image.dim, &image, &n, e);
        member[rec.n_members++] = (vls_member){m->image.ext, image, n};
    }
    if (!rc && m->text.dim) {
        rc = build(m->text_row + row * m->text.dim, it->n_captions, m->text.dim, &text, &n, e);
        member[rec.n_members++] = (vls_member){m->text.ext, text, n};
    }
    if (!rc)
        rc = vls_add(m->writer, &rec, e);
    if (rc == VL_EARG) /* a key that an earlier operand had */
        vl_within(e, "%s", m->shown);
    free(image);
    free(text);
    m->in_segment++;
    return rc;
}

static int flush_batch(embedder *m, vl_err *e)
{
    size_t row = 0;
    int rc = m->image.dim ? embed_images(m, e) : VL_OK;

    if (!rc && m->text.dim)
        rc = embed_texts(m, e);
    for (size_t i = 0; !rc && i < m->n_items; i++) {
        rc = write_item(m, i, row, e);
        row += m->item[i].n_captions;
    }
    m->records += m->n_items;
    m->captions += m->n_captions;
    empty(m);
    cli_progress_at(&m->progress, m->records, NULL);
    return rc;
}

/* ---- the input ------------------------------------------------------------------------------------ */

static int copy_record(embedder *m, const vls_record *rec, vl_err *e)
{
    const vls_member *image = m->image.dim ? vl_pair_image(rec) : NULL;
    item *it = &m->item[m->n_items++]; /* emptied with the rest, whatever happens */
    int rc = VL_OK;

    if (m->image.dim && !image)
        return vl_fail(e, VL_EFORMAT, "no image (jpg, png or webp)");
    if (m->text.dim)
        rc = vl_pair_captions(rec, &it->caption, &it->n_captions, e);
    if (rc)
        return rc;
    m->n_captions += it->n_captions;
    if (!(it->key = vl_strdup(rec->key, e)) || (image && !(it->bytes = vl_alloc(image->n, 1, e))))
        return VL_ENOMEM;
    if (image) {
        memcpy(it->bytes, image->data, image->n);
        m->n_bytes += it->n = image->n;
    }
    return VL_OK;
}

static int embed_records(embedder *m, vls_reader *r, vl_err *e)
{
    uint64_t before = m->records;
    const vls_segment *seg;
    vls_record rec;
    vls_parent parent;
    int rc = VL_OK, got = 0;

    while (!rc && (got = vls_next(r, &rec, &seg, e)) == 1) {
        if (strcmp(seg->kind, "pairs"))
            continue;
        if ((rc = copy_record(m, &rec, e)))
            vl_within(e, "%s: record '%s'", m->shown, rec.key);
        else if (m->n_items == BATCH_RECORDS || m->n_captions >= BATCH_CAPTIONS || m->n_bytes >= BATCH_BYTES)
            rc = flush_batch(m, e);
    }
    if (!rc)
        rc = got;
    if (!rc && m->n_items)
        rc = flush_batch(m, e);
    vls_reader_id(r, &parent);
    if (!rc && m->records == before)
        rc = vl_fail(e, VL_EFORMAT, "%s: no records of pairs, its kind is %s", m->shown, parent.kind);
    if (!rc)
        rc = vls_add_parent(m->writer, &parent, e);
    if (!rc && o.common.skip_bad)
        rc = cli_loss_note(r, &m->losses, m->writer, e);
    vls_parent_free(&parent);
    return rc;
}

static int embed_shard(embedder *m, const char *path, vl_err *e)
{
    const vls_read_opts how = {.skip_bad = o.common.skip_bad};
    vls_reader *r = NULL;
    int rc = vls_reader_open(path, &how, &r, e);

    m->shown = strcmp(path, "-") ? path : "standard input";
    if (!rc)
        rc = embed_records(m, r, e);
    vls_reader_close(r);
    return rc;
}

/* ---- all of it ------------------------------------------------------------------------------------ */

/* "none" leaves *enc zeroed. A name that is wrong is a wrong command line. */
static int open_encoder(embedder *m, vld_side side, const char *name, vld_encoder *enc, vl_err *e)
{
    vld_encoder_opts how = {(size_t)o.size, (size_t)o.embed_dim};
    int rc;

    if (!strcmp(name, "none"))
        return VL_OK;
    rc = vld_encoder_open(side, name, &how, m->pool, enc, e);
    if (rc == VL_EARG)
        cli_misuse("%s: %s", side == VLD_OF_TEXTS ? "--text-model" : "--image-model", e->text);
    return rc;
}

static int prepare(embedder *m, vl_err *e)
{
    size_t pixels;
    int rc = vl_pool_new((int)o.common.threads, &m->pool, e);

    if (!rc)
        rc = open_encoder(m, VLD_OF_TEXTS, o.text_model, &m->text, e);
    if (!rc)
        rc = open_encoder(m, VLD_OF_IMAGES, o.image_model, &m->image, e);
    if (rc)
        return rc;
    pixels = m->image.size * m->image.size * 3;
    if (!(m->rgb = vl_alloc(BATCH_RECORDS, pixels, e)) ||
        !(m->image_row = vl_alloc(BATCH_RECORDS, m->image.dim * sizeof *m->image_row, e)))
        return VL_ENOMEM;
    rc = make_manifest(m, e);
    return rc ? rc : cli_writer_open(&o.common, &m->writer, e);
}

static int embed_all(embedder *m, char **paths, int n, vl_err *e)
{
    int rc = prepare(m, e);

    if (rc)
        return rc;
    cli_progress_begin(&m->progress, "records", 0);
    for (int i = 0; !rc && i < n; i++)
        rc = embed_shard(m, paths[i], e);
    cli_progress_end(&m->progress);
    if (!rc)
        rc = end_segment(m, e);
    if (!rc) {
        vls_writer *w = m->writer;
        m->writer = NULL;
        rc = vls_writer_close(w, e);
    }
    return rc;
}

static int log_run(const embedder *m, double seconds, cli_runlog *log, vl_err *e)
{
    cli_runlog_begin(log, "end");
    cli_runlog_int(log, "records", (int64_t)m->records);
    cli_runlog_int(log, "captions", (int64_t)m->captions);
    cli_runlog_real(log, "gflop", vl_blas_flops() / 1e9);
    cli_runlog_real(log, "gflop_s", vl_blas_flops() / 1e9 / seconds);
    cli_runlog_end(log);
    return cli_runlog_close(log, e);
}

static void clean_up(embedder *m)
{
    empty(m);
    vls_writer_abort(m->writer);
    json_decref(m->losses);
    json_decref(m->manifest);
    vld_encoder_close(&m->image);
    vld_encoder_close(&m->text);
    vl_pool_free(m->pool);
    free(m->rgb);
    free(m->image_row);
    free(m->text_row);
    free(m->caption);
}

int main(int argc, char **argv)
{
    static embedder m;
    vl_err e = {0}, log_e = {0};
    cli_runlog *log = NULL;
    int n = cli_parse(&tool, argc, argv), rc;
    double t0 = cli_now();

    if (!strcmp(o.image_model, "none") && !strcmp(o.text_model, "none"))
        cli_misuse("--image-model none and --text-model none: nothing to compute");
    cli_refuse_tty(o.common.output);
    rc = cli_runlog_open(o.common.run_log, false, &log, &e);
    if (!rc)
        rc = embed_all(&m, argv + 1, n, &e);
    if (log && log_run(&m, cli_now() - t0, log, &log_e) && !rc) {
        e = log_e;
        rc = 1;
    }
    clean_up(&m);
    if (rc)
        return cli_fail(&e);
    cli_info("%" PRIu64 " records embedded, %" PRIu64 " captions", m.records, m.captions);
    return 0;
}
