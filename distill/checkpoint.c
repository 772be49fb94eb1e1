/* SPDX-License-Identifier: MIT */
#include "distill/checkpoint.h"
#include "distill/member.h"
#include "formats/manifest.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- what survives ------------------------------------------------------------------------------- */

static void add(vld_state *s, const char *group, const char *name, vl_real *reals, double *doubles, size_t n)
{
    if (!n)
        return;
    assert(s->n_arrays < VLD_STATE_ARRAYS);
    snprintf(s->array[s->n_arrays].name, sizeof s->array[0].name, "%s.%s", group, name);
    s->array[s->n_arrays].reals = reals;
    s->array[s->n_arrays].doubles = doubles;
    s->array[s->n_arrays++].n = n;
}

void vld_state_reals(vld_state *s, const char *group, const char *name, vl_real *x, size_t n)
{
    add(s, group, name, x, NULL, x ? n : 0);
}

void vld_state_doubles(vld_state *s, const char *group, const char *name, double *x, size_t n)
{
    add(s, group, name, NULL, x, n);
}

void vld_state_count(vld_state *s, const char *name, int *value)
{
    assert(s->n_counts < VLD_STATE_COUNTS);
    s->count[s->n_counts].name = name;
    s->count[s->n_counts++].value = value;
}

/* ---- is it ours? -------------------------------------------------------------------------------- */

/* Written by the shard writer, a segment at a time. */
static bool is_writers(const char *name)
{
    return !strcmp(name, "format") || !strcmp(name, "ordinal") || !strcmp(name, "first_key") ||
           !strcmp(name, "kind");
}

/* The first name whose value differs, NULL when none does. */
static const char *differing(const json_t *have, const json_t *want)
{
    const char *name;
    json_t *v;

    json_object_foreach ((json_t *)want, name, v)
        if (!is_writers(name) && !json_equal(v, json_object_get(have, name)))
            return name;
    json_object_foreach ((json_t *)have, name, v)
        if (!is_writers(name) && !json_object_get(want, name))
            return name;
    return NULL;
}

int vld_same_manifest(const json_t *manifest, const json_t *want_all, vl_err *e)
{
    const char *top = differing(manifest, want_all), *name = NULL;
    const json_t *have = json_object_get(manifest, top), *want = json_object_get(want_all, top);

    if (!top)
        return VL_OK;
    if (json_is_object(have) && json_is_object(want))
        name = differing(have, want);
    return vl_fail(e, VL_EARG, "another run's: its manifest has another '%s%s%s'", top, name ? "." : "",
                   name ? name : "");
}

int vld_same_parents(const json_t *tail, const vld_run *run, vl_err *e)
{
    const json_t *list = json_object_get(tail, "parents");
    bool same = json_array_size(list) == run->n_parents;

    for (size_t i = 0; same && i < run->n_parents; i++) {
        const json_t *p = json_array_get(list, i);
        const char *id = json_string_value(json_object_get(p, "content_id"));
        const char *kind = json_string_value(json_object_get(p, "kind"));
        same = id && kind && !strcmp(id, run->parents[i].id) && !strcmp(kind, run->parents[i].kind);
    }
    if (!same)
        return vl_fail(e, VL_EARG, "another run's: it was made of other data");
    list = json_object_get(tail, "input_loss");
    if (list != run->input_loss && !json_equal(list, run->input_loss)) /* both are NULL, or equal */
        return vl_fail(e, VL_EARG, "another run's: other records were left out of its data");
    return VL_OK;
}

/* ---- writing --------------------------------------------------------------------------------------- */

static int counts_json(const vld_state *s, vl_buf *out, vl_err *e)
{
    json_t *j = json_object();
    int rc, bad = !j;

    for (size_t i = 0; i < s->n_counts; i++)
        bad |= json_object_set_new(j, s->count[i].name, json_integer(*s->count[i].value));
    rc = bad ? vl_fail(e, VL_ENOMEM, "out of memory: checkpoint") : vls_json_dump(j, out, e);
    json_decref(j);
    return rc;
}

static int array_bytes(const vld_state *s, size_t i, uint8_t **bytes, size_t *n, vl_err *e)
{
    if (s->array[i].reals)
        return vld_npy_build(s->array[i].reals, 1, &s->array[i].n, bytes, n, e);
    return vl_npy_build(
        &(vl_npy){.dtype = VL_F64, .rank = 1, .shape = {s->array[i].n}, .data = s->array[i].doubles}, bytes,
        n, e);
}

static int add_state(vls_writer *w, const vld_state *s, vl_err *e)
{
    char ext[VLD_STATE_ARRAYS][40];
    uint8_t *bytes[VLD_STATE_ARRAYS] = {0};
    vls_member m[VLD_STATE_ARRAYS + 1];
    vls_record rec = {"state", m, 0};
    vl_buf counts = {0};
    int rc = VL_OK;

    for (size_t i = 0; !rc && i < s->n_arrays; i++) {
        snprintf(ext[i], sizeof ext[i], "%s.npy", s->array[i].name);
        rc = array_bytes(s, i, &bytes[i], &m[i].n, e);
        m[i].ext = ext[i];
        m[i].data = bytes[i];
        rec.n_members++;
    }
    if (!rc)
        rc = counts_json(s, &counts, e);
    m[rec.n_members++] = (vls_member){"json", counts.p, counts.n};
    if (!rc)
        rc = vls_add(w, &rec, e);
    free(counts.p);
    for (size_t i = 0; i < s->n_arrays; i++)
        free(bytes[i]);
    return rc;
}

static int write_segment(vls_writer *w, const vld_run *run, const vld_state *s, vl_err *e)
{
    json_t *manifest = json_copy((json_t *)run->manifest);
    int rc = manifest && !json_object_set_new(manifest, "kind", json_string("checkpoint"))
                 ? vls_segment_begin(w, manifest, 0, e)
                 : vl_fail(e, VL_ENOMEM, "out of memory: checkpoint");

    json_decref(manifest);
    if (!rc)
        rc = add_state(w, s, e);
    for (size_t i = 0; !rc && i < run->n_parents; i++)
        rc = vls_add_parent(w, &run->parents[i], e);
    if (!rc && run->input_loss)
        rc = vls_segment_note(w, "input_loss", json_deep_copy(run->input_loss), e);
    return rc ? rc : vls_segment_end(w, e);
}

int vld_checkpoint_write(const char *path, const vld_run *run, const vld_state *s, vl_err *e)
{
    vls_writer *w = NULL;
    int rc = vls_writer_open(path, &w, e);

    if (!rc)
        rc = write_segment(w, run, s, e);
    if (rc) {
        vls_writer_abort(w);
        return rc;
    }
    return vls_writer_close(w, e);
}

/* ---- reading --------------------------------------------------------------------------------------- */

static int take_counts(const vls_record *rec, const vld_state *s, vl_err *e)
{
    const vls_member *m = vls_get(rec, "json");
    json_t *j = NULL;
    int rc = m ? vls_json_load(m->data, m->n, &j, e) : vl_fail(e, VL_EFORMAT, "json is missing");

    for (size_t i = 0; !rc && i < s->n_counts; i++) {
        const json_t *v = json_object_get(j, s->count[i].name);
        if (!json_is_integer(v) || json_integer_value(v) < 0 || json_integer_value(v) > INT32_MAX)
            rc = vl_fail(e, VL_EFORMAT, "json: %s is no count", s->count[i].name);
        else
            *s->count[i].value = (int)json_integer_value(v);
    }
    json_decref(j);
    return rc;
}

static int take_state(const vls_record *rec, const vld_state *s, vl_err *e)
{
    int rc = strcmp(rec->key, "state") ? vl_fail(e, VL_EFORMAT, "no record 'state'") : take_counts(rec, s, e);

    for (size_t i = 0; !rc && i < s->n_arrays; i++) {
        char ext[40];
        vl_npy a;
        snprintf(ext, sizeof ext, "%s.npy", s->array[i].name);
        rc = vld_npy_find(rec, ext, 1, &s->array[i].n, &a, e);
        if (!rc)
            rc = s->array[i].reals ? vld_npy_reals(&a, ext, s->array[i].reals, e)
                                   : vl_npy_doubles(&a, s->array[i].doubles, e);
    }
    return rc;
}

int vld_checkpoint_read(const char *path, const vld_run *run, const vld_state *s, vl_err *e)
{
    const vls_segment *seg;
    vls_reader *r = NULL;
    vls_record rec;
    int rc = vls_reader_open(path, NULL, &r, e), got;

    if (rc)
        return rc;
    got = vls_next(r, &rec, &seg, e);
    if (got == 1 && strcmp(seg->kind, "checkpoint"))
        rc = vl_fail(e, VL_EFORMAT, "its kind is %s", seg->kind);
    else if (got == 1)
        rc = vld_same_manifest(seg->manifest, run->manifest, e);
    if (got == 1 && !rc)
        rc = take_state(&rec, s, e);
    if (got == 1 && !rc)
        got = vls_next(r, &rec, &seg, e); /* to the end: only then is it whole */
    if (!rc && !got)
        rc = vls_reader_tail(r, 0) ? vld_same_parents(vls_reader_tail(r, 0), run, e)
                                   : vl_fail(e, VL_EFORMAT, "no record 'state'");
    else if (!rc && got == 1)
        rc = vl_fail(e, VL_EFORMAT, "a second record");
    if (rc)
        vl_within(e, "%s", path);
    else if (got < 0)
        rc = got; /* its text has the name in front */
    vls_reader_close(r);
    return rc;
}
