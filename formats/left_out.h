/* SPDX-License-Identifier: MIT
 * left_out.h -- who hears of what a reading left out instead of failing.
 *
 * Library code prints nothing and writes no tail: it tells, and its caller says it and records it. A function that
 * takes one of these reads with skip_bad when it is given, and fails on the first fault when it is NULL, so that
 * nothing is ever lost without somebody being told. */
#ifndef VLS_LEFT_OUT_H
#define VLS_LEFT_OUT_H

#include "formats/shard.h"

/* Both return VL_OK to go on, or an error (with *e filled) that ends the reading. Called by the thread that reads,
 * in an order that no thread count changes. */
typedef struct vls_left_out {
    void *arg;
    /* A shard was read to its end, whether it lost something or not (vls_reader_losses, _loss_note, ...). r is
     * borrowed for the call. */
    int (*shard)(void *arg, const vls_reader *r, vl_err *e);
    /* What was read as key cannot be used and is left out. why: a line that names shard and key. */
    int (*record)(void *arg, const char *key, const char *why, vl_err *e);
} vls_left_out;

#endif
