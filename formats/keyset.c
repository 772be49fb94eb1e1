/* SPDX-License-Identifier: MIT */
#include "formats/keyset.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

/* The slot that holds h, or the empty one where it belongs. Linear probing; {0,0} marks empty. */
static uint64_t *find(const vls_keyset *s, const uint64_t h[2])
{
    size_t i = (size_t)h[0] & (s->cap - 1);

    while ((s->slot[i][0] | s->slot[i][1]) && memcmp(s->slot[i], h, 16))
        i = (i + 1) & (s->cap - 1);
    return s->slot[i];
}

static int grow(vls_keyset *s, vl_err *e)
{
    vls_keyset big = {NULL, s->n, s->cap ? s->cap * 2 : 1024};
    size_t i;

    big.slot = vl_alloc(big.cap, sizeof *big.slot, e);
    if (!big.slot)
        return VL_ENOMEM;
    for (i = 0; i < s->cap; i++)
        if (s->slot[i][0] | s->slot[i][1])
            memcpy(find(&big, s->slot[i]), s->slot[i], 16);
    free(s->slot);
    *s = big;
    return VL_OK;
}

int vls_keyset_add(vls_keyset *s, const char *kind, const char *key, vl_err *e)
{
    XXH128_hash_t x = XXH3_128bits_withSeed(key, strlen(key), XXH3_64bits(kind, strlen(kind)));
    uint64_t h[2] = {x.low64, x.high64}, *at;
    int rc;

    if (!(h[0] | h[1]))
        h[0] = 1;
    if (s->n >= s->cap / 4 * 3) {
        if (s->n >= VLS_KEYS_MAX)
            return vl_fail(e, VL_EFORMAT, "more than %zu records in a shard", VLS_KEYS_MAX);
        rc = grow(s, e);
        if (rc)
            return rc;
    }
    at = find(s, h);
    if (at[0] | at[1])
        return 0;
    memcpy(at, h, 16);
    s->n++;
    return 1;
}

void vls_keyset_free(vls_keyset *s)
{
    free(s->slot);
    *s = (vls_keyset){0};
}
