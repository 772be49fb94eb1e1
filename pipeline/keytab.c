/* SPDX-License-Identifier: MIT */
#include "pipeline/keytab.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

enum { FIRST_SLOTS = 64 };
#define KEYS_MAX ((size_t)1 << 31)

/* The slot that holds key, or the free one where it would go. Half of the slots are free at least. */
static size_t slot_of(const vl_keytab *t, const char *key)
{
    size_t at = XXH3_64bits(key, strlen(key)) & (t->slots - 1);

    while (t->slot[at] && strcmp(t->key[t->slot[at] - 1], key))
        at = (at + 1) & (t->slots - 1);
    return at;
}

bool vl_keytab_find(const vl_keytab *t, const char *key, size_t *i)
{
    size_t at;

    if (!t->n || !t->slot[at = slot_of(t, key)])
        return false;
    *i = t->slot[at] - 1;
    return true;
}

static int grow(vl_keytab *t, vl_err *e)
{
    vl_keytab wide = *t;
    char **key;

    if (t->n >= KEYS_MAX)
        return vl_fail(e, VL_ENOMEM, "more than %zu keys", KEYS_MAX);
    wide.cap = t->cap ? 2 * t->cap : FIRST_SLOTS / 2;
    wide.slots = 2 * wide.cap;
    if (!(wide.slot = vl_alloc(wide.slots, sizeof *wide.slot, e)))
        return VL_ENOMEM;
    if (!(key = vl_realloc(t->key, wide.cap, sizeof *key, e))) {
        free(wide.slot);
        return VL_ENOMEM;
    }
    wide.key = key;
    for (size_t i = 0; i < t->n; i++)
        wide.slot[slot_of(&wide, key[i])] = (uint32_t)i + 1;
    free(t->slot);
    *t = wide;
    return VL_OK;
}

int vl_keytab_add(vl_keytab *t, const char *key, size_t *i, vl_err *e)
{
    char *copy;

    if (vl_keytab_find(t, key, i))
        return 0;
    if (t->n == t->cap && grow(t, e))
        return VL_ENOMEM;
    if (!(copy = vl_strdup(key, e)))
        return VL_ENOMEM;
    t->slot[slot_of(t, key)] = (uint32_t)t->n + 1;
    t->key[t->n] = copy;
    *i = t->n++;
    return 1;
}

char *vl_keytab_take(vl_keytab *t, size_t i)
{
    char *key = t->key[i];

    t->key[i] = NULL;
    return key;
}

void vl_keytab_free(vl_keytab *t)
{
    for (size_t i = 0; i < t->n; i++)
        free(t->key[i]);
    free(t->key);
    free(t->slot);
    memset(t, 0, sizeof *t);
}
