/* SPDX-License-Identifier: MIT
 * text_utf8.c -- validity of captions; libutf8proc decodes and knows the categories. */
#include "pipeline/text_utf8.h"

#include <stdint.h>

#include <utf8proc.h>

bool vl_utf8_valid(const char *s, size_t n, size_t *bad)
{
    size_t at = 0;

    while (at < n) {
        utf8proc_int32_t c;
        utf8proc_ssize_t step =
            utf8proc_iterate((const utf8proc_uint8_t *)s + at, (utf8proc_ssize_t)(n - at), &c);
        if (step <= 0) {
            *bad = at;
            return false;
        }
        at += (size_t)step;
    }
    return true;
}

int vl_caption_check(const char *s, size_t n, vl_err *e)
{
    size_t bad, blank = 0, chars = 0;

    if (!n)
        return vl_fail(e, VL_EFORMAT, "is empty");
    if (n > VL_CAPTION_MAX)
        return vl_fail(e, VL_EFORMAT, "has %zu bytes, at most %d allowed", n, VL_CAPTION_MAX);
    if (!vl_utf8_valid(s, n, &bad))
        return vl_fail(e, VL_EFORMAT, "is not UTF-8 (byte %zu)", bad);
    for (size_t at = 0; at < n; chars++) {
        utf8proc_int32_t c;
        utf8proc_ssize_t step =
            utf8proc_iterate((const utf8proc_uint8_t *)s + at, (utf8proc_ssize_t)(n - at), &c);
        utf8proc_category_t kind = utf8proc_category(c);
        if (kind == UTF8PROC_CATEGORY_CC || kind == UTF8PROC_CATEGORY_ZL || kind == UTF8PROC_CATEGORY_ZP)
            return vl_fail(e, VL_EFORMAT, "holds the control character U+%04X (byte %zu)", (unsigned)c, at);
        blank += kind == UTF8PROC_CATEGORY_ZS;
        at += (size_t)step;
    }
    if (blank == chars)
        return vl_fail(e, VL_EFORMAT, "is blank");
    return VL_OK;
}
