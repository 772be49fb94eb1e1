/* SPDX-License-Identifier: MIT */
#include "distill/set.h"
#include "pipeline/rng.h"

#include <stdlib.h>
#include <string.h>

static vl_real **slot(vld_set *s, vld_set_part part)
{
    vl_real **const all[VLD_SET_PARTS] = {&s->image, &s->text, &s->s, &s->l, &s->r, &s->w};

    return all[part];
}

vl_real *vld_set_part_of(const vld_set *s, vld_set_part part)
{
    return *slot((vld_set *)s, part);
}

size_t vld_set_width(const vlm_model *m, const vlm_objective *o, size_t n, vld_set_part part)
{
    bool full = o->sim == VLM_SIM_FULL, low = o->sim == VLM_SIM_LOWRANK;
    const size_t width[VLD_SET_PARTS] = {m->image_n,        m->text_dim,       full ? n : 0,
                                         low ? o->rank : 0, low ? o->rank : 0, low};

    return width[part];
}

int vld_set_new_for(const vlm_model *m, const vlm_objective *o, size_t n, vld_set *s, vl_err *e)
{
    memset(s, 0, sizeof *s);
    s->n = n;
    for (vld_set_part p = 0; p < VLD_SET_PARTS; p++) {
        size_t width = vld_set_width(m, o, n, p);
        vl_real **at = slot(s, p);
        if (width && !(*at = vl_alloc(n, width * sizeof **at, e))) {
            vld_set_free(s);
            return VL_ENOMEM;
        }
    }
    return VL_OK;
}

int vld_set_new(const vlm_model *m, size_t n, vld_set *s, vl_err *e)
{
    static const vlm_objective plain = {.loss = VLM_INFONCE};

    return vld_set_new_for(m, &plain, n, s, e);
}

void vld_set_free(vld_set *s)
{
    for (vld_set_part p = 0; p < VLD_SET_PARTS; p++)
        free(vld_set_part_of(s, p));
    memset(s, 0, sizeof *s);
}

void vld_set_similarity(const vlm_objective *o, uint64_t seed, vld_set *s)
{
    if (s->s)
        for (size_t i = 0; i < s->n; i++)
            s->s[i * s->n + i] = 1;
    if (!s->l)
        return;
    vl_rng_normal(seed, vl_rng_stream("similarity", 0, 0, 0), s->n * o->rank, 1, s->l);
    for (size_t i = 0; i < s->n; i++)
        s->w[i] = 1;
}
