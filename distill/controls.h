/* SPDX-License-Identifier: MIT
 * controls.h -- what a distilled set is held against: random subsets of its size, and the real pairs that
 * it started from. */
#ifndef VLD_CONTROLS_H
#define VLD_CONTROLS_H

#include "distill/distilled.h"
#include "pipeline/data.h"

/* vld_control_random -- rows [draws][n], ascending within a draw; draw number i depends on (seed, i, n) and
 * the number of records alone. Errors: VL_EARG (n larger than the data), VL_ENOMEM. */
VL_MUST_USE int vld_control_random(const vl_data *d, size_t n, size_t draws, uint64_t seed, uint32_t *rows,
                                   vl_err *e);

/* vld_control_initial -- the real pairs behind a distilled set: record init_key with caption init_cap as
 * its one text; rates are left at 0.
 *   rows   out  [set->set.n] their numbers in d; may be NULL
 *   out    out  free with vld_set_free
 * Errors: VL_EFORMAT (a key that d lacks, a caption number out of range), VL_EARG (d of another size),
 * VL_ENOMEM. */
VL_MUST_USE int vld_control_initial(const vl_data *d, const vld_distilled *set, uint32_t *rows, vld_set *out,
                                    vl_err *e);

/* vld_control_bytes -- what rows [n] of d take as their owner stores them (rows NULL: all); 0: not known. */
uint64_t vld_control_bytes(const vl_data *d, const uint32_t *rows, size_t n);

#endif
