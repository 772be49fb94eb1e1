/* SPDX-License-Identifier: MIT
 * expand.h -- records with .vlt members (vlt.h) as records with .npy members, bit for bit the same numbers. */
#ifndef VL_EXPAND_H
#define VL_EXPAND_H

#include "formats/vlt_chain.h"

typedef struct vl_expand { /* {0} to start */
    vl_chain chain;
    vls_member *member; /* [room] of the record that was given last */
    char **ext;         /* [room] and what of it was made: names and arrays */
    uint8_t **bytes;
    size_t room, n;
} vl_expand;

/* vl_expand_add -- every record of a stream, wanted or not: what comes later may be a difference to it. */
VL_MUST_USE int vl_expand_add(vl_expand *x, const vls_record *rec, vl_err *e);

/* vl_expand_record -- the record that was added last, with W.npy for each W.vlt; borrowed from x and rec until
 * the next call. Errors: VL_ENOMEM; VL_EFORMAT a shape that .npy does not know. */
VL_MUST_USE int vl_expand_record(vl_expand *x, const vls_record *rec, vls_record *out, vl_err *e);

/* vl_expand_schema -- renames the entries of a manifest's schema likewise (NULL is harmless). */
VL_MUST_USE int vl_expand_schema(json_t *schema, vl_err *e);

void vl_expand_free(vl_expand *x);

#endif
