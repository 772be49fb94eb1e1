/* SPDX-License-Identifier: MIT */
#include "distill/bootstrap.h"
#include "pipeline/rng.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

int vld_hits_new(const vl_data *d, vld_hits *out, vl_err *e)
{
    memset(out, 0, sizeof *out);
    out->ir = vl_alloc(d->n_groups, sizeof *out->ir, e);
    out->tr = out->ir ? vl_alloc(d->n, sizeof *out->tr, e) : NULL;
    return out->tr ? VL_OK : VL_ENOMEM;
}

void vld_hits_free(vld_hits *h)
{
    free(h->tr);
    free(h->ir);
    memset(h, 0, sizeof *h);
}

static void add(uint32_t *hits, const uint32_t *rank, size_t n)
{
    for (size_t q = 0; rank && q < n; q++)
        for (int k = 0; k < VLD_N_K; k++)
            hits[q] += rank[q] <= (uint32_t)vld_recall_k[k];
}

void vld_hits_add(vld_hits *h, const vl_data *d, const uint32_t *ir, const uint32_t *tr)
{
    add(h->ir, ir, d->n_groups);
    add(h->tr, tr, d->n);
    h->students++;
}

/* An image with its captions: what is drawn. */
typedef struct unit {
    uint32_t tr, ir, captions;
} unit;

static void gather(const vld_hits *h, const vl_data *d, unit *u)
{
    uint32_t next = 0;

    for (size_t i = 0; i < d->n; i++) {
        u[i] = (unit){h->tr[i], 0, 0};
        for (size_t c = d->cap[i]; c < d->cap[i + 1]; c++)
            if (d->group[c] == next) { /* its first sight */
                u[i].ir += h->ir[next++];
                u[i].captions++;
            }
    }
}

static int ascending(const void *a, const void *b)
{
    const double *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

int vld_bootstrap(const vld_hits *h, const vl_data *d, uint64_t seed, double *low, double *high, vl_err *e)
{
    unit *u = vl_alloc(d->n, sizeof *u, e);
    double *mean = u ? vl_alloc(VLD_RESAMPLES, sizeof *mean, e) : NULL, of = (double)(VLD_N_K * h->students);

    if (!mean) {
        free(u);
        return VL_ENOMEM;
    }
    gather(h, d, u);
    for (uint64_t b = 0; b < VLD_RESAMPLES; b++) {
        uint64_t stream = vl_rng_stream("bootstrap", b, 0, 0), tr = 0, ir = 0, captions = 0;
        for (uint64_t i = 0; i < d->n; i++) {
            const unit *x = &u[vl_rng_below(seed, stream, i, d->n)];
            tr += x->tr;
            ir += x->ir;
            captions += x->captions;
        }
        mean[b] =
            50 * ((double)tr / ((double)d->n * of) + (captions ? (double)ir / ((double)captions * of) : 0));
    }
    qsort(mean, VLD_RESAMPLES, sizeof *mean, ascending);
    *low = mean[VLD_RESAMPLES / 40 - 1];
    *high = mean[VLD_RESAMPLES - VLD_RESAMPLES / 40];
    free(mean);
    free(u);
    return VL_OK;
}
