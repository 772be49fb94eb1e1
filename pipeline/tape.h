/* SPDX-License-Identifier: MIT
 * tape.h -- a recorded computation and its three sweeps.
 *
 *   build     leaves and ops are recorded once, with shapes; vlt_plan allocates everything in one block
 *   forward   computes every x
 *   backward  computes gx = d loss / dx of every node that wants it (zeroed first, then added into)
 *   tangent   forward-over-reverse along the leaves' xt: xt of every node, then gxt = d(gx)/d(eps) at
 *             leaves + eps * xt. Hessian-vector products for the parameters, mixed second derivatives for the
 *             data, all in one sweep. Needs forward and backward before it.
 *
 * Sweeps allocate nothing and can be repeated with other leaf values; leaves point to the caller's memory
 * (vlt_bind) or to the tape's own (until bound).
 * Results do not depend on the pool's threads. A tape is used by one thread at a time. */
#ifndef VLT_TAPE_H
#define VLT_TAPE_H

#include "formats/err.h"
#include "pipeline/pool.h"
#include "pipeline/real.h"
#include <stdbool.h>
#include <stdint.h>

enum { VLT_MAX_RANK = 4, VLT_MAX_IN = 5 };

/* What flows through a node. A leaf says so; an op inherits it from its inputs. */
enum {
    VLT_G = 1,  /* gx is wanted (parameters) */
    VLT_T = 2,  /* xt is given; implies VLT_G */
    VLT_GT = 4, /* gxt is wanted (parameters and synthetic data) */
    VLT_PARAM = VLT_G | VLT_T | VLT_GT,
    VLT_DATA = VLT_GT,
    VLT_CONST = 0
};

typedef struct vlt_tape vlt_tape;
typedef int vlt_id; /* a node; negative: the recording failed, vlt_plan says why */

/* vlt_tape_new -- pool: borrowed, may be NULL. tangents: allocate for the tangent sweep as well. */
VL_MUST_USE int vlt_tape_new(vl_pool *pool, bool tangents, vlt_tape **out, vl_err *e);
void vlt_tape_free(vlt_tape *t); /* NULL is harmless */

/* A matrix W [k,n] with a tangent W', known by its products alone: what each sweep asks of its owner, in this order.
 * Batches are those of the op's x; a NULL stands for one that is zero (xt) or not wanted (gx, gxt). */
typedef struct vlt_map {
    size_t k, n;
    void *owner;
    void (*forward)(void *owner, const vl_real *x, vl_real *y);              /* y   = x W */
    void (*backward)(void *owner, const vl_real *gy, vl_real *gx);           /* gx += gy W^T */
    void (*forward_tangent)(void *owner, const vl_real *xt, vl_real *yt);    /* yt  = xt W + x W' */
    void (*backward_tangent)(void *owner, const vl_real *gyt, vl_real *gxt); /* gxt += gyt W^T + gy W'^T */
} vlt_map;

/* ---- recording ---- */
vlt_id vlt_leaf(vlt_tape *t, unsigned flow, int rank, const size_t *dim);

/* x [B,H,W,Ci], w [k,k,Ci,Co], b [Co] -> [B,OH,OW,Co], OH = (H + 2 pad - k) / stride + 1. */
vlt_id vlt_conv2d(vlt_tape *t, vlt_id x, vlt_id w, vlt_id b, int stride, int pad);
/* x [B,K], w [K,N], b [N] -> [B,N] */
vlt_id vlt_linear(vlt_tape *t, vlt_id x, vlt_id w, vlt_id b);
/* x [B,K], b [N] -> [B,N]: x W + b with a W that is the map's business; map is borrowed. */
vlt_id vlt_matrix(vlt_tape *t, vlt_id x, vlt_id b, const vlt_map *map);
/* the same with a low-rank correction: x w + b + c (x p) q, p [K,r], q [r,N]; c = alpha / r. What is frozen is a
 * leaf of flow VLT_CONST and costs no gradient product. */
vlt_id vlt_lora(vlt_tape *t, vlt_id x, vlt_id w, vlt_id b, vlt_id p, vlt_id q, double c);
/* any shape: x Phi(x) */
vlt_id vlt_gelu(vlt_tape *t, vlt_id x);
/* a, b of one shape -> a + b; a residual connection */
vlt_id vlt_add(vlt_tape *t, vlt_id a, vlt_id b);
/* any shape: each element 0 with probability p (0 <= p < 1), else times 1 / (1 - p). The mask follows from
 * vlt_draw and site: ops that shall have masks of their own have sites of their own. */
vlt_id vlt_dropout(vlt_tape *t, vlt_id x, double p, int site);
/* x [B,D], g [D], b [D] -> [B,D]: g (x - mean) / sqrt(var + 1e-5) + b, mean and var of each row */
vlt_id vlt_layernorm(vlt_tape *t, vlt_id x, vlt_id g, vlt_id b);
vlt_id vlt_layernorm_eps(vlt_tape *t, vlt_id x, vlt_id g, vlt_id b,
                         double eps); /* eps in place of 1e-5, 0 to 1 */
/* Parts of a vision transformer; N rows an image.
 *   tokens     patches x [B,H,W,D], class token c [D], positions p [N,D], N = H W + 1 -> [B N,D]
 *   attention  q, k, v [B N,D] -> [B N,D], `heads` dividing D, N at most 4096
 *   first      x [B N,D] -> [B,D], the class tokens */
vlt_id vlt_tokens(vlt_tape *t, vlt_id x, vlt_id c, vlt_id p);
vlt_id vlt_attention(vlt_tape *t, vlt_id q, vlt_id k, vlt_id v, int heads, int n);
vlt_id vlt_first(vlt_tape *t, vlt_id x, int n);
/* x [B,...] -> y_i = lam x_i + (1 - lam) x_perm(i); lam ~ Beta(alpha, alpha), 0 < alpha <= 1000, and perm follow
 * from vlt_draw alone: every blend of a tape has the same. */
vlt_id vlt_blend(vlt_tape *t, vlt_id x, double alpha);
/* [B,H,W,C] -> [B,C] */
vlt_id vlt_meanpool(vlt_tape *t, vlt_id x);
/* [B,D] -> rows of unit L2 norm; a zero row stays zero */
vlt_id vlt_l2norm(vlt_tape *t, vlt_id x);
/* u [B,D], v [B,D], scale -> [B,B], z_ij = scale u_i . v_j */
vlt_id vlt_logits(vlt_tape *t, vlt_id u, vlt_id v, double scale);
/* z [B,B] -> [1], nats: mean over rows and columns of the cross-entropy of the diagonal */
vlt_id vlt_infonce(vlt_tape *t, vlt_id z);

/* l [B,r], r [B,r], w [B] -> [B,B]: scale l r^T + diag(w), a learned similarity. LoRS has scale = alpha / r. */
vlt_id vlt_lowrank(vlt_tape *t, vlt_id l, vlt_id r, vlt_id w, double scale);
/* Losses of logits z against a similarity s of the same shape -> [1], nats; derivatives for both inputs.
 *   bce   mean binary cross-entropy of sigmoid(z)          [A,B]
 *   wbce  the same, s > 1/2 and s <= 1/2 averaged apart    [A,B]; derivatives take the two sides as fixed
 *   ence  infonce with s in place of the identity          [B,B] */
vlt_id vlt_bce(vlt_tape *t, vlt_id z, vlt_id s);
vlt_id vlt_wbce(vlt_tape *t, vlt_id z, vlt_id s);
vlt_id vlt_ence(vlt_tape *t, vlt_id z, vlt_id s);

/* vlt_plan -- ends recording: reports the first recording error, allocates. Errors: VL_EARG, VL_ENOMEM. */
VL_MUST_USE int vlt_plan(vlt_tape *t, vl_err *e);

/* ---- running ---- */
/* vlt_bind -- a leaf's x, gx, xt, gxt live in the caller's memory from now on. A NULL leaves that
 * pointer as it is; one that the leaf's flow does not have is ignored. */
void vlt_bind(vlt_tape *t, vlt_id leaf, vl_real *x, vl_real *gx, vl_real *xt, vl_real *gxt);

/* vlt_draw -- what forward draws masks and blends from until the next call; (0, 0, 0) before the first.
 * The same three numbers give the same draws, so an adjoint meets what its forward step met. */
void vlt_draw(vlt_tape *t, uint64_t seed, uint64_t iter, uint64_t step);

void vlt_forward(vlt_tape *t);
void vlt_backward(vlt_tape *t, vlt_id loss); /* loss: a node of one element */
/* vlt_backward_from -- the same from n nodes at once: gx of node[i] begins as seed[i] (its elements, or NULL: 1),
 * and what flows into it from a later node comes on top. The gradient of sum_i <seed[i], node[i]>. */
void vlt_backward_from(vlt_tape *t, const vlt_id *node, const vl_real *const *seed, int n);
void vlt_tangent(vlt_tape *t, vlt_id loss);

/* ---- looking ---- NULL where the flow has none. */
vl_real *vlt_x(vlt_tape *t, vlt_id n);
vl_real *vlt_gx(vlt_tape *t, vlt_id n);
vl_real *vlt_xt(vlt_tape *t, vlt_id n);
vl_real *vlt_gxt(vlt_tape *t, vlt_id n);
size_t vlt_size(const vlt_tape *t, vlt_id n); /* elements */
size_t vlt_bytes(const vlt_tape *t);          /* of everything the tape allocated */

#endif
