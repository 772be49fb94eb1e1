/* SPDX-License-Identifier: MIT */
#include "distill/convexify.h"

#include <math.h>

static double distance(const vl_real *a, const vl_real *b, size_t n)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
    return sqrt(sum);
}

/* One tensor of one expert: first is its place in snapshot 0, stride reals from one snapshot to the next. Steps are
 * measured before anything moves: a snapshot that was moved would change the next one's step. */
static void straighten(vl_real *first, size_t stride, size_t n, int last)
{
    double path[VLD_MAX_SNAPS];

    path[0] = 0;
    for (int t = 1; t <= last; t++)
        path[t] = path[t - 1] + distance(first + (size_t)t * stride, first + ((size_t)t - 1) * stride, n);
    for (int t = 1; t < last && path[last] > 0; t++) {
        const vl_real *end = first + (size_t)last * stride;
        vl_real *at = first + (size_t)t * stride, b = (vl_real)(path[t] / path[last]);
        for (size_t i = 0; i < n; i++)
            at[i] = (1 - b) * first[i] + b * end[i];
    }
}

void vld_convexify(vld_experts *x)
{
    for (int i = 0; i < x->n; i++)
        for (int k = 0; k < x->model.n_params; k++)
            straighten(x->theta[i] + x->model.param[k].offset, x->model.n, x->model.param[k].n,
                       x->n_snaps[i] - 1);
}
