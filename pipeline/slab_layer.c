/* SPDX-License-Identifier: MIT
 * slab_layer.c -- all products are of slab_block.c's one kind, rows by a slab; so operands are laid out for it
 * first (rows by 32 columns, [.][32], zeros beyond the edge):
 *
 *   xt   [B/32][K][32]  x turned      g  [N/32][B][32]  g      gt  [B/32][N][32]  g turned
 *
 * Then, for a tile of TILE rows of W and a run of RUN of its slabs, which stay in the cache meanwhile:
 *   gxt [B/32][TILE][32] += (rows of the slabs of W) gt       the left operand goes from slab to slab
 *   a slab of W or V    += (rows of xt) g                     the left operand goes from batch to batch
 * and a tile's gxt, turned back, is its columns of gx. What a tile writes nobody else touches. */
#include "pipeline/slab_layer.h"
#include "pipeline/blas.h"
#include "pipeline/slab_block.h"
#include "pipeline/turn.h"

#include <stdlib.h>
#include <string.h>

enum { TILE = 160 /* rows, about */, RUN = 6, STRIPE = 4 /* slabs that are laid out at a time */ };

static size_t slabs_of(size_t n)
{
    return (n + VL_SLAB - 1) / VL_SLAB;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

int vl_slab_layer_new(size_t k, size_t n, bool momentum, vl_slab_layer *l, vl_err *e)
{
    int rc;

    *l = (vl_slab_layer){{0}, {0}};
    rc = vl_slabs_new(k, n, &l->w, e);
    if (!rc && momentum)
        rc = vl_slabs_new(k, n, &l->v, e);
    if (rc)
        vl_slab_layer_free(l);
    return rc;
}

void vl_slab_layer_free(vl_slab_layer *l)
{
    vl_slabs_free(&l->v);
    vl_slabs_free(&l->w);
}

void vl_slab_layer_load(vl_pool *pool, vl_slab_layer *l, const vl_real *w)
{
    vl_slabs_pack(pool, &l->w, w);
    if (l->v.data)
        memset(l->v.data, 0, vl_slabs_bytes(&l->v));
}

void vl_slab_layer_store(vl_pool *pool, const vl_slab_layer *l, vl_real *w)
{
    vl_slabs_unpack(pool, &l->w, w);
}

int vl_slab_space_new(size_t rows, size_t k, size_t n, vl_slab_space *s, vl_err *e)
{
    size_t batches = slabs_of(rows), line = VL_SLAB * sizeof(vl_real);

    *s = (vl_slab_space){.rows = rows};
    if ((s->xt = vl_alloc(batches * k, line, e)) && (s->g = vl_alloc(slabs_of(n) * rows, line, e)) &&
        (s->gt = vl_alloc(batches * slabs_of(n) * VL_SLAB, line, e)) &&
        (s->gxt = vl_alloc(batches * k, line, e)))
        return VL_OK;
    vl_slab_space_free(s);
    return VL_ENOMEM;
}

void vl_slab_space_free(vl_slab_space *s)
{
    free(s->gxt);
    free(s->gt);
    free(s->g);
    free(s->xt);
    *s = (vl_slab_space){0};
}

typedef struct job {
    vl_slab_layer *l;
    const vl_slab_rule *rule;
    size_t rows, k, n, batches, tile; /* tile: rows of W */
    const vl_real *x, *g;
    vl_real *gx;
    const vl_slab_space *s;
} job;

/* ---- laying out --------------------------------------------------------------------------------- */

/* Columns [from, to) of a [rows,width] become out [rows / 32][ldo][32]. */
static void lay_turned(const vl_real *a, size_t rows, size_t width, size_t from, size_t to, vl_real *out,
                       size_t ldo)
{
    for (size_t r = 0; r < rows; r += VL_SLAB, out += ldo * VL_SLAB) {
        size_t lanes = least(VL_SLAB, rows - r);
        if (lanes < VL_SLAB)
            memset(out + from * VL_SLAB, 0, (to - from) * VL_SLAB * sizeof *out);
        vl_turn(lanes, to - from, a + r * width + from, width, out + from * VL_SLAB, VL_SLAB);
    }
}

/* One slab of g, times scale. */
static void lay_slab(const job *j, size_t slab, vl_real scale)
{
    size_t at = slab * VL_SLAB, width = least(VL_SLAB, j->n - at);
    vl_real *out = j->s->g + at * j->rows;

    for (size_t r = 0; r < j->rows; r++, out += VL_SLAB) {
        for (size_t c = 0; c < width; c++)
            out[c] = scale * j->g[r * j->n + at + c];
        for (size_t c = width; c < VL_SLAB; c++)
            out[c] = 0;
    }
}

static size_t stripes_of(size_t n)
{
    return (n + STRIPE * VL_SLAB - 1) / (STRIPE * VL_SLAB);
}

/* A stripe of x, or behind those one of g. */
static void lay_stripe(void *arg, size_t tile, int worker)
{
    const job *j = arg;
    size_t of_x = stripes_of(j->k), stripe = tile < of_x ? tile : tile - of_x;
    size_t from = stripe * STRIPE * VL_SLAB, n_t = slabs_of(j->n) * VL_SLAB;
    size_t to = least(from + STRIPE * VL_SLAB, tile < of_x ? j->k : j->n);

    (void)worker;
    if (tile < of_x) {
        lay_turned(j->x, j->rows, j->k, from, to, j->s->xt, j->k);
        return;
    }
    if (j->gx)
        lay_turned(j->g, j->rows, j->n, from, to, j->s->gt, n_t);
    for (size_t p = from / VL_SLAB; p * VL_SLAB < to; p++)
        lay_slab(j, p, j->l->v.data ? 1 : -j->rule->rate);
}

/* ---- a tile ------------------------------------------------------------------------------------- */

/* The tile's gxt [batch][rows][32] += W gt, over slabs [slab, slab + count). */
static void give(const job *j, size_t from, size_t rows, size_t slab, size_t count)
{
    size_t n_t = slabs_of(j->n) * VL_SLAB, depth = least(count * VL_SLAB, j->n - slab * VL_SLAB);
    const vl_real *w = j->l->w.data + (slab * j->k + from) * VL_SLAB;
    const vl_slab_rows left = {w, VL_SLAB, VL_SLAB, j->k * VL_SLAB};

    for (size_t b = 0; b < j->batches; b++) {
        const vl_real *gt = j->s->gt + (b * n_t + slab * VL_SLAB) * VL_SLAB;
        vl_slab_block(rows, least(VL_SLAB, j->rows - b * VL_SLAB), depth, gt, NULL, &left,
                      j->s->gxt + (b * j->k + from) * VL_SLAB);
    }
}

/* A few rows of one slab take their step: row [n] of the layer's rows from `from` on. */
static void take_group(const job *j, size_t from, size_t rows, size_t slab)
{
    const size_t at = (slab * j->k + from) * VL_SLAB, n = rows * VL_SLAB;
    vl_real *restrict w = j->l->w.data + at, *restrict v = j->l->v.data ? j->l->v.data + at : NULL;
    const vl_slab_rows left = {j->s->xt + from * VL_SLAB, VL_SLAB, VL_SLAB, j->k * VL_SLAB};
    const vl_real keep = 1 - j->rule->rate * j->rule->decay, rate = j->rule->rate;
    const vl_real mu = j->rule->momentum, decay = j->rule->decay;
    /* The next slab; with gx its W has been read already. */
    const vl_real *soon = v ? v + j->k * VL_SLAB : j->gx ? NULL : w + j->k * VL_SLAB;

    if (v)
        for (size_t i = 0; i < n; i++)
            v[i] = mu * v[i] + decay * w[i];
    else if (keep != 1)
        for (size_t i = 0; i < n; i++)
            w[i] *= keep;
    vl_slab_block(rows, VL_SLAB, j->rows, j->s->g + slab * j->rows * VL_SLAB, soon, &left, v ? v : w);
    for (size_t i = 0; v && i < n; i++)
        w[i] -= rate * v[i];
}

/* Rows [from, from + rows) of one slab take their step. */
static void take(const job *j, size_t from, size_t rows, size_t slab)
{
    for (size_t r = 0; r < rows; r += VL_SLAB_GROUP)
        take_group(j, from + r, least(VL_SLAB_GROUP, rows - r), slab);
}

/* gx += gxt turned back, the tile's columns. */
static void turn_back(const job *j, size_t from, size_t rows)
{
    for (size_t r = 0; r < j->rows; r += VL_SLAB)
        vl_turn_add(rows, least(VL_SLAB, j->rows - r), j->s->gxt + (r * j->k + from * VL_SLAB), VL_SLAB,
                    j->gx + r * j->k + from, j->k);
}

static void learn_tile(void *arg, size_t tile, int worker)
{
    const job *j = arg;
    size_t from = tile * j->tile, rows = least(j->tile, j->k - from);

    (void)worker;
    for (size_t b = 0; j->gx && b < j->batches; b++)
        memset(j->s->gxt + (b * j->k + from) * VL_SLAB, 0, rows * VL_SLAB * sizeof *j->gx);
    for (size_t slab = 0; slab < slabs_of(j->n); slab += RUN) {
        size_t count = least(RUN, slabs_of(j->n) - slab);
        if (j->gx)
            give(j, from, rows, slab, count);
        for (size_t p = slab; p < slab + count; p++)
            take(j, from, rows, p);
    }
    if (j->gx)
        turn_back(j, from, rows);
}

/* An even number of tiles, of whole groups of rows but the last. */
static size_t tile_of(size_t k)
{
    size_t tiles = 2 * ((k + 2 * TILE - 1) / (2 * TILE)), rows = (k + tiles - 1) / tiles;

    return (rows + VL_SLAB_GROUP - 1) / VL_SLAB_GROUP * VL_SLAB_GROUP;
}

void vl_slab_layer_learn(vl_pool *pool, vl_slab_layer *l, const vl_slab_rule *rule, const vl_real *x,
                         const vl_real *g, vl_real *gx, const vl_slab_space *s)
{
    job j = {l, rule, s->rows, l->w.k, l->w.n, slabs_of(s->rows), tile_of(l->w.k), x, g, gx, s};

    vl_pool_run(pool, stripes_of(j.k) + stripes_of(j.n), lay_stripe, &j);
    vl_pool_run(pool, (j.k + j.tile - 1) / j.tile, learn_tile, &j);
    vl_blas_count((gx ? 4.0 : 2.0) * (double)j.rows * (double)j.k * (double)j.n);
}
