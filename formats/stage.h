/* SPDX-License-Identifier: MIT
 * stage.h -- work on jobs in parallel; results come out in the order in which jobs went in.
 *
 * One thread owns the stage: it puts and takes; only fn runs elsewhere. What happens to a job depends on the
 * job alone, and jobs are taken in order, so the number of threads never shows in the output. */
#ifndef VL_STAGE_H
#define VL_STAGE_H

#include "formats/err.h"
#include <stdbool.h>

typedef struct vl_stage vl_stage;

/* vl_stage_new -- threads that run fn(job, ctx).
 *   threads   1 to 1024
 *   depth     jobs inside at most, waiting, running or done; >= 1; it bounds the memory in use
 * Errors: VL_EARG, VL_ENOMEM, VL_EIO (a thread cannot be started). */
VL_MUST_USE int vl_stage_new(int threads, size_t depth, void (*fn)(void *job, void *ctx), void *ctx,
                             vl_stage **out, vl_err *e);

bool vl_stage_full(const vl_stage *s);

/* vl_stage_put -- keeps job until it is taken. The stage must not be full. */
void vl_stage_put(vl_stage *s, void *job);

/* vl_stage_put_more -- the same for one of many small jobs in a row: idle threads are woken for all of them at the next
 * vl_stage_take, for a thread that is woken for each finds one job and sleeps again. */
void vl_stage_put_more(vl_stage *s, void *job);

/* vl_stage_take -- the oldest job, once fn is done with it; NULL when none is inside. */
void *vl_stage_take(vl_stage *s);

/* vl_stage_free -- ends the threads. Jobs still inside must have been taken. NULL is harmless. */
void vl_stage_free(vl_stage *s);

#endif
