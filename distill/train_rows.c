/* SPDX-License-Identifier: MIT */
#include "distill/train_rows.h"
#include "pipeline/gemm_tiles.h"

#include <stdlib.h>
#include <string.h>

int vld_rows_new(vl_pool *pool, size_t n, size_t f, size_t d, size_t batch, vld_rows *r, vl_err *e)
{
    const size_t real = sizeof(vl_real);

    *r = (vld_rows){.pool = pool, .n = n, .f = f, .d = d, .batch = batch};
    if ((r->w = vl_alloc(f, d * real, e)) && (r->gram = vl_alloc(n, n * real, e)) &&
        (r->p = vl_alloc(n, d * real, e)) && (r->a = vl_alloc(n, d * real, e)) &&
        (r->b = vl_alloc(n, d * real, e)) && (r->part = vl_alloc(batch, n * real, e)) &&
        (r->place = vl_alloc(n, sizeof *r->place, e)))
        return VL_OK;
    vld_rows_free(r);
    return VL_ENOMEM;
}

void vld_rows_free(vld_rows *r)
{
    free(r->place);
    free(r->part);
    free(r->b);
    free(r->a);
    free(r->p);
    free(r->gram);
    free(r->w);
    memset(r, 0, sizeof *r);
}

void vld_rows_begin(vld_rows *r, const vl_real *x, const vl_real *w)
{
    r->x = x;
    r->c = 1;
    r->e = 0;
    memcpy(r->w, w, r->f * r->d * sizeof *w);
    vl_gemm_tiles(r->pool, 0, 1, r->n, r->n, r->f, 1, x, r->f, x, r->f, 0, r->gram, r->n);
    vl_gemm_tiles(r->pool, 0, 0, r->n, r->d, r->f, 1, x, r->f, w, r->d, 0, r->p, r->d);
    memset(r->a, 0, r->n * r->d * sizeof *r->a);
    memset(r->b, 0, r->n * r->d * sizeof *r->b);
}

void vld_rows_forward(vld_rows *r, const uint32_t *at, vl_real *out)
{
    for (size_t i = 0; i < r->batch; i++) {
        memcpy(r->part + i * r->n, r->gram + at[i] * r->n, r->n * sizeof *out);
        memcpy(out + i * r->d, r->p + at[i] * r->d, r->d * sizeof *out);
    }
    vl_gemm_tiles(r->pool, 0, 0, r->batch, r->d, r->n, 1, r->part, r->n, r->a, r->d, (vl_real)r->c, out,
                  r->d);
}

typedef struct step {
    vld_rows *r;
    const vl_slab_rule *rule;
    const vl_real *g;
} step;

/* A and B of one row of X. */
static void move_row(void *arg, size_t row, int worker)
{
    const step *s = arg;
    const size_t d = s->r->d;
    const vl_real mu = s->rule->momentum, decay = s->rule->decay, rate = s->rule->rate;
    vl_real *restrict a = s->r->a + row * d, *restrict b = s->r->b + row * d;
    int64_t place = s->r->place[row];

    (void)worker;
    for (size_t i = 0; i < d; i++)
        b[i] = mu * b[i] + decay * a[i];
    if (place >= 0) {
        const vl_real *restrict g = s->g + (size_t)place * d;
        for (size_t i = 0; i < d; i++)
            b[i] += g[i];
    }
    for (size_t i = 0; i < d; i++)
        a[i] -= rate * b[i];
}

void vld_rows_learn(vld_rows *r, const vl_slab_rule *rule, const uint32_t *at, const vl_real *g)
{
    step s = {r, rule, g};

    for (size_t i = 0; i < r->n; i++)
        r->place[i] = -1;
    for (size_t i = 0; i < r->batch; i++)
        r->place[at[i]] = (int64_t)i;
    vl_pool_run(r->pool, r->n, move_row, &s);
    r->e = (double)rule->momentum * r->e + (double)rule->decay * r->c;
    r->c -= (double)rule->rate * r->e;
}

void vld_rows_store(vld_rows *r, vl_real *w)
{
    memcpy(w, r->w, r->f * r->d * sizeof *w);
    vl_gemm_tiles(r->pool, 1, 0, r->f, r->d, r->n, 1, r->x, r->f, r->a, r->d, (vl_real)r->c, w, r->d);
}
