/* SPDX-License-Identifier: MIT
 * t_select.c -- selections against twins that are too plain to be wrong, and the features they look at. */
#include "distill/select.h"
#include "distill/select_features.h"
#include "formats/npy.h"
#include "pipeline/rng.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { N_MAX = 700 };
#define PI 3.14159265358979323846

/* ---- random --------------------------------------------------------------------------------------- */

static void random_draws(void **state)
{
    enum { N = 40, K = 10, DRAWS = 4000 };
    static const size_t size[][2] = {{1, 1}, {1, 0}, {5, 5}, {700, 1}, {700, 699}};
    uint32_t out[N_MAX], wide[N];
    unsigned times[N] = {0};
    double chi = 0;
    vl_err e;

    (void)state;
    for (size_t r = 0; r < 5; r++) {
        assert_int_equal(vld_select_random(NULL, size[r][0], 0, 3, NULL, size[r][1], out, &e), VL_OK);
        for (size_t i = 0; i < size[r][1]; i++)
            assert_true(out[i] < size[r][0] && (!i || out[i] > out[i - 1]));
    }
    assert_int_equal(vld_select_random(NULL, 4, 0, 3, NULL, 5, out, &e), VL_EARG);
    for (uint64_t seed = 0; seed < DRAWS; seed++) {
        assert_int_equal(vld_select_random(NULL, N, 0, seed, NULL, K, out, &e), VL_OK);
        for (size_t i = 0; i < K; i++)
            times[out[i]]++;
    }
    /* 39 degrees of freedom, variance reduced by drawing without replacement: 99.9 % lie below 73 */
    for (size_t i = 0; i < N; i++)
        chi += (times[i] - 1000.0) * (times[i] - 1000.0) / 1000.0;
    assert_true(chi < 73 && chi > 1);
    /* the smaller draw is part of the larger one */
    assert_int_equal(vld_select_random(NULL, N, 0, 7, NULL, K, out, &e), VL_OK);
    assert_int_equal(vld_select_random(NULL, N, 0, 7, NULL, 2 * K, wide, &e), VL_OK);
    for (size_t i = 0, j = 0; i < K; i++, j++) {
        while (j < 2 * K && wide[j] != out[i])
            j++;
        assert_true(j < 2 * K);
    }
}

/* ---- k-center -------------------------------------------------------------------------------------- */

/* Small whole numbers: distances are exact, so the twin must agree whatever order it adds in. */
static void make_points(vl_real *x, size_t n, size_t dim, unsigned values, uint64_t seed)
{
    for (size_t i = 0; i < n * dim; i++)
        x[i] = (vl_real)vl_rng_below(seed, 1, i, values);
}

/* The definition: each next record maximises the least distance to all chosen; ties to the lowest. */
static void twin(const vl_real *x, size_t n, size_t dim, size_t first, size_t k, unsigned char *chosen)
{
    memset(chosen, 0, n);
    chosen[first] = 1;
    for (size_t round = 1; round < k; round++) {
        double best = -1;
        size_t at = 0;
        for (size_t i = 0; i < n; i++) {
            double least = 1e300;
            for (size_t c = 0; c < n; c++) {
                double d = 0;
                for (size_t j = 0; chosen[c] && j < dim; j++)
                    d +=
                        (double)(x[i * dim + j] - x[c * dim + j]) * (double)(x[i * dim + j] - x[c * dim + j]);
                if (chosen[c] && d < least)
                    least = d;
            }
            if (!chosen[i] && least > best) {
                best = least;
                at = i;
            }
        }
        chosen[at] = 1;
    }
}

static void kcenter_is_its_twin(void **state)
{
    static const struct {
        size_t n, dim, k;
        unsigned values; /* few: many ties and equal points */
    } row[] = {{1, 1, 1, 2},    {7, 1, 7, 2},       {50, 3, 12, 2},  {50, 5, 50, 3},     {256, 4, 20, 9},
               {257, 7, 20, 9}, {600, 16, 25, 100}, {600, 9, 30, 2}, {300, 33, 9, 1000}, {90, 2, 80, 1}};
    static vl_real x[N_MAX * 40];
    unsigned char want[N_MAX];
    uint32_t out[N_MAX];
    vl_err e;

    (void)state;
    for (size_t r = 0; r < sizeof row / sizeof *row; r++)
        for (int threads = 1; threads <= 4; threads += 3) {
            size_t n = row[r].n, found = 0, first;
            vl_pool *pool = NULL;
            assert_int_equal(vl_pool_new(threads, &pool, &e), VL_OK);
            make_points(x, n, row[r].dim, row[r].values, r);
            /* with one center the choice is the first one: the twin starts there */
            assert_int_equal(vld_select_kcenter(x, n, row[r].dim, r, pool, 1, out, &e), VL_OK);
            first = out[0];
            assert_int_equal(vld_select_kcenter(x, n, row[r].dim, r, pool, row[r].k, out, &e), VL_OK);
            twin(x, n, row[r].dim, first, row[r].k, want);
            for (size_t i = 0; i < n; i++)
                if (want[i] && (found >= row[r].k || out[found++] != i))
                    fail_msg("row %zu, %d threads: record %zu is missing", r, threads, i);
            assert_int_equal(found, row[r].k);
            vl_pool_free(pool);
        }
}

static void kcenter_first_and_refused(void **state)
{
    vl_real x[30] = {0};
    unsigned seen[30] = {0}, different = 0;
    uint32_t out[31];
    vl_err e;

    (void)state;
    for (uint64_t seed = 0; seed < 300; seed++) {
        assert_int_equal(vld_select_kcenter(x, 30, 1, seed, NULL, 1, out, &e), VL_OK);
        assert_true(out[0] < 30);
        different += !seen[out[0]]++;
    }
    assert_int_equal(different, 30); /* missing one of 30 in 300 draws has a chance of 1 in 900 a record */
    assert_int_equal(vld_select_kcenter(x, 30, 1, 0, NULL, 31, out, &e), VL_EARG);
    assert_int_equal(vld_select_kcenter(NULL, 30, 1, 0, NULL, 3, out, &e), VL_EARG);
    assert_int_equal(vld_select_kcenter(x, 30, 0, 0, NULL, 3, out, &e), VL_EARG);
}

static void table_is_whole(void **state)
{
    static const char *const name[] = {"random",  "rs2",    "herding",    "k-center", "k-means",
                                       "density", "cosine", "forgetting", "score"};
    size_t n = 0;

    (void)state;
    for (const vld_select_method *m = vld_select_methods; m->name; m++, n++) {
        assert_true(n < sizeof name / sizeof *name);
        assert_string_equal(m->name, name[n]);
        assert_int_equal(m->needs_features, m->by == VLD_BY_FEATURES);
        assert_true(m->fn || !m->needs_features);
    }
    assert_int_equal(n, sizeof name / sizeof *name);
}

/* ---- features -------------------------------------------------------------------------------------- */

typedef struct side { /* an array of one record; rows 0: none */
    const char *ext;
    size_t rows, dim;
    float v[8];
} side;

static int add(vld_features *f, size_t number, side a, side b, vl_err *e)
{
    vls_member m[2];
    uint8_t *bytes[2] = {NULL};
    side s[2] = {a, b};
    size_t n = 0;
    int rc;

    for (int i = 0; i < 2; i++)
        if (s[i].rows) {
            vl_npy npy = {.dtype = VL_F32, .rank = 2, .shape = {s[i].rows, s[i].dim}, .data = s[i].v};
            assert_int_equal(vl_npy_build(&npy, &bytes[i], &m[n].n, e), VL_OK);
            m[n].data = bytes[i];
            m[n++].ext = s[i].ext;
        }
    rc = vld_features_add(f, &(vls_record){"k", m, n}, NULL, number, e);
    free(bytes[0]);
    free(bytes[1]);
    return rc;
}

static void check_join(const vld_features *f, vld_joint joint, vld_joint found, size_t want_dim,
                       const double *want)
{
    static const uint32_t order[] = {1, 0};
    static char a[] = "a", b[] = "b";
    char *const key[] = {a, b};
    vl_real *out = NULL;
    size_t dim = 0;
    vl_err e;

    if (vld_features_join(f, &joint, order, 2, key, &out, &dim, &e))
        fail_msg("%s", e.text);
    assert_int_equal(joint, found);
    assert_int_equal(dim, want_dim);
    for (size_t i = 0; i < 2 * dim; i++)
        if (fabs((double)out[i] - want[i]) > 1e-6)
            fail_msg("joint %d, value %zu: %g, wanted %g", (int)joint, i, (double)out[i], want[i]);
    free(out);
}

#define I(rows, dim, ...) ((side){"m.img.npy", rows, dim, {__VA_ARGS__}})
#define T(rows, dim, ...) ((side){"m.txt.npy", rows, dim, {__VA_ARGS__}})
static const side nothing = {NULL, 0, 0, {0}};

static void features_are_as_said(void **state)
{
    const double h = sqrt(0.5);
    vld_features f = {0};
    vl_err e;

    (void)state;
    /* record 0: views (3,4) and (3,-4), whose mean lies along x, and one caption; record 1: a view, two captions */
    assert_int_equal(add(&f, 1, I(1, 2, 0, 5), nothing, &e), VL_OK);
    assert_int_equal(add(&f, 0, I(2, 2, 3, 4, 3, -4), nothing, &e), VL_OK);
    check_join(&f, VLD_AUTO, VLD_IMAGE, 2, (double[]){0, 1, 1, 0});
    assert_int_equal(add(&f, 0, nothing, T(1, 2, 0, 2), &e), VL_OK);
    assert_int_equal(add(&f, 1, nothing, T(2, 2, 1, 0, 3, 4), &e), VL_OK);
    check_join(&f, VLD_IMAGE, VLD_IMAGE, 2, (double[]){0, 1, 1, 0});
    check_join(&f, VLD_TEXT, VLD_TEXT, 2, (double[]){h, h, 0, 1});
    check_join(&f, VLD_AUTO, VLD_SUM, 2, (double[]){sin(PI / 8), cos(PI / 8), h, h});
    check_join(&f, VLD_CONCAT, VLD_CONCAT, 4, (double[]){0, h, 0.5, 0.5, h, 0, 0, h});
    vld_features_free(&f);
    /* other dimensions: auto is concat; a row of zeros stays one */
    assert_int_equal(add(&f, 0, I(1, 1, 2), T(1, 2, 0, 0), &e), VL_OK);
    assert_int_equal(add(&f, 1, I(1, 1, -2), T(1, 2, 0, 9), &e), VL_OK);
    check_join(&f, VLD_AUTO, VLD_CONCAT, 3, (double[]){-h, 0, h, 1, 0, 0});
    vld_features_free(&f);
    assert_int_equal(add(&f, 0, nothing, T(1, 2, 0, 0), &e), VL_OK);
    assert_int_equal(add(&f, 1, nothing, T(1, 2, 0, 9), &e), VL_OK);
    check_join(&f, VLD_AUTO, VLD_TEXT, 2, (double[]){0, 1, 0, 0});
    vld_features_free(&f);
}

static void features_refused(void **state)
{
    static const uint32_t order[] = {0, 1};
    static char a[] = "a", b[] = "b";
    static const struct {
        vld_joint joint;
        int rc;
        const char *text;
    } row[] = {{VLD_AUTO, VL_EFORMAT, "record 'b': no image embedding (m.img.npy) in any shard"},
               {VLD_IMAGE, VL_EFORMAT, "record 'b': no image embedding (m.img.npy) in any shard"},
               {VLD_CONCAT, VL_EFORMAT, "record 'b': no image embedding (m.img.npy) in any shard"}};
    char *const key[] = {a, b};
    vld_features f = {0};
    vl_real *out = NULL;
    vld_joint joint = VLD_AUTO;
    size_t dim;
    vl_err e;

    (void)state;
    assert_int_equal(vld_features_join(&f, &joint, order, 2, key, &out, &dim, &e), VL_EFORMAT);
    assert_string_equal(e.text, "no image embeddings (*.img.npy) in any shard");
    assert_int_equal(add(&f, 0, I(1, 2, 1, 0), T(1, 3, 1, 0, 0), &e), VL_OK);
    assert_int_equal(add(&f, 1, I(1, 3, 1, 0, 0), nothing, &e), VL_EFORMAT);
    assert_string_equal(e.text, "m.img.npy: rows of 3 dimensions, those before had 2");
    assert_int_equal(add(&f, 0, I(1, 2, 1, 0), nothing, &e), VL_EFORMAT);
    assert_string_equal(e.text, "m.img.npy: a second time for this record");
    assert_int_equal(add(&f, 1, I(2, 2, 1, 0, 0, NAN), nothing, &e), VL_EFORMAT);
    assert_string_equal(e.text, "m.img.npy: row 1 is not finite");
    assert_int_equal(add(&f, 1, I(1, 2, INFINITY, 0), nothing, &e), VL_EFORMAT);
    assert_int_equal(add(&f, 1, (side){"other.txt.npy", 1, 3, {0}}, nothing, &e), VL_EFORMAT);
    assert_string_equal(e.text, "rows of two models, m.txt.npy and other.txt.npy: which?");
    assert_int_equal(add(&f, 1, nothing, T(1, 3, 0, 1, 0), &e), VL_OK);
    for (size_t r = 0; r < 3; r++) {
        joint = row[r].joint;
        assert_int_equal(vld_features_join(&f, &joint, order, 2, key, &out, &dim, &e), row[r].rc);
        assert_string_equal(e.text, row[r].text);
    }
    joint = VLD_SUM;
    assert_int_equal(vld_features_join(&f, &joint, order, 1, key, &out, &dim, &e), VL_EARG);
    assert_null(out);
    vld_features_free(&f);
    f.text.want = "m.txt.npy"; /* with a wish, the other one is no conflict */
    assert_int_equal(add(&f, 0, (side){"other.txt.npy", 1, 3, {0}}, T(1, 2, 1, 0), &e), VL_OK);
    assert_int_equal(f.text.dim, 2);
    vld_features_free(&f);
    assert_int_equal(
        vld_features_add(&f, &(vls_record){"k", &(vls_member){"m.txt.npy", (const uint8_t *)"x", 1}, 1}, NULL,
                         0, &e),
        VL_EFORMAT);
    vld_features_free(&f);
}

/* Rows in bf16, which the manifest's schema tells from integers. */
static void brain_floats(void **state)
{
    static const uint16_t bits[2] = {0x4040, 0x4080}; /* 3 and 4 */
    vl_npy npy = {.dtype = VL_BF16, .rank = 2, .shape = {1, 2}, .data = bits};
    json_t *manifest = json_pack("{s:{s:{s:s}}}", "schema", "m.img.npy", "dtype", "bf16");
    vls_member m = {.ext = "m.img.npy"};
    vld_features f = {0};
    uint8_t *p;
    vl_err e;

    (void)state;
    assert_int_equal(vl_npy_build(&npy, &p, &m.n, &e), VL_OK);
    m.data = p;
    assert_int_equal(vld_features_add(&f, &(vls_record){"k", &m, 1}, NULL, 0, &e), VL_EFORMAT);
    vld_features_free(&f);
    assert_int_equal(vld_features_add(&f, &(vls_record){"k", &m, 1}, manifest, 0, &e), VL_OK);
    assert_true(f.image.row[0] == 0.6f && f.image.row[1] == 0.8f); /* of unit norm */
    vld_features_free(&f);
    free(p);
    json_decref(manifest);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_draws),
        cmocka_unit_test(kcenter_is_its_twin),
        cmocka_unit_test(kcenter_first_and_refused),
        cmocka_unit_test(table_is_whole),
        cmocka_unit_test(features_are_as_said),
        cmocka_unit_test(features_refused),
        cmocka_unit_test(brain_floats),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
