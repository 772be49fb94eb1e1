/* SPDX-License-Identifier: MIT
 * plain_walk.c -- a plain shard walked backward, one segment at a time.
 *
 *   ... | manifest | DATA | sums | tail |            sizes: only headers say them, and these come first
 *
 * The header of a metadata member is found by stepping back over its content in blocks of 512. The content is
 * JSON or lines of text without a zero byte, a header has zero bytes, so content cannot pass for the header;
 * the header's size must land exactly on the known end. The tail says how long DATA is. As with seek tables,
 * nothing here is believed about more than where to look. */
#include "formats/manifest.h"
#include "formats/names.h"
#include "formats/plain.h"
#include "formats/seektab.h"
#include "formats/tail.h"
#include "formats/tarhead.h"
#include "formats/walk_back.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

enum { WINDOW = 1 << 16 };
#define JSON_SPAN_MAX ((uint64_t)VLS_JSON_MAX + 2 * VL_TAR_BLOCK) /* header, content, padding */

/* 1: the member `prefix`... of which the header is at p ends at `end`; 0: no such header. */
static int is_head(const uint8_t *p, uint64_t at, uint64_t end, const char *prefix)
{
    char name[VL_TAR_NAME_MAX + 1];
    uint64_t size;
    size_t used;

    return !memcmp(p, prefix, strlen(prefix)) && !vl_tar_parse(p, VL_TAR_BLOCK, name, &size, &used, NULL) &&
           used == VL_TAR_BLOCK && at + used + size + vl_tar_padding(size) == end;
}

/* The header of the member that ends at `end`, at `lo` or behind it. */
static int find_back(int fd, uint64_t lo, uint64_t end, const char *prefix, uint64_t *at, vl_err *e)
{
    uint8_t win[WINDOW];
    uint64_t win_at = end, i;
    size_t n;
    int rc;

    while (win_at > lo) {
        n = win_at - lo < WINDOW ? (size_t)(win_at - lo) : WINDOW;
        rc = vl_pread_all(fd, win_at - n, win, n, e);
        if (rc)
            return rc;
        win_at -= n;
        for (i = n; i; i -= VL_TAR_BLOCK) {
            const uint8_t *p = win + i - VL_TAR_BLOCK;
            *at = win_at + i - VL_TAR_BLOCK;
            if (is_head(p, *at, end, prefix))
                return VL_OK;
            if (*at + VL_TAR_BLOCK < end && memchr(p, 0, VL_TAR_BLOCK))
                goto none; /* neither the content's end nor text */
        }
    }
none:
    return vl_fail(e, VL_EFORMAT, "no member '%s...' ends at byte %" PRIu64, prefix, end);
}

static uint64_t not_before(uint64_t end, uint64_t bytes)
{
    return end > bytes ? end - bytes : 0;
}

/* What the tail between `at` and `end` says of the length of DATA. */
static int data_bytes(int fd, uint64_t at, uint64_t end, uint64_t *bytes, vl_err *e)
{
    uint8_t *p = vl_alloc(1, (size_t)(end - at), e);
    char name[VL_TAR_NAME_MAX + 1];
    json_t *j = NULL;
    const json_t *n;
    uint64_t size;
    size_t used;
    int rc = p ? vl_pread_all(fd, at, p, (size_t)(end - at), e) : VL_ENOMEM;

    if (!rc)
        rc = vl_tar_parse(p, VL_TAR_BLOCK, name, &size, &used, e);
    if (!rc)
        rc = vls_json_load(p + used, (size_t)size, &j, e);
    if (rc)
        goto out;
    n = json_object_get(j, "bytes");
    if (!json_is_integer(n) || json_integer_value(n) < 0 || json_integer_value(n) % VL_TAR_BLOCK)
        rc = vl_fail(e, VL_EFORMAT, "tail has no count of bytes");
    else
        *bytes = (uint64_t)json_integer_value(n);
out:
    json_decref(j);
    free(p);
    return rc;
}

static int segment_before(int fd, uint64_t end, vls_plain_span *s, vl_err *e)
{
    uint64_t tail, bytes = 0;
    int rc = find_back(fd, not_before(end, JSON_SPAN_MAX), end, VLS_META ".tail.", &tail, e);

    *s = (vls_plain_span){.end = end};
    if (!rc)
        rc = data_bytes(fd, tail, end, &bytes, e);
    if (!rc)
        rc = find_back(fd, 0, tail, VLS_META ".sums.", &s->sums, e);
    if (!rc && bytes > s->sums)
        rc = vl_fail(e, VL_EFORMAT, "the tail says more bytes than the file has");
    if (rc)
        return rc;
    s->data = s->sums - bytes;
    return find_back(fd, not_before(s->data, JSON_SPAN_MAX), s->data, VLS_META ".manifest.", &s->start, e);
}

static int span_before(int fd, uint64_t end, void *span, uint64_t *start, vl_err *e)
{
    vls_plain_span *s = span;
    uint8_t last[VL_TERM_CONTENT];
    size_t i;
    int rc;

    if (end % VL_TAR_BLOCK || end < sizeof last)
        return vl_fail(e, VL_EFORMAT, "no tail ends at byte %" PRIu64, end);
    rc = vl_pread_all(fd, end - sizeof last, last, sizeof last, e);
    if (rc)
        return rc;
    for (i = 0; i < sizeof last && !last[i];)
        i++;
    if (i < sizeof last)
        rc = segment_before(fd, end, s, e);
    else
        *s = (vls_plain_span){end - sizeof last, end, end, end, true};
    *start = s->start;
    return rc;
}

int vls_plain_walk(int fd, uint64_t file_bytes, vls_plain_span **spans, size_t *n, vl_err *e)
{
    void *all;
    int rc = vl_walk_back(fd, file_bytes, span_before, sizeof **spans, &all, n, e);

    if (!rc)
        *spans = all;
    return rc;
}

/* ---- sums ----------------------------------------------------------------------------------- */

static int add_line(const uint8_t *p, size_t n, vl_buf *out, vl_err *e)
{
    uint64_t h = XXH64(p, n, 0);

    if (vls_line_names_tail(p, n))
        return VL_OK;
    if (out->n >= VLS_MEMBERS_MAX * sizeof h)
        return vl_fail(e, VL_EFORMAT, "sums: more than %" PRIu64 " members", (uint64_t)VLS_MEMBERS_MAX);
    return vl_buf_add(out, &h, sizeof h, e);
}

/* The whole lines of text[n]; *used: bytes of them. */
static int add_lines(const uint8_t *text, size_t n, size_t *used, vl_buf *out, vl_err *e)
{
    const uint8_t *p = text, *nl;
    int rc = VL_OK;

    for (; !rc && (nl = memchr(p, '\n', n - (size_t)(p - text))); p = nl + 1)
        rc = add_line(p, (size_t)(nl - p), out, e);
    *used = (size_t)(p - text);
    return rc;
}

int vls_plain_lines(int fd, const vls_plain_span *s, vl_buf *out, vl_err *e)
{
    uint8_t win[WINDOW];
    char name[VL_TAR_NAME_MAX + 1];
    uint64_t at = s->sums + VL_TAR_BLOCK, left;
    size_t have = 0, used, k;
    int rc = vl_pread_all(fd, s->sums, win, VL_TAR_BLOCK, e);

    out->n = 0;
    if (!rc)
        rc = vl_tar_parse(win, VL_TAR_BLOCK, name, &left, &used, e);
    while (!rc && left) {
        k = WINDOW - have < left ? WINDOW - have : (size_t)left;
        rc = vl_pread_all(fd, at, win + have, k, e);
        if (rc)
            return rc;
        at += k;
        left -= k;
        have += k;
        rc = add_lines(win, have, &used, out, e);
        if (!rc && !used)
            rc = vl_fail(e, VL_EFORMAT, "sums: a line of over %d bytes", WINDOW);
        have -= used;
        memmove(win, win + used, have);
    }
    if (!rc && have)
        rc = vl_fail(e, VL_EFORMAT, "sums: the last line does not end");
    return rc;
}
