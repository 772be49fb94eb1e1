/* SPDX-License-Identifier: MIT
 * loss_mdm.c -- multimodal distribution matching (single_loss.h).
 *
 *   u, v      unit embeddings under the teacher: [n,D] synthetic, [m,D] real
 *   p       = norm(u + v)     what an image and its text agree on      (a zero row stays zero, without gradient)
 *   q       = norm(u - v)     what they differ in
 *   L       = InfoNCE(u, v) + w gke(p, p_real) + w gke(q, q_real)
 *   back      gp -> (gp - p (p.gp)) / |u + v| = h:  gu += h, gv += h;  of q alike, gv -= h
 *
 * Parts: infonce (synthetic pairs only, at the model's scale), agreement, difference. Memory: the teacher's
 * activations of n + m pairs, and eight sets of embeddings.
 * Source: Jeong et al. 2026. */
#include "distill/gke.h"
#include "distill/projection.h"
#include "distill/single_part.h"

#include <math.h>
#include <stdlib.h>

typedef struct mdm {
    vld_single_setup s;
    vld_projection teacher;
    vl_real *block;     /* of: */
    vl_real *p, *g;     /* [n,D] directions and their gradient */
    vl_real *inv;       /* [n] 1 / length before they were unit rows */
    vl_real *pr, *invr; /* [m,D], [m] */
    vl_real *gu, *gv;   /* [n,D] */
    vl_real *work;
    size_t n_block;
    double *sums;
} mdm;

static void stop(void *state)
{
    mdm *c = state;

    if (!c)
        return;
    vld_projection_free(&c->teacher);
    free(c->sums);
    free(c->block);
    free(c);
}

static int start(const vld_single_setup *s, void **state, vl_err *e)
{
    size_t n = s->n, m = s->batch, d = s->model->embed_dim, work = vld_gke_work(s->pool);
    mdm *c = vl_alloc(1, sizeof *c, e);
    vl_real *at;
    int rc = VL_ENOMEM;

    if (!c)
        return rc;
    c->s = *s;
    c->n_block = 4 * n * d + n + m * d + m + work;
    if (!(at = c->block = vl_alloc(c->n_block, sizeof *c->block, e)) ||
        !(c->sums = vl_alloc(vld_gke_sums(n, m), sizeof *c->sums, e)))
        goto out;
    c->work = vld_cut(&at, work);
    c->p = vld_cut(&at, n * d);
    c->g = vld_cut(&at, n * d);
    c->gu = vld_cut(&at, n * d);
    c->gv = vld_cut(&at, n * d);
    c->pr = vld_cut(&at, m * d);
    c->inv = vld_cut(&at, n);
    c->invr = vld_cut(&at, m);
    rc = vld_projection_new(s->model, s->pool, n, m, &c->teacher, e);
out:
    if (rc)
        stop(c);
    else
        *state = c;
    return rc;
}

static size_t bytes(const void *state)
{
    const mdm *c = state;

    return sizeof *c + c->n_block * sizeof *c->block + vld_gke_sums(c->s.n, c->s.batch) * sizeof *c->sums +
           vld_projection_bytes(&c->teacher);
}

/* p = norm(u + sign v), rows; inv = 1 / |u + sign v|, 0 where that is 0 to the last digits of its terms. */
static void directions(const vl_real *u, const vl_real *v, vl_real sign, size_t n, size_t d, vl_real *p,
                       vl_real *inv)
{
    for (size_t r = 0; r < n; r++) {
        double ss = 0;
        for (size_t i = r * d; i < (r + 1) * d; i++) {
            p[i] = u[i] + sign * v[i];
            ss += (double)p[i] * (double)p[i];
        }
        inv[r] = ss < 1e-12 ? 0 : (vl_real)(1 / sqrt(ss)); /* NaN stays */
        for (size_t i = r * d; i < (r + 1) * d; i++)
            p[i] *= inv[r];
    }
}

/* gu (+)= w h, gv (+)= sign w h with h as above; g: the gradient by p. */
static void directions_back(const mdm *c, vl_real sign, bool add)
{
    size_t d = c->s.model->embed_dim;

    for (size_t r = 0; r < c->s.n; r++) {
        const vl_real *p = c->p + r * d, *g = c->g + r * d;
        vl_real *gu = c->gu + r * d, *gv = c->gv + r * d, along, w = (vl_real)c->s.p.gke * c->inv[r];
        double sum = 0;
        for (size_t i = 0; i < d; i++)
            sum += (double)p[i] * (double)g[i];
        along = (vl_real)sum;
        for (size_t i = 0; i < d; i++) {
            vl_real h = w * (g[i] - p[i] * along);
            gu[i] = (add ? gu[i] : 0) + h;
            gv[i] = (add ? gv[i] : 0) + sign * h;
        }
    }
}

static double energy(mdm *c, const vld_embedded *at, vl_real sign, bool add)
{
    size_t n = c->s.n, m = c->s.batch, d = c->s.model->embed_dim;
    double value;

    directions(at->u, at->v, sign, n, d, c->p, c->inv);
    directions(at->ur, at->vr, sign, m, d, c->pr, c->invr);
    value = vld_gke(c->s.pool, c->p, n, c->pr, m, d, c->s.p.sigma, c->g, c->sums, c->work);
    directions_back(c, sign, add);
    return value;
}

static int run(void *state, const vld_single_in *in, vld_single_out *out, vl_err *e)
{
    mdm *c = state;
    vld_embedded at;

    (void)e;
    vld_projection_run(&c->teacher, in->theta, in->x, in->y, in->xr, in->yr, &at);
    out->part[0] = at.infonce;
    out->part[1] = energy(c, &at, 1, false);
    out->part[2] = energy(c, &at, -1, true);
    vld_projection_back(&c->teacher, c->gu, c->gv, true, false, out->gx, out->gy);
    out->loss = out->part[0] + c->s.p.gke * (out->part[1] + out->part[2]);
    return VL_OK;
}

const vld_single_method vld_single_mdm = {.name = "mdm",
                                          .needs = VLD_NEEDS_TEACHER | VLD_NEEDS_BATCH,
                                          .part = {"infonce", "agreement", "difference"},
                                          .start = start,
                                          .run = run,
                                          .bytes = bytes,
                                          .stop = stop};
