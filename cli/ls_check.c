/* SPDX-License-Identifier: MIT
 * ls_check.c -- shards read to their verified ends, some at a time; the lines come in the order of the shards. */
#include "cli/loss.h"
#include "cli/ls.h"

#include "cli/json_text.h"
#include "cli/msg.h"
#include "formats/licence.h"
#include "formats/stage.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct check {
    const char *path;
    const ls_opts *o;
    bool one_thread; /* for this shard: others keep the processors busy */
    int rc;
    vl_err e;
    vls_reader *r; /* of a shard that was read; closed when it was spoken of */
    vls_read_counts counts;
    vls_parent id;
    json_t *manifests, *parents; /* manifests: with --manifest */
} check;

static void add_segment(check *c, const vls_segment *seg, const json_t *tail)
{
    json_t *p, *have;
    size_t i, k;

    if (c->o->manifest)
        json_array_append_new(c->manifests,
                              json_pack("{s:o, s:I, s:O, s:O?}", "file", cli_json_text(c->path), "segment",
                                        (json_int_t)seg->ordinal, "manifest", seg->manifest, "tail", tail));
    json_array_foreach (json_object_get(tail, "parents"), i, p) {
        bool there = false;
        json_array_foreach (c->parents, k, have)
            there = there || json_equal(have, p);
        if (!there)
            json_array_append(c->parents, p);
    }
}

/* The content id in the tail was compared with the records by then. */
static int verify(const check *c, const vls_reader *r, vl_err *e)
{
    const vls_segment *s;

    for (uint64_t i = 0; (s = vls_reader_segment(r, i)) != NULL; i++) {
        const json_t *tail = vls_reader_tail(r, i);
        const char *id = json_string_value(json_object_get(tail, "content_id"));
        if (vl_verify(c->o->key, id ? id : "", s->kind, json_object_get(tail, "signature"), e))
            return vl_within(e, "%s: segment %" PRIu64, vls_reader_name(r), i);
    }
    return VL_OK;
}

/* Runs on a thread of the stage; prints nothing. */
static void check_one(void *job, void *ctx)
{
    check *c = job;
    vls_read_opts ro = {.skip_bad = c->o->skip_bad, .one_thread = c->one_thread};
    const vls_segment *seg;
    vls_record rec;

    (void)ctx;
    c->rc = vls_reader_open(c->path, &ro, &c->r, &c->e);
    if (c->rc)
        return;
    do
        c->rc = vls_next(c->r, &rec, &seg, &c->e);
    while (c->rc == 1);
    if (!c->rc && c->o->key)
        c->rc = verify(c, c->r, &c->e);
    c->counts = *vls_reader_counts(c->r);
    vls_reader_id(c->r, &c->id);
    for (uint64_t i = 0; (seg = vls_reader_segment(c->r, i)) != NULL; i++)
        add_segment(c, seg, vls_reader_tail(c->r, i));
}

static bool ok(const check *c)
{
    return !c->counts.bad_frames && !c->counts.lost_tails;
}

static void print_json(const check *c)
{
    const vls_read_counts *n = &c->counts;
    json_t *licences = json_object_get(c->id.rights, "licences"),
           *sources = json_object_get(c->id.rights, "sources");
    json_t *j;

    if (c->rc) {
        ls_print_json(json_pack("{s:o, s:b, s:o}", "file", cli_json_text(c->path), "ok", 0, "error",
                                cli_json_text(c->e.text)));
        return;
    }
    j = json_pack("{s:o, s:b, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:s, s:s?, s:O?, s:O?, s:O}", "file",
                  cli_json_text(c->path), "ok", ok(c), "kind", c->id.kind, "segments",
                  (json_int_t)n->segments, "records", (json_int_t)n->records, "frames", (json_int_t)n->frames,
                  "raw_bytes", (json_int_t)n->raw_bytes, "file_bytes", (json_int_t)n->file_bytes,
                  "bad_frames", (json_int_t)n->bad_frames, "lost_records", (json_int_t)n->lost_records,
                  "content_id", c->id.id, "licence", vl_licence_strictest(licences), "licences", licences,
                  "sources", sources, "parents", c->parents);
    if (c->o->key)
        json_object_set_new(j, "verified", json_true());
    ls_print_json(j);
}

static void print_text(const check *c)
{
    const vls_read_counts *n = &c->counts;
    const json_t *licences = json_object_get(c->id.rights, "licences");
    const char *most = vl_licence_strictest(licences);
    json_t *one = most ? json_pack("[s]", most) : NULL;
    char *licence = ls_terms_text(one);
    char *all = json_array_size(licences) > 1 ? ls_terms_text(licences) : NULL;
    char *source = ls_terms_text(json_object_get(c->id.rights, "sources"));

    if (!c->rc)
        printf("%s\t%s\t%s\tsegments=%" PRIu64 " records=%" PRIu64 " frames=%" PRIu64 " raw_bytes=%" PRIu64
               " file_bytes=%" PRIu64 "\t%s%s%s%s%s%s%s%s\n",
               c->path, ok(c) ? "ok" : "damaged", c->id.kind, n->segments, n->records, n->frames,
               n->raw_bytes, n->file_bytes, c->id.id, licence ? "\tlicence=" : "", licence ? licence : "",
               all ? " of " : "", all ? all : "", source ? "\tsource=" : "", source ? source : "",
               c->o->key ? "\tverified" : "");
    json_decref(one);
    free(licence);
    free(all);
    free(source);
}

static int report(const check *c)
{
    json_t *m;
    size_t i;

    json_array_foreach (c->manifests, i, m)
        ls_print_json(json_incref(c->o->json ? m : json_object_get(m, "manifest")));
    if (c->o->json)
        print_json(c);
    else
        print_text(c);
    if (!c->rc && ok(c))
        return 0;
    fflush(stdout); /* on a terminal the message follows what it is about */
    return c->rc ? cli_fail(&c->e) : cli_loss_say(c->r);
}

static int take(vl_stage *stage)
{
    check *c = vl_stage_take(stage);
    int bad = ferror(stdout) ? 1 : report(c);

    vls_reader_close(c->r);
    json_decref(c->manifests);
    vls_parent_free(&c->id);
    json_decref(c->parents);
    free(c);
    return bad;
}

int ls_check(const ls_opts *o, char *const *path, size_t n)
{
    vl_stage *stage = NULL;
    size_t inside = 0;
    vl_err e;
    int bad = 0, rc = vl_stage_new(o->threads, (size_t)o->threads + 1, check_one, NULL, &stage, &e);

    if (rc)
        return cli_fail(&e);
    for (size_t i = 0; i < n && !ferror(stdout); i++) {
        check *c = calloc(1, sizeof *c);
        if (c)
            *c = (check){.path = path[i],
                         .o = o,
                         .one_thread = n >= (size_t)o->threads,
                         .manifests = json_array(),
                         .parents = json_array()};
        if (!c) {
            cli_error("out of memory");
            bad = 1;
            break;
        }
        for (; vl_stage_full(stage); inside--)
            bad |= take(stage);
        vl_stage_put(stage, c);
        inside++;
    }
    for (; inside; inside--)
        bad |= take(stage);
    vl_stage_free(stage);
    return bad;
}
