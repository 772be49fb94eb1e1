/* SPDX-License-Identifier: MIT
 * tarhead.h -- one tar header per (name, size): FORMAT.md fixes every byte, so reading is
 * rebuilding and comparing. Source: POSIX.1-2017 pax, ustar interchange format. */
#ifndef VL_TARHEAD_H
#define VL_TARHEAD_H

#include "formats/err.h"
#include <stdint.h>

enum {
    VL_TAR_BLOCK = 512,
    VL_TAR_USTAR_NAME = 100,           /* bytes of a name that need no PAX header */
    VL_TAR_NAME_MAX = 1000,            /* longest name, bytes */
    VL_TAR_HEAD_MAX = 4 * VL_TAR_BLOCK /* PAX header, its body (<= 2 blocks), the member's header */
};
#define VL_TAR_SIZE_MAX ((uint64_t)1 << 30) /* longest member, bytes */

static inline uint64_t vl_tar_padding(uint64_t size)
{
    return (VL_TAR_BLOCK - size % VL_TAR_BLOCK) % VL_TAR_BLOCK;
}

/* vl_tar_padding_check -- the bytes behind a member of `size` bytes that ends at p are zero. Errors: VL_EFORMAT. */
VL_MUST_USE int vl_tar_padding_check(const uint8_t *p, uint64_t size, vl_err *e);

/* vl_tar_build -- the header block(s) before a member's bytes; *n is 512, 1536 or 2048.
 * Errors: VL_EARG name empty, longer than VL_TAR_NAME_MAX, or size over VL_TAR_SIZE_MAX. */
VL_MUST_USE int vl_tar_build(const char *name, uint64_t size, uint8_t out[VL_TAR_HEAD_MAX], size_t *n,
                             vl_err *e);

/* vl_tar_parse -- the same blocks back. p[n] begins at a member's start.
 *   *used  bytes of header; 0 = more bytes than n are needed to tell, nothing else is set
 * Errors: VL_EFORMAT for every header that vl_tar_build would not have built. */
VL_MUST_USE int vl_tar_parse(const uint8_t *p, size_t n, char name[VL_TAR_NAME_MAX + 1], uint64_t *size,
                             size_t *used, vl_err *e);

#endif
