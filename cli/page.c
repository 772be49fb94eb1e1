/* SPDX-License-Identifier: MIT */
#include "cli/page.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

static bool grow(cli_page *p, size_t more)
{
    size_t room = p->room ? p->room : 4096;
    char *text;

    if (p->failed)
        return false;
    while (room - p->n <= more && room < VL_ALLOC_MAX)
        room *= 2;
    if (room == p->room)
        return true;
    text = vl_realloc(p->text, room, 1, NULL);
    if (!text || room - p->n <= more) {
        p->failed = true;
        return false;
    }
    p->text = text;
    p->room = room;
    return true;
}

void cli_page_bytes(cli_page *p, const char *s, size_t n)
{
    if (!grow(p, n))
        return;
    memcpy(p->text + p->n, s, n);
    p->n += n;
    p->text[p->n] = 0;
}

void cli_page_raw(cli_page *p, const char *s)
{
    cli_page_bytes(p, s, strlen(s));
}

void cli_page_fmt(cli_page *p, const char *fmt, ...)
{
    char text[1024];
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (n < 0 || (size_t)n >= sizeof text)
        p->failed = true; /* markup of ours is short: anything else is a mistake to notice */
    else
        cli_page_bytes(p, text, (size_t)n);
}

/* One code point of s (n bytes left) to the page; returns how many bytes it was. */
static size_t one_char(cli_page *p, const char *s, size_t n)
{
    utf8proc_int32_t c;
    utf8proc_ssize_t used = utf8proc_iterate((const utf8proc_uint8_t *)s, (utf8proc_ssize_t)n, &c);

    if (used <= 0) {
        cli_page_raw(p, "\xEF\xBF\xBD");
        return 1;
    }
    if (c < 0x20 || (c >= 0x7f && c < 0xa0))
        cli_page_raw(p, " ");
    else if ((c & 0xFFFE) == 0xFFFE || (c >= 0xFDD0 && c <= 0xFDEF)) /* no characters */
        cli_page_raw(p, "\xEF\xBF\xBD");
    else if (c == '<')
        cli_page_raw(p, "&lt;");
    else if (c == '>')
        cli_page_raw(p, "&gt;");
    else if (c == '&')
        cli_page_raw(p, "&amp;");
    else if (c == '"')
        cli_page_raw(p, "&quot;");
    else if (c == '\'')
        cli_page_raw(p, "&#39;");
    else
        cli_page_bytes(p, s, (size_t)used);
    return (size_t)used;
}

void cli_page_text(cli_page *p, const char *s)
{
    size_t n = s ? strlen(s) : 0;

    while (n) {
        size_t used = one_char(p, s, n);
        s += used;
        n -= used;
    }
}

void cli_page_base64(cli_page *p, const uint8_t *b, size_t n)
{
    static const char digit[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    for (size_t i = 0; i < n; i += 3) {
        size_t have = n - i < 3 ? n - i : 3;
        uint32_t v = (uint32_t)b[i] << 16;
        char four[4];

        if (have > 1)
            v |= (uint32_t)b[i + 1] << 8;
        if (have > 2)
            v |= b[i + 2];
        for (size_t k = 0; k < 4; k++)
            four[k] = k <= have ? digit[v >> (18 - 6 * k) & 63] : '=';
        cli_page_bytes(p, four, 4);
    }
}
