/* SPDX-License-Identifier: MIT
 * panel_layer.c -- all products are of panel_block.c's one kind, rows by a panel; so operands are laid out for it
 * first (rows by 32 columns, [.][32], zeros beyond the edge):
 *
 *   xt   [B/32][K][32]  x turned      g  [N/32][B][32]  g      gt  [B/32][N][32]  g turned
 *
 * Then, for a tile of TILE rows of W and a run of RUN of its panels, which stay in the cache meanwhile:
 *   gxt [B/32][TILE][32] += (rows of the panels of W) gt       the left operand goes from panel to panel
 *   a panel of W or V    += (rows of xt) g                     the left operand goes from batch to batch
 * and a tile's gxt, turned back, is its columns of gx. What a tile writes nobody else touches. */
#include "pipeline/panel_layer.h"
#include "pipeline/blas.h"
#include "pipeline/panel_block.h"
#include "pipeline/turn.h"

#include <stdlib.h>
#include <string.h>

enum { TILE = 160 /* rows, about */, RUN = 6, STRIPE = 4 /* panels that are laid out at a time */ };

static size_t panels_of(size_t n)
{
    return (n + VL_PANEL - 1) / VL_PANEL;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

int vl_panel_layer_new(size_t k, size_t n, bool momentum, vl_panel_layer *l, vl_err *e)
{
    int rc;

    *l = (vl_panel_layer){{0}, {0}};
    rc = vl_panels_new(k, n, &l->w, e);
    if (!rc && momentum)
        rc = vl_panels_new(k, n, &l->v, e);
    if (rc)
        vl_panel_layer_free(l);
    return rc;
}

void vl_panel_layer_free(vl_panel_layer *l)
{
    vl_panels_free(&l->v);
    vl_panels_free(&l->w);
}

void vl_panel_layer_load(vl_pool *pool, vl_panel_layer *l, const vl_real *w)
{
    const vl_panel_source from = {l->w.k, l->w.n, w, NULL, false};

    vl_panels_pack(pool, &l->w, &from);
    if (l->v.data)
        memset(l->v.data, 0, vl_panels_bytes(&l->v));
}

void vl_panel_layer_store(vl_pool *pool, const vl_panel_layer *l, vl_real *w)
{
    vl_panels_unpack(pool, &l->w, w);
}

int vl_panel_space_new(size_t rows, size_t k, size_t n, vl_panel_space *s, vl_err *e)
{
    size_t batches = panels_of(rows), line = VL_PANEL * sizeof(vl_real);

    *s = (vl_panel_space){.rows = rows, .k = k, .n = n};
    if ((s->xt = vl_alloc(batches * k, line, e)) && (s->g = vl_alloc(panels_of(n) * rows, line, e)) &&
        (s->gt = vl_alloc(batches * panels_of(n) * VL_PANEL, line, e)) &&
        (s->gxt = vl_alloc(batches * k, line, e)))
        return VL_OK;
    vl_panel_space_free(s);
    return VL_ENOMEM;
}

void vl_panel_space_free(vl_panel_space *s)
{
    free(s->gxt);
    free(s->gt);
    free(s->g);
    free(s->xt);
    *s = (vl_panel_space){0};
}

typedef struct job {
    vl_panel_layer *l;
    const vl_panel_rule *rule;
    size_t rows, k, n, batches, tile; /* tile: rows of W */
    const vl_real *x, *g;
    vl_real *gx;
    const vl_panel_space *s;
} job;

/* ---- laying out --------------------------------------------------------------------------------- */

/* Columns [from, to) of a [rows,width] become out [rows / 32][ldo][32]. */
static void lay_turned(const vl_real *a, size_t rows, size_t width, size_t from, size_t to, vl_real *out,
                       size_t ldo)
{
    for (size_t r = 0; r < rows; r += VL_PANEL, out += ldo * VL_PANEL) {
        size_t lanes = least(VL_PANEL, rows - r);
        if (lanes < VL_PANEL)
            memset(out + from * VL_PANEL, 0, (to - from) * VL_PANEL * sizeof *out);
        vl_turn(lanes, to - from, a + r * width + from, width, out + from * VL_PANEL, VL_PANEL);
    }
}

/* One panel of g, times scale. */
static void lay_panel(const job *j, size_t panel, vl_real scale)
{
    size_t at = panel * VL_PANEL, width = least(VL_PANEL, j->n - at);
    vl_real *out = j->s->g + at * j->rows;

    for (size_t r = 0; r < j->rows; r++, out += VL_PANEL) {
        for (size_t c = 0; c < width; c++)
            out[c] = scale * j->g[r * j->n + at + c];
        for (size_t c = width; c < VL_PANEL; c++)
            out[c] = 0;
    }
}

static size_t stripes_of(size_t n)
{
    return (n + STRIPE * VL_PANEL - 1) / (STRIPE * VL_PANEL);
}

/* A stripe of x, or behind those one of g. */
static void lay_stripe(void *arg, size_t tile, int worker)
{
    const job *j = arg;
    size_t of_x = stripes_of(j->k), stripe = tile < of_x ? tile : tile - of_x;
    size_t from = stripe * STRIPE * VL_PANEL, n_t = panels_of(j->n) * VL_PANEL;
    size_t to = least(from + STRIPE * VL_PANEL, tile < of_x ? j->k : j->n);

    (void)worker;
    if (tile < of_x) {
        lay_turned(j->x, j->rows, j->k, from, to, j->s->xt, j->k);
        return;
    }
    if (j->gx)
        lay_turned(j->g, j->rows, j->n, from, to, j->s->gt, n_t);
    for (size_t p = from / VL_PANEL; p * VL_PANEL < to; p++)
        lay_panel(j, p, j->l->v.data ? 1 : -j->rule->rate);
}

/* ---- a tile ------------------------------------------------------------------------------------- */

/* The tile's gxt [batch][rows][32] += W gt, over panels [panel, panel + count). */
static void give(const job *j, size_t from, size_t rows, size_t panel, size_t count)
{
    size_t n_t = panels_of(j->n) * VL_PANEL, depth = least(count * VL_PANEL, j->n - panel * VL_PANEL);
    const vl_real *w = j->l->w.data + (panel * j->k + from) * VL_PANEL;
    const vl_panel_rows left = {w, VL_PANEL, VL_PANEL, j->k * VL_PANEL};

    for (size_t b = 0; b < j->batches; b++) {
        const vl_real *gt = j->s->gt + (b * n_t + panel * VL_PANEL) * VL_PANEL;
        vl_panel_block(rows, least(VL_PANEL, j->rows - b * VL_PANEL), depth, gt, NULL, &left,
                       j->s->gxt + (b * j->k + from) * VL_PANEL);
    }
}

/* A few rows of one panel take their step: row [n] of the layer's rows from `from` on. */
static void take_group(const job *j, size_t from, size_t rows, size_t panel)
{
    const size_t at = (panel * j->k + from) * VL_PANEL, n = rows * VL_PANEL;
    vl_real *restrict w = j->l->w.data + at, *restrict v = j->l->v.data ? j->l->v.data + at : NULL;
    const vl_panel_rows left = {j->s->xt + from * VL_PANEL, VL_PANEL, VL_PANEL, j->k * VL_PANEL};
    const vl_real keep = 1 - j->rule->rate * j->rule->decay, rate = j->rule->rate;
    const vl_real mu = j->rule->momentum, decay = j->rule->decay;
    /* The next panel; with gx its W has been read already. */
    const vl_real *soon = v ? v + j->k * VL_PANEL : j->gx ? NULL : w + j->k * VL_PANEL;

    if (v)
        for (size_t i = 0; i < n; i++)
            v[i] = mu * v[i] + decay * w[i];
    else if (keep != 1)
        for (size_t i = 0; i < n; i++)
            w[i] *= keep;
    vl_panel_block(rows, VL_PANEL, j->rows, j->s->g + panel * j->rows * VL_PANEL, soon, &left, v ? v : w);
    for (size_t i = 0; v && i < n; i++)
        w[i] -= rate * v[i];
}

/* Rows [from, from + rows) of one panel take their step. */
static void take(const job *j, size_t from, size_t rows, size_t panel)
{
    for (size_t r = 0; r < rows; r += VL_PANEL_GROUP)
        take_group(j, from + r, least(VL_PANEL_GROUP, rows - r), panel);
}

/* gx += gxt turned back, the tile's columns. */
static void turn_back(const job *j, size_t from, size_t rows)
{
    for (size_t r = 0; r < j->rows; r += VL_PANEL)
        vl_turn_add(rows, least(VL_PANEL, j->rows - r), j->s->gxt + (r * j->k + from * VL_PANEL), VL_PANEL,
                    j->gx + r * j->k + from, j->k);
}

static void learn_tile(void *arg, size_t tile, int worker)
{
    const job *j = arg;
    size_t from = tile * j->tile, rows = least(j->tile, j->k - from);

    (void)worker;
    for (size_t b = 0; j->gx && b < j->batches; b++)
        memset(j->s->gxt + (b * j->k + from) * VL_PANEL, 0, rows * VL_PANEL * sizeof *j->gx);
    for (size_t panel = 0; panel < panels_of(j->n); panel += RUN) {
        size_t count = least(RUN, panels_of(j->n) - panel);
        if (j->gx)
            give(j, from, rows, panel, count);
        for (size_t p = panel; p < panel + count; p++)
            take(j, from, rows, p);
    }
    if (j->gx)
        turn_back(j, from, rows);
}

/* An even number of tiles, of whole groups of rows but the last. */
static size_t tile_of(size_t k)
{
    size_t tiles = 2 * ((k + 2 * TILE - 1) / (2 * TILE)), rows = (k + tiles - 1) / tiles;

    return (rows + VL_PANEL_GROUP - 1) / VL_PANEL_GROUP * VL_PANEL_GROUP;
}

void vl_panel_layer_learn(vl_pool *pool, vl_panel_layer *l, const vl_panel_rule *rule, const vl_real *x,
                          const vl_real *g, vl_real *gx, const vl_panel_space *s)
{
    job j = {l, rule, s->rows, l->w.k, l->w.n, panels_of(s->rows), tile_of(l->w.k), x, g, gx, s};

    vl_pool_run(pool, stripes_of(j.k) + stripes_of(j.n), lay_stripe, &j);
    vl_pool_run(pool, (j.k + j.tile - 1) / j.tile, learn_tile, &j);
    vl_blas_count((gx ? 4.0 : 2.0) * (double)j.rows * (double)j.k * (double)j.n);
}
