/* SPDX-License-Identifier: MIT */
#include "distill/perturb.h"
#include "pipeline/rng.h"

#include <math.h>

enum { CHUNK = 1024 }; /* reals of one draw; never depends on the threads */

typedef struct job {
    const vlm_param *p;
    double sd;
    uint64_t seed, iter;
    int number; /* of the tensor */
    vl_real *x;
} job;

static double spread(const vl_real *x, size_t n)
{
    double mean = 0, var = 0;

    for (size_t i = 0; i < n; i++)
        mean += (double)x[i];
    mean /= (double)n;
    for (size_t i = 0; i < n; i++)
        var += ((double)x[i] - mean) * ((double)x[i] - mean);
    return sqrt(var / (double)n);
}

static void add_chunk(void *arg, size_t tile, int worker)
{
    const job *j = arg;
    size_t from = tile * CHUNK, n = j->p->n - from < CHUNK ? j->p->n - from : CHUNK;
    vl_real z[CHUNK];

    (void)worker;
    vl_rng_normal(j->seed, vl_rng_stream("perturb", j->iter, (uint64_t)j->number, tile), n, j->sd, z);
    for (size_t i = 0; i < n; i++)
        j->x[from + i] += z[i];
}

void vld_perturb(const vlm_model *m, vl_pool *pool, double sigma, uint64_t seed, uint64_t iter,
                 vl_real *theta)
{
    for (int i = 0; sigma > 0 && i < m->n_params; i++) {
        const vlm_param *p = &m->param[i];
        job j = {p, sigma * spread(theta + p->offset, p->n), seed, iter, i, theta + p->offset};

        vl_pool_run(pool, (p->n + CHUNK - 1) / CHUNK, add_chunk, &j);
    }
}
