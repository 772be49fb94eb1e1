/* SPDX-License-Identifier: MIT
 * bytes.h -- numbers as little-endian bytes, a cursor that cannot leave its buffer, a growing
 * buffer. No struct is ever cast onto file bytes: alignment, padding and byte order stay out of the
 * format. */
#ifndef VL_BYTES_H
#define VL_BYTES_H

#include "formats/err.h"
#include <stdbool.h>
#include <stdint.h>

static inline uint16_t vl_le16(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}

static inline uint32_t vl_le24(const uint8_t *p)
{
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16;
}

static inline uint32_t vl_le32(const uint8_t *p)
{
    return vl_le24(p) | (uint32_t)p[3] << 24;
}

static inline uint64_t vl_le64(const uint8_t *p)
{
    return vl_le32(p) | (uint64_t)vl_le32(p + 4) << 32;
}

static inline void vl_put_le16(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
}

static inline void vl_put_le32(uint8_t *p, uint32_t v)
{
    vl_put_le16(p, (uint16_t)v);
    vl_put_le16(p + 2, (uint16_t)(v >> 16));
}

static inline void vl_put_le64(uint8_t *p, uint64_t v)
{
    vl_put_le32(p, (uint32_t)v);
    vl_put_le32(p + 4, (uint32_t)(v >> 32));
}

/* A read position in borrowed bytes. A read past the end gives 0 or NULL, moves nothing and sets
 * `over`, which stays set: a parser may read a whole header and ask once. */
typedef struct vl_cursor {
    const uint8_t *p;
    size_t n, at; /* bytes */
    bool over;
} vl_cursor;

vl_cursor vl_cur(const uint8_t *p, size_t n);
size_t vl_cur_left(const vl_cursor *c);
const uint8_t *vl_cur_bytes(vl_cursor *c, size_t n); /* n bytes in place, NULL past the end */
uint8_t vl_cur_u8(vl_cursor *c);
uint16_t vl_cur_u16(vl_cursor *c);
uint32_t vl_cur_u32(vl_cursor *c);
uint64_t vl_cur_u64(vl_cursor *c);

/* A growing block of bytes; {0} is an empty one, free(b->p) ends it. */
typedef struct vl_buf {
    uint8_t *p;
    size_t n, cap; /* bytes used, bytes held */
} vl_buf;

/* vl_buf_room -- makes room for n more bytes behind b->n (which stays); they are not zeroed. */
VL_MUST_USE int vl_buf_room(vl_buf *b, size_t n, vl_err *e);
/* vl_buf_add -- appends a copy. vl_buf_fmt -- appends formatted text without the final NUL. */
VL_MUST_USE int vl_buf_add(vl_buf *b, const void *p, size_t n, vl_err *e);
VL_MUST_USE int vl_buf_fmt(vl_buf *b, vl_err *e, const char *fmt, ...) VL_PRINTF(3, 4);
/* vl_buf_drop -- removes the first n bytes (n <= b->n). */
void vl_buf_drop(vl_buf *b, size_t n);

/* vl_hex -- n bytes as 2n lower-case digits and a NUL. */
void vl_hex(const uint8_t *p, size_t n, char *out);

#endif
