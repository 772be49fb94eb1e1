/* SPDX-License-Identifier: MIT
 * b_vlt.c -- GB/s of raw bytes, on one core: the filters of .vlt alone, plain and fast, beside memcpy; then
 * whole tensors (filter, sums, zstd -1 in frames of 1 MiB) beside plain zstd -1. Median of seven, least and
 * greatest. The load: 4 Mi floats of a normal distribution, and the same after a small step of training. */
#include "formats/frame.h"
#include "formats/vlt.h"
#include "formats/vlt_filter.h"
#include "pipeline/rng.h"
#include "tests/bench/timing.h"

#include <stdio.h>
#include <string.h>

enum { N = 4 << 20, BYTES = 4 * N, FRAME = 1 << 20, FRAMES = BYTES / FRAME + 1 };

static const char *const names[] = {"none", "shuffle", "xor+shuffle", "sub+zigzag+shuffle"};

static struct work {
    uint8_t *old, *now, *out, *back; /* [BYTES] */
    vl_vlt_ref ref;
    vl_codec *codec;
    vl_vlt_filter filter;
    uint8_t *comp; /* frames behind each other */
    vl_frame frame[FRAMES];
    size_t n_frames, comp_bytes, vlt_bytes;
    int use_vlt;
} k;

static void need(int ok, const char *what)
{
    if (!ok) {
        fprintf(stderr, "b_vlt: %s failed\n", what);
        exit(1);
    }
}

static void show(const char *what, const char *how, void (*fn)(void *))
{
    bench_times s = bench_run(fn, &k, 0.1, 1);

    printf("  %-20s %-22s %6.2f GB/s (%.2f to %.2f)\n", what, how, 1e-9 * BYTES / s.median,
           1e-9 * BYTES / s.max, 1e-9 * BYTES / s.min);
}

/* ---- bytes alone -------------------------------------------------------------------------------- */

static void copy(void *arg)
{
    struct work *w = arg;

    memcpy(w->out, w->now, BYTES);
}

static void filter(void *arg)
{
    struct work *w = arg;

    vl_vlt_filter_bytes(w->filter, 4, w->now, w->old, BYTES, w->out);
}

static void unfilter(void *arg)
{
    struct work *w = arg;

    vl_vlt_unfilter(w->filter, 4, w->out, w->old, BYTES, w->back);
}

static void sum(void *arg)
{
    struct work *w = arg;

    w->ref.sum = vl_vlt_sum(w->old, BYTES);
}

static void shuffle_plain(void *arg)
{
    struct work *w = arg;

    for (size_t i = 0; i < BYTES; i += 4 << VL_VLT_TILE_LOG)
        vl_shuffle_plain(w->now + i, 1 << VL_VLT_TILE_LOG, 4, 1 << VL_VLT_TILE_LOG, w->out + i);
}

static void unshuffle_plain(void *arg)
{
    struct work *w = arg;

    for (size_t i = 0; i < BYTES; i += 4 << VL_VLT_TILE_LOG)
        vl_unshuffle_plain(w->out + i, 1 << VL_VLT_TILE_LOG, 4, 1 << VL_VLT_TILE_LOG, w->back + i);
}

static void sub_plain(void *arg)
{
    struct work *w = arg;

    vl_sub_plain(w->now, w->old, N, 4, w->out);
}

static void add_plain(void *arg)
{
    struct work *w = arg;

    vl_add_plain(w->out, w->old, N, 4, w->back);
}

/* ---- with zstd ---------------------------------------------------------------------------------- */

static void encode(void *arg)
{
    struct work *w = arg;
    vl_npy a = {VL_F32, 1, {N}, N, w->now};
    uint8_t *file = NULL;
    const uint8_t *in = w->now, *comp;
    size_t n = BYTES;

    if (w->use_vlt) {
        need(!vl_vlt_build(&a, w->filter, w->filter >= VL_VLT_XOR ? &w->ref : NULL, &file, &n, NULL, NULL),
             "vl_vlt_build");
        in = file;
    }
    w->vlt_bytes = n;
    w->n_frames = w->comp_bytes = 0;
    for (size_t at = 0; at < n; at += FRAME) {
        vl_frame *f = &w->frame[w->n_frames++];
        need(!vl_frame_encode(w->codec, in + at, n - at < FRAME ? n - at : FRAME, 1, &comp, f, NULL),
             "encode");
        memcpy(w->comp + w->comp_bytes, comp, f->csize);
        w->comp_bytes += f->csize;
    }
    free(file);
}

static void decode(void *arg)
{
    struct work *w = arg;
    size_t at = 0, from = 0;
    vl_vlt t;

    for (size_t i = 0; i < w->n_frames; i++) {
        need(!vl_frame_decode(w->codec, w->comp + from, &w->frame[i], w->out + at, NULL), "decode");
        from += w->frame[i].csize;
        at += w->frame[i].dsize;
    }
    if (!w->use_vlt)
        return;
    need(!vl_vlt_parse(w->out, at, &t, NULL), "vl_vlt_parse");
    need(!vl_vlt_decode(&t, &w->ref, w->back, NULL), "vl_vlt_decode");
}

static void whole(const char *what, const char *how)
{
    char text[64];

    encode(&k);
    snprintf(text, sizeof text, "%s, ratio %.2f", how, (double)BYTES / (double)k.comp_bytes);
    show(what, text, encode);
    show("", "  back", decode);
    if (k.use_vlt)
        need(!memcmp(k.back, k.now, BYTES), "the way back");
}

static void load(void)
{
    float *a, *b;

    k.old = malloc(BYTES);
    k.now = malloc(BYTES);
    k.out = malloc(BYTES + 4096);
    k.back = malloc(BYTES);
    k.comp = malloc((size_t)FRAMES * VL_FRAME_COMP_MAX);
    need(k.old && k.now && k.out && k.back && k.comp && !vl_codec_new(&k.codec, NULL), "memory");
    a = (float *)(void *)k.old;
    b = (float *)(void *)k.now;
    vl_rng_normal(1, 0, N, 0.02f, a);
    vl_rng_normal(1, 1, N, 0.00002f, b);
    for (size_t i = 0; i < N; i++)
        b[i] += a[i];
    k.ref = (vl_vlt_ref){"a.vlt", k.old, BYTES, vl_vlt_sum(k.old, BYTES)};
}

int main(void)
{
    load();
    printf("%.0f MiB of floats, one core; AVX2: %s\n", BYTES / 1048576.,
           vl_shuffle_avx2(k.now, 32, 4, 32, k.out) ? "yes" : "no");
    show("memcpy", "", copy);
    show("XXH64", "", sum);
    show("shuffle, plain", "there", shuffle_plain);
    show("", "back", unshuffle_plain);
    show("sub+zigzag, plain", "there", sub_plain);
    show("", "back", add_plain);
    for (int f = VL_VLT_SHUFFLE; f < VL_VLT_FILTERS; f++) {
        k.filter = (vl_vlt_filter)f;
        show(names[f], "there", filter);
        show("", "back", unfilter);
        need(!memcmp(k.back, k.now, BYTES), "the way back");
    }
    printf("with zstd -1, frames of 1 MiB; .vlt with its sums made and checked\n");
    whole("zstd -1 alone", "there");
    k.use_vlt = 1;
    for (int f = VL_VLT_NONE; f < VL_VLT_FILTERS; f++) {
        k.filter = (vl_vlt_filter)f;
        whole(names[f], "there");
    }
    vl_codec_free(k.codec);
    free(k.comp);
    free(k.back);
    free(k.out);
    free(k.now);
    free(k.old);
    return 0;
}
