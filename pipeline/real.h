/* SPDX-License-Identifier: MIT
 * real.h -- the engine's number. Every source here and in distill/ is compiled twice: vl_real is float in the
 * tools and double (VL_REAL_DOUBLE) in the tests that hold gradients against differences. */
#ifndef VL_REAL_H
#define VL_REAL_H

#ifdef VL_REAL_DOUBLE
typedef double vl_real;
#define VL_R(x) x
#else
typedef float vl_real;
#define VL_R(x) x##f
#endif

#endif
