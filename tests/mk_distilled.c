/* SPDX-License-Identifier: MIT
 * mk_distilled -- a small set of kind distilled for tests of what reads such sets: real pairs of a shard with
 * a little noise, no distillation.
 *   mk_distilled [-n PAIRS] [-s SEED] [-e EMBED_DIM] PAIRS EMBEDDINGS OUT
 * Network convnet:4x1 at 16 pixels. */
#include "distill/distilled.h"
#include "distill/select.h"
#include "pipeline/data.h"
#include "pipeline/rng.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SIZE = 16 };

static size_t n = 8, embed_dim = 16;
static uint64_t seed = 1;

static int fill(const vl_data *data, vld_distilled *d, vl_err *e)
{
    const vl_view still = {0};
    const size_t image = SIZE * SIZE * 3;
    uint32_t *rows = vl_alloc(n, sizeof *rows, e);
    vl_real *noise = vl_alloc(n * image, sizeof *noise, e);
    int rc = rows && noise ? vld_select_random(NULL, data->n, 0, seed, NULL, n, rows, e) : VL_ENOMEM;

    d->init_key = vl_alloc(n, sizeof *d->init_key, e);
    d->nearest = vl_alloc(n, sizeof *d->nearest, e);
    d->init_cap = vl_alloc(n, sizeof *d->init_cap, e);
    d->init_pixels = vl_alloc(n, image, e);
    if (!rc && (!d->init_key || !d->nearest || !d->init_cap || !d->init_pixels))
        rc = VL_ENOMEM;
    if (!rc)
        vl_rng_normal(seed, 1, n * image, 0.1, noise);
    for (size_t i = 0; !rc && i < n; i++) {
        const uint8_t *rgb = data->images + rows[i] * image;
        vl_view_apply_u8(rgb, SIZE, still, d->set.image + i * image);
        for (size_t k = 0; k < image; k++)
            d->set.image[i * image + k] += noise[i * image + k];
        memcpy(d->init_pixels + i * image, rgb, image);
        memcpy(d->set.text + i * data->text_dim, data->text + data->cap[rows[i]] * data->text_dim,
               data->text_dim * sizeof(vl_real));
        d->init_key[i] = vl_strdup(data->key[rows[i]], e);
        d->nearest[i] = vl_strdup(data->caption[data->cap[rows[i]]], e);
        rc = d->init_key[i] && d->nearest[i] ? VL_OK : VL_ENOMEM;
    }
    d->set.rate[VLM_IMAGE] = 0.05;
    d->set.rate[VLM_TEXT] = 0.5 + 0.1 * (double)seed;
    free(noise);
    free(rows);
    return rc;
}

static int make(const vl_data *data, vld_distilled *d, vl_err *e)
{
    int rc = vlm_parse("convnet:4x1", SIZE, data->text_dim, embed_dim, 10, &d->model, e);

    d->augment = (vl_augment){.flip = true, .shift = 1};
    d->batch = n < 4 ? n : 4;
    if (!rc)
        rc = vld_set_new(&d->model, n, &d->set, e);
    if (!rc)
        rc = fill(data, d, e);
    if (!rc)
        rc =
            vld_manifest("distilled", "mk_distilled", (int64_t)seed, &d->model, &d->augment, &d->manifest, e);
    if (rc)
        return rc;
    json_object_set_new(d->manifest, "options", json_pack("{s:I}", "batch", (json_int_t)d->batch));
    d->about = json_pack("{s:i, s:[f,f]}", "iterations", 0, "match", 1.0, 1.0);
    return d->about ? VL_OK : vl_fail(e, VL_ENOMEM, "out of memory");
}

int main(int argc, char **argv)
{
    const vl_data_opts o = {.size = SIZE, .images = true, .text = true, .threads = 1};
    vl_data data = {0};
    vld_distilled d = {0};
    vls_writer *w = NULL;
    vl_err e = {0};
    int c, rc;

    while ((c = getopt(argc, argv, "n:s:e:")) != -1) {
        if (c == 'n')
            n = strtoul(optarg, NULL, 10);
        else if (c == 's')
            seed = strtoull(optarg, NULL, 10);
        else if (c == 'e')
            embed_dim = strtoul(optarg, NULL, 10);
        else
            return 2;
    }
    if (optind + 3 != argc)
        return 2;
    rc = vl_data_load((const char *const *)argv + optind, 2, &o, &data, NULL, &e);
    if (!rc)
        rc = make(&data, &d, &e);
    if (!rc)
        rc = vls_writer_open(argv[optind + 2], &w, &e);
    if (!rc && (rc = vld_distilled_write(w, &d, NULL, 0, &e)))
        vls_writer_abort(w);
    else if (!rc)
        rc = vls_writer_close(w, &e);
    if (rc)
        fprintf(stderr, "mk_distilled: %s\n", e.text);
    vld_distilled_free(&d);
    vl_data_free(&data);
    return rc != 0;
}
