/* SPDX-License-Identifier: MIT */
#include "pipeline/join.h"

#include "formats/licence.h"
#include "formats/peek.h"
#include "pipeline/carry.h"
#include "pipeline/keytab.h"
#include "pipeline/spill.h"

#include <stdlib.h>
#include <string.h>

struct vl_join {
    const char *const *path, *const *name;
    size_t n, now;    /* shards; the one that is open */
    vls_reader *r;    /* NULL: all were read */
    vls_record ahead; /* the record that comes next, while `have` */
    bool have;
    json_t *manifest;          /* of all segments */
    json_t *parents, *made_of; /* its segments; what their tails name */
    json_t *rights;            /* of its segments */
    uint64_t given, seen;
    char *disorder;
    vl_spill *spill; /* from disorder on */
    vl_keytab keys;
    uint64_t *at; /* [room], by number of the key */
    size_t room;
};

/* ---- opening -------------------------------------------------------------------------------------- */

static int look_at(vl_join *j, size_t shard, vl_err *e)
{
    vls_briefs b;
    json_t *m;
    bool silent;
    int rc = vls_peek(j->path[shard], j->name[shard], &b, e);

    for (size_t i = 0; !rc && i < b.n; i++) {
        m = vl_carry_manifest(b.seg[i].manifest, e);
        rc = m ? vl_carry_merge(&j->manifest, m, e) : VL_ENOMEM;
        if (rc == VL_EFORMAT)
            vl_within(e, "%s%s%s", j->name[0], shard ? ", " : "", shard ? j->name[shard] : "");
        if (!rc)
            rc = vl_carry_parent(j->parents, b.seg[i].tail, json_string_value(json_object_get(m, "kind")), e);
        if (!rc)
            rc = vl_carry_parents(j->made_of, b.seg[i].tail, e);
        if (!rc)
            rc = vl_rights_segment(&j->rights, b.seg[i].manifest, b.seg[i].tail, &silent, e);
        json_decref(m);
    }
    vls_briefs_free(&b);
    return rc;
}

int vl_join_open(const char *const *path, const char *const *name, size_t n, vl_join **out, vl_err *e)
{
    vl_join *j = vl_alloc(1, sizeof *j, e);
    int rc = VL_OK;

    if (!j)
        return VL_ENOMEM;
    *j = (vl_join){.path = path, .name = name, .n = n, .parents = json_array(), .made_of = json_array()};
    if (!j->parents || !j->made_of)
        rc = vl_fail(e, VL_ENOMEM, "out of memory: parents");
    for (size_t i = 0; !rc && i < n; i++)
        rc = look_at(j, i, e);
    if (!rc && !j->manifest)
        rc = vl_fail(e, VL_EFORMAT, "%s: no segment", name[0]);
    if (rc)
        vl_join_free(j);
    else
        *out = j;
    return rc;
}

void vl_join_free(vl_join *j)
{
    if (!j)
        return;
    vls_reader_close(j->r);
    vl_spill_free(j->spill);
    vl_keytab_free(&j->keys);
    json_decref(j->manifest);
    json_decref(j->rights);
    json_decref(j->parents);
    json_decref(j->made_of);
    free(j->at);
    free(j->disorder);
    free(j);
}

/* ---- records -------------------------------------------------------------------------------------- */

/* The next record of the sidecar into j->ahead; j->have says whether there is one. */
static int advance(vl_join *j, vl_err *e)
{
    const vls_segment *seg;
    int rc;

    j->have = false;
    while (j->r || j->now < j->n) {
        if (!j->r) {
            vls_read_opts how = {.name = j->name[j->now]};
            rc = vls_reader_open(j->path[j->now], &how, &j->r, e);
            if (rc)
                return rc;
        }
        rc = vls_next(j->r, &j->ahead, &seg, e);
        if (rc < 0)
            return rc;
        if (rc) {
            j->have = true;
            j->seen++;
            return VL_OK;
        }
        vls_reader_close(j->r);
        j->r = NULL;
        j->now++;
    }
    return VL_OK;
}

static int lay_aside(vl_join *j, vl_err *e)
{
    size_t i = 0;
    int added = vl_keytab_add(&j->keys, j->ahead.key, &i, e);

    if (added < 0)
        return added;
    if (!added) /* each shard was checked for itself */
        return vl_fail(e, VL_EFORMAT, "%s: record '%s': the key is there twice", j->name[j->now],
                       j->ahead.key);
    if (i >= j->room) {
        size_t room = j->room ? 2 * j->room : 1024;
        uint64_t *more = vl_realloc(j->at, room, sizeof *more, e);
        if (!more)
            return VL_ENOMEM;
        j->at = more;
        j->room = room;
    }
    return vl_spill_put(j->spill, &j->ahead, &j->at[i], e);
}

static int lay_rest_aside(vl_join *j, vl_err *e)
{
    int rc = VL_OK;

    j->disorder = vl_strdup(j->ahead.key, e);
    if (!j->disorder)
        return VL_ENOMEM;
    rc = vl_spill_new(&j->spill, e);
    while (!rc && j->have) {
        rc = lay_aside(j, e);
        if (!rc)
            rc = advance(j, e);
    }
    return rc;
}

int vl_join_find(vl_join *j, const char *key, vls_record *rec, vl_err *e)
{
    size_t i;
    int rc = VL_OK;

    if (!j->spill) {
        if (!j->have || j->given == j->seen) /* the one ahead was given away, or is the first */
            rc = advance(j, e);
        if (rc || !j->have)
            return rc;
        if (!strcmp(j->ahead.key, key)) {
            *rec = j->ahead;
            j->given++;
            return 1;
        }
        rc = lay_rest_aside(j, e);
    }
    if (rc || !vl_keytab_find(&j->keys, key, &i))
        return rc;
    rc = vl_spill_get(j->spill, j->at[i], rec, e);
    j->given += !rc;
    return rc ? rc : 1;
}

int vl_join_end(vl_join *j, vl_err *e)
{
    int rc;

    do
        rc = advance(j, e);
    while (!rc && j->have);
    return rc;
}

uint64_t vl_join_unused(const vl_join *j)
{
    return j->seen - j->given;
}

const char *vl_join_disorder(const vl_join *j)
{
    return j->disorder;
}

const char *vl_join_name(const vl_join *j)
{
    return j->name[0];
}

/* ---- what it says --------------------------------------------------------------------------------- */

int vl_join_manifest(const vl_join *j, json_t *manifest, vl_err *e)
{
    json_t *schema = json_object_get(j->manifest, "schema"), *have = json_object_get(manifest, "schema");
    int bad = 0;

    if (json_is_object(schema) && !json_is_object(have)) {
        bad = json_object_set_new(manifest, "schema", json_object());
        have = json_object_get(manifest, "schema");
    }
    if (!bad && json_is_object(schema))
        bad = json_object_update_missing(have, schema);
    if (bad)
        return vl_fail(e, VL_ENOMEM, "out of memory: manifest");
    return vl_carry_step(manifest, "joined", j->manifest, e);
}

int vl_join_parents(const vl_join *j, json_t *parents, json_t **notes, vl_err *e)
{
    json_t *tail = json_pack("{s:O}", "parents", j->parents);
    int rc = tail ? vl_carry_parents(parents, tail, e) : vl_fail(e, VL_ENOMEM, "out of memory: parents");

    json_decref(tail);
    return rc ? rc : vl_rights_merge(notes, j->rights, e);
}

bool vl_join_related(const vl_join *j, const json_t *ids)
{
    json_t *mine, *other;
    size_t i, k;

    json_array_foreach (j->made_of, i, mine)
        json_array_foreach ((json_t *)ids, k, other)
            if (json_equal(json_object_get(mine, "content_id"), json_object_get(other, "content_id")))
                return true;
    return false;
}
