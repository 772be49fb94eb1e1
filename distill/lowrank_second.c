/* SPDX-License-Identifier: MIT
 * lowrank_second.c -- rows [at, end) of the factor matrices are the present step's; those above are earlier steps,
 * those below are later ones. Matrices of coefficients have the same rows and columns.
 *
 * Walking down, step j finds X'_j X_i^T for all i < j, as its own W_j wants it. Its mirror image is what the
 * later steps (i < j, further down) want of Lambda: so kxt and kgt are filled once, above and below the diagonal,
 * and the two sums over G of one forward tangent are a single product. */
#include "distill/lowrank_second.h"

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
        !vl_panels_new(d, d, &l->far, e) && !vl_panels_new(rows, d, &l->x, e) &&
        !vl_panels_new(rows, d, &l->g, e) && !vl_panels_new(rows, d, &l->y_xt, e) &&
        !vl_panels_new(rows, d, &l->dx_gt, e) && !vl_panels_new(batch, d, &l->now, e) &&
        (l->ux = vl_alloc(rows, row, e)) && (l->ug = vl_alloc(rows, row, e)) &&
        (l->kx = vl_alloc(rows, rows * sizeof(vl_real), e)) &&
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
    vl_panels_free(&l->x);
    vl_panels_free(&l->g);
    vl_panels_free(&l->y_xt);
    vl_panels_free(&l->dx_gt);
    vl_panels_free(&l->now);
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

    return vl_panels_bytes(&l->panels) + vl_panels_bytes(&l->far) + 4 * vl_panels_bytes(&l->x) +
           vl_panels_bytes(&l->now) +
           ((l->own ? 1 : 0) * l->d * l->d + (2 * rows + l->batch) * l->d + 4 * rows * rows) *
               sizeof(vl_real);
}

/* ---- the whole ---------------------------------------------------------------------------------- */

void vld_second_begin(vld_second *l)
{
    l->folded = false;
    l->squares = l->start_squares = vl_panels_pack(l->pool, &l->panels, l->w, &l->far, l->target);
}

void vld_second_fold(vld_second *l, size_t steps)
{
    if (!l->folded)
        memcpy(l->own, l->w, l->d * l->d * sizeof *l->own);
    l->folded = true;
    vl_panels_outer(l->pool, &l->x, &l->g, steps * l->batch, (vl_real)-l->rate, l->own);
    l->squares = vl_panels_pack(l->pool, &l->panels, l->own, &l->far, l->target);
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
    size_t rows = l->steps * l->batch;
    vl_term at_start, learned;
    double before;

    mirror(l->kx, rows);
    mirror(l->kg, rows);
    at_start = vl_times(1, vl_rows_of_panels(&l->x, 0), &l->far);
    learned = vl_times((vl_real)-l->rate, vl_rows_of(l->kx, rows), &l->g);
    vl_panels_times(l->pool, &at_start, 1, rows, l->d, 0, l->ux, l->d);
    before = vl_panels_dot(&l->g, 0, rows, l->ux);
    vl_panels_times(l->pool, &learned, 1, rows, l->d, 1, l->ux, l->d);
    return l->squares - l->rate * (before + vl_panels_dot(&l->g, 0, rows, l->ux));
}

void vld_second_end(vld_second *l)
{
    size_t d = l->d, rows = l->steps * l->batch;
    vl_real w2 = (vl_real)(2 * l->weight);
    const vl_term ug[] = {vl_times_turned(w2, vl_rows_of_panels(&l->g, 0), &l->far),
                          vl_times(-w2 * (vl_real)l->rate, vl_rows_of(l->kg, rows), &l->x)};

    for (size_t i = 0; i < rows * d; i++)
        l->ux[i] *= w2;
    vl_panels_times(l->pool, ug, 2, rows, d, 0, l->ug, d);
}

/* ---- one step ----------------------------------------------------------------------------------- */

typedef struct place {   /* of the present step in the factors */
    size_t at, end, all; /* rows */
} place;

static place place_of(const vld_second *l)
{
    return (place){l->step * l->batch, (l->step + 1) * l->batch, l->steps * l->batch};
}

/* Puts v [batch,d] where the step's rows of f are; gives them as what multiplies. */
static vl_rows keep(const vld_second *l, const vl_panels *f, const vl_real *v)
{
    size_t at = f == &l->now ? 0 : place_of(l).at;

    vl_panels_put(l->pool, f, at, l->batch, v);
    return vl_rows_of_panels(f, at);
}

/* k's rows of this step, columns [0, end) = v f^T; v [batch,d], f [all,d]. */
static void products(const vld_second *l, vl_rows v, const vl_panels *f, size_t end, vl_real *k)
{
    place p = place_of(l);
    const vl_term t = {f, 0, end, true, 1, v};

    vl_panels_times(l->pool, &t, 1, l->batch, end, 0, k + p.at * p.all, p.all);
}

/* - rate (k's rows of this step, columns [from, to)) f */
static vl_term less(const vld_second *l, const vl_real *k, size_t from, size_t to, const vl_panels *f)
{
    place p = place_of(l);

    return vl_times_rows((vl_real)-l->rate, vl_rows_of(k + p.at * p.all + from, p.all), f, from, to);
}

/* out = the sum of the terms + beta out, [batch,d]. */
static void sum(const vld_second *l, const vl_term *term, size_t terms, vl_real beta, vl_real *out)
{
    vl_panels_times(l->pool, term, terms, l->batch, l->d, beta, out, l->d);
}

/* out = the step's rows of f + beta out */
static void recall(const vld_second *l, const vl_panels *f, vl_real beta, vl_real *out)
{
    const vl_term t = vl_same(1, vl_rows_of_panels(f, place_of(l).at));

    sum(l, &t, 1, beta, out);
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

static void forward(void *owner, const vl_real *x, vl_real *y)
{
    vld_second *l = owner;
    place p = place_of(l);
    vl_rows now;

    if (l->mode != VLD_SECOND_LEARN) {
        recall(l, &l->y_xt, 0, y);
        return;
    }
    now = keep(l, &l->x, x);
    products(l, now, &l->x, p.end, l->kx);
    sum(l, (vl_term[]){vl_times(1, now, &l->panels), less(l, l->kx, 0, p.at, &l->g)}, 2, 0, y);
    keep(l, &l->y_xt, y);
}

static void backward(void *owner, const vl_real *gy, vl_real *gx)
{
    vld_second *l = owner;
    place p = place_of(l);

    if (l->mode == VLD_SECOND_LEARN) {
        vl_rows now = keep(l, &l->g, gy);
        products(l, now, &l->g, p.end, l->kg);
        sum(l, (vl_term[]){vl_times_turned(1, now, &l->panels), less(l, l->kg, 0, p.at, &l->x)}, 2, 0,
            l->part);
        keep(l, &l->dx_gt, l->part);
    }
    recall(l, &l->dx_gt, 1, gx);
}

/* yt = xt W_i + rate X_i Lambda_{i+1} */
static void forward_tangent(void *owner, const vl_real *xt, vl_real *yt)
{
    vld_second *l = owner;
    place p = place_of(l);
    bool exact = l->mode == VLD_SECOND_ADJOINT;
    const vl_real *ux = l->ux + p.at * l->d;
    vl_rows now = keep(l, exact ? &l->y_xt : &l->now, xt);
    const vl_term later[] = {less(l, l->kxt, p.end, p.all, &l->g), less(l, l->kx, p.end, p.all, &l->dx_gt)};
    const vl_term all[] = {vl_times(1, now, &l->panels), less(l, l->kxt, 0, p.at, &l->g),
                           vl_same((vl_real)l->rate, vl_rows_of(ux, l->d)),
                           vl_same(1, vl_rows_of(l->part, l->d))};

    l->along = vl_panels_dot(&l->g, p.at, l->batch, ux);
    products(l, now, &l->x, p.at, l->kxt);
    if (exact) {
        sum(l, later, 2, 0, l->part);
        l->along += vl_panels_dot(&l->g, p.at, l->batch, l->part) / l->rate;
    }
    sum(l, all, exact ? 4 : 3, 0, yt);
    if (exact)
        spread(l, l->kxt);
}

/* gxt += gyt W_i^T + rate G_i Lambda_{i+1}^T */
static void backward_tangent(void *owner, const vl_real *gyt, vl_real *gxt)
{
    vld_second *l = owner;
    place p = place_of(l);
    bool exact = l->mode == VLD_SECOND_ADJOINT;
    vl_rows now = keep(l, exact ? &l->dx_gt : &l->now, gyt);
    const vl_term terms[] = {vl_times_turned(1, now, &l->panels), less(l, l->kgt, 0, p.at, &l->x),
                             vl_same((vl_real)l->rate, vl_rows_of(l->ug + p.at * l->d, l->d)),
                             less(l, l->kgt, p.end, p.all, &l->x), less(l, l->kg, p.end, p.all, &l->y_xt)};

    products(l, now, &l->g, p.at, l->kgt);
    sum(l, terms, exact ? 5 : 3, 1, gxt);
    if (exact)
        spread(l, l->kgt);
}
