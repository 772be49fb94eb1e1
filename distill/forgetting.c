/* SPDX-License-Identifier: MIT
 * forgetting.c -- the logits of a step are computed again from its unit embeddings, BLOCK rows of one side
 * against all of the other, so that memory is BLOCK x batch numbers whatever the batch: first images against
 * texts, then texts against images. A pair is right when neither direction found a rival. */
#include "distill/forgetting.h"
#include "formats/npy.h"
#include "pipeline/blas.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 64, RIGHT = 1 /* at the last visit */, LEARNT = 2 /* at some visit */ };

int vld_forgetting_new(const vl_data *d, size_t batch, vld_forgetting *out, vl_err *e)
{
    vld_forgetting f = {.data = d, .batch = batch};

    if (!(f.state = vl_alloc(d->n, sizeof *f.state, e)) ||
        !(f.events = vl_alloc(d->n, sizeof *f.events, e)) ||
        !(f.visits = vl_alloc(d->n, sizeof *f.visits, e)) || !(f.loss = vl_alloc(d->n, sizeof *f.loss, e)) ||
        !(f.logit = vl_alloc(batch, BLOCK * sizeof *f.logit, e)) ||
        !(f.row = vl_alloc(batch, 2 * sizeof *f.row, e))) {
        vld_forgetting_free(&f);
        return VL_ENOMEM;
    }
    *out = f;
    return VL_OK;
}

void vld_forgetting_free(vld_forgetting *f)
{
    free(f->state);
    free(f->events);
    free(f->visits);
    free(f->loss);
    free(f->logit);
    free(f->row);
    memset(f, 0, sizeof *f);
}

/* One row of logits: its cross entropy in nats; *right is cleared when a pair with another caption scores as
 * high as pair i itself. */
static double look_at(const vld_forgetting *f, size_t n, double scale, const vl_real *logit, size_t i,
                      const uint32_t *cap, double *right)
{
    const uint32_t *group = f->data->group;
    double own = scale * (double)logit[i], top = own, sum = 0;

    for (size_t j = 0; j < n; j++) {
        double z = scale * (double)logit[j];
        if (z >= own && j != i && group[cap[j]] != group[cap[i]])
            *right = 0;
        top = z > top ? z : top;
    }
    for (size_t j = 0; j < n; j++)
        sum += exp(scale * (double)logit[j] - top);
    return log(sum) + top - own;
}

static void one_way(vld_forgetting *f, size_t n, size_t dim, double scale, const vl_real *a, const vl_real *b,
                    const uint32_t *cap)
{
    double *right = f->row, *loss = f->row + f->batch;

    for (size_t i = 0; i < n; i += BLOCK) {
        size_t rows = n - i < BLOCK ? n - i : BLOCK;
        vl_gemm(0, 1, rows, n, dim, 1, a + i * dim, dim, b, dim, 0, f->logit, n);
        for (size_t r = 0; r < rows; r++)
            loss[i + r] += look_at(f, n, scale, f->logit + r * n, i + r, cap, &right[i + r]);
    }
}

void vld_forgetting_pairs(vld_forgetting *f, size_t n, size_t dim, double scale, const vl_real *u,
                          const vl_real *v, const uint32_t *row, const uint32_t *cap)
{
    double *right = f->row, *loss = f->row + f->batch;

    for (size_t i = 0; i < n; i++) {
        right[i] = 1;
        loss[i] = 0;
    }
    one_way(f, n, dim, scale, u, v, cap);
    one_way(f, n, dim, scale, v, u, cap);
    for (size_t i = 0; i < n; i++) {
        uint8_t *s = &f->state[row[i]];
        f->events[row[i]] += (*s & RIGHT) && right[i] == 0;
        *s = right[i] > 0 ? RIGHT | LEARNT : *s & LEARNT;
        f->visits[row[i]]++;
        f->loss[row[i]] += 0.5 * loss[i];
    }
}

void vld_forgetting_step(void *arg, const vld_step *s)
{
    vld_forgetting_pairs(arg, s->batch, s->graph->model->embed_dim, s->graph->model->scale,
                         vlt_x(s->graph->tape, s->graph->u), vlt_x(s->graph->tape, s->graph->v), s->row,
                         s->caption);
}

/* ---- over experts --------------------------------------------------------------------------------- */

int vld_forgetting_sum_new(size_t n, vld_forgetting_sum *out, vl_err *e)
{
    vld_forgetting_sum s = {0};

    if (!(s.forgetting = vl_alloc(n, sizeof *s.forgetting, e)) ||
        !(s.loss = vl_alloc(n, sizeof *s.loss, e)) || !(s.experts = vl_alloc(n, sizeof *s.experts, e)) ||
        !(s.visits = vl_alloc(n, sizeof *s.visits, e))) {
        vld_forgetting_sum_free(&s);
        return VL_ENOMEM;
    }
    *out = s;
    return VL_OK;
}

void vld_forgetting_sum_free(vld_forgetting_sum *s)
{
    free(s->forgetting);
    free(s->loss);
    free(s->experts);
    free(s->visits);
    memset(s, 0, sizeof *s);
}

void vld_forgetting_add(vld_forgetting_sum *s, const vld_forgetting *f, int epochs)
{
    for (size_t i = 0; i < f->data->n; i++) {
        if (f->visits[i])
            s->forgetting[i] += f->state[i] & LEARNT ? (double)f->events[i] : (double)epochs;
        s->experts[i] += f->visits[i] > 0;
        s->visits[i] += f->visits[i];
        s->loss[i] += f->loss[i];
    }
}

static int write_record(vls_writer *w, const char *key, double forgetting, double loss, vl_err *e)
{
    uint8_t *bytes[2] = {NULL, NULL};
    vls_member m[2] = {{.ext = VLD_FORGETTING_EXT}, {.ext = VLD_LOSS_EXT}};
    const double value[2] = {forgetting, loss};
    int rc = VL_OK;

    for (int i = 0; !rc && i < 2; i++) {
        const vl_npy a = {.dtype = VL_F64, .rank = 1, .shape = {1}, .data = &value[i]};
        rc = vl_npy_build(&a, &bytes[i], &m[i].n, e);
        m[i].data = bytes[i];
    }
    if (!rc)
        rc = vls_add(w, &(vls_record){key, m, 2}, e);
    free(bytes[1]);
    free(bytes[0]);
    return rc;
}

int vld_forgetting_write(const vld_forgetting_sum *s, const vl_data *d, const json_t *manifest,
                         const vls_parent *parents, size_t n_parents, vls_writer *w, size_t *left_out,
                         vl_err *e)
{
    json_t *m = json_deep_copy(manifest);
    json_t *schema = json_pack("{s:{s:s, s:[i]}, s:{s:s, s:[i]}}", VLD_FORGETTING_EXT, "dtype", "f64",
                               "shape", 1, VLD_LOSS_EXT, "dtype", "f64", "shape", 1);
    int rc = m && schema && !json_object_set_new(m, "kind", json_string("scores")) &&
                     !json_object_set(m, "schema", schema)
                 ? vls_segment_begin(w, m, 0, e)
                 : vl_fail(e, VL_ENOMEM, "out of memory: manifest");

    json_decref(schema);
    json_decref(m);
    *left_out = 0;
    for (size_t i = 0; !rc && i < n_parents; i++)
        rc = vls_add_parent(w, &parents[i], e);
    for (size_t i = 0; !rc && i < d->n; i++) {
        if (s->visits[i])
            rc = write_record(w, d->key[i], s->forgetting[i] / (double)s->experts[i],
                              s->loss[i] / (double)s->visits[i], e);
        else
            ++*left_out;
    }
    return rc ? rc : vls_segment_end(w, e);
}
