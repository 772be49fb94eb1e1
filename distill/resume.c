/* SPDX-License-Identifier: MIT */
#include "distill/resume.h"
#include "distill/checkpoint.h"
#include "distill/member.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- reading ------------------------------------------------------------------------------------ */

typedef struct walk {
    const vld_resume_plan *plan;
    vl_chain chain;
    int expert, snap; /* expected next */
} walk;

static int take_record(walk *w, const vls_record *rec, const vls_segment *seg, vl_err *e)
{
    char key[VLD_KEY_MAX];
    int rc;

    vld_snapshot_key(w->expert, w->snap, key);
    if (w->expert >= w->plan->experts || strcmp(key, rec->key))
        return vl_fail(e, VL_EARG, "another run's: it holds %s where %s is expected", rec->key,
                       w->expert < w->plan->experts ? key : "nothing more");
    rc = vld_same_manifest(seg->manifest, w->plan->manifest, e);
    if (!rc)
        rc = vl_chain_add(&w->chain, rec, e);
    if (rc)
        return vl_within(e, "%s", rec->key);
    if (++w->snap > w->plan->epochs) {
        w->expert++;
        w->snap = 0;
    }
    return VL_OK;
}

/* The weights of the last snapshot, out of the chain. */
static int take_weights(const vl_chain *chain, const vlm_model *m, vl_real *theta, vl_err *e)
{
    int rc = VL_OK;

    for (int i = 0; !rc && i < m->n_params; i++) {
        const vlm_param *p = &m->param[i];
        char ext[VLD_EXT_MAX];
        vl_npy a;
        rc = vld_tensor_find(chain, NULL, p->name, p->rank, p->dim, ext, &a, e);
        if (!rc)
            rc = vld_npy_reals(&a, ext, theta + p->offset, e);
    }
    return rc;
}

static int walk_all(walk *w, vls_reader *r, vl_err *e)
{
    const vld_run run = {w->plan->manifest, w->plan->parents, w->plan->n_parents, w->plan->input_loss};
    const vls_segment *seg;
    vls_record rec;
    int rc, got;

    while ((got = vls_next(r, &rec, &seg, e)) == 1) {
        rc = take_record(w, &rec, seg, e);
        if (rc) {
            vl_within(e, "%s", vls_reader_name(r));
            return rc;
        }
    }
    if (got < 0)
        return got;
    for (uint64_t i = 0; i < vls_reader_counts(r)->segments; i++) {
        rc = vld_same_parents(vls_reader_tail(r, i), &run, e);
        if (rc) {
            vl_within(e, "%s: segment %" PRIu64, vls_reader_name(r), i);
            return rc;
        }
    }
    return VL_OK;
}

int vld_resume_read(const char *path, const vld_resume_plan *plan, vld_resume_point *out, vl_err *e)
{
    walk w = {.plan = plan};
    vl_real *before = NULL;
    vls_reader *r = NULL;
    int rc = vls_reader_open(path, NULL, &r, e);

    if (!rc)
        rc = walk_all(&w, r, e);
    if (!rc && w.snap) {
        before = vl_alloc(plan->model->n, sizeof *before, e);
        rc = before ? take_weights(&w.chain, plan->model, before, e) : VL_ENOMEM;
        if (rc && before)
            vl_within(e, "%s", path);
    }
    vls_reader_close(r);
    vl_chain_free(&w.chain);
    if (rc)
        free(before);
    else
        *out = (vld_resume_point){w.expert, w.snap, before};
    return rc;
}
