/* SPDX-License-Identifier: MIT
 * keytab.h -- keys to numbers: the first key that is added is 0, the next new one 1. The way in which
 * sidecars are joined. Holds the keys whole, so two keys are never taken for one. */
#ifndef VL_KEYTAB_H
#define VL_KEYTAB_H

#include "formats/err.h"
#include <stdbool.h>
#include <stdint.h>

typedef struct vl_keytab { /* {0} is empty */
    char **key;            /* [n], by number; the table's own */
    size_t n, cap;
    uint32_t *slot; /* number + 1, 0: free; open addressing */
    size_t slots;   /* a power of two, or 0 */
} vl_keytab;

/* vl_keytab_find -- whether key is there; *i its number, untouched where it is not. */
bool vl_keytab_find(const vl_keytab *t, const char *key, size_t *i);

/* vl_keytab_add -- 1 added, 0 was there already; *i its number either way. Keeps a copy.
 * Errors: VL_ENOMEM (also past 2^31 keys). */
VL_MUST_USE int vl_keytab_add(vl_keytab *t, const char *key, size_t *i, vl_err *e);

/* vl_keytab_take -- key number i becomes the caller's (free()); NULL the second time. After the first
 * take the table is good for nothing but taking and freeing. */
char *vl_keytab_take(vl_keytab *t, size_t i);

void vl_keytab_free(vl_keytab *t); /* zeroed is harmless */

#endif
