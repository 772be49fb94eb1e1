/* SPDX-License-Identifier: MIT
 * ls_recipe.c -- what made a shard, and what made that: a walk over the graph of parents, parents first.
 *
 * Shards are known by what their manifests and tails say (peek.h); only where an id is none of a segment is the
 * content id of a shard of several segments found, by reading it. A node is a content id: of one segment, or of
 * a whole shard. Its making is a manifest and its parents; a shard that was put together has several. */
#include "cli/ls_command.h"

#include "cli/json_text.h"
#include "cli/msg.h"
#include "formats/peek.h"
#include "pipeline/carry.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { DEPTH_MAX = 1000 };

typedef struct source {
    char *path;
    vls_briefs b;
    vls_parent id; /* of the whole; "" until it is needed */
} source;

typedef struct recipe {
    const ls_opts *o;
    source *source; /* [n] */
    size_t n, room;
    json_t *done; /* {content id: [manifests that came by, null: not found]} */
    bool gaps;    /* a parent was not found */
} recipe;

/* ---- where to look -------------------------------------------------------------------------------- */

/* must: it was named by the user; what merely lies in a folder may be no shard. */
static int add_shard(recipe *r, const char *path, bool must, vl_err *e)
{
    source s = {0};
    int rc;

    for (size_t i = 0; i < r->n; i++)
        if (!strcmp(r->source[i].path, path))
            return VL_OK;
    rc = vls_peek(path, NULL, false, &s.b, e);
    if (rc == VL_EFORMAT && !must) {
        cli_debug("passed over: %s", e->text);
        return VL_OK;
    }
    if (rc)
        return rc;
    s.path = vl_strdup(path, e);
    if (s.path && r->n == r->room) {
        size_t room = r->room ? 2 * r->room : 16;
        source *more = vl_realloc(r->source, room, sizeof *more, e);
        if (more) {
            r->source = more;
            r->room = room;
        }
    }
    if (!s.path || r->n == r->room) {
        vls_briefs_free(&s.b);
        free(s.path);
        return VL_ENOMEM;
    }
    r->source[r->n++] = s;
    return VL_OK;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static bool shard_name(const char *name)
{
    size_t n = strlen(name);

    return (n > 4 && !strcmp(name + n - 4, ".tar")) || (n > 8 && !strcmp(name + n - 8, ".tar.zst"));
}

static int add_folder(recipe *r, const char *folder, vl_err *e)
{
    struct dirent **entry = NULL;
    int n = scandir(folder, &entry, NULL, by_name), rc = VL_OK;

    if (n < 0)
        return vl_fail_errno(e, "%s", folder);
    for (int i = 0; i < n; i++) {
        char path[4096];
        struct stat st;
        if (!rc && shard_name(entry[i]->d_name) &&
            snprintf(path, sizeof path, "%s/%s", folder, entry[i]->d_name) < (int)sizeof path &&
            !stat(path, &st) && S_ISREG(st.st_mode))
            rc = add_shard(r, strncmp(path, "./", 2) ? path : path + 2, false, e);
        free(entry[i]);
    }
    free(entry);
    return rc;
}

static int add_place(recipe *r, const char *path, vl_err *e)
{
    struct stat st;

    return !stat(path, &st) && S_ISDIR(st.st_mode) ? add_folder(r, path, e) : add_shard(r, path, true, e);
}

static int add_own_folder(recipe *r, const char *path, vl_err *e)
{
    const char *slash = strrchr(path, '/');
    char *folder;
    int rc;

    if (!slash)
        return add_folder(r, ".", e);
    folder = vl_strdup(path, e);
    if (!folder)
        return VL_ENOMEM;
    folder[slash > path ? slash - path : 1] = 0;
    rc = add_folder(r, folder, e);
    free(folder);
    return rc;
}

/* The content id of a whole shard. */
static int name_whole(source *s, vl_err *e)
{
    const vls_segment *seg;
    vls_reader *reader = NULL;
    vls_record rec;
    int rc;

    if (s->id.id[0])
        return VL_OK;
    rc = vls_reader_open(s->path, NULL, &reader, e);
    if (rc)
        return rc;
    do
        rc = vls_next(reader, &rec, &seg, e);
    while (rc == 1);
    if (!rc)
        vls_reader_id(reader, &s->id);
    vls_reader_close(reader);
    return rc;
}

static const char *tail_id(const vls_brief *b)
{
    const char *id = json_string_value(json_object_get(b->tail, "content_id"));

    return id ? id : "";
}

/* Do the manifests say the same, wherever the segments stand? */
static bool says_same(const json_t *a, const json_t *b)
{
    json_t *x = vl_carry_manifest(a, NULL), *y = vl_carry_manifest(b, NULL);
    bool same = json_equal(x, y);

    json_decref(x);
    json_decref(y);
    return same;
}

/* Finds the shard with this id. *segment: the one that has it, or SIZE_MAX: all of them together.
 *   child  is not taken for its own parent: a slice that is all there is has the id of what it is of */
static int find(recipe *r, const char *id, const vls_brief *child, source **s, size_t *segment, vl_err *e)
{
    int rc = VL_OK;

    *s = NULL;
    for (size_t i = 0; i < r->n; i++)
        for (*segment = 0; *segment < r->source[i].b.n; ++*segment)
            if (!strcmp(id, tail_id(&r->source[i].b.seg[*segment])) &&
                !says_same(child->manifest, r->source[i].b.seg[*segment].manifest)) {
                *s = &r->source[i];
                return VL_OK;
            }
    *segment = SIZE_MAX;
    for (size_t i = 0; !rc && i < r->n; i++) {
        if (r->source[i].b.n < 2)
            continue;
        rc = name_whole(&r->source[i], e);
        if (!rc && !strcmp(id, r->source[i].id.id)) {
            *s = &r->source[i];
            return VL_OK;
        }
    }
    return rc;
}

/* ---- the walk ------------------------------------------------------------------------------------- */

static int visit(recipe *r, const char *id, const char *kind, const vls_brief *child, int depth, vl_err *e);

static void print_not_found(recipe *r, const char *id, const char *kind)
{
    r->gaps = true;
    if (r->o->json)
        ls_print_json(json_pack("{s:s, s:s, s:b}", "content_id", id, "kind", kind, "found", 0));
    else
        printf("# %s %s: not found\n\n", kind, id);
}

static void print_making(recipe *r, const char *id, const char *path, const vls_brief *b)
{
    const json_t *parents = json_object_get(b->tail, "parents");
    const char *kind = json_string_value(json_object_get(b->manifest, "kind"));
    json_t *licence = json_array(), *source_ = json_array(), *command;

    ls_terms(licence, b->manifest, "licence");
    ls_terms(source_, b->manifest, "source");
    command = ls_command(b->manifest, parents);
    if (r->o->json) {
        ls_print_json(json_pack("{s:s, s:s, s:b, s:o, s:O, s:O, s:O, s:O?, s:O}", "content_id", id, "kind",
                                kind, "found", 1, "file", cli_json_text(path), "licence", licence, "source",
                                source_, "parents", parents, "tool", json_object_get(b->manifest, "tool"),
                                "command", command));
    } else {
        char *l = ls_terms_text(licence), *s = ls_terms_text(source_), *c = ls_command_text(command);
        printf("# %s %s: %s%s%s%s%s\n%s\n\n", kind, id, path, l ? "; licence " : "", l ? l : "",
               s ? "; source " : "", s ? s : "", c ? c : "");
        free(l);
        free(s);
        free(c);
    }
    json_decref(licence);
    json_decref(source_);
    json_decref(command);
}

/* Is segment k made as the one before it? (A trajectory has hundreds of segments.) */
static bool made_alike(const vls_briefs *b, size_t k)
{
    return k && says_same(b->seg[k].manifest, b->seg[k - 1].manifest) &&
           json_equal(json_object_get(b->seg[k].tail, "parents"),
                      json_object_get(b->seg[k - 1].tail, "parents"));
}

/* 1: this id came by before, with a manifest that says the same (NULL: not found); 0: it is noted now. */
static int seen(recipe *r, const char *id, const json_t *manifest, vl_err *e)
{
    json_t *list = json_object_get(r->done, id), *m;
    size_t i;

    json_array_foreach (list, i, m)
        if (manifest ? says_same(m, manifest) : json_is_null(m))
            return 1;
    if (!list) {
        list = json_array();
        if (json_object_set_new(r->done, id, list))
            return vl_fail(e, VL_ENOMEM, "out of memory: parents");
    }
    m = manifest ? json_deep_copy(manifest) : json_null();
    return json_array_append_new(list, m) ? vl_fail(e, VL_ENOMEM, "out of memory: parents") : 0;
}

static int make(recipe *r, const char *id, const source *s, size_t k, int depth, vl_err *e)
{
    const vls_brief *b = &s->b.seg[k];
    json_t *p;
    size_t i;
    int rc = seen(r, tail_id(b), b->manifest, e);

    if (rc)
        return rc < 0 ? rc : VL_OK;
    json_array_foreach (json_object_get(b->tail, "parents"), i, p)
        if (!rc)
            rc = visit(r, json_string_value(json_object_get(p, "content_id")),
                       json_string_value(json_object_get(p, "kind")), b, depth + 1, e);
    if (!rc)
        print_making(r, id, s->path, b);
    return rc;
}

/* Every making of a shard. One whose segments were all made alike goes by its own id. */
static int make_all(recipe *r, const char *id, const source *s, int depth, vl_err *e)
{
    bool alike = true;
    int rc = VL_OK;

    for (size_t k = 1; k < s->b.n; k++)
        alike = alike && made_alike(&s->b, k);
    for (size_t k = 0; !rc && k < s->b.n; k++)
        if (!made_alike(&s->b, k))
            rc = make(r, alike ? id : tail_id(&s->b.seg[k]), s, k, depth, e);
    return rc;
}

static int visit(recipe *r, const char *id, const char *kind, const vls_brief *child, int depth, vl_err *e)
{
    source *s;
    size_t segment;
    int rc;

    if (depth > DEPTH_MAX)
        return vl_fail(e, VL_EFORMAT, "more than %d generations of parents", DEPTH_MAX);
    rc = find(r, id, child, &s, &segment, e);
    if (rc)
        return rc;
    if (s)
        return segment == SIZE_MAX ? make_all(r, id, s, depth, e) : make(r, id, s, segment, depth, e);
    rc = seen(r, id, NULL, e);
    if (!rc)
        print_not_found(r, id, kind);
    return rc < 0 ? rc : VL_OK;
}

int ls_recipe(const ls_opts *o, char *const *path, size_t n)
{
    recipe r = {.o = o, .done = json_object()};
    vl_err e;
    int rc = add_shard(&r, path[0], true, &e);

    for (size_t i = 1; !rc && i < n; i++)
        rc = add_place(&r, path[i], &e);
    if (!rc && n == 1)
        rc = add_own_folder(&r, path[0], &e);
    if (!rc)
        rc = name_whole(&r.source[0], &e);
    if (!rc)
        rc = make_all(&r, r.source[0].id.id, &r.source[0], 0, &e);
    for (size_t i = 0; i < r.n; i++) {
        vls_briefs_free(&r.source[i].b);
        vls_parent_free(&r.source[i].id);
        free(r.source[i].path);
    }
    free(r.source);
    json_decref(r.done);
    if (rc || r.gaps)
        fflush(stdout); /* on a terminal the message follows what it is about */
    if (rc)
        return cli_fail(&e);
    if (r.gaps)
        cli_warn("some parents were not found: name the shards or folders where they are");
    return 0;
}
