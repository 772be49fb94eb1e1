/* SPDX-License-Identifier: MIT */
#include "distill/relation.h"

#include <stdlib.h>
#include <string.h>

void vld_relation_free(vld_relation *r)
{
    free(r->begin);
    free(r->list);
    memset(r, 0, sizeof *r);
}

static int relation_new(vld_relation *r, size_t n, size_t cap, vl_err *e)
{
    memset(r, 0, sizeof *r);
    r->n = n;
    r->begin = vl_alloc(n + 1, sizeof *r->begin, e);
    r->list = vl_alloc(cap, sizeof *r->list, e);
    return r->begin && r->list ? VL_OK : VL_ENOMEM;
}

/* An image has few captions: compare them all. */
int vld_relate_texts(const vl_data *d, vld_relation *r, vl_err *e)
{
    size_t used = 0;

    memset(r, 0, sizeof *r);
    if (!d->group)
        return vl_fail(e, VL_EARG, "captions are not grouped");
    if (relation_new(r, d->n, d->n_caps, e))
        return VL_ENOMEM;
    for (size_t i = 0; i < d->n; i++) {
        for (size_t c = d->cap[i]; c < d->cap[i + 1]; c++) {
            size_t k = r->begin[i];
            while (k < used && r->list[k] != d->group[c])
                k++;
            if (k == used)
                r->list[used++] = d->group[c];
        }
        r->begin[i + 1] = used;
    }
    return VL_OK;
}

int vld_relate_images(const vl_data *d, const vld_relation *texts, vld_relation *r, vl_err *e)
{
    size_t *at;

    if (relation_new(r, d->n_groups, texts->begin[d->n], e))
        return VL_ENOMEM;
    at = vl_alloc(d->n_groups + 1, sizeof *at, e);
    if (!at)
        return VL_ENOMEM;
    for (size_t k = 0; k < texts->begin[d->n]; k++)
        r->begin[texts->list[k] + 1]++;
    for (size_t g = 0; g < d->n_groups; g++)
        at[g + 1] = r->begin[g + 1] += r->begin[g];
    for (size_t i = 0; i < d->n; i++)
        for (size_t k = texts->begin[i]; k < texts->begin[i + 1]; k++)
            r->list[at[texts->list[k]]++] = (uint32_t)i;
    free(at);
    return VL_OK;
}
