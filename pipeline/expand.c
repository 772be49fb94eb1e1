/* SPDX-License-Identifier: MIT */
#include "pipeline/expand.h"

#include "formats/vlt.h"

#include <stdlib.h>
#include <string.h>

static void forget(vl_expand *x)
{
    for (size_t i = 0; i < x->n; i++) {
        free(x->ext[i]);
        free(x->bytes[i]);
    }
    x->n = 0;
}

void vl_expand_free(vl_expand *x)
{
    forget(x);
    vl_chain_free(&x->chain);
    free(x->member);
    free(x->ext);
    free(x->bytes);
    *x = (vl_expand){0};
}

int vl_expand_add(vl_expand *x, const vls_record *rec, vl_err *e)
{
    return vl_chain_add(&x->chain, rec, e);
}

static int make_room(vl_expand *x, size_t n, vl_err *e)
{
    vls_member *member;
    char **ext;
    uint8_t **bytes;

    if (n <= x->room)
        return VL_OK;
    if (!(member = vl_realloc(x->member, n, sizeof *member, e)))
        return VL_ENOMEM;
    x->member = member;
    if (!(ext = vl_realloc(x->ext, n, sizeof *ext, e)))
        return VL_ENOMEM;
    x->ext = ext;
    if (!(bytes = vl_realloc(x->bytes, n, sizeof *bytes, e)))
        return VL_ENOMEM;
    x->bytes = bytes;
    x->room = n;
    return VL_OK;
}

static char *npy_name(const char *ext, vl_err *e)
{
    char *name = vl_strdup(ext, e);

    if (name)
        memcpy(name + strlen(name) - 3, "npy", 3);
    return name;
}

/* Member m in the chain as .npy; what is made belongs to x. */
static int expand(vl_expand *x, vls_member *m, vl_err *e)
{
    const vl_npy *a = vl_chain_get(&x->chain, m->ext);
    uint8_t *bytes = NULL;
    char *name;
    size_t n = 0;
    int rc;

    if (!a)
        return vl_fail(e, VL_EFORMAT, "%s: was not decoded", m->ext);
    name = npy_name(m->ext, e);
    if (!name)
        return VL_ENOMEM;
    rc = vl_npy_build(a, &bytes, &n, e);
    if (rc) {
        free(name);
        return vl_within(e, "%s", m->ext);
    }
    x->ext[x->n] = name;
    x->bytes[x->n++] = bytes;
    *m = (vls_member){name, bytes, n};
    return VL_OK;
}

int vl_expand_record(vl_expand *x, const vls_record *rec, vls_record *out, vl_err *e)
{
    int rc;

    forget(x);
    rc = make_room(x, rec->n_members, e);
    for (size_t i = 0; !rc && i < rec->n_members; i++) {
        x->member[i] = rec->members[i];
        if (vl_vlt_is(rec->members[i].ext))
            rc = expand(x, &x->member[i], e);
    }
    if (rc)
        return vl_within(e, "record '%s'", rec->key);
    *out = (vls_record){rec->key, x->member, rec->n_members};
    return VL_OK;
}

int vl_expand_schema(json_t *schema, vl_err *e)
{
    json_t *now, *value;
    const char *ext;
    int bad = 0;

    if (!json_is_object(schema))
        return VL_OK;
    now = json_object();
    json_object_foreach (schema, ext, value) {
        char *name = vl_vlt_is(ext) ? npy_name(ext, e) : NULL;
        json_t *entry = json_deep_copy(value);
        if (name && json_object_get(entry, "type"))
            bad |= json_object_set_new(entry, "type", json_string("npy"));
        bad |= !entry || json_object_set_new(now, name ? name : ext, entry);
        free(name);
    }
    bad |= !now || json_object_clear(schema) || json_object_update(schema, now);
    json_decref(now);
    return bad ? vl_fail(e, VL_ENOMEM, "out of memory: schema") : VL_OK;
}
