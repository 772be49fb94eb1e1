/* SPDX-License-Identifier: MIT
 * recall_ranks.c -- the rank of every query's best positive, both ways.
 *
 * Every score is computed once, for both directions, in tiles of IMAGES x TEXTS; the matrix never exists.
 * A rank needs the score of its best positive before it can count who is above, so there are two rounds:
 *
 *   1  the tiles that hold a positive (with each image's captions side by side: those along the diagonal)
 *      give every positive's score; the best of each image and of each text are the bounds;
 *   2  every tile is counted against the bounds of its rows and of its columns.
 *
 * Invariants
 *   1  A score has the same bits in both rounds, because tiles do not move. Tiles of the first round are kept
 *      for the second one as long as there is room; the others are computed again, to the same bits.
 *   2  Equal embeddings have equal scores: products do not promise that (their kernels add up the last few
 *      columns of a tile in another order), so equal rows stand in them once, as one point with a weight. Else
 *      the ties of a collapsed network would be broken by where in a tile a row lies.
 *   3  Counts are whole numbers: the order of adding does not show. A job is a column of tiles, and owns the
 *      counts of its texts; those of images are kept by worker and added up. */
#include "distill/eval_recall.h"
#include "distill/relation.h"
#include "pipeline/blas.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

enum {
    IMAGES = 512,
    TEXTS = 512,
    KEPT_BYTES = 64 << 20 /* of tiles from the first round */
};

/* ---- points: rows that differ ------------------------------------------------------------------- */

typedef struct points {
    const vl_real *x; /* borrowed */
    size_t n, dim;    /* points */
    uint32_t *row;    /* [n] the first row of x that is this point */
    uint32_t *weight; /* [n] queries or candidates at it */
    uint32_t *of;     /* [items] the point of each image, or of each text */
    uint32_t *begin;  /* [n + 1], item: those of each point are item[begin[p]] .. item[begin[p + 1] - 1] */
    uint32_t *item;   /* [items], ascending within a point */
} points;

static void points_free(points *p)
{
    free(p->item);
    free(p->begin);
    free(p->of);
    free(p->weight);
    free(p->row);
}

/* The point of row r: an old one with the same bits, else a new one. table: [mask + 1] of 1 + point. */
static uint32_t point_of(points *p, uint32_t r, uint32_t *table, size_t mask)
{
    const vl_real *x = p->x + (size_t)r * p->dim;
    size_t at = XXH3_64bits(x, p->dim * sizeof *x) & mask;

    for (; table[at]; at = (at + 1) & mask)
        if (!memcmp(p->x + (size_t)p->row[table[at] - 1] * p->dim, x, p->dim * sizeof *x))
            return table[at] - 1;
    p->row[p->n++] = r;
    table[at] = (uint32_t)p->n;
    return (uint32_t)p->n - 1;
}

static void points_list(points *p, size_t items)
{
    for (size_t i = 0; i < items; i++)
        p->weight[p->of[i]]++;
    for (size_t k = 0; k < p->n; k++)
        p->begin[k + 1] = p->begin[k] + p->weight[k];
    for (size_t i = items; i-- > 0;) /* from the end: weight counts down and up again */
        p->item[p->begin[p->of[i]] + --p->weight[p->of[i]]] = (uint32_t)i;
    for (size_t k = 0; k < p->n; k++)
        p->weight[k] = p->begin[k + 1] - p->begin[k];
}

/* first: [items] row of x of each item; NULL: item i has row i. */
static int points_new(points *p, const vl_real *x, size_t dim, size_t items, const uint32_t *first, vl_err *e)
{
    size_t room = 4;
    uint32_t *table;

    while (room < 2 * items)
        room *= 2;
    p->x = x;
    p->dim = dim;
    if (!(p->row = vl_alloc(items, sizeof *p->row, e)) ||
        !(p->weight = vl_alloc(items, sizeof *p->weight, e)) ||
        !(p->of = vl_alloc(items, sizeof *p->of, e)) ||
        !(p->begin = vl_alloc(items + 1, sizeof *p->begin, e)) ||
        !(p->item = vl_alloc(items, sizeof *p->item, e)) || !(table = vl_alloc(room, sizeof *table, e)))
        return VL_ENOMEM;
    for (size_t i = 0; i < items; i++)
        p->of[i] = point_of(p, first ? first[i] : (uint32_t)i, table, room - 1);
    free(table);
    points_list(p, items);
    return VL_OK;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* The rows of points p .. p + n - 1: in place where they lie together, else gathered in room [n,dim]. */
static const vl_real *points_rows(const points *p, size_t begin, size_t n, vl_real *room)
{
    const uint32_t *row = p->row + begin;

    if (row[n - 1] - row[0] == n - 1)
        return p->x + row[0] * p->dim;
    for (size_t i = 0; i < n; i++)
        memcpy(room + i * p->dim, p->x + row[i] * p->dim, p->dim * sizeof *room);
    return room;
}

/* ---- tiles -------------------------------------------------------------------------------------- */

typedef struct ranking {
    const vl_data *d;
    vld_relation texts;
    uint32_t *first;            /* [n_groups] the first caption of each group */
    points u, v;                /* of images, of texts */
    size_t rows, columns, tile; /* tiles; reals of one, which is no larger than the set */
    int32_t *slot;              /* [columns][rows] where a tile is kept; NO_POSITIVE, NOT_KEPT */
    size_t n_slots;
    vl_real *kept;                   /* [n_slots][tile] */
    vl_real *score;                  /* [workers][tile] */
    vl_real *image_rows, *text_rows; /* [workers][IMAGES][dim], [workers][TEXTS][dim] */
    vl_real *positive;               /* [texts.begin[n]] */
    vl_real *best_image, *best_text; /* [n], [n_groups] */
    vl_real *bound;                  /* [v.n] of the first text at each point */
    uint32_t *above_point;           /* [v.n] of the same text */
    uint32_t *above_text;            /* [n_groups] of the further ones */
    uint32_t *above_image;           /* [workers][n] */
    atomic_int bad;
} ranking;

enum { NO_POSITIVE = -1, NOT_KEPT = -2 };

typedef struct column {
    size_t begin, n; /* points of texts */
    int worker;
    const vl_real *v; /* their rows; NULL: not yet gathered */
} column;

static column column_of(const ranking *r, size_t number, int worker)
{
    return (column){number * TEXTS, least(TEXTS, r->v.n - number * TEXTS), worker, NULL};
}

/* Scores of tile (row, c), [points of images][points of texts], to out. */
static void tile_scores(const ranking *r, size_t row, column *c, vl_real *out)
{
    size_t w = (size_t)c->worker, dim = r->u.dim, begin = row * IMAGES, n = least(IMAGES, r->u.n - begin);
    const vl_real *u = points_rows(&r->u, begin, n, r->image_rows + w * least(IMAGES, r->u.n) * dim);

    if (!c->v)
        c->v = points_rows(&r->v, c->begin, c->n, r->text_rows + w * least(TEXTS, r->v.n) * dim);
    vl_gemm(0, 1, n, c->n, dim, 1, u, dim, c->v, dim, 0, out, c->n);
}

static vl_real *tile_place(const ranking *r, size_t row, size_t number, int worker)
{
    int32_t slot = r->slot[number * r->rows + row];

    return slot >= 0 ? r->kept + (size_t)slot * r->tile : r->score + (size_t)worker * r->tile;
}

/* ---- round 1 ------------------------------------------------------------------------------------ */

static void find_positives(void *arg, size_t number, int worker)
{
    ranking *r = arg;
    column c = column_of(r, number, worker);

    for (size_t row = 0; row < r->rows; row++) {
        vl_real *s = tile_place(r, row, number, worker);
        size_t begin = row * IMAGES, end = least(begin + IMAGES, r->u.n);
        if (r->slot[number * r->rows + row] == NO_POSITIVE)
            continue;
        tile_scores(r, row, &c, s);
        for (size_t at = r->u.begin[begin]; at < r->u.begin[end]; at++) {
            size_t i = r->u.item[at], line = r->u.of[i] - begin;
            for (size_t k = r->texts.begin[i]; k < r->texts.begin[i + 1]; k++) {
                size_t j = r->v.of[r->texts.list[k]] - c.begin; /* unsigned: one that is below is far above */
                if (j < c.n)
                    r->positive[k] = s[line * c.n + j];
            }
        }
    }
}

static void find_bounds(ranking *r)
{
    for (size_t g = 0; g < r->d->n_groups; g++)
        r->best_text[g] = -INFINITY;
    for (size_t i = 0; i < r->d->n; i++) {
        r->best_image[i] = -INFINITY;
        for (size_t k = r->texts.begin[i]; k < r->texts.begin[i + 1]; k++) {
            vl_real x = r->positive[k], *b = &r->best_text[r->texts.list[k]];
            r->best_image[i] = x > r->best_image[i] ? x : r->best_image[i];
            *b = x > *b ? x : *b;
        }
    }
    for (size_t p = 0; p < r->v.n; p++)
        r->bound[p] = r->best_text[r->v.item[r->v.begin[p]]];
}

/* ---- round 2 ------------------------------------------------------------------------------------ */

/* Scores s [n] of one point of images as candidates of n texts: those that reach a text's bound count. */
static void count_line(const vl_real *restrict s, size_t n, uint32_t weight, const vl_real *restrict bound,
                       uint32_t *restrict above, uint32_t *bad)
{
    uint32_t wrong = 0;

    for (size_t j = 0; j < n; j++) {
        above[j] += s[j] >= bound[j] ? weight : 0;
        wrong += s[j] != s[j];
    }
    *bad += wrong;
}

/* The same scores as those of n candidates of one image. */
static uint32_t count_candidates(const vl_real *restrict s, size_t n, vl_real bound,
                                 const uint32_t *restrict weight)
{
    uint32_t sum = 0;

    for (size_t j = 0; j < n; j++)
        sum += s[j] >= bound ? weight[j] : 0;
    return sum;
}

/* Texts that share a point with an earlier one. */
static void count_others(ranking *r, const column *c, const vl_real *s, uint32_t weight)
{
    for (size_t j = 0; j < c->n; j++)
        for (size_t at = r->v.begin[c->begin + j] + 1; at < r->v.begin[c->begin + j + 1]; at++)
            r->above_text[r->v.item[at]] += s[j] >= r->best_text[r->v.item[at]] ? weight : 0;
}

static void count_above(void *arg, size_t number, int worker)
{
    ranking *r = arg;
    column c = column_of(r, number, worker);
    uint32_t *above = r->above_image + (size_t)worker * r->d->n, bad = 0;
    bool others = r->v.begin[c.begin + c.n] - r->v.begin[c.begin] > c.n;

    for (size_t row = 0; row < r->rows; row++) {
        vl_real *s = tile_place(r, row, number, worker);
        size_t begin = row * IMAGES, end = least(begin + IMAGES, r->u.n);
        if (r->slot[number * r->rows + row] < 0)
            tile_scores(r, row, &c, s);
        for (size_t p = begin; p < end; p++, s += c.n) {
            count_line(s, c.n, r->u.weight[p], r->bound + c.begin, r->above_point + c.begin, &bad);
            for (size_t at = r->u.begin[p]; at < r->u.begin[p + 1]; at++)
                above[r->u.item[at]] +=
                    count_candidates(s, c.n, r->best_image[r->u.item[at]], r->v.weight + c.begin);
            if (others)
                count_others(r, &c, s, r->u.weight[p]);
        }
    }
    if (bad)
        atomic_store(&r->bad, 1);
}

/* Negatives are all candidates less the positives that reach the bound. */
static void ranks_of_counts(const ranking *r, int workers, uint32_t *ir, uint32_t *tr)
{
    for (size_t g = 0; g < r->d->n_groups; g++)
        ir[g] = r->above_text[g] + 1;
    for (size_t p = 0; p < r->v.n; p++)
        ir[r->v.item[r->v.begin[p]]] += r->above_point[p];
    for (size_t i = 0; i < r->d->n; i++) {
        tr[i] = 1;
        for (int w = 0; w < workers; w++)
            tr[i] += r->above_image[(size_t)w * r->d->n + i];
        for (size_t k = r->texts.begin[i]; k < r->texts.begin[i + 1]; k++) {
            uint32_t g = r->texts.list[k];
            tr[i] -= r->positive[k] >= r->best_image[i];
            ir[g] -= r->positive[k] >= r->best_text[g];
        }
    }
}

/* ---- memory ------------------------------------------------------------------------------------- */

/* Which tiles hold a positive, and which of these are kept. */
static void plan_tiles(ranking *r)
{
    size_t room = KEPT_BYTES / (r->tile * sizeof(vl_real));

    for (size_t t = 0; t < r->rows * r->columns; t++)
        r->slot[t] = NO_POSITIVE;
    for (size_t i = 0; i < r->d->n; i++)
        for (size_t k = r->texts.begin[i]; k < r->texts.begin[i + 1]; k++)
            r->slot[r->v.of[r->texts.list[k]] / TEXTS * r->rows + r->u.of[i] / IMAGES] = NOT_KEPT;
    for (size_t t = 0; t < r->rows * r->columns && r->n_slots < room; t++)
        if (r->slot[t] == NOT_KEPT)
            r->slot[t] = (int32_t)r->n_slots++;
}

static int ranking_points(ranking *r, const vl_real *u, const vl_real *v, size_t dim, vl_err *e)
{
    const vl_data *d = r->d;
    uint32_t next = 0;
    int rc = vld_relate_texts(d, &r->texts, e);

    if (!rc && !(r->first = vl_alloc(d->n_groups, sizeof *r->first, e)))
        rc = VL_ENOMEM;
    for (size_t c = 0; !rc && c < d->n_caps; c++)
        if (d->group[c] == next)
            r->first[next++] = (uint32_t)c;
    if (!rc)
        rc = points_new(&r->u, u, dim, d->n, NULL, e);
    return rc ? rc : points_new(&r->v, v, dim, d->n_groups, r->first, e);
}

static int ranking_room(ranking *r, size_t workers, vl_err *e)
{
    const vl_data *d = r->d;
    size_t row = r->u.dim * sizeof(vl_real);

    r->rows = (r->u.n + IMAGES - 1) / IMAGES;
    r->columns = (r->v.n + TEXTS - 1) / TEXTS;
    r->tile = least(IMAGES, r->u.n) * least(TEXTS, r->v.n);
    if (!(r->slot = vl_alloc(r->rows, r->columns * sizeof *r->slot, e)))
        return VL_ENOMEM;
    plan_tiles(r);
    if ((r->n_slots && !(r->kept = vl_alloc(r->n_slots, r->tile * sizeof *r->kept, e))) ||
        !(r->score = vl_alloc(workers, r->tile * sizeof *r->score, e)) ||
        !(r->image_rows = vl_alloc(workers * least(IMAGES, r->u.n), row, e)) ||
        !(r->text_rows = vl_alloc(workers * least(TEXTS, r->v.n), row, e)) ||
        !(r->positive = vl_alloc(r->texts.begin[d->n], sizeof *r->positive, e)) ||
        !(r->best_image = vl_alloc(d->n, sizeof *r->best_image, e)) ||
        !(r->best_text = vl_alloc(d->n_groups, sizeof *r->best_text, e)) ||
        !(r->bound = vl_alloc(r->v.n, sizeof *r->bound, e)) ||
        !(r->above_point = vl_alloc(r->v.n, sizeof *r->above_point, e)) ||
        !(r->above_text = vl_alloc(d->n_groups, sizeof *r->above_text, e)) ||
        !(r->above_image = vl_alloc(workers, d->n * sizeof *r->above_image, e)))
        return VL_ENOMEM;
    return VL_OK;
}

static void ranking_close(ranking *r)
{
    free(r->above_image);
    free(r->above_text);
    free(r->above_point);
    free(r->bound);
    free(r->best_text);
    free(r->best_image);
    free(r->positive);
    free(r->text_rows);
    free(r->image_rows);
    free(r->score);
    free(r->kept);
    free(r->slot);
    points_free(&r->v);
    points_free(&r->u);
    free(r->first);
    vld_relation_free(&r->texts);
}

int vld_recall_ranks(const vl_data *d, size_t dim, const vl_real *u, const vl_real *v, vl_pool *pool,
                     uint32_t *ir, uint32_t *tr, vl_err *e)
{
    ranking r = {.d = d};
    int workers = vl_pool_threads(pool), rc;

    atomic_init(&r.bad, 0);
    rc = ranking_points(&r, u, v, dim, e);
    if (!rc)
        rc = ranking_room(&r, (size_t)workers, e);
    if (!rc) {
        vl_pool_run(pool, r.columns, find_positives, &r);
        find_bounds(&r);
        vl_pool_run(pool, r.columns, count_above, &r);
        if (atomic_load(&r.bad))
            rc = vl_fail(e, VL_EMATH, "a retrieval score is not a number");
        else
            ranks_of_counts(&r, workers, ir, tr);
    }
    ranking_close(&r);
    return rc;
}
