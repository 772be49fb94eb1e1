/* SPDX-License-Identifier: MIT
 * data_load.c -- shards of pairs and of embeddings into arrays, joined by key.
 *
 *   reader --record--> its pair side: captions kept, image --> stage (decode, square: o->threads) --> images
 *                      its text side: rows behind those that came before
 *   at the end: records in order, captions numbered, rows brought into their order (data_join.c)
 *
 * Invariants
 *   1. The sides of a record may come in any order and from any shard: an entry a key says what came.
 *   2. A record's place is known when its pair comes, or its features where those are wanted: the number of the
 *      key where keys were asked for, else how many came before. Rows stay where they came and are moved once, at the end,
 *      unless they lie in order already (a sidecar whose order is the pairs').
 *   3. Beyond the result, memory holds a few encoded images a thread, at most 256 MiB and one more, and a
 *      decoded one a thread; and the rows once more when they have to be moved.
 *   4. Whatever is wrong, images that were put into the stage before it are waited for, and the first of
 *      them that fails is what is reported: the thread count does not show.
 *   5. With left_out an image that fails is a remark in its entry, told of when all was read. */
#include "pipeline/data_load.h"
#include "pipeline/image.h"
#include "pipeline/pair_read.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEPTH_PER_THREAD = 4, FIRST_ROOM = 256, SIZE_PIXELS_MAX = 4096 };
#define IN_FLIGHT_MAX ((size_t)256 << 20) /* bytes of encoded images in the stage */

typedef struct job {
    char *where; /* "pairs.tar.zst: record 'a/b'" */
    uint8_t *bytes, *rgb;
    size_t n, at, entry; /* entry: the key's number */
    uint32_t size;
    int rc;
    vl_err e;
} job;

const char *vl_load_name(const vl_loader *l, int path)
{
    return strcmp(l->path[path], "-") ? l->path[path] : "standard input";
}

size_t vl_load_doubled(size_t room, size_t need)
{
    if (!room)
        room = FIRST_ROOM;
    while (room < need)
        room *= 2;
    return room;
}

/* ---- images ------------------------------------------------------------------------------------- */

static void job_free(job *j)
{
    if (!j)
        return;
    free(j->where);
    free(j->bytes);
    free(j->rgb);
    free(j);
}

static void decode(void *arg, void *ctx)
{
    job *j = arg;
    vl_image_info info;
    uint8_t *rgb = NULL;

    (void)ctx;
    j->rc = vl_image_decode(j->bytes, j->n, VL_IMAGE_MAX_PIXELS, &rgb, &info, &j->e);
    if (!j->rc)
        j->rc = vl_image_square(rgb, info.width, info.height, j->size, j->rgb, &j->e);
    free(rgb);
    if (j->rc)
        vl_within(&j->e, "%s: image", j->where);
}

static int keep_image(vl_loader *l, const job *j, vl_err *e)
{
    size_t bytes = l->o->size * l->o->size * 3;

    if (j->at >= l->image_room) {
        size_t room = vl_load_doubled(l->image_room, j->at + 1);
        uint8_t *p = vl_realloc(l->images, room, bytes, e);
        if (!p)
            return VL_ENOMEM;
        l->images = p;
        l->image_room = room;
    }
    memcpy(l->images + j->at * bytes, j->rgb, bytes);
    return VL_OK;
}

/* Takes one job out of the stage into the images. 1: there was one. */
static int take(vl_loader *l, vl_err *e)
{
    job *j = vl_stage_take(l->stage);
    int rc;

    if (!j)
        return 0;
    l->in_flight -= j->n;
    rc = j->rc;
    if (!rc) {
        rc = keep_image(l, j, e);
    } else if (rc == VL_EFORMAT && l->o->left_out) {
        rc = (l->entry[j->entry].why = vl_strdup(j->e.text, e)) ? VL_OK : VL_ENOMEM;
    } else {
        l->image_bad = true;
        *e = j->e;
    }
    job_free(j);
    return rc ? rc : 1;
}

static job *job_new(const vl_loader *l, const vls_record *rec, const vls_member *image, size_t entry,
                    vl_err *e)
{
    size_t room = strlen(vl_load_name(l, l->now)) + strlen(rec->key) + 16;
    job *j = vl_alloc(1, sizeof *j, e);

    if (!j || !(j->where = vl_alloc(room, 1, e)) || !(j->bytes = vl_alloc(image->n, 1, e)) ||
        !(j->rgb = vl_alloc(l->o->size * l->o->size, 3, e))) {
        job_free(j);
        return NULL;
    }
    snprintf(j->where, room, "%s: record '%s'", vl_load_name(l, l->now), rec->key);
    memcpy(j->bytes, image->data, image->n);
    j->n = image->n;
    j->at = l->entry[entry].at;
    j->entry = entry;
    j->size = (uint32_t)l->o->size;
    return j;
}

static int put_image(vl_loader *l, const vls_record *rec, const vls_member *image, size_t entry, vl_err *e)
{
    job *j;
    int rc = 1;

    while (rc > 0 && (vl_stage_full(l->stage) || l->in_flight + image->n > IN_FLIGHT_MAX))
        rc = take(l, e); /* 0: empty, so even one image over the bound may go in */
    if (rc < 0)
        return rc;
    if (!(j = job_new(l, rec, image, entry, e)))
        return VL_ENOMEM;
    l->in_flight += j->n;
    vl_stage_put(l->stage, j);
    return VL_OK;
}

/* ---- the two sides of a record ------------------------------------------------------------------- */

/* The key's entry; NULL in *out when keys were asked for and this is none of them. */
static int entry_of(vl_loader *l, const char *key, vl_load_entry **out, vl_err *e)
{
    size_t i = 0;

    *out = NULL;
    if (!l->o->keys && vl_keytab_add(&l->keys, key, &i, e) < 0)
        return VL_ENOMEM;
    if (l->o->keys && !vl_keytab_find(&l->keys, key, &i))
        return VL_OK;
    if (l->keys.n > l->room) {
        size_t room = vl_load_doubled(l->room, l->keys.n);
        vl_load_entry *p = vl_realloc(l->entry, room, sizeof *p, e);
        if (!p)
            return VL_ENOMEM;
        memset(p + l->room, 0, (room - l->room) * sizeof *p);
        l->entry = p;
        l->room = room;
    }
    *out = &l->entry[i];
    return VL_OK;
}

static void place(vl_loader *l, vl_load_entry *n)
{
    n->placed = true;
    n->at = l->o->keys ? (size_t)(n - l->entry) : l->n_placed;
    l->n_placed++;
}

/* *image stays NULL for a record that nobody asked for. *entry: the key's number. */
static int add_pair(vl_loader *l, const vls_record *rec, const vls_member **image, size_t *entry, vl_err *e)
{
    vl_load_entry *n;
    int rc = entry_of(l, rec->key, &n, e);

    if (rc || !n)
        return rc;
    if (n->pair)
        return vl_fail(e, VL_EFORMAT, "was in %s already", vl_load_name(l, n->pair_path));
    if (!vl_pair_image(rec))
        return vl_fail(e, VL_EFORMAT, "no image (jpg, png or webp)");
    rc = vl_pair_captions(rec, &n->caption, &n->n_captions, e);
    if (rc)
        return rc;
    n->stored = vl_pair_image(rec)->n;
    for (size_t i = 0; i < n->n_captions; i++)
        n->stored += strlen(n->caption[i]);
    n->pair = true;
    n->pair_path = l->now;
    l->n_pairs++;
    if (!l->o->features)
        place(l, n);
    *image = vl_pair_image(rec);
    *entry = (size_t)(n - l->entry);
    return VL_OK;
}

/* Embeddings of one kind, if the record has any. Features give a record its place where they are wanted. */
static int add_rows(vl_loader *l, int side, const vls_record *rec, vl_err *e)
{
    const vls_member *m;
    vl_load_entry *n;
    int rc = vl_load_rows_find(l, side, rec, &m, e);

    if (rc || !m)
        return rc;
    rc = entry_of(l, rec->key, &n, e);
    if (rc || !n)
        return rc;
    if (n->rows[side].n)
        return vl_fail(e, VL_EFORMAT, "%s was in %s already", m->ext, vl_load_name(l, n->rows[side].path));
    rc = vl_load_rows_add(l, side, m, n, e);
    if (rc)
        return vl_within(e, "%s", m->ext);
    if (side == VL_LOAD_IMAGE)
        place(l, n);
    return VL_OK;
}

/* ---- shards -------------------------------------------------------------------------------------- */

/* *image: what is still to be decoded, for entry number *entry. */
static int add_sides(vl_loader *l, const vls_record *rec, const char *kind, const vls_member **image,
                     size_t *entry, vl_err *e)
{
    bool pairs = !strcmp(kind, "pairs");
    int rc = VL_OK;

    *image = NULL;
    if (pairs)
        rc = add_pair(l, rec, image, entry, e);
    for (int side = 0; !rc && side < VL_LOAD_SIDES; side++)
        if (l->rows[side].wanted && (pairs || !strcmp(kind, "embeddings")))
            rc = add_rows(l, side, rec, e);
    return rc ? vl_within(e, "%s: record '%s'", vl_load_name(l, l->now), rec->key) : VL_OK;
}

static int read_shard(vl_loader *l, vls_parent *parent, vl_err *e)
{
    bool given = l->o->standard_input && !strcmp(l->path[l->now], "-");
    const vls_left_out *lost = l->o->left_out;
    const vls_read_opts how = {.skip_bad = lost != NULL};
    vls_reader *r = given ? l->o->standard_input : NULL;
    vls_record rec;
    const vls_segment *seg;
    int rc = given ? VL_OK : vls_reader_open(l->path[l->now], &how, &r, e);

    if (rc)
        return rc;
    while ((rc = vls_next(r, &rec, &seg, e)) == 1) {
        const vls_member *image;
        size_t entry = 0;
        l->manifest = seg->manifest;
        int bad = add_sides(l, &rec, seg->kind, &image, &entry, e);
        if (!bad && image && l->o->images)
            bad = put_image(l, &rec, image, entry, e);
        if (bad) {
            rc = bad;
            break;
        }
    }
    if (!rc && lost)
        rc = lost->shard(lost->arg, r, e);
    if (!rc && parent)
        vls_reader_id(r, parent);
    if (!given)
        vls_reader_close(r);
    return rc;
}

/* Empties the stage. rc: what failed so far; an image in the stage came before that (invariant 4). */
static int drain(vl_loader *l, int rc, vl_err *e)
{
    bool named = l->image_bad;
    vl_err why;
    int k;

    while ((k = take(l, &why)) != 0)
        if (k < 0 && !named) {
            named = true;
            rc = k;
            *e = why;
        }
    return rc;
}

static int ask_keys(vl_loader *l, vl_err *e)
{
    for (size_t k = 0; l->o->keys && k < l->o->n_keys; k++) {
        size_t i;
        int rc = vl_keytab_add(&l->keys, l->o->keys[k], &i, e);
        if (rc < 0)
            return rc;
        if (!rc)
            return vl_fail(e, VL_EARG, "record '%s' is asked for twice", l->o->keys[k]);
    }
    return VL_OK;
}

static void loader_close(vl_loader *l)
{
    vl_stage_free(l->stage);
    for (size_t i = 0; i < l->room; i++) {
        vl_captions_free(l->entry[i].caption, l->entry[i].n_captions);
        free(l->entry[i].why);
    }
    free(l->entry);
    vl_keytab_free(&l->keys);
    free(l->images);
    for (int side = 0; side < VL_LOAD_SIDES; side++) {
        free(l->rows[side].v);
        free(l->rows[side].ext);
        free(l->rows[side].model);
    }
}

int vl_data_load(const char *const *paths, size_t n_paths, const vl_data_opts *o, vl_data *out,
                 vls_parent *parents, vl_err *e)
{
    vl_loader l = {.path = paths,
                   .n_paths = n_paths,
                   .o = o,
                   .rows = {{.wanted = o->text, .want = o->text_ext, .ending = ".txt.npy"},
                            {.wanted = o->features, .want = o->image_ext, .ending = ".img.npy"}}};
    vl_data d = {0};
    vl_err why = {0};
    int rc;

    if (!n_paths || (!o->features && (o->size < 1 || o->size > SIZE_PIXELS_MAX)))
        return vl_fail(e, VL_EARG, "%zu shards of images of %zu pixels: 1 or more, and 1 to %d wanted",
                       n_paths, o->size, SIZE_PIXELS_MAX);
    if (o->features && o->images)
        return vl_fail(e, VL_EARG, "pixels and features of images: one of them");
    rc = ask_keys(&l, &why);
    if (!rc)
        rc = vl_stage_new(o->threads, (size_t)o->threads * DEPTH_PER_THREAD, decode, NULL, &l.stage, &why);
    for (; !rc && l.now < (int)n_paths; l.now++)
        rc = read_shard(&l, parents ? &parents[l.now] : NULL, &why);
    if (l.stage)
        rc = drain(&l, rc, &why);
    if (!rc && o->left_out)
        rc = vl_load_mend(&l, &why);
    if (!rc)
        rc = vl_load_join(&l, &d, &why);
    loader_close(&l);
    if (rc) {
        vl_data_free(&d);
        if (e)
            *e = why;
        return rc;
    }
    *out = d;
    return VL_OK;
}
