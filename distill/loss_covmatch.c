/* SPDX-License-Identifier: MIT
 * loss_covmatch.c -- cross-covariance matching (single_loss.h).
 *
 *   xc, yc    the synthetic rows about their own means          C_syn = xc^T yc / (n-1)          [F,K]
 *   D       = C_syn - rho C_real                                L_cov = |D|_F^2
 *   gx        2/(n-1) yc D^T          gy    2/(n-1) xc D
 *             (centring asks for nothing more: the columns of xc and yc sum to 0, and so do these)
 *   L_image = |mean - mean_real|^2    gx += 2 lambda/n (mean - mean_real) in each row; texts alike
 *   With a teacher the means are those of the unit embeddings, and the gradient goes back through it.
 *
 * Parts: covariance, image mean, text mean. Cost: 3 n F K. Memory: rho C_real and D, the synthetic rows twice.
 * Source: Lee and Chung 2025; 1/(n-1) makes C_syn what the linearised contrastive loss of n pairs sees (Nakada et
 * al. 2023). */
#include "distill/projection.h"
#include "distill/single_part.h"
#include "pipeline/gemm_tiles.h"

#include <stdlib.h>

enum { ROWS = 128 }; /* of D in a tile */

typedef struct covmatch {
    vld_single_setup s;
    vld_projection teacher; /* zeroed without one */
    vl_real *block;         /* of: */
    vl_real *target, *d;    /* [F,K] */
    vl_real *xc, *yc;       /* [n,F], [n,K] */
    vl_real *gu, *gv;       /* [n,D], with a teacher */
    size_t n_block;
    double *mean; /* two of F, K or D */
    double *sum;  /* [tiles] of squares of D */
} covmatch;

static size_t widest(const vld_single_setup *s)
{
    size_t w = s->image_n > s->text_dim ? s->image_n : s->text_dim;

    return s->model && s->model->embed_dim > w ? s->model->embed_dim : w;
}

static size_t tiles(const covmatch *c)
{
    return (c->s.image_n + ROWS - 1) / ROWS;
}

static void stop(void *state)
{
    covmatch *c = state;

    if (!c)
        return;
    vld_projection_free(&c->teacher);
    free(c->sum);
    free(c->mean);
    free(c->block);
    free(c);
}

static int start(const vld_single_setup *s, void **state, vl_err *e)
{
    size_t f = s->image_n, k = s->text_dim, d = s->model ? s->model->embed_dim : 0;
    covmatch *c = vl_alloc(1, sizeof *c, e);
    vl_real *at;
    int rc = VL_ENOMEM;

    if (!c)
        return rc;
    c->s = *s;
    c->n_block = 2 * f * k + s->n * (f + k + 2 * d);
    if (!(at = c->block = vl_alloc(c->n_block, sizeof *c->block, e)) ||
        !(c->mean = vl_alloc(2 * widest(s), sizeof *c->mean, e)) ||
        !(c->sum = vl_alloc(tiles(c), sizeof *c->sum, e)))
        goto out;
    c->target = vld_cut(&at, f * k);
    c->d = vld_cut(&at, f * k);
    c->xc = vld_cut(&at, s->n * f);
    c->yc = vld_cut(&at, s->n * k);
    c->gu = vld_cut(&at, s->n * d);
    c->gv = vld_cut(&at, s->n * d);
    for (size_t i = 0; i < f * k; i++)
        c->target[i] = (vl_real)(s->p.rho * s->stats->sum_xy[i] / (double)(s->stats->n - 1));
    rc = s->model ? vld_projection_new(s->model, s->pool, s->n, s->batch, &c->teacher, e) : VL_OK;
out:
    if (rc)
        stop(c);
    else
        *state = c;
    return rc;
}

static size_t bytes(const void *state)
{
    const covmatch *c = state;

    return sizeof *c + c->n_block * sizeof *c->block + 2 * widest(&c->s) * sizeof *c->mean +
           tiles(c) * sizeof *c->sum + (c->s.model ? vld_projection_bytes(&c->teacher) : 0);
}

/* D less the target, and its squares. */
static void less_target(void *arg, size_t tile, int worker)
{
    const covmatch *c = arg;
    size_t end = (tile + 1) * ROWS < c->s.image_n ? (tile + 1) * ROWS : c->s.image_n;
    double sum = 0;

    (void)worker;
    for (size_t i = tile * ROWS * c->s.text_dim; i < end * c->s.text_dim; i++) {
        c->d[i] -= c->target[i];
        sum += (double)c->d[i] * (double)c->d[i];
    }
    c->sum[tile] = sum;
}

static double covariance(covmatch *c, const vld_single_in *in, vld_single_out *out)
{
    size_t n = c->s.n, f = c->s.image_n, k = c->s.text_dim;
    vl_real share = (vl_real)(1 / (double)(n - 1));
    vl_pool *pool = c->s.pool;
    double sum = 0;

    vld_row_mean(in->x, n, f, c->mean);
    vld_row_less(in->x, n, f, c->mean, c->xc);
    vld_row_mean(in->y, n, k, c->mean);
    vld_row_less(in->y, n, k, c->mean, c->yc);
    vl_gemm_tiles(pool, 1, 0, f, k, n, share, c->xc, f, c->yc, k, 0, c->d, k);
    vl_pool_run(pool, tiles(c), less_target, c);
    vl_gemm_tiles(pool, 0, 1, n, f, k, 2 * share, c->yc, k, c->d, k, 0, out->gx, f);
    vl_gemm_tiles(pool, 0, 0, n, k, f, 2 * share, c->xc, f, c->d, k, 0, out->gy, k);
    for (size_t t = 0; t < tiles(c); t++)
        sum += c->sum[t];
    return sum;
}

/* |mean of v - other|^2; g [n,dim] (+)= weight times its gradient. */
static double mean_part(covmatch *c, const vl_real *v, size_t dim, const double *other, double weight,
                        bool add, vl_real *g)
{
    double sum = 0;

    vld_row_mean(v, c->s.n, dim, c->mean);
    for (size_t i = 0; i < dim; i++) {
        double d = c->mean[i] - other[i];
        vl_real step = (vl_real)(2 * weight / (double)c->s.n * d);
        sum += d * d;
        for (size_t r = 0; r < c->s.n; r++)
            g[r * dim + i] = (add ? g[r * dim + i] : 0) + step;
    }
    return sum;
}

static void embedding_means(covmatch *c, const vld_single_in *in, vld_single_out *out)
{
    size_t d = c->s.model->embed_dim;
    double lambda = c->s.p.lambda, *real = c->mean + widest(&c->s);
    vld_embedded at;

    vld_projection_run(&c->teacher, in->theta, in->x, in->y, in->xr, in->yr, &at);
    vld_row_mean(at.ur, c->s.batch, d, real);
    out->part[1] = mean_part(c, at.u, d, real, lambda, false, c->gu);
    vld_row_mean(at.vr, c->s.batch, d, real);
    out->part[2] = mean_part(c, at.v, d, real, lambda, false, c->gv);
    vld_projection_back(&c->teacher, c->gu, c->gv, false, true, out->gx, out->gy);
}

static int run(void *state, const vld_single_in *in, vld_single_out *out, vl_err *e)
{
    covmatch *c = state;
    const vld_real_stats *real = c->s.stats;
    double lambda = c->s.p.lambda;

    (void)e;
    out->part[0] = covariance(c, in, out);
    if (c->s.model)
        embedding_means(c, in, out);
    else {
        out->part[1] = mean_part(c, in->x, c->s.image_n, real->mean_x, lambda, true, out->gx);
        out->part[2] = mean_part(c, in->y, c->s.text_dim, real->mean_y, lambda, true, out->gy);
    }
    out->loss = out->part[0] + lambda * (out->part[1] + out->part[2]);
    return VL_OK;
}

const vld_single_method vld_single_covmatch = {.name = "covmatch",
                                               .needs = VLD_NEEDS_STATS | VLD_NEEDS_CROSS | VLD_TAKES_TEACHER,
                                               .part = {"covariance", "image mean", "text mean"},
                                               .start = start,
                                               .run = run,
                                               .bytes = bytes,
                                               .stop = stop};
