/* SPDX-License-Identifier: MIT
 * resume_find.h -- what of an unfinished shard can be gone on with. */
#ifndef VLS_RESUME_FIND_H
#define VLS_RESUME_FIND_H

#include "formats/keyset.h"

/* vls_resume_find -- reads the file and finds where its last sealed segment ends; what follows was being written
 * when the run ended.
 *   segments, bytes  out; 0 where nothing is sealed, in an empty file, too
 * Errors: VL_EFORMAT when it does not begin as a shard does, or when its tables chain to the end although a
 * segment does not verify: that is damage, not an end; VL_EIO, VL_ENOMEM. */
VL_MUST_USE int vls_resume_find(const char *path, uint64_t *segments, uint64_t *bytes, vl_err *e);

/* vls_resume_keys -- the keys of a whole shard, into keys. Errors: as vls_next. */
VL_MUST_USE int vls_resume_keys(const char *path, vls_keyset *keys, vl_err *e);

#endif
