/* SPDX-License-Identifier: MIT
 * slab.c -- a tile of a product is a slab: K x 32 values, read in blocks of DEPTH of their rows, which meet the rows of
 * x in the kernel (slab_block.c). It asks for the next block while it works on one. */
#include "pipeline/blas.h"
#include "pipeline/huge.h"
#include "pipeline/slab_block.h"

#include <stdlib.h>
#include <string.h>

enum { DEPTH = 128, LINE = VL_SLAB_LINE };

static size_t slabs_of(size_t n)
{
    return (n + VL_SLAB - 1) / VL_SLAB;
}

int vl_slabs_new(size_t k, size_t n, vl_slabs *p, vl_err *e)
{
    *p = (vl_slabs){k, n, NULL};
    if (slabs_of(n) > VL_ALLOC_MAX / VL_SLAB / sizeof(vl_real) / k)
        return vl_fail(e, VL_ENOMEM, "a matrix of %zu x %zu in slabs", k, n);
    p->data = vl_huge_alloc(vl_slabs_bytes(p), e);
    return p->data ? VL_OK : VL_ENOMEM;
}

void vl_slabs_free(vl_slabs *p)
{
    free(p->data);
    p->data = NULL;
}

size_t vl_slabs_bytes(const vl_slabs *p)
{
    return slabs_of(p->n) * p->k * VL_SLAB * sizeof(vl_real);
}

/* ---- in and out --------------------------------------------------------------------------------- */

static size_t width_of(size_t n, size_t slab)
{
    size_t left = n - slab * VL_SLAB;

    return left < VL_SLAB ? left : VL_SLAB;
}

typedef struct copy_job {
    const vl_slabs *p;
    const vl_real *in; /* one of the two */
    vl_real *out;
} copy_job;

/* A block of rows of all slabs, so that rows of the matrix are read and written whole. */
static void copy_rows(void *arg, size_t tile, int worker)
{
    const copy_job *j = arg;
    size_t k = j->p->k, n = j->p->n, from = tile * LINE, to = from + LINE < k ? from + LINE : k;

    (void)worker;
    for (size_t slab = 0; slab < slabs_of(n); slab++)
        for (size_t i = from; i < to; i++) {
            size_t width = width_of(n, slab), at = i * n + slab * VL_SLAB;
            vl_real *place = j->p->data + (slab * k + i) * VL_SLAB;
            if (j->out) {
                memcpy(j->out + at, place, width * sizeof *place);
                continue;
            }
            memcpy(place, j->in + at, width * sizeof *place);
            memset(place + width, 0, (VL_SLAB - width) * sizeof *place);
        }
}

void vl_slabs_pack(vl_pool *pool, const vl_slabs *p, const vl_real *a)
{
    copy_job j = {p, a, NULL};

    vl_pool_run(pool, (p->k + LINE - 1) / LINE, copy_rows, &j);
}

void vl_slabs_unpack(vl_pool *pool, const vl_slabs *p, vl_real *a)
{
    copy_job j = {p, NULL, a};

    vl_pool_run(pool, (p->k + LINE - 1) / LINE, copy_rows, &j);
}

/* ---- the product -------------------------------------------------------------------------------- */

typedef struct job {
    const vl_slabs *p;
    size_t rows;
    const vl_real *x;
    vl_real *y;
} job;

enum { STRIP = 2 * VL_SLAB_GROUP }; /* rows of x that share a passage of a slab */

static void times_slab(void *arg, size_t slab, int worker)
{
    const job *j = arg;
    size_t k = j->p->k, n = j->p->n;

    (void)worker;
    for (size_t row = 0; row < j->rows; row += STRIP) {
        size_t rows = j->rows - row < STRIP ? j->rows - row : STRIP;
        vl_real sum[STRIP * VL_SLAB] = {0};
        for (size_t i = 0; i < k; i += DEPTH) {
            size_t depth = k - i < DEPTH ? k - i : DEPTH;
            const vl_real *w = j->p->data + (slab * k + i) * VL_SLAB;
            const vl_slab_rows x = {j->x + row * k + i, k, depth, 0};
            vl_slab_block(rows, VL_SLAB, depth, w, w + depth * VL_SLAB, &x, sum);
        }
        for (size_t r = 0; r < rows; r++)
            memcpy(j->y + (row + r) * n + slab * VL_SLAB, sum + r * VL_SLAB, width_of(n, slab) * sizeof *sum);
    }
}

void vl_slabs_times(vl_pool *pool, const vl_slabs *p, size_t rows, const vl_real *x, vl_real *y)
{
    job j = {p, rows, x, y};

    vl_pool_run(pool, slabs_of(p->n), times_slab, &j);
    vl_blas_count(2.0 * (double)rows * (double)p->k * (double)p->n);
}
