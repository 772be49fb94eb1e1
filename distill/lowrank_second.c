/* SPDX-License-Identifier: MIT
 * lowrank_second.c -- rows [at, end) of the factor matrices are the present step's; those above are earlier steps,
 * those below are later ones. Matrices of coefficients have the same rows and columns.
 *
 * Walking down, step j finds X'_j X_i^T for all i < j, as its own W_j wants it. Its mirror image is what the
 * later steps (i < j, further down) want of Lambda: so kxt and kgt are filled once, above and below the diagonal,
 * and the two sums over G of one forward tangent are a single product. */
#include "distill/lowrank_second.h"
#include "pipeline/gemm_tiles.h"

#include <stdlib.h>
#include <string.h>

static void forward(void *owner, const vl_real *x, vl_real *y);
static void backward(void *owner, const vl_real *gy, vl_real *gx);
static void forward_tangent(void *owner, const vl_real *xt, vl_real *yt);
static void backward_tangent(void *owner, const vl_real *gyt, vl_real *gxt);

int vld_second_new(vl_pool *pool, size_t d, size_t batch, size_t steps, bool warm, vld_second *l, vl_err *e)
{
    size_t rows = steps * batch, row = d * sizeof(vl_real);

    memset(l, 0, sizeof *l);
    l->pool = pool;
    l->d = d;
    l->batch = batch;
    l->steps = steps;
    l->map = (vlt_map){d, d, l, forward, backward, forward_tangent, backward_tangent};
    if ((!warm || (l->own = vl_alloc(d, row, e))) && !vl_panels_new(d, d, &l->panels, e) &&
        !vl_panels_new(d, d, &l->far, e) && (l->x = vl_alloc(rows, row, e)) &&
        (l->g = vl_alloc(rows, row, e)) && (l->y_xt = vl_alloc(rows, row, e)) &&
        (l->dx_gt = vl_alloc(rows, row, e)) && (l->ux = vl_alloc(rows, row, e)) &&
        (l->ug = vl_alloc(rows, row, e)) && (l->kx = vl_alloc(rows, rows * sizeof(vl_real), e)) &&
        (l->kg = vl_alloc(rows, rows * sizeof(vl_real), e)) &&
        (l->kxt = vl_alloc(rows, rows * sizeof(vl_real), e)) &&
        (l->kgt = vl_alloc(rows, rows * sizeof(vl_real), e)) && (l->part = vl_alloc(batch, row, e)))
        return VL_OK;
    vld_second_free(l);
    return VL_ENOMEM;
}

void vld_second_free(vld_second *l)
{
    vl_panels_free(&l->panels);
    vl_panels_free(&l->far);
    free(l->own);
    free(l->x);
    free(l->g);
    free(l->y_xt);
    free(l->dx_gt);
    free(l->ux);
    free(l->ug);
    free(l->kx);
    free(l->kg);
    free(l->kxt);
    free(l->kgt);
    free(l->part);
    memset(l, 0, sizeof *l);
}

size_t vld_second_bytes(const vld_second *l)
{
    size_t rows = l->steps * l->batch;

    return vl_panels_bytes(&l->panels) + vl_panels_bytes(&l->far) +
           ((l->own ? 1 : 0) * l->d * l->d + (6 * rows + l->batch) * l->d + 4 * rows * rows) *
               sizeof(vl_real);
}

/* ---- the whole ---------------------------------------------------------------------------------- */

void vld_second_begin(vld_second *l)
{
    l->folded = false;
    vl_panels_pack(l->pool, &l->panels, l->w, NULL, NULL);
}

static double dot(const vl_real *a, const vl_real *b, size_t n)
{
    double s = 0;

    for (size_t i = 0; i < n; i++)
        s += (double)a[i] * (double)b[i];
    return s;
}

void vld_second_fold(vld_second *l, size_t steps)
{
    size_t d = l->d, rows = steps * l->batch;

    if (!l->folded)
        memcpy(l->own, l->w, d * d * sizeof *l->own);
    l->folded = true;
    vl_gemm_tiles(l->pool, 1, 0, d, d, rows, (vl_real)-l->rate, l->x, d, l->g, d, 1, l->own, d);
    vl_panels_pack(l->pool, &l->panels, l->own, NULL, NULL);
}

/* The half above the diagonal from the half below. */
static void mirror(vl_real *k, size_t n)
{
    for (size_t i = 0; i < n; i++)
        for (size_t c = 0; c < i; c++)
            k[c * n + i] = k[i * n + c];
}

double vld_second_distance(vld_second *l)
{
    size_t d = l->d, rows = l->steps * l->batch;
    double before;

    mirror(l->kx, rows);
    mirror(l->kg, rows);
    vl_panels_pack(l->pool, &l->far, l->w, l->target, &l->start_squares);
    l->squares = l->start_squares;
    if (l->folded)
        vl_panels_pack(l->pool, &l->far, l->own, l->target, &l->squares);
    vl_panels_times(l->pool, &l->far, rows, 1, l->x, 0, l->ux);
    before = dot(l->ux, l->g, rows * d);
    vl_gemm_tiles(l->pool, 0, 0, rows, d, rows, (vl_real)-l->rate, l->kx, rows, l->g, d, 1, l->ux, d);
    return l->squares - l->rate * (before + dot(l->ux, l->g, rows * d));
}

void vld_second_end(vld_second *l)
{
    size_t d = l->d, rows = l->steps * l->batch;
    vl_real w2 = (vl_real)(2 * l->weight);

    for (size_t i = 0; i < rows * d; i++)
        l->ux[i] *= w2;
    vl_panels_times_turned(l->pool, &l->far, rows, w2, l->g, 0, l->ug);
    vl_gemm_tiles(l->pool, 0, 0, rows, d, rows, -w2 * (vl_real)l->rate, l->kg, rows, l->x, d, 1, l->ug, d);
}

/* ---- one step ----------------------------------------------------------------------------------- */

typedef struct place {   /* of the present step in the factors */
    size_t at, end, all; /* rows */
} place;

static place place_of(const vld_second *l)
{
    return (place){l->step * l->batch, (l->step + 1) * l->batch, l->steps * l->batch};
}

/* k's rows of this step, columns [0, end) = v f^T; v [batch,d], f [all,d]. */
static void products(const vld_second *l, const vl_real *v, const vl_real *f, size_t end, vl_real *k)
{
    place p = place_of(l);

    vl_gemm_tiles(l->pool, 0, 1, l->batch, end, l->d, 1, v, l->d, f, l->d, 0, k + p.at * p.all, p.all);
}

/* out -= rate (k's rows of this step, columns [from, to)) f. */
static void subtract(const vld_second *l, const vl_real *k, size_t from, size_t to, const vl_real *f,
                     vl_real *out)
{
    place p = place_of(l);

    if (from < to)
        vl_gemm_tiles(l->pool, 0, 0, l->batch, l->d, to - from, (vl_real)-l->rate, k + p.at * p.all + from,
                      p.all, f + from * l->d, l->d, 1, out, l->d);
}

/* The step's own block is none of anyone's; its rows left of it, turned, go above. */
static void spread(const vld_second *l, vl_real *k)
{
    place p = place_of(l);

    for (size_t i = p.at; i < p.end; i++) {
        memset(k + i * p.all + p.at, 0, l->batch * sizeof *k);
        for (size_t c = 0; c < p.at; c++)
            k[c * p.all + i] = k[i * p.all + c];
    }
}

static void add(const vld_second *l, vl_real scale, const vl_real *a, vl_real *out)
{
    for (size_t i = 0; i < l->batch * l->d; i++)
        out[i] += scale * a[i];
}

static void forward(void *owner, const vl_real *x, vl_real *y)
{
    vld_second *l = owner;
    place p = place_of(l);
    size_t bytes = l->batch * l->d * sizeof *y;

    if (l->mode != VLD_SECOND_LEARN) {
        memcpy(y, l->y_xt + p.at * l->d, bytes);
        return;
    }
    memcpy(l->x + p.at * l->d, x, bytes);
    products(l, x, l->x, p.end, l->kx);
    vl_panels_times(l->pool, &l->panels, l->batch, 1, x, 0, y);
    subtract(l, l->kx, 0, p.at, l->g, y);
    memcpy(l->y_xt + p.at * l->d, y, bytes);
}

static void backward(void *owner, const vl_real *gy, vl_real *gx)
{
    vld_second *l = owner;
    place p = place_of(l);
    vl_real *dx = l->dx_gt + p.at * l->d;

    if (l->mode == VLD_SECOND_LEARN) {
        memcpy(l->g + p.at * l->d, gy, l->batch * l->d * sizeof *gy);
        products(l, gy, l->g, p.end, l->kg);
        vl_panels_times_turned(l->pool, &l->panels, l->batch, 1, gy, 0, dx);
        subtract(l, l->kg, 0, p.at, l->x, dx);
    }
    add(l, 1, dx, gx);
}

/* yt = xt W_i + rate X_i Lambda_{i+1} */
static void forward_tangent(void *owner, const vl_real *xt, vl_real *yt)
{
    vld_second *l = owner;
    place p = place_of(l);
    const vl_real *ux = l->ux + p.at * l->d;
    bool exact = l->mode == VLD_SECOND_ADJOINT;

    l->along = dot(ux, l->g + p.at * l->d, l->batch * l->d);
    products(l, xt, l->x, p.at, l->kxt);
    vl_panels_times(l->pool, &l->panels, l->batch, 1, xt, 0, yt);
    subtract(l, l->kxt, 0, p.at, l->g, yt);
    add(l, (vl_real)l->rate, ux, yt);
    if (!exact)
        return;
    memset(l->part, 0, l->batch * l->d * sizeof *l->part);
    subtract(l, l->kxt, p.end, p.all, l->g, l->part);
    subtract(l, l->kx, p.end, p.all, l->dx_gt, l->part);
    l->along += dot(l->part, l->g + p.at * l->d, l->batch * l->d) / l->rate;
    add(l, 1, l->part, yt);
    spread(l, l->kxt);
    memcpy(l->y_xt + p.at * l->d, xt, l->batch * l->d * sizeof *xt);
}

/* gxt += gyt W_i^T + rate G_i Lambda_{i+1}^T */
static void backward_tangent(void *owner, const vl_real *gyt, vl_real *gxt)
{
    vld_second *l = owner;
    place p = place_of(l);

    products(l, gyt, l->g, p.at, l->kgt);
    vl_panels_times_turned(l->pool, &l->panels, l->batch, 1, gyt, 0, l->part);
    subtract(l, l->kgt, 0, p.at, l->x, l->part);
    add(l, (vl_real)l->rate, l->ug + p.at * l->d, l->part);
    if (l->mode == VLD_SECOND_ADJOINT) {
        subtract(l, l->kgt, p.end, p.all, l->x, l->part);
        subtract(l, l->kg, p.end, p.all, l->y_xt, l->part);
        spread(l, l->kgt);
        memcpy(l->dx_gt + p.at * l->d, gyt, l->batch * l->d * sizeof *gyt);
    }
    add(l, 1, l->part, gxt);
}
