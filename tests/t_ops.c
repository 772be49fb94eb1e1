/* SPDX-License-Identifier: MIT
 * t_ops.c -- every op in float: the shared checks of ops_cases.h, gelu's derivatives against libm
 * over its whole range, and inputs that float cannot square. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/ops_cases.h"

/* bwd with gy = 1 gives d(x); bwd_tan with gy = xt = 1 and gyt = 0 gives d2(x). */
static void test_gelu_range(void **state)
{
    enum { N = 48001 };
    vlt_tape *t = NULL;
    vl_err e = {0};
    vlt_node *x, *y;
    vlt_id in;

    (void)state;
    assert_int_equal(vlt_tape_new(NULL, true, &t, &e), VL_OK);
    in = vlt_leaf(t, VLT_PARAM, 1, (size_t[]){N});
    y = vlt_at(t, vlt_gelu(t, in));
    assert_int_equal(vlt_plan(t, &e), VL_OK);
    x = vlt_at(t, in);
    for (size_t i = 0; i < N; i++) {
        x->x[i] = (vl_real)((double)i / 1000 - 24);
        x->xt[i] = y->gx[i] = 1;
    }
    vlt_ops[VLT_OP_gelu]->fwd(t, y);
    vlt_ops[VLT_OP_gelu]->bwd(t, y);
    vlt_ops[VLT_OP_gelu]->bwd_tan(t, y);
    for (size_t i = 0; i < N; i++) {
        double v = (double)x->x[i], cdf = 0.5 * erfc(-v * 0.70710678118654752440);
        double pdf = 0.39894228040143267794 * exp(-0.5 * v * v);
        assert_true(fabs((double)y->x[i] - v * cdf) <= 5e-7 * fabs(v));
        assert_true(fabs((double)x->gx[i] - (cdf + v * pdf)) <= 1e-6);
        assert_true(fabs((double)x->gxt[i] - pdf * (2 - v * v)) <= 1e-6);
    }
    vlt_tape_free(t);
}

/* Rows whose 1 / r float does not hold, too short or too long, count as zero rows. */
static void test_l2norm_extremes(void **state)
{
    static const float rows_in[][2] = {
        {1e-44f, 0}, {1e-38f, -1e-40f}, {3e-30f, 4e-30f}, {3e37f, 4e37f}, {FLT_MAX, -FLT_MAX}};
    static const float rows_out[][2] = {{0, 0}, {0, 0}, {0.6f, 0.8f}, {0.6f, 0.8f}, {0, 0}};
    vlt_tape *t = NULL;
    vl_err e = {0};
    vlt_node *y;
    vlt_id in;

    (void)state;
    assert_int_equal(vlt_tape_new(NULL, true, &t, &e), VL_OK);
    in = vlt_leaf(t, VLT_PARAM, 2, (size_t[]){5, 2});
    y = vlt_at(t, vlt_l2norm(t, in));
    assert_int_equal(vlt_plan(t, &e), VL_OK);
    memcpy(vlt_x(t, in), rows_in, sizeof rows_in);
    vlt_ops[VLT_OP_l2norm]->fwd(t, y);
    for (int i = 0; i < 10; i++)
        if (!(fabsf(y->x[i] - rows_out[i / 2][i % 2]) <= 2e-6f))
            fail_msg("row %d: %.9g", i / 2, (double)y->x[i]);
    vlt_tape_free(t);
}

/* A NaN that comes in is not hidden: it comes out. */
static void test_nan_passes(void **state)
{
    (void)state;
    for (int op = 0; op < VLT_N_OPS; op++) {
        bool found = false;
        fixture f;
        open_case(&f, &rows[op], 1, all_param, NULL);
        f.in[0]->x[0] = NAN;
        run_fwd(&f);
        for (size_t i = 0; i < f.y->n; i++)
            found |= isnan(f.y->x[i]);
        if (!found)
            fail_msg("%s hides a NaN", vlt_ops[op]->name);
        close_case(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define VLT_OP(name, n) OPS_SHARED_TESTS(name),
#include "pipeline/ops.def"
#undef VLT_OP
        cmocka_unit_test(test_zero_row),
        cmocka_unit_test(test_gelu_range),
        cmocka_unit_test(test_l2norm_extremes),
        cmocka_unit_test(test_nan_passes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
