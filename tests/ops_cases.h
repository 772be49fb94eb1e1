/* SPDX-License-Identifier: MIT
 * ops_cases.h -- every row of ops.def with its cases and a plain form in double; the checks that
 * the float and the double build share. t64_ops.c adds differences, t_ops.c what only float can get
 * wrong.
 *
 * An op needs build_<name> and cases_<name> here, plain_<name> in ops_plain.h; without them this
 * does not compile. */
#ifndef VL_TESTS_OPS_CASES_H
#define VL_TESTS_OPS_CASES_H

#include "pipeline/op.h"
#include "pipeline/rng.h"
#include "tests/differ.h"
#include "tests/ops_plain.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EPS (sizeof(vl_real) == sizeof(float) ? (double)FLT_EPSILON : DBL_EPSILON)

typedef struct op_case {
    int rank[VLT_MAX_IN];
    size_t dim[VLT_MAX_IN][VLT_MAX_RANK];
    int attr[2];
    double scale;
    double spread;  /* standard deviation of the inputs; 0: 1 */
    bool two_sides; /* input 1 keeps a tenth away from 1/2, where wbce jumps */
    int zero_row;   /* this row of input 0 is zero, with zero tangent; 0: none, so never the first */
} op_case;

static vlt_id build_conv2d(vlt_tape *t, const vlt_id *in, const op_case *c)
{
    return vlt_conv2d(t, in[0], in[1], in[2], c->attr[0], c->attr[1]);
}
static vlt_id build_linear(vlt_tape *t, const vlt_id *in, const op_case *c)
{
    (void)c;
    return vlt_linear(t, in[0], in[1], in[2]);
}
/* A map whose owner is a dense matrix without a tangent. Of the fixtures that are open at a time all are of one
 * case, so one such matrix is enough. */
typedef struct dense_owner {
    size_t b, k, n;
    vl_real w[PLAIN_MATRIX_MAX];
} dense_owner;

static void dense_add(const dense_owner *o, bool turned, const vl_real *x, vl_real *y)
{
    for (size_t r = 0; r < o->b; r++)
        for (size_t i = 0; i < o->k; i++)
            for (size_t c = 0; c < o->n; c++)
                if (turned)
                    y[r * o->k + i] += x[r * o->n + c] * o->w[i * o->n + c];
                else
                    y[r * o->n + c] += x[r * o->k + i] * o->w[i * o->n + c];
}
static void dense_forward(void *owner, const vl_real *x, vl_real *y)
{
    const dense_owner *o = owner;

    memset(y, 0, o->b * o->n * sizeof *y);
    if (x)
        dense_add(o, false, x, y);
}
static void dense_backward(void *owner, const vl_real *gy, vl_real *gx)
{
    if (gx)
        dense_add(owner, true, gy, gx);
}
static vlt_id build_matrix(vlt_tape *t, const vlt_id *in, const op_case *c)
{
    static dense_owner o;
    static vlt_map map;

    o.b = c->dim[0][0];
    o.k = c->dim[0][1];
    o.n = c->dim[1][0];
    for (size_t i = 0; i < o.k * o.n; i++)
        o.w[i] = plain_matrix_value(i);
    map = (vlt_map){o.k, o.n, &o, dense_forward, dense_backward, dense_forward, dense_backward};
    return vlt_matrix(t, in[0], in[1], &map);
}
static vlt_id build_lora(vlt_tape *t, const vlt_id *in, const op_case *c)
{
    return vlt_lora(t, in[0], in[1], in[2], in[3], in[4], c->scale);
}
static vlt_id build_gelu(vlt_tape *t, const vlt_id *in, const op_case *c)
{
    (void)c;
    return vlt_gelu(t, in[0]);
}
static vlt_id build_add(vlt_tape *t, const vlt_id *in, const op_case *c)
{
    (void)c;
    return vlt_add(t, in[0], in[1]);
}
static vlt_id build_dropout(vlt_tape *t, const vlt_id *in, const op_case *c)
{
    return vlt_dropout(t, in[0], c->scale, c->attr[0]);
}
static vlt_id build_layernorm(vlt_tape *t, const vlt_id *in, const op_case *c)
{
    return c->scale > 0 ? vlt_layernorm_eps(t, in[0], in[1], in[2], c->scale)
                        : vlt_layernorm(t, in[0], in[1], in[2]);
}
static vlt_id build_tokens(vlt_tape *t, const vlt_id *in, const op_case *c)
{
    (void)c;
    return vlt_tokens(t, in[0], in[1], in[2]);
}
static vlt_id build_attention(vlt_tape *t, const vlt_id *in, const op_case *c)
{
    return vlt_attention(t, in[0], in[1], in[2], c->attr[0], c->attr[1]);
}
static vlt_id build_first(vlt_tape *t, const vlt_id *in, const op_case *c)
{
    return vlt_first(t, in[0], c->attr[1]);
}
static vlt_id build_blend(vlt_tape *t, const vlt_id *in, const op_case *c)
{
    return vlt_blend(t, in[0], c->scale);
}
static vlt_id build_meanpool(vlt_tape *t, const vlt_id *in, const op_case *c)
{
    (void)c;
    return vlt_meanpool(t, in[0]);
}
static vlt_id build_l2norm(vlt_tape *t, const vlt_id *in, const op_case *c)
{
    (void)c;
    return vlt_l2norm(t, in[0]);
}
static vlt_id build_logits(vlt_tape *t, const vlt_id *in, const op_case *c)
{
    return vlt_logits(t, in[0], in[1], c->scale);
}
static vlt_id build_infonce(vlt_tape *t, const vlt_id *in, const op_case *c)
{
    (void)c;
    return vlt_infonce(t, in[0]);
}
static vlt_id build_lowrank(vlt_tape *t, const vlt_id *in, const op_case *c)
{
    return vlt_lowrank(t, in[0], in[1], in[2], c->scale);
}
static vlt_id build_bce(vlt_tape *t, const vlt_id *in, const op_case *c)
{
    (void)c;
    return vlt_bce(t, in[0], in[1]);
}
static vlt_id build_wbce(vlt_tape *t, const vlt_id *in, const op_case *c)
{
    (void)c;
    return vlt_wbce(t, in[0], in[1]);
}
static vlt_id build_ence(vlt_tape *t, const vlt_id *in, const op_case *c)
{
    (void)c;
    return vlt_ence(t, in[0], in[1]);
}

#define CONV(b, h, w, ci, k, co, stride, pad)                                                                \
    {                                                                                                        \
        .rank = {4, 4, 1}, .dim = {{b, h, w, ci}, {k, k, ci, co}, {co}}, .attr = { stride, pad }             \
    }
static const op_case cases_conv2d[] = {
    CONV(1, 1, 1, 1, 1, 1, 1, 0),    CONV(1, 5, 7, 3, 1, 2, 1, 0),     CONV(3, 7, 5, 2, 1, 3, 2, 0),
    CONV(3, 7, 5, 2, 3, 5, 1, 1),    CONV(9, 5, 5, 3, 3, 4, 2, 1),     CONV(17, 6, 7, 1, 3, 7, 2, 1),
    CONV(3, 3, 3, 2, 3, 2, 1, 0),    CONV(3, 9, 9, 2, 3, 3, 4, 2),     CONV(9, 8, 12, 3, 4, 5, 4, 0),
    CONV(3, 7, 6, 2, 4, 3, 1, 2),    CONV(1, 11, 10, 3, 4, 2, 2, 1),   CONV(17, 5, 5, 2, 5, 3, 1, 2),
    CONV(3, 11, 7, 1, 5, 2, 2, 2),   CONV(9, 13, 5, 2, 5, 2, 4, 1),    CONV(1, 1, 1, 2, 5, 2, 1, 2),
    CONV(2, 2, 3, 2, 4, 2, 2, 1),    CONV(17, 4, 4, 19, 3, 13, 1, 1),  CONV(3, 1, 6, 2, 3, 2, 2, 1),
    CONV(3, 32, 32, 17, 3, 4, 1, 1), /* one image has more patches than the scratch's target */
    CONV(20, 9, 9, 16, 3, 8, 1, 1),  CONV(33, 12, 12, 24, 3, 3, 1, 1), /* parts of several rounds */
};

#define LINEAR(b, k, n)                                                                                      \
    {                                                                                                        \
        .rank = {2, 2, 1}, .dim = { {b, k}, {k, n}, {n} }                                                    \
    }
static const op_case cases_linear[] = {LINEAR(1, 1, 1),    LINEAR(1, 7, 3),      LINEAR(5, 1, 2),
                                       LINEAR(13, 3, 1),   LINEAR(17, 31, 11),   LINEAR(20, 230, 270),
                                       LINEAR(3, 64, 64),  LINEAR(20, 300, 500), LINEAR(61, 40, 701),
                                       LINEAR(900, 70, 33)}; /* cut by rows */

#define LORA(b, k, n, r, s)                                                                                  \
    {                                                                                                        \
        .rank = {2, 2, 1, 2, 2}, .dim = {{b, k}, {k, n}, {n}, {k, r}, {r, n}}, .scale = s                    \
    }
static const op_case cases_lora[] = {LORA(1, 1, 1, 1, 1), LORA(5, 3, 7, 2, 0.5), LORA(13, 8, 5, 3, -2),
                                     LORA(3, 2, 3, 5, 1), LORA(333, 80, 70, 4, 0.25)};

#define MATRIX(b, k, n)                                                                                      \
    {                                                                                                        \
        .rank = {2, 1}, .dim = { {b, k}, {n} }                                                               \
    }
static const op_case cases_matrix[] = {MATRIX(1, 1, 1), MATRIX(5, 1, 2), MATRIX(1, 7, 3), MATRIX(17, 31, 11)};

#define GELU1(n, s)                                                                                          \
    {                                                                                                        \
        .rank = {1}, .dim = {{n}}, .spread = s                                                               \
    }
#define GELU4(a, b, c, d)                                                                                    \
    {                                                                                                        \
        .rank = {4}, .dim = { {a, b, c, d} }                                                                 \
    }
static const op_case cases_gelu[] = {GELU1(1, 1),   GELU1(7, 1),    GELU1(101, 0.001), GELU1(101, 1e-9),
                                     GELU1(101, 6), GELU1(101, 50), GELU1(50021, 1),   GELU4(3, 5, 7, 2)};

#define ADD(a, b)                                                                                            \
    {                                                                                                        \
        .rank = {2, 2}, .dim = { {a, b}, {a, b} }                                                            \
    }
static const op_case cases_add[] = {ADD(1, 1), ADD(3, 7), ADD(131, 257)};

#define DROP(a, b, p, site)                                                                                  \
    {                                                                                                        \
        .rank = {2}, .dim = {{a, b}}, .scale = p, .attr = { site }                                           \
    }
static const op_case cases_dropout[] = {DROP(1, 1, 0, 0), DROP(3, 7, 0.5, 1), DROP(20, 31, 0.1, 2),
                                        DROP(93, 397, 0.9, 0)};

#define LAYER(b, d, s)                                                                                       \
    {                                                                                                        \
        .rank = {2, 1, 1}, .dim = {{b, d}, {d}, {d}}, .spread = s                                            \
    }
static const op_case cases_layernorm[] = {
    LAYER(1, 2, 1),     LAYER(3, 7, 1),
    LAYER(1, 1, 1),     LAYER(5, 31, 0.5),
    LAYER(5, 13, 9),    LAYER(20, 257, 1),
    LAYER(33, 1031, 1), {.rank = {2, 1, 1}, .dim = {{5, 7}, {7}, {7}}, .scale = 0.3}};

#define TOKENS(b, h, w, d)                                                                                   \
    {                                                                                                        \
        .rank = {4, 1, 2}, .dim = { {b, h, w, d}, {d}, {h * w + 1, d} }                                      \
    }
static const op_case cases_tokens[] = {TOKENS(1, 1, 1, 1), TOKENS(3, 2, 5, 7), TOKENS(15, 3, 3, 129)};

/* heads, rows a group, groups, width */
#define ATTEND(h, n, b, d, s)                                                                                \
    {                                                                                                        \
        .rank = {2, 2, 2}, .dim = {{b * n, d}, {b * n, d}, {b * n, d}}, .attr = {h, n}, .spread = s          \
    }
static const op_case cases_attention[] = {ATTEND(1, 1, 1, 1, 1), ATTEND(1, 3, 1, 5, 1),
                                          ATTEND(3, 5, 2, 6, 1), ATTEND(2, 17, 3, 10, 0.7),
                                          ATTEND(4, 7, 3, 4, 2), ATTEND(2, 33, 2, 34, 0.5)};

/* rows a group (attr 1, as in attention), groups, width */
#define FIRST(n, b, d)                                                                                       \
    {                                                                                                        \
        .rank = {2}, .dim = {{b * n, d}}, .attr = { 0, n }                                                   \
    }
static const op_case cases_first[] = {FIRST(1, 1, 1), FIRST(1, 5, 3), FIRST(7, 3, 5), FIRST(65, 9, 31)};

#define BLEND(a, b, s)                                                                                       \
    {                                                                                                        \
        .rank = {2}, .dim = {{a, b}}, .scale = s                                                             \
    }
#define BLEND4(a, b, c, d, s)                                                                                \
    {                                                                                                        \
        .rank = {4}, .dim = {{a, b, c, d}}, .scale = s                                                       \
    }
static const op_case cases_blend[] = {BLEND(1, 1, 1), BLEND(3, 7, 0.3), BLEND(20, 31, 1),
                                      BLEND4(5, 3, 2, 7, 4)};

#define POOLED(b, h, w, c)                                                                                   \
    {                                                                                                        \
        .rank = {4}, .dim = { {b, h, w, c} }                                                                 \
    }
static const op_case cases_meanpool[] = {POOLED(1, 1, 1, 1), POOLED(3, 5, 7, 2), POOLED(2, 1, 9, 1),
                                         POOLED(17, 4, 4, 13), POOLED(1, 8, 8, 64)};

#define NORM(b, d, s, z)                                                                                     \
    {                                                                                                        \
        .rank = {2}, .dim = {{b, d}}, .spread = s, .zero_row = z                                             \
    }
static const op_case cases_l2norm[] = {NORM(1, 1, 1, 0),  NORM(5, 1, 1, 0),   NORM(1, 7, 1, 0),
                                       NORM(3, 13, 1, 0), NORM(7, 5, 1, 3),   NORM(3, 64, 1, 2),
                                       NORM(5, 31, 9, 0), NORM(20, 257, 1, 0)};

#define LOGITS(b, d, s)                                                                                      \
    {                                                                                                        \
        .rank = {2, 2}, .dim = {{b, d}, {b, d}}, .scale = s                                                  \
    }
static const op_case cases_logits[] = {LOGITS(1, 1, 1),     LOGITS(1, 5, 14.3), LOGITS(2, 3, -0.5),
                                       LOGITS(7, 13, 14.3), LOGITS(20, 31, 1),  LOGITS(3, 1, 2)};

#define NCE(b, s)                                                                                            \
    {                                                                                                        \
        .rank = {2}, .dim = {{b, b}}, .spread = s                                                            \
    }
static const op_case cases_infonce[] = {NCE(1, 1), NCE(2, 1), NCE(7, 1), NCE(7, 20), NCE(31, 3)};

#define LOWRANK(b, r, s)                                                                                     \
    {                                                                                                        \
        .rank = {2, 2, 1}, .dim = {{b, r}, {b, r}, {b}}, .scale = s                                          \
    }
static const op_case cases_lowrank[] = {LOWRANK(1, 1, 1), LOWRANK(5, 2, 0.3), LOWRANK(7, 13, -2),
                                        LOWRANK(40, 10, 0.1)};

/* Spread 0.7: s has members on both sides of 1/2 and outside of [0, 1]; 12: sigmoids near 0 and 1. */
#define SOFT(a, b, s)                                                                                        \
    {                                                                                                        \
        .rank = {2, 2}, .dim = {{a, b}, {a, b}}, .spread = s, .two_sides = true                              \
    }
static const op_case cases_bce[] = {SOFT(1, 1, 0.7), SOFT(2, 3, 0.7), SOFT(7, 7, 3), SOFT(9, 7, 12),
                                    SOFT(31, 31, 1)};
static const op_case cases_wbce[] = {SOFT(1, 1, 0.7), SOFT(2, 3, 0.7), SOFT(7, 7, 3), SOFT(9, 7, 12),
                                     SOFT(31, 31, 1)};
static const op_case cases_ence[] = {SOFT(1, 1, 0.7), SOFT(2, 2, 0.7), SOFT(7, 7, 3), SOFT(7, 7, 12),
                                     SOFT(31, 31, 1)};

typedef struct op_row {
    int op, n_in;
    vlt_id (*build)(vlt_tape *t, const vlt_id *in, const op_case *c);
    void (*plain)(const vlt_node *y, vlt_node *const *in, plain p);
    const op_case *cases;
    size_t n_cases;
} op_row;

static const op_row rows[] = {
#define VLT_OP(name, n)                                                                                      \
    [VLT_OP_##name] = {VLT_OP_##name, n,                                                                     \
                       build_##name,  plain_##name,                                                          \
                       cases_##name,  sizeof cases_##name / sizeof *cases_##name},
#include "pipeline/ops.def"
#undef VLT_OP
};

/* ---- one op on a tape ------------------------------------------------------------------------ */

typedef struct fixture {
    const op_row *row;
    const op_case *c;
    size_t number;
    vlt_tape *t;
    vlt_node *in[VLT_MAX_IN], *y;
    vl_real *x[VLT_MAX_IN], *xt[VLT_MAX_IN], *gy, *gyt; /* the point and the direction, ours */
} fixture;

static vl_real *normals(uint64_t seed, uint64_t stream, size_t n, double sd)
{
    vl_real *v = calloc(n, sizeof *v);

    assert_non_null(v);
    vl_rng_normal(seed, stream, n, sd, v);
    return v;
}

static void draw(fixture *f)
{
    double sd = f->c->spread > 0 ? f->c->spread : 1;

    for (int i = 0; i < f->row->n_in; i++) {
        f->x[i] = normals(f->number, (uint64_t)i, f->in[i]->n, sd);
        f->xt[i] = normals(f->number, 10 + (uint64_t)i, f->in[i]->n, 1);
        for (size_t k = 0; f->c->two_sides && i == 1 && k < f->in[1]->n; k++)
            if (fabs((double)f->x[1][k] - 0.5) < 0.1)
                f->x[1][k] += f->x[1][k] < VL_R(0.5) ? VL_R(-0.1) : VL_R(0.1);
        if (f->c->zero_row && i == 0) {
            size_t d = f->in[0]->dim[1], at = (size_t)f->c->zero_row * d;
            memset(f->x[0] + at, 0, d * sizeof(vl_real));
            memset(f->xt[0] + at, 0, d * sizeof(vl_real));
        }
        memcpy(f->in[i]->x, f->x[i], f->in[i]->n * sizeof(vl_real));
        if (f->in[i]->xt)
            memcpy(f->in[i]->xt, f->xt[i], f->in[i]->n * sizeof(vl_real));
    }
    f->gy = normals(f->number, 20, f->y->n, 1);
    f->gyt = normals(f->number, 21, f->y->n, 1);
}

static void open_case(fixture *f, const op_row *row, size_t number, const unsigned *flow, vl_pool *pool)
{
    vlt_id in[VLT_MAX_IN] = {0}, y;
    vl_err e = {0};

    *f = (fixture){.row = row, .c = &row->cases[number], .number = number};
    assert_int_equal(vlt_tape_new(pool, true, &f->t, &e), VL_OK);
    for (int i = 0; i < row->n_in; i++)
        in[i] = vlt_leaf(f->t, flow[i], f->c->rank[i], f->c->dim[i]);
    y = row->build(f->t, in, f->c);
    if (vlt_plan(f->t, &e))
        fail_msg("%s case %zu: %s", vlt_ops[row->op]->name, number, e.text);
    for (int i = 0; i < row->n_in; i++)
        f->in[i] = vlt_at(f->t, in[i]);
    f->y = vlt_at(f->t, y);
    draw(f);
}

static void close_case(fixture *f)
{
    for (int i = 0; i < f->row->n_in; i++) {
        free(f->x[i]);
        free(f->xt[i]);
    }
    free(f->gy);
    free(f->gyt);
    vlt_tape_free(f->t);
}

static void fill(vl_real *p, size_t n, vl_real v)
{
    for (size_t i = 0; p && i < n; i++)
        p[i] = v;
}

static void copy(vl_real *p, const vl_real *from, size_t n)
{
    if (p)
        memcpy(p, from, n * sizeof *p);
}

static void run_fwd(fixture *f)
{
    fill(f->y->x, f->y->n, NAN); /* overwritten, or the test notices */
    vlt_ops[f->row->op]->fwd(f->t, f->y);
}

static void run_bwd(fixture *f, vl_real start)
{
    for (int i = 0; i < f->row->n_in; i++)
        fill(f->in[i]->gx, f->in[i]->n, start);
    vlt_ops[f->row->op]->bwd(f->t, f->y);
}

/* All four kernels at the point; gy and gyt as drawn. */
static void run_all(fixture *f, vl_real start)
{
    run_fwd(f);
    copy(f->y->gx, f->gy, f->y->n);
    copy(f->y->gxt, f->gyt, f->y->n);
    if (f->y->gx)
        run_bwd(f, start);
    fill(f->y->xt, f->y->n, NAN);
    if (f->y->xt)
        vlt_ops[f->row->op]->fwd_tan(f->t, f->y);
    for (int i = 0; i < f->row->n_in; i++)
        fill(f->in[i]->gxt, f->in[i]->n, start);
    if (f->y->gxt)
        vlt_ops[f->row->op]->bwd_tan(f->t, f->y);
}

static void compare_identity(const fixture *f)
{
    double left = vec_dot(f->gy, f->y->xt, f->y->n), right = 0;
    double size = vec_dot_abs(f->gy, f->y->xt, f->y->n);

    for (int i = 0; i < f->row->n_in; i++) {
        right += vec_dot(f->in[i]->gx, f->xt[i], f->in[i]->n);
        size += vec_dot_abs(f->in[i]->gx, f->xt[i], f->in[i]->n);
    }
    if (!(fabs(left - right) <= 100 * EPS * (1 + size)))
        fail_msg("%s case %zu: <gy, yt> = %.17g, <gx, xt> = %.17g", vlt_ops[f->row->op]->name, f->number,
                 left, right);
}

static const unsigned all_param[VLT_MAX_IN] = {VLT_PARAM, VLT_PARAM, VLT_PARAM, VLT_PARAM, VLT_PARAM};
static const unsigned no_flow[VLT_MAX_IN]; /* VLT_CONST */

/* ---- plain ----------------------------------------------------------------------------------- */

static void test_plain(void **state)
{
    const op_row *row = *state;

    for (size_t c = 0; c < row->n_cases; c++) {
        fixture f;
        plain p;
        open_case(&f, row, c, no_flow, NULL);
        p.y = calloc(f.y->n, sizeof *p.y);
        p.size = calloc(f.y->n, sizeof *p.size);
        assert_true(p.y && p.size);
        run_fwd(&f);
        row->plain(f.y, f.in, p);
        for (size_t i = 0; i < f.y->n; i++)
            if (!(fabs((double)f.y->x[i] - p.y[i]) <= 8 * EPS * p.size[i]))
                fail_msg("%s case %zu: y[%zu] is %.17g, plainly %.17g (sum of sizes %.3g)",
                         vlt_ops[row->op]->name, c, i, (double)f.y->x[i], p.y[i], p.size[i]);
        free(p.y);
        free(p.size);
        close_case(&f);
    }
}

static void test_identity(void **state)
{
    const op_row *row = *state;

    for (size_t c = 0; c < row->n_cases; c++) {
        fixture f;
        open_case(&f, row, c, all_param, NULL);
        run_all(&f, 0);
        compare_identity(&f);
        close_case(&f);
    }
}

/* ---- flows ----------------------------------------------------------------------------------- */

/* Inputs with one letter share a flow: a weight and its bias do. */
static const char *flow_groups(const op_row *row)
{
    return row->op == VLT_OP_lora                                    ? "abbcc"
           : row->op == VLT_OP_attention || row->op == VLT_OP_tokens ? "abc"
           : row->n_in == 3                                          ? "abb"
                                                                     : "ab";
}

static void near(const fixture *f, const char *what, const vl_real *a, const vl_real *b, size_t n,
                 vl_real start)
{
    double top = 0;

    if (!a)
        return;
    assert_non_null(b);
    top = fmax(vec_max(a, n), vec_max(b, n));
    for (size_t i = 0; i < n; i++)
        if (!(fabs(a[i] - (b[i] + start)) <= 500 * EPS * (1 + top)))
            fail_msg("%s case %zu, flows %u %u %u %u, %s[%zu]: %.17g, all-parameter result %.17g",
                     vlt_ops[f->row->op]->name, f->number, f->in[0]->flow, f->in[1] ? f->in[1]->flow : 0,
                     f->in[2] ? f->in[2]->flow : 0, f->in[3] ? f->in[3]->flow : 0, what, i, a[i],
                     b[i] + start);
}

/* One combination against all-parameter with the tangents that the combination lacks set to zero. */
static void compare_flows(const op_row *row, size_t c, const unsigned *flow)
{
    fixture a, b;

    open_case(&a, row, c, flow, NULL);
    open_case(&b, row, c, all_param, NULL);
    for (int i = 0; i < row->n_in; i++) {
        if (!(flow[i] & VLT_T))
            fill(b.in[i]->xt, b.in[i]->n, 0);
        assert_int_equal(!!a.in[i]->gx, !!(flow[i] & VLT_G));
        assert_int_equal(!!a.in[i]->xt, !!(flow[i] & VLT_T));
        assert_int_equal(!!a.in[i]->gxt, !!(flow[i] & VLT_GT));
    }
    run_all(&a, 0.5); /* kernels add: a start of 1/2 must still be there */
    run_all(&b, 0);
    near(&a, "y", a.y->x, b.y->x, a.y->n, 0);
    near(&a, "yt", a.y->xt, b.y->xt, a.y->n, 0);
    for (int i = 0; i < row->n_in; i++) {
        near(&a, "gx", a.in[i]->gx, b.in[i]->gx, a.in[i]->n, 0.5);
        near(&a, "gxt", a.in[i]->gxt, b.in[i]->gxt, a.in[i]->n, 0.5);
    }
    close_case(&a);
    close_case(&b);
}

static void test_flows(void **state)
{
    static const unsigned flows[] = {VLT_CONST, VLT_DATA, VLT_PARAM, VLT_G, VLT_G | VLT_T, VLT_G | VLT_GT};
    const op_row *row = *state;
    const char *group = flow_groups(row);
    size_t n = sizeof flows / sizeof *flows, ways = 1;

    for (int i = 0, groups = 0; i < row->n_in; i++)
        if (group[i] - 'a' == groups) {
            groups++;
            ways *= n;
        }
    for (size_t c = 0; c < row->n_cases; c++)
        for (size_t way = 0; way < ways; way++) {
            const size_t digit[3] = {way % n, way / n % n, way / n / n};
            unsigned flow[VLT_MAX_IN] = {0};
            for (int i = 0; i < row->n_in; i++)
                flow[i] = flows[digit[group[i] - 'a']];
            compare_flows(row, c, flow);
        }
}

/* ---- threads --------------------------------------------------------------------------------- */

static void same(const fixture *f, const char *what, const vl_real *a, const vl_real *b, size_t n)
{
    if (memcmp(a, b, n * sizeof *a))
        fail_msg("%s case %zu: %s depends on the number of threads", vlt_ops[f->row->op]->name, f->number,
                 what);
}

static void test_threads(void **state)
{
    const op_row *row = *state;

    for (int threads = 1; threads <= 3; threads++) {
        vl_pool *pool = NULL;
        vl_err e = {0};

        assert_int_equal(vl_pool_new(threads, &pool, &e), VL_OK);
        for (size_t c = 0; c < row->n_cases; c++) {
            fixture a, b;
            open_case(&a, row, c, all_param, NULL);
            open_case(&b, row, c, all_param, pool);
            run_all(&a, 0);
            run_all(&b, 0);
            same(&a, "y", a.y->x, b.y->x, a.y->n);
            same(&a, "yt", a.y->xt, b.y->xt, a.y->n);
            for (int i = 0; i < row->n_in; i++) {
                same(&a, "gx", a.in[i]->gx, b.in[i]->gx, a.in[i]->n);
                same(&a, "gxt", a.in[i]->gxt, b.in[i]->gxt, a.in[i]->n);
            }
            close_case(&a);
            close_case(&b);
        }
        vl_pool_free(pool);
    }
}

/* A zero row gives zeros everywhere, whatever comes in. */
static void test_zero_row(void **state)
{
    const op_row *row = &rows[VLT_OP_l2norm];
    fixture f;

    (void)state;
    open_case(&f, row, 4, all_param, NULL);
    assert_int_equal(f.c->zero_row, 3);
    fill(f.in[0]->xt, f.in[0]->n, 1);
    run_all(&f, 0);
    for (size_t d = f.y->dim[1], i = 3 * d; i < 4 * d; i++) {
        assert_true(f.y->x[i] == 0 && f.y->xt[i] == 0);
        assert_true(f.in[0]->gx[i] == 0 && f.in[0]->gxt[i] == 0);
    }
    close_case(&f);
}

/* The checks above for every op; a program adds its own. */
#define OPS_SHARED_TESTS(name)                                                                               \
    {#name " plain", test_plain, NULL, NULL, (void *)&rows[VLT_OP_##name]},                                  \
        {#name " identity", test_identity, NULL, NULL, (void *)&rows[VLT_OP_##name]},                        \
        {#name " flows", test_flows, NULL, NULL, (void *)&rows[VLT_OP_##name]},                              \
    {                                                                                                        \
#name " threads", test_threads, NULL, NULL, (void *)&rows[VLT_OP_##name]                             \
    }

#endif
