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
    w.v = calloc(w.d.n_caps * DIM, sizeof *w.v);
    w.u = calloc(n * DIM, sizeof *w.u);
    for (size_t c = 0; c < w.d.n_caps; c++) {
        uint64_t text = vl_rng(1, 2, c) % texts;
        char s[32];
        snprintf(s, sizeof s, "text %d", (int)text);
        w.d.caption[c] = strdup(s);
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

static int first_of_its_text(const world *w, size_t cap)
{
    for (size_t c = 0; c < cap; c++)
        if (!strcmp(w->d.caption[c], w->d.caption[cap]))
            return 0;
    return 1;
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
        rank += first_of_its_text(w, c) && !carries(w, image, c) && score(w, image, c) >= best;
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
        if (!first_of_its_text(w, c))
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
        {"past a block of queries", 300, 2, 200, 4},
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
    const struct CMUnitTest tests[] = {cmocka_unit_test(twins), cmocka_unit_test(by_hand),
                                       cmocka_unit_test(not_a_number), cmocka_unit_test(chance),
                                       cmocka_unit_test(chance_by_hand)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
