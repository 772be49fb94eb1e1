/* SPDX-License-Identifier: MIT
 * bce.h -- binary cross-entropy of one logit z against one target s, with all the derivatives that the ops
 * bce and wbce need, and their four kernels over a matrix of weights. For op_bce.c and op_wbce.c alone.
 *
 *   eps = 0    e = softplus(z) - s z
 *   eps > 0    e = -s log(p + eps) - (1 - s) log(q + eps),   p = 1 / (1 + exp(-z)), q = 1 - p
 *
 * s may leave [0, 1]: e is linear in it, so e_ss = 0. Computed in double in both builds: 400 values a step. */
#ifndef VLT_BCE_H
#define VLT_BCE_H

#include "pipeline/op.h"

typedef struct vlt_bce_at {
    double e, z, s; /* the value, de/dz, de/ds */
    double zz, zs;  /* second derivatives */
} vlt_bce_at;

vlt_bce_at vlt_bce_of(double z, double s, double eps);

/* An op over z [B,B] and s [B,B]: l = sum_ij c_ij e(z_ij, s_ij), c constant in z and s.
 *   bwd        gz  += gl c e_z                       gs  += gl c e_s
 *   fwd_tan    lt   = sum c (e_z zt + e_s st)
 *   bwd_tan    gzt += glt c e_z + gl c (e_zz zt + e_zs st)
 *              gst += glt c e_s + gl c e_zs zt */
typedef struct vlt_bce_sum {
    const vlt_node *z, *s;
    double eps;
    double c[2]; /* of s <= 1/2, of s > 1/2 */
} vlt_bce_sum;

double vlt_bce_fwd(const vlt_bce_sum *b);
double vlt_bce_fwd_tan(const vlt_bce_sum *b);
void vlt_bce_bwd(const vlt_bce_sum *b, double gl);
void vlt_bce_bwd_tan(const vlt_bce_sum *b, double gl, double glt);

/* z and s of one shape [A,B] -> [1]: the shape rule of all losses against a given similarity. */
int vlt_loss_shape(vlt_tape *t, vlt_node *y, vl_err *e);

#endif
