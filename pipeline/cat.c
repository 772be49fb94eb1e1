/* SPDX-License-Identifier: MIT
 * cat.c -- the passes over the inputs.
 *
 *   peek    (where a segment's tail is needed before its records: pieces, one table, a shuffle) every input
 *   count   (--part) every input: how many records there are to divide
 *   write   every input: records in their order into the sink, or through vl_cat_shuffled */
#include "pipeline/cat_plan.h"

#include "pipeline/carry.h"

#include <stdlib.h>
#include <string.h>

static bool wants_briefs(const vl_cat_opts *o, bool pieces)
{
    return pieces || o->reseal || o->shuffle;
}

bool vl_cat_twice(const vl_cat_opts *o, bool pieces)
{
    return wants_briefs(o, pieces) || o->pick->o.parts;
}

/* ---- before the records --------------------------------------------------------------------------- */

static int peek(vl_cat *c, vl_err *e)
{
    int rc = VL_OK;

    c->brief = vl_alloc(c->o->n_inputs, sizeof *c->brief, e);
    if (!c->brief)
        return VL_ENOMEM;
    for (size_t i = 0; !rc && i < c->o->n_inputs; i++)
        rc = vls_peek(c->o->input[i].path, c->o->input[i].name, c->o->skip_bad, &c->brief[i], e);
    return rc;
}

static int count(vl_cat *c, vl_err *e)
{
    int rc = VL_OK;

    for (size_t i = 0; !rc && i < c->o->n_inputs; i++) {
        const vls_segment *seg;
        vls_reader *r = NULL;
        vls_record rec;
        rc = vl_cat_reader(c, i, &r, e);
        while (!rc && (rc = vls_next(r, &rec, &seg, e)) == 1)
            if ((rc = vl_pick_count(c->o->pick, seg->kind, rec.key, e)))
                vl_within(e, "%s", c->o->input[i].name);
        vls_reader_close(r);
    }
    vl_pick_again(c->o->pick);
    return rc;
}

/* ---- segments, one by one ------------------------------------------------------------------------- */

static int out_of_memory(vl_err *e)
{
    return vl_fail(e, VL_ENOMEM, "out of memory: notes");
}

static uint64_t bad_so_far(const vls_reader *r)
{
    return vls_reader_counts(r)->bad_frames + vls_reader_counts(r)->lost_tails;
}

/* Ends the open segment, which came from segment `ordinal` of r. */
static int end_segment(vl_cat *c, const vls_reader *r, uint64_t ordinal, vl_err *e)
{
    json_t *parents = json_array(), *notes = NULL;
    int rc = parents ? VL_OK : out_of_memory(e);

    if (!rc)
        rc = vl_cat_lineage(c, vls_reader_tail(r, ordinal), vls_reader_segment(r, ordinal)->kind, parents,
                            &notes, e);
    if (!rc)
        rc = vl_cat_note_loss(bad_so_far(r) > c->bad ? vls_reader_loss_note(r) : NULL, &notes, e);
    if (!rc) {
        vl_sink_tail(c->sink, parents, notes);
        rc = c->sink->end(c->sink, e);
    }
    c->open = false;
    json_decref(parents);
    json_decref(notes);
    return rc;
}

static int begin_segment(vl_cat *c, size_t input, const vls_segment *seg, const vls_reader *r, vl_err *e)
{
    json_t *parents = NULL, *notes = NULL;
    int rc = VL_OK;

    c->bad = bad_so_far(r);
    if (c->sink->early && seg->ordinal < c->brief[input].n) {
        parents = json_array();
        rc = parents
                 ? vl_cat_lineage(c, c->brief[input].seg[seg->ordinal].tail, seg->kind, parents, &notes, e)
                 : out_of_memory(e);
    }
    if (!rc)
        rc = vl_cat_begin(c, seg->manifest, parents, notes, e);
    json_decref(parents);
    json_decref(notes);
    return rc;
}

/* Segment `ordinal` of r is over. One that had no record goes on as it is, where nothing was chosen. */
static int segment_over(vl_cat *c, size_t input, const vls_reader *r, uint64_t ordinal, vl_err *e)
{
    const vls_segment *seg = vls_reader_segment(r, ordinal);
    bool wanted = !c->o->pick->o.kind || !strcmp(c->o->pick->o.kind, seg->kind);
    int rc = VL_OK;

    c->kind_seen |= wanted;
    if (!c->first) {
        c->first = vl_carry_manifest(seg->manifest, e);
        c->first_tail = json_deep_copy(vls_reader_tail(r, ordinal));
        if (!c->first)
            return VL_ENOMEM;
    }
    if (c->o->reseal)
        return VL_OK;
    if (!c->open && wanted && !c->o->step)
        rc = begin_segment(c, input, seg, r, e);
    return rc || !c->open ? rc : end_segment(c, r, ordinal, e);
}

static int write_record(vl_cat *c, size_t input, const vls_record *rec, const vls_segment *seg,
                        const vls_reader *r, vl_err *e)
{
    vls_record out;
    int rc = vl_cat_record(c, rec, seg->kind, input, false, &out, e);

    if (rc <= 0)
        return rc;
    rc = c->open ? VL_OK : begin_segment(c, input, seg, r, e);
    if (!rc)
        rc = c->sink->add(c->sink, &out, e);
    c->counts->written += !rc;
    return rc == VL_EARG || rc == VL_EFORMAT ? vl_within(e, "%s", c->o->input[input].name) : rc;
}

static int write_input(vl_cat *c, size_t input, vl_err *e)
{
    const vls_segment *seg;
    vls_reader *r = NULL;
    vls_record rec;
    uint64_t now = 0;
    int rc = vl_cat_reader(c, input, &r, e), bad = VL_OK;

    if (rc)
        return rc;
    while (!bad && (rc = vls_next(r, &rec, &seg, e)) == 1) {
        while (!bad && now < seg->ordinal)
            bad = segment_over(c, input, r, now++, e);
        if (!bad)
            bad = write_record(c, input, &rec, seg, r, e);
    }
    if (!bad)
        bad = rc;
    while (!bad && vls_reader_segment(r, now))
        bad = segment_over(c, input, r, now++, e);
    if (!bad)
        bad = vl_cat_input_done(c, input, r, e);
    vls_reader_close(r);
    return bad;
}

/* ---- the run -------------------------------------------------------------------------------------- */

static int write_all(vl_cat *c, vl_err *e)
{
    int rc = VL_OK;

    for (size_t i = 0; !rc && i < c->o->n_inputs; i++)
        rc = write_input(c, i, e);
    return rc;
}

/* One segment for all of them. */
static int write_merged(vl_cat *c, vl_err *e)
{
    json_t *manifest, *parents, *notes;
    int rc = vl_cat_merged(c, NULL, &manifest, &parents, &notes, e);

    if (!rc && manifest)
        rc = vl_cat_begin(c, manifest, parents, notes, e);
    if (!rc)
        rc = write_all(c, e);
    if (!rc && c->open && c->loss)
        rc = vl_cat_add_loss(c->loss, &notes, e);
    if (!rc && c->open) {
        vl_sink_tail(c->sink, parents, notes);
        rc = c->sink->end(c->sink, e);
    }
    json_decref(manifest);
    json_decref(parents);
    json_decref(notes);
    return rc;
}

/* Nothing was chosen: an empty segment says of what. */
static int end_empty(vl_cat *c, vl_err *e)
{
    json_t *parents = json_array(), *notes = NULL;
    const char *kind = json_string_value(json_object_get(c->first, "kind"));
    int rc = parents ? vl_cat_lineage(c, c->first_tail, kind, parents, &notes, e) : out_of_memory(e);

    if (!rc)
        rc = vl_cat_begin(c, c->first, parents, notes, e);
    if (!rc)
        rc = c->sink->end(c->sink, e);
    json_decref(parents);
    json_decref(notes);
    return rc;
}

static int finish(vl_cat *c, vl_err *e)
{
    int rc = VL_OK;

    for (size_t i = 0; !rc && i < c->o->n_joins; i++)
        rc = vl_join_end(c->o->join[i], e);
    if (!rc && !c->kind_seen)
        rc = c->o->pick->o.kind ? vl_fail(e, VL_EFORMAT, "no segment is of kind '%s'", c->o->pick->o.kind)
                                : vl_fail(e, VL_EFORMAT, "no segment can be read");
    if (!rc)
        rc = vl_pick_unused(c->o->pick, e);
    if (!rc && !c->any)
        rc = end_empty(c, e);
    return rc;
}

int vl_cat_run(const vl_cat_opts *o, vl_sink *sink, vl_cat_counts *counts, vl_err *e)
{
    vl_cat c = {.o = o, .sink = sink, .counts = counts};
    int rc = wants_briefs(o, sink->early) ? peek(&c, e) : VL_OK;

    *counts = (vl_cat_counts){0};
    if (!rc && o->pick->o.parts)
        rc = count(&c, e);
    if (!rc)
        rc = o->shuffle ? vl_cat_shuffled(&c, e) : o->reseal ? write_merged(&c, e) : write_all(&c, e);
    if (!rc)
        rc = finish(&c, e);
    for (size_t i = 0; c.brief && i < o->n_inputs; i++)
        vls_briefs_free(&c.brief[i]);
    free(c.brief);
    free(c.member);
    vl_expand_free(&c.expand);
    json_decref(c.loss);
    json_decref(c.first);
    json_decref(c.first_tail);
    return rc;
}
