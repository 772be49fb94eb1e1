/* SPDX-License-Identifier: MIT
 * shard_mutate.h -- mutations of a shard that get past its checksums: the decoded bytes of one frame are mutated,
 * tar headers among them get their checksum back, the frame is compressed again and the seek tables follow. */
#ifndef FUZZ_SHARD_MUTATE_H
#define FUZZ_SHARD_MUTATE_H

#include "formats/frame.h"
#include "formats/seektab.h"
#include "tests/fuzz/tar_fix.h"

#include <zstd.h>

enum { MUTATE_RAW = 1 << 20 }; /* bytes of a frame's content that are mutated */

/* A frame of raw[n], appended; its table's entry to *f. */
static inline void mutate_pack(const uint8_t *raw, size_t n, vl_buf *out, vl_frame *f)
{
    ZSTD_CCtx *c = ZSTD_createCCtx();
    size_t k;
    vl_err e;

    HOLDS(c && !vl_buf_room(out, ZSTD_compressBound(n), &e));
    ZSTD_CCtx_setParameter(c, ZSTD_c_checksumFlag, 1);
    k = ZSTD_compress2(c, out->p + out->n, out->cap - out->n, raw, n);
    HOLDS(!ZSTD_isError(k));
    out->n += k;
    *f = (vl_frame){(uint32_t)k, (uint32_t)n, vl_le32(out->p + out->n - 4)};
    ZSTD_freeCCtx(c);
}

/* One frame of p[n], mutated when it is the chosen one, appended. False when it does not decode. */
static inline bool mutate_frame(const uint8_t *p, size_t n, bool chosen, vl_buf *out, vl_frame *f)
{
    unsigned long long size = ZSTD_getFrameContentSize(p, n);
    uint8_t *raw;
    size_t k;
    vl_err e;

    if (size > MUTATE_RAW || !size || n < 5)
        return false;
    if (!chosen) {
        HOLDS(!vl_buf_add(out, p, n, &e));
        *f = (vl_frame){(uint32_t)n, (uint32_t)size, vl_le32(p + n - 4)};
        return true;
    }
    raw = malloc(MUTATE_RAW);
    HOLDS(raw);
    k = ZSTD_decompress(raw, MUTATE_RAW, p, n);
    if (!ZSTD_isError(k) && k) {
        k = LLVMFuzzerMutate(raw, k, k + 1024);
        tar_fix(raw, k);
    }
    if (!ZSTD_isError(k) && k)
        mutate_pack(raw, k, out, f);
    free(raw);
    return !ZSTD_isError(k) && k;
}

/* The whole stream again with frame number `chosen` mutated; false where it is not a shard to begin with. */
static inline bool mutate_stream(const uint8_t *data, size_t n, unsigned chosen, vl_buf *out)
{
    vl_seektab t = {0};
    unsigned number = 0;
    bool good = true;
    vl_err e;

    for (size_t at = 0, k; good && at < n; at += k) {
        uint32_t magic = n - at < 8 ? 0 : vl_le32(data + at);
        vl_frame f;

        k = magic == VL_FRAME_MAGIC || (magic & 0xFFFFFFF0) == 0x184D2A50
                ? ZSTD_findFrameCompressedSize(data + at, n - at)
                : 0;
        if (!k || ZSTD_isError(k)) {
            good = false;
        } else if (magic == VL_SEEK_MAGIC) {
            HOLDS(!vl_seektab_build(&t, out, &e));
            vl_seektab_clear(&t);
        } else if (magic == VL_FRAME_MAGIC) {
            good = mutate_frame(data + at, k, number++ == chosen, out, &f);
            if (good)
                HOLDS(!vl_seektab_add(&t, &f, &e));
        } else {
            f = (vl_frame){(uint32_t)k, 0, 0x51D8E999};
            HOLDS(!vl_buf_add(out, data + at, k, &e) && !vl_seektab_add(&t, &f, &e));
        }
    }
    free(t.b.p);
    return good && number > 0;
}

static inline unsigned mutate_count(const uint8_t *data, size_t n)
{
    unsigned frames = 0;

    for (size_t at = 0, k; n - at >= 8; at += k) {
        k = ZSTD_findFrameCompressedSize(data + at, n - at);
        if (ZSTD_isError(k) || !k)
            break;
        frames += vl_le32(data + at) == VL_FRAME_MAGIC;
    }
    return frames;
}

/* The mutator of every target that reads shards. A quarter of the mutations are of the bytes as they lie. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t n, size_t max, unsigned seed)
{
    unsigned frames = seed % 4 ? mutate_count(data, n) : 0;
    vl_buf out = {0};

    if (frames && mutate_stream(data, n, seed / 4 % frames, &out) && out.n <= max) {
        memcpy(data, out.p, out.n);
        n = out.n;
    } else {
        n = LLVMFuzzerMutate(data, n, max);
        if (seed % 8)
            tar_fix(data, n); /* the plain carrier */
    }
    free(out.p);
    return n;
}

#endif
