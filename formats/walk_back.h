/* SPDX-License-Identifier: MIT
 * walk_back.h -- the segments of a file, found from its end: what each carrier knows is where the one before begins. */
#ifndef VL_WALK_BACK_H
#define VL_WALK_BACK_H

#include "formats/bytes.h"

/* vl_span_before -- finds the span that ends at byte `end` > 0 of fd, fills *span and says where it begins: *start,
 * less than end. Errors: no span ends there, VL_EIO. */
typedef int vl_span_before(int fd, uint64_t end, void *span, uint64_t *start, vl_err *e);

/* vl_walk_back -- all spans from file_bytes down to byte 0, in file order: *n of them, span_bytes each. Gives *spans
 * (free(); NULL where *n is 0); untouched on failure. Errors: those of `before`, VL_ENOMEM. */
VL_MUST_USE int vl_walk_back(int fd, uint64_t file_bytes, vl_span_before *before, size_t span_bytes,
                             void **spans, size_t *n, vl_err *e);

#endif
