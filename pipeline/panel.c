/* SPDX-License-Identifier: MIT
 * panel.c -- the product of a few rows with a packed matrix, at the speed of memory.
 *
 * A tile is a panel: K x 32 values, read in blocks of DEPTH of their rows, which meet the rows of x in the kernel
 * (panel_block.c). It asks for the next block while it works on one: with 20 rows on AVX-512 memory and arithmetic
 * take about equally long. */
#include "pipeline/blas.h"
#include "pipeline/panel_block.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { DEPTH = 128, LINE = VL_PANEL_LINE };

/* A page of 2 MB where the system has such: a product walks through all of it, and with small pages looking up
 * addresses costs a sixth of its time. */
enum { HUGE_PAGE = 1 << 21 };

static size_t panels_of(size_t n)
{
    return (n + VL_PANEL - 1) / VL_PANEL;
}

int vl_panels_new(size_t k, size_t n, vl_panels *p, vl_err *e)
{
    size_t panels = panels_of(n), row = VL_PANEL * sizeof(vl_real), bytes;

    *p = (vl_panels){k, n, NULL};
    if (panels > VL_ALLOC_MAX / row / k)
        return vl_fail(e, VL_ENOMEM, "a matrix of %zu x %zu in panels", k, n);
    bytes = panels * k * row;
    if (bytes < HUGE_PAGE) {
        p->data = aligned_alloc(64, bytes);
    } else {
        bytes = (bytes + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
        p->data = aligned_alloc(HUGE_PAGE, bytes);
    }
    if (!p->data)
        return vl_fail(e, VL_ENOMEM, "out of memory: panels of %zu bytes", bytes);
#ifdef MADV_HUGEPAGE
    if (bytes >= HUGE_PAGE)
        (void)madvise(p->data, bytes, MADV_HUGEPAGE); /* a wish; refused, it is only slower */
#endif
    return VL_OK;
}

void vl_panels_free(vl_panels *p)
{
    free(p->data);
    p->data = NULL;
}

size_t vl_panels_bytes(const vl_panels *p)
{
    return panels_of(p->n) * p->k * VL_PANEL * sizeof(vl_real);
}

/* ---- packing ------------------------------------------------------------------------------------ */

static size_t width_of(size_t n, size_t panel)
{
    size_t left = n - panel * VL_PANEL;

    return left < VL_PANEL ? left : VL_PANEL;
}

/* Each row of a source lies on a page of its own, where the processor does not look ahead by itself. */
enum { AHEAD = 16 };
static inline void expect(const vl_panel_source *w, size_t at)
{
    __builtin_prefetch(w->a + at, 0, 2);
    if (w->minus)
        __builtin_prefetch(w->minus + at, 0, 2);
}

static inline void pack_row(const vl_panel_source *w, size_t at, size_t width, vl_real *restrict out)
{
    if (w->minus)
        for (size_t c = 0; c < width; c++)
            out[c] = w->a[at + c] - w->minus[at + c];
    else
        for (size_t c = 0; c < width; c++)
            out[c] = w->a[at + c];
}

/* out [to - from][VL_PANEL] = rows [from, to) of a panel of W. */
static void pack_rows(const vl_panel_source *w, size_t panel, size_t from, size_t to, vl_real *out)
{
    size_t width = width_of(w->n, panel), at = from * w->n + panel * VL_PANEL;

    if (width < VL_PANEL)
        memset(out, 0, (to - from) * VL_PANEL * sizeof *out);
    for (size_t i = from; i < to; i++, out += VL_PANEL, at += w->n) {
        expect(w, at + AHEAD * w->n);
        expect(w, at + AHEAD * w->n + LINE);
        if (width == VL_PANEL) /* a constant: no loop is left */
            pack_row(w, at, VL_PANEL, out);
        else
            pack_row(w, at, width, out);
    }
}

/* A cache line of each of the panel's columns at a time. */
static void pack_columns(const vl_panel_source *w, size_t panel, size_t from, size_t to, vl_real *out)
{
    size_t width = width_of(w->n, panel);

    if (width < VL_PANEL)
        memset(out, 0, (to - from) * VL_PANEL * sizeof *out);
    for (size_t i = from; i < to; i += LINE)
        for (size_t c = 0; c < width; c++) {
            size_t at = (panel * VL_PANEL + c) * w->k, end = i + LINE < to ? i + LINE : to;
            expect(w, at + i + AHEAD / 2 * LINE);
            if (w->minus)
                for (size_t l = i; l < end; l++)
                    out[(l - from) * VL_PANEL + c] = w->a[at + l] - w->minus[at + l];
            else
                for (size_t l = i; l < end; l++)
                    out[(l - from) * VL_PANEL + c] = w->a[at + l];
        }
}

static void pack(const vl_panel_source *w, size_t panel, size_t from, size_t to, vl_real *out)
{
    (w->transposed ? pack_columns : pack_rows)(w, panel, from, to, out);
}

/* A tile of what is laid out: some panels, so that what is read of a source's row is more than two lines. */
enum { WIDE = 4 };

static size_t wides_of(size_t n)
{
    return (panels_of(n) + WIDE - 1) / WIDE;
}

static size_t last_of(size_t n, size_t wide)
{
    size_t end = (wide + 1) * WIDE, all = panels_of(n);

    return end < all ? end : all;
}

typedef struct pack_job {
    const vl_panels *p;
    const vl_panel_source *from;
} pack_job;

static void pack_wide(void *arg, size_t wide, int worker)
{
    const pack_job *j = arg;
    size_t k = j->p->k;

    (void)worker;
    for (size_t i = 0; i < k; i += DEPTH)
        for (size_t panel = wide * WIDE; panel < last_of(j->p->n, wide); panel++)
            pack(j->from, panel, i, i + DEPTH < k ? i + DEPTH : k, j->p->data + (panel * k + i) * VL_PANEL);
}

void vl_panels_pack(vl_pool *pool, const vl_panels *p, const vl_panel_source *from)
{
    pack_job j = {p, from};

    vl_pool_run(pool, wides_of(p->n), pack_wide, &j);
}

typedef struct unpack_job {
    const vl_panels *p;
    vl_real *a;
} unpack_job;

/* A block of rows of all panels, so that rows are written whole. */
static void unpack_rows(void *arg, size_t tile, int worker)
{
    const unpack_job *j = arg;
    size_t k = j->p->k, n = j->p->n, from = tile * LINE, to = from + LINE < k ? from + LINE : k;

    (void)worker;
    for (size_t panel = 0; panel < panels_of(n); panel++)
        for (size_t i = from; i < to; i++)
            memcpy(j->a + i * n + panel * VL_PANEL, j->p->data + (panel * k + i) * VL_PANEL,
                   width_of(n, panel) * sizeof *j->a);
}

void vl_panels_unpack(vl_pool *pool, const vl_panels *p, vl_real *a)
{
    unpack_job j = {p, a};

    vl_pool_run(pool, (p->k + LINE - 1) / LINE, unpack_rows, &j);
}

/* ---- the product -------------------------------------------------------------------------------- */

/* sum [rows][VL_PANEL] += x [rows, depth of ldx] (a block of a panel); then comes the next block. */
static void block(size_t rows, size_t depth, const vl_real *w, const vl_real *x, size_t ldx, vl_real *sum)
{
    vl_panel_block(rows, VL_PANEL, depth, w, w + depth * VL_PANEL, &(vl_panel_rows){x, ldx, depth, 0}, sum);
}

typedef struct job {
    size_t k, n, rows;
    const vl_panels *p; /* where W lies in panels, or: */
    const vl_panel_source *w;
    double *squares; /* of each tile; may be NULL */
    vl_real alpha, beta;
    const vl_real *x;
    vl_real *y;
} job;

/* Rows [row, row + rows) of y, this panel's columns. */
static void store(const job *j, size_t panel, size_t row, size_t rows, const vl_real *sum)
{
    size_t width = width_of(j->n, panel);

    for (size_t r = 0; r < rows; r++, sum += VL_PANEL) {
        vl_real *y = j->y + (row + r) * j->n + panel * VL_PANEL;
        if (j->beta == 0)
            for (size_t c = 0; c < width; c++)
                y[c] = j->alpha * sum[c];
        else
            for (size_t c = 0; c < width; c++)
                y[c] = j->alpha * sum[c] + j->beta * y[c];
    }
}

enum { STRIP = 2 * VL_PANEL_GROUP }; /* rows of x that share a passage of a packed panel */

static void packed_panel(void *arg, size_t panel, int worker)
{
    const job *j = arg;
    const vl_real *w = j->p->data + panel * j->k * VL_PANEL;

    (void)worker;
    for (size_t row = 0; row < j->rows; row += STRIP) {
        size_t rows = j->rows - row < STRIP ? j->rows - row : STRIP;
        vl_real sum[STRIP * VL_PANEL];
        memset(sum, 0, rows * VL_PANEL * sizeof *sum);
        for (size_t i = 0; i < j->k; i += DEPTH)
            block(rows, j->k - i < DEPTH ? j->k - i : DEPTH, w + i * VL_PANEL, j->x + row * j->k + i, j->k,
                  sum);
        store(j, panel, row, rows, sum);
    }
}

void vl_panels_times(vl_pool *pool, const vl_panels *p, size_t rows, const vl_real *x, vl_real *y)
{
    job j = {.k = p->k, .n = p->n, .rows = rows, .p = p, .alpha = 1, .x = x, .y = y};

    vl_pool_run(pool, panels_of(p->n), packed_panel, &j);
    vl_blas_count(2.0 * (double)rows * (double)p->k * (double)p->n);
}

static double sum_of_squares(const vl_real *v, size_t n)
{
    enum { APART = 8 }; /* sums, so that the loop has vectors */
    double s[APART] = {0}, all = 0;

    for (size_t i = 0; i + APART <= n; i += APART)
        for (int k = 0; k < APART; k++)
            s[k] += (double)v[i + (size_t)k] * (double)v[i + (size_t)k];
    for (int k = 0; k < APART; k++)
        all += s[k];
    return all;
}

enum { CHUNK = 160 }; /* rows of x for which W is laid out once */

/* One chunk of rows and one tile: block by block, each first laid out, then met by all rows. */
static double chunk(const job *j, size_t wide, size_t row, size_t rows)
{
    vl_real w[DEPTH * VL_PANEL], sum[WIDE][CHUNK * VL_PANEL];
    size_t begin = wide * WIDE, end = last_of(j->n, wide);
    double squares = 0;

    memset(sum, 0, sizeof sum);
    for (size_t i = 0; i < j->k; i += DEPTH) {
        size_t depth = j->k - i < DEPTH ? j->k - i : DEPTH;
        for (size_t panel = begin; panel < end; panel++) {
            pack(j->w, panel, i, i + depth, w);
            if (j->squares && row == 0)
                squares += sum_of_squares(w, depth * VL_PANEL);
            block(rows, depth, w, j->x + row * j->k + i, j->k, sum[panel - begin]);
        }
    }
    for (size_t panel = begin; panel < end; panel++)
        store(j, panel, row, rows, sum[panel - begin]);
    return squares;
}

static void source_wide(void *arg, size_t wide, int worker)
{
    const job *j = arg;
    size_t row = 0;

    (void)worker;
    do {
        size_t rows = j->rows - row < CHUNK ? j->rows - row : CHUNK;
        double squares = chunk(j, wide, row, rows);
        if (j->squares && row == 0)
            j->squares[wide] = squares;
        row += CHUNK;
    } while (row < j->rows);
}

void vl_panels_once(vl_pool *pool, const vl_panel_source *w, size_t rows, vl_real alpha, const vl_real *x,
                    vl_real beta, vl_real *y, double *squares)
{
    double of_tile[VL_PANEL_MAX_N / VL_PANEL / WIDE];
    job j = {w->k, w->n, rows, NULL, w, squares ? of_tile : NULL, alpha, beta, x, y};

    assert(w->n <= VL_PANEL_MAX_N);
    vl_pool_run(pool, wides_of(w->n), source_wide, &j);
    vl_blas_count(2.0 * (double)rows * (double)w->k * (double)w->n);
    if (!squares)
        return;
    *squares = 0;
    for (size_t i = 0; i < wides_of(w->n); i++)
        *squares += of_tile[i];
}
