/* SPDX-License-Identifier: MIT
 * ops_plain.h -- every op's forward pass as its formula says it, in double, from the inputs' x: y,
 * and the size of what was summed for it, which bounds its rounding error. */
#ifndef VL_TESTS_OPS_PLAIN_H
#define VL_TESTS_OPS_PLAIN_H

#include "pipeline/op.h"
#include "tests/differ.h"

#include <math.h>

typedef struct plain {
    double *y, *size;
} plain;

static void plain_conv2d(const vlt_node *y, vlt_node *const *in, plain p)
{
    const vlt_node *x = in[0], *w = in[1];
    size_t ci = x->dim[3], co = y->dim[3], k = w->dim[0];

    for (size_t i = 0; i < y->n; i++) {
        size_t o = i % co, ox = i / co % y->dim[2], oy = i / co / y->dim[2] % y->dim[1];
        size_t b = i / co / y->dim[2] / y->dim[1];
        p.y[i] = (double)in[2]->x[o];
        p.size[i] = fabs(p.y[i]);
        for (size_t t = 0; t < k * k * ci; t++) {
            long iy = (long)(oy * (size_t)y->attr[0] + t / ci / k) - y->attr[1];
            long ix = (long)(ox * (size_t)y->attr[0] + t / ci % k) - y->attr[1];
            if (iy < 0 || ix < 0 || iy >= (long)x->dim[1] || ix >= (long)x->dim[2])
                continue;
            size_t at = ((b * x->dim[1] + (size_t)iy) * x->dim[2] + (size_t)ix) * ci + t % ci;
            double v = (double)x->x[at] * (double)w->x[t * co + o];
            p.y[i] += v;
            p.size[i] += fabs(v);
        }
    }
}

static void plain_linear(const vlt_node *y, vlt_node *const *in, plain p)
{
    size_t k = in[1]->dim[0], n = in[1]->dim[1];

    for (size_t i = 0; i < y->n; i++) {
        p.y[i] = (double)in[2]->x[i % n];
        p.size[i] = fabs(p.y[i]);
        for (size_t j = 0; j < k; j++) {
            double v = (double)in[0]->x[i / n * k + j] * (double)in[1]->x[j * n + i % n];
            p.y[i] += v;
            p.size[i] += fabs(v);
        }
    }
}

static void plain_gelu(const vlt_node *y, vlt_node *const *in, plain p)
{
    for (size_t i = 0; i < y->n; i++) {
        double x = (double)in[0]->x[i];
        p.y[i] = 0.5 * x * erfc(-x * 0.70710678118654752440);
        p.size[i] = fabs(x);
    }
}

static void plain_meanpool(const vlt_node *y, vlt_node *const *in, plain p)
{
    size_t hw = in[0]->dim[1] * in[0]->dim[2], c = y->dim[1];

    for (size_t i = 0; i < y->n; i++)
        for (size_t k = 0; k < hw; k++) {
            double v = (double)in[0]->x[(i / c * hw + k) * c + i % c] / (double)hw;
            p.y[i] += v;
            p.size[i] += fabs(v);
        }
}

static void plain_l2norm(const vlt_node *y, vlt_node *const *in, plain p)
{
    size_t d = y->dim[1];

    for (size_t i = 0; i < y->n; i++) {
        double ss = 0;
        for (size_t k = i / d * d; k < (i / d + 1) * d; k++)
            ss += (double)in[0]->x[k] * (double)in[0]->x[k];
        p.y[i] = ss > 0 ? (double)in[0]->x[i] / sqrt(ss) : 0;
        p.size[i] = fabs(p.y[i]);
    }
}

static void plain_logits(const vlt_node *y, vlt_node *const *in, plain p)
{
    size_t b = y->dim[0], d = in[0]->dim[1];

    for (size_t i = 0; i < y->n; i++)
        for (size_t k = 0; k < d; k++) {
            double v = y->scale * (double)in[0]->x[i / b * d + k] * (double)in[1]->x[i % b * d + k];
            p.y[i] += v;
            p.size[i] += fabs(v);
        }
}

/* -log of the softmax of n values at a stride, at entry pos; no maximum taken out. */
static double plain_cross_entropy(const vl_real *z, size_t n, size_t stride, size_t pos)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += exp((double)z[i * stride] - (double)z[pos * stride]);
    return log(sum);
}

static void plain_infonce(const vlt_node *y, vlt_node *const *in, plain p)
{
    const vlt_node *z = in[0];
    size_t b = z->dim[0];

    (void)y;
    for (size_t i = 0; i < b; i++)
        p.y[0] += plain_cross_entropy(z->x + i * b, b, 1, i) + plain_cross_entropy(z->x + i, b, b, i);
    p.y[0] /= 2 * (double)b;
    p.size[0] = 1 + p.y[0] + vec_max(z->x, z->n);
}

#endif
