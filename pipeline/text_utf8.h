/* SPDX-License-Identifier: MIT
 * text_utf8.h -- what text must be before anything believes it. */
#ifndef VL_TEXT_UTF8_H
#define VL_TEXT_UTF8_H

#include "formats/err.h"
#include <stdbool.h>

enum { VL_CAPTION_MAX = 65536 }; /* bytes in one caption */

/* vl_utf8_valid -- whether s[n] is UTF-8 throughout (RFC 3629: shortest form, no surrogates, at
 * most U+10FFFF). Where it is not, *bad is the byte at which the first faulty character begins. */
bool vl_utf8_valid(const char *s, size_t n, size_t *bad);

/* vl_caption_check -- UTF-8, one line without control characters (U+0000 to U+001F, U+007F to
 * U+009F, line and paragraph separators), not blank, at most VL_CAPTION_MAX bytes. Errors:
 * VL_EFORMAT, a text that goes on from "caption 0 ": "is not UTF-8 (byte 17)". */
VL_MUST_USE int vl_caption_check(const char *s, size_t n, vl_err *e);

#endif
