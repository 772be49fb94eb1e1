/* SPDX-License-Identifier: MIT
 * optim.h -- how an array moves along its gradient: Adam, or gradient descent with momentum.
 *
 *   adam  m = b1 m + (1 - b1) g,  v = b2 v + (1 - b2) g^2,  x -= step m' / (sqrt(v') + eps), corrected for the start
 *   sgd   m = momentum m + g,     x -= step m
 *
 * Elementwise, in blocks on the pool: the same bits at any number of threads.
 * Source: Kingma & Ba 2015; sgd as PyTorch has it, which the published methods use. */
#ifndef VLD_OPTIM_H
#define VLD_OPTIM_H

#include "distill/checkpoint.h"
#include "formats/err.h"
#include "pipeline/pool.h"
#include "pipeline/real.h"

typedef enum vld_optim_kind { VLD_ADAM, VLD_SGD } vld_optim_kind;

typedef struct vld_optim {
    vld_optim_kind kind;
    double momentum; /* sgd, 0 to below 1 */
    size_t n;
    int steps; /* taken */
    vl_real *m, *v;
} vld_optim;

/* vld_optim_new -- for n reals. Free with vld_optim_free (zeroed is harmless). Errors: VL_ENOMEM. */
VL_MUST_USE int vld_optim_new(vld_optim_kind kind, double momentum, size_t n, vld_optim *o, vl_err *e);
void vld_optim_free(vld_optim *o);

/* vld_optim_state -- its moments and count into a checkpoint, under the name of the array that it moves. */
void vld_optim_state(vld_optim *o, const char *group, vld_state *s);

/* vld_optim_step -- moves x [n] against scale * g [n]. */
void vld_optim_step(vld_optim *o, vl_pool *pool, double step, double scale, const vl_real *g, vl_real *x);

/* vld_clip_scale -- what makes g [n] no longer than clip: at most 1; 1 where clip is 0. */
double vld_clip_scale(double clip, const vl_real *g, size_t n);

/* vld_optim_one -- a step of one number, in double; state: [2], zeroed by the caller; steps: taken, this one counted. Gives what
 * to subtract. */
double vld_optim_one(vld_optim_kind kind, double momentum, int steps, double step, double g, double state[2]);

#endif
