/* SPDX-License-Identifier: MIT
 * text_hash.c -- caption to hashed n-grams; the header states the recipe in full. */
#include "pipeline/text_hash.h"
#include "pipeline/text_utf8.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <utf8proc.h>
#include <xxhash.h>

enum { WORD = 1, PAIR = 2, GRAM = 3 }; /* seeds */

typedef struct row {
    int64_t *sum; /* [dim] */
    size_t dim;
} row;

static void add(row *r, int kind, const void *feature, size_t n)
{
    static const int weight[4] = {[WORD] = 3, [PAIR] = 2, [GRAM] = 1};
    uint64_t h = XXH64(feature, n, (uint64_t)kind);

    r->sum[(h >> 1) % r->dim] += h & 1 ? -weight[kind] : weight[kind];
}

static bool in_word(utf8proc_int32_t c)
{
    switch (utf8proc_category(c)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_NO:
    case UTF8PROC_CATEGORY_SO:
    case UTF8PROC_CATEGORY_CN: /* newer than the library: most often an emoji */
        return true;
    default:
        return false;
    }
}

/* The 3- and 4-grams of marked, "^word$" in n bytes: a gram begins at each byte that begins a
 * character. Neither marker can occur in a word, both are modifier or currency signs. */
static void add_grams(row *r, const char *marked, size_t n)
{
    for (size_t at = 0; at < n; at++) {
        size_t end = at;
        if (((unsigned char)marked[at] & 0xc0) == 0x80)
            continue;
        for (int chars = 1; chars <= 4 && end < n; chars++) {
            do
                end++;
            while (end < n && ((unsigned char)marked[end] & 0xc0) == 0x80);
            if (chars >= 3)
                add(r, GRAM, marked + at, end - at);
        }
    }
}

/* The next word of text from *at on: gives its start and length, 0 at the end; *at moves behind it. */
static size_t next_word(const char *text, size_t n, size_t *at, size_t *start)
{
    size_t length = 0;

    while (*at < n) {
        utf8proc_int32_t c;
        size_t step =
            (size_t)utf8proc_iterate((const utf8proc_uint8_t *)text + *at, (utf8proc_ssize_t)(n - *at), &c);
        bool inside = in_word(c);
        if (!inside && length)
            break;
        if (inside && !length)
            *start = *at;
        length += inside ? step : 0;
        *at += step;
    }
    return length;
}

/* text: n bytes, folded and normalised; scratch: 2 n + 3 bytes. The words are gathered in scratch,
 * one space between them, so that a pair of neighbours is one run of bytes. */
static void add_all(row *r, const char *text, size_t n, char *scratch)
{
    char *words = scratch, *marked = scratch + n + 1;
    size_t at = 0, start = 0, length, used = 0, before = 0, here;

    for (bool first = true; (length = next_word(text, n, &at, &start)) > 0; first = false) {
        here = used;
        if (!first)
            words[here++] = ' ';
        memcpy(words + here, text + start, length);
        used = here + length;
        add(r, WORD, words + here, length);
        if (!first)
            add(r, PAIR, words + before, used - before);
        before = here;
        marked[0] = '^';
        memcpy(marked + 1, text + start, length);
        marked[length + 1] = '$';
        add_grams(r, marked, length + 2);
    }
}

/* Gives text (free()). The caption is known to be UTF-8, so what is left to fail is memory. */
static int fold(const char *caption, size_t n, char **text, size_t *text_n, vl_err *e)
{
    utf8proc_uint8_t *out = NULL;
    utf8proc_ssize_t got = utf8proc_map((const utf8proc_uint8_t *)caption, (utf8proc_ssize_t)n, &out,
                                        UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_COMPAT |
                                            UTF8PROC_CASEFOLD | UTF8PROC_IGNORE);

    if (got < 0)
        return vl_fail(e, got == UTF8PROC_ERROR_NOMEM ? VL_ENOMEM : VL_EFORMAT, "caption: %s",
                       utf8proc_errmsg(got));
    *text = (char *)out;
    *text_n = (size_t)got;
    return VL_OK;
}

/* The squares are integers and their sum is exact up to 2^53: no order of addition shows. */
static void scale(const row *r, float *out)
{
    double square = 0;

    for (size_t i = 0; i < r->dim; i++)
        square += (double)r->sum[i] * (double)r->sum[i];
    double norm = square > 0 ? sqrt(square) : 1;
    for (size_t i = 0; i < r->dim; i++)
        out[i] = (float)((double)r->sum[i] / norm);
}

int vl_text_hash(const char *caption, size_t n, size_t dim, float *out, vl_err *e)
{
    row r = {.dim = dim};
    char *text = NULL, *scratch = NULL;
    size_t text_n = 0, bad;
    int rc = VL_ENOMEM;

    if (!dim)
        return vl_fail(e, VL_EARG, "text features of 0 dimensions");
    if (!vl_utf8_valid(caption, n, &bad))
        return vl_fail(e, VL_EFORMAT, "caption is not UTF-8 (byte %zu)", bad);
    if ((rc = fold(caption, n, &text, &text_n, e)))
        goto out;
    rc = VL_ENOMEM;
    if (!(scratch = vl_alloc(text_n + 2, 2, e)) || !(r.sum = vl_alloc(dim, sizeof *r.sum, e)))
        goto out;
    add_all(&r, text, text_n, scratch);
    scale(&r, out);
    rc = VL_OK;
out:
    free(r.sum);
    free(scratch);
    free(text);
    return rc;
}
