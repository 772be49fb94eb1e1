/* SPDX-License-Identifier: MIT
 * peek.h -- what a shard says of its segments, before its records are read: manifests and tails.
 *
 * A tail ends a segment, but a tool that cuts one segment into several shards, or brings several into one,
 * needs the parents and the content ids when it begins. They are claims until a reader has gone through the
 * records: read the shard afterwards, to its end, before what was made of it counts. */
#ifndef VLS_PEEK_H
#define VLS_PEEK_H

#include "formats/err.h"
#include <jansson.h>

typedef struct vls_brief {
    json_t *manifest, *tail;
} vls_brief;

typedef struct vls_briefs { /* {0} is empty */
    vls_brief *seg;         /* [n], in file order */
    size_t n;
} vls_briefs;

/* vls_peek -- the segments of a file. Where its seek tables chain, reads tables, HEADs and TAILs alone;
 * else the whole file.
 *   name    in messages; NULL: the path
 * Errors: VL_EIO, VL_EFORMAT, VL_ENOMEM, with the name in front; *out is empty then. */
VL_MUST_USE int vls_peek(const char *path, const char *name, vls_briefs *out, vl_err *e);

void vls_briefs_free(vls_briefs *b); /* {0} is harmless */

#endif
