/* SPDX-License-Identifier: MIT
 * trajectory_help.h -- what the tests of trajectories share: snapshots of random weights that a number gives again. */
#ifndef T_TRAJECTORY_HELP_H
#define T_TRAJECTORY_HELP_H

#include "distill/trajectory.h"
#include "pipeline/rng.h"
#include "tests/shard_help.h"

static vl_augment aug = {.flip = true, .shift = 2};

static inline vlm_model model_of(const char *spec, size_t text_dim)
{
    vlm_model m;
    vl_err e;

    if (vlm_parse(spec, 16, text_dim, 6, 14.3, &m, &e))
        fail_msg("%s", e.text);
    return m;
}

static inline json_t *manifest_of(const vlm_model *m, const char *kind)
{
    json_t *j = NULL;
    vl_err e;

    assert_int_equal(vld_manifest(kind, "t_trajectory", 3, m, &aug, &j, &e), VL_OK);
    return j;
}

static inline vl_real *weights(const vlm_model *m, uint64_t expert, uint64_t snap)
{
    vl_real *theta = malloc(m->n * sizeof *theta);

    assert_non_null(theta);
    vl_rng_normal(expert, snap, m->n, 1, theta);
    return theta;
}

/* chained: the snapshot before this one was the last that w got. */
static inline void put(vls_writer *w, const vlm_model *m, int expert, int snap, bool chained)
{
    json_t *manifest = manifest_of(m, "trajectory"),
           *stats = json_pack("{s:i, s:f}", "epoch", snap, "loss", 2.5);
    vl_real *theta = weights(m, (uint64_t)expert, (uint64_t)snap);
    vl_real *before = chained ? weights(m, (uint64_t)expert, (uint64_t)snap - 1) : NULL;
    vls_parent parent = {.kind = "pairs"};
    vl_err e;

    memset(parent.id, 'b', 64);
    if (vld_snapshot_write(w, manifest, m, expert, snap, theta, before, stats, &parent, 1, &e))
        fail_msg("%s", e.text);
    free(before);
    free(theta);
    json_decref(stats);
    json_decref(manifest);
}

static inline void put_shard(const char *path, const vlm_model *m, const int (*what)[2], size_t n)
{
    vls_writer *w = writer(path);
    vl_err e;

    for (size_t i = 0; i < n; i++)
        put(w, m, what[i][0], what[i][1],
            i && what[i][0] == what[i - 1][0] && what[i][1] == what[i - 1][1] + 1);
    if (vls_writer_close(w, &e))
        fail_msg("%s", e.text);
}

static inline void check_snap(const vld_experts *x, int i, int number, int snap)
{
    vl_real *want = weights(&x->model, (uint64_t)number, (uint64_t)snap);

    assert_memory_equal(x->theta[i] + (size_t)snap * x->model.n, want, x->model.n * sizeof *want);
    free(want);
}

#endif
