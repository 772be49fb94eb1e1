/* SPDX-License-Identifier: MIT
 * plain.h -- the segments of a plain `.tar` shard, found from its end: no table says where they lie. */
#ifndef VLS_PLAIN_H
#define VLS_PLAIN_H

#include "formats/bytes.h"

/* A segment, or a terminator (1024 zero bytes from start to end). Byte positions, multiples of 512:
 * the manifest's member, DATA, the sums' member, and where the tail's member ends. */
typedef struct vls_plain_span {
    uint64_t start, data, sums, end;
    bool term;
} vls_plain_span;

/* vls_plain_walk -- all spans, in file order. Reads tails, sums and manifests, no member of DATA.
 * Gives *spans (free()). Errors: VL_EFORMAT as soon as the chain breaks, VL_EIO, VL_ENOMEM. */
VL_MUST_USE int vls_plain_walk(int fd, uint64_t file_bytes, vls_plain_span **spans, size_t *n, vl_err *e);

/* vls_plain_lines -- the line hashes (u64, as tail.h has them) of a span's sums into out (replaced), without
 * that of the tail. Errors: VL_EFORMAT, VL_EIO, VL_ENOMEM. */
VL_MUST_USE int vls_plain_lines(int fd, const vls_plain_span *s, vl_buf *out, vl_err *e);

#endif
