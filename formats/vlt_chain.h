/* SPDX-License-Identifier: MIT
 * vlt_chain.h -- the .vlt members of a stream of records, decoded in file order.
 *
 * A delta refers to the member with its own extension in the record that came before, so one record's
 * tensors are all that is kept, however long the chain. A record without .vlt members changes nothing.
 * Reading may begin at any record that holds no deltas (a keyframe). */
#ifndef VL_VLT_CHAIN_H
#define VL_VLT_CHAIN_H

#include "formats/npy.h"
#include "formats/shard.h"

typedef struct vl_chain_link vl_chain_link;

typedef struct vl_chain { /* {0} is an empty one */
    vl_chain_link *link;  /* [n], tensors of the last record that had any */
    size_t n;
    char *key; /* that record's */
} vl_chain;

/* vl_chain_add -- decodes every .vlt member of rec; what was there before is gone.
 * Memory: the raw bytes of the record's .vlt members, which are as many as the members have.
 * Errors: VL_EFORMAT naming the member (header, reference, sum), VL_ENOMEM; the chain is empty then. */
VL_MUST_USE int vl_chain_add(vl_chain *c, const vls_record *rec, vl_err *e);

/* vl_chain_get -- member ext ("w.vlt") of the record that was added last; NULL when it has none. Borrowed
 * until the next vl_chain_add; data are aligned for any number. */
const vl_npy *vl_chain_get(const vl_chain *c, const char *ext);

/* vl_chain_free -- empties it. */
void vl_chain_free(vl_chain *c);

#endif
