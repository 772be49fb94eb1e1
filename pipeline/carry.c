/* SPDX-License-Identifier: MIT */
#include "pipeline/carry.h"

#include "formats/licence.h"
#include "formats/tail.h"

#include <string.h>

static const char *const own[] = {"format", "ordinal", "first_key"};
static const char *const must_agree[] = {"kind", "schema", "model", "augment"};

enum { CARRY_MAX = 9000 }; /* parents, ancestors, values of one name */

static int no_memory(vl_err *e)
{
    return vl_fail(e, VL_ENOMEM, "no memory for the manifest, or more than %d parents or values", CARRY_MAX);
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

/* The list stays short enough for a manifest or tail (1 MiB), and for looking through it. */
static int add_once(json_t *list, json_t *value)
{
    size_t i;
    json_t *v;

    json_array_foreach (list, i, v)
        if (json_equal(v, value))
            return 0;
    return json_array_size(list) < CARRY_MAX ? json_array_append(list, value) : -1;
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

static int add_parent(json_t *into, const char *id, const char *kind, vl_err *e)
{
    json_t *p = json_pack("{s:s, s:s}", "content_id", id ? id : "", "kind", kind ? kind : "");
    int bad = !p || add_once(into, p);

    json_decref(p);
    return bad ? no_memory(e) : VL_OK;
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

/* Adds what an array (a stranger's) holds to the list of this name in notes. */
static int add_list(json_t *notes, const char *name, const json_t *from, vl_err *e)
{
    json_t *list = json_object_get(notes, name), *p;
    size_t i;

    if (!json_array_size(from))
        return VL_OK;
    if (!json_is_array(list)) {
        if (json_object_set_new(notes, name, json_array()))
            return no_memory(e);
        list = json_object_get(notes, name);
    }
    json_array_foreach ((json_t *)from, i, p)
        if (add_once(list, p))
            return no_memory(e);
    return VL_OK;
}

int vl_carry_ancestors(json_t **notes, const json_t *tail, vl_err *e)
{
    int rc;

    if (!*notes && !(*notes = json_object()))
        return no_memory(e);
    rc = add_list(*notes, "ancestors", json_object_get(tail, "parents"), e);
    return rc ? rc : add_list(*notes, "ancestors", json_object_get(tail, "ancestors"), e);
}

int vl_carry_losses(json_t **notes, const json_t *tail, vl_err *e)
{
    if (!*notes && !(*notes = json_object()))
        return no_memory(e);
    return add_list(*notes, "input_loss", json_object_get(tail, "input_loss"), e);
}

int vl_carry_made_of(json_t *into, const json_t *tail, vl_err *e)
{
    json_t *p;
    size_t i;
    int rc = vl_carry_parents(into, tail, e);

    json_array_foreach (json_object_get(tail, "ancestors"), i, p)
        if (!rc && add_once(into, p))
            rc = no_memory(e);
    return rc;
}

/* Notes that are lists of their own: they are not merged as values. */
static bool is_list(const char *name)
{
    return !strcmp(name, "ancestors") || !strcmp(name, "input_loss") || !strcmp(name, "licences") ||
           !strcmp(name, "sources");
}

/* The notes that are lists, or those that are not. */
static json_t *part_of(const json_t *from, bool lists)
{
    json_t *part = json_object(), *v;
    const char *name;

    json_object_foreach ((json_t *)from, name, v)
        if (is_list(name) == lists && !vls_tail_reserved(name) && json_object_set(part, name, v)) {
            json_decref(part);
            return NULL;
        }
    return part;
}

int vl_carry_notes(json_t **into, const json_t *tail, vl_err *e)
{
    json_t *notes = part_of(tail, false), *lists = part_of(*into, true), *v;
    const char *name;
    int rc = notes && lists ? VL_OK : no_memory(e);

    json_object_foreach (lists, name, v)
        json_object_del(*into, name);
    if (!rc && *into)
        rc = merge(*into, notes, e);
    else if (!rc)
        *into = json_incref(notes);
    if (!rc && json_object_update(*into, lists))
        rc = no_memory(e);
    if (!rc)
        rc = add_list(*into, "ancestors", json_object_get(tail, "ancestors"), e);
    if (!rc)
        rc = vl_carry_losses(into, tail, e);
    if (!rc)
        rc = vl_rights_merge(into, tail, e);
    json_decref(lists);
    json_decref(notes);
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
