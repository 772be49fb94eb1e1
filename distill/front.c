/* SPDX-License-Identifier: MIT */
#include "distill/front.h"
#include "pipeline/rng.h"

#include <stdlib.h>
#include <string.h>

struct vld_front {
    const vlm_model *model;
    vl_pool *pool;
    vl_augment aug;
    size_t n, held;
    vlm_graph graph; /* of `held` images */
    vl_real *seed;   /* [held,F] what flows back from the embeddings */
};

/* Of the graph for one image; activations grow in step with the images. */
static int bytes_of_one(const vlm_model *m, size_t *bytes, vl_err *e)
{
    vlm_graph one;
    int rc = vlm_graph_new(m, NULL, 1, VLM_HAS_IMAGE, VLM_INPUTS, &one, e);

    if (rc)
        return rc;
    *bytes = vlt_bytes(one.tape);
    vlm_graph_free(&one);
    return VL_OK;
}

int vld_front_new(const vlm_model *model, const vl_real *theta, vl_pool *pool, size_t n, size_t memory,
                  const vl_augment *aug, vld_front **out, vl_err *e)
{
    vld_front *f;
    size_t one = 1;
    int rc = bytes_of_one(model, &one, e);

    if (rc)
        return rc;
    if (!n || model->kind == VLM_HEADS)
        return vl_fail(e, VL_EARG, "an encoder of %zu images, %s: pixels wanted", n, model->spec);
    if (!(f = vl_alloc(1, sizeof *f, e)))
        return VL_ENOMEM;
    f->model = model;
    f->pool = pool;
    f->aug = *aug;
    f->n = n;
    f->held = memory && memory / one < n ? memory / one : n;
    f->held = f->held ? f->held : 1;
    rc = vlm_graph_new(model, pool, f->held, VLM_HAS_IMAGE, VLM_INPUTS, &f->graph, e);
    if (!rc && !(f->seed = vl_alloc(f->held, model->embed_dim * sizeof *f->seed, e)))
        rc = VL_ENOMEM;
    if (rc) {
        vld_front_free(f);
        return rc;
    }
    vlm_bind(&f->graph, (vl_real *)theta, NULL, NULL, NULL); /* constants: no sweep writes to them */
    *out = f;
    return VL_OK;
}

void vld_front_free(vld_front *f)
{
    if (!f)
        return;
    vlm_graph_free(&f->graph);
    free(f->seed);
    free(f);
}

const vlm_model *vld_front_model(const vld_front *f)
{
    return f->model;
}

size_t vld_front_held(const vld_front *f)
{
    return f->held;
}

typedef struct pass { /* a part of the images: first, first + 1, ... */
    vld_front *f;
    const vl_real *pixels;
    vl_real *grad;
    size_t first;
    uint64_t seed, stream;
} pass;

static vl_view view_of(const pass *p, size_t i)
{
    return vl_view_draw(&p->f->aug, p->seed, p->stream, p->first + i);
}

static void feed_one(void *arg, size_t i, int worker)
{
    const pass *p = arg;
    const vlm_model *m = p->f->model;

    (void)worker;
    vl_view_apply(p->pixels + (p->first + i) * m->image_n, m->size, view_of(p, i),
                  vlt_x(p->f->graph.tape, p->f->graph.x) + i * m->image_n);
}

static void back_one(void *arg, size_t i, int worker)
{
    const pass *p = arg;
    const vlm_model *m = p->f->model;
    vl_real *to = p->grad + (p->first + i) * m->image_n;

    (void)worker;
    memset(to, 0, m->image_n * sizeof *to);
    vl_view_adjoint_add(vlt_gx(p->f->graph.tape, p->f->graph.x) + i * m->image_n, m->size, view_of(p, i), 1,
                        to);
}

static size_t part_of(const vld_front *f, size_t first)
{
    return f->n - first < f->held ? f->n - first : f->held;
}

static void forward(const pass *p)
{
    vl_pool_run(p->f->pool, part_of(p->f, p->first), feed_one, (void *)p);
    vlt_forward(p->f->graph.tape);
}

static pass begin(vld_front *f, const vl_real *pixels, vl_real *grad, uint64_t seed, uint64_t iter)
{
    return (pass){f, pixels, grad, 0, seed, vl_rng_stream("front view", iter, 0, 0)};
}

void vld_front_run(vld_front *f, const vl_real *pixels, uint64_t seed, uint64_t iter, vl_real *features)
{
    pass p = begin(f, pixels, NULL, seed, iter);
    size_t dim = f->model->embed_dim;

    for (; p.first < f->n; p.first += f->held) {
        forward(&p);
        memcpy(features + p.first * dim, vlt_x(f->graph.tape, f->graph.u),
               part_of(f, p.first) * dim * sizeof *features);
    }
}

void vld_front_back(vld_front *f, const vl_real *pixels, uint64_t seed, uint64_t iter, const vl_real *g,
                    vl_real *grad)
{
    const vl_real *const from[] = {f->seed};
    pass p = begin(f, pixels, grad, seed, iter);
    size_t dim = f->model->embed_dim;

    for (; p.first < f->n; p.first += f->held) {
        size_t part = part_of(f, p.first);
        if (f->held < f->n) /* else all are still there */
            forward(&p);
        memset(f->seed, 0, f->held * dim * sizeof *f->seed); /* images behind the last weigh nothing */
        memcpy(f->seed, g + p.first * dim, part * dim * sizeof *f->seed);
        vlt_backward_from(f->graph.tape, &f->graph.u, from, 1);
        vl_pool_run(f->pool, part, back_one, &p);
    }
}
