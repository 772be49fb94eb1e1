/* SPDX-License-Identifier: MIT */
#include "pipeline/layout_coco.h"
#include "formats/licence.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { LICENCES_MAX = 1024 };

/* Texts lie in c->text, each with a NUL behind; place 0 is no text. */
typedef struct image {
    int64_t id, licence; /* licence: -1 where there is none */
    size_t name, source;
} image;

typedef struct caption {
    int64_t image;
    size_t at;
    uint32_t n, number; /* bytes; among the annotations */
} caption;

typedef struct licence {
    int64_t id;
    size_t name;
} licence;

static const image *images(const vl_coco *c)
{
    return (const void *)c->image.p;
}

static const caption *captions(const vl_coco *c)
{
    return (const void *)c->caption.p;
}

size_t vl_coco_images(const vl_coco *c)
{
    return c->image.n / sizeof(image);
}

static size_t n_captions(const vl_coco *c)
{
    return c->caption.n / sizeof(caption);
}

void vl_coco_free(vl_coco *c)
{
    free(c->by_id);
    free(c->licence.p);
    free(c->caption.p);
    free(c->image.p);
    free(c->text.p);
    *c = (vl_coco){0};
}

/* ---- filling -------------------------------------------------------------------------------------- */

static int keep(vl_coco *c, const json_t *s, size_t *at, vl_err *e)
{
    int rc = c->text.n ? VL_OK : vl_buf_add(&c->text, "", 1, e);

    *at = c->text.n;
    return rc ? rc : vl_buf_add(&c->text, json_string_value(s), json_string_length(s) + 1, e);
}

static int add_image(vl_coco *c, const json_t *j, vl_err *e)
{
    const json_t *id = json_object_get(j, "id"), *name = json_object_get(j, "file_name");
    const json_t *source = json_object_get(j, "flickr_url"), *terms = json_object_get(j, "license");
    image i = {.id = json_integer_value(id), .licence = -1};
    int rc;

    if (!json_is_integer(id) || !json_is_string(name))
        return vl_fail(e, VL_EFORMAT, "images: number %zu has no id or no file_name", vl_coco_images(c));
    if (json_is_integer(terms))
        i.licence = json_integer_value(terms);
    source = json_is_string(source) ? source : json_object_get(j, "coco_url");
    rc = keep(c, name, &i.name, e);
    if (!rc && json_is_string(source))
        rc = keep(c, source, &i.source, e);
    return rc ? rc : vl_buf_add(&c->image, &i, sizeof i, e);
}

static int add_caption(vl_coco *c, const json_t *j, vl_err *e)
{
    const json_t *id = json_object_get(j, "image_id"), *text = json_object_get(j, "caption");
    caption k = {.image = json_integer_value(id), .number = (uint32_t)n_captions(c)};
    int rc;

    if (!json_is_integer(id) || !json_is_string(text))
        return vl_fail(e, VL_EFORMAT, "annotations: number %zu has no image_id or no caption", n_captions(c));
    if (n_captions(c) == UINT32_MAX)
        return vl_fail(e, VL_EFORMAT, "annotations: more than %" PRIu32, UINT32_MAX);
    k.n = (uint32_t)json_string_length(text); /* an element has at most VL_SPLIT_ELEMENT_MAX bytes */
    rc = keep(c, text, &k.at, e);
    return rc ? rc : vl_buf_add(&c->caption, &k, sizeof k, e);
}

/* Named by its SPDX identifier where its address says which it is. One that has no number or name serves nobody; its
 * images are without a licence then. */
static int add_licence(vl_coco *c, const json_t *j, vl_err *e)
{
    const json_t *id = json_object_get(j, "id"), *name = json_object_get(j, "name");
    const char *url = json_string_value(json_object_get(j, "url"));
    licence l = {.id = json_integer_value(id)};
    json_t *own = NULL;
    char spdx[32];
    int rc;

    if (!json_is_integer(id) || !json_is_string(name))
        return VL_OK;
    if (c->licence.n == LICENCES_MAX * sizeof l)
        return vl_fail(e, VL_EFORMAT, "licenses: more than %d", LICENCES_MAX);
    if (url && vl_licence_of_url(url, spdx))
        name = own = json_string(spdx);
    rc = name ? keep(c, name, &l.name, e) : vl_fail(e, VL_ENOMEM, "out of memory: licence");
    json_decref(own);
    return rc ? rc : vl_buf_add(&c->licence, &l, sizeof l, e);
}

int vl_coco_add(vl_coco *c, const char *array, const json_t *element, vl_err *e)
{
    if (!strcmp(array, "images"))
        return add_image(c, element, e);
    if (!strcmp(array, "annotations"))
        return add_caption(c, element, e);
    return strcmp(array, "licenses") ? VL_OK : add_licence(c, element, e);
}

/* ---- sorting and asking --------------------------------------------------------------------------- */

static int by_image(const void *a, const void *b)
{
    const caption *x = a, *y = b;

    if (x->image != y->image)
        return x->image < y->image ? -1 : 1;
    return x->number < y->number ? -1 : x->number > y->number;
}

/* Of two images with one id the first of the file comes first. */
static int by_id(const void *a, const void *b, void *arg)
{
    const size_t *i = a, *k = b;
    const image *list = arg;

    if (list[*i].id != list[*k].id)
        return list[*i].id < list[*k].id ? -1 : 1;
    return *i < *k ? -1 : *i > *k;
}

int vl_coco_sort(vl_coco *c, vl_err *e)
{
    size_t n = vl_coco_images(c);

    if (!(c->by_id = vl_alloc(n, sizeof *c->by_id, e)))
        return VL_ENOMEM;
    for (size_t i = 0; i < n; i++)
        c->by_id[i] = i;
    if (n)
        qsort_r(c->by_id, n, sizeof *c->by_id, by_id, c->image.p);
    if (n_captions(c))
        qsort(c->caption.p, n_captions(c), sizeof(caption), by_image);
    return VL_OK;
}

/* The first place in by_id whose image has at least this id. */
static size_t find_image(const vl_coco *c, int64_t id)
{
    size_t lo = 0, hi = vl_coco_images(c);

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (images(c)[c->by_id[mid]].id < id)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static size_t find_caption(const vl_coco *c, int64_t id)
{
    size_t lo = 0, hi = n_captions(c);

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (captions(c)[mid].image < id)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static const char *text(const vl_coco *c, size_t at)
{
    return at ? (const char *)c->text.p + at : NULL;
}

vl_coco_image vl_coco_get(const vl_coco *c, size_t i)
{
    const image *in = &images(c)[i];
    vl_coco_image out = {.id = in->id, .name = text(c, in->name), .source = text(c, in->source)};
    const licence *l = (const void *)c->licence.p;

    for (size_t k = 0; k < c->licence.n / sizeof *l; k++)
        if (l[k].id == in->licence)
            out.licence = text(c, l[k].name);
    out.twice = c->by_id[find_image(c, in->id)] != i;
    out.first = find_caption(c, in->id);
    while (out.first + out.n < n_captions(c) && captions(c)[out.first + out.n].image == in->id)
        out.n++;
    return out;
}

const char *vl_coco_caption(const vl_coco *c, size_t k, size_t *n)
{
    *n = captions(c)[k].n;
    return text(c, captions(c)[k].at);
}

bool vl_coco_orphan(const vl_coco *c, size_t *k, size_t *number, int64_t *id)
{
    for (; *k < n_captions(c); ++*k) {
        const caption *o = &captions(c)[*k];
        size_t at = find_image(c, o->image);
        if (at < vl_coco_images(c) && images(c)[c->by_id[at]].id == o->image)
            continue;
        *number = o->number;
        *id = o->image;
        ++*k;
        return true;
    }
    return false;
}
