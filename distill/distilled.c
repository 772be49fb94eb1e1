/* SPDX-License-Identifier: MIT
 * distilled.c -- a set and its members to records and back. What is read is held to its shape before memory
 * is taken for it, so a manifest that claims a lot costs nothing. */
#include "distill/distilled.h"
#include "distill/member.h"
#include "formats/manifest.h"
#include "pipeline/image.h"
#include "pipeline/text_utf8.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_PAIRS = 1 << 20, SET_MEMBERS = 2, PAIR_MEMBERS = 6 };

void vld_preview(const vl_real *pixels, size_t size, uint8_t *rgb)
{
    for (size_t i = 0; i < size * size * 3; i++) {
        double v = 255 * ((double)pixels[i] * (double)VL_PIXEL_SD + (double)VL_PIXEL_MEAN);
        rgb[i] = v >= 255 ? 255 : v > 0 ? (uint8_t)(v + 0.5) : 0; /* what is not a number is black */
    }
}

/* [S,S,3] to [3,S,S], as other tools expect pictures, and back. */
static void to_planes(const vl_real *pixels, size_t n, vl_real *planes)
{
    for (size_t i = 0; i < n; i++)
        for (size_t c = 0; c < 3; c++)
            planes[c * n + i] = pixels[3 * i + c];
}

static void from_planes(const vl_real *planes, size_t n, vl_real *pixels)
{
    for (size_t i = 0; i < n; i++)
        for (size_t c = 0; c < 3; c++)
            pixels[3 * i + c] = planes[c * n + i];
}

/* ---- writing --------------------------------------------------------------------------------- */

static int write_set(vls_writer *w, const vld_distilled *d, vl_err *e)
{
    vl_npy a = {.dtype = VL_F64, .rank = 1, .shape = {VLM_BRANCHES}, .data = d->set.rate};
    vls_member member[SET_MEMBERS] = {{.ext = "rates.npy"}, {.ext = "json"}};
    vls_record rec = {"set", member, SET_MEMBERS};
    uint8_t *rates = NULL;
    vl_buf text = {0};
    int rc = vl_npy_build(&a, &rates, &member[0].n, e);

    if (!rc)
        rc = vls_json_dump(d->about, &text, e);
    member[0].data = rates;
    member[1].data = text.p;
    member[1].n = text.n;
    if (!rc)
        rc = vls_add(w, &rec, e);
    free(text.p);
    free(rates);
    return rc;
}

static int pair_json(const vld_distilled *d, size_t i, vl_buf *out, vl_err *e)
{
    json_t *j = json_pack("{s:s, s:I}", "init", d->init_key[i], "init_caption", (json_int_t)d->init_cap[i]);
    int rc = j ? vls_json_dump(j, out, e) : vl_fail(e, VL_EARG, "init: not UTF-8");

    json_decref(j);
    return rc;
}

/* scratch: planes [3,S,S]; rgb [S,S,3] */
static int write_pair(vls_writer *w, const vld_distilled *d, size_t i, vl_real *planes, uint8_t *rgb,
                      vl_err *e)
{
    size_t S = d->model.size, reals = S * S * 3;
    uint8_t *pixels = NULL, *text = NULL, *png = NULL, *init = NULL;
    vls_member m[PAIR_MEMBERS] = {{.ext = "pixels.npy"}, {.ext = "text.npy"}, {.ext = "png"},
                                  {.ext = "init.png"},   {.ext = "txt"},      {.ext = "json"}};
    vl_buf json = {0};
    char key[24];
    vls_record rec = {key, m, PAIR_MEMBERS};
    int rc;

    snprintf(key, sizeof key, "syn-%05zu", i);
    to_planes(d->set.image + i * reals, S * S, planes);
    vld_preview(d->set.image + i * reals, S, rgb);
    rc = vld_npy_build(planes, 3, (size_t[]){3, S, S}, &pixels, &m[0].n, e);
    if (!rc)
        rc = vld_npy_build(d->set.text + i * d->model.text_dim, 1, &d->model.text_dim, &text, &m[1].n, e);
    if (!rc)
        rc = vl_png_encode(rgb, (uint32_t)S, (uint32_t)S, &png, &m[2].n, e);
    if (!rc)
        rc = vl_png_encode(d->init_pixels + i * reals, (uint32_t)S, (uint32_t)S, &init, &m[3].n, e);
    if (!rc)
        rc = pair_json(d, i, &json, e);
    m[0].data = pixels;
    m[1].data = text;
    m[2].data = png;
    m[3].data = init;
    m[4] = (vls_member){"txt", (const uint8_t *)d->nearest[i], strlen(d->nearest[i])};
    m[5] = (vls_member){"json", json.p, json.n};
    if (!rc)
        rc = vls_add(w, &rec, e);
    free(json.p);
    free(init);
    free(png);
    free(text);
    free(pixels);
    return rc;
}

static int write_records(vls_writer *w, const vld_distilled *d, vl_err *e)
{
    size_t reals = d->model.size * d->model.size * 3;
    vl_real *planes = vl_alloc(reals, sizeof *planes, e);
    uint8_t *rgb = planes ? vl_alloc(reals, 1, e) : NULL;
    int rc = rgb ? write_set(w, d, e) : VL_ENOMEM;

    for (size_t i = 0; !rc && i < d->set.n; i++)
        rc = write_pair(w, d, i, planes, rgb, e);
    free(rgb);
    free(planes);
    return rc;
}

int vld_distilled_write(vls_writer *w, const vld_distilled *d, const vls_parent *parents, size_t n_parents,
                        vl_err *e)
{
    int rc = vls_segment_begin(w, d->manifest, 0, e);

    if (!rc)
        rc = write_records(w, d, e);
    for (size_t i = 0; !rc && i < n_parents; i++)
        rc = vls_add_parent(w, &parents[i], e);
    if (!rc && d->input_loss)
        rc = vls_segment_note(w, "input_loss", json_deep_copy(d->input_loss), e);
    return rc ? rc : vls_segment_end(w, e);
}

/* ---- reading --------------------------------------------------------------------------------- */

typedef struct loader {
    vld_distilled d;
    const vls_reader *r;
    size_t room;     /* pairs that the arrays hold */
    size_t next;     /* number of the pair that is expected */
    vl_real *planes; /* [3,S,S] */
} loader;

static int read_manifest(vld_distilled *d, const vls_segment *seg, vl_err *e)
{
    json_int_t batch =
        json_integer_value(json_object_get(json_object_get(seg->manifest, "options"), "batch"));

    if (vld_model_from_json(json_object_get(seg->manifest, "model"), &d->model, e) ||
        vld_augment_from_json(json_object_get(seg->manifest, "augment"), &d->augment, e))
        return VL_EFORMAT;
    if (batch < 2 || batch > MAX_PAIRS)
        return vl_fail(e, VL_EFORMAT, "manifest: options lack a batch of 2 to %d pairs", MAX_PAIRS);
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
    size_t reals = d->model.size * d->model.size * 3, n = l->room ? 2 * l->room : 16;
    int rc = VL_OK;

    if (d->set.n < l->room)
        return VL_OK;
    if (d->set.n >= MAX_PAIRS)
        return vl_fail(e, VL_EFORMAT, "more than %d pairs", MAX_PAIRS);
    d->set.image = grow_one(d->set.image, n, reals * sizeof *d->set.image, &rc, e);
    d->set.text = grow_one(d->set.text, n, d->model.text_dim * sizeof *d->set.text, &rc, e);
    d->init_pixels = grow_one(d->init_pixels, n, reals, &rc, e);
    d->init_key = grow_one(d->init_key, n, sizeof *d->init_key, &rc, e);
    d->init_cap = grow_one(d->init_cap, n, sizeof *d->init_cap, &rc, e);
    d->nearest = grow_one(d->nearest, n, sizeof *d->nearest, &rc, e);
    if (!rc && !l->planes && !(l->planes = vl_alloc(reals, sizeof *l->planes, e)))
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
        return vl_fail(e, VL_EFORMAT, "txt is missing");
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

static int read_pair(loader *l, const vls_record *rec, vl_err *e)
{
    vld_distilled *d = &l->d;
    size_t S = d->model.size, reals = S * S * 3, i = d->set.n;
    vl_npy pixels, text;
    int rc = vld_npy_find(rec, "pixels.npy", 3, (size_t[]){3, S, S}, &pixels, e);

    if (!rc)
        rc = vld_npy_find(rec, "text.npy", 1, &d->model.text_dim, &text, e);
    if (!rc)
        rc = grow(l, e);
    if (rc)
        return rc;
    d->init_key[i] = d->nearest[i] = NULL;
    d->set.n++; /* from here on vld_distilled_free sees it */
    rc = vld_npy_reals(&pixels, "pixels.npy", l->planes, e);
    if (!rc)
        rc = vld_npy_reals(&text, "text.npy", d->set.text + i * d->model.text_dim, e);
    if (!rc)
        rc = read_init(rec, S, d->init_pixels + i * reals, e);
    if (!rc)
        rc = read_nearest(rec, &d->nearest[i], e);
    if (!rc)
        rc = read_origin(rec, &d->init_key[i], &d->init_cap[i], e);
    if (!rc)
        from_planes(l->planes, S * S, d->set.image + i * reals);
    return rc;
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
        return rc ? rc : read_set(d, rec, e) ? vl_within(e, "set") : VL_OK;
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

void vld_distilled_free(vld_distilled *d)
{
    for (size_t i = 0; i < d->set.n; i++) {
        free(d->init_key[i]);
        free(d->nearest[i]);
    }
    free(d->init_pixels);
    free(d->nearest);
    free(d->init_cap);
    free(d->init_key);
    vld_set_free(&d->set);
    json_decref(d->input_loss);
    json_decref(d->about);
    json_decref(d->manifest);
    memset(d, 0, sizeof *d);
}
