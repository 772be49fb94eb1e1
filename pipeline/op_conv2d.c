/* SPDX-License-Identifier: MIT
 * op_conv2d -- y [B,OH,OW,Co] = conv(x [B,H,W,Ci], w [k,k,Ci,Co]) + b [Co]; zero padding, one stride.
 * With c(x) [B OH OW, k k Ci] the rows of patches of x, and c*(.) its adjoint (adds patches back):
 *   fwd        y   =  c(x) w + b
 *   bwd        gx  += c*(gy w^T)              gw  += c(x)^T gy                  gb  += sum gy
 *   fwd_tan    yt  =  c(x) wt + c(xt) w + bt
 *   bwd_tan    gxt += c*(gyt w^T + gy wt^T)   gwt += c(x)^T gyt + c(xt)^T gy    gbt += sum gyt
 * Saved: nothing.
 *
 * The batch is cut into at most VLT_PARTS parts, which threads take; a part goes through a few lines of
 * output at a time, so that their patches stay in the second-level cache. Each part has its own sum for gw
 * and gb; the sums are added in part order. */
#include "pipeline/blas.h"
#include "pipeline/op.h"

#include <limits.h>
#include <string.h>

/* Patches in the buffer: 256 reach the product's full rate (64: 0.9 of it, 16: 0.6), more only
 * leave the cache. PATCH_REALS bounds the scratch where patches are long. */
enum { PATCHES = 256, PATCH_REALS = 1048576 };

typedef struct job {
    size_t b, h, w, ci, oh, ow, co, k, kk; /* kk = k k ci: length of a patch */
    long stride, pad;
    size_t parts, lines; /* lines: rows of output at a time, through the whole batch */
    vlt_tape *t;
    const vl_real *x1, *w1, *x2, *w2, *bias; /* fwd: y = c(x1) w1 + c(x2) w2 + bias */
    const vl_real *g1, *g2;                  /* bwd: gx += c*(g1 w1^T + g2 w2^T), gw += c(x1)^T g1 + ... */
    vl_real *y, *gx;
    vl_real *sums; /* [parts][kk co + co], NULL: weights want no gradient */
} job;

static size_t out_size(size_t in, size_t k, size_t stride, size_t pad)
{
    return (in + 2 * pad - k) / stride + 1;
}

static size_t lines_at_a_time(size_t ow, size_t kk)
{
    size_t rows = PATCH_REALS / kk < PATCHES ? PATCH_REALS / kk : PATCHES;

    return rows > ow ? rows / ow : 1;
}

static int shape(vlt_tape *t, vlt_node *y, vl_err *e)
{
    const vlt_node *x = vlt_in(t, y, 0), *w = vlt_in(t, y, 1), *b = vlt_in(t, y, 2);
    size_t k, rows, kk, parts;

    if (x->rank != 4 || w->rank != 4 || b->rank != 1 || w->dim[0] != w->dim[1] || w->dim[2] != x->dim[3] ||
        w->dim[3] != b->dim[0] || w->flow != b->flow)
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
    y->n_work = lines_at_a_time(y->dim[2], kk) * y->dim[2] * kk;
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
    j.lines = lines_at_a_time(j.ow, j.kk);
    return j;
}

/* The patch of output (oy, ox) begins at row iy, column ix of the image, either may be negative. Of
 * its k columns [lo, hi) lie inside. */
typedef struct place {
    long iy, ix;
    size_t lo, hi;
    bool whole; /* no part of it lies outside */
} place;

static inline place place_of(const job *j, size_t oy, size_t ox)
{
    place p = {.iy = (long)oy * j->stride - j->pad, .ix = (long)ox * j->stride - j->pad};
    long last = (long)j->w - p.ix;

    p.lo = p.ix < 0 ? (size_t)-p.ix : 0;
    p.hi = last < (long)j->k ? (last < (long)p.lo ? p.lo : (size_t)last) : j->k;
    p.whole = p.hi - p.lo == j->k && p.iy >= 0 && p.iy + (long)j->k <= (long)j->h;
    return p;
}

/* Runs are often shorter than a call of memcpy is worth. */
static inline void copy_run(vl_real *restrict to, const vl_real *restrict from, size_t n)
{
    for (; n >= 16; n -= 16, to += 16, from += 16)
        memcpy(to, from, 16 * sizeof *to);
    for (; n >= 4; n -= 4, to += 4, from += 4)
        memcpy(to, from, 4 * sizeof *to);
    for (; n; n--)
        *to++ = *from++;
}

static inline void add_run(vl_real *restrict to, const vl_real *restrict from, size_t n)
{
    for (size_t i = 0; i < n; i++)
        to[i] += from[i];
}

static void patch_at_edge(const job *j, const vl_real *x, place p, vl_real *restrict col)
{
    size_t run = j->k * j->ci, lo = p.lo * j->ci, hi = p.hi * j->ci;

    memset(col, 0, j->kk * sizeof *col);
    for (size_t ky = 0; ky < j->k; ky++, p.iy++, col += run)
        if (p.iy >= 0 && p.iy < (long)j->h && hi > lo)
            copy_run(col + lo, x + (p.iy * (long)j->w + p.ix) * (long)j->ci + lo, hi - lo);
}

/* c(x): patches of lines [line, end), row by row; a line is (image, oy). */
static void patches(const job *j, const vl_real *x, size_t line, size_t end, vl_real *restrict col)
{
    size_t run = j->k * j->ci, row = j->w * j->ci;

    for (; line < end; line++) {
        const vl_real *image = x + line / j->oh * j->h * row;
        for (size_t ox = 0; ox < j->ow; ox++, col += j->kk) {
            place p = place_of(j, line % j->oh, ox);
            if (!p.whole) {
                patch_at_edge(j, image, p, col);
                continue;
            }
            const vl_real *from = image + (size_t)p.iy * row + (size_t)p.ix * j->ci;
            for (size_t ky = 0; ky < j->k; ky++)
                copy_run(col + ky * run, from + ky * row, run);
        }
    }
}

/* c*(col): adds patches of lines [line, end) back into gx. */
static void unpatch(const job *j, const vl_real *restrict col, size_t line, size_t end, vl_real *gx)
{
    size_t run = j->k * j->ci, row = j->w * j->ci;

    for (; line < end; line++) {
        vl_real *image = gx + line / j->oh * j->h * row;
        for (size_t ox = 0; ox < j->ow; ox++, col += j->kk) {
            place p = place_of(j, line % j->oh, ox);
            size_t lo = p.lo * j->ci, hi = p.hi * j->ci;
            for (size_t ky = 0; ky < j->k; ky++, p.iy++)
                if (p.iy >= 0 && p.iy < (long)j->h)
                    add_run(image + p.iy * (long)row + p.ix * (long)j->ci + (long)lo, col + ky * run + lo,
                            hi - lo);
        }
    }
}

static void forward_part(void *arg, size_t part, int worker)
{
    const job *j = arg;
    size_t line = vlt_part_begin(j->b, j->parts, part) * j->oh;
    size_t end = vlt_part_begin(j->b, j->parts, part + 1) * j->oh;
    vl_real *col = vlt_work(j->t, worker);

    for (size_t next; line < end; line = next) {
        next = end - line < j->lines ? end : line + j->lines;
        size_t m = (next - line) * j->ow;
        vl_real *y = j->y + line * j->ow * j->co, beta = 0;

        if (j->bias) {
            for (size_t r = 0; r < m; r++)
                copy_run(y + r * j->co, j->bias, j->co);
            beta = 1;
        }
        if (j->x1) {
            patches(j, j->x1, line, next, col);
            vl_gemm(0, 0, m, j->co, j->kk, 1, col, j->kk, j->w1, j->co, beta, y, j->co);
            beta = 1;
        }
        if (j->x2) {
            patches(j, j->x2, line, next, col);
            vl_gemm(0, 0, m, j->co, j->kk, 1, col, j->kk, j->w2, j->co, beta, y, j->co);
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

/* gx += c*(g1 w1^T + g2 w2^T) on lines [line, end) */
static void to_data(const job *j, size_t line, size_t end, vl_real *col)
{
    size_t m = (end - line) * j->ow, at = line * j->ow * j->co;

    vl_gemm(0, 1, m, j->kk, j->co, 1, j->g1 + at, j->co, j->w1, j->co, 0, col, j->kk);
    if (j->g2 && j->w2)
        vl_gemm(0, 1, m, j->kk, j->co, 1, j->g2 + at, j->co, j->w2, j->co, 1, col, j->kk);
    unpatch(j, col, line, end, j->gx);
}

/* sum += c(x1)^T g1 + c(x2)^T g2, and behind it the bias's sum of g1, on lines [line, end) */
static void to_weights(const job *j, size_t line, size_t end, vl_real *col, vl_real *sum)
{
    size_t m = (end - line) * j->ow, at = line * j->ow * j->co;

    patches(j, j->x1, line, end, col);
    vl_gemm(1, 0, j->kk, j->co, m, 1, col, j->kk, j->g1 + at, j->co, 1, sum, j->co);
    bias_sum(j, j->g1 + at, m, sum + j->kk * j->co);
    if (j->g2 && j->x2) {
        patches(j, j->x2, line, end, col);
        vl_gemm(1, 0, j->kk, j->co, m, 1, col, j->kk, j->g2 + at, j->co, 1, sum, j->co);
    }
}

static void backward_part(void *arg, size_t part, int worker)
{
    const job *j = arg;
    size_t line = vlt_part_begin(j->b, j->parts, part) * j->oh;
    size_t end = vlt_part_begin(j->b, j->parts, part + 1) * j->oh;
    vl_real *col = vlt_work(j->t, worker);
    vl_real *sum = j->sums ? j->sums + part * (j->kk + 1) * j->co : NULL;

    if (sum)
        memset(sum, 0, (j->kk + 1) * j->co * sizeof *sum);
    for (size_t next; line < end; line = next) {
        next = end - line < j->lines ? end : line + j->lines;
        if (j->gx)
            to_data(j, line, next, col);
        if (sum)
            to_weights(j, line, next, col, sum);
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
