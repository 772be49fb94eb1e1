/* SPDX-License-Identifier: MIT
 * t_single.c -- the outer loop without inner training, on features and on pixels: an iteration is what its parts
 * make of it, losses fall, draws are functions of (seed, k), and what is not finite changes nothing. */
#include "distill/single.h"
#include "pipeline/rng.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { N = 60, CAPS = 3, F = 10, K = 8, D = 6, SIZE = 16, SNAPS = 4, EXPERTS = 3, SET = 7 };

typedef struct world {
    vlm_model m;
    vl_data data;
    vld_experts x;
    vld_set set;
    size_t caps[N + 1];
} world;

/* Records have 1 to CAPS captions; image and text of a record have something in common. */
static void make_data(world *w)
{
    vl_data *d = &w->data;
    float *v;

    d->n = N;
    d->text_dim = K;
    d->cap = w->caps;
    for (size_t i = 0; i < N; i++)
        w->caps[i + 1] = w->caps[i] + 1 + i % CAPS;
    d->n_caps = w->caps[N];
    d->text = v = test_calloc(d->n_caps * K, sizeof *v);
    if (w->m.kind == VLM_HEADS) {
        d->feature_dim = F;
        d->features = test_calloc(N * F, sizeof *d->features);
        vl_rng_normal(2, 1, N * F, 1, d->features);
    } else {
        d->size = SIZE;
        d->images = test_calloc(N, SIZE * SIZE * 3);
        for (size_t i = 0; i < N * SIZE * SIZE * 3; i++)
            d->images[i] = (uint8_t)(vl_rng(2, 2, i / 40) & 255);
    }
    vl_rng_normal(2, 3, d->n_caps * K, 0.3, v);
    for (size_t i = 0; i < N; i++)
        for (size_t c = w->caps[i]; c < w->caps[i + 1]; c++)
            for (size_t k = 0; k < K; k++)
                v[c * K + k] +=
                    d->features ? d->features[i * F + k] : (float)d->images[i * 768 + k] / 128 - 1;
}

/* alike: experts start from the same weights. Snapshots go away from there, partly in one direction. */
static void make_experts(world *w, bool alike)
{
    vld_experts *x = &w->x;
    size_t n = w->m.n;
    vl_real *way = test_calloc(n, sizeof *way), *noise = test_calloc(n, sizeof *noise);

    x->model = w->m;
    x->n = EXPERTS;
    x->n_snaps = calloc(EXPERTS, sizeof *x->n_snaps);
    x->theta = calloc(EXPERTS, sizeof *x->theta);
    vl_rng_normal(3, 1, n, 0.1, way);
    for (int i = 0; i < EXPERTS; i++) {
        x->n_snaps[i] = SNAPS;
        x->theta[i] = calloc(SNAPS * n, sizeof **x->theta);
        vlm_init(&w->m, 1, alike ? 0 : (uint64_t)i, x->theta[i]);
        for (int s = 1; s < SNAPS; s++) {
            vl_rng_normal(3, (uint64_t)(10 + i * SNAPS + s), n, 0.05, noise);
            for (size_t k = 0; k < n; k++)
                x->theta[i][(size_t)s * n + k] = x->theta[i][k] + (vl_real)s * way[k] + noise[k];
        }
    }
    test_free(way);
    test_free(noise);
}

static void make(world *w, bool pixels, bool alike)
{
    vl_err e;

    memset(w, 0, sizeof *w);
    if (pixels)
        assert_int_equal(vlm_parse("convnet:4x1", SIZE, K, D, 5, &w->m, &e), VL_OK);
    else
        assert_int_equal(vlm_parse_heads("heads:10", K, D, 5, &w->m, &e), VL_OK);
    make_data(w);
    make_experts(w, alike);
    assert_int_equal(vld_set_new(&w->m, SET, &w->set, &e), VL_OK);
    for (size_t i = 0; i < SET; i++)
        vld_set_pair(&w->m, &w->data, 5 * i, w->data.cap[5 * i], i, &w->set);
}

static void unmake(world *w)
{
    vld_set_free(&w->set);
    vld_experts_free(&w->x);
    test_free(w->data.text);
    if (w->data.features)
        test_free(w->data.features);
    else
        test_free(w->data.images);
}

static vld_single_opts opts(const char *method)
{
    return (vld_single_opts){.method = vld_single_find(method),
                             .params = vld_single_defaults,
                             .batch = 13,
                             .alpha = 0.5,
                             .first_snap = 1,
                             .optimiser = VLD_ADAM,
                             .step_image = 0.02,
                             .step_text = 0.02,
                             .iterations = 60,
                             .seed = 9};
}

static vld_single *start(world *w, const vld_single_opts *o, vl_pool *pool)
{
    vld_single *u = NULL;
    vl_err e;

    if (vld_single_new(o, &w->m, &w->x, &w->data, pool, &w->set, &u, &e))
        fail_msg("%s", e.text);
    return u;
}

static vld_single_report step(vld_single *u, int k)
{
    vld_single_report r;
    vl_err e;

    if (vld_single_step(u, k, &r, &e))
        fail_msg("iteration %d: %s", k, e.text);
    return r;
}

static const char *const methods[] = {"covmatch", "mdm", "krr"};

/* ---- what an iteration is ------------------------------------------------------------------------- */

/* With a batch of all records and one caption each, covmatch's step is one by hand: statistics of all pairs, the
 * gradient, and SGD. */
static void a_step_by_hand(void **state)
{
    vld_single_opts o = opts("covmatch");
    vl_real *x = test_calloc(N * CAPS * F, sizeof *x), *y, *gx, *gy;
    vld_single_loss *l = NULL;
    vld_single_out out;
    vld_real_stats stats;
    world w;
    vl_err e;
    size_t n = 0;

    (void)state;
    make(&w, false, false);
    y = test_calloc(w.data.n_caps * K, sizeof *y);
    for (size_t i = 0; i < N; i++)
        for (size_t c = w.data.cap[i]; c < w.data.cap[i + 1]; c++, n++) {
            memcpy(x + n * F, w.data.features + i * F, F * sizeof *x);
            memcpy(y + n * K, w.data.text + c * K, K * sizeof *y);
        }
    assert_int_equal(vld_real_stats_new(F, K, true, NULL, &stats, &e), VL_OK);
    assert_int_equal(vld_real_stats_add(&stats, x, y, n, &e), VL_OK);
    const vld_single_setup s = {
        .n = SET, .batch = 1, .image_n = F, .text_dim = K, .stats = &stats, .p = o.params};

    assert_int_equal(vld_single_loss_new(o.method, &s, &l, &e), VL_OK);
    gx = test_calloc(SET * F, sizeof *gx);
    gy = test_calloc(SET * K, sizeof *gy);
    out = (vld_single_out){.gx = gx, .gy = gy};
    memcpy(x, w.set.image, SET * F * sizeof *x);
    memcpy(y, w.set.text, SET * K * sizeof *y);
    assert_int_equal(vld_single_loss_run(l, &(vld_single_in){.x = x, .y = y}, &out, &e), VL_OK);

    o.optimiser = VLD_SGD;
    o.step_text = 0.5;
    vld_single *u = start(&w, &o, NULL);
    vld_single_report r = step(u, 0);

    assert_true(r.loss == out.loss && !r.diverged && r.expert[0] == -1 && r.snap[1] == -1);
    for (size_t i = 0; i < SET * F; i++)
        assert_true(w.set.image[i] == x[i] - VL_R(0.02) * gx[i]);
    for (size_t i = 0; i < SET * K; i++)
        assert_true(w.set.text[i] == y[i] - VL_R(0.5) * gy[i]);
    assert_true(vld_single_bytes(u) > vld_single_loss_bytes(l));
    vld_single_free(u);
    vld_single_loss_free(l);
    vld_real_stats_free(&stats);
    test_free(x);
    test_free(y);
    test_free(gx);
    test_free(gy);
    unmake(&w);
}

/* Teachers: two experts of one start, or two snapshots of one expert; never the same twice where there is a choice;
 * every one comes up. */
static void teachers(void **state)
{
    (void)state;
    for (int alike = 0; alike < 2; alike++) {
        unsigned seen[EXPERTS][SNAPS] = {{0}};
        vld_single_opts o = opts("mdm");
        world w;

        make(&w, false, alike);
        o.first_snap = 2;
        vld_single *u = start(&w, &o, NULL);
        for (int k = 0; k < 60; k++) {
            vld_single_report r = step(u, k);
            for (int i = 0; i < 2; i++) {
                assert_true(r.expert[i] >= 0 && r.expert[i] < EXPERTS && r.snap[i] >= 2 && r.snap[i] < SNAPS);
                seen[r.expert[i]][r.snap[i]]++;
            }
            assert_int_equal(r.expert[0] != r.expert[1], alike);
            assert_true(alike || r.snap[0] != r.snap[1]);
            assert_true(r.ratio > 0.3 && r.ratio < 1); /* ways with something in common */
        }
        for (int i = 0; i < EXPERTS; i++)
            for (int s = 2; s < SNAPS; s++)
                assert_true(seen[i][s] > 0);
        vld_single_free(u);
        unmake(&w);
    }
}

/* One snapshot to choose from: merged with itself, which is itself. */
static void teacher_of_one(void **state)
{
    vld_single_opts o = opts("mdm");
    vld_single_report r;
    world w;

    (void)state;
    make(&w, false, false);
    o.first_snap = SNAPS - 1;
    vld_single *u = start(&w, &o, NULL);
    r = step(u, 0);
    assert_true(r.snap[0] == SNAPS - 1 && r.snap[1] == SNAPS - 1 && r.expert[0] == r.expert[1]);
    assert_true(fabs(r.ratio - 1) < 1e-9);
    vld_single_free(u);
    unmake(&w);
}

/* ---- whole runs ----------------------------------------------------------------------------------- */

/* Mean loss of the last ten iterations against the first ten. */
static void losses_fall(void **state)
{
    (void)state;
    for (int pixels = 0; pixels < 2; pixels++)
        for (size_t i = 0; i < 4; i++) {
            vld_single_opts o = opts(methods[i % 3]);
            double first = 0, last = 0;
            world w;

            make(&w, pixels, false);
            o.teacher = i == 3; /* covmatch again */
            vld_single *u = start(&w, &o, NULL);
            for (int k = 0; k < o.iterations; k++) {
                double loss = step(u, k).loss;
                first += k < 10 ? loss / 10 : 0;
                last += k >= o.iterations - 10 ? loss / 10 : 0;
            }
            if (!(last < 0.95 * first))
                fail_msg("%s, pixels %d: %g, then %g", methods[i % 3], pixels, first, last);
            vld_single_free(u);
            unmake(&w);
        }
}

/* Same bits at any number of threads; another seed is another run. */
static void threads_and_seeds(void **state)
{
    vl_pool *pool = NULL;
    vl_err e;

    (void)state;
    assert_int_equal(vl_pool_new(4, &pool, &e), VL_OK);
    for (int pixels = 0; pixels < 2; pixels++)
        for (size_t i = 0; i < 3; i++) {
            world w[3];
            for (int run = 0; run < 3; run++) {
                vld_single_opts o = opts(methods[i]);
                make(&w[run], pixels, true);
                o.teacher = true;
                o.aug = (vl_augment){.flip = pixels, .shift = pixels ? 2 : 0};
                o.seed = run == 2 ? 10 : 9;
                vld_single *u = start(&w[run], &o, run == 1 ? pool : NULL);
                for (int k = 0; k < 6; k++)
                    step(u, k);
                vld_single_free(u);
            }
            assert_memory_equal(w[0].set.image, w[1].set.image, SET * w->m.image_n * sizeof(vl_real));
            assert_memory_equal(w[0].set.text, w[1].set.text, SET * K * sizeof(vl_real));
            assert_memory_not_equal(w[0].set.image, w[2].set.image, SET * w->m.image_n * sizeof(vl_real));
            for (int run = 0; run < 3; run++)
                unmake(&w[run]);
        }
    vl_pool_free(pool);
}

/* A pass takes every record once: with batches of 20 of 60 the mean of its three losses is that of the whole set. */
static void a_pass_takes_all(void **state)
{
    vld_single_opts o = opts("krr");
    double parts = 0, whole;
    world w;

    (void)state;
    make(&w, false, false);
    for (size_t i = 0; i < N; i++) { /* one caption each: the draw of captions is out of the way */
        memmove(w.data.text + i * K, w.data.text + w.caps[i] * K, K * sizeof(float));
        w.caps[i] = i;
    }
    w.caps[N] = w.data.n_caps = N;
    o.step_image = o.step_text = 0;
    o.batch = N;
    vld_single *u = start(&w, &o, NULL);
    whole = step(u, 0).loss;
    vld_single_free(u);
    o.batch = 20;
    u = start(&w, &o, NULL);
    for (int pass = 0; pass < 2; pass++) {
        parts = 0;
        for (int k = 0; k < 3; k++)
            parts += step(u, 3 * pass + k).loss / 3;
        assert_true(fabs(parts - whole) < 1e-5 * whole);
    }
    assert_true(fabs(step(u, 6).loss - whole) > 1e-4 * whole); /* a third of it is not the whole */
    vld_single_free(u);
    unmake(&w);
}

/* The gradient goes back through the views: a small step lowers the loss of the same iteration. */
static void views_go_back(void **state)
{
    vld_single_opts o = opts("mdm");
    vl_real *before;
    double first, after, change = 0;
    world w;

    (void)state;
    make(&w, true, true);
    o.aug = (vl_augment){.flip = true, .shift = 3};
    o.optimiser = VLD_SGD;
    o.step_text = 0;
    o.constant = true;
    before = test_calloc(SET * w.m.image_n, sizeof *before);
    memcpy(before, w.set.image, SET * w.m.image_n * sizeof *before);
    vld_single *u = start(&w, &o, NULL);
    first = step(u, 0).loss;
    vld_single_free(u);
    for (size_t i = 0; i < SET * w.m.image_n; i++)
        change += ((double)w.set.image[i] - (double)before[i]) * ((double)w.set.image[i] - (double)before[i]);
    change /= o.step_image; /* step |g|^2: what the loss falls by */
    assert_true(change > 1e-4);
    o.step_image = 0;
    u = start(&w, &o, NULL);
    after = step(u, 0).loss;
    assert_true(fabs((first - after) / change - 1) < 0.2);
    vld_single_free(u);
    test_free(before);
    unmake(&w);
}

/* ---- what goes wrong ------------------------------------------------------------------------------ */

static void not_finite_changes_nothing(void **state)
{
    vl_real *image, *text;
    vld_single_opts o = opts("mdm");
    vld_single_report r;
    world w;
    vl_err e;
    int k;

    (void)state;
    make(&w, false, false);
    vld_single *u = start(&w, &o, NULL);
    assert_false(step(u, 0).diverged);
    for (int i = 0; i < EXPERTS; i++)
        for (size_t s = 1; s < SNAPS; s++)
            w.x.theta[i][s * w.m.n] = (vl_real)NAN;
    image = test_calloc(SET * F, sizeof *image);
    text = test_calloc(SET * K, sizeof *text);
    memcpy(image, w.set.image, SET * F * sizeof *image);
    memcpy(text, w.set.text, SET * K * sizeof *text);
    for (k = 1; k <= VLD_MAX_DIVERGED; k++)
        assert_true(step(u, k).diverged);
    assert_int_equal(vld_single_step(u, k, &r, &e), VL_EMATH);
    assert_int_equal(strncmp(e.text, "21 iterations diverged in a row: mdm: loss", 42), 0);
    assert_memory_equal(image, w.set.image, SET * F * sizeof *image);
    assert_memory_equal(text, w.set.text, SET * K * sizeof *text);
    vld_single_free(u);
    test_free(image);
    test_free(text);
    unmake(&w);
}

static void refused(world *w, const vld_single_opts *o, const vld_experts *x, int rc, const char *text)
{
    vld_single *u = NULL;
    vl_err e;

    assert_int_equal(vld_single_new(o, &w->m, x, &w->data, NULL, &w->set, &u, &e), rc);
    assert_string_equal(e.text, text);
    assert_null(u);
}

static void refusals(void **state)
{
    vld_single_opts o = opts("mdm"), bad;
    vld_experts other;
    world w;

    (void)state;
    make(&w, false, false);
    refused(&w, &o, NULL, VL_EARG, "mdm needs experts to make a teacher of");
    other = w.x;
    assert_int_equal(vlm_parse_heads("heads:10,dropout=0", K, D, 5, &other.model, NULL), VL_OK);
    refused(&w, &o, &other, VL_EARG, "experts of heads:10,dropout=0 for a set of heads:10");
    bad = o;
    bad.first_snap = SNAPS;
    refused(&w, &bad, &w.x, VL_EARG, "expert 0 has 4 snapshots; teachers need snapshot 4");
    bad.first_snap = 0;
    refused(&w, &bad, &w.x, VL_EARG,
            "teachers from snapshot 0, a share of 0.5: 1 or more, and 0 to 1 wanted");
    bad = opts("covmatch");
    bad.batch = N + 1;
    refused(&w, &bad, NULL, VL_EARG,
            "60 iterations with 61 of 60 real pairs: at least 1, and 1 to all wanted");
    bad.batch = N;
    bad.aug.flip = true;
    refused(&w, &bad, NULL, VL_EARG, "features have no views");
    bad.aug.flip = false;
    bad.params.lambda = -1;
    refused(&w, &bad, NULL, VL_EARG, "rho 1 and lambda -1: above 0, and 0 or more wanted");
    bad = opts("krr");
    w.data.features[7] = INFINITY;
    refused(&w, &bad, NULL, VL_EMATH, "real rows 0 to 119: not all are finite"); /* 120 captions */
    vld_single_free(NULL);
    unmake(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_step_by_hand),    cmocka_unit_test(teachers),
        cmocka_unit_test(teacher_of_one),    cmocka_unit_test(losses_fall),
        cmocka_unit_test(threads_and_seeds), cmocka_unit_test(a_pass_takes_all),
        cmocka_unit_test(views_go_back),     cmocka_unit_test(not_finite_changes_nothing),
        cmocka_unit_test(refusals),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
