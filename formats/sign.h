/* SPDX-License-Identifier: MIT
 * sign.h -- Ed25519 signatures over content ids, by libcrypto.
 *
 * Signed are the bytes "vlkit content id v1\n<content id> <kind>\n" of one segment (FORMAT.md, section 6): the records
 * and what kind they are of, however they are compressed and whatever lies beside them in the file; not the
 * manifest. Keys are PEM files, as `openssl genpkey -algorithm ed25519` and `openssl pkey -pubout` write them. */
#ifndef VL_SIGN_H
#define VL_SIGN_H

#include "formats/err.h"
#include <jansson.h>

enum { VL_SIGN_KEY_HEX = 64, VL_SIGN_HEX = 128 };

typedef struct evp_pkey_st vl_sign_key;

/* vl_sign_key_private, vl_sign_key_public -- read a key of their sort. A key behind a password is refused; nobody is
 * asked. Errors: VL_EIO, VL_EFORMAT, with the path in front. */
VL_MUST_USE int vl_sign_key_private(const char *path, vl_sign_key **out, vl_err *e);
VL_MUST_USE int vl_sign_key_public(const char *path, vl_sign_key **out, vl_err *e);

/* vl_sign_key_hex -- the public key, 64 lower-case digits. */
VL_MUST_USE int vl_sign_key_hex(const vl_sign_key *key, char hex[VL_SIGN_KEY_HEX + 1], vl_err *e);

/* vl_sign -- the object {"algorithm": "ed25519", "key": 64 digits, "value": 128 digits}. Gives *out. The same key and
 * content give the same signature. */
VL_MUST_USE int vl_sign(const vl_sign_key *key, const char *content_id, const char *kind, json_t **out,
                        vl_err *e);

/* vl_verify -- is signature (NULL: none) that of the key over this content?
 * Errors: VL_EFORMAT, in words that go on from "segment 0: ". */
VL_MUST_USE int vl_verify(const vl_sign_key *key, const char *content_id, const char *kind,
                          const json_t *signature, vl_err *e);

void vl_sign_key_free(vl_sign_key *key); /* NULL is harmless */

#endif
