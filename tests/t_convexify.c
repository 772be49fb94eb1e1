/* SPDX-License-Identifier: MIT
 * t_convexify.c -- snapshots on the line between the ends, as far along as the path is long, tensor by tensor. */
#include "distill/convexify.h"
#include "pipeline/rng.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { SNAPS = 5 };

static double length(const vl_real *a, const vl_real *b, size_t n)
{
    double s = 0;

    for (size_t i = 0; i < n; i++)
        s += pow((double)a[i] - (double)b[i], 2);
    return sqrt(s);
}

static void on_the_line(void **state)
{
    vld_experts x = {.n = 2};
    int snaps[2] = {SNAPS, 3};
    vl_real *theta[2], *before[2];
    vl_err e;

    (void)state;
    assert_int_equal(vlm_parse("convnet:4x1", 16, 5, 6, 1, &x.model, &e), VL_OK);
    x.n_snaps = snaps;
    x.theta = theta;
    for (int i = 0; i < 2; i++) {
        size_t n = (size_t)snaps[i] * x.model.n;
        theta[i] = malloc(n * sizeof **theta);
        before[i] = malloc(n * sizeof **theta);
        vl_rng_normal(1, (uint64_t)i, n, 1, theta[i]);
        for (int t = 1; t < snaps[i]; t++) /* the last tensor never moves */
            memcpy(theta[i] + (size_t)t * x.model.n + x.model.param[x.model.n_params - 1].offset,
                   theta[i] + x.model.param[x.model.n_params - 1].offset,
                   x.model.param[x.model.n_params - 1].n * sizeof **theta);
        memcpy(before[i], theta[i], n * sizeof **theta);
    }
    vld_convexify(&x);
    for (int i = 0; i < 2; i++)
        for (int k = 0; k < x.model.n_params; k++) {
            const vlm_param *p = &x.model.param[k];
            const vl_real *was = before[i] + p->offset, *is = theta[i] + p->offset;
            size_t stride = x.model.n, last = (size_t)snaps[i] - 1;
            double all = 0, path = 0, chord = length(was, was + last * stride, p->n);
            for (size_t t = 1; t <= last; t++)
                all += length(was + t * stride, was + (t - 1) * stride, p->n);
            for (size_t t = 0; t <= last; t++) {
                path += t ? length(was + t * stride, was + (t - 1) * stride, p->n) : 0;
                double b = all > 0 ? path / all : 0, off = 0;
                for (size_t j = 0; j < p->n; j++)
                    off = fmax(off, fabs((double)is[t * stride + j] -
                                         ((1 - b) * (double)was[j] + b * (double)was[last * stride + j])));
                assert_true(off < 1e-5);
                assert_true(fabs(length(is, is + t * stride, p->n) - b * chord) < 1e-4 * (1 + chord));
            }
            assert_memory_equal(is, was, p->n * sizeof *is); /* the ends stay, bit for bit */
            assert_memory_equal(is + last * stride, was + last * stride, p->n * sizeof *is);
        }
    for (int i = 0; i < 2; i++) {
        free(theta[i]);
        free(before[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(on_the_line)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
