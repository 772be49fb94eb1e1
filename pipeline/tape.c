/* SPDX-License-Identifier: MIT
 * tape.c -- recording, planning, sweeping. Nodes are in topological order because an op can only name nodes
 * that exist; sweeps walk that order up or down.
 *
 * Invariants
 *   1. The flow of an op is the union of its inputs' flows; T implies G (vlt_leaf refuses a leaf without).
 *   2. All pointers of op nodes lie in `block`, 64-byte aligned, from vlt_plan until vlt_tape_free.
 *   3. Leaf pointers lie in `block` until vlt_bind replaces them. */
#include "pipeline/op.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_NODES = 4096, ALIGN = 64 / sizeof(vl_real) };

struct vlt_tape {
    vl_pool *pool;
    bool tangents;
    vl_draws draws;
    vlt_node *node;
    int n_nodes, cap;
    vl_err err; /* the first recording error */
    vl_real *block;
    size_t n_block;
    vl_real *work, *common;
    size_t n_work, n_common;
};

const vlt_op *const vlt_ops[VLT_N_OPS] = {
#define VLT_OP(name, n) [VLT_OP_##name] = &vlt_op_##name,
#include "pipeline/ops.def"
#undef VLT_OP
};

int vlt_tape_new(vl_pool *pool, bool tangents, vlt_tape **out, vl_err *e)
{
    vlt_tape *t = vl_alloc(1, sizeof *t, e);

    if (!t)
        return VL_ENOMEM;
    t->pool = pool;
    t->tangents = tangents;
    *out = t;
    return VL_OK;
}

void vlt_tape_free(vlt_tape *t)
{
    if (!t)
        return;
    free(t->block);
    free(t->node);
    free(t);
}

/* ---- recording ------------------------------------------------------------------------------- */

static vlt_node *new_node(vlt_tape *t)
{
    vlt_node *n;

    if (t->err.code)
        return NULL;
    if (t->block) {
        vl_fail(&t->err, VL_EARG, "recording after vlt_plan");
        return NULL;
    }
    if (t->n_nodes == MAX_NODES) {
        vl_fail(&t->err, VL_EARG, "more than %d nodes on a tape", MAX_NODES);
        return NULL;
    }
    if (t->n_nodes == t->cap) {
        int cap = t->cap ? 2 * t->cap : 32;
        n = vl_realloc(t->node, (size_t)cap, sizeof *n, &t->err);
        if (!n)
            return NULL;
        t->node = n;
        t->cap = cap;
    }
    n = &t->node[t->n_nodes];
    memset(n, 0, sizeof *n);
    n->op = -1;
    return n;
}

static bool count_elements(vlt_tape *t, vlt_node *n)
{
    n->n = 1;
    for (int i = 0; i < n->rank; i++) {
        if (n->dim[i] == 0 || n->dim[i] > INT_MAX || /* BLAS counts in int */
            n->dim[i] > VL_ALLOC_MAX / sizeof(vl_real) / n->n) {
            vl_fail(&t->err, VL_EARG, "dimension %d of a tensor is %zu", i, n->dim[i]);
            return false;
        }
        n->n *= n->dim[i];
    }
    return true;
}

vlt_id vlt_leaf(vlt_tape *t, unsigned flow, int rank, const size_t *dim)
{
    vlt_node *n = new_node(t);

    if (!n)
        return -1;
    if (rank < 1 || rank > VLT_MAX_RANK || ((flow & VLT_T) && !(flow & VLT_G))) {
        vl_fail(&t->err, VL_EARG, "leaf of rank %d with flow %u", rank, flow);
        return -1;
    }
    n->rank = rank;
    memcpy(n->dim, dim, (size_t)rank * sizeof *dim);
    n->flow = t->tangents ? flow : flow & VLT_G;
    return count_elements(t, n) ? t->n_nodes++ : -1;
}

static vlt_id record_map(vlt_tape *t, int op, const vlt_id *in, const int *attr, double scale,
                         const vlt_map *map)
{
    const vlt_op *o = vlt_ops[op];
    vlt_node *n = new_node(t);

    if (!n)
        return -1;
    n->op = op;
    n->scale = scale;
    n->map = map;
    if (attr)
        memcpy(n->attr, attr, sizeof n->attr);
    for (int i = 0; i < o->n_in; i++) {
        if (in[i] < 0 || in[i] >= t->n_nodes) {
            vl_fail(&t->err, VL_EARG, "%s: input %d is not a node", o->name, i);
            return -1;
        }
        n->in[i] = in[i];
        n->flow |= t->node[in[i]].flow;
    }
    if (o->shape(t, n, &t->err)) {
        vl_within(&t->err, "%s", o->name);
        return -1;
    }
    return count_elements(t, n) ? t->n_nodes++ : -1;
}

static vlt_id record(vlt_tape *t, int op, const vlt_id *in, const int *attr, double scale)
{
    return record_map(t, op, in, attr, scale, NULL);
}

vlt_id vlt_conv2d(vlt_tape *t, vlt_id x, vlt_id w, vlt_id b, int stride, int pad)
{
    return record(t, VLT_OP_conv2d, (vlt_id[]){x, w, b}, (int[]){stride, pad}, 0);
}

vlt_id vlt_linear(vlt_tape *t, vlt_id x, vlt_id w, vlt_id b)
{
    return record(t, VLT_OP_linear, (vlt_id[]){x, w, b}, NULL, 0);
}

vlt_id vlt_matrix(vlt_tape *t, vlt_id x, vlt_id b, const vlt_map *map)
{
    return record_map(t, VLT_OP_matrix, (vlt_id[]){x, b}, NULL, 0, map);
}

vlt_id vlt_lora(vlt_tape *t, vlt_id x, vlt_id w, vlt_id b, vlt_id p, vlt_id q, double c)
{
    return record(t, VLT_OP_lora, (vlt_id[]){x, w, b, p, q}, NULL, c);
}

vlt_id vlt_gelu(vlt_tape *t, vlt_id x)
{
    return record(t, VLT_OP_gelu, &x, NULL, 0);
}

vlt_id vlt_add(vlt_tape *t, vlt_id a, vlt_id b)
{
    return record(t, VLT_OP_add, (vlt_id[]){a, b}, NULL, 0);
}

vlt_id vlt_dropout(vlt_tape *t, vlt_id x, double p, int site)
{
    return record(t, VLT_OP_dropout, &x, (int[]){site, 0}, p);
}

vlt_id vlt_layernorm(vlt_tape *t, vlt_id x, vlt_id g, vlt_id b)
{
    return vlt_layernorm_eps(t, x, g, b, 1e-5);
}

vlt_id vlt_layernorm_eps(vlt_tape *t, vlt_id x, vlt_id g, vlt_id b, double eps)
{
    return record(t, VLT_OP_layernorm, (vlt_id[]){x, g, b}, NULL, eps);
}

vlt_id vlt_tokens(vlt_tape *t, vlt_id x, vlt_id c, vlt_id p)
{
    return record(t, VLT_OP_tokens, (vlt_id[]){x, c, p}, NULL, 0);
}

vlt_id vlt_attention(vlt_tape *t, vlt_id q, vlt_id k, vlt_id v, int heads, int n)
{
    return record(t, VLT_OP_attention, (vlt_id[]){q, k, v}, (int[]){heads, n}, 0);
}

vlt_id vlt_first(vlt_tape *t, vlt_id x, int n)
{
    return record(t, VLT_OP_first, &x, (int[]){0, n}, 0);
}

vlt_id vlt_blend(vlt_tape *t, vlt_id x, double alpha)
{
    return record(t, VLT_OP_blend, &x, NULL, alpha);
}

vlt_id vlt_meanpool(vlt_tape *t, vlt_id x)
{
    return record(t, VLT_OP_meanpool, &x, NULL, 0);
}

vlt_id vlt_l2norm(vlt_tape *t, vlt_id x)
{
    return record(t, VLT_OP_l2norm, &x, NULL, 0);
}

vlt_id vlt_logits(vlt_tape *t, vlt_id u, vlt_id v, double scale)
{
    return record(t, VLT_OP_logits, (vlt_id[]){u, v}, NULL, scale);
}

vlt_id vlt_infonce(vlt_tape *t, vlt_id z)
{
    return record(t, VLT_OP_infonce, &z, NULL, 0);
}

vlt_id vlt_lowrank(vlt_tape *t, vlt_id l, vlt_id r, vlt_id w, double scale)
{
    return record(t, VLT_OP_lowrank, (vlt_id[]){l, r, w}, NULL, scale);
}

vlt_id vlt_bce(vlt_tape *t, vlt_id z, vlt_id s)
{
    return record(t, VLT_OP_bce, (vlt_id[]){z, s}, NULL, 0);
}

vlt_id vlt_wbce(vlt_tape *t, vlt_id z, vlt_id s)
{
    return record(t, VLT_OP_wbce, (vlt_id[]){z, s}, NULL, 0);
}

vlt_id vlt_ence(vlt_tape *t, vlt_id z, vlt_id s)
{
    return record(t, VLT_OP_ence, (vlt_id[]){z, s}, NULL, 0);
}

/* ---- planning ----------------------------------------------------------------------------------- */

/* Takes n reals from the block, or only counts them while base is NULL. */
static vl_real *take(vl_real *base, size_t *used, size_t n)
{
    vl_real *p = base ? base + *used : NULL;

    *used += (n + ALIGN - 1) / ALIGN * ALIGN;
    return p;
}

static size_t lay_out(vlt_tape *t, vl_real *base)
{
    size_t used = 0;

    for (int i = 0; i < t->n_nodes; i++) {
        vlt_node *n = &t->node[i];
        n->x = take(base, &used, n->n);
        n->gx = n->flow & VLT_G ? take(base, &used, n->n) : NULL;
        n->xt = n->flow & VLT_T ? take(base, &used, n->n) : NULL;
        n->gxt = n->flow & VLT_GT ? take(base, &used, n->n) : NULL;
        n->saved = n->n_saved ? take(base, &used, n->n_saved) : NULL;
    }
    t->work = take(base, &used, t->n_work * (size_t)vl_pool_threads(t->pool));
    t->common = take(base, &used, t->n_common);
    return used;
}

int vlt_plan(vlt_tape *t, vl_err *e)
{
    if (t->err.code)
        return vl_fail(e, t->err.code, "%s", t->err.text);
    if (t->block)
        return vl_fail(e, VL_EARG, "the tape is planned already");
    for (int i = 0; i < t->n_nodes; i++) {
        vlt_node *n = &t->node[i];
        size_t work = (n->n_work + ALIGN - 1) / ALIGN * ALIGN;
        t->n_work = work > t->n_work ? work : t->n_work;
        t->n_common = n->n_common > t->n_common ? n->n_common : t->n_common;
    }
    t->n_block = lay_out(t, NULL);
    if (t->n_block > VL_ALLOC_MAX / sizeof(vl_real))
        return vl_fail(e, VL_ENOMEM, "the tape needs %zu reals", t->n_block);
    t->block = aligned_alloc(64, (t->n_block + ALIGN) / ALIGN * 64);
    if (!t->block)
        return vl_fail(e, VL_ENOMEM, "out of memory: tape of %zu bytes", t->n_block * sizeof(vl_real));
    memset(t->block, 0, t->n_block * sizeof(vl_real));
    lay_out(t, t->block);
    return VL_OK;
}

void vlt_bind(vlt_tape *t, vlt_id leaf, vl_real *x, vl_real *gx, vl_real *xt, vl_real *gxt)
{
    vlt_node *n = vlt_at(t, leaf);

    if (x)
        n->x = x;
    if (gx && n->gx)
        n->gx = gx;
    if (xt && n->xt)
        n->xt = xt;
    if (gxt && n->gxt)
        n->gxt = gxt;
}

/* ---- sweeps ------------------------------------------------------------------------------------- */

void vlt_draw(vlt_tape *t, uint64_t seed, uint64_t iter, uint64_t step)
{
    t->draws = (vl_draws){seed, iter, step};
}

const vl_draws *vlt_draw_of(vlt_tape *t)
{
    return &t->draws;
}

void vlt_forward(vlt_tape *t)
{
    for (int i = 0; i < t->n_nodes; i++)
        if (t->node[i].op >= 0)
            vlt_ops[t->node[i].op]->fwd(t, &t->node[i]);
}

/* Gradients that sums begin with: a node a tile. */
static void clear_gx(void *arg, size_t i, int worker)
{
    const vlt_node *n = &((vlt_tape *)arg)->node[i];

    (void)worker;
    if (n->gx)
        memset(n->gx, 0, n->n * sizeof(vl_real));
}

static void clear_gxt(void *arg, size_t i, int worker)
{
    const vlt_node *n = &((vlt_tape *)arg)->node[i];

    (void)worker;
    if (n->gxt)
        memset(n->gxt, 0, n->n * sizeof(vl_real));
}

void vlt_backward_from(vlt_tape *t, const vlt_id *node, const vl_real *const *seed, int n)
{
    vlt_id last = 0;

    for (int i = 0; i < n; i++)
        last = node[i] > last ? node[i] : last;
    vl_pool_run(t->pool, (size_t)last + 1, clear_gx, t);
    for (int i = 0; i < n; i++) {
        vlt_node *y = &t->node[node[i]];
        for (size_t k = 0; y->gx && k < y->n; k++)
            y->gx[k] += seed[i] ? seed[i][k] : 1;
    }
    for (int i = last; i >= 0; i--)
        if (t->node[i].op >= 0 && t->node[i].gx)
            vlt_ops[t->node[i].op]->bwd(t, &t->node[i]);
}

void vlt_backward(vlt_tape *t, vlt_id loss)
{
    const vl_real *one = NULL;

    vlt_backward_from(t, &loss, &one, 1);
}

void vlt_tangent(vlt_tape *t, vlt_id loss)
{
    for (int i = 0; i <= loss; i++) {
        vlt_node *n = &t->node[i];
        if (n->op >= 0 && n->xt)
            vlt_ops[n->op]->fwd_tan(t, n);
    }
    vl_pool_run(t->pool, (size_t)loss + 1, clear_gxt, t);
    for (int i = loss; i >= 0; i--)
        if (t->node[i].op >= 0 && t->node[i].gxt)
            vlt_ops[t->node[i].op]->bwd_tan(t, &t->node[i]);
}

/* ---- looking ------------------------------------------------------------------------------------ */

vlt_node *vlt_at(vlt_tape *t, vlt_id id)
{
    return &t->node[id];
}

vl_real *vlt_x(vlt_tape *t, vlt_id n)
{
    return t->node[n].x;
}

vl_real *vlt_gx(vlt_tape *t, vlt_id n)
{
    return t->node[n].gx;
}

vl_real *vlt_xt(vlt_tape *t, vlt_id n)
{
    return t->node[n].xt;
}

vl_real *vlt_gxt(vlt_tape *t, vlt_id n)
{
    return t->node[n].gxt;
}

size_t vlt_size(const vlt_tape *t, vlt_id n)
{
    return t->node[n].n;
}

size_t vlt_bytes(const vlt_tape *t)
{
    return t->n_block * sizeof(vl_real);
}

vl_pool *vlt_pool(vlt_tape *t)
{
    return t->pool;
}

vl_real *vlt_work(vlt_tape *t, int worker)
{
    return t->work + (size_t)worker * t->n_work;
}

vl_real *vlt_common(vlt_tape *t)
{
    return t->common;
}

typedef struct ranges {
    vlt_range_fn fn;
    void *arg;
    size_t n, parts;
} ranges;

static void one_range(void *arg, size_t tile, int worker)
{
    ranges *r = arg;

    (void)worker;
    r->fn(r->arg, vlt_part_begin(r->n, r->parts, tile), vlt_part_begin(r->n, r->parts, tile + 1));
}

void vlt_ranges(vlt_tape *t, size_t n, size_t grain, vlt_range_fn fn, void *arg)
{
    ranges r = {fn, arg, n, n / grain};

    r.parts = r.parts < 1 ? 1 : r.parts > VLT_PARTS ? VLT_PARTS : r.parts;
    vl_pool_run(t->pool, r.parts, one_range, &r);
}
