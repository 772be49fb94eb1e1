/* SPDX-License-Identifier: MIT
 * eval_front.c -- distilled pictures for students that are heads: the frozen encoder turns them into features once,
 * before anything is trained. The pictures stay for the report. */
#include "cli/eval.h"
#include "distill/encoder.h"
#include "distill/front.h"

#include <stdlib.h>
#include <string.h>

static int needs_encoder(const eval *v, const eval_set **first)
{
    *first = NULL;
    for (size_t i = 0; i < v->n_sets; i++)
        if (v->set[i].distilled && v->set[i].set.front.n && !*first)
            *first = &v->set[i];
    return *first != NULL;
}

/* The set's images become features; its pixels are kept. */
static int look(eval_set *s, const vld_encoder *enc, vl_err *e)
{
    static const vl_augment still = {0};
    vld_distilled *d = &s->set;
    vld_front *f = NULL;
    vl_real *features;
    int rc;

    if (strcmp(d->encoder, enc->name))
        return vl_fail(e, VL_EARG, "--encoder is %s; %s was made for %s", enc->name, s->path[0], d->encoder);
    rc = vld_front_new(enc->model, enc->theta, NULL, d->set.n, (size_t)64 << 20, &still, &f, e);
    features = rc ? NULL : vl_alloc(d->set.n, enc->dim * sizeof *features, e);
    if (features) {
        vld_front_run(f, d->set.image, 0, 0, features);
        s->pixels = d->set.image;
        d->set.image = features;
    }
    vld_front_free(f);
    return rc ? rc : features ? VL_OK : VL_ENOMEM;
}

int eval_front(eval *v, vl_err *e)
{
    const vld_encoder_opts how = {VLM_DEFAULT_SIZE, VLM_DEFAULT_EMBED};
    vld_encoder enc = {0};
    const eval_set *first;
    int rc;

    if (!needs_encoder(v, &first))
        return v->o.encoder ? vl_fail(e, VL_EARG, "--encoder: no set holds pixels for heads") : VL_OK;
    if (!v->o.encoder)
        return vl_fail(e, VL_EARG, "%s holds pixels for heads: --encoder %s is missing", first->path[0],
                       first->set.encoder);
    rc = vld_encoder_open(VLD_OF_IMAGES, v->o.encoder, &how, NULL, &enc, e);
    if (rc)
        return vl_within(e, "--encoder");
    for (size_t i = 0; !rc && i < v->n_sets; i++)
        if (v->set[i].distilled && v->set[i].set.front.n)
            rc = look(&v->set[i], &enc, e);
    vld_encoder_close(&enc);
    return rc;
}
