/* SPDX-License-Identifier: MIT */
#include "formats/bytes.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

vl_cursor vl_cur(const uint8_t *p, size_t n)
{
    return (vl_cursor){p, n, 0, false};
}

size_t vl_cur_left(const vl_cursor *c)
{
    return c->n - c->at;
}

const uint8_t *vl_cur_bytes(vl_cursor *c, size_t n)
{
    const uint8_t *p = c->p + c->at;

    if (c->over || n > c->n - c->at) {
        c->over = true;
        return NULL;
    }
    c->at += n;
    return p;
}

uint8_t vl_cur_u8(vl_cursor *c)
{
    const uint8_t *p = vl_cur_bytes(c, 1);
    return p ? *p : 0;
}

uint16_t vl_cur_u16(vl_cursor *c)
{
    const uint8_t *p = vl_cur_bytes(c, 2);
    return p ? vl_le16(p) : 0;
}

uint32_t vl_cur_u32(vl_cursor *c)
{
    const uint8_t *p = vl_cur_bytes(c, 4);
    return p ? vl_le32(p) : 0;
}

uint64_t vl_cur_u64(vl_cursor *c)
{
    const uint8_t *p = vl_cur_bytes(c, 8);
    return p ? vl_le64(p) : 0;
}

int vl_buf_room(vl_buf *b, size_t n, vl_err *e)
{
    size_t cap = b->cap ? b->cap : 256;
    uint8_t *p;

    if (b->p && n <= b->cap - b->n)
        return VL_OK;
    if (n > VL_ALLOC_MAX - b->n)
        return vl_fail(e, VL_ENOMEM, "a buffer of %zu + %zu bytes is too large", b->n, n);
    while (cap < b->n + n)
        cap += cap / 2;
    p = vl_realloc(b->p, cap, 1, e);
    if (!p)
        return VL_ENOMEM;
    b->p = p;
    b->cap = cap;
    return VL_OK;
}

int vl_buf_add(vl_buf *b, const void *p, size_t n, vl_err *e)
{
    int rc = vl_buf_room(b, n, e);

    if (rc)
        return rc;
    if (n)
        memcpy(b->p + b->n, p, n);
    b->n += n;
    return VL_OK;
}

int vl_buf_fmt(vl_buf *b, vl_err *e, const char *fmt, ...)
{
    va_list ap;
    int n, rc;

    va_start(ap, fmt);
    n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n < 0)
        return vl_fail(e, VL_EARG, "text cannot be formatted");
    rc = vl_buf_room(b, (size_t)n + 1, e); /* vsnprintf wants room for its NUL */
    if (rc)
        return rc;
    va_start(ap, fmt);
    vsnprintf((char *)b->p + b->n, (size_t)n + 1, fmt, ap);
    va_end(ap);
    b->n += (size_t)n;
    return VL_OK;
}

void vl_buf_drop(vl_buf *b, size_t n)
{
    if (n && b->n > n)
        memmove(b->p, b->p + n, b->n - n);
    b->n -= n;
}

void vl_hex(const uint8_t *p, size_t n, char *out)
{
    static const char digit[] = "0123456789abcdef";
    size_t i;

    for (i = 0; i < n; i++) {
        out[2 * i] = digit[p[i] >> 4];
        out[2 * i + 1] = digit[p[i] & 15];
    }
    out[2 * n] = 0;
}
