/* SPDX-License-Identifier: MIT
 * numbered.h -- names of the shards of one set: "out-%06d.tar.zst" is out-000000.tar.zst and so on. */
#ifndef VL_NUMBERED_H
#define VL_NUMBERED_H

#include "formats/err.h"
#include <stdint.h>

/* vl_numbered_check -- does the pattern hold one place for a number, "%d" or "%06d" (at most 9 digits), and
 * no other '%'? Errors: VL_EARG saying what is wrong. */
VL_MUST_USE int vl_numbered_check(const char *pattern, vl_err *e);

/* vl_numbered_name -- the name of shard number i. Gives it (free()); NULL with *e on VL_ENOMEM.
 * The pattern passed vl_numbered_check. */
char *vl_numbered_name(const char *pattern, uint64_t i, vl_err *e) VL_MUST_USE;

#endif
