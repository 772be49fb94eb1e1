/* SPDX-License-Identifier: MIT
 * frame.h -- the only zstd frames that a shard holds: content size present, content checksum on, no
 * dictionary, window <= 8 MiB, 1 byte to 8 MiB of content. Source: RFC 8878.
 * Every limit is checked on the frame's header before anything is allocated for its content. */
#ifndef VL_FRAME_H
#define VL_FRAME_H

#include "formats/bytes.h"
#include "formats/source.h"

enum {
    VL_FRAME_RAW_MAX = 8 << 20,                /* content of one frame, bytes */
    VL_FRAME_COMP_MAX = (8 << 20) + (64 << 10) /* one frame in the file, bytes; ZSTD_COMPRESSBOUND fits */
};
/* As a level: level 1 for numbers in byte planes (.vlt). Planes hold skewed bytes but hardly a repetition, so
 * zstd looks for fewer of these and codes literals all the same: up to 1.6 times as fast, ratios within 0.5 %. */
enum { VL_LEVEL_PLANES = 20 };

/* For bytes that are compressed already (JPEG): zstd's own level -1, which looks for repeats, such as those of tar
 * headers, and leaves the rest alone. The pictures of tests/bench/b_shard.c, as tar, 234 MB: 0.07 s where level 1
 * takes 0.31, for 0.07 % more bytes. JPEGs of patterns hold repeats; there it saves less. */
enum { VL_LEVEL_PACKED = -1 };
#define VL_FRAME_MAGIC 0xFD2FB528u /* zstd frame, as little-endian u32 */
#define VL_SEEK_MAGIC  0x184D2A5Eu /* skippable frame: zstd seekable table */
#define VL_VLIX_MAGIC  0x184D2A5Du /* skippable frame: record index */
#define VL_EMPTY_SUM   0x51D8E999u /* low 32 bits of XXH64 of nothing: a VLIX in the seek table */

/* What a seek table says of a frame, in its order. */
typedef struct vl_frame {
    uint32_t csize; /* bytes in the file */
    uint32_t dsize; /* bytes of content */
    uint32_t sum;   /* low 32 bits of XXH64(content, seed 0) = the frame's last 4 bytes */
} vl_frame;

/* vl_frame_step -- walks a frame of which the first `have` bytes are at p.
 * Sets *need: more than `have` = read up to that many bytes (of the frame) and call again; equal to
 * `have` = the frame is complete and *f is set. Start with *w = {0}; p may move between calls.
 * Errors: VL_EFORMAT, without the position. */
typedef struct vl_frame_walk {
    size_t at; /* what lies before is checked */
    bool head, last;
    uint32_t dsize;
} vl_frame_walk;
VL_MUST_USE int vl_frame_step(vl_frame_walk *w, const uint8_t *p, size_t have, size_t *need, vl_frame *f,
                              vl_err *e);

/* vl_frame_pull -- the next frame of a stream into comp (replaced), walked as above.
 * *more = 0 when the input ended before the frame was whole (comp->n bytes of it were there). */
VL_MUST_USE int vl_frame_pull(vl_source *s, vl_buf *comp, vl_frame *f, int *more, vl_err *e);

/* Compression and decompression state; _free(NULL) is harmless. */
typedef struct vl_codec vl_codec;
VL_MUST_USE int vl_codec_new(vl_codec **out, vl_err *e);
void vl_codec_free(vl_codec *c);

/* vl_frame_encode -- raw[n], 1 <= n <= VL_FRAME_RAW_MAX, to one frame. *comp is the codec's, valid
 * until its next call. level: 1 to 19, VL_LEVEL_PLANES or VL_LEVEL_PACKED. Equal bytes for equal input, level and zstd version. */
VL_MUST_USE int vl_frame_encode(vl_codec *c, const uint8_t *raw, size_t n, int level, const uint8_t **comp,
                                vl_frame *f, vl_err *e);

/* vl_frame_encode_seams -- the same, with zstd blocks that end at raw[seam[i]] too (ascending, inside raw): where
 * the kind of bytes changes, one table of codes for both sides would serve neither. */
VL_MUST_USE int vl_frame_encode_seams(vl_codec *c, const uint8_t *raw, size_t n, int level,
                                      const uint32_t *seam, size_t n_seams, const uint8_t **comp, vl_frame *f,
                                      vl_err *e);

/* vl_frame_decode -- comp[f->csize] to raw[f->dsize]; the content checksum is verified. */
VL_MUST_USE int vl_frame_decode(vl_codec *c, const uint8_t *comp, const vl_frame *f, uint8_t *raw, vl_err *e);

#endif
