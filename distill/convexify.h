/* SPDX-License-Identifier: MIT
 * convexify.h -- trajectories straightened: every snapshot moves onto the line from its expert's first weights to
 * its last, as far along as the expert's path to it is long, tensor by tensor.
 *
 *   theta_t = (1 - b_t) theta_0 + b_t theta_K,   b_t = |path to t| / |path to K|,   |path| = sum of step lengths
 *
 * Source: Guo et al. 2026 (PTM-ST). */
#ifndef VLD_CONVEXIFY_H
#define VLD_CONVEXIFY_H

#include "distill/trajectory.h"

/* vld_convexify -- in place; K is each expert's last snapshot. A tensor that never moves stays as it is. */
void vld_convexify(vld_experts *x);

#endif
