/* SPDX-License-Identifier: MIT
 * op.h -- what an op file sees of the tape. Each op is complete in op_<name>.c: shape and four kernels.
 *
 *   fwd      y from inputs (overwrites)
 *   bwd      adds into the inputs' gx
 *   fwd_tan  yt from inputs' x and xt (overwrites); an input without tangent has xt == NULL (zero)
 *   bwd_tan  adds into the inputs' gxt
 *
 * A kernel skips what is NULL: gx, gxt of inputs that nothing wants. Within tangent sweeps y's own xt may be
 * NULL too (no tangent reaches it); then fwd_tan is not called. */
#ifndef VLT_OP_H
#define VLT_OP_H

#include "pipeline/noise.h"
#include "pipeline/tape.h"
#include <stdint.h>

typedef struct vlt_node {
    int op; /* VLT_OP_<name>, or -1: leaf */
    vlt_id in[VLT_MAX_IN];
    unsigned flow;
    int rank;
    size_t dim[VLT_MAX_RANK];
    size_t n; /* elements */
    vl_real *x, *gx, *xt, *gxt;
    int attr[2];        /* conv2d: stride, pad; dropout: site; attention: heads, n; first: -, n */
    double scale;       /* logits; dropout: p; lowrank, lora: c; blend: alpha; layernorm: eps */
    const vlt_map *map; /* matrix */
    size_t n_saved;     /* reals kept from forward to the other sweeps */
    size_t n_work;      /* reals of scratch for each worker, contents lost between kernels */
    size_t n_common;    /* reals of scratch shared by all workers of one kernel */
    vl_real *saved;
} vlt_node;

typedef struct vlt_op {
    const char *name;
    int n_in;
    /* checks; sets rank, dim, n_saved, n_work, n_common */
    int (*shape)(vlt_tape *t, vlt_node *y, vl_err *e);
    void (*fwd)(vlt_tape *t, vlt_node *y);
    void (*bwd)(vlt_tape *t, vlt_node *y);
    void (*fwd_tan)(vlt_tape *t, vlt_node *y);
    void (*bwd_tan)(vlt_tape *t, vlt_node *y);
} vlt_op;

enum {
#define VLT_OP(name, n) VLT_OP_##name,
#include "pipeline/ops.def"
#undef VLT_OP
    VLT_N_OPS
};
#define VLT_OP(name, n) extern const vlt_op vlt_op_##name;
#include "pipeline/ops.def"
#undef VLT_OP

extern const vlt_op *const vlt_ops[VLT_N_OPS];

vlt_node *vlt_at(vlt_tape *t, vlt_id id);
static inline vlt_node *vlt_in(vlt_tape *t, const vlt_node *y, int i)
{
    return vlt_at(t, y->in[i]);
}
vl_pool *vlt_pool(vlt_tape *t);
const vl_draws *vlt_draw_of(vlt_tape *t);
vl_real *vlt_work(vlt_tape *t, int worker); /* n_work reals, 64-byte aligned */
vl_real *vlt_common(vlt_tape *t);

/* The batch is cut into at most this many parts, whatever the number of threads: partial sums over a batch
 * are kept a part and added in order. It also bounds how many threads one op can use. */
enum { VLT_PARTS = 8 };
static inline size_t vlt_part_begin(size_t n, size_t parts, size_t part)
{
    return n * part / parts;
}

/* vlt_ranges -- runs fn over [0, n) cut into runs of about `grain`; for elementwise kernels. */
typedef void (*vlt_range_fn)(void *arg, size_t begin, size_t end);
void vlt_ranges(vlt_tape *t, size_t n, size_t grain, vlt_range_fn fn, void *arg);

#endif
