/* SPDX-License-Identifier: MIT
 * single_loss.h -- losses of a synthetic set that need no inner training: how far its features are from those of
 * real pairs in some sense, and the gradient of that by each synthetic row. One method a file (loss_<name>.c).
 *
 *   x [n,F], y [n,K]      synthetic image features and text rows
 *   xr [m,F], yr [m,K]    a batch of real ones
 *   theta                 a teacher's weights, of the model in the setup
 *
 *   covmatch  |rho C_real - C_syn|^2 + lambda (|difference of image means|^2 + |of text means|^2); the means are those
 *             of the teacher's embeddings over the batch, or without a teacher of the features over all real pairs.
 *             Lee and Chung 2025
 *   mdm       InfoNCE of the synthetic pairs under the teacher, and gke (gke.h) between synthetic and real of
 *             norm(u + v) and of norm(u - v), u and v the teacher's embeddings. Jeong et al. 2026
 *   krr       kernel ridge regression on the synthetic pairs, image to text and text to image: the share of the real
 *             rows' variance that it leaves unexplained. Nguyen et al. 2021 (KIP), without classes
 *
 * Derivations: spec/math/covmatch.md, mdm.md, krr.md. Results do not depend on the pool's threads. */
#ifndef VLD_SINGLE_LOSS_H
#define VLD_SINGLE_LOSS_H

#include "distill/real_stats.h"
#include "pipeline/model.h"

enum { VLD_MAX_PARTS = 3 };

typedef enum vld_kernel { VLD_KERNEL_LINEAR, VLD_KERNEL_GAUSS } vld_kernel;

typedef struct vld_single_params {
    double rho, lambda;   /* covmatch: > 0, >= 0 */
    double gke, sigma;    /* mdm: weight of each gke, >= 0; radians, > 0 */
    vld_kernel kernel;    /* krr, of rows about the real mean: a.b, or exp(-|a-b|^2 / 2 width^2 var) */
    double width;         /* krr, > 0: in units of the root of the real rows' variance */
    double ridge;         /* krr, > 0: in units of the mean diagonal of the kernel matrix */
    double text_to_image; /* krr, 0 to 1: weight of that direction; the other has the rest */
} vld_single_params;
extern const vld_single_params vld_single_defaults;

/* What a loss is made for; all of it is borrowed. */
typedef struct vld_single_setup {
    size_t n, batch;             /* n >= 2 synthetic pairs, batch >= 1 real ones */
    size_t image_n, text_dim;    /* F, K */
    const vlm_model *model;      /* the teacher's; NULL: none. Its inputs are F and K wide */
    const vld_real_stats *stats; /* of all real pairs; NULL: none. Read while the loss is made, and later */
    vl_pool *pool;
    vld_single_params p;
} vld_single_setup;

typedef struct vld_single_in {
    const vl_real *x, *y, *xr, *yr; /* xr, yr: NULL where the method takes no batch */
    const vl_real *theta;           /* NULL without a teacher */
} vld_single_in;

typedef struct vld_single_out {
    double loss, part[VLD_MAX_PARTS]; /* loss: of the parts, weights applied; the parts: without */
    vl_real *gx, *gy;                 /* [n,F], [n,K], the caller's, overwritten */
} vld_single_out;

enum {
    VLD_NEEDS_STATS = 1,
    VLD_NEEDS_BATCH = 2,
    VLD_NEEDS_TEACHER = 4,
    VLD_TAKES_TEACHER = 8, /* it can do without */
    VLD_NEEDS_CROSS = 16   /* statistics with the cross-covariance */
};

typedef struct vld_single_method {
    const char *name;
    unsigned needs;
    const char *part[VLD_MAX_PARTS]; /* names of the parts; NULL: no more */
    /* The state of one loss; bytes: of all that it holds. */
    int (*start)(const vld_single_setup *s, void **state, vl_err *e);
    int (*run)(void *state, const vld_single_in *in, vld_single_out *out, vl_err *e);
    size_t (*bytes)(const void *state);
    void (*stop)(void *state); /* NULL is harmless */
} vld_single_method;
extern const vld_single_method vld_single_covmatch, vld_single_mdm, vld_single_krr;
extern const vld_single_method *const vld_single_methods[]; /* ends with NULL */

const vld_single_method *vld_single_find(const char *name); /* NULL: no such method */

typedef struct vld_single_loss vld_single_loss;

/* vld_single_loss_new -- Errors: VL_EARG naming what is missing, out of range or of another width; VL_ENOMEM. */
VL_MUST_USE int vld_single_loss_new(const vld_single_method *m, const vld_single_setup *s,
                                    vld_single_loss **out, vl_err *e);
void vld_single_loss_free(vld_single_loss *l); /* NULL is harmless */
size_t vld_single_loss_bytes(const vld_single_loss *l);

/* vld_single_loss_run -- Errors: VL_EMATH where the loss or the gradient is not finite, the gradient's length is
 * over 1e15, or a kernel matrix has no Cholesky factor; out's numbers are meaningless then. */
VL_MUST_USE int vld_single_loss_run(vld_single_loss *l, const vld_single_in *in, vld_single_out *out,
                                    vl_err *e);

#endif
