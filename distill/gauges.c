/* SPDX-License-Identifier: MIT */
#include "distill/gauges.h"

#include <math.h>
#include <stdlib.h>

static void add_row(double *sum, const vl_real *row, size_t dim)
{
    for (size_t k = 0; k < dim; k++)
        sum[k] += (double)row[k];
}

static double mean_cosine(const double *sum, size_t dim, size_t n)
{
    double square = 0;

    for (size_t k = 0; k < dim; k++)
        square += sum[k] * sum[k];
    return n > 1 ? (square - (double)n) / ((double)n * (double)(n - 1)) : NAN;
}

int vld_gauges_of(const vl_data *d, size_t dim, const vl_real *u, const vl_real *v, vld_gauges *out,
                  vl_err *e)
{
    double *image = vl_alloc(2 * dim, sizeof *image, e), *text, gap = 0;
    uint32_t next = 0;

    if (!image)
        return VL_ENOMEM;
    text = image + dim;
    for (size_t i = 0; i < d->n; i++)
        add_row(image, u + i * dim, dim);
    for (size_t c = 0; c < d->n_caps; c++)
        if (d->group[c] == next) {
            add_row(text, v + c * dim, dim);
            next++;
        }
    for (size_t k = 0; k < dim; k++) {
        double apart = image[k] / (double)d->n - text[k] / (double)next;
        gap += apart * apart;
    }
    *out = (vld_gauges){mean_cosine(image, dim, d->n), mean_cosine(text, dim, next), sqrt(gap)};
    free(image);
    return VL_OK;
}
