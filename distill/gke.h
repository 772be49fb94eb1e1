/* SPDX-License-Identifier: MIT
 * gke.h -- geodesic kernel energy: how far apart two sets of points on the unit sphere lie, by the square root of
 * their maximum mean discrepancy under a kernel of the angle between points.
 *
 *   k(a,b) = exp(-angle(a,b)^2 / 2 s^2),   angle = arccos(a.b) in 0 .. pi
 *   q      = 1/n^2 sum_ij k(s_i,s_j) + 1/m^2 sum_ij k(r_i,r_j) - 2/nm sum_ij k(s_i,r_j)
 *   gke    = sqrt(q) where q > VLD_GKE_FLOOR, else 0 without gradient
 *
 * A Gaussian of the angle is no positive definite kernel on a sphere (Feragen et al. 2015), so q can fall below 0.
 * Cost: (n^2 + nm + m^2/2) D; memory: a block of products a thread, whatever n and m.
 * Source: Jeong et al. 2026 (MDM); derivation in spec/math/mdm.md. */
#ifndef VLD_GKE_H
#define VLD_GKE_H

#include "formats/err.h"
#include "pipeline/pool.h"
#include "pipeline/real.h"

#define VLD_GKE_FLOOR 1e-10

/* vld_gke_work -- reals of scratch for this pool. */
size_t vld_gke_work(const vl_pool *pool);

/* vld_gke -- s [n,D], r [m,D]: unit rows (a zero row is at a right angle to all others); sigma: s, radians.
 *   gs    out  [n,D], overwritten: the gradient of gke by s, taking the rows as free vectors
 *   sums  scratch [vld_gke_sums(n, m)] doubles; work: scratch [vld_gke_work(pool)]
 * Returns gke. Allocates nothing. */
size_t vld_gke_sums(size_t n, size_t m);
double vld_gke(vl_pool *pool, const vl_real *s, size_t n, const vl_real *r, size_t m, size_t dim,
               double sigma, vl_real *gs, double *sums, vl_real *work);

#endif
