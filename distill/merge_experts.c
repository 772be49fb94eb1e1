/* SPDX-License-Identifier: MIT
 * merge_experts.c -- two loops over the flat vector, in blocks of numbers: the three dot products of every block,
 * summed in order to those of its tensor, then the sums. */
#include "distill/merge_experts.h"

#include <math.h>
#include <stdlib.h>

enum { BLOCK = 65536 };

typedef struct job {
    const vlm_param *p;
    const vl_real *a, *b, *anchor;
    vl_real *out;
    double (*dot)[3]; /* of each block: a'.a', b'.b', a'.b' */
    double ka, kb;    /* merged = anchor + ka a' + kb b' */
} job;

static size_t end_of(const job *j, size_t block)
{
    return (block + 1) * BLOCK < j->p->n ? (block + 1) * BLOCK : j->p->n;
}

static void dots(void *arg, size_t block, int worker)
{
    const job *j = arg;
    double aa = 0, bb = 0, ab = 0;

    (void)worker;
    for (size_t i = j->p->offset + block * BLOCK; i < j->p->offset + end_of(j, block); i++) {
        double a = (double)j->a[i] - (double)j->anchor[i], b = (double)j->b[i] - (double)j->anchor[i];
        aa += a * a;
        bb += b * b;
        ab += a * b;
    }
    j->dot[block][0] = aa;
    j->dot[block][1] = bb;
    j->dot[block][2] = ab;
}

static void mix(void *arg, size_t block, int worker)
{
    const job *j = arg;

    (void)worker;
    for (size_t i = j->p->offset + block * BLOCK; i < j->p->offset + end_of(j, block); i++) {
        double o = (double)j->anchor[i];
        j->out[i] = (vl_real)(o + j->ka * ((double)j->a[i] - o) + j->kb * ((double)j->b[i] - o));
    }
}

static double ratio_of(const job *j, size_t blocks)
{
    double sum[3] = {0}, c;

    for (size_t i = 0; i < blocks; i++)
        for (int k = 0; k < 3; k++)
            sum[k] += j->dot[i][k];
    if (sum[0] <= 0 || sum[1] <= 0)
        return 1;
    c = fmax(sum[2] / sqrt(sum[0]) / sqrt(sum[1]), 0);
    return fmin(2 * c / (1 + c), 1);
}

int vld_merge_experts(const vlm_model *m, vl_pool *pool, const vl_real *a, const vl_real *b,
                      const vl_real *anchor, double alpha, vl_real *out, double *ratio, vl_err *e)
{
    job j = {.a = a, .b = b, .anchor = anchor, .out = out};

    if (!(alpha >= 0 && alpha <= 1))
        return vl_fail(e, VL_EARG, "a share of %g: 0 to 1 wanted", alpha);
    if (!(j.dot = vl_alloc(m->n / BLOCK + 1, sizeof *j.dot, e)))
        return VL_ENOMEM;
    for (int i = 0; i < m->n_params; i++) {
        size_t blocks = (m->param[i].n + BLOCK - 1) / BLOCK;
        double t;

        j.p = &m->param[i];
        vl_pool_run(pool, blocks, dots, &j);
        t = ratio_of(&j, blocks);
        j.ka = t * (1 - alpha);
        j.kb = t * alpha;
        vl_pool_run(pool, blocks, mix, &j);
        if (ratio)
            ratio[i] = t;
    }
    free(j.dot);
    return VL_OK;
}
