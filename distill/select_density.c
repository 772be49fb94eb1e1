/* SPDX-License-Identifier: MIT
 * select_density.c -- density-based pruning by the complexity of clusters (Abbas et al., ICLR 2024, built on
 * the prototype pruning of Sorscher et al. 2022): concepts whose records lie close together, and close to
 * other concepts, give fewer records than loose and lonely ones.
 *
 * k-means gives K clusters of M_j records; distances are 1 - cosine, to means of unit norm m_j.
 *   d_intra_j = mean distance of the records of j to m_j
 *   d_inter_j = mean distance of m_j to the 20 other means nearest to it (all others where there are fewer)
 *   P_j       = exp(d_intra_j d_inter_j / tau) / sum over all clusters,  tau = 0.1
 * The quotas N_j are the whole numbers nearest to P_j N under the bounds,
 *   minimise sum (N_j - P_j N)^2  with  1 <= N_j <= M_j,  sum N_j = N
 * (a quadratic program: N_j = P_j N + nu, cut to its bounds, with the one nu that makes the sum right, found
 * by bisection; then whole parts, and one more for the largest fractions, which is the optimum in whole
 * numbers because each term is convex). Each cluster keeps its N_j records farthest from its mean.
 *
 * With one cluster d_inter is taken as 1. The paper removes duplicates first; that is not done here. */
#include "distill/kmeans.h"
#include "distill/select.h"
#include "pipeline/blas.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { NEIGHBOURS = 20, BLOCK = 64, BISECTIONS = 200 };
#define TAU 0.1

typedef struct member {
    double far;
    uint32_t cluster, number;
} member;

typedef struct pruning {
    vld_kmeans c;
    vl_real *unit;  /* [k,dim] means of unit norm; a zero mean stays zero */
    vl_real *block; /* [BLOCK,k] products of means */
    member *m;      /* [n] */
    double *intra, *inter, *share, *fraction;
    uint32_t *quota; /* [k] */
} pruning;

static void unit_means(pruning *p)
{
    for (size_t k = 0; k < p->c.k; k++) {
        const double *m = p->c.mean + k * p->c.dim;
        double square = 0;
        for (size_t j = 0; j < p->c.dim; j++)
            square += m[j] * m[j];
        for (size_t j = 0; j < p->c.dim && square > 0; j++)
            p->unit[k * p->c.dim + j] = (vl_real)(m[j] / sqrt(square));
    }
}

/* Rows are of unit norm, or zero: those are at distance 1 from everything. */
static void distances(pruning *p, const vl_real *x)
{
    for (size_t i = 0; i < p->c.n; i++) {
        size_t k = p->c.cluster[i], dim = p->c.dim;
        double dot = 0;
        for (size_t j = 0; j < dim; j++)
            dot += (double)x[i * dim + j] * (double)p->unit[k * dim + j];
        p->m[i] = (member){1 - dot, (uint32_t)k, (uint32_t)i};
        p->intra[k] += (1 - dot) / p->c.count[k];
    }
}

/* The mean of the smallest distances in a row of products, but for that of the mean to itself. */
static double nearest_means(const vl_real *row, size_t n, size_t self)
{
    double least[NEIGHBOURS], sum = 0;
    size_t have = 0;

    for (size_t j = 0; j < n; j++) {
        double d = 1 - (double)row[j];
        size_t at = have;
        if (j == self || (have == NEIGHBOURS && d >= least[have - 1]))
            continue;
        if (have == NEIGHBOURS)
            at--;
        else
            have++;
        for (; at && least[at - 1] > d; at--)
            least[at] = least[at - 1];
        least[at] = d;
    }
    for (size_t i = 0; i < have; i++)
        sum += least[i];
    return have ? sum / (double)have : 1;
}

static void between_means(pruning *p)
{
    size_t k = p->c.k, dim = p->c.dim;

    for (size_t i = 0; i < k; i += BLOCK) {
        size_t rows = k - i < BLOCK ? k - i : BLOCK;
        vl_gemm(0, 1, rows, k, dim, 1, p->unit + i * dim, dim, p->unit, dim, 0, p->block, k);
        for (size_t r = 0; r < rows; r++)
            p->inter[i + r] = nearest_means(p->block + r * k, k, i + r);
    }
}

/* ---- quotas --------------------------------------------------------------------------------------- */

/* share[j] = P_j N */
static void shares(pruning *p, size_t n_out)
{
    double top = 0, sum = 0;

    for (size_t k = 0; k < p->c.k; k++)
        top = fmax(top, p->intra[k] * p->inter[k]);
    for (size_t k = 0; k < p->c.k; k++)
        sum += p->share[k] = exp((p->intra[k] * p->inter[k] - top) / TAU);
    for (size_t k = 0; k < p->c.k; k++)
        p->share[k] *= (double)n_out / sum;
}

static double quota_at(const pruning *p, size_t k, double nu)
{
    return fmin(fmax(p->share[k] + nu, 1), p->c.count[k]);
}

static double level(const pruning *p, size_t n_out)
{
    double low = -(double)n_out, high = (double)p->c.n; /* all at 1 here, all at M_j there */

    for (int b = 0; b < BISECTIONS; b++) {
        double nu = 0.5 * (low + high), sum = 0;
        for (size_t k = 0; k < p->c.k; k++)
            sum += quota_at(p, k, nu);
        *(sum < (double)n_out ? &low : &high) = nu;
    }
    return high;
}

static void quotas(pruning *p, size_t n_out)
{
    double nu = level(p, n_out);
    size_t left = n_out;

    for (size_t k = 0; k < p->c.k; k++) {
        double q = quota_at(p, k, nu);
        p->quota[k] =
            (uint32_t)fmax(floor(q - 1e-9), 1); /* a whole number that came out a hair too high or low */
        p->fraction[k] = q - p->quota[k];
        left -= p->quota[k];
    }
    while (left) {
        size_t best = SIZE_MAX;
        for (size_t k = 0; k < p->c.k; k++)
            if (p->quota[k] < p->c.count[k] && (best == SIZE_MAX || p->fraction[k] > p->fraction[best]))
                best = k;
        p->quota[best]++;
        p->fraction[best]--;
        left--;
    }
}

/* ---- all of it ------------------------------------------------------------------------------------ */

static int farthest_first(const void *a, const void *b)
{
    const member *x = a, *y = b;

    if (x->cluster != y->cluster)
        return x->cluster < y->cluster ? -1 : 1;
    if (x->far != y->far)
        return x->far > y->far ? -1 : 1;
    return (x->number > y->number) - (x->number < y->number);
}

static int make_room(pruning *p, vl_err *e)
{
    size_t k = p->c.k;

    return (p->unit = vl_alloc(k, p->c.dim * sizeof *p->unit, e)) &&
                   (p->block = vl_alloc(BLOCK, k * sizeof *p->block, e)) &&
                   (p->m = vl_alloc(p->c.n, sizeof *p->m, e)) &&
                   (p->intra = vl_alloc(k, sizeof(double), e)) &&
                   (p->inter = vl_alloc(k, sizeof(double), e)) &&
                   (p->share = vl_alloc(k, sizeof(double), e)) &&
                   (p->fraction = vl_alloc(k, sizeof(double), e)) &&
                   (p->quota = vl_alloc(k, sizeof *p->quota, e))
               ? VL_OK
               : VL_ENOMEM;
}

static int mark_members(pruning *p, const vl_real *x, size_t n_out, uint32_t *out, vl_err *e)
{
    uint8_t *mark = vl_alloc(p->c.n, 1, e);
    size_t at = 0;

    if (!mark)
        return VL_ENOMEM;
    unit_means(p);
    distances(p, x);
    between_means(p);
    shares(p, n_out);
    quotas(p, n_out);
    qsort(p->m, p->c.n, sizeof *p->m, farthest_first);
    for (size_t k = 0; k < p->c.k; at += p->c.count[k++])
        for (size_t i = 0; i < p->quota[k]; i++)
            mark[p->m[at + i].number] = 1;
    vld_select_marked(mark, p->c.n, out);
    free(mark);
    return VL_OK;
}

int vld_select_density_k(const vl_real *features, size_t n_records, size_t dim, uint64_t seed, vl_pool *pool,
                         size_t clusters, size_t n_out, uint32_t *out, vl_err *e)
{
    pruning p = {0};
    int rc;

    if (n_out > n_records || !clusters || clusters > VLD_CLUSTERS_MAX)
        return vl_fail(e, VL_EARG, "%zu of %zu records cannot be selected from %zu clusters", n_out,
                       n_records, clusters);
    if (!n_out)
        return VL_OK;
    rc = vld_kmeans_run(features, n_records, dim, clusters < n_out ? clusters : n_out, seed, pool, &p.c, e);
    if (!rc)
        rc = make_room(&p, e);
    if (!rc)
        rc = mark_members(&p, features, n_out, out, e);
    free(p.quota);
    free(p.fraction);
    free(p.share);
    free(p.inter);
    free(p.intra);
    free(p.m);
    free(p.block);
    free(p.unit);
    vld_kmeans_free(&p.c);
    return rc;
}

size_t vld_density_clusters(size_t n_records, size_t n_out)
{
    size_t k = (size_t)(sqrt((double)n_records) + 0.5);

    k = k < 1 ? 1 : k > VLD_CLUSTERS_MAX ? VLD_CLUSTERS_MAX : k;
    return n_out && k > n_out ? n_out : k;
}

int vld_select_density(const vl_real *features, size_t n_records, size_t dim, uint64_t seed, vl_pool *pool,
                       size_t n_out, uint32_t *out, vl_err *e)
{
    return vld_select_density_k(features, n_records, dim, seed, pool, vld_density_clusters(n_records, n_out),
                                n_out, out, e);
}
