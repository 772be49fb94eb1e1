/* SPDX-License-Identifier: MIT
 * op_conv2d -- y [B,OH,OW,Co] = conv(x [B,H,W,Ci], w [k,k,Ci,Co]) + b [Co]; zero padding, one
 * stride. With c(x) [B OH OW, k k Ci] the rows of patches of x, and c*(.) its adjoint (adds patches
 * back): fwd        y   =  c(x) w + b bwd        gx  += c*(gy w^T)               gw  += c(x)^T gy
 * gb  += sum gy fwd_tan    yt  =  c(x) wt + c(xt) w + bt bwd_tan    gxt += c*(gyt w^T + gy wt^T)
 * gwt += c(x)^T gyt + c(xt)^T gy     gbt += sum gyt Saved: nothing.
 *
 * The batch is cut into at most VLT_PARTS parts, which threads take; a part goes through a few
 * images at a time, so that their patches stay in the second-level cache. Each part has its own sum
 * for gw and gb; the sums are added in part order. */
#include "pipeline/blas.h"
#include "pipeline/op.h"

#include <limits.h>
#include <string.h>

enum { PATCH_REALS = 131072 }; /* target size of one buffer of patches */

typedef struct job {
    size_t b, h, w, ci, oh, ow, co, k, kk; /* kk = k k ci: length of a patch */
    long stride, pad;
    size_t parts, sub; /* sub: images at a time */
    vlt_tape *t;
    const vl_real *x1, *w1, *x2, *w2, *bias; /* fwd: y = c(x1) w1 + c(x2) w2 + bias */
    const vl_real *g1, *g2; /* bwd: gx += c*(g1 w1^T + g2 w2^T), gw += c(x1)^T g1 + ... */
    vl_real *y, *gx;
    vl_real *sums; /* [parts][kk co + co], NULL: weights want no gradient */
} job;

static size_t out_size(size_t in, size_t k, size_t stride, size_t pad)
{
    return (in + 2 * pad - k) / stride + 1;
}

static size_t images_at_a_time(size_t rows, size_t kk)
{
    size_t n = PATCH_REALS / (rows * kk);

    return n ? n : 1;
}

static int shape(vlt_tape *t, vlt_node *y, vl_err *e)
{
    const vlt_node *x = vlt_in(t, y, 0), *w = vlt_in(t, y, 1), *b = vlt_in(t, y, 2);
    size_t k, rows, kk, parts;

    if (x->rank != 4 || w->rank != 4 || b->rank != 1 || w->dim[0] != w->dim[1] ||
        w->dim[2] != x->dim[3] || w->dim[3] != b->dim[0] || w->flow != b->flow)
        return vl_fail(e, VL_EARG, "shapes do not fit: x [B,H,W,Ci], w [k,k,Ci,Co], b [Co] wanted");
    k = w->dim[0];
    if (y->attr[0] < 1 || y->attr[1] < 0 || (size_t)y->attr[1] >= k ||
        x->dim[1] + 2 * (size_t)y->attr[1] < k || x->dim[2] + 2 * (size_t)y->attr[1] < k)
        return vl_fail(e, VL_EARG, "stride %d, pad %d, kernel %zu do not fit %zu x %zu", y->attr[0],
                       y->attr[1], k, x->dim[1], x->dim[2]);
    y->rank = 4;
    y->dim[0] = x->dim[0];
    y->dim[1] = out_size(x->dim[1], k, (size_t)y->attr[0], (size_t)y->attr[1]);
    y->dim[2] = out_size(x->dim[2], k, (size_t)y->attr[0], (size_t)y->attr[1]);
    y->dim[3] = w->dim[3];
    rows = y->dim[1] * y->dim[2];
    kk = k * k * w->dim[2];
    if (rows > INT_MAX || kk > INT_MAX || rows > VL_ALLOC_MAX / sizeof(vl_real) / kk)
        return vl_fail(e, VL_EARG, "an image has %zu patches of %zu numbers", rows, kk);
    parts = y->dim[0] < VLT_PARTS ? y->dim[0] : VLT_PARTS;
    y->n_work = images_at_a_time(rows, kk) * rows * kk;
    y->n_common = parts * (kk + 1) * w->dim[3];
    return VL_OK;
}

static job make_job(vlt_tape *t, const vlt_node *y)
{
    const vlt_node *x = vlt_in(t, y, 0), *w = vlt_in(t, y, 1);
    job j = {.b = x->dim[0], .h = x->dim[1], .w = x->dim[2], .ci = x->dim[3]};

    j.t = t;
    j.oh = y->dim[1];
    j.ow = y->dim[2];
    j.co = y->dim[3];
    j.k = w->dim[0];
    j.kk = j.k * j.k * j.ci;
    j.stride = y->attr[0];
    j.pad = y->attr[1];
    j.parts = j.b < VLT_PARTS ? j.b : VLT_PARTS;
    j.sub = images_at_a_time(j.oh * j.ow, j.kk);
    return j;
}

/* The part of a patch row that lies inside the image: columns [lo, hi) of the k kernel columns. */
static inline void inside(const job *j, long ix, size_t *lo, size_t *hi)
{
    long last = (long)j->w - ix;

    *lo = ix < 0 ? (size_t)-ix : 0;
    *hi = last < (long)j->k ? (last < (long)*lo ? *lo : (size_t)last) : j->k;
}

/* c(x): patches of n images, row by row. */
static void patches(const job *j, const vl_real *x, size_t n, vl_real *restrict col)
{
    size_t run = j->k * j->ci;

    for (size_t b = 0; b < n; b++, x += j->h * j->w * j->ci)
        for (size_t oy = 0; oy < j->oh; oy++)
            for (size_t ox = 0; ox < j->ow; ox++) {
                long iy = (long)oy * j->stride - j->pad, ix = (long)ox * j->stride - j->pad;
                size_t lo, hi;
                inside(j, ix, &lo, &hi);
                for (size_t ky = 0; ky < j->k; ky++, iy++, col += run) {
                    if (iy < 0 || iy >= (long)j->h) {
                        memset(col, 0, run * sizeof *col);
                        continue;
                    }
                    const vl_real *src = x + (iy * (long)j->w + ix) * (long)j->ci;
                    memset(col, 0, lo * j->ci * sizeof *col);
                    memcpy(col + lo * j->ci, src + lo * j->ci, (hi - lo) * j->ci * sizeof *col);
                    memset(col + hi * j->ci, 0, (j->k - hi) * j->ci * sizeof *col);
                }
            }
}

/* c*(col): adds patches of n images back into gx. */
static void unpatch(const job *j, const vl_real *restrict col, size_t n, vl_real *gx)
{
    size_t run = j->k * j->ci;

    for (size_t b = 0; b < n; b++, gx += j->h * j->w * j->ci)
        for (size_t oy = 0; oy < j->oh; oy++)
            for (size_t ox = 0; ox < j->ow; ox++) {
                long iy = (long)oy * j->stride - j->pad, ix = (long)ox * j->stride - j->pad;
                size_t lo, hi;
                inside(j, ix, &lo, &hi);
                for (size_t ky = 0; ky < j->k; ky++, iy++, col += run) {
                    if (iy < 0 || iy >= (long)j->h)
                        continue;
                    vl_real *restrict dst = gx + (iy * (long)j->w + ix) * (long)j->ci;
                    for (size_t i = lo * j->ci; i < hi * j->ci; i++)
                        dst[i] += col[i];
                }
            }
}

static void forward_part(void *arg, size_t part, int worker)
{
    const job *j = arg;
    size_t rows = j->oh * j->ow, in = j->h * j->w * j->ci;
    size_t end = vlt_part_begin(j->b, j->parts, part + 1);
    vl_real *col = vlt_work(j->t, worker);

    for (size_t b = vlt_part_begin(j->b, j->parts, part); b < end; b += j->sub) {
        size_t n = end - b < j->sub ? end - b : j->sub;
        vl_real *y = j->y + b * rows * j->co;
        vl_real beta = 0;

        if (j->bias) {
            for (size_t r = 0; r < n * rows; r++)
                memcpy(y + r * j->co, j->bias, j->co * sizeof *y);
            beta = 1;
        }
        if (j->x1) {
            patches(j, j->x1 + b * in, n, col);
            vl_gemm(0, 0, n * rows, j->co, j->kk, 1, col, j->kk, j->w1, j->co, beta, y, j->co);
            beta = 1;
        }
        if (j->x2) {
            patches(j, j->x2 + b * in, n, col);
            vl_gemm(0, 0, n * rows, j->co, j->kk, 1, col, j->kk, j->w2, j->co, beta, y, j->co);
        }
    }
}

static void fwd(vlt_tape *t, vlt_node *y)
{
    job j = make_job(t, y);

    j.x1 = vlt_in(t, y, 0)->x;
    j.w1 = vlt_in(t, y, 1)->x;
    j.bias = vlt_in(t, y, 2)->x;
    j.y = y->x;
    vl_pool_run(vlt_pool(t), j.parts, forward_part, &j);
}

static void fwd_tan(vlt_tape *t, vlt_node *y)
{
    const vlt_node *x = vlt_in(t, y, 0), *w = vlt_in(t, y, 1);
    job j = make_job(t, y);

    j.x1 = w->xt ? x->x : NULL;
    j.w1 = w->xt;
    j.bias = vlt_in(t, y, 2)->xt;
    j.x2 = x->xt;
    j.w2 = w->x;
    j.y = y->xt;
    vl_pool_run(vlt_pool(t), j.parts, forward_part, &j);
}

static void bias_sum(const job *j, const vl_real *g, size_t rows, vl_real *sum)
{
    for (size_t r = 0; r < rows; r++)
        for (size_t i = 0; i < j->co; i++)
            sum[i] += g[r * j->co + i];
}

static void backward_part(void *arg, size_t part, int worker)
{
    const job *j = arg;
    size_t rows = j->oh * j->ow, in = j->h * j->w * j->ci;
    size_t end = vlt_part_begin(j->b, j->parts, part + 1);
    vl_real *col = vlt_work(j->t, worker);
    vl_real *sum = j->sums ? j->sums + part * (j->kk + 1) * j->co : NULL;

    if (sum)
        memset(sum, 0, (j->kk + 1) * j->co * sizeof *sum);
    for (size_t b = vlt_part_begin(j->b, j->parts, part); b < end; b += j->sub) {
        size_t n = end - b < j->sub ? end - b : j->sub, m = n * rows;
        const vl_real *g1 = j->g1 + b * rows * j->co;
        const vl_real *g2 = j->g2 ? j->g2 + b * rows * j->co : NULL;

        if (j->gx) {
            vl_gemm(0, 1, m, j->kk, j->co, 1, g1, j->co, j->w1, j->co, 0, col, j->kk);
            if (g2 && j->w2)
                vl_gemm(0, 1, m, j->kk, j->co, 1, g2, j->co, j->w2, j->co, 1, col, j->kk);
            unpatch(j, col, n, j->gx + b * in);
        }
        if (!sum)
            continue;
        patches(j, j->x1 + b * in, n, col);
        vl_gemm(1, 0, j->kk, j->co, m, 1, col, j->kk, g1, j->co, 1, sum, j->co);
        bias_sum(j, g1, m, sum + j->kk * j->co);
        if (g2 && j->x2) {
            patches(j, j->x2 + b * in, n, col);
            vl_gemm(1, 0, j->kk, j->co, m, 1, col, j->kk, g2, j->co, 1, sum, j->co);
        }
    }
}

/* gw and gb += the parts' sums, in part order. */
static void add_sums(const job *j, vl_real *gw, vl_real *gb)
{
    size_t n = j->kk * j->co;

    for (size_t p = 0; p < j->parts; p++) {
        const vl_real *restrict s = j->sums + p * (n + j->co);
        for (size_t i = 0; i < n; i++)
            gw[i] += s[i];
        for (size_t i = 0; i < j->co; i++)
            gb[i] += s[n + i];
    }
}

static void bwd(vlt_tape *t, vlt_node *y)
{
    const vlt_node *x = vlt_in(t, y, 0), *w = vlt_in(t, y, 1), *b = vlt_in(t, y, 2);
    job j = make_job(t, y);

    j.x1 = x->x;
    j.w1 = w->x;
    j.g1 = y->gx;
    j.gx = x->gx;
    j.sums = w->gx ? vlt_common(t) : NULL;
    vl_pool_run(vlt_pool(t), j.parts, backward_part, &j);
    if (j.sums)
        add_sums(&j, w->gx, b->gx);
}

static void bwd_tan(vlt_tape *t, vlt_node *y)
{
    const vlt_node *x = vlt_in(t, y, 0), *w = vlt_in(t, y, 1), *b = vlt_in(t, y, 2);
    job j = make_job(t, y);

    j.x1 = x->x;
    j.w1 = w->x;
    j.g1 = y->gxt;
    j.x2 = x->xt;
    j.w2 = w->xt;
    j.g2 = y->gx;
    j.gx = x->gxt;
    j.sums = w->gxt ? vlt_common(t) : NULL;
    vl_pool_run(vlt_pool(t), j.parts, backward_part, &j);
    if (j.sums)
        add_sums(&j, w->gxt, b->gxt);
}

const vlt_op vlt_op_conv2d = {"conv2d", 3, shape, fwd, bwd, fwd_tan, bwd_tan};
