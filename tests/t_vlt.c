/* SPDX-License-Identifier: MIT
 * t_vlt.c -- .vlt: bits that come back, fast filters against plain ones, headers that lie. */
#include "formats/frame.h"
#include "formats/vlt.h"
#include "formats/vlt_chain.h"
#include "formats/vlt_filter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static uint64_t state64 = 88172645463325252u;

static uint64_t draw(void)
{
    state64 ^= state64 << 13;
    state64 ^= state64 >> 7;
    state64 ^= state64 << 17;
    return state64;
}

/* n bytes that end where the block ends, at an odd address where n is odd: the sanitizer sees every step too
 * far. */
static uint8_t *noise(size_t n)
{
    uint8_t *p = malloc(n ? n : 1);

    assert_non_null(p);
    for (size_t i = 0; i < n; i++)
        p[i] = (uint8_t)(draw() >> 24);
    return p;
}

/* Words that are near those of ref, as trained weights are; some are equal, some far. */
static uint8_t *near(const uint8_t *ref, size_t n, size_t w)
{
    uint8_t *p = noise(n);

    for (size_t i = 0; i < n / w; i++)
        if (draw() % 4) {
            memcpy(p + i * w, ref + i * w, w);
            p[i * w] ^= (uint8_t)(draw() % 3);
        }
    return p;
}

static const size_t lengths[] = {0, 1, 2, 31, 32, 33, 63, 64, 65, 255, 1000, 1023, 2048, 2049, 5000};
static const size_t widths[] = {1, 2, 4, 8};
#define N(a) (sizeof(a) / sizeof *(a))

/* ---- filters ---------------------------------------------------------------------------------- */

static void shuffles_agree(void **state)
{
    (void)state;
    for (size_t l = 0; l < N(lengths); l++)
        for (size_t k = 0; k < N(widths); k++) {
            size_t n = lengths[l], w = widths[k], stride = n + draw() % 7;
            uint8_t *in = noise(n * w), *a = calloc(1, stride * w + 1), *b = calloc(1, stride * w + 1);
            uint8_t *back = malloc(n * w + 1), *plain = malloc(n * w + 1);
            assert_true(a && b && back && plain);
            vl_shuffle_plain(in, n, w, stride, a);
            vl_shuffle(in, n, w, stride, b);
            assert_memory_equal(a, b, stride * w);
            vl_unshuffle(b, n, w, stride, back);
            vl_unshuffle_plain(b, n, w, stride, plain);
            assert_memory_equal(back, in, n * w);
            assert_memory_equal(plain, in, n * w);
            free(plain);
            free(back);
            free(b);
            free(a);
            free(in);
        }
    /* A plane is what FORMAT.md says it is. */
    uint8_t out[8];
    vl_shuffle((const uint8_t *)"abcdefgh", 2, 4, 2, out);
    assert_memory_equal(out, "aebfcgdh", 8);
#ifdef __x86_64__
    if (__builtin_cpu_supports("avx2")) { /* or the test compared the plain form with itself */
        uint8_t in[256] = {0}, to[256];
        assert_int_equal(vl_shuffle_avx2(in, 33, 4, 33, to), 32);
        assert_int_equal(vl_unshuffle_avx2(in, 32, 8, 32, to), 32);
    }
#endif
}

static void differences_agree(void **state)
{
    (void)state;
    for (size_t l = 0; l < N(lengths); l++)
        for (size_t k = 0; k < N(widths); k++) {
            size_t w = widths[k], n = lengths[l], bytes = n * w;
            uint8_t *ref = noise(bytes), *x = near(ref, bytes, w);
            uint8_t *a = malloc(bytes + 1), *b = malloc(bytes + 1);
            assert_true(a && b);
            vl_sub_plain(x, ref, n, w, a);
            vl_sub(x, ref, n, w, b + 1); /* unaligned */
            assert_memory_equal(a, b + 1, bytes);
            vl_add_plain(a, ref, n, w, b);
            assert_memory_equal(b, x, bytes);
            vl_add(a, ref, n, w, a); /* over its input */
            assert_memory_equal(a, x, bytes);
            vl_sub(x, ref, n, w, a);
            memcpy(b, ref, bytes);
            vl_add(a, b, n, w, b); /* over the reference */
            assert_memory_equal(b, x, bytes);
            vl_xor(x, ref, bytes, a);
            for (size_t i = 0; i < bytes; i++)
                assert_int_equal(a[i], x[i] ^ ref[i]);
            vl_xor(a, ref, bytes, a);
            assert_memory_equal(a, x, bytes);
            free(b);
            free(a);
            free(x);
            free(ref);
        }
}

/* -1 -> 1, 1 -> 2, the ends of the range, in all widths. */
static void zigzag(void **state)
{
    static const struct {
        uint64_t a, ref, z;
    } rows[] = {{5, 5, 0}, {4, 5, 1}, {6, 5, 2}, {3, 5, 3}, {0, UINT64_MAX, 2}, {UINT64_MAX, 0, 1}};

    (void)state;
    for (size_t k = 0; k < N(widths); k++) {
        size_t w = widths[k];
        uint64_t top = 1ull << (8 * w - 1), mask = top | (top - 1), got = 0;
        for (size_t r = 0; r < N(rows); r++) {
            vl_sub((const uint8_t *)&rows[r].a, (const uint8_t *)&rows[r].ref, 1, w, (uint8_t *)&got);
            assert_int_equal(got & mask, rows[r].z);
        }
        vl_sub((const uint8_t *)&top, (const uint8_t *)&rows[4].a, 1, w, (uint8_t *)&got); /* the farthest */
        assert_int_equal(got & mask, mask);
    }
}

/* ---- whole files ------------------------------------------------------------------------------ */

static const char ref_name[] = "expert-0000/snap-0001.w.vlt";

static vl_vlt_ref ref_of(const uint8_t *raw, size_t n)
{
    return (vl_vlt_ref){ref_name, raw, n, vl_vlt_sum(raw, n)};
}

/* Builds and reads back; the file must be the same when it is built a second time. */
static void there_and_back(const vl_npy *a, vl_vlt_filter f, const vl_vlt_ref *ref)
{
    vl_buf file = {0}, again = {0};
    uint64_t sum = 0;
    vl_vlt t;
    vl_err e;

    if (vl_vlt_build(a, f, ref, &file, &sum, &e) || vl_vlt_parse(file.p, file.n, &t, &e))
        fail_msg("filter %d: %s", f, e.text);
    assert_int_equal(t.filter, f);
    assert_int_equal(t.a.dtype, a->dtype);
    assert_int_equal(t.a.rank, a->rank);
    assert_memory_equal(t.a.shape, a->shape, sizeof a->shape);
    assert_true(t.sum == sum && t.sum == vl_vlt_sum(a->data, vl_vlt_bytes(&t)));
    assert_string_equal(t.ref, ref ? ref_name : "");
    assert_int_equal(((const uint8_t *)t.a.data - file.p) % VL_VLT_ALIGN, 0);
    uint8_t *raw = malloc(vl_vlt_bytes(&t) + 1);
    assert_non_null(raw);
    if (vl_vlt_decode(&t, ref, raw, &e))
        fail_msg("filter %d: %s", f, e.text);
    assert_memory_equal(raw, a->data, vl_vlt_bytes(&t));
    if (ref) { /* in place */
        vl_vlt_ref chain = *ref;
        memcpy(raw, ref->raw, ref->bytes);
        chain.raw = raw;
        assert_int_equal(vl_vlt_decode(&t, &chain, raw, &e), VL_OK);
        assert_memory_equal(raw, a->data, vl_vlt_bytes(&t));
    }
    assert_int_equal(vl_vlt_build(a, f, ref, &again, NULL, &e), VL_OK);
    assert_int_equal(again.n, file.n);
    assert_memory_equal(again.p, file.p, file.n);
    free(raw);
    free(again.p);
    free(file.p);
}

static void every_dtype(void **state)
{
    (void)state;
    for (int d = 1; d < VL_DTYPES; d++)
        for (size_t l = 0; l < N(lengths); l++) {
            size_t size = vl_dtype_size((vl_dtype)d), n = lengths[l];
            uint8_t *ref = noise(n * size), *x = near(ref, n * size, vl_dtype_word((vl_dtype)d));
            vl_npy a = {(vl_dtype)d, 2, {n, 1}, 0, x};
            vl_vlt_ref r = ref_of(ref, n * size);
            for (int f = 0; f < VL_VLT_FILTERS; f++)
                there_and_back(&a, (vl_vlt_filter)f, f >= VL_VLT_XOR ? &r : NULL);
            free(x);
            free(ref);
        }
}

/* NaN payloads, signalling ones too, infinities, both zeros, denormals: as bits, against each other. */
static void odd_floats(void **state)
{
    static const uint32_t bits[] = {0,          0x80000000, 1,          0x80000001, 0x007fffff,
                                    0x00800000, 0x7f7fffff, 0x7f800000, 0xff800000, 0x7f800001,
                                    0x7fc00000, 0xffffffff, 0x7fbfffff, 0xffc12345};
    enum { K = sizeof bits / 4 };
    uint32_t x[K * K], ref[K * K];
    vl_npy a = {VL_F32, 1, {K * K}, 0, x};
    vl_vlt_ref r;

    (void)state;
    for (int i = 0; i < K * K; i++) {
        x[i] = bits[i / K];
        ref[i] = bits[i % K];
    }
    r = ref_of((const uint8_t *)ref, sizeof ref);
    for (int f = 0; f < VL_VLT_FILTERS; f++)
        there_and_back(&a, (vl_vlt_filter)f, f >= VL_VLT_XOR ? &r : NULL);
}

/* More than a tile, and a last one that is short; rank 0; no elements. */
static void tiles_and_shapes(void **state)
{
    size_t n = (((size_t)1 << VL_VLT_TILE_LOG) * 2 + 12345) * 4;
    uint8_t *ref = noise(n), *x = near(ref, n, 4), *plain = malloc(n), *fast = malloc(n);
    vl_vlt_ref r = ref_of(ref, n);
    vl_npy a = {VL_F32, 1, {n / 4}, 0, x}, scalar = {VL_F32, 0, {0}, 0, x},
           none = {VL_F64, 8, {1, 2, 3, 0, 5, 6, 7, 8}, 0, x};

    (void)state;
    assert_true(plain && fast);
    for (int f = 0; f < VL_VLT_FILTERS; f++)
        there_and_back(&a, (vl_vlt_filter)f, f >= VL_VLT_XOR ? &r : NULL);
    vl_vlt_filter_bytes(VL_VLT_SHUFFLE, 4, x, NULL, n, fast);
    for (size_t at = 0; at < n; at += (size_t)4 << VL_VLT_TILE_LOG) {
        size_t m = n - at < (size_t)4 << VL_VLT_TILE_LOG ? (n - at) / 4 : (size_t)1 << VL_VLT_TILE_LOG;
        vl_shuffle_plain(x + at, m, 4, m, plain + at);
    }
    assert_memory_equal(fast, plain, n);
    there_and_back(&scalar, VL_VLT_SHUFFLE, NULL);
    there_and_back(&none, VL_VLT_SHUFFLE, NULL);
    r.bytes = 0;
    r.sum = vl_vlt_sum(NULL, 0);
    there_and_back(&none, VL_VLT_SUB, &r);
    free(fast);
    free(plain);
    free(x);
    free(ref);
}

/* Pieces cover a file without a gap, and their seams are where planes end. */
static void pieces(void **state)
{
    static const size_t counts[] = {0, 100, 4095, 4096, 300000, 1 << 18, 600000};

    (void)state;
    for (size_t c = 0; c < N(counts); c++)
        for (int f = 0; f < 2; f++) {
            uint8_t *x = calloc(counts[c] + 1, 4);
            vl_npy a = {VL_F32, 1, {counts[c]}, 0, x};
            vl_buf file = {0};
            size_t at = 0, n = 0, k;
            vl_vlt t;
            vl_err e;
            assert_int_equal(vl_vlt_build(&a, (vl_vlt_filter)f, NULL, &file, NULL, &e), VL_OK);
            assert_int_equal(vl_vlt_parse(file.p, file.n, &t, &e), VL_OK);
            for (; at < file.n; at += k, n++) {
                k = vl_vlt_piece(&t, file.n, at);
                assert_true(k > 0 && k <= file.n - at);
            }
            assert_int_equal(n, !f || counts[c] < 4096 ? 1
                                : counts[c] <= 1 << 18 ? 5
                                : counts[c] == 300000  ? 9
                                                       : 13);
            free(file.p);
            free(x);
        }
}

/* ---- what is refused -------------------------------------------------------------------------- */

static void hostile_headers(void **state)
{
    static const struct {
        int at, value;
        const char *why;
    } rows[] = {
        {0, 'W', "magic"},      {3, '2', "magic"},          {4, 0, "dtype 0"},      {4, 16, "dtype 16"},
        {4, 255, "dtype 255"},  {5, 4, "filter 4"},         {5, 1, "no reference"}, {5, 0, "no reference"},
        {6, 9, "9 dimensions"}, {6, 255, "255 dim"},        {6, 0, NULL},           {6, 8, NULL},
        {7, 17, "2^17"},        {24, 0, "0 bytes"},         {25, 4, "cut"},         {25, 255, "cut"},
        {24, 26, "padding"},    {26, 1, "reserved"},        {31, 1, "reserved"},    {32, 4, "declared"},
        {39, 255, "elements"},  {47, 64, "elements"},       {48, 0, "1 to 1000"},   {48, '/', "reference"},
        {48, '.', "reference"}, {48 + 10, 10, "reference"}, {80, 1, "padding"}};
    uint8_t *x = noise(24), *ref = noise(24);
    vl_npy a = {VL_F32, 2, {2, 3}, 0, x};
    vl_vlt_ref r = ref_of(ref, 24);
    vl_buf file = {0};
    vl_vlt t;
    vl_err e;

    (void)state;
    assert_int_equal(vl_vlt_build(&a, VL_VLT_SUB, &r, &file, NULL, &e), VL_OK);
    assert_int_equal(file.n, 128 + 24);
    for (size_t i = 0; i < N(rows); i++) {
        uint8_t *p = malloc(file.n);
        assert_non_null(p);
        memcpy(p, file.p, file.n);
        p[rows[i].at] = (uint8_t)rows[i].value;
        e.text[0] = 0;
        if (vl_vlt_parse(p, file.n, &t, &e) != VL_EFORMAT || (rows[i].why && !strstr(e.text, rows[i].why)))
            fail_msg("row %zu: '%s'", i, e.text);
        free(p);
    }
    for (size_t k = 0; k < file.n; k++) { /* every cut */
        uint8_t *p = malloc(k ? k : 1);
        assert_non_null(p);
        memcpy(p, file.p, k);
        assert_int_equal(vl_vlt_parse(p, k, &t, &e), VL_EFORMAT);
        free(p);
    }
    assert_int_equal(vl_buf_add(&file, "x", 1, &e), VL_OK);
    assert_int_equal(vl_vlt_parse(file.p, file.n, &t, &e), VL_EFORMAT);
    free(file.p);
    free(ref);
    free(x);
}

/* Any single bit of a file that is flipped is noticed: by the header's rules or by the sum. */
static void every_bit(void **state)
{
    uint8_t *x = noise(20), *ref = noise(20), raw[64];
    vl_npy a = {VL_F32, 1, {5}, 0, x};
    vl_vlt_ref r = ref_of(ref, 20);
    vl_buf file = {0};
    vl_vlt t;
    vl_err e;

    (void)state;
    assert_int_equal(vl_vlt_build(&a, VL_VLT_SUB, &r, &file, NULL, &e), VL_OK);
    for (size_t bit = 0; bit < 8 * file.n; bit++) {
        file.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
        if (!vl_vlt_parse(file.p, file.n, &t, &e) && !vl_vlt_decode(&t, &r, raw, &e)) {
            /* the dtype may become another one of four bytes: a name for the same bits */
            if (bit / 8 != 4 || memcmp(raw, x, 20))
                fail_msg("bit %zu is not noticed", bit);
        }
        file.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    free(file.p);
    free(ref);
    free(x);
}

static void references(void **state)
{
    uint8_t *x = noise(20), *ref = noise(20), raw[20];
    vl_npy a = {VL_F32, 1, {5}, 0, x};
    vl_vlt_ref r = ref_of(ref, 20), other = r;
    vl_buf file = {0};
    vl_vlt t;
    vl_err e;

    (void)state;
    assert_int_equal(vl_vlt_build(&a, VL_VLT_XOR, &r, &file, NULL, &e), VL_OK);
    assert_int_equal(vl_vlt_parse(file.p, file.n, &t, &e), VL_OK);
    assert_int_equal(vl_vlt_decode(&t, NULL, raw, &e), VL_EFORMAT);
    assert_string_equal(e.text, "vlt: its reference 'expert-0000/snap-0001.w.vlt' is not there");
    other.name = "expert-0000/snap-0000.w.vlt";
    assert_int_equal(vl_vlt_decode(&t, &other, raw, &e), VL_EFORMAT);
    other = r;
    other.sum ^= 1;
    assert_int_equal(vl_vlt_decode(&t, &other, raw, &e), VL_EFORMAT);
    assert_string_equal(e.text, "vlt: its reference 'expert-0000/snap-0001.w.vlt' has other bytes");
    other = r;
    other.bytes = 16;
    assert_int_equal(vl_vlt_decode(&t, &other, raw, &e), VL_EFORMAT);

    size_t before = file.n;
    assert_int_equal(vl_vlt_build(&a, VL_VLT_XOR, NULL, &file, NULL, &e), VL_EARG);
    assert_int_equal(vl_vlt_build(&a, VL_VLT_SHUFFLE, &r, &file, NULL, &e), VL_EARG);
    assert_int_equal(vl_vlt_build(&a, VL_VLT_FILTERS, NULL, &file, NULL, &e), VL_EARG);
    assert_int_equal(vl_vlt_build(&a, VL_VLT_SUB, &other, &file, NULL, &e), VL_EARG);
    other = r;
    other.name = "no-extension";
    assert_int_equal(vl_vlt_build(&a, VL_VLT_SUB, &other, &file, NULL, &e), VL_EARG);
    a.dtype = VL_DTYPES;
    assert_int_equal(vl_vlt_build(&a, VL_VLT_NONE, NULL, &file, NULL, &e), VL_EARG);
    assert_int_equal(file.n, before);
    free(file.p);
    free(ref);
    free(x);
}

/* ---- chains ----------------------------------------------------------------------------------- */

/* Two tensors a record; the second has another size in each, so its block cannot be used again. */
static void chain(void **state)
{
    vl_chain c = {0};
    uint8_t *w[4] = {noise(400), NULL, NULL, NULL}, *v = noise(64);
    vl_buf file[2] = {{0}, {0}};
    char key[2][32] = {"", ""}, name[64];
    vl_err e;

    (void)state;
    for (int i = 0; i < 4; i++) {
        vl_npy a = {VL_F32, 1, {100}, 0, NULL}, b = {VL_U8, 1, {(uint64_t)(10 * i)}, 0, v};
        vl_vlt_ref r = {name, NULL, 400, 0};
        if (i)
            w[i] = near(w[i - 1], 400, 4);
        a.data = w[i];
        snprintf(key[i % 2], 32, "x/%d", i);
        snprintf(name, sizeof name, "x/%d.w.vlt", i - 1);
        if (i) {
            r.raw = w[i - 1];
            r.sum = vl_vlt_sum(r.raw, 400);
        }
        file[0].n = file[1].n = 0;
        assert_int_equal(vl_vlt_build(&a, i ? VL_VLT_SUB : VL_VLT_SHUFFLE, i ? &r : NULL, &file[0], NULL, &e),
                         VL_OK);
        assert_int_equal(vl_vlt_build(&b, VL_VLT_NONE, NULL, &file[1], NULL, &e), VL_OK);
        vls_member m[3] = {{"json", (const uint8_t *)"{}", 2},
                           {"w.vlt", file[0].p, file[0].n},
                           {"v.vlt", file[1].p, file[1].n}};
        vls_record rec = {key[i % 2], m, 3}, other = {"y/0", m, 1};
        if (vl_chain_add(&c, &rec, &e) || vl_chain_add(&c, &other, &e)) /* one without .vlt changes nothing */
            fail_msg("%s", e.text);
        assert_memory_equal(vl_chain_get(&c, "w.vlt")->data, w[i], 400);
        assert_int_equal(vl_chain_get(&c, "v.vlt")->n, 10 * i);
        assert_null(vl_chain_get(&c, "json"));
        assert_null(vl_chain_get(&c, "u.vlt"));
        if (i == 3) { /* the same record again refers to what is not there any more, and empties the chain */
            assert_int_equal(vl_chain_add(&c, &rec, &e), VL_EFORMAT);
            assert_string_equal(e.text, "w.vlt: vlt: its reference 'x/2.w.vlt' is not there");
            assert_null(vl_chain_get(&c, "w.vlt"));
        }
    }
    vl_chain_free(&c);
    vl_chain_free(&c);
    for (int i = 0; i < 4; i++)
        free(w[i]);
    free(file[0].p);
    free(file[1].p);
    free(v);
}

/* ---- frames ----------------------------------------------------------------------------------- */

/* Blocks that end where planes do: any seams decode to the same bytes, and planes get smaller. */
static void seams(void **state)
{
    enum { SIZE = 300000, TURN = 50000 };
    uint8_t *raw = noise(SIZE), *back = malloc(SIZE);
    uint32_t seam[600];
    vl_codec *codec = NULL;
    uint32_t plain = 0;
    vl_err e;

    (void)state;
    assert_non_null(back);
    assert_int_equal(vl_codec_new(&codec, &e), VL_OK);
    for (int i = 0; i < SIZE; i++) /* noise, then bytes of two bits, in turns */
        if (i / TURN % 2)
            raw[i] &= 3;
    for (size_t n = 0; n <= 600; n += n < 3 ? 1 : 199) {
        const uint8_t *comp;
        vl_frame f, walked;
        vl_frame_walk w = {0};
        size_t need = 0;
        for (size_t i = 0; i < n; i++) /* the last is the end */
            seam[i] = (uint32_t)((i + 1) * SIZE / n);
        if (vl_frame_encode_seams(codec, raw, SIZE, n % 2 ? VL_LEVEL_PLANES : 1, seam, n, &comp, &f, &e))
            fail_msg("%s", e.text);
        assert_int_equal(vl_frame_step(&w, comp, f.csize, &need, &walked, &e), VL_OK);
        assert_int_equal(need, f.csize);
        assert_memory_equal(&walked, &f, sizeof f);
        assert_int_equal(vl_frame_decode(codec, comp, &f, back, &e), VL_OK);
        assert_memory_equal(back, raw, SIZE);
        if (!n)
            plain = f.csize;
    }
    for (int i = 0; i < 5; i++)
        seam[i] = (uint32_t)(i + 1) * TURN;
    const uint8_t *comp;
    vl_frame f;
    assert_int_equal(vl_frame_encode_seams(codec, raw, SIZE, VL_LEVEL_PLANES, seam, 5, &comp, &f, &e), VL_OK);
    assert_true(f.csize < plain * 0.99);
    assert_int_equal(vl_frame_encode(codec, raw, SIZE, VL_LEVEL_PLANES + 1, &comp, &f, &e), VL_EARG);
    vl_codec_free(codec);
    free(back);
    free(raw);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shuffles_agree), cmocka_unit_test(differences_agree),
        cmocka_unit_test(zigzag),         cmocka_unit_test(every_dtype),
        cmocka_unit_test(odd_floats),     cmocka_unit_test(tiles_and_shapes),
        cmocka_unit_test(pieces),         cmocka_unit_test(hostile_headers),
        cmocka_unit_test(every_bit),      cmocka_unit_test(references),
        cmocka_unit_test(chain),          cmocka_unit_test(seams),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
