/* SPDX-License-Identifier: MIT
 * t_train.c -- training against steps computed here by hand, and over pools, subsets and sources. */
#include "distill/train.h"
#include "pipeline/rng.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SIZE = 16, TEXT = 10, DIM = 6, REALS = SIZE * SIZE * 3 };

static vlm_model model(void)
{
    vlm_model m;
    vl_err e;

    if (vlm_parse("convnet:4x2", SIZE, TEXT, DIM, 10, &m, &e))
        fail_msg("%s", e.text);
    return m;
}

/* n records of `caps` captions each. */
static vl_data data_of(size_t n, size_t caps)
{
    vl_data d = {.n = n, .size = SIZE, .text_dim = TEXT, .n_caps = n * caps};

    d.images = malloc(n * REALS);
    d.text = malloc(d.n_caps * TEXT * sizeof *d.text);
    d.cap = malloc((n + 1) * sizeof *d.cap);
    for (size_t i = 0; i < n * REALS; i++) /* a colour for each record, and noise */
        d.images[i] = (uint8_t)(vl_rng(1, i / REALS, i % 3) % 200 + vl_rng(1, 1000, i) % 56);
    vl_rng_normal(1, 2000, d.n_caps * TEXT, 0.4, d.text);
    for (size_t i = 0; i <= n; i++)
        d.cap[i] = i * caps;
    return d;
}

/* The set that holds the same pairs (first captions). */
static vld_set set_of(const vlm_model *m, const vl_data *d)
{
    vld_set s;
    vl_err e;

    assert_int_equal(vld_set_new(m, d->n, &s, &e), VL_OK);
    for (size_t i = 0; i < d->n; i++) {
        vl_view_apply_u8(d->images + i * REALS, SIZE, (vl_view){0}, s.image + i * REALS);
        memcpy(s.text + i * TEXT, d->text + d->cap[i] * TEXT, TEXT * sizeof *s.text);
    }
    return s;
}

/* Losses and epochs as they were told; `stop` ends the training there. */
typedef struct told {
    double loss[64];
    int n, stop;
} told;

static int note(void *arg, int epoch, double loss, const vl_real *theta, vl_err *e)
{
    told *t = arg;

    assert_non_null(theta);
    assert_int_equal(epoch, t->n + 1);
    t->loss[t->n++] = loss;
    return t->n == t->stop ? vl_fail(e, VL_EIO, "stop here") : VL_OK;
}

static vl_real *train(const vlm_model *m, vl_pool *pool, const vld_source *src, const vld_train_opts *o,
                      told *t)
{
    vl_real *theta = malloc(m->n * sizeof *theta);
    told own = {.n = 0};
    vl_err e;

    vlm_init(m, 3, 0, theta);
    if (vld_train(m, pool, src, o, theta, note, t ? t : &own, &e))
        fail_msg("%s", e.text);
    assert_int_equal((t ? t : &own)->n, o->epochs);
    return theta;
}

static void same(const vlm_model *m, vl_real *a, vl_real *b)
{
    assert_memory_equal(a, b, m->n * sizeof *a);
    free(b);
}

static void loss_falls(void **state)
{
    static const double momentum[] = {0, 0.9};
    vlm_model m = model();
    vl_data d = data_of(24, 2);
    vld_source src = {.data = &d};

    (void)state;
    assert_int_equal(vld_source_size(&src), 24);
    for (size_t i = 0; i < 2; i++) {
        vld_train_opts o = {
            .batch = 8, .epochs = 40, .rate = {0.05, 0.05}, .momentum = momentum[i], .seed = 5};
        told t = {.n = 0};
        free(train(&m, NULL, &src, &o, &t));
        if (!(t.loss[39] < 0.5 * t.loss[0]))
            fail_msg("momentum %g: from %g to %g nats", momentum[i], t.loss[0], t.loss[39]);
    }
    vl_data_free(&d);
}

static void pools_agree(void **state)
{
    vlm_model m = model();
    vl_data d = data_of(23, 3);
    vld_source src = {.data = &d};
    vld_train_opts o = {.batch = 7,
                        .epochs = 3,
                        .rate = {0.1, 0.2},
                        .momentum = 0.5,
                        .aug = {.flip = true, .shift = 2},
                        .seed = 5};
    vl_real *alone = train(&m, NULL, &src, &o, NULL), *other;

    (void)state;
    for (int threads = 1; threads <= 3; threads++) {
        vl_pool *pool = NULL;
        vl_err e;
        assert_int_equal(vl_pool_new(threads, &pool, &e), VL_OK);
        same(&m, alone, train(&m, pool, &src, &o, NULL));
        vl_pool_free(pool);
    }
    o.seed = 6; /* and it is not that nothing matters */
    other = train(&m, NULL, &src, &o, NULL);
    assert_memory_not_equal(alone, other, m.n * sizeof *other);
    free(other);
    o.seed = 5;
    o.aug.shift = 0;
    other = train(&m, NULL, &src, &o, NULL);
    assert_memory_not_equal(alone, other, m.n * sizeof *other);
    free(other);
    free(alone);
    vl_data_free(&d);
}

static void subset_is_its_own_data(void **state)
{
    static const uint32_t rows[] = {7, 2, 11, 5, 3};
    vlm_model m = model();
    vl_data d = data_of(12, 1), few = data_of(5, 1);
    vld_source src = {.data = &d, .subset = rows, .n_subset = 5}, all = {.data = &few};
    vld_train_opts o = {
        .batch = 2, .epochs = 3, .rate = {0.1, 0.1}, .aug = {.flip = true, .shift = 1}, .seed = 9};
    vl_real *theta;

    (void)state;
    assert_int_equal(vld_source_size(&src), 5);
    for (size_t i = 0; i < 5; i++) {
        memcpy(few.images + i * REALS, d.images + rows[i] * REALS, REALS);
        memcpy(few.text + i * TEXT, d.text + rows[i] * TEXT, TEXT * sizeof *d.text);
    }
    theta = train(&m, NULL, &src, &o, NULL);
    same(&m, theta, train(&m, NULL, &all, &o, NULL));
    free(theta);
    vl_data_free(&few);
    vl_data_free(&d);
}

static void set_is_its_own_data(void **state)
{
    vlm_model m = model();
    vl_data d = data_of(9, 1);
    vld_set s = set_of(&m, &d);
    vld_source src = {.data = &d}, set = {.set = &s};
    vld_train_opts o = {
        .batch = 4, .epochs = 3, .rate = {0.1, 0.1}, .aug = {.flip = true, .shift = 3}, .seed = 9};
    vl_real *theta = train(&m, NULL, &src, &o, NULL);

    (void)state;
    assert_int_equal(vld_source_size(&set), 9);
    same(&m, theta, train(&m, NULL, &set, &o, NULL));
    free(theta);
    vld_set_free(&s);
    vl_data_free(&d);
}

/* ---- by hand --------------------------------------------------------------------------------- */

/* The gradient of one batch, through a graph of our own. */
static double gradient(const vlm_model *m, const vld_set *s, const uint32_t *rows, size_t batch,
                       vl_real *theta, vl_real *grad)
{
    vlm_graph g;
    vl_err e;
    double loss;

    assert_int_equal(vlm_graph_new(m, NULL, batch, VLM_HAS_BOTH, VLM_TRAIN, &g, &e), VL_OK);
    vlm_bind(&g, theta, grad, NULL, NULL);
    for (size_t b = 0; b < batch; b++) {
        memcpy(vlt_x(g.tape, g.x) + b * REALS, s->image + rows[b] * REALS, REALS * sizeof *theta);
        memcpy(vlt_x(g.tape, g.y) + b * TEXT, s->text + rows[b] * TEXT, TEXT * sizeof *theta);
    }
    vlt_forward(g.tape);
    vlt_backward(g.tape, g.loss);
    loss = (double)vlt_x(g.tape, g.loss)[0];
    vlm_graph_free(&g);
    return loss;
}

static void steps_by_hand(void **state)
{
    static const struct {
        double momentum, decay;
        bool cosine;
        double factor[3]; /* of the rate, 3 steps: half a cosine at 0, 1/3, 2/3 */
    } rows[] = {
        {0, 0, false, {1, 1, 1}},
        {0.9, 0, false, {1, 1, 1}},
        {0.5, 0.1, false, {1, 1, 1}},
        {0.9, 0.1, true, {1, 0.75, 0.25}},
    };
    enum { N = 6, STEPS = 3 };
    vlm_model m = model();
    vl_data d = data_of(N, 1);
    vld_set s = set_of(&m, &d);
    vld_source src = {.set = &s};
    uint32_t order[N], batch[N];

    (void)state;
    for (size_t row = 0; row < sizeof rows / sizeof *rows; row++) {
        /* a batch of all: one step an epoch, and rates that differ by branch */
        vld_train_opts o = {.batch = 99,
                            .epochs = STEPS,
                            .rate = {0.05, 0.2},
                            .momentum = rows[row].momentum,
                            .weight_decay = rows[row].decay,
                            .cosine = rows[row].cosine,
                            .seed = 4};
        told t = {.n = 0};
        vl_real *got = train(&m, NULL, &src, &o, &t);
        vl_real *theta = malloc(m.n * sizeof *theta), *g = malloc(m.n * sizeof *g);
        double *x = malloc(m.n * sizeof *x), *v = calloc(m.n, sizeof *v);

        vlm_init(&m, 3, 0, theta);
        for (size_t k = 0; k < m.n; k++)
            x[k] = theta[k];
        for (int step = 0; step < STEPS; step++) {
            vld_batch_rows(N, N, o.seed, (uint64_t)step, 1, order, batch);
            assert_true(fabs(gradient(&m, &s, batch, N, theta, g) - t.loss[step]) < 1e-5);
            for (size_t k = 0; k < m.n; k++) {
                double rate = o.rate[k >= m.begin[VLM_TEXT]] * rows[row].factor[step];
                v[k] = rows[row].momentum * v[k] + g[k] + rows[row].decay * x[k];
                x[k] -= rate * v[k];
                theta[k] = (vl_real)x[k];
            }
        }
        for (size_t k = 0; k < m.n; k++)
            if (fabs(x[k] - got[k]) > 2e-5)
                fail_msg("row %zu: weight %zu is %g, %g by hand", row, k, (double)got[k], x[k]);
        free(v);
        free(x);
        free(g);
        free(theta);
        free(got);
    }
    vld_set_free(&s);
    vl_data_free(&d);
}

/* ---- how it ends ----------------------------------------------------------------------------- */

static void refusals(void **state)
{
    vlm_model m = model();
    vl_data d = data_of(4, 1);
    vld_source src = {.data = &d};
    vld_train_opts o = {.batch = 2, .epochs = 5, .rate = {0.1, 0.1}, .seed = 9};
    vl_real *theta = calloc(m.n, sizeof *theta);
    told t = {.stop = 2};
    vl_err e;

    (void)state;
    vlm_init(&m, 3, 0, theta);
    assert_int_equal(vld_train(&m, NULL, &src, &o, theta, note, &t, &e), VL_EIO);
    assert_string_equal(e.text, "stop here");
    assert_int_equal(t.n, 2);
    o.rate[VLM_IMAGE] = 1e30;
    assert_int_equal(vld_train(&m, NULL, &src, &o, theta, NULL, NULL, &e), VL_EMATH);
    assert_string_equal(e.text, "epoch 0, step 1: the loss is not finite (rates 1e+30 and 0.1)");
    o.batch = 1;
    assert_int_equal(vld_train(&m, NULL, &src, &o, theta, NULL, NULL, &e), VL_EARG);
    o.batch = 8;
    src.subset = (const uint32_t[]){2};
    src.n_subset = 1;
    assert_int_equal(vld_train(&m, NULL, &src, &o, theta, NULL, NULL, &e), VL_EARG);
    assert_string_equal(e.text, "a batch of 1: at least 2 pairs are needed");
    free(theta);
    vl_data_free(&d);
}

/* ---- embedding ------------------------------------------------------------------------------- */

static void check_rows(const vl_real *all, const vl_real *one, size_t row, size_t n)
{
    double norm = 0;

    assert_true(row < n);
    for (size_t k = 0; k < DIM; k++) {
        norm += (double)all[row * DIM + k] * (double)all[row * DIM + k];
        assert_true(fabs((double)all[row * DIM + k] - (double)one[k]) < 1e-5);
    }
    assert_true(fabs(norm - 1) < 1e-5);
}

/* More rows than a batch, with a remainder: each row is what it is alone. */
static void embeddings(void **state)
{
    enum { N = 150, CAPS = 2 };
    vlm_model m = model();
    vl_data d = data_of(N, CAPS);
    vl_real *theta = malloc(m.n * sizeof *theta), *u = malloc(N * DIM * sizeof *u);
    vl_real *v = malloc(N * CAPS * DIM * sizeof *v), one[CAPS * DIM];
    vl_err e;

    (void)state;
    vlm_init(&m, 3, 0, theta);
    assert_int_equal(vld_embed_images(&m, NULL, theta, &d, u, &e), VL_OK);
    assert_int_equal(vld_embed_texts(&m, NULL, theta, &d, v, &e), VL_OK);
    for (size_t i = 0; i < N; i += i < 130 ? 32 : 1) {
        vl_data single = {.n = 1,
                          .size = SIZE,
                          .text_dim = TEXT,
                          .n_caps = CAPS,
                          .images = d.images + i * REALS,
                          .text = d.text + i * CAPS * TEXT};
        assert_int_equal(vld_embed_images(&m, NULL, theta, &single, one, &e), VL_OK);
        check_rows(u, one, i, N);
        assert_int_equal(vld_embed_texts(&m, NULL, theta, &single, one, &e), VL_OK);
        check_rows(v, one, CAPS * i, N * CAPS);
        check_rows(v, one + DIM, CAPS * i + 1, N * CAPS);
    }
    free(v);
    free(u);
    free(theta);
    vl_data_free(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loss_falls),
        cmocka_unit_test(pools_agree),
        cmocka_unit_test(subset_is_its_own_data),
        cmocka_unit_test(set_is_its_own_data),
        cmocka_unit_test(steps_by_hand),
        cmocka_unit_test(refusals),
        cmocka_unit_test(embeddings),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
