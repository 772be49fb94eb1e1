/* SPDX-License-Identifier: MIT */
#include "pipeline/data.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

/* What two captions are compared by: bytes. */
static const void *bytes_of(const vl_data *d, size_t c, size_t *n)
{
    *n = d->caption ? strlen(d->caption[c]) : d->text_dim * sizeof *d->text;
    return d->caption ? (const void *)d->caption[c] : d->text + c * d->text_dim;
}

static bool equal(const vl_data *d, size_t a, size_t b)
{
    size_t n, k;
    const void *p = bytes_of(d, a, &n), *q = bytes_of(d, b, &k);

    return n == k && !memcmp(p, q, n);
}

int vl_data_group(vl_data *d, vl_err *e)
{
    size_t slots = 16, n;
    uint32_t *table = NULL, next = 0; /* caption number + 1 of the first of each text; open addressing */

    while (slots < 2 * d->n_caps)
        slots *= 2;
    table = vl_alloc(slots, sizeof *table, e);
    d->group = table ? vl_alloc(d->n_caps, sizeof *d->group, e) : NULL;
    if (!d->group) {
        free(table);
        return VL_ENOMEM;
    }
    for (size_t c = 0; c < d->n_caps; c++) {
        const void *p = bytes_of(d, c, &n);
        size_t at = XXH64(p, n, 0) & (slots - 1);
        while (table[at] && !equal(d, table[at] - 1, c))
            at = (at + 1) & (slots - 1);
        if (!table[at]) {
            table[at] = (uint32_t)c + 1;
            d->group[c] = next++;
        } else {
            d->group[c] = d->group[table[at] - 1];
        }
    }
    free(table);
    d->n_groups = next;
    return VL_OK;
}

void vl_data_free(vl_data *d)
{
    for (size_t i = 0; d->key && i < d->n; i++)
        free(d->key[i]);
    for (size_t i = 0; d->caption && i < d->n_caps; i++)
        free(d->caption[i]);
    free(d->key);
    free(d->bytes);
    free(d->caption);
    free(d->group);
    free(d->cap);
    free(d->text);
    free(d->images);
    free(d->features);
    free(d->feature_model);
    free(d->image_ext);
    free(d->text_ext);
    memset(d, 0, sizeof *d);
}
