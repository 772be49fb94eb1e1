/* SPDX-License-Identifier: MIT
 * slab.h -- a matrix in training: Y = X W for batches of many rows, and W learns where it lies (pipeline/slab_layer.h).
 *
 * W [K,N] lies in slabs of VL_SLAB columns, [N / VL_SLAB][K][VL_SLAB], the last one filled up with zeros. Those are
 * narrower than the panels of pipeline/panel.h, which serve products of few rows from both sides: here a slab is the
 * sum of a product too, and its columns are what a kernel keeps in registers.
 *
 * Results do not depend on the pool's threads: a tile is a slab. They do depend on the instruction set that the
 * source was compiled for (pipeline/slab_block.h), as BLAS's depend on its core. */
#ifndef VL_SLAB_H
#define VL_SLAB_H

#include "formats/err.h"
#include "pipeline/pool.h"
#include "pipeline/real.h"

enum { VL_SLAB = 32 };

typedef struct vl_slabs {
    size_t k, n;   /* of W */
    vl_real *data; /* 64-byte aligned */
} vl_slabs;

/* vl_slabs_new -- room for a W [k,n], k, n >= 1; contents follow with vl_slabs_pack. Errors: VL_ENOMEM.
 * vl_slabs_free: zeroed is harmless. */
VL_MUST_USE int vl_slabs_new(size_t k, size_t n, vl_slabs *p, vl_err *e);
void vl_slabs_free(vl_slabs *p);
size_t vl_slabs_bytes(const vl_slabs *p);

/* vl_slabs_pack -- W = a [k,n]. vl_slabs_unpack -- a = W. */
void vl_slabs_pack(vl_pool *pool, const vl_slabs *p, const vl_real *a);
void vl_slabs_unpack(vl_pool *pool, const vl_slabs *p, vl_real *a);

/* vl_slabs_times -- y [rows,n] = x [rows,k] W, rows >= 1; overwrites y, which overlaps nothing. */
void vl_slabs_times(vl_pool *pool, const vl_slabs *p, size_t rows, const vl_real *x, vl_real *y);

#endif
