/* SPDX-License-Identifier: MIT
 * lowrank_first.h -- a head's first layer through T training steps, by the set's own rows: W_i is never formed.
 *
 * Every step's input is a mini-batch of the n rows of X, so the gradients of all steps lie in the span of those
 * rows: W_i = W_0 - a X^T C_i, with C_i [n,D] the sum of the steps' output gradients, each in its row's place.
 * Hence X W_i = X W_0 - a K C_i with K = X X^T, and the adjoint is of the same form:
 *   Lambda_{i+1} = 2 w (W_0 - W*) - X^T (2 w a C_T + A_i),   A_i the sum over j > i of the gradients' tangents.
 * X W_0 and X (W_0 - W*) are one product each for all steps, and so are the two that give the gradient of X.
 * What is kept does not grow with T. Derivation: spec/math/unroll-lowrank.md. */
#ifndef VLD_LOWRANK_FIRST_H
#define VLD_LOWRANK_FIRST_H

#include "formats/err.h"
#include "pipeline/panel.h"
#include <stdbool.h>
#include <stdint.h>

typedef struct vld_first {
    vl_pool *pool;
    size_t n, f, d, batch; /* rows of the set, W [f,d] */
    /* this iteration's; borrowed */
    const vl_real *x;          /* [n,f] */
    const vl_real *w, *target; /* [f,d]: the start, W* */
    double rate, weight;       /* a, w */
    double start_squares;      /* |start - W*|^2, after vld_first_begin */
    double squares;            /* |W_0 - W*|^2 */
    vl_panels panels, far;     /* [f,d]: W_0 and W_0 - W*, but for a warm-up's steps */
    vl_real *gram;             /* K [n,n] */
    vl_real *p, *u;            /* [n,d]: X W_0; X (W_0 - W*), from vld_first_end on X Lambda_T */
    vl_panels c, a;            /* [n,d]: C_i, A_i */
    vl_panels warm;            /* [n,d]: C of the warm-up */
    bool warmed;
    vl_real *q;    /* [n,n] */
    vl_real *part; /* scratch [batch,n] */
} vld_first;

VL_MUST_USE int vld_first_new(vl_pool *pool, size_t n, size_t f, size_t d, size_t batch, vld_first *l,
                              vl_err *e);
void vld_first_free(vld_first *l); /* zeroed is harmless */

/* vld_first_begin -- an iteration: x, w, target and rate are set. */
void vld_first_begin(vld_first *l);
/* vld_first_settle -- what was learned so far was warm-up: W_0 is here. */
void vld_first_settle(vld_first *l);

/* vld_first_rows -- out [batch,d] = (X W_i) at these rows. */
void vld_first_rows(vld_first *l, const uint32_t *rows, vl_real *out);
/* vld_first_learn -- g [batch,d]: the gradient of those outputs; i + 1 from here on. */
void vld_first_learn(vld_first *l, const uint32_t *rows, const vl_real *g);

/* vld_first_distance -- |W_T - W*|^2, after the last step. */
double vld_first_distance(vld_first *l);
/* vld_first_end -- weight is set: Lambda_T is here. Once after vld_first_distance. */
void vld_first_end(vld_first *l);
/* vld_first_adjoint -- before each walk down. */
void vld_first_adjoint(vld_first *l);
/* vld_first_tangent -- out [batch,d] = (X Lambda_{i+1}) at these rows. */
void vld_first_tangent(vld_first *l, const uint32_t *rows, bool exact, vl_real *out);
/* vld_first_unlearn -- g, gt [batch,d]: step i's output gradient and its tangent along v; i - 1 from here on. */
void vld_first_unlearn(vld_first *l, const uint32_t *rows, const vl_real *g, const vl_real *gt);
/* vld_first_gradient -- after step 0: gx [n,f] = dJ/dX, overwritten. */
void vld_first_gradient(vld_first *l, bool exact, vl_real *gx);

size_t vld_first_bytes(const vld_first *l);

#endif
