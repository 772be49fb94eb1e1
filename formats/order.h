/* SPDX-License-Identifier: MIT
 * order.h -- a shuffled order of n things that no table holds: the thing at a position is computed.
 *
 * The order is a permutation of 0..n-1 keyed by (seed, epoch): a Feistel network over the smallest domain of
 * an even number of bits that holds n, its rounds keyed by XXH64, walked on while the result is n or more.
 * So a reader resumes at (epoch, position) at once, several readers share an epoch by positions, and the order
 * depends on nothing but n, seed and epoch: not on threads, machine or version of this library.
 * Source: Luby and Rackoff 1988 (rounds); Black and Rogaway 2002 (cycle walking). No secret is kept by it. */
#ifndef VLS_ORDER_H
#define VLS_ORDER_H

#include <stdint.h>

enum { VLS_ORDER_ROUNDS = 8 }; /* four suffice for large n; for n of a few bits more are needed */

typedef struct vls_order {
    uint64_t n, key[VLS_ORDER_ROUNDS];
    int half; /* bits of each half */
} vls_order;

/* vls_order_set -- n >= 1. Round i is keyed by XXH64 of (epoch, i), two little-endian u64, with the seed. */
void vls_order_set(vls_order *o, uint64_t n, uint64_t seed, uint64_t epoch);

/* vls_order_at -- which thing comes at `position` < n. */
uint64_t vls_order_at(const vls_order *o, uint64_t position);

#endif
