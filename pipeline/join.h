/* SPDX-License-Identifier: MIT
 * join.h -- members of a sidecar (embeddings, most often) brought to the records with the same keys.
 *
 * While the sidecar's order is that of the records, one record of it is held. From the first key that is out of
 * order on, the rest of it lies in a temporary file, found by key: memory then grows with the keys, not with
 * the records. */
#ifndef VL_JOIN_H
#define VL_JOIN_H

#include "formats/shard.h"

typedef struct vl_join vl_join;

/* vl_join_open -- one sidecar: shards that are one stream, all of one kind, which agree in schema and model.
 *   path, name  [n]; files that can be read twice. name: in messages. Both are kept
 * Errors: VL_EFORMAT naming the shards that do not agree; VL_EIO, VL_ENOMEM. */
VL_MUST_USE int vl_join_open(const char *const *path, const char *const *name, size_t n, vl_join **out,
                             vl_err *e);

/* vl_join_find -- 1 *rec is the sidecar's record with this key, borrowed until the next call; 0 there is none.
 * A key is asked for once. */
VL_MUST_USE int vl_join_find(vl_join *j, const char *key, vls_record *rec, vl_err *e);

/* vl_join_end -- reads what is left to its verified end. */
VL_MUST_USE int vl_join_end(vl_join *j, vl_err *e);

/* After vl_join_end: records that were not asked for; the key from which on the order differed, or NULL. */
uint64_t vl_join_unused(const vl_join *j);
const char *vl_join_disorder(const vl_join *j);
const char *vl_join_name(const vl_join *j); /* of its first shard */

/* vl_join_manifest -- adds to the records' manifest what the sidecar's says: its entries of "schema", and all
 * of it in the list "joined". */
VL_MUST_USE int vl_join_manifest(const vl_join *j, json_t *manifest, vl_err *e);

/* vl_join_parents -- adds the sidecar's segments to an array of parents, and their licences and sources to the
 * notes of a tail (licence.h). */
VL_MUST_USE int vl_join_parents(const vl_join *j, json_t *parents, json_t **notes, vl_err *e);

/* vl_join_related -- was the sidecar made from one of these?
 *   ids     array of {content_id, kind}: of the records' shard, its segments, and their parents */
bool vl_join_related(const vl_join *j, const json_t *ids);

void vl_join_free(vl_join *j); /* NULL is harmless */

#endif
