/* SPDX-License-Identifier: MIT
 * cat_shuffle.c -- records in the order of a hash of their keys.
 *
 * Order by XXH3-64(key, seed): every order is as likely as any other, for whoever does not choose keys for
 * their hashes; it does not depend on how the inputs are cut or in which order they come; and pairs and their
 * embeddings, which have the same keys, come in the same order. The records wait in a temporary file, 32 bytes
 * a record in memory. */
#include "pipeline/cat_plan.h"

#include "formats/tail.h"
#include "pipeline/spill.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

typedef struct entry {
    uint64_t hash, at, order; /* at: in the spill; order: as it was read */
    uint32_t kind;
} entry;

typedef struct shuffler {
    vl_cat *c;
    vl_spill *spill;
    entry *entry; /* [n] */
    size_t n, room;
    char kind[VL_PICK_KINDS][24]; /* in the order in which they were met */
    uint32_t n_kinds;
} shuffler;

static int number_of(shuffler *s, const char *kind, uint32_t *i, vl_err *e)
{
    for (*i = 0; *i < s->n_kinds; (*i)++)
        if (!strcmp(s->kind[*i], kind))
            return VL_OK;
    if (!strcmp(kind, "trajectory") || !strcmp(kind, "distilled"))
        return vl_fail(e, VL_EFORMAT, "records of kind %s have an order of their own", kind);
    if (s->n_kinds == VL_PICK_KINDS)
        return vl_fail(e, VL_EFORMAT, "more than %d kinds", VL_PICK_KINDS);
    strcpy(s->kind[s->n_kinds++], kind); /* vls_kind_check: at most VLS_KIND_MAX bytes */
    return VL_OK;
}

static int lay_aside(shuffler *s, const vls_record *rec, const char *key, const char *kind, vl_err *e)
{
    entry *at;
    int rc;

    if (s->n == s->room) {
        size_t room = s->room ? 2 * s->room : 1024;
        entry *more = vl_realloc(s->entry, room, sizeof *more, e);
        if (!more)
            return VL_ENOMEM;
        s->entry = more;
        s->room = room;
    }
    at = &s->entry[s->n];
    at->hash = XXH3_64bits_withSeed(key, strlen(key), s->c->o->seed);
    at->order = s->n;
    rc = number_of(s, kind, &at->kind, e);
    if (!rc)
        rc = vl_spill_put(s->spill, rec, &at->at, e);
    s->n += !rc;
    return rc;
}

static int read_input(shuffler *s, size_t input, vl_err *e)
{
    const vls_segment *seg;
    vls_reader *r = NULL;
    vls_record rec, out;
    int rc = vl_cat_reader(s->c, input, &r, e), bad = VL_OK;

    if (rc)
        return rc;
    while (!bad && (rc = vls_next(r, &rec, &seg, e)) == 1) {
        int wanted = vl_cat_record(s->c, &rec, seg->kind, input, true, &out, e);
        bad = wanted < 0 ? wanted : VL_OK;
        if (wanted == 1 && (bad = lay_aside(s, &out, rec.key, seg->kind, e)) == VL_EFORMAT)
            vl_within(e, "%s", s->c->o->input[input].name);
    }
    if (!bad)
        bad = rc;
    for (uint64_t i = 0; !bad && (seg = vls_reader_segment(r, i)); i++)
        s->c->kind_seen |= !s->c->o->pick->o.kind || !strcmp(s->c->o->pick->o.kind, seg->kind);
    if (!bad)
        bad = vl_cat_input_done(s->c, input, r, e);
    vls_reader_close(r);
    return bad;
}

static int by_hash(const void *p, const void *q)
{
    const entry *a = p, *b = q;

    if (a->kind != b->kind)
        return a->kind < b->kind ? -1 : 1;
    if (a->hash != b->hash)
        return a->hash < b->hash ? -1 : 1;
    return a->order < b->order ? -1 : a->order > b->order;
}

/* entry[n] are the records of one kind, in their order. A segment that is full goes on in another. */
static int write_kind(shuffler *s, const entry *at, size_t n, vl_err *e)
{
    vl_cat *c = s->c;
    json_t *manifest, *parents, *notes;
    vls_record rec;
    int rc = vl_cat_merged(c, s->kind[at->kind], &manifest, &parents, &notes, e);

    if (!rc && !at->kind) /* said once, in the first segment */
        rc = vl_cat_note_loss(c->counts->bad_frames, c->counts->lost_records, &notes, e);
    for (size_t i = 0; !rc && i < n; i++) {
        if (i % VLS_RECORDS_MAX == 0) {
            rc = i ? c->sink->end(c->sink, e) : VL_OK;
            if (!rc)
                rc = vl_cat_begin(c, manifest, parents, notes, e);
        }
        if (!rc)
            rc = vl_spill_get(s->spill, at[i].at, &rec, e);
        if (!rc)
            rc = c->sink->add(c->sink, &rec, e);
        c->counts->written += !rc;
    }
    if (!rc)
        rc = c->sink->end(c->sink, e);
    c->open = false;
    json_decref(manifest);
    json_decref(parents);
    json_decref(notes);
    return rc;
}

int vl_cat_shuffled(vl_cat *c, vl_err *e)
{
    shuffler s = {.c = c};
    int rc = vl_spill_new(&s.spill, e);

    for (size_t i = 0; !rc && i < c->o->n_inputs; i++)
        rc = read_input(&s, i, e);
    if (!rc && s.n)
        qsort(s.entry, s.n, sizeof *s.entry, by_hash);
    for (size_t i = 0, k; !rc && i < s.n; i = k) {
        for (k = i; k < s.n && s.entry[k].kind == s.entry[i].kind; k++)
            ;
        rc = write_kind(&s, s.entry + i, k - i < c->o->pick->o.head ? k - i : (size_t)c->o->pick->o.head, e);
    }
    if (!rc && !s.n && c->brief[0].n) { /* nothing was chosen: cat.c writes an empty segment */
        c->first = json_deep_copy(c->brief[0].seg[0].manifest);
        c->first_tail = json_deep_copy(c->brief[0].seg[0].tail);
    }
    free(s.entry);
    vl_spill_free(s.spill);
    return rc;
}
