/* SPDX-License-Identifier: MIT
 * keyset.h -- have we seen this key? 16 bytes a key (XXH3-128), so memory does not follow key
 * lengths and two keys that differ are taken for one with a probability below 2^-76 at 2^26 keys. */
#ifndef VLS_KEYSET_H
#define VLS_KEYSET_H

#include "formats/err.h"
#include <stdint.h>

#define VLS_KEYS_MAX ((size_t)1 << 26) /* keys in a shard */

typedef struct vls_keyset { /* {0} is empty */
    uint64_t (*slot)[2];
    size_t n, cap; /* keys; slots, a power of two or 0 */
} vls_keyset;

/* vls_keyset_add -- 1 added, 0 was there already, negative: VL_ENOMEM, or VL_EFORMAT past the
 * bound. A key is one of its kind: pairs and their embeddings share keys and may share a shard. */
VL_MUST_USE int vls_keyset_add(vls_keyset *s, const char *kind, const char *key, vl_err *e);

void vls_keyset_free(vls_keyset *s);

#endif
