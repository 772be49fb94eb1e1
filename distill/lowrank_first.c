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
        (l->u = vl_alloc(n, d * real, e)) && !vl_panels_new(n, d, &l->c, e) &&
        !vl_panels_new(n, d, &l->a, e) && !vl_panels_new(n, d, &l->warm, e) &&
        (l->q = vl_alloc(n, n * real, e)) && (l->part = vl_alloc(batch, n * real, e)))
        return VL_OK;
    vld_first_free(l);
    return VL_ENOMEM;
}

void vld_first_free(vld_first *l)
{
    free(l->part);
    free(l->q);
    vl_panels_free(&l->warm);
    vl_panels_free(&l->a);
    vl_panels_free(&l->c);
    free(l->u);
    free(l->p);
    free(l->gram);
    vl_panels_free(&l->far);
    vl_panels_free(&l->panels);
    memset(l, 0, sizeof *l);
}

size_t vld_first_bytes(const vld_first *l)
{
    return vl_panels_bytes(&l->panels) + vl_panels_bytes(&l->far) + 3 * vl_panels_bytes(&l->c) +
           (2 * l->n * l->n + 2 * l->n * l->d + l->batch * l->n) * sizeof(vl_real);
}

/* out = t + beta out, [rows,d] */
static void add_term(const vld_first *l, vl_term t, size_t rows, vl_real beta, vl_real *out)
{
    vl_panels_times(l->pool, &t, 1, rows, l->d, beta, out, l->d);
}

/* out += alpha (the batch's rows of K) m, m [n,d]. */
static void rows_of_gram(vld_first *l, const uint32_t *rows, vl_real alpha, const vl_panels *m, vl_real *out)
{
    for (size_t r = 0; r < l->batch; r++)
        memcpy(l->part + r * l->n, l->gram + rows[r] * l->n, l->n * sizeof *l->part);
    add_term(l, vl_times(alpha, vl_rows_of(l->part, l->n), m), l->batch, 1, out);
}

static void take_rows(const vld_first *l, const uint32_t *rows, const vl_real *from, vl_real *out)
{
    for (size_t r = 0; r < l->batch; r++)
        memcpy(out + r * l->d, from + rows[r] * l->d, l->d * sizeof *out);
}

/* ---- forward ------------------------------------------------------------------------------------ */

void vld_first_begin(vld_first *l)
{
    size_t n = l->n, f = l->f;
    vl_rows x = vl_rows_of(l->x, f);

    vl_gemm_tiles(l->pool, 0, 1, n, n, f, 1, l->x, f, l->x, f, 0, l->gram, n);
    l->squares = l->start_squares = vl_panels_pack(l->pool, &l->panels, l->w, &l->far, l->target);
    add_term(l, vl_times(1, x, &l->panels), n, 0, l->p);
    add_term(l, vl_times(1, x, &l->far), n, 0, l->u);
    vl_panels_zero(&l->c);
    l->warmed = false;
}

/* b -= rate K C, all [n,d]; returns <C, b> of before and after, added. */
static double lower(vld_first *l, vl_real *b)
{
    double before = vl_panels_dot(&l->c, 0, l->n, b);

    add_term(l, vl_times((vl_real)-l->rate, vl_rows_of(l->gram, l->n), &l->c), l->n, 1, b);
    return before + vl_panels_dot(&l->c, 0, l->n, b);
}

void vld_first_settle(vld_first *l)
{
    lower(l, l->p);
    l->squares -= l->rate * lower(l, l->u);
    memcpy(l->warm.data, l->c.data, vl_panels_bytes(&l->c));
    vl_panels_zero(&l->c);
    l->warmed = true;
}

void vld_first_rows(vld_first *l, const uint32_t *rows, vl_real *out)
{
    take_rows(l, rows, l->p, out);
    rows_of_gram(l, rows, (vl_real)-l->rate, &l->c, out);
}

void vld_first_learn(vld_first *l, const uint32_t *rows, const vl_real *g)
{
    for (size_t r = 0; r < l->batch; r++)
        vl_panels_add(&l->c, rows[r], g + r * l->d);
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
    vl_panels_zero(&l->a);
    memset(l->q, 0, l->n * l->n * sizeof *l->q);
}

void vld_first_tangent(vld_first *l, const uint32_t *rows, bool exact, vl_real *out)
{
    take_rows(l, rows, l->u, out);
    if (exact)
        rows_of_gram(l, rows, -1, &l->a, out);
}

void vld_first_unlearn(vld_first *l, const uint32_t *rows, const vl_real *g, const vl_real *gt)
{
    size_t n = l->n;
    const vl_term t = vl_times_turned(1, vl_rows_of(g, l->d), &l->a);

    vl_panels_times(l->pool, &t, 1, l->batch, n, 0, l->part, n);
    for (size_t r = 0; r < l->batch; r++) {
        for (size_t i = 0; i < n; i++)
            l->q[rows[r] * n + i] += l->part[r * n + i];
        vl_panels_add(&l->a, rows[r], gt + r * l->d);
    }
}

/* q += alpha m f^T, m and f [n,d]. */
static void add_product(vld_first *l, vl_real alpha, const vl_panels *m, const vl_panels *f)
{
    const vl_term t = vl_times_turned(alpha, vl_rows_of_panels(m, 0), f);

    vl_panels_times(l->pool, &t, 1, l->n, l->n, 1, l->q, l->n);
}

/* q = rate (Q^T + Q) + 2 w rate^2 C C^T + rate (A + 2 w rate C) C_warm^T, where Q has g_i A_i^T in its rows; of the
 * first sum tesla has the transposed part alone. */
static void close_gram(vld_first *l, bool exact)
{
    size_t n = l->n;
    vl_real a = (vl_real)l->rate, far = (vl_real)(2 * l->weight * l->rate * l->rate);

    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k <= i; k++) {
            vl_real low = l->q[i * n + k], high = l->q[k * n + i];
            l->q[i * n + k] = a * (exact ? low + high : high);
            l->q[k * n + i] = a * (exact ? low + high : low);
        }
    add_product(l, far, &l->c, &l->c);
    if (!l->warmed)
        return;
    add_product(l, a, &l->a, &l->warm);
    add_product(l, far, &l->c, &l->warm);
}

void vld_first_gradient(vld_first *l, bool exact, vl_real *gx)
{
    size_t n = l->n, f = l->f;
    vl_real far = (vl_real)(-2 * l->weight * l->rate);
    const vl_term terms[] = {vl_times_turned(-1, vl_rows_of_panels(&l->a, 0), &l->panels),
                             vl_times_turned(far, vl_rows_of_panels(&l->c, 0), &l->far)};

    close_gram(l, exact);
    vl_panels_times(l->pool, terms, 2, n, f, 0, gx, f);
    vl_gemm_tiles(l->pool, 0, 0, n, f, n, 1, l->q, n, l->x, f, 1, gx, f);
}
