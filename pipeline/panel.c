/* SPDX-License-Identifier: MIT
 * panel.c -- products of a few rows with a matrix in panels, from both sides, at the speed of memory.
 *
 * y = x W: a tile is a panel, read in blocks of VL_PANEL of its rows, with the sums of its columns nearby.
 * y = x W^T: a tile is a run of rows of W, which lie in pieces, one in each panel. It is read by CHUNK panels at a
 * time; the rows of x meet four rows of W and leave each sum in as many parts as a register has lanes, which are
 * added up at the end. So no value of W moves between lanes, and one layout serves both sides.
 * Rows of x are taken by strips, so that a strip's sums stay in the caches near the processor. */
#include "pipeline/panel.h"
#include "pipeline/blas.h"
#include "pipeline/huge.h"
#include "pipeline/sums.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
    STRIP = 20,      /* rows of x */
    WIDE = VL_PANEL, /* columns of y that a tile has; a multiple of VL_ALONG and VL_LANES */
    NARROW = 32,     /* and where they are few: another such multiple */
    NARROW_BELOW = 8 * WIDE,
    CHUNK = 4, /* panels: with them STRIP rows of x fill half of a level-1 cache */
    AHEAD = 2  /* groups of VL_ALONG rows, from which on they are asked for */
};

static size_t panels_of(size_t n)
{
    return (n + VL_PANEL - 1) / VL_PANEL;
}

/* Rows of a panel: a group of rows may begin anywhere. */
static size_t height_of(size_t k)
{
    return k + VL_ALONG - 1;
}

int vl_panels_new(size_t k, size_t n, vl_panels *p, vl_err *e)
{
    *p = (vl_panels){k, n, height_of(k), NULL};
    if (panels_of(n) > VL_ALLOC_MAX / VL_PANEL / sizeof(vl_real) / p->height)
        return vl_fail(e, VL_ENOMEM, "a matrix of %zu x %zu in panels", k, n);
    p->data = vl_huge_alloc(vl_panels_bytes(p), e);
    return p->data ? VL_OK : VL_ENOMEM;
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

enum { PACK_ROWS = 16, PACK_TILES = VL_PANEL_MAX_K / PACK_ROWS };

typedef struct pack_job {
    const vl_panels *w, *far;
    const vl_real *a, *target;
    double *squares; /* of each tile */
} pack_job;

/* out [VL_PANEL] = `width` values, and zeros. */
static inline void pack_piece(const vl_real *a, size_t width, vl_real *restrict out)
{
    memcpy(out, a, width * sizeof *out);
    for (size_t c = width; c < VL_PANEL; c++)
        out[c] = 0;
}

static inline void pack_difference(const vl_real *a, const vl_real *b, size_t width, vl_real *restrict out)
{
    for (size_t c = 0; c < width; c++)
        out[c] = a[c] - b[c];
    for (size_t c = width; c < VL_PANEL; c++)
        out[c] = 0;
}

/* Some rows of W, each from its beginning to its end: two streams that are read. */
static void pack_rows(void *arg, size_t tile, int worker)
{
    const pack_job *j = arg;
    size_t n = j->w->n, height = j->w->height, from = tile * PACK_ROWS, to = least(from + PACK_ROWS, height);
    double squares[VL_SUMS] = {0};

    (void)worker;
    for (size_t k = from; k < to; k++)
        for (size_t c = 0; c < n; c += VL_PANEL) {
            size_t width = k < j->w->k ? least(VL_PANEL, n - c) : 0, out = c * height + k * VL_PANEL;
            const vl_real *a = j->a + k * n + c, *target = j->target + k * n + c;
            if (width == VL_PANEL) { /* a constant: whole vectors */
                pack_piece(a, VL_PANEL, j->w->data + out);
                pack_difference(a, target, VL_PANEL, j->far->data + out);
            } else {
                pack_piece(a, width, j->w->data + out);
                pack_difference(a, target, width, j->far->data + out);
            }
            vl_dot_add(squares, j->far->data + out, j->far->data + out, VL_PANEL);
        }
    j->squares[tile] = vl_sums_total(squares);
}

double vl_panels_pack(vl_pool *pool, const vl_panels *w, const vl_real *a, const vl_panels *far,
                      const vl_real *target)
{
    double of_tile[PACK_TILES + 1], squares = 0;
    pack_job j = {w, far, a, target, of_tile};
    size_t tiles = (w->height + PACK_ROWS - 1) / PACK_ROWS;

    assert(w->k <= VL_PANEL_MAX_K && w->k == far->k && w->n == far->n);
    vl_pool_run(pool, tiles, pack_rows, &j);
    for (size_t i = 0; i < tiles; i++)
        squares += of_tile[i];
    return squares;
}

/* ---- rows --------------------------------------------------------------------------------------- */

static size_t width_at(const vl_panels *p, size_t column)
{
    return least(VL_PANEL, p->n - column);
}

typedef struct put_job {
    const vl_panels *p;
    size_t at, rows;
    const vl_real *v;
} put_job;

static void put_panel(void *arg, size_t panel, int worker)
{
    const put_job *j = arg;
    size_t column = panel * VL_PANEL;

    (void)worker;
    for (size_t r = 0; r < j->rows; r++)
        pack_piece(j->v + r * j->p->n + column, width_at(j->p, column),
                   j->p->data + column * j->p->height + (j->at + r) * VL_PANEL);
}

void vl_panels_put(vl_pool *pool, const vl_panels *p, size_t at, size_t rows, const vl_real *v)
{
    put_job j = {p, at, rows, v};

    vl_pool_run(pool, panels_of(p->n), put_panel, &j);
}

void vl_panels_add(const vl_panels *p, size_t at, const vl_real *v)
{
    for (size_t c = 0; c < p->n; c += VL_PANEL) {
        vl_real *to = p->data + c * p->height + at * VL_PANEL;
        for (size_t i = 0; i < width_at(p, c); i++)
            to[i] += v[c + i];
    }
}

void vl_panels_zero(const vl_panels *p)
{
    memset(p->data, 0, vl_panels_bytes(p));
}

double vl_panels_dot(const vl_panels *p, size_t at, size_t rows, const vl_real *v)
{
    double s[VL_SUMS] = {0};

    for (size_t c = 0; c < p->n; c += VL_PANEL)
        for (size_t r = 0; r < rows; r++)
            vl_dot_add(s, p->data + c * p->height + (at + r) * VL_PANEL, v + r * p->n + c, width_at(p, c));
    return vl_sums_total(s);
}

/* ---- the products ------------------------------------------------------------------------------- */

typedef struct job {
    const vl_term *term;
    size_t terms, rows, n;
    size_t wide; /* a tile's columns of y */
    vl_real beta;
    vl_real *y;
    size_t ldy;
} job;

/* y [width] = alpha sum + beta y */
static void store(size_t width, vl_real alpha, const vl_real *sum, vl_real beta, vl_real *y)
{
    if (beta == 0)
        for (size_t c = 0; c < width; c++)
            y[c] = alpha * sum[c];
    else
        for (size_t c = 0; c < width; c++)
            y[c] = alpha * sum[c] + beta * y[c];
}

/* Columns [at, at + width) of y: a panel. x: of the first of these rows. */
static void add_plain(const job *j, const vl_term *t, vl_rows x, size_t rows, size_t at, size_t width,
                      vl_real beta, vl_real *y)
{
    const vl_real *w = t->w->data + at * t->w->height + t->from * VL_PANEL;
    size_t k = t->to - t->from;
    _Alignas(64) vl_real sum[STRIP * VL_PANEL] = {0};

    for (size_t i = 0; i < k; i += VL_PANEL, w += VL_PANEL * VL_PANEL, x.v += x.step)
        vl_kernel_across(rows, least(VL_PANEL, k - i), w, w + VL_PANEL * VL_PANEL, x.v, x.ld, sum);
    for (size_t r = 0; r < rows; r++)
        store(width, t->alpha, sum + r * VL_PANEL, beta, y + r * j->ldy);
}

/* x's values for some panels, [rows][CHUNK VL_PANEL] in `room`, made up with zeros. */
static vl_rows take_chunk(const vl_term *t, vl_rows x, size_t rows, size_t panel, vl_real *room)
{
    for (size_t c = 0; c < CHUNK; c++) {
        size_t column = (panel + c) * VL_PANEL, width = column < t->w->n ? width_at(t->w, column) : 0;
        for (size_t r = 0; r < rows; r++)
            pack_piece(x.v + c * x.step + r * x.ld, width, room + (r * CHUNK + c) * VL_PANEL);
    }
    return vl_rows_of(room, CHUNK * VL_PANEL);
}

enum { STEP = VL_ALONG * VL_PANEL, GROUP = STRIP * VL_ALONG * VL_LANES }; /* of a group: in W, in the parts */

/* Columns [at, at + width) of y: a run of rows of W. Rows of x that lie in panels are taken as they are. */
static void add_turned(const job *j, const vl_term *t, vl_rows x, size_t rows, size_t at, size_t width,
                       vl_real beta, vl_real *y)
{
    size_t groups = (width + VL_ALONG - 1) / VL_ALONG, panels = panels_of(t->w->n);
    size_t stride = t->w->height * VL_PANEL;
    const vl_real *w = t->w->data + (t->from + at) * VL_PANEL;
    _Alignas(64) vl_real room[STRIP * CHUNK * VL_PANEL], parts[WIDE / VL_ALONG * GROUP], sum[WIDE];

    memset(parts + groups * GROUP, 0, (j->wide / VL_ALONG - groups) * GROUP * sizeof *parts);
    for (size_t c = 0; c < panels; c += CHUNK, w += CHUNK * stride, x.v += CHUNK * x.step) {
        vl_rows chunk = x.step == VL_PANEL ? take_chunk(t, x, rows, c, room) : x;
        for (size_t g = 0; g < groups; g++) {
            size_t ahead = g + AHEAD;
            const vl_real *next =
                ahead < groups ? w + ahead * STEP : w + CHUNK * stride + (ahead - groups) * STEP;
            vl_kernel_along(rows, c == 0, least(CHUNK, panels - c), stride, w + g * STEP, next, chunk,
                            parts + g * GROUP);
        }
    }
    for (size_t r = 0; r < rows; r++) {
        vl_kernel_gather(j->wide, parts + r * VL_ALONG * VL_LANES, GROUP, sum);
        store(width, t->alpha, sum, beta, y + r * j->ldy);
    }
}

/* Columns [at, at + width) of y, all of one piece of x. */
static void add_same(const job *j, const vl_term *t, vl_rows x, size_t rows, size_t at, size_t width,
                     vl_real beta, vl_real *y)
{
    for (size_t r = 0; r < rows; r++)
        store(width, t->alpha, x.v + at / VL_PANEL * x.step + r * x.ld, beta, y + r * j->ldy);
}

static void tile(void *arg, size_t i, int worker)
{
    const job *j = arg;
    size_t at = i * j->wide, width = least(j->wide, j->n - at);

    (void)worker;
    for (size_t k = 0; k < j->terms; k++) /* all rows of one, while its part of W is near */
        for (size_t row = 0; row < j->rows; row += STRIP) {
            const vl_term *t = &j->term[k];
            vl_rows x = {t->x.v + row * t->x.ld, t->x.ld, t->x.step};
            (!t->w       ? add_same
             : t->turned ? add_turned
                         : add_plain)(j, t, x, least(STRIP, j->rows - row), at, width, k ? 1 : j->beta,
                                      j->y + row * j->ldy + at);
        }
}

void vl_panels_times(vl_pool *pool, const vl_term *term, size_t terms, size_t rows, size_t n, vl_real beta,
                     vl_real *y, size_t ldy)
{
    bool narrow = terms == 1 && term->turned && n < NARROW_BELOW;
    job j = {term, terms, rows, n, narrow ? NARROW : WIDE, beta, y, ldy};

    vl_pool_run(pool, (n + j.wide - 1) / j.wide, tile, &j);
    for (size_t i = 0; i < terms; i++)
        if (term[i].w)
            vl_blas_count(2.0 * (double)rows * (double)n *
                          (double)(term[i].turned ? term[i].w->n : term[i].to - term[i].from));
}

typedef struct outer_job {
    const vl_panels *a, *b;
    size_t rows;
    vl_real alpha, *c;
} outer_job;

static void outer_tile(void *arg, size_t panel, int worker)
{
    const outer_job *j = arg;
    size_t at = panel * VL_PANEL;

    (void)worker;
    for (size_t c = 0; c < j->b->n; c += VL_PANEL)
        vl_gemm(1, 0, width_at(j->a, at), width_at(j->b, c), j->rows, j->alpha,
                j->a->data + at * j->a->height, VL_PANEL, j->b->data + c * j->b->height, VL_PANEL, 1,
                j->c + at * j->b->n + c, j->b->n);
}

void vl_panels_outer(vl_pool *pool, const vl_panels *a, const vl_panels *b, size_t rows, vl_real alpha,
                     vl_real *c)
{
    outer_job j = {a, b, rows, alpha, c};

    vl_pool_run(pool, panels_of(a->n), outer_tile, &j);
}
