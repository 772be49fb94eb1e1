/* SPDX-License-Identifier: MIT
 * ls_check.c -- shards read to their verified ends, some at a time; the lines come in the order of the shards. */
#include "cli/ls.h"

#include "cli/msg.h"
#include "pipeline/stage.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct check {
    const char *path;
    const ls_opts *o;
    int rc;
    vl_err e;
    vls_read_counts counts;
    vls_parent id;
    json_t *manifests, *licence, *source, *parents; /* manifests: with --manifest */
} check;

static void add_segment(check *c, const vls_segment *seg, const json_t *tail)
{
    json_t *p, *have;
    size_t i, k;

    if (c->o->manifest)
        json_array_append_new(c->manifests,
                              json_pack("{s:s, s:I, s:O, s:O?}", "file", c->path, "segment",
                                        (json_int_t)seg->ordinal, "manifest", seg->manifest, "tail", tail));
    ls_terms(c->licence, seg->manifest, "licence");
    ls_terms(c->source, seg->manifest, "source");
    json_array_foreach (json_object_get(tail, "parents"), i, p) {
        bool there = false;
        json_array_foreach (c->parents, k, have)
            there = there || json_equal(have, p);
        if (!there)
            json_array_append(c->parents, p);
    }
}

/* Runs on a thread of the stage; prints nothing. */
static void check_one(void *job, void *ctx)
{
    check *c = job;
    vls_read_opts ro = {.skip_bad = c->o->skip_bad};
    const vls_segment *seg;
    vls_reader *r = NULL;
    vls_record rec;

    (void)ctx;
    c->rc = vls_reader_open(c->path, &ro, &r, &c->e);
    if (c->rc)
        return;
    do
        c->rc = vls_next(r, &rec, &seg, &c->e);
    while (c->rc == 1);
    c->counts = *vls_reader_counts(r);
    vls_reader_id(r, &c->id);
    for (uint64_t i = 0; (seg = vls_reader_segment(r, i)) != NULL; i++)
        add_segment(c, seg, vls_reader_tail(r, i));
    vls_reader_close(r);
}

static void print_json(const check *c)
{
    const vls_read_counts *n = &c->counts;

    if (c->rc) {
        ls_print_json(json_pack("{s:s, s:b, s:s}", "file", c->path, "ok", 0, "error", c->e.text));
        return;
    }
    ls_print_json(json_pack("{s:s, s:b, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:s, s:O, s:O, s:O}", "file",
                            c->path, "ok", n->bad_frames == 0, "kind", c->id.kind, "segments",
                            (json_int_t)n->segments, "records", (json_int_t)n->records, "frames",
                            (json_int_t)n->frames, "raw_bytes", (json_int_t)n->raw_bytes, "file_bytes",
                            (json_int_t)n->file_bytes, "bad_frames", (json_int_t)n->bad_frames,
                            "lost_records", (json_int_t)n->lost_records, "content_id", c->id.id, "licence",
                            c->licence, "source", c->source, "parents", c->parents));
}

static void print_text(const check *c)
{
    const vls_read_counts *n = &c->counts;
    char *licence = ls_terms_text(c->licence), *source = ls_terms_text(c->source);

    if (!c->rc)
        printf("%s\t%s\t%s\tsegments=%" PRIu64 " records=%" PRIu64 " frames=%" PRIu64 " raw_bytes=%" PRIu64
               " file_bytes=%" PRIu64 "\t%s%s%s%s%s\n",
               c->path, n->bad_frames ? "damaged" : "ok", c->id.kind, n->segments, n->records, n->frames,
               n->raw_bytes, n->file_bytes, c->id.id, licence ? "\tlicence=" : "", licence ? licence : "",
               source ? "\tsource=" : "", source ? source : "");
    free(licence);
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
    fflush(stdout); /* on a terminal the message follows what it is about */
    if (c->rc)
        return cli_fail(&c->e);
    if (!c->counts.bad_frames)
        return 0;
    cli_error("%s: %" PRIu64 " bad frames left out, at least %" PRIu64 " records lost", c->path,
              c->counts.bad_frames, c->counts.lost_records);
    return 1;
}

static int take(vl_stage *stage)
{
    check *c = vl_stage_take(stage);
    int bad = ferror(stdout) ? 1 : report(c);

    json_decref(c->manifests);
    json_decref(c->licence);
    json_decref(c->source);
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
                         .manifests = json_array(),
                         .licence = json_array(),
                         .source = json_array(),
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
