/* SPDX-License-Identifier: MIT
 * digest.h -- SHA-256 of a stream of bytes, by libcrypto (which uses the processor's instructions). */
#ifndef VL_DIGEST_H
#define VL_DIGEST_H

#include "formats/err.h"

enum { VL_SHA_HEX = 64 };

typedef struct evp_md_ctx_st vl_sha;

VL_MUST_USE int vl_sha_new(vl_sha **out, vl_err *e);
VL_MUST_USE int vl_sha_reset(vl_sha *s, vl_err *e);
VL_MUST_USE int vl_sha_add(vl_sha *s, const void *p, size_t n, vl_err *e);
/* vl_sha_hex -- the digest of what was added so far, 64 lower-case digits; s can go on. */
VL_MUST_USE int vl_sha_hex(const vl_sha *s, char hex[VL_SHA_HEX + 1], vl_err *e);
void vl_sha_free(vl_sha *s); /* NULL is harmless */

#endif
