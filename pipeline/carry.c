/* SPDX-License-Identifier: MIT */
#include "pipeline/carry.h"

#include "formats/licence.h"
#include "formats/tail.h"

#include <string.h>

static const char *const own[] = {"format", "ordinal", "first_key"};
static const char *const must_agree[] = {"kind", "schema", "model", "augment"};

static int no_memory(vl_err *e)
{
    return vl_fail(e, VL_ENOMEM, "out of memory: manifest");
}

json_t *vl_carry_manifest(const json_t *manifest, vl_err *e)
{
    json_t *m = json_deep_copy(manifest);

    if (!m)
        no_memory(e);
    for (size_t i = 0; m && i < sizeof own / sizeof *own; i++)
        json_object_del(m, own[i]);
    return m;
}

/* The values that were seen of one name: those under various, else the one there is. */
static json_t *values_of(const json_t *m, const char *name)
{
    json_t *listed = json_object_get(json_object_get(m, "various"), name);
    json_t *one = json_object_get(m, name);

    if (json_is_array(listed))
        return json_deep_copy(listed);
    return one ? json_pack("[O]", one) : json_array();
}

static int add_once(json_t *list, json_t *value)
{
    size_t i;
    json_t *v;

    json_array_foreach (list, i, v)
        if (json_equal(v, value))
            return 0;
    return json_array_append(list, value);
}

/* One name of both, brought together in `into`. */
static int merge_name(json_t *into, const json_t *m, const char *name, vl_err *e)
{
    json_t *a = values_of(into, name), *b = values_of(m, name), *v;
    json_t *various = json_object_get(into, "various");
    bool everywhere = json_object_get(into, name) && json_object_get(m, name);
    size_t from_a = json_array_size(a), from_b = json_array_size(b);
    int bad = !a || !b;
    size_t i;

    if (!bad && everywhere && json_equal(a, b))
        goto out;
    json_array_foreach (b, i, v)
        bad |= add_once(a, v);
    if (!strcmp(name, "licence") &&
        !(from_a && from_b)) { /* a silent segment beside one that names its licence */
        v = json_string(VL_LICENCE_UNKNOWN);
        bad |= add_once(a, v);
        json_decref(v);
    }
    if (!various && !bad) {
        bad = json_object_set_new(into, "various", json_object());
        various = json_object_get(into, "various");
    }
    bad |= json_object_set(various, name, a);
    json_object_del(into, name);
out:
    json_decref(a);
    json_decref(b);
    return bad ? no_memory(e) : VL_OK;
}

static int merge(json_t *into, const json_t *m, vl_err *e)
{
    json_t *names = json_object(), *v, *n;
    const char *name;
    int rc = VL_OK;

    json_object_foreach (into, name, v)
        json_object_set_new(names, name, json_true());
    json_object_foreach ((json_t *)m, name, v)
        json_object_set_new(names, name, json_true());
    json_object_foreach (json_object_get(into, "various"), name, v)
        json_object_set_new(names, name, json_true());
    json_object_foreach (json_object_get(m, "various"), name, v)
        json_object_set_new(names, name, json_true());
    json_object_del(names, "various");
    json_object_foreach (names, name, n)
        if (!rc)
            rc = merge_name(into, m, name, e);
    json_decref(names);
    return rc;
}

int vl_carry_merge(json_t **into, const json_t *m, vl_err *e)
{
    if (!*into) {
        *into = json_deep_copy(m);
        return *into ? VL_OK : no_memory(e);
    }
    for (size_t i = 0; i < sizeof must_agree / sizeof *must_agree; i++) {
        json_t *a = json_object_get(*into, must_agree[i]), *b = json_object_get(m, must_agree[i]);
        if (a != b && !json_equal(a, b))
            return vl_fail(e, VL_EFORMAT, "segments that differ in '%s' cannot become one", must_agree[i]);
    }
    return merge(*into, m, e);
}

int vl_carry_notes(json_t **into, const json_t *tail, vl_err *e)
{
    json_t *notes = json_object(), *v;
    const char *name;
    int rc = VL_OK;

    json_object_foreach ((json_t *)tail, name, v)
        if (!vls_tail_reserved(name) && strcmp(name, "licences") && strcmp(name, "sources") &&
            json_object_set(notes, name, v))
            rc = no_memory(e);
    if (!rc && *into) /* what is of rights lies in *into alone, and is brought together below */
        rc = vl_rights_merge(&notes, *into, e);
    if (!rc && !*into)
        *into = json_incref(notes);
    else if (!rc)
        rc = merge(*into, notes, e);
    json_decref(notes);
    return rc ? rc : vl_rights_merge(into, tail, e);
}

static int add_parent(json_t *into, const char *id, const char *kind, vl_err *e)
{
    json_t *p = json_pack("{s:s, s:s}", "content_id", id ? id : "", "kind", kind ? kind : "");
    int bad = !p || add_once(into, p);

    json_decref(p);
    return bad ? vl_fail(e, VL_ENOMEM, "out of memory: parents") : VL_OK;
}

int vl_carry_parents(json_t *into, const json_t *tail, vl_err *e)
{
    json_t *p;
    size_t i;
    int rc = VL_OK;

    json_array_foreach (json_object_get(tail, "parents"), i, p)
        if (!rc)
            rc = add_parent(into, json_string_value(json_object_get(p, "content_id")),
                            json_string_value(json_object_get(p, "kind")), e);
    return rc;
}

int vl_carry_parent(json_t *into, const json_t *tail, const char *kind, vl_err *e)
{
    return add_parent(into, json_string_value(json_object_get(tail, "content_id")), kind, e);
}

int vl_carry_step(json_t *manifest, const char *name, json_t *step, vl_err *e)
{
    json_t *done = json_object_get(manifest, name);

    if (!json_is_array(done)) {
        if (json_object_set_new(manifest, name, json_array()))
            return no_memory(e);
        done = json_object_get(manifest, name);
    }
    return json_array_append(done, step) ? no_memory(e) : VL_OK;
}
