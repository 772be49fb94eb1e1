/* SPDX-License-Identifier: MIT
 * t_eval_recall.c -- ranks against a twin written from the words at the top of eval_recall.h. */
#include "distill/eval_recall.h"
#include "pipeline/rng.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { DIM = 5 };

/* A data set of n images with 1 .. max_caps captions each, out of `texts` different ones. */
typedef struct world {
    vl_data d;
    vl_real *u, *v; /* [n,DIM], [n_caps,DIM] */
    uint8_t *first; /* [n_caps] no earlier caption has its text */
} world;

/* levels 0: unit rows, no ties. Else: few whole numbers, so that many scores are equal. */
static vl_real value(uint64_t stream, uint64_t i, int levels)
{
    return levels ? (vl_real)(vl_rng(1, stream, i) % (uint64_t)levels)
                  : (vl_real)(2 * vl_rng_unit(1, stream, i) - 1);
}

static world world_of(size_t n, size_t max_caps, size_t texts, int levels)
{
    world w = {.d = {.n = n}};
    vl_err e;

    w.d.cap = calloc(n + 1, sizeof *w.d.cap);
    for (size_t i = 0; i < n; i++)
        w.d.cap[i + 1] = w.d.cap[i] + 1 + vl_rng(1, 1, i) % max_caps;
    w.d.n_caps = w.d.cap[n];
    w.d.caption = calloc(w.d.n_caps, sizeof *w.d.caption);
    w.first = calloc(w.d.n_caps, 1);
    w.v = calloc(w.d.n_caps * DIM, sizeof *w.v);
    w.u = calloc(n * DIM, sizeof *w.u);
    for (size_t c = 0; c < w.d.n_caps; c++) {
        uint64_t text = vl_rng(1, 2, c) % texts;
        char s[32];
        snprintf(s, sizeof s, "text %d", (int)text);
        w.d.caption[c] = strdup(s);
        w.first[c] = 1;
        for (size_t b = 0; b < c; b++)
            w.first[c] &= strcmp(w.d.caption[b], s) != 0;
        for (uint64_t k = 0; k < DIM; k++) /* equal texts have equal rows */
            w.v[c * DIM + k] = value(3, text * DIM + k, levels);
    }
    for (size_t i = 0; i < n * DIM; i++)
        w.u[i] = value(4, i, levels);
    if (vl_data_group(&w.d, &e))
        fail_msg("%s", e.text);
    return w;
}

static void end(world *w)
{
    vl_data_free(&w->d);
    free(w->first);
    free(w->u);
    free(w->v);
}

/* ---- the twin: strings compared, the whole score matrix, one loop a rule ---------------------- */

static double score(const world *w, size_t image, size_t cap)
{
    vl_real s = 0; /* whole numbers are exact; other scores have no ties to get wrong */

    for (size_t k = 0; k < DIM; k++)
        s += w->u[image * DIM + k] * w->v[cap * DIM + k];
    return s;
}

static int carries(const world *w, size_t image, size_t cap)
{
    for (size_t c = w->d.cap[image]; c < w->d.cap[image + 1]; c++)
        if (!strcmp(w->d.caption[c], w->d.caption[cap]))
            return 1;
    return 0;
}

static uint32_t twin_ir(const world *w, size_t cap)
{
    double best = -INFINITY;
    uint32_t rank = 1;

    for (size_t i = 0; i < w->d.n; i++)
        if (carries(w, i, cap))
            best = fmax(best, score(w, i, cap));
    for (size_t i = 0; i < w->d.n; i++)
        rank += !carries(w, i, cap) && score(w, i, cap) >= best;
    return rank;
}

static uint32_t twin_tr(const world *w, size_t image)
{
    double best = -INFINITY;
    uint32_t rank = 1;

    for (size_t c = 0; c < w->d.n_caps; c++)
        if (carries(w, image, c))
            best = fmax(best, score(w, image, c));
    for (size_t c = 0; c < w->d.n_caps; c++)
        rank += w->first[c] && !carries(w, image, c) && score(w, image, c) >= best;
    return rank;
}

static void check(const char *name, const world *w, vl_pool *pool)
{
    uint32_t *ir = malloc(w->d.n_groups * sizeof *ir), *tr = malloc(w->d.n * sizeof *tr), g = 0;
    size_t in[2][VLD_N_K] = {{0}};
    double mean = 0;
    vld_recall r;
    vl_err e;

    assert_int_equal(vld_recall_ranks(&w->d, DIM, w->u, w->v, pool, ir, tr, &e), VL_OK);
    assert_int_equal(vld_recall_at(&w->d, DIM, w->u, w->v, pool, &r, &e), VL_OK);
    for (size_t c = 0; c < w->d.n_caps; c++) {
        if (!w->first[c])
            continue;
        if (ir[g] != twin_ir(w, c))
            fail_msg("%s: text %u has rank %u, %u expected", name, g, ir[g], twin_ir(w, c));
        for (int k = 0; k < VLD_N_K; k++)
            in[0][k] += ir[g] <= (uint32_t)vld_recall_k[k];
        g++;
    }
    assert_int_equal(g, w->d.n_groups);
    for (size_t i = 0; i < w->d.n; i++) {
        if (tr[i] != twin_tr(w, i))
            fail_msg("%s: image %zu has rank %u, %u expected", name, i, tr[i], twin_tr(w, i));
        for (int k = 0; k < VLD_N_K; k++)
            in[1][k] += tr[i] <= (uint32_t)vld_recall_k[k];
    }
    for (int k = 0; k < VLD_N_K; k++) {
        assert_true(fabs(r.ir[k] - 100.0 * (double)in[0][k] / (double)g) < 1e-9);
        assert_true(fabs(r.tr[k] - 100.0 * (double)in[1][k] / (double)w->d.n) < 1e-9);
        mean += (r.ir[k] + r.tr[k]) / 6;
    }
    assert_true(fabs(r.mean - mean) < 1e-9);
    free(tr);
    free(ir);
}

static void twins(void **state)
{
    static const struct {
        const char *name;
        size_t n, max_caps, texts;
        int levels;
    } rows[] = {
        {"one pair", 1, 1, 1, 0},
        {"one caption each, nearly all different", 40, 1, 100000, 0},
        {"several captions", 60, 5, 100000, 0},
        {"equal captions", 60, 1, 12, 0},
        {"several, many equal, some twice on one image", 70, 5, 40, 0},
        {"ties", 60, 1, 100000, 2},
        {"ties and equal captions", 70, 4, 30, 3},
        {"all scores zero", 30, 2, 25, 1},
        {"one text for all", 30, 3, 1, 0},
        {"past a tile of images", 530, 1, 200, 4},
        {"past a tile of texts", 300, 4, 100000, 4},
    };
    vl_pool *pool = NULL;
    vl_err e;

    (void)state;
    assert_int_equal(vl_pool_new(3, &pool, &e), VL_OK);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        world w = world_of(rows[i].n, rows[i].max_caps, rows[i].texts, rows[i].levels);
        check(rows[i].name, &w, NULL);
        check(rows[i].name, &w, pool);
        end(&w);
    }
    vl_pool_free(pool);
}

/* The words, on numbers that can be followed. Images 0 1 2; texts: a on 0 and 1, b on 2, c on 2.
 *           a   b   c
 * image 0   1   1   0     TR: b scores as high as a: rank 2
 * image 1   3   0   0     TR: rank 1.  IR of a: its best image is 1: rank 1
 * image 2   2   1   5     TR: best positive c: rank 1.  IR of b: image 0 ties: rank 2.  IR of c: rank 1 */
static void by_hand(void **state)
{
    size_t cap[] = {0, 1, 2, 4};
    char *caption[] = {"a", "a", "b", "c"};
    static const vl_real u[] = {1, 1, 0, 3, 0, 0, 2, 1, 5}, v[] = {1, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1};
    vl_data d = {.n = 3, .n_caps = 4, .cap = cap, .caption = caption};
    uint32_t ir[3], tr[3];
    vld_recall r;
    vl_err e;

    (void)state;
    assert_int_equal(vld_recall_ranks(&d, 3, u, v, NULL, ir, tr, &e), VL_EARG); /* not grouped yet */
    assert_int_equal(vl_data_group(&d, &e), VL_OK);
    assert_int_equal(d.n_groups, 3);
    assert_int_equal(vld_recall_ranks(&d, 3, u, v, NULL, ir, tr, &e), VL_OK);
    assert_true(ir[0] == 1 && ir[1] == 2 && ir[2] == 1);
    assert_true(tr[0] == 2 && tr[1] == 1 && tr[2] == 1);
    vld_recall_of_ranks(ir, 3, tr, 3, &r);
    assert_true(fabs(r.ir[0] - 200.0 / 3) < 1e-9 && fabs(r.tr[0] - 200.0 / 3) < 1e-9);
    assert_true(r.ir[1] == 100 && r.tr[2] == 100);
    assert_true(fabs(r.mean - (400.0 / 3 + 400) / 6) < 1e-9);
    free(d.group);
}

/* A student that gives everything the same embedding has learnt nothing, and every query's rank says so: last.
 * Products may not tell equal rows apart, wherever in a tile they lie. */
static void collapsed(void **state)
{
    static const size_t dims[] = {1, 7, 64, 513, 2304};
    enum { IMAGES = 1100, TOP = 2304 };
    vl_pool *pool = NULL;
    uint32_t ir[IMAGES], tr[IMAGES];
    vl_err e;

    (void)state;
    assert_int_equal(vl_pool_new(2, &pool, &e), VL_OK);
    for (size_t k = 0; k < sizeof dims / sizeof *dims; k++) {
        size_t n = k == 4 ? 70 : IMAGES - 3 * k, dim = dims[k];
        world w = world_of(n, 1, 1000000000, 0);
        vl_real *row = calloc(n * dim, sizeof *row);
        assert_int_equal(w.d.n_groups, n);
        for (size_t i = 0; i < n * dim; i++)
            row[i] = value(5, i % dim, 0);
        assert_int_equal(vld_recall_ranks(&w.d, dim, row, row, pool, ir, tr, &e), VL_OK);
        for (size_t i = 0; i < n; i++)
            if (ir[i] != n || tr[i] != n)
                fail_msg("dimension %zu, query %zu of %zu: ranks %u and %u", dim, i, n, ir[i], tr[i]);
        free(row);
        end(&w);
    }
    vl_pool_free(pool);
}

/* Positives all over the matrix, more tiles of them than are kept: image i has text i and the text of another
 * image far away. Some ranks by one loop each. */
static void far_positives(void **state)
{
    enum { N = 4700, STEP = 2287 };
    world w = {.d = {.n = N, .n_caps = 2 * N}};
    uint32_t *ir = malloc(N * sizeof *ir), *tr = malloc(N * sizeof *tr), *number = calloc(N, sizeof *number);
    vl_pool *pool = NULL;
    vl_err e;

    (void)state;
    w.d.cap = calloc(N + 1, sizeof *w.d.cap);
    w.d.group = calloc((size_t)2 * N, sizeof *w.d.group);
    w.u = calloc((size_t)N * DIM, sizeof *w.u);
    w.v = calloc((size_t)2 * N * DIM, sizeof *w.v);
    for (size_t i = 0; i < (size_t)N * DIM; i++)
        w.u[i] = value(4, i, 9);
    for (size_t c = 0; c < 2 * N; c++) { /* number: 1 + the group of a text */
        size_t text = c % 2 ? (c / 2 * STEP + 11) % N : c / 2;
        w.d.cap[c / 2 + 1] = c + 1;
        if (!number[text])
            number[text] = (uint32_t)++w.d.n_groups;
        w.d.group[c] = number[text] - 1;
        for (uint64_t k = 0; k < DIM; k++)
            w.v[c * DIM + k] = value(3, text * DIM + k, 9);
    }
    assert_int_equal(w.d.n_groups, N);
    assert_int_equal(vl_pool_new(2, &pool, &e), VL_OK);
    assert_int_equal(vld_recall_ranks(&w.d, DIM, w.u, w.v, pool, ir, tr, &e), VL_OK);
    for (size_t c = 0; c < 2 * N; c += 61) { /* a caption as the query */
        uint32_t g = w.d.group[c], rank = 1;
        double best = -INFINITY;
        for (size_t i = 0; i < N; i++)
            if (w.d.group[2 * i] == g || w.d.group[2 * i + 1] == g)
                best = fmax(best, score(&w, i, c));
        for (size_t i = 0; i < N; i++)
            rank += w.d.group[2 * i] != g && w.d.group[2 * i + 1] != g && score(&w, i, c) >= best;
        assert_int_equal(ir[g], rank);
    }
    for (size_t i = 0; i < N; i += 61) { /* texts stand at the even captions, each once */
        double best = fmax(score(&w, i, 2 * i), score(&w, i, 2 * i + 1));
        uint32_t rank = 1;
        for (size_t c = 0; c < 2 * N; c += 2)
            rank += w.d.group[c] != w.d.group[2 * i] && w.d.group[c] != w.d.group[2 * i + 1] &&
                    score(&w, i, c) >= best;
        assert_int_equal(tr[i], rank);
    }
    vl_pool_free(pool);
    free(number);
    free(tr);
    free(ir);
    end(&w);
}

/* One bad number anywhere is an error, also where it would only be a negative's score. */
static void not_a_number(void **state)
{
    world w = world_of(40, 2, 30, 0);
    vld_recall r;
    vl_err e;

    (void)state;
    for (size_t i = 0; i < w.d.n * DIM; i += 37) {
        vl_real keep = w.u[i];
        w.u[i] = NAN;
        assert_int_equal(vld_recall_at(&w.d, DIM, w.u, w.v, NULL, &r, &e), VL_EMATH);
        w.u[i] = keep;
    }
    w.v[0] = NAN;
    assert_int_equal(vld_recall_at(&w.d, DIM, w.u, w.v, NULL, &r, &e), VL_EMATH);
    assert_string_equal(e.text, "a retrieval score is not a number");
    end(&w);
}

/* Random scores, many times: their mean must be what vld_recall_chance says. */
static void chance(void **state)
{
    enum { RUNS = 1500 };
    world w = world_of(30, 3, 25, 0);
    vld_recall r, c;
    double sum[7] = {0}, square[7] = {0};
    vl_err e;

    (void)state;
    assert_int_equal(vld_recall_chance(&w.d, &c, &e), VL_OK);
    for (uint64_t run = 0; run < RUNS; run++) {
        for (size_t i = 0; i < w.d.n; i++) /* u v exchangeable over images given v, so ranks are uniform */
            for (size_t k = 0; k < DIM; k++)
                w.u[i * DIM + k] = (vl_real)(2 * vl_rng_unit(9, run, i * DIM + k) - 1);
        for (size_t t = 0; t < w.d.n_caps; t++)
            for (size_t k = 0; k < DIM; k++)
                w.v[t * DIM + k] = (vl_real)(2 * vl_rng_unit(10, run, w.d.group[t] * DIM + k) - 1);
        assert_int_equal(vld_recall_at(&w.d, DIM, w.u, w.v, NULL, &r, &e), VL_OK);
        const double x[7] = {r.ir[0], r.ir[1], r.ir[2], r.tr[0], r.tr[1], r.tr[2], r.mean};
        for (int k = 0; k < 7; k++) {
            sum[k] += x[k];
            square[k] += x[k] * x[k];
        }
    }
    const double want[7] = {c.ir[0], c.ir[1], c.ir[2], c.tr[0], c.tr[1], c.tr[2], c.mean};
    for (int k = 0; k < 7; k++) {
        double mean = sum[k] / RUNS, se = sqrt((square[k] / RUNS - mean * mean) / RUNS);
        if (fabs(mean - want[k]) > 4 * se)
            fail_msg("number %d: %g simulated (standard error %g), %g said", k, mean, se, want[k]);
    }
    end(&w);
}

/* Where it can be counted: n images, one text each: k / n. One text for all: always found. */
static void chance_by_hand(void **state)
{
    world w = world_of(30, 1, 100000000, 0), one = world_of(30, 2, 1, 0), few = world_of(4, 1, 100000000, 0);
    vld_recall r;
    vl_err e;

    (void)state;
    assert_int_equal(w.d.n_groups, 30);
    assert_int_equal(vld_recall_chance(&w.d, &r, &e), VL_OK);
    for (int k = 0; k < VLD_N_K; k++) {
        assert_true(fabs(r.ir[k] - 100.0 * vld_recall_k[k] / 30) < 1e-9);
        assert_true(fabs(r.tr[k] - r.ir[k]) < 1e-9);
    }
    assert_int_equal(vld_recall_chance(&one.d, &r, &e), VL_OK);
    assert_true(fabs(r.mean - 100) < 1e-9);
    assert_int_equal(vld_recall_chance(&few.d, &r, &e), VL_OK); /* k past n */
    assert_true(fabs(r.ir[0] - 25) < 1e-9 && r.ir[1] == 100 && r.tr[2] == 100);
    end(&few);
    end(&one);
    end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(twins),         cmocka_unit_test(by_hand),
                                       cmocka_unit_test(collapsed),     cmocka_unit_test(far_positives),
                                       cmocka_unit_test(not_a_number),  cmocka_unit_test(chance),
                                       cmocka_unit_test(chance_by_hand)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
