/* SPDX-License-Identifier: MIT
 * layout_json.c -- records from annotation files; layout.h states the rules.
 *
 * In Karpathy's and BLIP's files an element is a record, so they stream. In COCO's the captions stand in an array of
 * their own, in any order: the file is read to its end first (layout_coco.h). Which it is shows in the first
 * element that any of them would have. */
#include "formats/names.h"
#include "pipeline/json_split.h"
#include "pipeline/layout.h"
#include "pipeline/layout_coco.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { FILE_NAME_MAX = 4096 }; /* bytes, with the folder */

typedef enum form { UNKNOWN, KARPATHY, BLIP, COCO, COCO_LOADED } form;

typedef struct annotations {
    vl_layout base;
    vl_input *in;
    const char *split; /* wanted ones, parted by commas; NULL: all */
    char *root;
    vl_json_split *file;
    form form;
    bool ended;
    json_t *element, *more; /* of the record at hand */
    char *path, *where, key[FILE_NAME_MAX + 1];
    vl_coco coco;
    size_t next, orphan; /* image and caption of coco */
} annotations;

static void close_json(vl_layout *l)
{
    annotations *a = (annotations *)l;

    json_decref(a->more);
    json_decref(a->element);
    vl_coco_free(&a->coco);
    free(a->where);
    free(a->path);
    vl_json_split_free(a->file);
    free(a->root);
    vl_input_close(a->in);
    free(a);
}

/* ---- what all forms share ------------------------------------------------------------------------- */

/* A caption, without the white space around it that annotators left in the files. */
static int add_caption(annotations *a, const char *s, size_t n, vl_err *e)
{
    static const char blank[] = " \t\r\n";

    while (n && memchr(blank, s[n - 1], 4))
        n--;
    while (n && memchr(blank, *s, 4))
        s++, n--;
    return vl_layout_caption(&a->base, s, n, e);
}

static int add_string(annotations *a, const json_t *s, vl_err *e)
{
    if (!json_is_string(s))
        return vl_fail(e, VL_EFORMAT, "caption %zu is no string", a->base.n_captions);
    return add_caption(a, json_string_value(s), json_string_length(s), e);
}

/* Sets a name of the record's json, where there is a value. Takes value when own is set. */
static int know(annotations *a, const char *name, json_t *value, bool own, vl_err *e)
{
    int bad = (!a->more && !(a->more = json_object())) || (value && json_object_set(a->more, name, value));

    if (own)
        json_decref(value);
    return bad ? vl_fail(e, VL_ENOMEM, "out of memory: json") : VL_OK;
}

static const char *text_of(const json_t *object, const char *name)
{
    return json_string_value(json_object_get(object, name));
}

/* The image's path, and the key and the words for it, from folder (NULL: none) and name. */
static int set_image(annotations *a, const char *folder, const char *name, vl_pair *pair, vl_err *e)
{
    size_t root = strlen(a->root);

    if (!name || !*name)
        return vl_fail(e, VL_EFORMAT, "no file name");
    folder = folder ? folder : "";
    if (strlen(folder) + 1 + strlen(name) > FILE_NAME_MAX)
        return vl_fail(e, VL_EFORMAT, "a file name of more than %d bytes", FILE_NAME_MAX);
    snprintf(a->path, root + FILE_NAME_MAX + 1, "%s%s%s%s", a->root, folder, *folder ? "/" : "", name);
    snprintf(a->where, VL_ERR_TEXT, "%s: record %" PRIu64 ": %s", a->in->name, pair->index, a->path + root);
    pair->image = a->path;
    pair->where = a->where;
    pair->key = a->key;
    return vl_layout_key(a->path + root, a->key, e);
}

/* The record, whose captions and image were noted. */
static int finish(annotations *a, vl_pair *pair, vl_err *e)
{
    if (!a->base.n_captions)
        return vl_fail(e, VL_EFORMAT, "no caption");
    pair->captions = a->base.caption;
    pair->caption_bytes = a->base.caption_bytes;
    pair->n_captions = a->base.n_captions;
    pair->more = a->more;
    return VL_OK;
}

/* ---- the forms ------------------------------------------------------------------------------------ */

static int karpathy(annotations *a, vl_pair *pair, vl_err *e)
{
    const json_t *list = json_object_get(a->element, "sentences"), *s;
    json_t *id = json_object_get(a->element, "cocoid");
    size_t i;
    int rc = set_image(a, text_of(a->element, "filepath"), text_of(a->element, "filename"), pair, e);

    if (!rc)
        rc = know(a, "split", json_object_get(a->element, "split"), false, e);
    if (!rc)
        rc = know(a, "image_id", id ? id : json_object_get(a->element, "imgid"), false, e);
    json_array_foreach (list, i, s) {
        if (!rc)
            rc = add_string(a, json_object_get(s, "raw"), e);
    }
    return rc ? rc : finish(a, pair, e);
}

static int blip(annotations *a, vl_pair *pair, vl_err *e)
{
    const json_t *list = json_object_get(a->element, "caption"), *s;
    size_t i;
    int rc = set_image(a, NULL, text_of(a->element, "image"), pair, e);

    if (!rc && !(a->more = json_copy(a->element)))
        rc = vl_fail(e, VL_ENOMEM, "out of memory: json");
    json_object_del(a->more, "image");
    json_object_del(a->more, "caption");
    if (!rc && json_is_string(list))
        rc = add_string(a, list, e);
    json_array_foreach (list, i, s) {
        if (!rc)
            rc = add_string(a, s, e);
    }
    return rc ? rc : finish(a, pair, e);
}

static int coco(annotations *a, const vl_coco_image *image, vl_pair *pair, vl_err *e)
{
    int rc = image->twice ? vl_fail(e, VL_EFORMAT, "id %" PRId64 " is there twice", image->id)
                          : set_image(a, NULL, image->name, pair, e);

    if (!rc)
        rc = know(a, "image_id", json_integer(image->id), true, e);
    if (!rc && image->licence)
        rc = know(a, "licence", json_string(image->licence), true, e);
    for (size_t i = 0; !rc && i < image->n; i++) {
        size_t n;
        const char *s = vl_coco_caption(&a->coco, image->first + i, &n);
        rc = add_caption(a, s, n, e);
    }
    pair->source = image->source;
    return rc ? rc : finish(a, pair, e);
}

/* ---- the file ------------------------------------------------------------------------------------- */

/* Is the element of a split that is wanted? One that names none is, where none is asked for. */
static bool wanted(const annotations *a)
{
    const char *s = text_of(a->element, "split"), *p = a->split;
    size_t n = s ? strlen(s) : 0, k;

    for (; p && s; p = p[k] ? p + k + 1 : NULL) {
        k = strcspn(p, ",");
        if (k == n && !memcmp(p, s, n))
            return true;
    }
    return !a->split;
}

static form form_of(const char *array, const json_t *element)
{
    bool images = !strcmp(array, "images");

    if (!*array)
        return BLIP;
    if (images && json_object_get(element, "sentences"))
        return KARPATHY;
    return images || !strcmp(array, "annotations") || !strcmp(array, "licenses") ? COCO : UNKNOWN;
}

/* Reads on to the next element that is a record. 1, 0 at the end or when COCO's tables are loaded. */
static int read_on(annotations *a, vl_err *e)
{
    const char *array;
    int rc;

    for (;;) {
        json_decref(a->element);
        a->element = NULL;
        rc = vl_json_split_next(a->file, &array, &a->element, e);
        if (rc <= 0)
            break;
        if (a->form == UNKNOWN)
            a->form = form_of(array, a->element);
        if (a->form == COCO && (rc = vl_coco_add(&a->coco, array, a->element, e)))
            break;
        if (a->form == BLIP || (a->form == KARPATHY && !strcmp(array, "images"))) {
            if (a->form == BLIP || wanted(a))
                return 1;
            a->base.index++;
        }
    }
    if (!rc && a->form == COCO) {
        rc = vl_coco_sort(&a->coco, e);
        a->form = COCO_LOADED;
    }
    a->ended = a->form != COCO_LOADED || rc;
    return rc ? vl_within(e, "%s", a->in->name) : VL_OK;
}

static int next_coco(annotations *a, vl_pair *pair, vl_err *e)
{
    size_t number;
    int64_t id;

    if (a->next < vl_coco_images(&a->coco)) {
        vl_coco_image image = vl_coco_get(&a->coco, a->next++);
        *pair = (vl_pair){.index = a->base.index++};
        return coco(a, &image, pair, e)
                   ? vl_within(e, "%s: record %" PRIu64 ": %s", a->in->name, pair->index, image.name)
                   : 1;
    }
    if (!vl_coco_orphan(&a->coco, &a->orphan, &number, &id))
        return 0;
    return vl_fail(e, VL_EFORMAT, "%s: annotation %zu: image %" PRId64 " is not among the images",
                   a->in->name, number, id);
}

static int next_json(vl_layout *l, vl_pair *pair, vl_err *e)
{
    annotations *a = (annotations *)l;
    int rc;

    json_decref(a->more);
    a->more = NULL;
    if (a->ended)
        return 0;
    if (a->form != COCO_LOADED) {
        rc = read_on(a, e);
        if (rc < 0 || a->ended)
            return rc;
    }
    if (a->form == COCO_LOADED)
        return next_coco(a, pair, e);
    *pair = (vl_pair){.index = l->index++};
    rc = a->form == BLIP ? blip(a, pair, e) : karpathy(a, pair, e);
    return rc ? vl_within(e, "%s: record %" PRIu64, a->in->name, pair->index) : 1;
}

static ssize_t read_input(void *in, void *to, size_t n)
{
    return vl_input_read(in, to, n);
}

int vl_layout_json(vl_input *in, const char *path, const char *root, const char *split, vl_layout **out,
                   vl_err *e)
{
    annotations *a = vl_alloc(1, sizeof *a, e);
    int rc = VL_ENOMEM;

    if (!a) {
        vl_input_close(in);
        return rc;
    }
    a->base.next = next_json;
    a->base.close = close_json;
    a->in = in;
    a->split = split;
    if (!(a->root = vl_layout_root(path, root, e)) ||
        !(a->path = vl_alloc(strlen(a->root) + FILE_NAME_MAX + 1, 1, e)) ||
        !(a->where = vl_alloc(VL_ERR_TEXT, 1, e)))
        goto out;
    rc = vl_json_split_new(read_input, in, &a->file, e);
out:
    if (rc)
        close_json(&a->base);
    else
        *out = &a->base;
    return rc;
}
