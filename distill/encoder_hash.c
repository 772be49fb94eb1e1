/* SPDX-License-Identifier: MIT */
#include "distill/encoder.h"
#include "pipeline/text_hash.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DIM_MAX = 65536, TILE = 16 }; /* captions a tile */

typedef struct run {
    const vld_encoder *enc;
    const char *const *caption;
    size_t n;
    float *out;
    vl_err *why; /* [tiles]: the first fault in each */
} run;

static void hash_tile(void *arg, size_t tile, int worker)
{
    const run *r = arg;
    size_t end = (tile + 1) * TILE < r->n ? (tile + 1) * TILE : r->n;

    (void)worker;
    for (size_t i = tile * TILE; i < end && !r->why[tile].code; i++)
        if (vl_text_hash(r->caption[i], strlen(r->caption[i]), r->enc->dim, r->out + i * r->enc->dim,
                         &r->why[tile]))
            vl_within(&r->why[tile], "caption '%.60s'", r->caption[i]);
}

static int texts(vld_encoder *enc, const char *const *caption, size_t n, float *out, vl_err *e)
{
    size_t tiles = (n + TILE - 1) / TILE;
    run r = {enc, caption, n, out, vl_alloc(tiles, sizeof *r.why, e)};
    int rc = VL_OK;

    if (!r.why)
        return VL_ENOMEM;
    vl_pool_run(enc->pool, tiles, hash_tile, &r);
    for (size_t t = 0; !rc && t < tiles; t++)
        if ((rc = r.why[t].code) != VL_OK && e)
            *e = r.why[t];
    free(r.why);
    return rc;
}

/* "hash768" and "hash:768" are the same. */
int vld_encoder_hash(const char *name, const vld_encoder_opts *o, vld_encoder *enc, vl_err *e)
{
    const char *digits = name + strlen("hash");
    unsigned dim = 0;
    int used = 0;

    (void)o;
    digits += *digits == ':';
    if (*digits < '1' || *digits > '9' || sscanf(digits, "%6u%n", &dim, &used) != 1 || digits[used] ||
        dim > DIM_MAX)
        return vl_fail(e, VL_EARG, "'%.40s': hash:DIM wanted, 1 to %d dimensions", name, DIM_MAX);
    snprintf(enc->name, sizeof enc->name, "hash:%u", dim);
    snprintf(enc->ext, sizeof enc->ext, "hash%u.txt.npy", dim);
    enc->dim = dim;
    enc->texts = texts;
    return VL_OK;
}
