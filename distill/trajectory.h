/* SPDX-License-Identifier: MIT
 * trajectory.h -- expert runs on disk: one segment a snapshot, key expert-0003/snap-0010, one member
 * <parameter>.vlt for each parameter ("image.conv1.weight.vlt") and json {"epoch", "loss", "rates"}.
 * Snapshot 0 holds the initial weights. The segment's manifest holds the network (card.h).
 *
 * Every tenth snapshot is a keyframe; the others hold differences to the one before, which is the record
 * before in the file. Shards of vlkit 0.1 have <parameter>.npy instead; both are read. */
#ifndef VLD_TRAJECTORY_H
#define VLD_TRAJECTORY_H

#include "distill/card.h"
#include "formats/left_out.h"

/* vld_trajectory_schema -- the manifest's "schema": type, dtype and shape of each member. Gives *out. */
VL_MUST_USE int vld_trajectory_schema(const vlm_model *m, json_t **out, vl_err *e);

enum {
    VLD_MAX_EXPERTS = 4096,
    VLD_MAX_SNAPS = 4096,
    VLD_KEYFRAMES = 10 /* snapshots from one to the next */
};

/* vld_snapshot_key -- "expert-0003/snap-0010". */
enum { VLD_KEY_MAX = 40 };
void vld_snapshot_key(int expert, int snap, char key[VLD_KEY_MAX]);

/* vld_snapshot_write -- one sealed segment.
 *   manifest  of vld_manifest, kind trajectory
 *   theta     weights [m->n]
 *   before    weights of snapshot snap - 1 of this expert, if that was the record before on w; NULL: a keyframe
 *   stats     the record's json member, borrowed */
VL_MUST_USE int vld_snapshot_write(vls_writer *w, const json_t *manifest, const vlm_model *m, int expert,
                                   int snap, const vl_real *theta, const vl_real *before, const json_t *stats,
                                   const vls_parent *parents, size_t n_parents, vl_err *e);

/* vld_snapshot_put -- the same, but the segment stays open for parents and notes. */
VL_MUST_USE int vld_snapshot_put(vls_writer *w, const json_t *manifest, const vlm_model *m, int expert,
                                 int snap, const vl_real *theta, const vl_real *before, const json_t *stats,
                                 vl_err *e);

/* All experts of one or more shards, in memory. */
typedef struct vld_experts {
    vlm_model model; /* the same for all, or reading fails naming both files */
    vl_augment augment;
    json_t *manifest; /* of the first segment */
    int n;            /* experts, numbered in order of appearance over all shards */
    int *n_snaps;     /* [n] */
    vl_real **theta;  /* [n]: [n_snaps][model.n] */
} vld_experts;

/* vld_experts_read -- snapshots of an expert must come as 0, 1, 2, ...; shapes must be the network's; values
 * that are kept must be finite. max_snaps: keep only the first so many of each expert (0: all). Segments of
 * other kinds are passed over; expert-0000 of two shards are two experts.
 *   parents  out  content ids, caller's [n_paths]; may be NULL
 * Errors: VL_EFORMAT naming shard and key, VL_EIO, VL_ENOMEM, VL_EARG no paths. *out is untouched then. */
VL_MUST_USE int vld_experts_read(const char *const *paths, size_t n_paths, int max_snaps, vld_experts *out,
                                 vls_parent *parents, vl_err *e);

/* vld_experts_salvage -- the same from shards that may be damaged, read with skip_bad; left_out hears of what is
 * missing, NULL makes it vld_experts_read. Where a snapshot is lost its expert ends: what follows is a difference
 * to it, or a keyframe that does not say how the expert came there. An expert that keeps fewer than max_snaps
 * snapshots (0: none) is left out, as "expert-0003"; the others are numbered as if it had not been there.
 * Errors: also VL_EFORMAT when no expert is left, and what left_out returned. */
VL_MUST_USE int vld_experts_salvage(const char *const *paths, size_t n_paths, int max_snaps,
                                    const vls_left_out *left_out, vld_experts *out, vls_parent *parents,
                                    vl_err *e);
void vld_experts_free(vld_experts *x); /* zeroed is harmless */

#endif
