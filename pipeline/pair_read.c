/* SPDX-License-Identifier: MIT */
#include "pipeline/pair_read.h"
#include "pipeline/layout.h"
#include "pipeline/text_utf8.h"

#include <stdlib.h>
#include <string.h>

const vls_member *vl_pair_image(const vls_record *rec)
{
    for (size_t i = 0; i < rec->n_members; i++) {
        const char *ext = rec->members[i].ext;
        if (!strcmp(ext, "jpg") || !strcmp(ext, "jpeg") || !strcmp(ext, "png") || !strcmp(ext, "webp"))
            return &rec->members[i];
    }
    return NULL;
}

void vl_captions_free(char **captions, size_t n)
{
    for (size_t i = 0; captions && i < n; i++)
        free(captions[i]);
    free(captions);
}

/* One caption: n bytes, no NUL behind them. */
static int copy_caption(const char *s, size_t n, size_t number, char **out, vl_err *e)
{
    vl_err why;

    if (vl_caption_check(s, n, &why))
        return vl_fail(e, VL_EFORMAT, "caption %zu %s", number, why.text);
    if (!(*out = vl_alloc(n + 1, 1, e)))
        return VL_ENOMEM;
    memcpy(*out, s, n);
    return VL_OK;
}

/* list: "captions" as it was found, of any type. */
static int copy_list(const json_t *list, char ***captions, size_t *n, vl_err *e)
{
    size_t many = json_array_size(list);
    char **out;
    int rc = VL_OK;

    if (!json_is_array(list) || !many || many > VL_LAYOUT_CAPTIONS_MAX)
        return vl_fail(e, VL_EFORMAT, "json: captions: 1 to %d strings wanted", VL_LAYOUT_CAPTIONS_MAX);
    if (!(out = vl_alloc(many, sizeof *out, e)))
        return VL_ENOMEM;
    for (size_t i = 0; !rc && i < many; i++) {
        const json_t *s = json_array_get(list, i);
        if (!json_is_string(s))
            rc = vl_fail(e, VL_EFORMAT, "json: caption %zu is no string", i);
        else
            rc = copy_caption(json_string_value(s), json_string_length(s), i, &out[i], e);
    }
    if (rc) {
        vl_captions_free(out, many);
        return rc;
    }
    *captions = out;
    *n = many;
    return VL_OK;
}

static int copy_one(const vls_member *txt, char ***captions, size_t *n, vl_err *e)
{
    char **out;
    int rc;

    if (!txt)
        return vl_fail(e, VL_EFORMAT, "no caption");
    if (!(out = vl_alloc(1, sizeof *out, e)))
        return VL_ENOMEM;
    rc = copy_caption((const char *)txt->data, txt->n, 0, &out[0], e);
    if (rc) {
        vl_captions_free(out, 1);
        return rc;
    }
    *captions = out;
    *n = 1;
    return VL_OK;
}

int vl_pair_captions(const vls_record *rec, char ***captions, size_t *n, vl_err *e)
{
    const vls_member *m = vls_get(rec, "json");
    json_t *j = NULL;
    json_error_t where;
    const json_t *list;
    int rc;

    if (m && m->n > VL_PAIR_JSON_MAX)
        return vl_fail(e, VL_EFORMAT, "json: %zu bytes, at most %d allowed", m->n, VL_PAIR_JSON_MAX);
    if (m && !(j = json_loadb((const char *)m->data, m->n, JSON_REJECT_DUPLICATES, &where)))
        return vl_fail(e, VL_EFORMAT, "json: %s (byte %d)", where.text, where.position);
    list = json_object_get(j, "captions");
    if (j && !json_is_object(j))
        rc = vl_fail(e, VL_EFORMAT, "json: no object");
    else
        rc = list ? copy_list(list, captions, n, e) : copy_one(vls_get(rec, "txt"), captions, n, e);
    json_decref(j);
    return rc;
}
