/* SPDX-License-Identifier: MIT
 * frame_queue.h -- full frames on their way into a file: compressed by several threads, hashed by one, written in
 * order by the caller. The bytes do not depend on the number of threads. */
#ifndef VLS_FRAME_QUEUE_H
#define VLS_FRAME_QUEUE_H

#include "formats/digest.h"
#include "formats/outfile.h"
#include "formats/seektab.h"

typedef struct vls_frame_queue vls_frame_queue;

/* vls_frame_queue_new -- threads: 1 to 64 that compress; one more hashes.
 *   f, sha, tab   borrowed: where bytes, digest and table entries go; sha is the queue's while frames are inside
 *   plain         frames are written as they are, without table entries */
VL_MUST_USE int vls_frame_queue_new(int threads, bool plain, vl_outfile *f, vl_sha *sha, vl_seektab *tab,
                                    vls_frame_queue **out, vl_err *e);

/* vls_frame_queue_put -- takes what is in raw and seams (u32 each, frame.h), leaves empty buffers there. May wait
 * and may write frames put before. Errors: those of any frame before; once failed, always. */
VL_MUST_USE int vls_frame_queue_put(vls_frame_queue *q, vl_buf *raw, vl_buf *seams, int level, vl_err *e);

/* vls_frame_queue_drain -- waits for all frames and writes them. */
VL_MUST_USE int vls_frame_queue_drain(vls_frame_queue *q, vl_err *e);

/* vls_frame_queue_free -- waits for the threads; what is inside is lost. NULL is harmless. */
void vls_frame_queue_free(vls_frame_queue *q);

#endif
