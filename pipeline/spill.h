/* SPDX-License-Identifier: MIT
 * spill.h -- records laid aside in a temporary file, to be read back in another order.
 * Memory: one buffer and one record; the file needs the records' decoded bytes in $TMPDIR or /tmp. */
#ifndef VL_SPILL_H
#define VL_SPILL_H

#include "formats/shard.h"

typedef struct vl_spill vl_spill;

VL_MUST_USE int vl_spill_new(vl_spill **out, vl_err *e);
void vl_spill_free(vl_spill *s); /* NULL is harmless */

/* vl_spill_put -- appends a record; *at is where it lies. Errors: VL_EIO, VL_ENOMEM. */
VL_MUST_USE int vl_spill_put(vl_spill *s, const vls_record *rec, uint64_t *at, vl_err *e);

/* vl_spill_get -- the record at `at`, as it was put; borrowed until the next get. */
VL_MUST_USE int vl_spill_get(vl_spill *s, uint64_t at, vls_record *rec, vl_err *e);

/* vl_spill_add -- appends bytes; *at is where they lie. vl_spill_read -- n bytes at `at`. */
VL_MUST_USE int vl_spill_add(vl_spill *s, const void *p, size_t n, uint64_t *at, vl_err *e);
VL_MUST_USE int vl_spill_read(vl_spill *s, uint64_t at, void *p, size_t n, vl_err *e);

#endif
