/* SPDX-License-Identifier: MIT
 * ops_plain.h -- every op's forward pass as its formula says it, in double, from the inputs' x: y,
 * and the size of what was summed for it, which bounds its rounding error. */
#ifndef VL_TESTS_OPS_PLAIN_H
#define VL_TESTS_OPS_PLAIN_H

#include "pipeline/op.h"
#include "pipeline/rng.h"
#include "tests/differ.h"

#include <math.h>
#include <stdlib.h>

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

/* The matrix of the op's owner in ops_cases.h. */
enum { PLAIN_MATRIX_MAX = 512 };
static vl_real plain_matrix_value(size_t i)
{
    return (vl_real)(vl_rng_unit(3, 1, i) - 0.5);
}

static void plain_matrix(const vlt_node *y, vlt_node *const *in, plain p)
{
    size_t k = in[0]->dim[1], n = y->dim[1];

    for (size_t i = 0; i < y->n; i++) {
        p.y[i] = (double)in[1]->x[i % n];
        p.size[i] = fabs(p.y[i]);
        for (size_t j = 0; j < k; j++) {
            double v = (double)in[0]->x[i / n * k + j] * (double)plain_matrix_value(j * n + i % n);
            p.y[i] += v;
            p.size[i] += fabs(v);
        }
    }
}

/* Row i of x times column c of w; also the sum of sizes. */
static double plain_product(const vlt_node *x, size_t i, const vlt_node *w, size_t c, double *size)
{
    size_t k = w->dim[0], n = w->dim[1];
    double sum = 0;

    *size = 0;
    for (size_t j = 0; j < k; j++) {
        double v = (double)x->x[i * k + j] * (double)w->x[j * n + c];
        sum += v;
        *size += fabs(v);
    }
    return sum;
}

static void plain_lora(const vlt_node *y, vlt_node *const *in, plain p)
{
    size_t n = y->dim[1], r = in[4]->dim[0];

    for (size_t i = 0; i < y->n; i++) {
        double size, b = (double)in[2]->x[i % n];
        p.y[i] = b + plain_product(in[0], i / n, in[1], i % n, &size);
        p.size[i] = fabs(b) + size;
        for (size_t j = 0; j < r; j++) {
            double q = y->scale * (double)in[4]->x[j * n + i % n];
            p.y[i] += q * plain_product(in[0], i / n, in[3], j, &size);
            p.size[i] += 2 * fabs(q) * size;
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

static void plain_add(const vlt_node *y, vlt_node *const *in, plain p)
{
    for (size_t i = 0; i < y->n; i++) {
        p.y[i] = (double)in[0]->x[i] + (double)in[1]->x[i];
        p.size[i] = fabs(p.y[i]);
    }
}

static void plain_dropout(const vlt_node *y, vlt_node *const *in, plain p)
{
    uint64_t stream = vl_rng_stream("dropout", 0, 0, (uint64_t)y->attr[0]);

    for (size_t i = 0; i < y->n; i++) {
        uint32_t half = (uint32_t)(vl_rng(0, stream, i / 2) >> 32 * (i % 2));
        p.y[i] = (double)half * 0x1p-32 < y->scale ? 0 : (double)in[0]->x[i] / (1 - y->scale);
        p.size[i] = fabs(p.y[i]);
    }
}

static void plain_layernorm(const vlt_node *y, vlt_node *const *in, plain p)
{
    size_t d = y->dim[1];

    for (size_t i = 0; i < y->n; i++) {
        const vl_real *x = in[0]->x + i / d * d;
        double mean = 0, sum = 0, var = 0, g = (double)in[1]->x[i % d], b = (double)in[2]->x[i % d];
        for (size_t k = 0; k < d; k++) {
            mean += (double)x[k] / (double)d;
            sum += fabs((double)x[k]) / (double)d;
        }
        for (size_t k = 0; k < d; k++)
            var += ((double)x[k] - mean) * ((double)x[k] - mean) / (double)d;
        p.y[i] = g * ((double)x[i % d] - mean) / sqrt(var + y->scale) + b;
        p.size[i] = fabs(g) * (fabs((double)x[i % d]) + sum) / sqrt(var + y->scale) + fabs(b);
    }
}

static void plain_tokens(const vlt_node *y, vlt_node *const *in, plain p)
{
    size_t d = y->dim[1], n = in[2]->dim[0];

    for (size_t i = 0; i < y->n; i++) {
        size_t c = i % d, row = i / d % n, image = i / d / n;
        double v = row ? (double)in[0]->x[(image * (n - 1) + row - 1) * d + c] : (double)in[1]->x[c];
        p.y[i] = v + (double)in[2]->x[row * d + c];
        p.size[i] = fabs(p.y[i]);
    }
}

/* Of row i and head h: weight of key j, not yet divided by their sum; size: of what was summed. */
static double plain_weight(const vlt_node *y, vlt_node *const *in, size_t i, size_t j, size_t h, double *size)
{
    size_t width = y->dim[1], d = width / (size_t)y->attr[0];
    double s = 0, sizes = 0;

    for (size_t k = h * d; k < (h + 1) * d; k++) {
        double v = (double)in[0]->x[i * width + k] * (double)in[1]->x[j * width + k] / sqrt((double)d);
        s += v;
        sizes += fabs(v);
    }
    *size = fmax(*size, sizes);
    return exp(s);
}

static void plain_attention(const vlt_node *y, vlt_node *const *in, plain p)
{
    size_t width = y->dim[1], heads = (size_t)y->attr[0], n = (size_t)y->attr[1];

    for (size_t e = 0; e < y->n; e++) {
        size_t i = e / width, c = e % width, first = i / n * n;
        double sum = 0, out = 0, out_size = 0, size = 0;
        for (size_t j = first; j < first + n; j++) {
            double w = plain_weight(y, in, i, j, c / (width / heads), &size);
            double v = (double)in[2]->x[j * width + c];
            sum += w;
            out += w * v;
            out_size += w * fabs(v);
        }
        p.y[e] = out / sum;
        p.size[e] = out_size / sum * (1 + 2 * size);
    }
}

static void plain_first(const vlt_node *y, vlt_node *const *in, plain p)
{
    size_t d = y->dim[1], n = (size_t)y->attr[1];

    for (size_t i = 0; i < y->n; i++) {
        p.y[i] = (double)in[0]->x[i / d * n * d + i % d];
        p.size[i] = fabs(p.y[i]);
    }
}

static void plain_blend(const vlt_node *y, vlt_node *const *in, plain p)
{
    double lam = vl_rng_beta(0, vl_rng_stream("blend", 0, 0, 0), y->scale);
    size_t b = y->dim[0], d = y->n / b;
    uint32_t *perm = calloc(b, sizeof *perm);

    assert_non_null(perm);
    vl_rng_shuffle(0, vl_rng_stream("blend", 0, 0, 1), b, perm);
    for (size_t i = 0; i < y->n; i++) {
        double mine = lam * (double)in[0]->x[i];
        double other = (1 - lam) * (double)in[0]->x[perm[i / d] * d + i % d];
        p.y[i] = mine + other;
        p.size[i] = fabs(mine) + fabs(other);
    }
    free(perm);
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

static void plain_lowrank(const vlt_node *y, vlt_node *const *in, plain p)
{
    size_t b = y->dim[0], r = in[0]->dim[1];

    for (size_t i = 0; i < y->n; i++) {
        p.y[i] = i / b == i % b ? (double)in[2]->x[i % b] : 0;
        p.size[i] = fabs(p.y[i]);
        for (size_t k = 0; k < r; k++) {
            double v = y->scale * (double)in[0]->x[i / b * r + k] * (double)in[1]->x[i % b * r + k];
            p.y[i] += v;
            p.size[i] += fabs(v);
        }
    }
}

static double plain_one_bce(double z, double s, double eps)
{
    return -s * log(1 / (1 + exp(-z)) + eps) - (1 - s) * log(1 / (1 + exp(z)) + eps);
}

static void plain_bce(const vlt_node *y, vlt_node *const *in, plain p)
{
    (void)y;
    for (size_t i = 0; i < in[0]->n; i++) {
        double v = plain_one_bce((double)in[0]->x[i], (double)in[1]->x[i], 0) / (double)in[0]->n;
        p.y[0] += v;
        p.size[0] += fabs(v);
    }
}

static void plain_wbce(const vlt_node *y, vlt_node *const *in, plain p)
{
    (void)y;
    for (int side = 0; side < 2; side++) {
        double sum = 0, size = 0, n = 0;
        for (size_t i = 0; i < in[0]->n; i++)
            if ((in[1]->x[i] > VL_R(0.5)) == side) {
                double v = plain_one_bce((double)in[0]->x[i], (double)in[1]->x[i], 1e-6);
                sum += v;
                size += fabs(v);
                n++;
            }
        p.y[0] += sum / (n + 1e-6) / 2;
        p.size[0] += size / (n + 1e-6) / 2;
    }
}

static void plain_ence(const vlt_node *y, vlt_node *const *in, plain p)
{
    const vlt_node *z = in[0];
    size_t b = z->dim[0];

    (void)y;
    for (size_t i = 0; i < z->n; i++) {
        size_t r = i / b, c = i % b;
        double v = (double)in[1]->x[i] / (2 * (double)b);
        double w = plain_cross_entropy(z->x + r * b, b, 1, c) + plain_cross_entropy(z->x + c, b, b, r);
        p.y[0] += v * w;
        p.size[0] += fabs(v) * (w + fabs((double)z->x[i]) + vec_max(z->x, z->n));
    }
}

#endif
