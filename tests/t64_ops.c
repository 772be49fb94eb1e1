/* SPDX-License-Identifier: MIT
 * t64_ops.c -- every op's kernels against central differences, in double; and the shared checks of
 * ops_cases.h: the plain form, <gy, yt> = <gx, xt>, other flows, other thread counts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/ops_cases.h"

#define H 2e-3

/* fwd, and bwd where wanted, at inputs x + h xt (of input `only`, or of all: -1) and gy + h gyt. */
static void run_at(fixture *f, double h, int only, bool bwd)
{
    for (int i = 0; i < f->row->n_in; i++)
        for (size_t k = 0; k < f->in[i]->n; k++)
            f->in[i]->x[k] = f->x[i][k] + (only < 0 || only == i ? h * f->xt[i][k] : 0);
    run_fwd(f);
    if (!bwd)
        return;
    for (size_t k = 0; k < f->y->n; k++)
        f->y->gx[k] = f->gy[k] + h * f->gyt[k];
    run_bwd(f, 0);
}

/* ---- differences ----------------------------------------------------------------------------- */

static void judge(const fixture *f, const char *what, const vl_real *d1, const vl_real *d2,
                  const vl_real *exact, size_t n, double size)
{
    char label[64];

    snprintf(label, sizeof label, "%s case %zu", vlt_ops[f->row->op]->name, f->number);
    differ_judge(label, what, d1, d2, exact, n, H, size);
}

/* out = (v(h) - v(-h)) / 2h for y (which < 0) or the gx of one input. */
static double difference(fixture *f, double h, int which, vl_real *out)
{
    const vlt_node *n = which < 0 ? f->y : f->in[which];
    const vl_real *v = which < 0 ? f->y->x : f->in[which]->gx;
    double size;

    run_at(f, h, -1, which >= 0);
    memcpy(out, v, n->n * sizeof *out);
    run_at(f, -h, -1, which >= 0);
    size = vec_max(v, n->n);
    for (size_t k = 0; k < n->n; k++)
        out[k] = (out[k] - v[k]) / (2 * h);
    return size;
}

static void compare_vector(fixture *f, const char *what, int which, const vl_real *exact)
{
    size_t n = which < 0 ? f->y->n : f->in[which]->n;
    vl_real *d1 = calloc(n, sizeof *d1), *d2 = calloc(n, sizeof *d2);
    double size;

    assert_true(d1 && d2);
    size = difference(f, H, which, d1);
    size = fmax(size, difference(f, H / 2, which, d2));
    if (which >= 0) /* a gradient is itself a sum: over the batch and the positions at most */
        size *= sqrt((double)f->y->n);
    judge(f, what, d1, d2, exact, n, size);
    free(d1);
    free(d2);
}

/* <gx, xt> of one input against differences of <gy, y>. */
static void compare_gradient(fixture *f, int i, const vl_real *gx)
{
    vl_real d[2], exact = vec_dot(gx, f->xt[i], f->in[i]->n);
    double size = 0;

    for (int k = 0; k < 2; k++) {
        double h = k ? H / 2 : H, plus;
        run_at(f, h, i, false);
        plus = vec_dot(f->gy, f->y->x, f->y->n);
        size = fmax(size, vec_dot_abs(f->gy, f->y->x, f->y->n));
        run_at(f, -h, i, false);
        d[k] = (plus - vec_dot(f->gy, f->y->x, f->y->n)) / (2 * h);
    }
    judge(f, "bwd", &d[0], &d[1], &exact, 1, size);
}

static void test_differences(void **state)
{
    const op_row *row = *state;

    for (size_t c = 0; c < row->n_cases; c++) {
        vl_real *gx[VLT_MAX_IN], *gxt[VLT_MAX_IN], *yt;
        fixture f;

        open_case(&f, row, c, all_param, NULL);
        run_all(&f, 0);
        yt = malloc(f.y->n * sizeof *yt);
        copy(yt, f.y->xt, f.y->n);
        for (int i = 0; i < row->n_in; i++) {
            gx[i] = malloc(f.in[i]->n * sizeof(vl_real));
            gxt[i] = malloc(f.in[i]->n * sizeof(vl_real));
            copy(gx[i], f.in[i]->gx, f.in[i]->n);
            copy(gxt[i], f.in[i]->gxt, f.in[i]->n);
        }
        compare_vector(&f, "fwd_tan", -1, yt);
        for (int i = 0; i < row->n_in; i++) {
            compare_gradient(&f, i, gx[i]);
            compare_vector(&f, "bwd_tan", i, gxt[i]);
            free(gx[i]);
            free(gxt[i]);
        }
        free(yt);
        close_case(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define VLT_OP(name, n)                                                                                      \
    {#name " differences", test_differences, NULL, NULL, (void *)&rows[VLT_OP_##name]},                      \
        OPS_SHARED_TESTS(name),
#include "pipeline/ops.def"
#undef VLT_OP
        cmocka_unit_test(test_zero_row),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
