/* SPDX-License-Identifier: MIT
 * train_heads_forms.h -- training of heads: its own form (matrices in slabs that move in the backward pass, first
 * layers by their rows) against the tape's general one, in float (t_train_heads.c) and double (t64_train_heads.c). */
#include "distill/train.h"
#include "pipeline/rng.h"

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* TEXT is less than the captions of PAIRS records, IMAGE more than PAIRS: a branch by rows, and one not. */
enum { PAIRS = 37, IMAGE = 45, TEXT = 70, DIM = 83, CAPTIONS = 2, EPOCHS = 7, MAX_CAPTIONS = 5 };

#ifdef VL_REAL_DOUBLE
static const double near_enough = 1e-11;
#else
static const double near_enough = 1e-4;
#endif

typedef struct row {
    const char *name;
    bool data; /* real pairs; else a set */
    size_t captions, batch;
    double momentum, decay;
    bool cosine;
    vlm_objective objective;
} row;

#define SOFT                                                                                                 \
    {                                                                                                        \
        VLM_WBCE, VLM_SIM_LOWRANK, 3, 3, 1                                                                   \
    }
static const row rows[] = {
    {"plain", true, CAPTIONS, 8, 0, 0, false, {VLM_INFONCE, VLM_SIM_NONE, 0, 0, 0}},
    {"a batch of 33", true, 1, 33, 0, 0, false, {VLM_INFONCE, VLM_SIM_NONE, 0, 0, 0}},
    {"more captions than numbers",
     true,
     MAX_CAPTIONS,
     10,
     0.9,
     0,
     false,
     {VLM_INFONCE, VLM_SIM_NONE, 0, 0, 0}},
    {"decay", true, CAPTIONS, 8, 0, 0.05, false, {VLM_INFONCE, VLM_SIM_NONE, 0, 0, 0}},
    {"momentum", false, 1, PAIRS, 0.9, 0, false, {VLM_INFONCE, VLM_SIM_NONE, 0, 0, 0}},
    {"momentum and decay", false, 1, 9, 0.9, 0.05, true, {VLM_INFONCE, VLM_SIM_NONE, 0, 0, 0}},
    {"a learned similarity, blended", false, 1, 9, 0, 0, false, SOFT},
    {"the same with all", false, 1, 12, 0.9, 0.05, true, SOFT},
};
enum { N_ROWS = sizeof rows / sizeof *rows };

static vlm_model model(void)
{
    vlm_model m;
    vl_err e;

    if (vlm_parse_heads("heads:45", TEXT, DIM, 5, &m, &e))
        fail_msg("%s", e.text);
    return m;
}

typedef struct pairs {
    vl_data data;
    vld_set set;
    uint32_t subset[PAIRS];
    vld_source source;
} pairs;

static void pairs_new(const vlm_model *m, const row *r, pairs *p)
{
    vl_data *d = &p->data;
    vl_err e;

    memset(p, 0, sizeof *p);
    if (!r->data) {
        assert_int_equal(vld_set_new_for(m, &r->objective, PAIRS, &p->set, &e), VL_OK);
        vl_rng_normal(1, 1, PAIRS * IMAGE, 1, p->set.image);
        vl_rng_normal(1, 2, PAIRS * TEXT, 1, p->set.text);
        vld_set_similarity(&r->objective, 3, &p->set);
        if (p->set.r)
            vl_rng_normal(1, 4, PAIRS * r->objective.rank, 0.3, p->set.r);
        p->source = (vld_source){.set = &p->set};
        return;
    }
    *d = (vl_data){.n = 2 * PAIRS, .feature_dim = IMAGE, .text_dim = TEXT, .n_caps = 2 * PAIRS * r->captions};
    d->features = malloc(d->n * IMAGE * sizeof *d->features);
    d->text = malloc(d->n_caps * TEXT * sizeof *d->text);
    d->cap = malloc((d->n + 1) * sizeof *d->cap);
    assert_true(d->features && d->text && d->cap);
    for (size_t i = 0; i < d->n * IMAGE; i++)
        d->features[i] = (float)(vl_rng(1, 5, i) % 1000) / 500 - 1;
    for (size_t i = 0; i < d->n_caps * TEXT; i++)
        d->text[i] = (float)(vl_rng(1, 6, i) % 1000) / 500 - 1;
    for (size_t i = 0; i <= d->n; i++)
        d->cap[i] = i * r->captions;
    for (uint32_t i = 0; i < PAIRS; i++)
        p->subset[i] = 2 * i + 1;
    p->source = (vld_source){.data = d, .subset = p->subset, .n_subset = PAIRS};
}

static void pairs_free(pairs *p)
{
    vl_data_free(&p->data);
    vld_set_free(&p->set);
}

/* ---- training ----------------------------------------------------------------------------------- */

typedef enum form { GENERAL, SLABS, ROWS } form;

typedef struct told {
    double loss[EPOCHS];
} told;

static int note(void *arg, int epoch, double loss, const vl_real *theta, vl_err *e)
{
    (void)theta;
    (void)e;
    ((told *)arg)->loss[epoch - 1] = loss;
    return VL_OK;
}

/* reader: with ROWS */
static vld_train_opts options(const row *r, form f, vld_reader *reader)
{
    return (vld_train_opts){.batch = r->batch,
                            .epochs = EPOCHS,
                            .rate = {0.05, 0.03},
                            .momentum = r->momentum,
                            .weight_decay = r->decay,
                            .cosine = r->cosine,
                            .objective = r->objective,
                            .seed = 7,
                            .form = f == GENERAL ? VLD_FORM_DENSE : VLD_FORM_AUTO,
                            .reader = f == ROWS ? reader : NULL};
}

static vl_real *train(const row *r, form f, int threads, told *t)
{
    vlm_model m = model();
    vl_real *theta = malloc(m.n * sizeof *theta);
    vld_reader reader = {.model = &m, .theta = theta};
    const vld_train_opts o = options(r, f, &reader);
    vl_pool *pool = NULL;
    pairs p;
    vl_err e;

    assert_non_null(theta);
    pairs_new(&m, r, &p);
    assert_int_equal(vl_pool_new(threads, &pool, &e), VL_OK);
    vlm_init(&m, 3, 0, theta);
    if (vld_train(&m, threads > 1 ? pool : NULL, &p.source, &o, theta, note, t, &e))
        fail_msg("%s: %s", r->name, e.text);
    vl_pool_free(pool);
    pairs_free(&p);
    return theta;
}

/* Each parameter by itself: |a - b| against how far the training moved it. */
static void near(const char *name, const vl_real *a, const vl_real *b)
{
    vlm_model m = model();
    vl_real *start = malloc(m.n * sizeof *start);

    vlm_init(&m, 3, 0, start);
    for (int i = 0; i < m.n_params; i++) {
        double far = 0, moved = 0;
        for (size_t k = m.param[i].offset; k < m.param[i].offset + m.param[i].n; k++) {
            far = fmax(far, fabs((double)a[k] - (double)b[k]));
            moved = fmax(moved, fabs((double)a[k] - (double)start[k]));
        }
        if (!(far <= near_enough * moved) || !(moved > 0))
            fail_msg("%s: %s differs by %g, was moved by %g", name, m.param[i].name, far, moved);
    }
    free(start);
}

static void forms_agree(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_ROWS; i++) {
        told general = {{0}}, slabs = {{0}}, by_rows = {{0}};
        vl_real *a = train(&rows[i], GENERAL, 1, &general), *b = train(&rows[i], SLABS, 1, &slabs);
        vl_real *c = train(&rows[i], ROWS, 1, &by_rows);
        near(rows[i].name, a, b);
        near(rows[i].name, a, c);
        for (int k = 0; k < EPOCHS; k++)
            if (!(fabs(general.loss[k] - slabs.loss[k]) <= near_enough * general.loss[k]) ||
                !(fabs(general.loss[k] - by_rows.loss[k]) <= near_enough * general.loss[k]))
                fail_msg("%s, epoch %d: losses %.9g, %.9g, %.9g", rows[i].name, k, general.loss[k],
                         slabs.loss[k], by_rows.loss[k]);
        free(a);
        free(b);
        free(c);
    }
}

static void threads_agree(void **state)
{
    vlm_model m = model();

    (void)state;
    for (size_t i = 0; i < N_ROWS; i++)
        for (form f = SLABS; f <= ROWS; f++) {
            told t;
            vl_real *a = train(&rows[i], f, 1, &t), *b = train(&rows[i], f, 3, &t);
            assert_memory_equal(a, b, m.n * sizeof *a);
            free(a);
            free(b);
        }
}

/* ---- readings ------------------------------------------------------------------------------------ */

enum { TWO = 2, N_IMAGES = 11 };

typedef struct seer {
    vld_reader reader;
    vl_data data[TWO];
    vl_real *read[EPOCHS][TWO][VLM_BRANCHES]; /* what was read after each epoch but the first */
} seer;

static size_t rows_of(const vl_data *d, int branch)
{
    return branch == VLM_IMAGE ? d->n : d->n_caps;
}

static int look(void *arg, int epoch, double loss, const vl_real *theta, vl_err *e)
{
    seer *s = arg;

    (void)loss;
    (void)theta;
    for (int i = 0; epoch > 1 && i < TWO; i++) {
        vl_real **out = s->read[epoch - 1][i];
        for (int b = 0; b < VLM_BRANCHES; b++)
            out[b] = malloc(rows_of(&s->data[i], b) * DIM * sizeof **out);
        assert_true(out[VLM_IMAGE] && out[VLM_TEXT]);
        assert_int_equal(vld_read(&s->reader, &s->data[i], out[VLM_IMAGE], out[VLM_TEXT], e), VL_OK);
    }
    return VL_OK;
}

/* The tape's own way to embed. */
static vl_real *embed(const vlm_model *m, vl_real *theta, const vl_data *d, int branch)
{
    const float *from = branch == VLM_IMAGE ? d->features : d->text;
    size_t n = rows_of(d, branch);
    vl_real *out = malloc(n * DIM * sizeof *out);
    vlm_graph g;

    assert_non_null(out);
    assert_int_equal(
        vlm_graph_new(m, NULL, n, branch == VLM_IMAGE ? VLM_HAS_IMAGE : VLM_HAS_TEXT, VLM_EMBED, &g, NULL),
        VL_OK);
    vlm_bind(&g, theta, NULL, NULL, NULL);
    for (size_t i = 0; i < n * (branch == VLM_IMAGE ? IMAGE : TEXT); i++)
        vlt_x(g.tape, branch == VLM_IMAGE ? g.x : g.y)[i] = (vl_real)from[i];
    vlt_forward(g.tape);
    memcpy(out, vlt_x(g.tape, branch == VLM_IMAGE ? g.u : g.v), n * DIM * sizeof *out);
    vlm_graph_free(&g);
    return out;
}

static void close_to(const vl_real *a, const vl_real *b, size_t n, const char *what)
{
    for (size_t i = 0; i < n; i++)
        if (!(fabs((double)a[i] - (double)b[i]) <= near_enough))
            fail_msg("%s: [%zu] is %.9g, by the tape %.9g", what, i, (double)a[i], (double)b[i]);
}

static void seer_new(seer *s, const vlm_model *m, vl_real *theta)
{
    memset(s, 0, sizeof *s);
    s->reader = (vld_reader){.model = m, .theta = theta};
    for (int i = 0; i < TWO; i++) {
        pairs p;
        pairs_new(m, &rows[2], &p);
        s->data[i] = p.data;
        s->data[i].n = N_IMAGES + (size_t)i;
        s->data[i].n_caps = s->data[i].n * MAX_CAPTIONS;
    }
}

static void seer_free(seer *s)
{
    for (int k = 0; k < EPOCHS; k++)
        for (int i = 0; i < TWO; i++)
            for (int b = 0; b < VLM_BRANCHES; b++)
                free(s->read[k][i][b]);
    vl_data_free(&s->data[0]);
    vl_data_free(&s->data[1]);
}

/* What is read at an epoch is what the tape makes of a training that ended there, and reading changes nothing. */
static void check_readings(const row *r, size_t most)
{
    vlm_model m = model();
    vl_real *theta = malloc(m.n * sizeof *theta), *blind;
    pairs p;
    seer s;
    told t;

    assert_non_null(theta);
    seer_new(&s, &m, theta);
    s.reader.most = most;
    pairs_new(&m, r, &p);
    for (int epochs = EPOCHS; epochs > 1; epochs--) {
        vld_train_opts o = options(r, ROWS, &s.reader);
        o.epochs = epochs;
        vlm_init(&m, 3, 0, theta);
        assert_int_equal(vld_train(&m, NULL, &p.source, &o, theta, epochs == EPOCHS ? look : NULL, &s, NULL),
                         VL_OK);
        assert_null(s.reader.heads);
        if (epochs == EPOCHS) {
            blind = train(r, ROWS, 1, &t);
            assert_memory_equal(theta, blind, m.n * sizeof *theta);
            free(blind);
        }
        for (int i = 0; i < TWO; i++)
            for (int b = 0; b < VLM_BRANCHES; b++) {
                vl_real *by_tape = embed(&m, theta, &s.data[i], b);
                close_to(s.read[epochs - 1][i][b], by_tape, rows_of(&s.data[i], b) * DIM, r->name);
                free(by_tape);
            }
    }
    seer_free(&s);
    pairs_free(&p);
    free(theta);
}

static void readings(void **state)
{
    row more = rows[3], all = rows[7];

    (void)state;
    all.cosine = false; /* a shorter training would fall sooner */
    check_readings(&rows[2], 0);
    check_readings(&more, 0);
    check_readings(&all, 0);
    check_readings(&all, 1);
    check_readings(&all, N_IMAGES * (DIM + PAIRS)); /* of the first data's images alone */
}

/* ---- stopping ------------------------------------------------------------------------------------ */

/* Without momentum training can stop and go on: equal bytes. */
static void goes_on(void **state)
{
    vlm_model m = model();
    const row *r = &rows[3];
    vld_train_opts o = options(r, SLABS, NULL);
    vl_real *theta = malloc(m.n * sizeof *theta), *whole;
    pairs p;
    told t;

    (void)state;
    assert_non_null(theta);
    pairs_new(&m, r, &p);
    vlm_init(&m, 3, 0, theta);
    o.epochs = 3;
    assert_int_equal(vld_train(&m, NULL, &p.source, &o, theta, NULL, NULL, NULL), VL_OK);
    o.epochs = EPOCHS;
    o.first_epoch = 3;
    assert_int_equal(vld_train(&m, NULL, &p.source, &o, theta, NULL, NULL, NULL), VL_OK);
    whole = train(r, SLABS, 1, &t);
    assert_memory_equal(theta, whole, m.n * sizeof *theta);
    free(whole);
    free(theta);
    pairs_free(&p);
}

/* A step with a rate beyond sense ends in VL_EMATH, by either form at the same epoch. */
static int last_told(void *arg, int epoch, double loss, const vl_real *theta, vl_err *e)
{
    (void)loss;
    (void)theta;
    (void)e;
    *(int *)arg = epoch;
    return VL_OK;
}

static void diverges(void **state)
{
    vlm_model m = model();
    vl_real *theta = malloc(m.n * sizeof *theta);
    pairs p;
    int seen[2] = {-1, -1};

    (void)state;
    assert_non_null(theta);
    pairs_new(&m, &rows[4], &p);
    for (int i = 0; i < 2; i++) {
        vld_train_opts o = options(&rows[4], i ? SLABS : GENERAL, NULL);
        vl_err e = {0};
        o.rate[VLM_IMAGE] = INFINITY;
        vlm_init(&m, 3, 0, theta);
        assert_int_equal(vld_train(&m, NULL, &p.source, &o, theta, last_told, &seen[i], &e), VL_EMATH);
        assert_non_null(strstr(e.text, "the loss is not finite"));
    }
    assert_int_equal(seen[0], seen[1]);
    free(theta);
    pairs_free(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(forms_agree), cmocka_unit_test(threads_agree),
                                       cmocka_unit_test(readings), cmocka_unit_test(goes_on),
                                       cmocka_unit_test(diverges)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
