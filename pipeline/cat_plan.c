/* SPDX-License-Identifier: MIT
 * cat_plan.c -- what goes from inputs to output beside the records: manifests, parents, notes; and what is done
 * to one record. */
#include "pipeline/cat_plan.h"

#include "formats/licence.h"
#include "formats/names.h"
#include "formats/vlt.h"
#include "pipeline/carry.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- segments ------------------------------------------------------------------------------------- */

/* "after": how many steps came before it, so that the steps of several tools keep their order. */
static int add_step(json_t *m, const json_t *step, vl_err *e)
{
    size_t after = json_array_size(json_object_get(m, "select")) + json_array_size(json_object_get(m, "cat"));
    json_t *s = json_copy((json_t *)step);
    int rc = !s || json_object_set_new(s, "after", json_integer((json_int_t)after))
                 ? vl_fail(e, VL_ENOMEM, "out of memory: manifest")
                 : vl_carry_step(m, "cat", s, e);

    json_decref(s);
    return rc;
}

int vl_cat_begin(vl_cat *c, const json_t *manifest, json_t *parents, json_t *notes, vl_err *e)
{
    json_t *m = vl_carry_manifest(manifest, e);
    int rc = m ? VL_OK : VL_ENOMEM;

    for (size_t i = 0; !rc && i < c->o->n_joins; i++)
        rc = vl_join_manifest(c->o->join[i], m, e);
    if (!rc && c->o->plain)
        rc = vl_expand_schema(json_object_get(m, "schema"), e);
    if (!rc)
        rc = vl_trim_schema(c->o->trim, json_object_get(m, "schema"), e);
    if (!rc && c->o->step)
        rc = add_step(m, c->o->step, e);
    if (!rc)
        rc = vl_sink_begin(c->sink, m, e);
    if (!rc) {
        c->open = c->any = true;
        if (parents)
            vl_sink_tail(c->sink, parents, notes);
    }
    json_decref(m);
    return rc;
}

int vl_cat_lineage(const vl_cat *c, const json_t *tail, const char *kind, json_t *parents, json_t **notes,
                   vl_err *e)
{
    int rc = VL_OK;

    if (!tail) /* it was left out as bad */
        return VL_OK;
    if (!c->o->step) {
        rc = vl_carry_parents(parents, tail, e);
        return rc ? rc : vl_carry_notes(notes, tail, e);
    }
    rc = vl_carry_parent(parents, tail, kind, e);
    if (!rc)
        rc = vl_carry_ancestors(notes, tail, e);
    for (size_t i = 0; !rc && i < c->o->n_joins; i++)
        rc = vl_join_parents(c->o->join[i], parents, notes, e);
    return rc ? rc : vl_rights_merge(notes, tail, e);
}

int vl_cat_add_loss(const json_t *loss, json_t **notes, vl_err *e)
{
    return vl_carry_losses(notes, loss, e); /* beside what an earlier run left out */
}

int vl_cat_note_loss(json_t *note, json_t **notes, vl_err *e)
{
    json_t *loss;
    int rc;

    if (!note)
        return VL_OK;
    loss = json_pack("{s:[o]}", "input_loss", note);
    rc = loss ? vl_cat_add_loss(loss, notes, e) : vl_fail(e, VL_ENOMEM, "out of memory: notes");
    json_decref(loss);
    return rc;
}

static int merge_segment(const vl_cat *c, const vls_brief *b, const char *kind, json_t **manifest,
                         json_t *parents, json_t **notes, vl_err *e)
{
    const char *own = json_string_value(json_object_get(b->manifest, "kind"));
    json_t *m;
    int rc;

    if ((kind && strcmp(kind, own)) || (c->o->pick->o.kind && strcmp(c->o->pick->o.kind, own)))
        return VL_OK;
    m = vl_carry_manifest(b->manifest, e);
    rc = m ? vl_carry_merge(manifest, m, e) : VL_ENOMEM;
    if (!rc)
        rc = vl_cat_lineage(c, b->tail, own, parents, notes, e);
    json_decref(m);
    return rc;
}

int vl_cat_merged(const vl_cat *c, const char *kind, json_t **manifest, json_t **parents, json_t **notes,
                  vl_err *e)
{
    int rc = VL_OK;

    *manifest = *notes = NULL;
    *parents = json_array();
    if (!*parents)
        return vl_fail(e, VL_ENOMEM, "out of memory: parents");
    for (size_t i = 0; !rc && i < c->o->n_inputs; i++)
        for (size_t k = 0; !rc && k < c->brief[i].n; k++)
            if ((rc = merge_segment(c, &c->brief[i].seg[k], kind, manifest, *parents, notes, e)) ==
                VL_EFORMAT)
                vl_within(e, "%s%s%s", c->o->input[0].name, i ? ", " : "", i ? c->o->input[i].name : "");
    return rc;
}

/* ---- records -------------------------------------------------------------------------------------- */

static int room_for(vl_cat *c, size_t n, vl_err *e)
{
    vls_member *more;

    if (n <= c->room)
        return VL_OK;
    more = vl_realloc(c->member, n, sizeof *more, e);
    if (!more)
        return VL_ENOMEM;
    c->member = more;
    c->room = n;
    return VL_OK;
}

/* Adds the members of each sidecar's record. The sidecars hold theirs until they are asked again. */
static int join(vl_cat *c, vls_record *rec, const char *kind, vl_err *e)
{
    size_t n = rec->n_members;
    vls_record more;
    int rc = room_for(c, n, e);

    if (rc)
        return rc;
    if (!c->kind[0])
        strcpy(c->kind, kind);
    if (strcmp(c->kind, kind))
        return vl_fail(e, VL_EFORMAT, "records of kinds %s and %s: which are joined?", c->kind, kind);
    memcpy(c->member, rec->members, n * sizeof *rec->members);
    for (size_t i = 0; i < c->o->n_joins; i++) {
        rc = vl_join_find(c->o->join[i], rec->key, &more, e);
        if (rc < 0)
            return rc;
        if (!rc)
            return vl_fail(e, VL_EFORMAT, "record '%s': is not in %s", rec->key, vl_join_name(c->o->join[i]));
        rc = room_for(c, n + more.n_members, e);
        if (rc)
            return rc;
        memcpy(c->member + n, more.members, more.n_members * sizeof *more.members);
        n += more.n_members;
    }
    rec->members = c->member;
    rec->n_members = n;
    return VL_OK;
}

/* A difference is worth nothing without the record before it, under the name that it has there. */
static int keep_chain(vl_cat *c, const vls_record *out, vl_err *e)
{
    char name[VL_TAR_NAME_MAX + VLS_EXT_MAX + 2];
    bool any = false;
    vl_vlt t;
    int rc = VL_OK;

    for (size_t i = 0; !rc && i < out->n_members; i++) {
        const vls_member *m = &out->members[i];
        if (!vl_vlt_is(m->ext))
            continue;
        any = true;
        rc = vl_vlt_parse(m->data, m->n, &t, e);
        snprintf(name, sizeof name, "%s.%s", c->before, m->ext);
        if (!rc && t.ref[0] && strcmp(t.ref, name))
            rc = vl_fail(e, VL_EFORMAT,
                         "is a difference to '%s', which does not come before it then; --plain", t.ref);
        if (rc)
            vl_within(e, "record '%s': %s", out->key, m->ext);
    }
    if (any)
        snprintf(c->before, sizeof c->before, "%s", out->key);
    return rc;
}

int vl_cat_record(vl_cat *c, const vls_record *in, const char *kind, size_t input, bool headless,
                  vls_record *out, vl_err *e)
{
    vls_record whole = *in;
    int rc = vl_pick_next(c->o->pick, kind, in->key, headless, e);

    c->counts->read++;
    if (rc >= 0 && c->o->plain) {
        int bad = vl_expand_add(&c->expand, in, e);
        if (bad)
            vl_within(e, "record '%s'", in->key);
        else if (rc)
            bad = vl_expand_record(&c->expand, in, &whole, e);
        rc = bad ? bad : rc;
    }
    if (rc == 1 && c->o->n_joins) {
        rc = join(c, &whole, kind, e);
        rc = rc ? rc : 1;
    }
    if (rc == 1) {
        rc = vl_trim_record(c->o->trim, &whole, input, out, e);
        c->counts->emptied += rc == 0;
        if (rc == 1 && c->o->step) {
            int bad = keep_chain(c, out, e);
            rc = bad ? bad : rc;
        }
    }
    return rc < 0 ? vl_within(e, "%s", c->o->input[input].name) : rc;
}

/* ---- inputs --------------------------------------------------------------------------------------- */

int vl_cat_reader(vl_cat *c, size_t i, vls_reader **r, vl_err *e)
{
    vls_read_opts how = {.name = c->o->input[i].name, .skip_bad = c->o->skip_bad};

    return vls_reader_open(c->o->input[i].path, &how, r, e);
}

static int add_ids(json_t *ids, const json_t *list)
{
    json_t *p;
    size_t i;
    int bad = 0;

    json_array_foreach (list, i, p) {
        const char *id = json_string_value(json_object_get(p, "content_id"));
        bad |= id && json_object_set_new(ids, id, json_true());
    }
    return bad;
}

/* Everything that the records of this input are known by, and what they were made of: {content id: true}. */
static json_t *ids_of(const vls_reader *r, vl_err *e)
{
    json_t *ids = json_object();
    const vls_segment *seg;
    vls_parent whole;
    int bad;

    vls_reader_id(r, &whole);
    bad = json_object_set_new(ids, whole.id, json_true());
    vls_parent_free(&whole); /* the rights are in the tails */
    for (uint64_t i = 0; !bad && (seg = vls_reader_segment(r, i)); i++) {
        const json_t *tail = vls_reader_tail(r, i);
        const char *id = json_string_value(json_object_get(tail, "content_id"));
        bad = (id && json_object_set_new(ids, id, json_true())) ||
              add_ids(ids, json_object_get(tail, "parents")) ||
              add_ids(ids, json_object_get(tail, "ancestors"));
    }
    if (!bad)
        return ids;
    json_decref(ids);
    vl_fail(e, VL_ENOMEM, "out of memory: parents");
    return NULL;
}

static int check_joins(const vl_cat *c, const vls_reader *r, const char *name, vl_err *e)
{
    json_t *ids = ids_of(r, e);
    int rc = ids ? VL_OK : VL_ENOMEM;

    for (size_t k = 0; !rc && k < c->o->n_joins; k++)
        if (!vl_join_related(c->o->join[k], ids))
            rc = vl_fail(e, VL_EFORMAT, "%s: was not made from %s, nor from what that was made from",
                         vl_join_name(c->o->join[k]), name);
    json_decref(ids);
    return rc;
}

int vl_cat_input_done(vl_cat *c, size_t i, const vls_reader *r, vl_err *e)
{
    const vls_read_counts *n = vls_reader_counts(r);
    const char *name = c->o->input[i].name;
    int rc = c->o->n_joins && !c->o->any_parent ? check_joins(c, r, name, e) : VL_OK;

    for (size_t k = 0; !rc && c->brief && !c->o->skip_bad && k < c->brief[i].n; k++)
        if (!json_equal(c->brief[i].seg[k].tail, vls_reader_tail(r, k)))
            rc = vl_fail(e, VL_EFORMAT, "%s: changed while it was read", name);
    c->counts->bad_frames += n->bad_frames;
    c->counts->lost_records += n->lost_records;
    c->counts->lost_tails += n->lost_tails;
    if (!rc)
        rc = vl_cat_note_loss(vls_reader_loss_note(r), &c->loss, e);
    return rc;
}
