/* SPDX-License-Identifier: MIT
 * manifest.h -- the JSON of a segment: canonical text, ids, the member that HEAD holds. */
#ifndef VLS_MANIFEST_H
#define VLS_MANIFEST_H

#include "formats/bytes.h"
#include <jansson.h>

enum {
    VLS_JSON_MAX = 1 << 20, /* bytes of a manifest or a tail */
    VLS_ID_HEX = 16,        /* digits of a segment's short id */
    VLS_KIND_MAX = 23
};

/* vls_json_dump -- canonical text, appended: compact, keys sorted by byte, UTF-8 unescaped, reals
 * with 17 significant digits, one newline at the end. Errors: VL_EARG over VLS_JSON_MAX. */
VL_MUST_USE int vls_json_dump(const json_t *j, vl_buf *out, vl_err *e);

/* vls_json_load -- one object of at most VLS_JSON_MAX bytes without repeated keys. Gives *out. */
VL_MUST_USE int vls_json_load(const uint8_t *p, size_t n, json_t **out, vl_err *e);

/* vls_manifest_id -- the short id: XXH64 of the manifest's canonical text, 16 hex digits. */
void vls_manifest_id(const uint8_t *text, size_t n, char id[VLS_ID_HEX + 1]);

/* vls_kind_check -- 1 to 23 of a-z and '-'. what: VL_EARG or VL_EFORMAT. */
VL_MUST_USE int vls_kind_check(const char *kind, int what, vl_err *e);

/* vls_head_build -- the content of a HEAD frame, appended: the tar member
 * __vl__/.manifest.<id>.json with the caller's manifest plus "format", "ordinal", "first_key"
 * (NULL: null). Sets id. */
VL_MUST_USE int vls_head_build(const json_t *manifest, uint64_t ordinal, const char *first_key, vl_buf *out,
                               char id[VLS_ID_HEX + 1], vl_err *e);

/* vls_head_parse -- the same back. Gives *manifest, which holds "format", a valid "kind", "ordinal"
 * and "first_key"; id belongs to its text. Errors: VL_EFORMAT. */
VL_MUST_USE int vls_head_parse(const uint8_t *raw, size_t n, json_t **manifest, char id[VLS_ID_HEX + 1],
                               vl_err *e);

/* vls_meta_member -- appends header, body and padding of a member. */
VL_MUST_USE int vls_meta_member(const char *name, const void *body, size_t n, vl_buf *out, vl_err *e);

#endif
