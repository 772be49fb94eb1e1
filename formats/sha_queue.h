/* SPDX-License-Identifier: MIT
 * sha_queue.h -- SHA-256 in a thread of its own: SHA is the slowest part of reading a shard. Bytes are copied. */
#ifndef VL_SHA_QUEUE_H
#define VL_SHA_QUEUE_H

#include "formats/digest.h"
#include <stdint.h>

typedef struct vl_sha_queue vl_sha_queue;

VL_MUST_USE int vl_sha_queue_new(vl_sha_queue **out, vl_err *e);

/* vl_sha_queue_add -- p[n] goes into a, and into b unless that is NULL, after all that was added before. Both are
 * the queue's until it is drained. Errors: of what was added before, too. */
VL_MUST_USE int vl_sha_queue_add(vl_sha_queue *q, vl_sha *a, vl_sha *b, const uint8_t *p, size_t n,
                                 vl_err *e);

/* vl_sha_queue_drain -- returns when all is added. */
VL_MUST_USE int vl_sha_queue_drain(vl_sha_queue *q, vl_err *e);

void vl_sha_queue_free(vl_sha_queue *q); /* NULL is harmless */

#endif
