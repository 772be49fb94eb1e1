/* SPDX-License-Identifier: MIT */
#include "distill/lowrank_first.h"
#include "pipeline/gemm_tiles.h"

#include <stdlib.h>
#include <string.h>

int vld_first_new(vl_pool *pool, size_t n, size_t f, size_t d, size_t batch, vld_first *l, vl_err *e)
{
    const size_t real = sizeof(vl_real);

    memset(l, 0, sizeof *l);
    l->pool = pool;
    l->n = n;
    l->f = f;
    l->d = d;
    l->batch = batch;
    if (!vl_panels_new(f, d, &l->panels, e) && !vl_panels_new(f, d, &l->far, e) &&
        (l->gram = vl_alloc(n, n * real, e)) && (l->p = vl_alloc(n, d * real, e)) &&
        (l->u = vl_alloc(n, d * real, e)) && (l->c = vl_alloc(n, d * real, e)) &&
        (l->a = vl_alloc(n, d * real, e)) && (l->warm = vl_alloc(n, d * real, e)) &&
        (l->q = vl_alloc(n, n * real, e)) && (l->part = vl_alloc(batch, n * real, e)))
        return VL_OK;
    vld_first_free(l);
    return VL_ENOMEM;
}

void vld_first_free(vld_first *l)
{
    free(l->part);
    free(l->q);
    free(l->warm);
    free(l->a);
    free(l->c);
    free(l->u);
    free(l->p);
    free(l->gram);
    vl_panels_free(&l->far);
    vl_panels_free(&l->panels);
    memset(l, 0, sizeof *l);
}

size_t vld_first_bytes(const vld_first *l)
{
    return vl_panels_bytes(&l->panels) + vl_panels_bytes(&l->far) +
           (2 * l->n * l->n + 5 * l->n * l->d + l->batch * l->n) * sizeof(vl_real);
}

/* out = alpha (the batch's rows of K) m + beta out, m [n,d]. */
static void rows_of_gram(vld_first *l, const uint32_t *rows, vl_real alpha, const vl_real *m, vl_real beta,
                         vl_real *out)
{
    for (size_t r = 0; r < l->batch; r++)
        memcpy(l->part + r * l->n, l->gram + rows[r] * l->n, l->n * sizeof *l->part);
    vl_gemm_tiles(l->pool, 0, 0, l->batch, l->d, l->n, alpha, l->part, l->n, m, l->d, beta, out, l->d);
}

static void take_rows(const vld_first *l, const uint32_t *rows, const vl_real *from, vl_real *out)
{
    for (size_t r = 0; r < l->batch; r++)
        memcpy(out + r * l->d, from + rows[r] * l->d, l->d * sizeof *out);
}

/* Rows of a batch are distinct. */
static void add_rows(const vld_first *l, const uint32_t *rows, const vl_real *g, size_t width, vl_real *to)
{
    for (size_t r = 0; r < l->batch; r++)
        for (size_t i = 0; i < width; i++)
            to[rows[r] * width + i] += g[r * width + i];
}

/* ---- forward ------------------------------------------------------------------------------------ */

void vld_first_begin(vld_first *l)
{
    size_t n = l->n, f = l->f, d = l->d;

    vl_gemm_tiles(l->pool, 0, 1, n, n, f, 1, l->x, f, l->x, f, 0, l->gram, n);
    vl_panels_pack(l->pool, &l->panels, l->w, NULL, NULL);
    vl_panels_pack(l->pool, &l->far, l->w, l->target, &l->start_squares);
    vl_panels_times(l->pool, &l->panels, n, 1, l->x, 0, l->p);
    vl_panels_times(l->pool, &l->far, n, 1, l->x, 0, l->u);
    l->squares = l->start_squares;
    memset(l->c, 0, n * d * sizeof *l->c);
    l->warmed = false;
}

/* b -= rate K C, all [n,d]; returns <C, b> of before and after, added. */
static double lower(vld_first *l, vl_real *b)
{
    double before = 0, after = 0;
    size_t n = l->n, d = l->d;

    for (size_t i = 0; i < n * d; i++)
        before += (double)l->c[i] * (double)b[i];
    vl_gemm_tiles(l->pool, 0, 0, n, d, n, (vl_real)-l->rate, l->gram, n, l->c, d, 1, b, d);
    for (size_t i = 0; i < n * d; i++)
        after += (double)l->c[i] * (double)b[i];
    return before + after;
}

void vld_first_settle(vld_first *l)
{
    size_t reals = l->n * l->d;

    lower(l, l->p);
    l->squares -= l->rate * lower(l, l->u);
    memcpy(l->warm, l->c, reals * sizeof *l->c);
    memset(l->c, 0, reals * sizeof *l->c);
    l->warmed = true;
}

void vld_first_rows(vld_first *l, const uint32_t *rows, vl_real *out)
{
    take_rows(l, rows, l->p, out);
    rows_of_gram(l, rows, (vl_real)-l->rate, l->c, 1, out);
}

void vld_first_learn(vld_first *l, const uint32_t *rows, const vl_real *g)
{
    add_rows(l, rows, g, l->d, l->c);
}

double vld_first_distance(vld_first *l)
{
    return l->squares - l->rate * lower(l, l->u);
}

void vld_first_end(vld_first *l)
{
    for (size_t i = 0; i < l->n * l->d; i++)
        l->u[i] *= (vl_real)(2 * l->weight);
}

/* ---- backward ----------------------------------------------------------------------------------- */

void vld_first_adjoint(vld_first *l)
{
    memset(l->a, 0, l->n * l->d * sizeof *l->a);
    memset(l->q, 0, l->n * l->n * sizeof *l->q);
}

void vld_first_tangent(vld_first *l, const uint32_t *rows, bool exact, vl_real *out)
{
    take_rows(l, rows, l->u, out);
    if (exact)
        rows_of_gram(l, rows, -1, l->a, 1, out);
}

void vld_first_unlearn(vld_first *l, const uint32_t *rows, const vl_real *g, const vl_real *gt)
{
    vl_gemm_tiles(l->pool, 0, 1, l->batch, l->n, l->d, 1, g, l->d, l->a, l->d, 0, l->part, l->n);
    add_rows(l, rows, l->part, l->n, l->q);
    add_rows(l, rows, gt, l->d, l->a);
}

/* q = rate (Q^T + Q) + 2 w rate^2 C C^T + rate (A + 2 w rate C) C_warm^T, where Q has g_i A_i^T in its rows; of the
 * first sum tesla has the transposed part alone. */
static void close_gram(vld_first *l, bool exact)
{
    size_t n = l->n, d = l->d;
    vl_real a = (vl_real)l->rate, far = (vl_real)(2 * l->weight * l->rate * l->rate);

    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k <= i; k++) {
            vl_real low = l->q[i * n + k], high = l->q[k * n + i];
            l->q[i * n + k] = a * (exact ? low + high : high);
            l->q[k * n + i] = a * (exact ? low + high : low);
        }
    vl_gemm_tiles(l->pool, 0, 1, n, n, d, far, l->c, d, l->c, d, 1, l->q, n);
    if (!l->warmed)
        return;
    vl_gemm_tiles(l->pool, 0, 1, n, n, d, a, l->a, d, l->warm, d, 1, l->q, n);
    vl_gemm_tiles(l->pool, 0, 1, n, n, d, far, l->c, d, l->warm, d, 1, l->q, n);
}

void vld_first_gradient(vld_first *l, bool exact, vl_real *gx)
{
    size_t n = l->n, f = l->f;

    close_gram(l, exact);
    vl_panels_times_turned(l->pool, &l->panels, n, -1, l->a, 0, gx);
    vl_panels_times_turned(l->pool, &l->far, n, (vl_real)(-2 * l->weight * l->rate), l->c, 1, gx);
    vl_gemm_tiles(l->pool, 0, 0, n, f, n, 1, l->q, n, l->x, f, 1, gx, f);
}
