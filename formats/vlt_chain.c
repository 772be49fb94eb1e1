/* SPDX-License-Identifier: MIT
 * vlt_chain.c -- a delta is decoded over the bytes that it refers to, in place: one copy of each tensor. */
#include "formats/vlt_chain.h"
#include "formats/vlt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct vl_chain_link {
    char *ext;
    vl_npy a; /* data: raw */
    void *raw;
    size_t bytes;
    uint64_t sum;
};

static void free_links(vl_chain_link *link, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        free(link[i].ext);
        free(link[i].raw);
    }
    free(link);
}

void vl_chain_free(vl_chain *c)
{
    free_links(c->link, c->n);
    free(c->key);
    *c = (vl_chain){0};
}

static vl_chain_link *find(const vl_chain *c, const char *ext, size_t guess)
{
    if (guess < c->n && c->link[guess].ext && !strcmp(c->link[guess].ext, ext))
        return &c->link[guess];
    for (size_t i = 0; i < c->n; i++)
        if (c->link[i].ext && !strcmp(c->link[i].ext, ext))
            return &c->link[i];
    return NULL;
}

static bool alike(const vl_npy *a, const vl_npy *b)
{
    return a->dtype == b->dtype && a->rank == b->rank &&
           !memcmp(a->shape, b->shape, (size_t)a->rank * sizeof *a->shape);
}

/* One member into *to; the bytes of `old`, its namesake in the record before, become its own. */
static int decode(const vl_chain *c, vl_chain_link *old, const vls_member *m, vl_chain_link *to, vl_err *e)
{
    char name[VL_VLT_REF_MAX + 1];
    vl_vlt_ref ref = {.name = name};
    vl_vlt t;
    int rc = vl_vlt_parse(m->data, m->n, &t, e);

    if (rc)
        return rc;
    to->bytes = vl_vlt_bytes(&t);
    if (old) {
        ref = (vl_vlt_ref){name, old->raw, old->bytes, old->sum};
        if (snprintf(name, sizeof name, "%s.%s", c->key, m->ext) >= (int)sizeof name)
            name[0] = 0; /* no reference has so long a name */
        if (*t.ref && !strcmp(t.ref, name) && !alike(&old->a, &t.a))
            return vl_fail(e, VL_EFORMAT, "vlt: its reference '%s' has another type or shape", name);
        if (old->bytes == to->bytes) {
            to->raw = old->raw;
            old->raw = NULL;
        }
    }
    if (!to->raw && !(to->raw = vl_alloc(to->bytes ? to->bytes : 1, 1, e)))
        return VL_ENOMEM;
    rc = vl_vlt_decode(&t, old ? &ref : NULL, to->raw, e);
    to->sum = t.sum;
    to->a = t.a;
    to->a.data = to->raw;
    return rc;
}

int vl_chain_add(vl_chain *c, const vls_record *rec, vl_err *e)
{
    vl_chain next = {0};
    size_t n = 0;
    int rc = VL_OK;

    for (size_t i = 0; i < rec->n_members; i++)
        n += vl_vlt_is(rec->members[i].ext);
    if (!n)
        return VL_OK;
    next.link = vl_alloc(n, sizeof *next.link, e);
    next.key = next.link ? vl_strdup(rec->key, e) : NULL;
    if (!next.key)
        rc = VL_ENOMEM;
    for (size_t i = 0; !rc && i < rec->n_members; i++) {
        const vls_member *m = &rec->members[i];
        vl_chain_link *to = &next.link[next.n];
        if (!vl_vlt_is(m->ext))
            continue;
        to->ext = vl_strdup(m->ext, e);
        rc = to->ext ? decode(c, find(c, m->ext, next.n), m, to, e) : VL_ENOMEM;
        next.n++;
        if (rc)
            vl_within(e, "%s", m->ext);
    }
    vl_chain_free(c);
    if (rc)
        vl_chain_free(&next);
    else
        *c = next;
    return rc;
}

const vl_npy *vl_chain_get(const vl_chain *c, const char *ext)
{
    const vl_chain_link *l = find(c, ext, c->n);

    return l ? &l->a : NULL;
}
