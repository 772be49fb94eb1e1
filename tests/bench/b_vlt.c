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

/* A tensor as frames behind each other. */
typedef struct coded {
    uint8_t *comp;
    vl_frame frame[FRAMES];
    size_t n_frames, bytes;
} coded;

/* The tensor goes from a to b and back again, in turns: what is decoded lies where its reference was, as it
 * does when a trajectory is read. */
static struct work {
    uint8_t *ab[2], *out, *chain; /* [BYTES] */
    vl_vlt_ref ref[2];            /* a and b */
    coded to[2];                  /* to a, to b */
    int turn;                     /* which of them comes next */
    vl_codec *codec;
    vl_buf file;
    vl_vlt_filter filter;
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

    memcpy(w->out, w->ab[1], BYTES);
}

static void filter(void *arg)
{
    struct work *w = arg;

    vl_vlt_filter_bytes(w->filter, 4, w->ab[1], w->ab[0], BYTES, w->out);
}

static void unfilter(void *arg)
{
    struct work *w = arg;

    vl_vlt_unfilter(w->filter, 4, w->out, w->ab[0], BYTES, w->chain);
}

static void sum(void *arg)
{
    struct work *w = arg;

    w->ref[0].sum = vl_vlt_sum(w->ab[0], BYTES);
}

static void shuffle_plain(void *arg)
{
    struct work *w = arg;

    for (size_t i = 0; i < BYTES; i += 4 << VL_VLT_TILE_LOG)
        vl_shuffle_plain(w->ab[1] + i, 1 << VL_VLT_TILE_LOG, 4, 1 << VL_VLT_TILE_LOG, w->out + i);
}

static void unshuffle_plain(void *arg)
{
    struct work *w = arg;

    for (size_t i = 0; i < BYTES; i += 4 << VL_VLT_TILE_LOG)
        vl_unshuffle_plain(w->out + i, 1 << VL_VLT_TILE_LOG, 4, 1 << VL_VLT_TILE_LOG, w->chain + i);
}

static void sub_plain(void *arg)
{
    struct work *w = arg;

    vl_sub_plain(w->ab[1], w->ab[0], N, 4, w->out);
}

static void add_plain(void *arg)
{
    struct work *w = arg;

    vl_add_plain(w->out, w->ab[0], N, 4, w->chain);
}

/* ---- with zstd ---------------------------------------------------------------------------------- */

static void encode(void *arg)
{
    struct work *w = arg;
    coded *c = &w->to[w->turn];
    vl_npy a = {VL_F32, 1, {N}, N, w->ab[w->turn]};
    const uint8_t *in = a.data, *comp;
    size_t n = BYTES;

    if (w->use_vlt) {
        w->file.n = 0;
        need(!vl_vlt_build(&a, w->filter, w->filter >= VL_VLT_XOR ? &w->ref[!w->turn] : NULL, &w->file, NULL,
                           NULL),
             "vl_vlt_build");
        in = w->file.p;
        n = w->file.n;
    }
    c->n_frames = c->bytes = 0;
    for (size_t at = 0; at < n; at += FRAME) {
        vl_frame *f = &c->frame[c->n_frames++];
        need(!vl_frame_encode(w->codec, in + at, n - at < FRAME ? n - at : FRAME,
                              w->use_vlt ? VL_LEVEL_PLANES : 1, &comp, f, NULL),
             "encode");
        memcpy(c->comp + c->bytes, comp, f->csize);
        c->bytes += f->csize;
    }
    w->turn = !w->turn;
}

static void decode(void *arg)
{
    struct work *w = arg;
    const coded *c = &w->to[w->turn];
    vl_vlt_ref ref = w->ref[!w->turn];
    size_t at = 0, from = 0;
    vl_vlt t;

    for (size_t i = 0; i < c->n_frames; i++) {
        need(!vl_frame_decode(w->codec, c->comp + from, &c->frame[i], w->out + at, NULL), "decode");
        from += c->frame[i].csize;
        at += c->frame[i].dsize;
    }
    if (w->use_vlt) {
        ref.raw = w->chain;
        need(!vl_vlt_parse(w->out, at, &t, NULL), "vl_vlt_parse");
        need(!vl_vlt_decode(&t, &ref, w->chain, NULL), "vl_vlt_decode");
    }
    w->turn = !w->turn;
}

static void whole(const char *what)
{
    char text[64];

    k.turn = 0;
    encode(&k);
    encode(&k);
    snprintf(text, sizeof text, "there, ratio %.2f", (double)BYTES / (double)k.to[1].bytes);
    show(what, text, encode);
    memcpy(k.chain, k.ab[0], BYTES);
    k.turn = 1;
    show("", "back", decode);
    if (k.use_vlt)
        need(!memcmp(k.chain, k.ab[!k.turn], BYTES), "the way back");
}

static void load(void)
{
    float *a, *b;

    for (int i = 0; i < 2; i++) {
        k.ab[i] = malloc(BYTES);
        k.to[i].comp = malloc(BYTES + BYTES / 8);
        need(k.ab[i] && k.to[i].comp, "memory");
    }
    k.out = malloc(BYTES + 4096);
    k.chain = malloc(BYTES);
    need(k.out && k.chain && !vl_codec_new(&k.codec, NULL), "memory");
    a = (float *)(void *)k.ab[0];
    b = (float *)(void *)k.ab[1];
    vl_rng_normal(1, 0, N, 0.02f, a);
    vl_rng_normal(1, 1, N, 0.0002f, b);
    for (size_t i = 0; i < N; i++)
        b[i] += a[i];
    for (int i = 0; i < 2; i++)
        k.ref[i] = (vl_vlt_ref){"a.vlt", k.ab[i], BYTES, vl_vlt_sum(k.ab[i], BYTES)};
}

int main(void)
{
    load();
    printf("%.0f MiB of floats, one core; AVX2: %s\n", BYTES / 1048576.,
           vl_shuffle_avx2(k.ab[1], 32, 4, 32, k.out) ? "yes" : "no");
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
        need(!memcmp(k.chain, k.ab[1], BYTES), "the way back");
    }
    printf("with zstd -1, frames of 1 MiB; .vlt with its sums made and checked\n");
    whole("zstd -1 alone");
    k.use_vlt = 1;
    for (int f = VL_VLT_NONE; f < VL_VLT_FILTERS; f++) {
        k.filter = (vl_vlt_filter)f;
        whole(names[f]);
    }
    vl_codec_free(k.codec);
    free(k.file.p);
    free(k.chain);
    free(k.out);
    for (int i = 0; i < 2; i++) {
        free(k.to[i].comp);
        free(k.ab[i]);
    }
    return 0;
}
