/* SPDX-License-Identifier: MIT */
#include "formats/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void vl_clean(char *s)
{
    for (; *s; s++)
        if ((unsigned char)*s < 0x20 || *s == 0x7f)
            *s = '?';
        else if ((unsigned char)*s == 0xc2 && ((unsigned char)s[1] & 0xe0) == 0x80)
            s[0] = s[1] = '?'; /* U+0080 to U+009F: CSI and its kin */
}

void vl_cut(char *text, size_t size)
{
    size_t at = size - 4;

    while (at > size - 8 && ((unsigned char)text[at] & 0xc0) == 0x80)
        at--; /* inside a character of UTF-8 */
    memcpy(text + at, "...", 4);
}

static void put(vl_err *e, int code, const char *fmt, va_list ap)
{
    int n = vsnprintf(e->text, sizeof e->text, fmt, ap);

    e->code = code;
    if (n < 0)
        e->text[0] = 0;
    else if ((size_t)n >= sizeof e->text)
        vl_cut(e->text, sizeof e->text);
    vl_clean(e->text);
}

int vl_fail(vl_err *e, int code, const char *fmt, ...)
{
    va_list ap;

    if (!e)
        return code;
    va_start(ap, fmt);
    put(e, code, fmt, ap);
    va_end(ap);
    return code;
}

int vl_fail_errno(vl_err *e, const char *fmt, ...)
{
    int saved = errno;
    char head[VL_ERR_TEXT];
    va_list ap;

    va_start(ap, fmt);
    if (vsnprintf(head, sizeof head, fmt, ap) < 0)
        head[0] = 0;
    va_end(ap);
    return vl_fail(e, VL_EIO, "%s: %s", head, strerror(saved));
}

int vl_within(vl_err *e, const char *fmt, ...)
{
    char old[VL_ERR_TEXT], head[VL_ERR_TEXT];
    va_list ap;

    if (!e)
        return VL_EARG;
    memcpy(old, e->text, sizeof old);
    va_start(ap, fmt);
    if (vsnprintf(head, sizeof head, fmt, ap) < 0)
        head[0] = 0;
    va_end(ap);
    return vl_fail(e, e->code, "%s: %s", head, old);
}

static int sizes_ok(size_t n, size_t size, vl_err *e)
{
    if (size && n > VL_ALLOC_MAX / size) {
        vl_fail(e, VL_ENOMEM, "%zu x %zu bytes is more than %zu allowed", n, size, VL_ALLOC_MAX);
        return 0;
    }
    return 1;
}

void *vl_alloc(size_t n, size_t size, vl_err *e)
{
    void *p;

    if (!sizes_ok(n, size, e))
        return NULL;
    p = calloc(n ? n : 1, size ? size : 1);
    if (!p)
        vl_fail(e, VL_ENOMEM, "out of memory: %zu x %zu bytes", n, size);
    return p;
}

void *vl_realloc(void *p, size_t n, size_t size, vl_err *e)
{
    void *q;

    if (!sizes_ok(n, size, e))
        return NULL;
    q = realloc(p, n && size ? n * size : 1);
    if (!q)
        vl_fail(e, VL_ENOMEM, "out of memory: %zu x %zu bytes", n, size);
    return q;
}

char *vl_strdup(const char *s, vl_err *e)
{
    size_t n = strlen(s) + 1;
    char *p = vl_alloc(n, 1, e);

    if (p)
        memcpy(p, s, n);
    return p;
}
