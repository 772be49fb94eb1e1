/* SPDX-License-Identifier: MIT */
#include "formats/order.h"
#include "formats/bytes.h"

#include <xxhash.h>

void vls_order_set(vls_order *o, uint64_t n, uint64_t seed, uint64_t epoch)
{
    uint8_t in[16];

    o->n = n;
    for (o->half = 1; o->half < 32 && n > (uint64_t)1 << 2 * o->half;)
        o->half++;
    vl_put_le64(in, epoch);
    for (int i = 0; i < VLS_ORDER_ROUNDS; i++) {
        vl_put_le64(in + 8, (uint64_t)i);
        o->key[i] = XXH64(in, sizeof in, seed);
    }
}

static uint64_t mix(const vls_order *o, uint64_t x)
{
    uint64_t mask = ((uint64_t)1 << o->half) - 1, left = x >> o->half, right = x & mask, next;
    uint8_t in[8];

    for (int i = 0; i < VLS_ORDER_ROUNDS; i++) {
        vl_put_le64(in, right);
        next = left ^ (XXH64(in, sizeof in, o->key[i]) & mask);
        left = right;
        right = next;
    }
    return left << o->half | right;
}

/* The domain is below 4 n (or 4), so on average fewer than four steps are walked. */
uint64_t vls_order_at(const vls_order *o, uint64_t position)
{
    uint64_t x = position;

    do
        x = mix(o, x);
    while (x >= o->n);
    return x;
}
