/* SPDX-License-Identifier: MIT
 * picture_help.h -- made-up data on which a toy network learns something: coloured pictures, each with a text of
 * its own. After cmocka.h. */
#ifndef PICTURE_HELP_H
#define PICTURE_HELP_H

#include "pipeline/data.h"
#include "pipeline/rng.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SIDE = 16, TEXT = 32 };

/* Picture i has a colour of its own in each quarter; noise: how far bytes stray. */
static inline void paint(uint8_t *img, size_t i, uint64_t noise)
{
    for (size_t y = 0; y < SIDE; y++)
        for (size_t x = 0; x < SIDE; x++)
            for (size_t c = 0; c < 3; c++) {
                size_t quarter = y / 8 * 2 + x / 8;
                uint64_t colour = vl_rng_below(1, 100 + i, quarter * 3 + c, 200);
                uint64_t at = ((i * SIDE + y) * SIDE + x) * 3 + c;
                *img++ = (uint8_t)(colour + vl_rng_below(2, noise, at, 40));
            }
}

/* n pictures; texts are those of the pictures `turn` further on. */
static inline void make_pictures(vl_data *d, size_t n, uint64_t noise, size_t turn)
{
    vl_err e;

    memset(d, 0, sizeof *d);
    d->n = d->n_caps = n;
    d->size = SIDE;
    d->text_dim = TEXT;
    d->images = malloc(n * SIDE * SIDE * 3);
    d->text = malloc(n * TEXT * sizeof *d->text);
    d->cap = malloc((n + 1) * sizeof *d->cap);
    d->key = calloc(n, sizeof *d->key);
    d->caption = calloc(n, sizeof *d->caption);
    for (size_t i = 0; i < n; i++) {
        char name[32];
        snprintf(name, sizeof name, "picture %zu", i);
        d->key[i] = strdup(name);
        d->caption[i] = strdup(name);
        d->cap[i] = i;
        paint(d->images + i * SIDE * SIDE * 3, i, noise);
        for (size_t k = 0; k < TEXT; k++)
            d->text[i * TEXT + k] = (float)(vl_rng_unit(3, 200 + (i + turn) % n, k) - 0.5);
    }
    d->cap[n] = n;
    assert_int_equal(vl_data_group(d, &e), VL_OK);
}

#endif
