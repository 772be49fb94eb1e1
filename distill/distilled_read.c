/* SPDX-License-Identifier: MIT
 * distilled_read.c -- records to a set and its members. What is read is held to its shape before memory is taken
 * for it, so a manifest that claims a lot costs nothing. */
#include "distill/distilled_part.h"
#include "distill/member.h"
#include "formats/manifest.h"
#include "pipeline/image.h"
#include "pipeline/text_utf8.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Planes [3,S,S] to [S,S,3]. */
static void from_planes(const vl_real *planes, size_t n, vl_real *pixels)
{
    for (size_t i = 0; i < n; i++)
        for (size_t c = 0; c < 3; c++)
            pixels[3 * i + c] = planes[c * n + i];
}

typedef struct loader {
    vld_distilled d;
    const vls_reader *r;
    size_t room;     /* pairs that the arrays hold */
    size_t claimed;  /* pairs that the similarity has; 0: none */
    size_t next;     /* number of the pair that is expected */
    vl_real *planes; /* [3,S,S] */
} loader;

/* {"name", "model"}: pixels that an encoder turns into the heads' features. */
static int read_encoder(vld_distilled *d, const json_t *j, vl_err *e)
{
    const char *name = json_string_value(json_object_get(j, "name"));

    if (!j)
        return VL_OK;
    if (!name || strlen(name) >= sizeof d->encoder || d->model.kind != VLM_HEADS)
        return vl_fail(e, VL_EFORMAT, "manifest: encoder lacks a name, or the model has no heads");
    memcpy(d->encoder, name, strlen(name) + 1);
    if (vld_model_from_json(json_object_get(j, "model"), &d->front, e))
        return vl_within(e, "encoder");
    if (d->front.kind == VLM_HEADS || d->front.embed_dim != d->model.image_n)
        return vl_fail(e, VL_EFORMAT, "manifest: encoder: its rows are not what the heads take");
    return VL_OK;
}

static int read_manifest(vld_distilled *d, const vls_segment *seg, vl_err *e)
{
    json_int_t batch =
        json_integer_value(json_object_get(json_object_get(seg->manifest, "options"), "batch"));

    if (vld_model_from_json(json_object_get(seg->manifest, "model"), &d->model, e) ||
        vld_augment_from_json(json_object_get(seg->manifest, "augment"), &d->augment, e) ||
        vld_objective_from_json(json_object_get(seg->manifest, "objective"), &d->objective, e))
        return VL_EFORMAT;
    if (read_encoder(d, json_object_get(seg->manifest, "encoder"), e))
        return VL_EFORMAT;
    if (batch < 2 || batch > VLD_DISTILLED_MAX)
        return vl_fail(e, VL_EFORMAT, "manifest: options lack a batch of 2 to %d pairs", VLD_DISTILLED_MAX);
    d->batch = (size_t)batch;
    d->manifest = json_deep_copy(seg->manifest);
    return d->manifest ? VL_OK : vl_fail(e, VL_ENOMEM, "out of memory: manifest");
}

static int read_json(const vls_record *rec, json_t **out, vl_err *e)
{
    const vls_member *m = vls_get(rec, "json");

    if (!m)
        return vl_fail(e, VL_EFORMAT, "json is missing");
    return vls_json_load(m->data, m->n, out, e) ? vl_within(e, "json") : VL_OK;
}

static int read_set(vld_distilled *d, const vls_record *rec, vl_err *e)
{
    const size_t two = VLM_BRANCHES;
    vl_npy a;
    int rc = vld_npy_find(rec, "rates.npy", 1, &two, &a, e);

    if (!rc)
        rc = vl_npy_doubles(&a, d->set.rate, e);
    for (int b = 0; !rc && b < VLM_BRANCHES; b++)
        if (!isfinite(d->set.rate[b]) || d->set.rate[b] <= 0)
            rc = vl_fail(e, VL_EFORMAT, "rates.npy: rate %d is %g, a positive number expected", b,
                         d->set.rate[b]);
    return rc ? rc : read_json(rec, &d->about, e);
}

/* Part p of a similarity, whose first extent says how many pairs the set must have. */
static int read_part(loader *l, const vls_record *rec, vld_set_part p, vl_err *e)
{
    const vls_member *m = vls_get(rec, vld_similarity_members[p].ext);
    vld_distilled *d = &l->d;
    size_t n, width;
    vl_npy a;
    vl_real *x;

    if (!m)
        return vl_fail(e, VL_EFORMAT, "%s is missing", vld_similarity_members[p].ext);
    if (vl_npy_parse(m->data, m->n, &a, e))
        return vl_within(e, "%s", m->ext);
    n = a.rank ? (size_t)a.shape[0] : 0;
    if (n < 1 || n > VLD_DISTILLED_MAX || (l->claimed && n != l->claimed))
        return vl_fail(e, VL_EFORMAT, "%s: rows of %zu pairs, %zu expected", m->ext, n, l->claimed);
    l->claimed = n;
    width = vld_set_width(&d->model, &d->objective, n, p);
    if (vld_npy_find(rec, m->ext, vld_similarity_members[p].rank, (size_t[]){n, width}, &a, e))
        return VL_EFORMAT;
    if (!(x = vl_alloc(n, width * sizeof *x, e)))
        return VL_ENOMEM;
    vld_set_give(&d->set, p, x);
    return vld_npy_reals(&a, m->ext, x, e);
}

static int read_similarity(loader *l, const vls_record *rec, vl_err *e)
{
    int rc = VL_OK;

    for (vld_set_part p = 0; !rc && p < VLD_SET_PARTS; p++)
        if (vld_similarity_members[p].ext && vld_set_width(&l->d.model, &l->d.objective, 1, p))
            rc = read_part(l, rec, p, e);
    return rc;
}

/* The block with room for n, or the old one with *rc set. */
static void *grow_one(void *old, size_t n, size_t size, int *rc, vl_err *e)
{
    void *p = *rc ? NULL : vl_realloc(old, n, size, e);

    if (!p)
        *rc = VL_ENOMEM;
    return p ? p : old;
}

static int grow(loader *l, vl_err *e)
{
    vld_distilled *d = &l->d;
    const vlm_model *m = vld_distilled_images(d);
    size_t reals = m->image_n, n = l->room ? 2 * l->room : 16;
    bool pixels = m->kind != VLM_HEADS;
    int rc = VL_OK;

    if (d->set.n < l->room)
        return VL_OK;
    if (d->set.n >= VLD_DISTILLED_MAX)
        return vl_fail(e, VL_EFORMAT, "more than %d pairs", VLD_DISTILLED_MAX);
    d->set.image = grow_one(d->set.image, n, reals * sizeof *d->set.image, &rc, e);
    d->set.text = grow_one(d->set.text, n, d->model.text_dim * sizeof *d->set.text, &rc, e);
    if (pixels)
        d->init_pixels = grow_one(d->init_pixels, n, reals, &rc, e);
    d->init_key = grow_one(d->init_key, n, sizeof *d->init_key, &rc, e);
    d->init_cap = grow_one(d->init_cap, n, sizeof *d->init_cap, &rc, e);
    d->nearest = grow_one(d->nearest, n, sizeof *d->nearest, &rc, e);
    if (!rc && pixels && !l->planes && !(l->planes = vl_alloc(reals, sizeof *l->planes, e)))
        rc = VL_ENOMEM;
    if (!rc)
        l->room = n;
    return rc;
}

/* init.png: small and square, or it is not decoded at all. */
static int read_init(const vls_record *rec, size_t size, uint8_t *out, vl_err *e)
{
    const vls_member *m = vls_get(rec, "init.png");
    vl_image_info info;
    uint8_t *rgb = NULL;
    int rc;

    if (!m)
        return vl_fail(e, VL_EFORMAT, "init.png is missing");
    rc = vl_image_decode(m->data, m->n, (uint64_t)size * size, &rgb, &info, e);
    if (!rc && (info.width != size || info.height != size))
        rc =
            vl_fail(e, VL_EFORMAT, "%u x %u pixels, %zu x %zu expected", info.width, info.height, size, size);
    if (!rc)
        memcpy(out, rgb, size * size * 3);
    free(rgb);
    return rc ? vl_within(e, "init.png") : VL_OK;
}

static int read_nearest(const vls_record *rec, char **out, vl_err *e)
{
    const vls_member *m = vls_get(rec, "txt");
    char *s;

    if (!m)
        return VL_OK; /* there were features, and no captions */
    if (vl_caption_check((const char *)m->data, m->n, e))
        return vl_within(e, "txt");
    s = vl_alloc(m->n + 1, 1, e);
    if (!s)
        return VL_ENOMEM;
    memcpy(s, m->data, m->n);
    *out = s;
    return VL_OK;
}

static int read_origin(const vls_record *rec, char **key, uint32_t *cap, vl_err *e)
{
    json_t *j = NULL;
    const char *init;
    json_int_t number;
    int rc = read_json(rec, &j, e);

    if (!rc && (json_unpack(j, "{s:s, s:I}", "init", &init, "init_caption", &number) || number < 0 ||
                number > UINT32_MAX))
        rc = vl_fail(e, VL_EFORMAT, "json: init and init_caption, a key and a number, expected");
    if (!rc && !(*key = vl_strdup(init, e)))
        rc = VL_ENOMEM;
    if (!rc)
        *cap = (uint32_t)number;
    json_decref(j);
    return rc;
}

/* The image side of pair i: pixels, and where they came from; or a feature. */
static int read_image(loader *l, const vls_record *rec, size_t i, vl_err *e)
{
    vld_distilled *d = &l->d;
    const vlm_model *m = vld_distilled_images(d);
    size_t S = m->size, reals = m->image_n;
    vl_real *to = d->set.image + i * reals;
    vl_npy a;
    int rc;

    if (m->kind == VLM_HEADS) {
        rc = vld_npy_find(rec, "feature.npy", 1, &reals, &a, e);
        return rc ? rc : vld_npy_reals(&a, "feature.npy", to, e);
    }
    rc = vld_npy_find(rec, "pixels.npy", 3, (size_t[]){3, S, S}, &a, e);
    if (!rc)
        rc = vld_npy_reals(&a, "pixels.npy", l->planes, e);
    if (rc)
        return rc;
    from_planes(l->planes, S * S, to);
    if (!vls_get(rec, "txt"))
        return vl_fail(e, VL_EFORMAT, "txt is missing");
    return read_init(rec, S, d->init_pixels + i * reals, e);
}

static int read_pair(loader *l, const vls_record *rec, vl_err *e)
{
    vld_distilled *d = &l->d;
    size_t i = d->set.n;
    vl_npy text;
    int rc = vld_npy_find(rec, "text.npy", 1, &d->model.text_dim, &text, e);

    if (!rc)
        rc = grow(l, e);
    if (rc)
        return rc;
    d->init_key[i] = d->nearest[i] = NULL;
    d->set.n++; /* from here on vld_distilled_free sees it */
    rc = read_image(l, rec, i, e);
    if (!rc)
        rc = vld_npy_reals(&text, "text.npy", d->set.text + i * d->model.text_dim, e);
    if (!rc)
        rc = read_nearest(rec, &d->nearest[i], e);
    return rc ? rc : read_origin(rec, &d->init_key[i], &d->init_cap[i], e);
}

/* Pairs come by number; a later one only behind what a reader with skip_bad left out. */
static int check_key(loader *l, const char *key, vl_err *e)
{
    const vls_read_counts *c = vls_reader_counts(l->r);
    char want[24], later[24];
    unsigned number;

    snprintf(want, sizeof want, "syn-%05zu", l->next);
    if ((c->bad_frames || c->lost_tails) && sscanf(key, "syn-%7u", &number) == 1 && number > l->next) {
        snprintf(later, sizeof later, "syn-%05u", number);
        if (!strcmp(key, later)) {
            l->next = (size_t)number + 1;
            return VL_OK;
        }
    }
    l->next++;
    return strcmp(key, want) ? vl_fail(e, VL_EFORMAT, "record '%s': %s expected here", key, want) : VL_OK;
}

static int take_record(loader *l, const vls_record *rec, const vls_segment *seg, vl_err *e)
{
    vld_distilled *d = &l->d;
    int rc;

    if (strcmp(seg->kind, "distilled"))
        return seg->ordinal ? VL_OK : vl_fail(e, VL_EFORMAT, "kind %s, distilled expected", seg->kind);
    if (seg->ordinal)
        return vl_fail(e, VL_EFORMAT, "a second distilled set (segment %d)", (int)seg->ordinal);
    if (!d->about) {
        if (strcmp(rec->key, "set"))
            return vl_fail(e, VL_EFORMAT, "record '%s': the record 'set' must come first", rec->key);
        rc = read_manifest(d, seg, e);
        if (!rc && (read_set(d, rec, e) || read_similarity(l, rec, e)))
            rc = vl_within(e, "set");
        return rc;
    }
    rc = check_key(l, rec->key, e);
    if (rc)
        return rc;
    return read_pair(l, rec, e) ? vl_within(e, "%s", rec->key) : VL_OK;
}

int vld_distilled_read(vls_reader *r, vld_distilled *out, vl_err *e)
{
    loader l = {.r = r};
    const vls_segment *seg;
    vls_record rec;
    int rc = VL_OK, got;

    while ((got = vls_next(r, &rec, &seg, e)) == 1 && !(rc = take_record(&l, &rec, seg, e)))
        ;
    if (!got && !l.d.set.n)
        rc = vl_fail(e, VL_EFORMAT, "no distilled pairs in it, its kind is %s",
                     vls_reader_segment(r, 0) ? vls_reader_segment(r, 0)->kind : "empty");
    else if (!got && l.claimed && l.claimed != l.d.set.n)
        rc = vl_fail(e, VL_EFORMAT, "%zu pairs, the similarity is of %zu", l.d.set.n, l.claimed);
    else if (!got && l.d.batch > l.d.set.n)
        rc = vl_fail(e, VL_EFORMAT, "a batch of %zu out of %zu pairs", l.d.batch, l.d.set.n);
    if (got < 0)
        rc = got; /* its text has the name in front */
    else if (rc)
        vl_within(e, "%s", vls_reader_name(r));
    free(l.planes);
    if (rc)
        vld_distilled_free(&l.d);
    else
        *out = l.d;
    return rc;
}
