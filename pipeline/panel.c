/* SPDX-License-Identifier: MIT
 * panel.c -- products of a few rows with a matrix laid out once, from both sides, at the speed of memory.
 *
 * y = x W: a tile is a panel, read in blocks of DEPTH of its rows, with the sums of its columns nearby.
 * y = x W^T: a tile is RUN rows of W, which lie in pieces, one in each panel. It is read by CHUNK panels at a time;
 * the rows of x meet four rows of W and leave each sum in as many parts as a register has lanes, which are added
 * up at the end. So no value of W moves between lanes, and one layout serves both sides.
 * Rows of x are taken by strips, so that a strip's sums stay in the caches near the processor. */
#include "pipeline/panel.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum {
    STRIP = 20, /* rows of x */
    DEPTH = 128,
    RUN = 96,  /* a multiple of VL_ALONG and VL_LANES */
    CHUNK = 4, /* panels: with them STRIP rows of x fill half of a level-1 cache */
    AHEAD = 2  /* groups of VL_ALONG rows, from which on they are asked for */
};

/* A page of 2 MB where the system has such: a product walks through all of it, and with small pages looking up
 * addresses costs a sixth of its time. */
enum { HUGE_PAGE = 1 << 21 };

static size_t panels_of(size_t n)
{
    return (n + VL_PANEL - 1) / VL_PANEL;
}

/* Rows of a panel: zeros make them up to whole groups. */
static size_t height_of(size_t k)
{
    return (k + VL_ALONG - 1) / VL_ALONG * VL_ALONG;
}

int vl_panels_new(size_t k, size_t n, vl_panels *p, vl_err *e)
{
    size_t panels = panels_of(n), row = VL_PANEL * sizeof(vl_real), bytes;

    *p = (vl_panels){k, n, height_of(k), NULL};
    if (k > VL_PANEL_MAX || n > VL_PANEL_MAX || panels > VL_ALLOC_MAX / row / p->height)
        return vl_fail(e, VL_ENOMEM, "a matrix of %zu x %zu in panels", k, n);
    bytes = panels * p->height * row;
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
    return panels_of(p->n) * p->height * VL_PANEL * sizeof(vl_real);
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* ---- packing ------------------------------------------------------------------------------------ */

enum { PACK_ROWS = 16, PACK_TILES = VL_PANEL_MAX / PACK_ROWS };

typedef struct pack_job {
    const vl_panels *p;
    const vl_real *a, *minus;
    double *squares; /* of each tile; may be NULL */
} pack_job;

/* out [VL_PANEL] = `width` values, and zeros. */
static inline void pack_piece(const vl_real *a, const vl_real *minus, size_t width, vl_real *restrict out)
{
    if (minus)
        for (size_t c = 0; c < width; c++)
            out[c] = a[c] - minus[c];
    else
        memcpy(out, a, width * sizeof *out);
    for (size_t c = width; c < VL_PANEL; c++)
        out[c] = 0;
}

static double sum_of_squares(const vl_real *v)
{
    enum { APART = 8 }; /* sums, so that the loop has vectors */
    double s[APART] = {0}, all = 0;

    for (size_t i = 0; i < VL_PANEL; i += APART)
        for (size_t k = 0; k < APART; k++)
            s[k] += (double)v[i + k] * (double)v[i + k];
    for (size_t k = 0; k < APART; k++)
        all += s[k];
    return all;
}

/* Some rows of W, each from its beginning to its end. */
static void pack_rows(void *arg, size_t tile, int worker)
{
    const pack_job *j = arg;
    const vl_panels *p = j->p;
    size_t from = tile * PACK_ROWS, to = least(from + PACK_ROWS, p->height);
    double squares = 0;

    (void)worker;
    for (size_t k = from; k < to; k++)
        for (size_t c = 0; c < p->n; c += VL_PANEL) {
            vl_real *out = p->data + c * p->height + k * VL_PANEL;
            size_t width = k < p->k ? least(VL_PANEL, p->n - c) : 0, at = k * p->n + c;
            if (width == VL_PANEL) /* a constant: whole vectors */
                pack_piece(j->a + at, j->minus ? j->minus + at : NULL, VL_PANEL, out);
            else
                pack_piece(j->a + at, j->minus ? j->minus + at : NULL, width, out);
            if (j->squares)
                squares += sum_of_squares(out);
        }
    if (j->squares)
        j->squares[tile] = squares;
}

void vl_panels_pack(vl_pool *pool, const vl_panels *p, const vl_real *a, const vl_real *minus,
                    double *squares)
{
    double of_tile[PACK_TILES + 1];
    pack_job j = {p, a, minus, squares ? of_tile : NULL};
    size_t tiles = (p->height + PACK_ROWS - 1) / PACK_ROWS;

    vl_pool_run(pool, tiles, pack_rows, &j);
    if (!squares)
        return;
    *squares = 0;
    for (size_t i = 0; i < tiles; i++)
        *squares += of_tile[i];
}

/* ---- the products ------------------------------------------------------------------------------- */

typedef struct job {
    const vl_panels *p;
    size_t rows;
    vl_real alpha, beta;
    const vl_real *x;
    vl_real *y;
} job;

/* y [width] = alpha sum + beta y */
static void store(const job *j, size_t width, const vl_real *sum, vl_real *y)
{
    if (j->beta == 0)
        for (size_t c = 0; c < width; c++)
            y[c] = j->alpha * sum[c];
    else
        for (size_t c = 0; c < width; c++)
            y[c] = j->alpha * sum[c] + j->beta * y[c];
}

static void panel_tile(void *arg, size_t panel, int worker)
{
    const job *j = arg;
    size_t k = j->p->k, n = j->p->n, at = panel * VL_PANEL;
    const vl_real *w = j->p->data + at * j->p->height;

    (void)worker;
    for (size_t row = 0; row < j->rows; row += STRIP) {
        size_t rows = least(STRIP, j->rows - row);
        vl_real sum[STRIP * VL_PANEL] = {0};
        for (size_t i = 0; i < k; i += DEPTH)
            vl_kernel_across(rows, least(DEPTH, k - i), w + i * VL_PANEL, w + (i + DEPTH) * VL_PANEL,
                             j->x + row * k + i, k, sum);
        for (size_t r = 0; r < rows; r++)
            store(j, least(VL_PANEL, n - at), sum + r * VL_PANEL, j->y + (row + r) * n + at);
    }
}

void vl_panels_times(vl_pool *pool, const vl_panels *p, size_t rows, vl_real alpha, const vl_real *x,
                     vl_real beta, vl_real *y)
{
    job j = {p, rows, alpha, beta, x, y};

    vl_pool_run(pool, panels_of(p->n), panel_tile, &j);
}

/* x's values for some panels, [rows][CHUNK VL_PANEL], made up with zeros. */
static void take_chunk(const job *j, size_t row, size_t rows, size_t at, vl_real *out)
{
    size_t width = least(CHUNK * VL_PANEL, j->p->n - at);

    for (size_t r = 0; r < rows; r++, out += CHUNK * VL_PANEL) {
        memcpy(out, j->x + (row + r) * j->p->n + at, width * sizeof *out);
        memset(out + width, 0, (CHUNK * VL_PANEL - width) * sizeof *out);
    }
}

static void run_tile(void *arg, size_t tile, int worker)
{
    enum { GROUP = STRIP * VL_ALONG * VL_LANES };
    const job *j = arg;
    size_t height = j->p->height, stride = height * VL_PANEL, panels = panels_of(j->p->n);
    size_t from = tile * RUN, groups = least(RUN, height - from) / VL_ALONG,
           width = least(RUN, j->p->k - from);
    _Alignas(64) vl_real x[STRIP * CHUNK * VL_PANEL], parts[RUN / VL_ALONG * GROUP], sum[RUN];

    (void)worker;
    for (size_t row = 0; row < j->rows; row += STRIP) {
        size_t rows = least(STRIP, j->rows - row);
        memset(parts, 0, sizeof parts);
        for (size_t c = 0; c < panels; c += CHUNK) {
            const vl_real *w = j->p->data + c * stride + from * VL_PANEL;
            take_chunk(j, row, rows, c * VL_PANEL, x);
            for (size_t g = 0; g < groups; g++) {
                size_t ahead = g + AHEAD;
                const vl_real *next = ahead < groups
                                          ? w + ahead * VL_ALONG * VL_PANEL
                                          : w + CHUNK * stride + (ahead - groups) * VL_ALONG * VL_PANEL;
                vl_kernel_along(rows, least(CHUNK, panels - c), stride, w + g * VL_ALONG * VL_PANEL, next, x,
                                CHUNK * VL_PANEL, parts + g * GROUP);
            }
        }
        for (size_t r = 0; r < rows; r++) {
            vl_kernel_gather(RUN, parts + r * VL_ALONG * VL_LANES, GROUP, sum);
            store(j, width, sum, j->y + (row + r) * j->p->k + from);
        }
    }
}

void vl_panels_times_turned(vl_pool *pool, const vl_panels *p, size_t rows, vl_real alpha, const vl_real *x,
                            vl_real beta, vl_real *y)
{
    job j = {p, rows, alpha, beta, x, y};

    vl_pool_run(pool, (p->k + RUN - 1) / RUN, run_tile, &j);
}
