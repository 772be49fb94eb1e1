/* SPDX-License-Identifier: MIT */
#include "cli/loss.h"
#include "cli/ls.h"

#include "cli/json_text.h"
#include "cli/msg.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void ls_print_json(json_t *j)
{
    char *text = j ? json_dumps(j, JSON_COMPACT | JSON_SORT_KEYS | JSON_REAL_PRECISION(17)) : NULL;

    if (text)
        puts(text);
    else
        cli_error("out of memory: JSON");
    free(text);
    json_decref(j);
}

static void add_term(json_t *list, json_t *term)
{
    json_t *have;
    size_t i;

    if (!json_is_string(term))
        return;
    json_array_foreach (list, i, have)
        if (json_equal(have, term))
            return;
    json_array_append(list, term);
}

void ls_terms(json_t *list, const json_t *manifest, const char *name)
{
    json_t *term, *joined;
    size_t i;

    add_term(list, json_object_get(manifest, name));
    json_array_foreach (json_object_get(json_object_get(manifest, "various"), name), i, term)
        add_term(list, term);
    json_array_foreach (json_object_get(manifest, "joined"), i, joined)
        add_term(list, json_object_get(joined, name));
}

char *ls_terms_text(const json_t *list)
{
    size_t n = 0, i;
    json_t *term;
    char *text;

    json_array_foreach ((json_t *)list, i, term)
        n += json_string_length(term) + 2;
    text = n ? malloc(n + 1) : NULL;
    if (!text)
        return NULL;
    *text = 0;
    json_array_foreach ((json_t *)list, i, term) {
        strcat(text, i ? ", " : "");
        strcat(text, json_string_value(term));
    }
    vl_clean(text); /* it is a field of a line */
    return text;
}

static uint64_t bytes_of(const vls_record *rec)
{
    uint64_t bytes = 0;

    for (size_t i = 0; i < rec->n_members; i++)
        bytes += rec->members[i].n;
    return bytes;
}

static void record_json(const char *path, const vls_record *rec, const vls_segment *seg)
{
    json_t *members = json_object();

    for (size_t i = 0; i < rec->n_members; i++)
        json_object_set_new(members, rec->members[i].ext, json_integer((json_int_t)rec->members[i].n));
    ls_print_json(json_pack("{s:o, s:I, s:s, s:s, s:I, s:o}", "file", cli_json_text(path), "segment",
                            (json_int_t)seg->ordinal, "kind", seg->kind, "key", rec->key, "bytes",
                            (json_int_t)bytes_of(rec), "members", members));
}

void ls_record(const ls_opts *o, const char *path, const vls_record *rec, const vls_segment *seg)
{
    if (o->json) {
        record_json(path, rec, seg);
        return;
    }
    printf("%s\t%" PRIu64 "\t", rec->key, bytes_of(rec));
    for (size_t i = 0; i < rec->n_members; i++)
        printf("%s%s=%zu", i ? " " : "", rec->members[i].ext, rec->members[i].n);
    putchar('\n');
}

static void print_manifests(const ls_opts *o, const char *path, const vls_reader *r)
{
    const vls_segment *s;

    for (uint64_t i = 0; (s = vls_reader_segment(r, i)) != NULL; i++) {
        if (!o->json) {
            ls_print_json(json_deep_copy(s->manifest));
            continue;
        }
        const json_t *tail = vls_reader_tail(r, i);
        ls_print_json(json_pack("{s:o, s:I, s:o, s:o}", "file", cli_json_text(path), "segment", (json_int_t)i,
                                "manifest", json_deep_copy(s->manifest), "tail",
                                tail ? json_deep_copy(tail) : json_null()));
    }
}

int ls_list(const ls_opts *o, const char *path)
{
    vls_read_opts ro = {.skip_bad = o->skip_bad, .heads_only = o->manifest && !o->json};
    vls_reader *r = NULL;
    vls_record rec;
    const vls_segment *seg;
    vl_err e;
    int rc = vls_reader_open(path, &ro, &r, &e);

    if (rc)
        return cli_fail(&e);
    while ((rc = vls_next(r, &rec, &seg, &e)) == 1) {
        if (o->manifest)
            continue;
        ls_record(o, path, &rec, seg);
        if (ferror(stdout))
            break;
    }
    if (o->manifest)
        print_manifests(o, path, r);
    if (rc < 0) {
        fflush(stdout); /* on a terminal the message follows what it is about */
        rc = cli_fail(&e);
    } else {
        rc = cli_loss_say(r);
    }
    vls_reader_close(r);
    return rc;
}
