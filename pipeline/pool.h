/* SPDX-License-Identifier: MIT
 * pool.h -- a small set of threads that run the tiles of one loop at a time.
 *
 * What a tile is never depends on the number of threads, and tiles write to places of their own (sums over
 * tiles are taken afterwards, in tile order): so results do not depend on it either.
 * A NULL pool runs every tile on the caller's thread: the way to nest (one expert a thread, say). */
#ifndef VL_POOL_H
#define VL_POOL_H

#include "formats/err.h"

typedef struct vl_pool vl_pool;

/* The loop's body: tile in [0, n_tiles), worker in [0, vl_pool_threads()). */
typedef void (*vl_tile_fn)(void *arg, size_t tile, int worker);

enum { VL_POOL_MAX = 256 };

/* vl_pool_new -- threads: 1..VL_POOL_MAX, the caller's own among them; 0: the processors online. */
VL_MUST_USE int vl_pool_new(int threads, vl_pool **out, vl_err *e);
void vl_pool_free(vl_pool *p);         /* NULL is harmless */
int vl_pool_threads(const vl_pool *p); /* 1 for NULL */

/* vl_pool_run -- returns when all tiles are done. One caller at a time. */
void vl_pool_run(vl_pool *p, size_t n_tiles, vl_tile_fn fn, void *arg);

#endif
