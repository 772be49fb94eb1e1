/* SPDX-License-Identifier: MIT */
#include "distill/ablate.h"
#include "distill/controls.h"
#include "pipeline/blas.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *const vld_ablation_name[VLD_ABLATIONS] = {"similarity", "rates", "text", "images"};

static void identity(const vlm_objective *o, vld_set *s)
{
    for (size_t i = 0; s->s && i < s->n; i++)
        for (size_t j = 0; j < s->n; j++)
            s->s[i * s->n + j] = i == j;
    for (size_t i = 0; s->l && i < s->n; i++)
        s->w[i] = 1;
    if (s->l)
        memset(s->r, 0, s->n * o->rank * sizeof *s->r);
}

/* 1 / length of each real row; 0 for a zero row, which then is nearest to nothing. */
static int inverse_lengths(const vl_data *d, vl_real **out, vl_err *e)
{
    *out = vl_alloc(d->n_caps, sizeof **out, e);
    for (size_t c = 0; *out && c < d->n_caps; c++) {
        double square = 0;
        for (size_t k = 0; k < d->text_dim; k++)
            square += (double)d->text[c * d->text_dim + k] * (double)d->text[c * d->text_dim + k];
        (*out)[c] = square > 0 ? (vl_real)(1 / sqrt(square)) : 0;
    }
    return *out ? VL_OK : VL_ENOMEM;
}

/* The captions' rows as reals, for the product. */
static int real_rows(const vl_data *d, vl_real **out, vl_err *e)
{
    *out = vl_alloc(d->n_caps, d->text_dim * sizeof **out, e);
    for (size_t k = 0; *out && k < d->n_caps * d->text_dim; k++)
        (*out)[k] = (vl_real)d->text[k];
    return *out ? VL_OK : VL_ENOMEM;
}

static int nearest_texts(const vl_data *d, vld_set *s, vl_err *e)
{
    size_t dim = d->text_dim;
    vl_real *length = NULL, *rows = NULL, *score = vl_alloc(d->n_caps, sizeof *score, e);
    int rc = score ? inverse_lengths(d, &length, e) : VL_ENOMEM;

    if (!rc)
        rc = real_rows(d, &rows, e);
    for (size_t i = 0; !rc && i < s->n; i++) {
        size_t best = 0;
        vl_gemm(0, 1, 1, d->n_caps, dim, 1, s->text + i * dim, dim, rows, dim, 0, score, d->n_caps);
        for (size_t c = 0; c < d->n_caps; c++) {
            score[c] *= length[c];
            best = score[c] > score[best] ? c : best;
        }
        memcpy(s->text + i * dim, rows + best * dim, dim * sizeof *rows);
    }
    free(score);
    free(rows);
    free(length);
    return rc;
}

static int initial_images(const vld_distilled *set, const vl_data *train, vld_set *s, vl_err *e)
{
    const vl_view still = {0};
    size_t side = set->model.size, n = set->model.image_n;
    vld_set real;
    int rc;

    if (set->init_pixels && side) {
        for (size_t i = 0; i < s->n; i++)
            vl_view_apply_u8(set->init_pixels + i * n, side, still, s->image + i * n);
        return VL_OK;
    }
    if (!train)
        return vl_fail(e, VL_EFORMAT, "the set does not carry the images that it started from");
    rc = vld_control_initial(train, set, NULL, &real, e);
    if (rc)
        return rc;
    memcpy(s->image, real.image, s->n * n * sizeof *s->image);
    vld_set_free(&real);
    return VL_OK;
}

static int copy(const vld_distilled *set, const vlm_objective *o, vld_set *out, vl_err *e)
{
    int rc = vld_set_new_for(&set->model, o, set->set.n, out, e);

    for (vld_set_part p = 0; !rc && p < VLD_SET_PARTS; p++)
        if (vld_set_part_of(out, p))
            memcpy(vld_set_part_of(out, p), vld_set_part_of(&set->set, p),
                   out->n * vld_set_width(&set->model, o, out->n, p) * sizeof(vl_real));
    if (!rc)
        memcpy(out->rate, set->set.rate, sizeof out->rate);
    return rc;
}

int vld_ablate(const vld_distilled *set, vld_ablation what, const vl_data *train, vld_set *out, vl_err *e)
{
    const vlm_objective *o = &set->objective;
    vld_set s = {0};
    int rc = VL_OK;

    if (what == VLD_NO_SIMILARITY && o->sim == VLM_SIM_NONE)
        rc = vl_fail(e, VL_EFORMAT, "the set carries no learned similarity that the identity could replace");
    if (what == VLD_NO_TEXT && !train)
        rc = vl_fail(e, VL_EARG,
                     "the nearest captions are looked for among training data, and there are none");
    if (!rc && what == VLD_NO_TEXT && train->text_dim != set->model.text_dim)
        rc = vl_fail(e, VL_EARG, "training texts have %zu numbers, the set's have %zu", train->text_dim,
                     set->model.text_dim);
    if (!rc)
        rc = copy(set, o, &s, e);
    if (!rc && what == VLD_NO_SIMILARITY)
        identity(o, &s);
    if (!rc && what == VLD_NO_TEXT)
        rc = nearest_texts(train, &s, e);
    if (!rc && what == VLD_NO_IMAGES)
        rc = initial_images(set, train, &s, e);
    if (rc)
        vld_set_free(&s);
    else
        *out = s;
    return rc;
}
