/* SPDX-License-Identifier: MIT
 * turn.h -- transposition of a block: 16 x 16 at a time in registers, by halves of halves; what is left over plainly. */
#ifndef VL_TURN_H
#define VL_TURN_H

#include "pipeline/real.h"
#include <stddef.h>

/* vl_turn -- out[c ldo + r] = in[r ldi + c] for r below rows, c below columns; they do not overlap.
 * vl_turn_add -- the same, added. */
void vl_turn(size_t rows, size_t columns, const vl_real *in, size_t ldi, vl_real *out, size_t ldo);
void vl_turn_add(size_t rows, size_t columns, const vl_real *in, size_t ldi, vl_real *out, size_t ldo);

#endif
