/* SPDX-License-Identifier: MIT
 * shard_index.h -- single records of a list of shards, by number or by key.
 *
 * Records of one kind are numbered from 0 through all shards in the order given. Opening reads of each shard
 * its seek tables and manifests and the size of its record index, not its records; a fetch reads the frames that
 * hold the record, and verifies them, the record's key and its sums. A segment without a record index
 * (and every segment of a plain shard) is read through once, at opening, which gives the same.
 *
 * Memory: the frame cache, 64 MiB of indexes at most (reloaded when they were dropped), those that were built
 * by reading (28 bytes and a key a record), and from the first vls_index_find on 16 to 43 bytes a record.
 * At most 32 files are open at a time. One thread uses an index at a time.
 * Shuffled reading: order.h over vls_index_records. */
#ifndef VLS_SHARD_INDEX_H
#define VLS_SHARD_INDEX_H

#include "formats/shard.h"

typedef struct vls_index vls_index;

typedef struct vls_index_opts {
    const char *kind; /* NULL: that of the first segment of the list */
    uint64_t
        cache_bytes; /* decoded frames kept; 0: 64 MiB. A frame that is needed is kept whatever its size */
    bool rebuild;    /* take no record index from the files: read them through */
} vls_index_opts;

/* vls_index_open -- paths: regular files (no pipe). opts may be NULL. The paths are copied.
 * Errors: VL_EIO; VL_EFORMAT (no shard, truncated, damaged, or no segment of the kind), naming the file. */
VL_MUST_USE int vls_index_open(const char *const *paths, size_t n, const vls_index_opts *opts,
                               vls_index **out, vl_err *e);

uint64_t vls_index_records(const vls_index *x);
const char *vls_index_kind(const vls_index *x);

/* vls_index_find -- the number of the record with this key: 1 found, 0 there is none, negative an error. The
 * first call reads every record index; VL_EFORMAT when a key is there twice, naming both files. */
VL_MUST_USE int vls_index_find(vls_index *x, const char *key, uint64_t *number, vl_err *e);

/* Where a record lies: its shard (borrowed until vls_index_close), the segment's ordinal there, and its number
 * in the segment. */
typedef struct vls_where {
    const char *path;
    uint64_t segment, record;
} vls_where;

/* vls_index_get -- record `number`. *rec is borrowed until the next call on x; where may be NULL. Errors: VL_EARG number out of range; VL_EFORMAT naming file, record and cause: other
 * records may still be fetched. */
VL_MUST_USE int vls_index_get(vls_index *x, uint64_t number, vls_record *rec, vls_where *where, vl_err *e);

void vls_index_close(vls_index *x); /* NULL is harmless */

#endif
