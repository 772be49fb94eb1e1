/* SPDX-License-Identifier: MIT
 * huge.h -- memory for a matrix that products walk through from end to end, on pages of 2 MB where the system has such:
 * with small ones looking up addresses takes a part of the time. */
#ifndef VL_HUGE_H
#define VL_HUGE_H

#include "formats/err.h"
#include "pipeline/real.h"

/* vl_huge_alloc -- bytes (a multiple of 64), 64-byte aligned, not cleared; freed by free(). NULL: VL_ENOMEM in e. */
vl_real *vl_huge_alloc(size_t bytes, vl_err *e);

#endif
