/* SPDX-License-Identifier: MIT
 * op_attention -- softmax attention of H heads over groups of N rows: q, k, v, y [B N, D]; head h has the columns
 * [h d, (h + 1) d), d = D / H. Of one group and head, with s = 1 / sqrt(d) and S(p, a) = p (a - sum p a), row
 * by row: what the softmax with the values p does to a change a, forwards and backwards alike.
 *   fwd        p   =  softmax(s q k^T) [N,N];  y = p v
 *   bwd        a = gy v^T;  z = S(p, a):       gq  += s z k     gk  += s z^T q     gv  += p^T gy
 *   fwd_tan    pt  =  S(p, s (qt k^T + q kt^T));  yt = pt v + p vt
 *   bwd_tan    at = gyt v^T + gy vt^T
 *              zt = pt (a - sum p a) + p (at - sum (pt a + p at)):
 *              gqt += s (zt k + z kt)     gkt += s (zt^T q + z^T qt)     gvt += p^T gyt + pt^T gy
 * Saved: p [B,H,N,N]; where a tangent reaches q or k, pt. a and z are computed again for bwd_tan: one product
 * more instead of as much memory again. Without gradients p is scratch. Tiles: one group and head each.
 * Derivation: spec/math/attention.md. Source: Vaswani et al. 2017. */
#include "pipeline/blas.h"
#include "pipeline/op.h"
#include "pipeline/vmath.h"

enum { Q, K, V, MAX_TOKENS = 4096 };

static int shape(vlt_tape *t, vlt_node *y, vl_err *e)
{
    const vlt_node *q = vlt_in(t, y, Q), *k = vlt_in(t, y, K);
    size_t heads = (size_t)y->attr[0], tokens = (size_t)y->attr[1], square;

    for (int i = 0; i < 3; i++)
        if (vlt_in(t, y, i)->rank != 2 || vlt_in(t, y, i)->dim[0] != q->dim[0] ||
            vlt_in(t, y, i)->dim[1] != q->dim[1])
            return vl_fail(e, VL_EARG, "shapes do not fit: q, k, v [B N, D] wanted");
    if (y->attr[0] < 1 || q->dim[1] % heads || y->attr[1] < 1 || y->attr[1] > MAX_TOKENS ||
        q->dim[0] % tokens)
        return vl_fail(e, VL_EARG, "%d heads over %d of [%zu,%zu]: divisors wanted, at most %d rows a group",
                       y->attr[0], y->attr[1], q->dim[0], q->dim[1], MAX_TOKENS);
    y->rank = 2;
    y->dim[0] = q->dim[0];
    y->dim[1] = q->dim[1];
    square = tokens * tokens; /* times groups and heads: at most 2^12 times the elements of q */
    y->n_work = y->flow & VLT_GT ? 2 * square : square;
    if (y->flow)
        y->n_saved = q->dim[0] / tokens * heads * square * ((q->flow | k->flow) & VLT_T ? 2 : 1);
    return VL_OK;
}

typedef struct job {
    vlt_tape *t;
    vlt_node *y;
    const vlt_node *q, *k, *v;
    size_t n, d, width; /* tokens, columns of a head and of all */
    vl_real scale;
} job;

/* What a tile sees: its group and head within each operand, NULL where there is none. */
typedef struct tile {
    const job *j;
    size_t offset;
    vl_real *p, *pt;
} tile;

static tile tile_of(const job *j, size_t number, int worker)
{
    size_t heads = (size_t)j->y->attr[0], square = j->n * j->n, tiles = j->y->dim[0] / j->n * heads;
    tile i = {.j = j, .offset = number / heads * j->n * j->width + number % heads * j->d};

    i.p = j->y->saved ? j->y->saved + number * square : vlt_work(j->t, worker);
    i.pt = (j->q->flow | j->k->flow) & VLT_T ? j->y->saved + (tiles + number) * square : NULL;
    return i;
}

/* out [N,N] = scale a b^T + beta out */
static void rows_by_rows(const tile *i, vl_real scale, const vl_real *a, const vl_real *b, vl_real beta,
                         vl_real *out)
{
    const job *j = i->j;

    vl_gemm(0, 1, j->n, j->n, j->d, scale, a + i->offset, j->width, b + i->offset, j->width, beta, out, j->n);
}

/* out [N,d] = scale op(m) a + beta out, m [N,N]; skipped where one of them is missing */
static void square_by_rows(const tile *i, vl_real scale, int transpose, const vl_real *m, const vl_real *a,
                           vl_real beta, vl_real *out)
{
    const job *j = i->j;

    if (m && a && out)
        vl_gemm(transpose, 0, j->n, j->d, j->n, scale, m, j->n, a + i->offset, j->width, beta,
                out + i->offset, j->width);
}

static void softmax_row(vl_real *s, size_t n)
{
    vl_real top = s[0], r;
    double sum = 0;

    for (size_t k = 1; k < n; k++)
        top = s[k] > top ? s[k] : top;
    for (size_t k = 0; k < n; k++)
        s[k] = vl_exp(s[k] - top);
    for (size_t k = 0; k < n; k++)
        sum += (double)s[k];
    r = (vl_real)(1 / sum);
    for (size_t k = 0; k < n; k++)
        s[k] *= r;
}

static vl_real dot(const vl_real *a, const vl_real *b, size_t n)
{
    double s = 0;

    for (size_t k = 0; k < n; k++)
        s += (double)a[k] * (double)b[k];
    return (vl_real)s;
}

/* a = S(p, a), of all rows */
static void through_softmax(const vl_real *p, vl_real *a, size_t n)
{
    for (size_t r = 0; r < n; r++, p += n, a += n) {
        vl_real m = dot(p, a, n);
        for (size_t k = 0; k < n; k++)
            a[k] = p[k] * (a[k] - m);
    }
}

/* at = zt and a = z, of all rows */
static void through_softmax_twice(const vl_real *p, const vl_real *pt, vl_real *a, vl_real *at, size_t n)
{
    for (size_t r = 0; r < n; r++, p += n, pt += n, a += n, at += n) {
        vl_real m = dot(p, a, n), mt = dot(pt, a, n) + dot(p, at, n);
        for (size_t k = 0; k < n; k++) {
            at[k] = pt[k] * (a[k] - m) + p[k] * (at[k] - mt);
            a[k] = p[k] * (a[k] - m);
        }
    }
}

static void fwd_tile(void *arg, size_t number, int worker)
{
    const job *j = arg;
    tile i = tile_of(j, number, worker);

    rows_by_rows(&i, j->scale, j->q->x, j->k->x, 0, i.p);
    for (size_t r = 0; r < j->n; r++)
        softmax_row(i.p + r * j->n, j->n);
    square_by_rows(&i, 1, 0, i.p, j->v->x, 0, j->y->x);
}

static void bwd_tile(void *arg, size_t number, int worker)
{
    const job *j = arg;
    tile i = tile_of(j, number, worker);
    vl_real *a = vlt_work(j->t, worker);

    square_by_rows(&i, 1, 1, i.p, j->y->gx, 1, j->v->gx);
    if (!j->q->gx && !j->k->gx)
        return;
    rows_by_rows(&i, 1, j->y->gx, j->v->x, 0, a);
    through_softmax(i.p, a, j->n);
    square_by_rows(&i, j->scale, 0, a, j->k->x, 1, j->q->gx);
    square_by_rows(&i, j->scale, 1, a, j->q->x, 1, j->k->gx);
}

static void fwd_tan_tile(void *arg, size_t number, int worker)
{
    const job *j = arg;
    tile i = tile_of(j, number, worker);

    if (j->q->xt)
        rows_by_rows(&i, j->scale, j->q->xt, j->k->x, 0, i.pt);
    if (j->k->xt)
        rows_by_rows(&i, j->scale, j->q->x, j->k->xt, j->q->xt ? 1 : 0, i.pt);
    if (i.pt)
        through_softmax(i.p, i.pt, j->n);
    square_by_rows(&i, 1, 0, i.pt, j->v->x, 0, j->y->xt);
    square_by_rows(&i, 1, 0, i.p, j->v->xt, i.pt ? 1 : 0, j->y->xt);
}

static void bwd_tan_tile(void *arg, size_t number, int worker)
{
    const job *j = arg;
    tile i = tile_of(j, number, worker);
    vl_real *at = vlt_work(j->t, worker), *z = NULL;

    square_by_rows(&i, 1, 1, i.p, j->y->gxt, 1, j->v->gxt);
    square_by_rows(&i, 1, 1, i.pt, j->y->gx, 1, j->v->gxt);
    if (!j->q->gxt && !j->k->gxt)
        return;
    rows_by_rows(&i, 1, j->y->gxt, j->v->x, 0, at);
    if (j->v->xt)
        rows_by_rows(&i, 1, j->y->gx, j->v->xt, 1, at);
    if (i.pt) {
        z = at + j->n * j->n;
        rows_by_rows(&i, 1, j->y->gx, j->v->x, 0, z);
        through_softmax_twice(i.p, i.pt, z, at, j->n);
    } else
        through_softmax(i.p, at, j->n);
    square_by_rows(&i, j->scale, 0, at, j->k->x, 1, j->q->gxt);
    square_by_rows(&i, j->scale, 0, z, j->k->xt, 1, j->q->gxt);
    square_by_rows(&i, j->scale, 1, at, j->q->x, 1, j->k->gxt);
    square_by_rows(&i, j->scale, 1, z, j->q->xt, 1, j->k->gxt);
}

static void run(vlt_tape *t, vlt_node *y, vl_tile_fn fn)
{
    job j = {.t = t, .y = y, .q = vlt_in(t, y, Q), .k = vlt_in(t, y, K), .v = vlt_in(t, y, V)};
    size_t heads = (size_t)y->attr[0];

    j.n = (size_t)y->attr[1];
    j.width = y->dim[1];
    j.d = j.width / heads;
    j.scale = (vl_real)(1 / sqrt((double)j.d));
    vl_pool_run(vlt_pool(t), y->dim[0] / j.n * heads, fn, &j);
}

static void fwd(vlt_tape *t, vlt_node *y)
{
    run(t, y, fwd_tile);
}

static void bwd(vlt_tape *t, vlt_node *y)
{
    run(t, y, bwd_tile);
}

static void fwd_tan(vlt_tape *t, vlt_node *y)
{
    run(t, y, fwd_tan_tile);
}

static void bwd_tan(vlt_tape *t, vlt_node *y)
{
    run(t, y, bwd_tan_tile);
}

const vlt_op vlt_op_attention = {"attention", 3, shape, fwd, bwd, fwd_tan, bwd_tan};
