/* SPDX-License-Identifier: MIT
 * names.h -- which member names a shard may hold. Names come from strangers and become paths when
 * somebody unpacks the shard, so they are refused, never repaired. */
#ifndef VLS_NAMES_H
#define VLS_NAMES_H

#include "formats/err.h"

enum { VLS_EXT_MAX = 255 }; /* bytes; the whole name has VL_TAR_NAME_MAX */
#define VLS_META "__vl__/"  /* members about the shard; tools of other makers pass over them */

/* vls_key_check -- UTF-8 without control characters, backslash or DEL; parts between '/' not empty
 * and beginning neither with '.' nor with "__"; no '.' in the last part. what: VL_EARG or
 * VL_EFORMAT. */
VL_MUST_USE int vls_key_check(const char *key, int what, vl_err *e);

/* vls_ext_check -- a-z 0-9 . _ + - and neither first, last nor two adjacent dots; 1 to 255 bytes. */
VL_MUST_USE int vls_ext_check(const char *ext, int what, vl_err *e);

/* vls_name_split -- finds the dot that ends the key: the first one behind the last '/'. Both sides
 * are checked. Errors: VL_EFORMAT, naming the name. */
VL_MUST_USE int vls_name_split(const char *name, size_t *key_n, vl_err *e);

#endif
