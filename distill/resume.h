/* SPDX-License-Identifier: MIT
 * resume.h -- how far an unfinished trajectory shard has come, and whether it is this run's. */
#ifndef VLD_RESUME_H
#define VLD_RESUME_H

#include "distill/trajectory.h"

/* What the run that goes on will write: segments of these snapshots in this order, expert by expert. */
typedef struct vld_resume_plan {
    const vlm_model *model;
    const json_t *manifest; /* as vld_snapshot_write gets it */
    const vls_parent *parents;
    size_t n_parents;
    int experts, epochs;      /* snapshots 0 to epochs of each */
    const json_t *input_loss; /* the note in each tail; NULL: none */
} vld_resume_plan;

typedef struct vld_resume_point {
    int expert, snap; /* the next snapshot to be written; expert = plan's experts: all are there */
    vl_real *before;  /* [model->n] weights of snapshot snap - 1; NULL when snap is 0. free() */
} vld_resume_point;

/* vld_resume_read -- path holds whole segments only, as vls_writer_resumed gives it. Each must be the one that
 * this run would write: key, manifest, parents and what was left out of them are compared. Gives out->before.
 * Errors: VL_EARG when it was made by another run (with other options, other data, another network): what
 * differs is named; VL_EFORMAT, VL_EIO, VL_ENOMEM. */
VL_MUST_USE int vld_resume_read(const char *path, const vld_resume_plan *plan, vld_resume_point *out,
                                vl_err *e);

#endif
