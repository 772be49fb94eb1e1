/* SPDX-License-Identifier: MIT
 * checkpoint.h -- a long run's state on disk, so that it can go on as if it had not stopped: one segment of kind
 * "checkpoint" with one record "state", an .npy for each array and json with the counts. The segment's manifest is
 * that of the run's result, but for its kind, and the parents are the same: a run goes on only with what an equal
 * run left. */
#ifndef VLD_CHECKPOINT_H
#define VLD_CHECKPOINT_H

#include "formats/shard.h"
#include "pipeline/real.h"

enum { VLD_STATE_ARRAYS = 32, VLD_STATE_COUNTS = 16 };

/* What must survive: pointers to it. Names are the same in every run. */
typedef struct vld_state {
    struct {
        char name[32];
        vl_real *reals; /* one of the two */
        double *doubles;
        size_t n;
    } array[VLD_STATE_ARRAYS];
    size_t n_arrays;
    struct {
        const char *name;
        int *value; /* 0 or more */
    } count[VLD_STATE_COUNTS];
    size_t n_counts;
} vld_state;

/* Adding to it; nothing where n is 0. The name of an array is "group.name". */
void vld_state_reals(vld_state *s, const char *group, const char *name, vl_real *x, size_t n);
void vld_state_doubles(vld_state *s, const char *group, const char *name, double *x, size_t n);
void vld_state_count(vld_state *s, const char *name, int *value);

typedef struct vld_run { /* which run it is */
    const json_t *manifest;
    const vls_parent *parents;
    size_t n_parents;
    const json_t *input_loss; /* NULL: none */
} vld_run;

/* vld_checkpoint_write -- replaces path by the state, in one step: there is the old one or the new one. */
VL_MUST_USE int vld_checkpoint_write(const char *path, const vld_run *run, const vld_state *s, vl_err *e);

/* vld_checkpoint_read -- fills what s points to. On failure that is in part overwritten.
 * Errors: VL_EARG it is another run's, saying what differs; VL_EFORMAT, VL_EIO, VL_ENOMEM. */
VL_MUST_USE int vld_checkpoint_read(const char *path, const vld_run *run, const vld_state *s, vl_err *e);

/* vld_same_run -- are manifest and tail of a segment what this run writes? VL_EARG with the first difference. The
 * kind is not compared. */
VL_MUST_USE int vld_same_manifest(const json_t *manifest, const json_t *want, vl_err *e);
VL_MUST_USE int vld_same_parents(const json_t *tail, const vld_run *run, vl_err *e);

#endif
