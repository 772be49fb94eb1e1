/* SPDX-License-Identifier: MIT
 * ls_diff.c -- two shards, held against each other by kind and key. The first is read whole; of each record
 * stay its members' names, lengths and XXH64. Then the second streams past. */
#include "cli/ls.h"

#include "cli/json_text.h"
#include "cli/msg.h"
#include "pipeline/carry.h"
#include "pipeline/keytab.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

typedef struct side {
    const char *path;
    vls_reader *r;
    vls_parent id;
} side;

typedef struct differ {
    const ls_opts *o;
    side a, b;
    vl_keytab keys; /* of a, "kind TAB key" */
    json_t *record; /* [of a]: {ext: [bytes, xxh64 hex]}; null once met in b */
    uint64_t differences;
    bool disorder;
    size_t next; /* number that the next record has when the orders agree */
} differ;

static void say(differ *d, const char *what, const char *where, const char *a, const char *b)
{
    d->differences++;
    if (d->o->json)
        ls_print_json(
            json_pack("{s:s, s:o, s:s?, s:s?}", "what", what, "where", cli_json_text(where), "a", a, "b", b));
    else
        printf("%s\t%s\t%s\t%s\n", what, where, a ? a : "-", b ? b : "-");
}

/* ---- manifests and tails -------------------------------------------------------------------------- */

static char *compact(const json_t *j)
{
    return j ? json_dumps(j, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY | JSON_REAL_PRECISION(17))
             : NULL;
}

static void compare_name(differ *d, uint64_t segment, const char *name, const json_t *a, const json_t *b)
{
    char where[160], *ta, *tb;

    if (a == b || json_equal(a, b))
        return;
    snprintf(where, sizeof where, "segment %" PRIu64 ": %s", segment, name);
    ta = compact(a);
    tb = compact(b);
    say(d, "manifest", where, ta, tb);
    free(ta);
    free(tb);
}

/* All but what says of itself where it stands. */
static void compare_segment(differ *d, uint64_t i)
{
    const vls_segment *sa = vls_reader_segment(d->a.r, i), *sb = vls_reader_segment(d->b.r, i);
    json_t *a = vl_carry_manifest(sa->manifest, NULL), *b = vl_carry_manifest(sb->manifest, NULL), *v;
    const char *name;

    json_object_foreach (a, name, v)
        compare_name(d, i, name, v, json_object_get(b, name));
    json_object_foreach (b, name, v)
        if (!json_object_get(a, name))
            compare_name(d, i, name, NULL, v);
    compare_name(d, i, "parents", json_object_get(vls_reader_tail(d->a.r, i), "parents"),
                 json_object_get(vls_reader_tail(d->b.r, i), "parents"));
    json_decref(a);
    json_decref(b);
}

static void compare_segments(differ *d)
{
    uint64_t na = vls_reader_counts(d->a.r)->segments, nb = vls_reader_counts(d->b.r)->segments;
    char a[24], b[24];

    snprintf(a, sizeof a, "%" PRIu64, na);
    snprintf(b, sizeof b, "%" PRIu64, nb);
    if (na != nb)
        say(d, "segments", "number", a, b);
    for (uint64_t i = 0; i < na && i < nb && !ferror(stdout); i++)
        compare_segment(d, i);
}

/* ---- records -------------------------------------------------------------------------------------- */

static json_t *digest(const vls_record *rec)
{
    json_t *j = json_object();
    char text[64];

    for (size_t i = 0; i < rec->n_members; i++) {
        const vls_member *m = &rec->members[i];
        snprintf(text, sizeof text, "%zu bytes, %016" PRIx64, m->n, (uint64_t)XXH64(m->data, m->n, 0));
        json_object_set_new(j, m->ext, json_string(text));
    }
    return j;
}

static char *name_of(const char *kind, const char *key, vl_err *e)
{
    char *name = vl_alloc(strlen(kind) + strlen(key) + 2, 1, e);

    if (name)
        sprintf(name, "%s\t%s", kind, key);
    return name;
}

static int remember(differ *d, const vls_record *rec, const char *kind, vl_err *e)
{
    char *name = name_of(kind, rec->key, e);
    size_t i = 0;
    int rc = name ? vl_keytab_add(&d->keys, name, &i, e) : VL_ENOMEM;

    free(name);
    if (rc < 0)
        return rc;
    return json_array_append_new(d->record, digest(rec)) ? vl_fail(e, VL_ENOMEM, "out of memory: records")
                                                         : 0;
}

static void compare_members(differ *d, const char *key, const json_t *a, const json_t *b)
{
    char where[1300];
    const char *ext;
    json_t *v;

    json_object_foreach ((json_t *)a, ext, v) {
        snprintf(where, sizeof where, "%s.%s", key, ext);
        if (!json_equal(v, json_object_get(b, ext)))
            say(d, "member", where, json_string_value(v), json_string_value(json_object_get(b, ext)));
    }
    json_object_foreach ((json_t *)b, ext, v) {
        snprintf(where, sizeof where, "%s.%s", key, ext);
        if (!json_object_get(a, ext))
            say(d, "member", where, NULL, json_string_value(v));
    }
}

static int hold_against(differ *d, const vls_record *rec, const char *kind, vl_err *e)
{
    char *name = name_of(kind, rec->key, e);
    json_t *b;
    size_t i;

    if (!name)
        return VL_ENOMEM;
    if (!vl_keytab_find(&d->keys, name, &i)) {
        say(d, "record", rec->key, NULL, kind);
        free(name);
        return VL_OK;
    }
    free(name);
    b = digest(rec);
    compare_members(d, rec->key, json_array_get(d->record, i), b);
    json_decref(b);
    if (json_array_set_new(d->record, i, json_null()))
        return vl_fail(e, VL_ENOMEM, "out of memory: records");
    if (i < d->next && !d->disorder) {
        d->disorder = true;
        say(d, "order", rec->key, NULL, NULL);
    }
    d->next = i > d->next ? i : d->next;
    return VL_OK;
}

static void missing(differ *d)
{
    for (size_t i = 0; i < d->keys.n && !ferror(stdout); i++)
        if (!json_is_null(json_array_get(d->record, i))) {
            char *tab = strchr(d->keys.key[i], '\t');
            *tab = 0;
            say(d, "record", tab + 1, d->keys.key[i], NULL);
            *tab = '\t';
        }
}

static int read_side(differ *d, side *s, int (*each)(differ *, const vls_record *, const char *, vl_err *),
                     vl_err *e)
{
    vls_read_opts ro = {.skip_bad = d->o->skip_bad};
    const vls_segment *seg;
    vls_record rec;
    int rc = vls_reader_open(s->path, &ro, &s->r, e), bad = VL_OK;

    if (rc)
        return rc;
    while (!bad && !ferror(stdout) && (rc = vls_next(s->r, &rec, &seg, e)) == 1)
        bad = each(d, &rec, seg->kind, e);
    return bad ? bad : rc < 0 ? rc : VL_OK;
}

int ls_diff(const ls_opts *o, const char *a, const char *b)
{
    differ d = {.o = o, .a.path = a, .b.path = b, .record = json_array()};
    vl_err e;
    int rc = read_side(&d, &d.a, remember, &e);

    if (!rc)
        rc = read_side(&d, &d.b, hold_against, &e);
    if (!rc) {
        missing(&d);
        compare_segments(&d);
    }
    vls_reader_close(d.a.r);
    vls_reader_close(d.b.r);
    vl_keytab_free(&d.keys);
    json_decref(d.record);
    if (rc)
        fflush(stdout); /* on a terminal the message follows what it is about */
    return rc ? cli_fail(&e) : d.differences > 0;
}
