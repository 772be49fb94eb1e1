/* SPDX-License-Identifier: MIT
 * t_score_table.c -- scores that stream by: cosines of sides that come together or apart, numbers in members. */
#include "distill/score_table.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

typedef struct array {
    const char *ext; /* NULL: none */
    vl_dtype dtype;
    size_t rows, dim; /* rows 0: rank 1 */
    const void *v;
} array;

static int add(vld_scores *s, size_t number, array a, array b, vl_err *e)
{
    const array all[2] = {a, b};
    uint8_t *bytes[2] = {NULL};
    vls_member m[2];
    size_t n = 0;
    int rc;

    for (int i = 0; i < 2; i++)
        if (all[i].ext) {
            vl_npy npy = {
                .dtype = all[i].dtype, .rank = 2, .shape = {all[i].rows, all[i].dim}, .data = all[i].v};
            if (!all[i].rows) {
                npy.rank = 1;
                npy.shape[0] = all[i].dim;
            }
            assert_int_equal(vl_npy_build(&npy, &bytes[i], &m[n].n, e), VL_OK);
            m[n].data = bytes[i];
            m[n++].ext = all[i].ext;
        }
    rc = vld_scores_add(s, &(vls_record){"k", m, n}, NULL, number, e);
    free(bytes[0]);
    free(bytes[1]);
    return rc;
}

#define I(rows, dim, ...) ((array){"m.img.npy", VL_F32, rows, dim, (float[]){__VA_ARGS__}})
#define T(rows, dim, ...) ((array){"m.txt.npy", VL_F32, rows, dim, (float[]){__VA_ARGS__}})
#define S(dim, ...)       ((array){"a.npy", VL_F64, 0, dim, (double[]){__VA_ARGS__}})
static const array nothing = {NULL, VL_F32, 0, 0, NULL};
static char a_[] = "a", b_[] = "b", c_[] = "c";
static char *const key[] = {a_, b_, c_};
static const uint32_t order[] = {2, 0, 1};

static void cosines(void **state)
{
    const double h = sqrt(0.5);
    vld_scores s = {0};
    double out[3] = {9, 9, 9};
    vl_err e;

    (void)state;
    /* 0: together; 1: text first; 2: image first, two views whose mean lies along x, two captions */
    assert_int_equal(add(&s, 1, nothing, T(1, 2, 0, -7), &e), VL_OK);
    assert_int_equal(add(&s, 0, I(1, 2, 3, 4), T(1, 2, 4, 3), &e), VL_OK);
    assert_int_equal(add(&s, 2, I(2, 2, 1, 1, 1, -1), nothing, &e), VL_OK);
    assert_int_equal(vld_scores_take(&s, order, 3, key, out, &e), VL_EFORMAT);
    assert_string_equal(e.text, "record 'c': no text embedding (m.txt.npy) in any shard");
    assert_int_equal(add(&s, 2, nothing, T(2, 2, 1, 0, 0, 1), &e), VL_OK);
    assert_int_equal(vld_scores_take(&s, order, 3, key, out, &e), VL_EFORMAT);
    assert_string_equal(e.text, "record 'b': no image embedding (m.img.npy) in any shard");
    assert_int_equal(add(&s, 1, I(1, 2, 0, 2), nothing, &e), VL_OK);
    assert_int_equal(vld_scores_take(&s, order, 3, key, out, &e), VL_OK);
    assert_true(fabs(out[0] - h) < 1e-7 && fabs(out[1] - 0.96) < 1e-7 && fabs(out[2] + 1) < 1e-7);
    for (int i = 0; i < 3; i++)
        assert_null(s.waiting[i]); /* no rows are kept */
    assert_int_equal(add(&s, 1, I(1, 2, 0, 2), nothing, &e), VL_EFORMAT);
    assert_string_equal(e.text, "m.img.npy: a second time for this record");
    assert_int_equal(add(&s, 900, I(1, 2, NAN, 2), nothing, &e), VL_EFORMAT);
    assert_int_equal(add(&s, 900, I(1, 2, 0, 0), T(1, 2, 1, 0), &e), VL_OK); /* a zero row: cosine 0 */
    assert_true(s.score[900] == 0);
    vld_scores_free(&s);
}

static void cosines_refused(void **state)
{
    vld_scores s = {0};
    double out[3];
    vl_err e;

    (void)state;
    assert_int_equal(add(&s, 0, nothing, T(1, 2, 1, 0), &e), VL_OK);
    assert_int_equal(vld_scores_take(&s, order, 3, key, out, &e), VL_EFORMAT);
    assert_string_equal(e.text, "no image embeddings (*.img.npy) in any shard");
    assert_int_equal(add(&s, 0, I(1, 3, 1, 0, 0), nothing, &e), VL_EFORMAT);
    assert_string_equal(e.text, "no cosine of m.img.npy with 3 dimensions and m.txt.npy with 2");
    vld_scores_free(&s);
    s.text.want = "m.txt.npy";
    assert_int_equal(add(&s, 0, I(1, 2, 1, 0), nothing, &e), VL_OK);
    assert_int_equal(vld_scores_take(&s, order, 3, key, out, &e), VL_EFORMAT);
    assert_string_equal(e.text, "no text embeddings (m.txt.npy) in any shard");
    vld_scores_free(&s);
}

static void members(void **state)
{
    vld_scores s = {.member = "a.npy"};
    const float half = 0.5f;
    double out[3];
    vl_err e;

    (void)state;
    assert_int_equal(vld_scores_take(&s, order, 3, key, out, &e), VL_EFORMAT);
    assert_string_equal(e.text, "no scores (a.npy) in any shard");
    assert_int_equal(add(&s, 0, S(1, 0.1), I(1, 2, 1, 0), &e), VL_OK);
    assert_int_equal(add(&s, 1, nothing, I(1, 2, 1, 0), &e), VL_OK);
    assert_int_equal(add(&s, 2, (array){"a.npy", VL_F32, 1, 1, &half}, nothing, &e), VL_OK);
    assert_int_equal(vld_scores_take(&s, order, 3, key, out, &e), VL_EFORMAT);
    assert_string_equal(e.text, "record 'b': no score (a.npy) in any shard");
    assert_int_equal(vld_scores_take(&s, order, 2, key, out, &e), VL_OK);
    assert_true(out[0] == 0.5 && out[1] == 0.1); /* doubles stay doubles */
    assert_int_equal(add(&s, 1, S(2, 0, 1), nothing, &e), VL_EFORMAT);
    assert_string_equal(e.text, "a.npy: one number wanted, there are 2");
    assert_int_equal(add(&s, 1, S(1, INFINITY), nothing, &e), VL_EFORMAT);
    assert_string_equal(e.text, "a.npy: the score is not finite");
    assert_int_equal(add(&s, 0, S(1, 0.1), nothing, &e), VL_EFORMAT);
    assert_string_equal(e.text, "a.npy: a second time for this record");
    assert_int_equal(vld_scores_add(&s,
                                    &(vls_record){"k", &(vls_member){"a.npy", (const uint8_t *)"x", 1}, 1},
                                    NULL, 1, &e),
                     VL_EFORMAT);
    vld_scores_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cosines),
        cmocka_unit_test(cosines_refused),
        cmocka_unit_test(members),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
