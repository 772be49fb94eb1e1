/* SPDX-License-Identifier: MIT */
#include "distill/single_loss.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const vld_single_params vld_single_defaults = {.rho = 1,
                                               .lambda = 0.1,
                                               .gke = 0.8,
                                               .sigma = 0.5,
                                               .kernel = VLD_KERNEL_GAUSS,
                                               .width = 1,
                                               .ridge = 1e-2,
                                               .text_to_image = 0.5};

const vld_single_method *const vld_single_methods[] = {&vld_single_covmatch, &vld_single_mdm, &vld_single_krr,
                                                       NULL};

static const double max_squared = 1e30; /* of the gradient's length */

const vld_single_method *vld_single_find(const char *name)
{
    const vld_single_method *const *m = vld_single_methods;

    while (*m && strcmp((*m)->name, name))
        m++;
    return *m;
}

struct vld_single_loss {
    const vld_single_method *method;
    size_t n_x, n_y; /* reals of the two gradients */
    void *state;
};

static int check_params(const vld_single_params *p, vl_err *e)
{
    if (!(p->rho > 0) || !(p->lambda >= 0))
        return vl_fail(e, VL_EARG, "rho %g and lambda %g: above 0, and 0 or more wanted", p->rho, p->lambda);
    if (!(p->gke >= 0) || !(p->sigma > 0))
        return vl_fail(e, VL_EARG, "a kernel weight of %g and width of %g: 0 or more, and above 0 wanted",
                       p->gke, p->sigma);
    if (!(p->width > 0) || !(p->ridge > 0) || !(p->text_to_image >= 0 && p->text_to_image <= 1))
        return vl_fail(e, VL_EARG,
                       "width %g, ridge %g and text to image %g: above 0, above 0, and 0 to 1 wanted",
                       p->width, p->ridge, p->text_to_image);
    return VL_OK;
}

static int check(const vld_single_method *m, const vld_single_setup *s, vl_err *e)
{
    const vlm_model *model = s->model;

    if (s->n < 2 || !s->image_n || !s->text_dim)
        return vl_fail(e, VL_EARG, "%zu pairs of %zu and %zu numbers: at least 2, 1 and 1 wanted", s->n,
                       s->image_n, s->text_dim);
    if ((m->needs & VLD_NEEDS_TEACHER) && !model)
        return vl_fail(e, VL_EARG, "%s needs a teacher", m->name);
    if (model && (model->image_n != s->image_n || model->text_dim != s->text_dim))
        return vl_fail(e, VL_EARG, "a teacher of %zu and %zu numbers for pairs of %zu and %zu",
                       model->image_n, model->text_dim, s->image_n, s->text_dim);
    if (((m->needs & VLD_NEEDS_BATCH) || model) && s->batch < 1)
        return vl_fail(e, VL_EARG, "%s needs a batch of real pairs", m->name);
    if ((m->needs & VLD_NEEDS_STATS) && (!s->stats || s->stats->n < 2))
        return vl_fail(e, VL_EARG, "%s needs statistics of two real pairs or more", m->name);
    if ((m->needs & VLD_NEEDS_CROSS) && !s->stats->sum_xy)
        return vl_fail(e, VL_EARG, "%s needs the real pairs' cross-covariance", m->name);
    if (s->stats && (s->stats->image_n != s->image_n || s->stats->text_dim != s->text_dim))
        return vl_fail(e, VL_EARG, "statistics of %zu and %zu numbers for pairs of %zu and %zu",
                       s->stats->image_n, s->stats->text_dim, s->image_n, s->text_dim);
    return check_params(&s->p, e);
}

int vld_single_loss_new(const vld_single_method *m, const vld_single_setup *s, vld_single_loss **out,
                        vl_err *e)
{
    vld_single_loss *l;
    int rc = check(m, s, e);

    if (rc)
        return rc;
    if (!(l = vl_alloc(1, sizeof *l, e)))
        return VL_ENOMEM;
    *l = (vld_single_loss){m, s->n * s->image_n, s->n * s->text_dim, NULL};
    rc = m->start(s, &l->state, e);
    if (rc)
        free(l);
    else
        *out = l;
    return rc;
}

void vld_single_loss_free(vld_single_loss *l)
{
    if (!l)
        return;
    l->method->stop(l->state);
    free(l);
}

size_t vld_single_loss_bytes(const vld_single_loss *l)
{
    return sizeof *l + l->method->bytes(l->state);
}

static double squared(const vl_real *g, size_t n)
{
    double s = 0;

    for (size_t i = 0; i < n; i++)
        s += (double)g[i] * (double)g[i];
    return s;
}

int vld_single_loss_run(vld_single_loss *l, const vld_single_in *in, vld_single_out *out, vl_err *e)
{
    double length;
    int rc;

    for (int i = 0; i < VLD_MAX_PARTS; i++)
        out->part[i] = 0;
    out->loss = 0;
    if ((rc = l->method->run(l->state, in, out, e)) != VL_OK)
        return rc;
    length = squared(out->gx, l->n_x) + squared(out->gy, l->n_y);
    if (!isfinite(out->loss) || !(length < max_squared))
        return vl_fail(e, VL_EMATH, "%s: loss %g, length of the gradient %g", l->method->name, out->loss,
                       sqrt(length));
    return VL_OK;
}
