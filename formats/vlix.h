/* SPDX-License-Identifier: MIT
 * vlix.h -- the record index of a segment, a skippable frame between TAIL and SEEK: where each record lies.
 *
 *   u32 0x184D2A5D | u32 payload bytes | "VLIX" | u32 version 1 | u32 n | u32 key bytes |
 *   n x { u64 offset, u32 bytes, u32 frame, u64 sum, u32 key end } | keys | u64 XXH64 of the payload before it
 *
 * It only says where to look: everything in it follows from DATA and can be built again by reading. */
#ifndef VLS_VLIX_H
#define VLS_VLIX_H

#include "formats/bytes.h"
#include <xxhash.h>

enum {
    VLS_VLIX_VERSION = 1,
    VLS_VLIX_HEAD = 16,  /* bytes of the payload before its entries */
    VLS_VLIX_ENTRY = 28, /* bytes of an entry */
    VLS_VLIX_FIXED = 24  /* payload bytes of an index without records */
};

/* Where a record lies. Offsets and bytes count decoded tar bytes of the segment's DATA. */
typedef struct vls_place {
    uint64_t offset; /* of its first header */
    uint64_t bytes;  /* headers and padding included */
    uint32_t frame;  /* of the segment, HEAD is 0: the frame in which it begins; 0 in a plain shard */
    uint64_t sum;    /* XXH64 of its lines in the sums, newlines included */
} vls_place;

/* An index while it grows; {0} is empty. vls_vlix_clear keeps the memory, vls_vlix_free does not. */
typedef struct vls_vlix {
    vl_buf entries, keys; /* as the file has them */
} vls_vlix;

VL_MUST_USE int vls_vlix_add(vls_vlix *x, const vls_place *p, const char *key, vl_err *e);
void vls_vlix_clear(vls_vlix *x);
void vls_vlix_free(vls_vlix *x);
static inline size_t vls_vlix_n(const vls_vlix *x)
{
    return x->entries.n / VLS_VLIX_ENTRY;
}

/* vls_vlix_get -- entry i < n; its key is keys[*key_at, *key_at + *key_n). */
vls_place vls_vlix_get(const vls_vlix *x, size_t i, size_t *key_at, size_t *key_n);

/* vls_vlix_build -- the whole skippable frame, appended. */
VL_MUST_USE int vls_vlix_build(const vls_vlix *x, vl_buf *out, vl_err *e);

/* vls_vlix_head -- the first VLS_VLIX_HEAD bytes of a payload of `bytes`: records, and bytes of keys.
 * Errors: VL_EFORMAT; what it gives is bounded and adds up. */
VL_MUST_USE int vls_vlix_head(const uint8_t *p, uint64_t bytes, uint32_t *n, uint32_t *key_bytes, vl_err *e);

/* vls_vlix_parse -- a whole payload into x (replaced): its sum, and entries that lie in order, one behind the
 * other from offset 0 and end at data_bytes or before. Errors: VL_EFORMAT, VL_ENOMEM. */
VL_MUST_USE int vls_vlix_parse(const uint8_t *p, size_t bytes, uint64_t data_bytes, vls_vlix *x, vl_err *e);

/* The digest by which a reader that saw every record compares an index without holding it. */
typedef struct vls_vlix_digest {
    XXH64_state_t *entries, *keys;
    uint64_t n, key_bytes;
} vls_vlix_digest;

VL_MUST_USE int vls_vlix_digest_reset(vls_vlix_digest *d, vl_err *e); /* {0} at first */
void vls_vlix_digest_free(vls_vlix_digest *d);
void vls_vlix_digest_add(vls_vlix_digest *d, const vls_place *p, const char *key);

#endif
