/* SPDX-License-Identifier: MIT */
#include "pipeline/op_product.h"
#include "pipeline/blas.h"

/* SLICE: the fewest rows or columns of a part. ALONE: multiply-adds that are not worth waking a thread for.
 * TALL: an output so many times as high as wide is cut by rows. */
enum { SLICE = 32, ALONE = 500000, TALL = 4, GRAIN = 65536 };

typedef struct job {
    vlt_sizes s;
    bool by_rows; /* of the output */
    size_t parts;
    vl_real alpha, beta;
    const vl_real *x, *w, *bias, *g;
    vl_real *out;
} job;

/* rows, columns: of the output */
static void cut(vlt_tape *t, job *j, size_t rows, size_t columns, bool by_rows, vl_tile_fn fn)
{
    size_t parts = j->s.b * j->s.k * j->s.n / ALONE, most = (by_rows ? rows : columns) / SLICE;

    parts = parts < most ? parts : most;
    j->by_rows = by_rows;
    j->parts = parts < 1 ? 1 : parts > VLT_PARTS ? VLT_PARTS : parts;
    vl_pool_run(vlt_pool(t), j->parts, fn, j);
}

/* The part's rows and columns of an output [rows,columns]. */
typedef struct block {
    size_t row, rows, column, columns;
} block;

static block block_of(const job *j, size_t rows, size_t columns, size_t part)
{
    size_t n = j->by_rows ? rows : columns, lo = vlt_part_begin(n, j->parts, part);
    size_t length = vlt_part_begin(n, j->parts, part + 1) - lo;

    return j->by_rows ? (block){lo, length, 0, columns} : (block){0, rows, lo, length};
}

static void product_part(void *arg, size_t part, int worker)
{
    const job *j = arg;
    size_t k = j->s.k, n = j->s.n;
    block o = block_of(j, j->s.b, n, part);
    vl_real *out = j->out + o.row * n + o.column;

    (void)worker;
    for (size_t r = 0; j->bias && r < o.rows; r++)
        for (size_t i = 0; i < o.columns; i++)
            out[r * n + i] = j->bias[o.column + i];
    vl_gemm(0, 0, o.rows, o.columns, k, j->alpha, j->x + o.row * k, k, j->w + o.column, n, j->beta, out, n);
}

void vlt_product(vlt_tape *t, vlt_sizes s, vl_real alpha, const vl_real *x, const vl_real *w,
                 const vl_real *bias, vl_real beta, vl_real *y)
{
    job j = {.s = s, .alpha = alpha, .beta = bias ? 1 : beta, .x = x, .w = w, .bias = bias, .out = y};

    cut(t, &j, s.b, s.n, s.b >= TALL * s.n, product_part);
}

static void data_part(void *arg, size_t part, int worker)
{
    const job *j = arg;
    size_t k = j->s.k, n = j->s.n;
    block o = block_of(j, j->s.b, k, part);

    (void)worker;
    vl_gemm(0, 1, o.rows, o.columns, n, j->alpha, j->g + o.row * n, n, j->w + o.column * n, n, 1,
            j->out + o.row * k + o.column, k);
}

void vlt_product_data(vlt_tape *t, vlt_sizes s, vl_real alpha, const vl_real *g, const vl_real *w,
                      vl_real *gx)
{
    job j = {.s = s, .alpha = alpha, .w = w, .g = g, .out = gx};

    if (g && w && gx)
        cut(t, &j, s.b, s.k, s.b >= TALL * s.k, data_part);
}

static void weights_part(void *arg, size_t part, int worker)
{
    const job *j = arg;
    size_t k = j->s.k, n = j->s.n;
    block o = block_of(j, k, n, part);

    (void)worker;
    vl_gemm(1, 0, o.rows, o.columns, j->s.b, j->alpha, j->x + o.row, k, j->g + o.column, n, 1,
            j->out + o.row * n + o.column, n);
}

void vlt_product_weights(vlt_tape *t, vlt_sizes s, vl_real alpha, const vl_real *x, const vl_real *g,
                         vl_real *gw)
{
    job j = {.s = s, .alpha = alpha, .x = x, .g = g, .out = gw};

    if (x && g && gw)
        cut(t, &j, s.k, s.n, s.k >= s.n, weights_part);
}

typedef struct sums {
    size_t b, n;
    const vl_real *g;
    vl_real *out;
} sums;

static void sum_columns(void *arg, size_t lo, size_t end)
{
    const sums *j = arg;

    for (size_t r = 0; r < j->b; r++)
        for (size_t i = lo; i < end; i++)
            j->out[i] += j->g[r * j->n + i];
}

void vlt_sum_rows(vlt_tape *t, size_t b, size_t n, const vl_real *g, vl_real *gb)
{
    sums j = {b, n, g, gb};

    if (gb)
        vlt_ranges(t, n, SLICE + GRAIN / b, sum_columns, &j);
}
