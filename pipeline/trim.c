/* SPDX-License-Identifier: MIT */
#include "pipeline/trim.h"

#include "formats/names.h"

#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAMES_MAX = 64 };

int vl_trim_check(const vl_trim_opts *o, vl_err *e)
{
    if (o->n_drops > NAMES_MAX || o->n_renames > NAMES_MAX)
        return vl_fail(e, VL_EARG, "more than %d members to drop or rename", NAMES_MAX);
    for (size_t i = 0; i < o->n_renames; i++) {
        const char *eq = strchr(o->rename[i], '=');
        char old[VLS_EXT_MAX + 2];
        int rc;

        if (!eq || (size_t)(eq - o->rename[i]) > VLS_EXT_MAX)
            return vl_fail(e, VL_EARG, "rename '%s' is not OLD=NEW", o->rename[i]);
        snprintf(old, sizeof old, "%.*s", (int)(eq - o->rename[i]), o->rename[i]);
        rc = vls_ext_check(old, VL_EARG, e);
        if (!rc)
            rc = vls_ext_check(eq + 1, VL_EARG, e);
        if (rc)
            return rc;
    }
    if (o->prefix && strlen(o->prefix) > VL_TAR_NAME_MAX)
        return vl_fail(e, VL_EARG, "prefix of more than %d bytes", VL_TAR_NAME_MAX);
    return VL_OK;
}

/* What ext is called afterwards; NULL: dropped. *rule: the one that said so, -1: none. */
static const char *renamed(const vl_trim *t, const char *ext, int *rule)
{
    size_t n = strlen(ext);

    *rule = -1;
    for (size_t i = 0; i < t->o.n_drops; i++)
        if (!fnmatch(t->o.drop[i], ext, 0)) {
            *rule = (int)i;
            return NULL;
        }
    for (size_t i = 0; i < t->o.n_renames; i++)
        if (!strncmp(t->o.rename[i], ext, n) && t->o.rename[i][n] == '=') {
            *rule = NAMES_MAX + (int)i;
            return t->o.rename[i] + n + 1;
        }
    return ext;
}

static int new_key(vl_trim *t, const char *key, size_t input, const char **out, vl_err *e)
{
    const char *strip = t->o.strip ? t->o.strip : "", *prefix = t->o.prefix ? t->o.prefix : "";
    const char *number = strstr(prefix, "%d");
    size_t n = strlen(strip);

    *out = key;
    if (strncmp(key, strip, n))
        return vl_fail(e, VL_EFORMAT, "record '%s': the key does not begin with '%s'", key, strip);
    if (!n && !*prefix)
        return VL_OK;
    if (number)
        snprintf(t->key, sizeof t->key, "%.*s%zu%s%s", (int)(number - prefix), prefix, input, number + 2,
                 key + n);
    else
        snprintf(t->key, sizeof t->key, "%s%s", prefix, key + n);
    *out = t->key; /* a key that is too long now is refused by whoever writes it */
    return VL_OK;
}

int vl_trim_record(vl_trim *t, const vls_record *in, size_t input, vls_record *out, vl_err *e)
{
    int rule, rc = new_key(t, in->key, input, &out->key, e);

    if (rc)
        return rc;
    out->members = in->members;
    out->n_members = in->n_members;
    if (!t->o.n_drops && !t->o.n_renames)
        return 1;
    if (in->n_members > t->room) {
        vls_member *more = vl_realloc(t->member, in->n_members, sizeof *more, e);
        if (!more)
            return VL_ENOMEM;
        t->member = more;
        t->room = in->n_members;
    }
    out->members = t->member;
    out->n_members = 0;
    for (size_t i = 0; i < in->n_members; i++) {
        vls_member m = in->members[i];
        m.ext = renamed(t, m.ext, &rule);
        if (rule >= 0)
            t->used[rule] = true;
        if (m.ext)
            t->member[out->n_members++] = m;
    }
    return out->n_members > 0;
}

int vl_trim_schema(const vl_trim *t, json_t *schema, vl_err *e)
{
    json_t *now, *value;
    const char *ext;
    int rule, bad = 0;

    if (!json_is_object(schema) || (!t->o.n_drops && !t->o.n_renames))
        return VL_OK;
    now = json_object();
    json_object_foreach (schema, ext, value) {
        const char *name = renamed(t, ext, &rule);
        bad |= name && json_object_set(now, name, value);
    }
    bad |= !now || json_object_clear(schema) || json_object_update(schema, now);
    json_decref(now);
    return bad ? vl_fail(e, VL_ENOMEM, "out of memory: schema") : VL_OK;
}

int vl_trim_unused(const vl_trim *t, vl_err *e)
{
    for (size_t i = 0; i < t->o.n_drops; i++)
        if (!t->used[i])
            return vl_fail(e, VL_EFORMAT, "no member is called '%s'", t->o.drop[i]);
    for (size_t i = 0; i < t->o.n_renames; i++)
        if (!t->used[NAMES_MAX + i])
            return vl_fail(e, VL_EFORMAT, "no member is called '%.*s'", (int)strcspn(t->o.rename[i], "="),
                           t->o.rename[i]);
    return VL_OK;
}

void vl_trim_free(vl_trim *t)
{
    free(t->member);
    t->member = NULL;
    t->room = 0;
}
