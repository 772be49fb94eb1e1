/* SPDX-License-Identifier: MIT */
#include "pipeline/pick.h"

#include <fnmatch.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int vl_pick_new(const vl_pick_opts *o, vl_pick **out, vl_err *e)
{
    vl_pick *p = vl_alloc(1, sizeof *p, e);

    if (!p)
        return VL_ENOMEM;
    p->o = *o;
    p->glob_used = vl_alloc(o->n_globs, sizeof *p->glob_used, e);
    p->key_used = vl_alloc(o->keys ? o->keys->n : 0, sizeof *p->key_used, e);
    if (!p->glob_used || !p->key_used) {
        vl_pick_free(p);
        return VL_ENOMEM;
    }
    *out = p;
    return VL_OK;
}

void vl_pick_free(vl_pick *p)
{
    if (!p)
        return;
    free(p->glob_used);
    free(p->key_used);
    free(p);
}

static int find_kind(vl_pick *p, const char *kind, vl_pick_kind **out, vl_err *e)
{
    for (size_t i = p->n_kinds; i-- > 0;) /* the last one is the likely one */
        if (!strcmp(p->kind[i].name, kind)) {
            *out = &p->kind[i];
            return VL_OK;
        }
    if (p->n_kinds == VL_PICK_KINDS)
        return vl_fail(e, VL_EFORMAT, "more than %d kinds", VL_PICK_KINDS);
    *out = &p->kind[p->n_kinds++];
    **out = (vl_pick_kind){0};
    snprintf((*out)->name, sizeof(*out)->name, "%s", kind);
    return VL_OK;
}

static bool key_wanted(vl_pick *p, const char *key)
{
    bool wanted = !p->o.n_globs && !p->o.keys;
    size_t at;

    if (p->o.keys && vl_keytab_find(p->o.keys, key, &at))
        wanted = p->key_used[at] = true;
    for (size_t i = 0; i < p->o.n_globs; i++) /* all of them: each must be known to have been of use */
        if ((!wanted || !p->glob_used[i]) && !fnmatch(p->o.glob[i], key, 0))
            wanted = p->glob_used[i] = true;
    return wanted;
}

static bool whole_set(const char *kind, const char *key)
{
    const char *slash = strrchr(key, '/');

    return !strcmp(kind, "distilled") && !strcmp(slash ? slash + 1 : key, "set");
}

/* Up to the parts: 1 and *k, whose `left` counts this record; 0 not wanted; 2 wanted and not counted. */
static int by_number(vl_pick *p, const char *kind, const char *key, vl_pick_kind **k, vl_err *e)
{
    uint64_t n;
    int rc;

    if (p->o.kind && strcmp(p->o.kind, kind))
        return 0;
    if (!key_wanted(p, key))
        return 0;
    if (whole_set(kind, key))
        return 2;
    rc = find_kind(p, kind, k, e);
    if (rc)
        return rc;
    n = (*k)->seen++;
    if (n < p->o.from || n >= p->o.to || (n - p->o.from) % p->o.every)
        return 0;
    (*k)->left++;
    return 1;
}

int vl_pick_count(vl_pick *p, const char *kind, const char *key, vl_err *e)
{
    vl_pick_kind *k = NULL;
    int rc = by_number(p, kind, key, &k, e);

    return rc < 0 ? rc : VL_OK;
}

void vl_pick_again(vl_pick *p)
{
    for (size_t i = 0; i < p->n_kinds; i++) {
        p->kind[i].total = p->kind[i].left;
        p->kind[i].seen = p->kind[i].left = p->kind[i].given = 0;
    }
}

/* Where part i of n begins among total: floor(i total / n) without overflow. */
static uint64_t part_begins(uint64_t total, uint64_t i, uint64_t n)
{
    return total / n * i + total % n * i / n;
}

int vl_pick_next(vl_pick *p, const char *kind, const char *key, bool headless, vl_err *e)
{
    vl_pick_kind *k = NULL;
    int rc = by_number(p, kind, key, &k, e);
    uint64_t n;

    if (rc == 2)
        return 1;
    if (rc <= 0)
        return rc;
    n = k->left - 1;
    if (p->o.parts && (n < part_begins(k->total, p->o.part, p->o.parts) ||
                       n >= part_begins(k->total, p->o.part + 1, p->o.parts)))
        return 0;
    if (!headless && k->given >= p->o.head)
        return 0;
    k->given++;
    return 1;
}

int vl_pick_unused(const vl_pick *p, vl_err *e)
{
    size_t n = 0, first = 0;

    for (size_t i = 0; i < p->o.n_globs; i++)
        if (!p->glob_used[i])
            return vl_fail(e, VL_EFORMAT, "no record has a key like '%s'", p->o.glob[i]);
    for (size_t i = 0; p->o.keys && i < p->o.keys->n; i++)
        if (!p->key_used[i] && !n++)
            first = i;
    if (!n)
        return VL_OK;
    return n == 1 ? vl_fail(e, VL_EFORMAT, "no record has the key '%s'", p->o.keys->key[first])
                  : vl_fail(e, VL_EFORMAT, "no record has the key '%s', nor %zu others that were asked for",
                            p->o.keys->key[first], n - 1);
}
