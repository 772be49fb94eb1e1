/* SPDX-License-Identifier: MIT
 * seektab.c -- a table has no checksum of its own, so nothing in it is believed: counts are
 * bounded, sizes must land exactly on byte 0 or on the end of another table, and the reader holds
 * every frame against its entry. */
#include "formats/seektab.h"
#include "formats/walk_back.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { FOOTER = 9, HEADER = 8, DESCRIPTOR = 0x80 };
#define FOOTER_MAGIC 0x8F92EAB1u

const uint8_t vl_term[VL_TERM_BYTES] = {
    0x28, 0xb5, 0x2f, 0xfd, 0x64, 0x00, 0x03, 0x4d, 0x00, 0x00, 0x10, 0x00, 0x00,
    0x01, 0x00, 0xfb, 0x2b, 0x80, 0x05, 0xcd, 0xac, 0x85, 0xf0, 0x5e, 0x2a, 0x4d,
    0x18, 0x15, 0x00, 0x00, 0x00, 0x17, 0x00, 0x00, 0x00, 0x00, 0x04, 0x00, 0x00,
    0xcd, 0xac, 0x85, 0xf0, 0x01, 0x00, 0x00, 0x00, 0x80, 0xb1, 0xea, 0x92, 0x8f,
};

static void put_entry(const vl_frame *f, uint8_t *p)
{
    vl_put_le32(p, f->csize);
    vl_put_le32(p + 4, f->dsize);
    vl_put_le32(p + 8, f->sum);
}

int vl_seektab_add(vl_seektab *t, const vl_frame *f, vl_err *e)
{
    uint8_t p[VL_SEEK_ENTRY];
    int rc;

    if (t->n >= VL_SEEK_FRAMES_MAX)
        return vl_fail(e, VL_EFORMAT, "more than %d frames in a segment", VL_SEEK_FRAMES_MAX);
    put_entry(f, p);
    rc = vl_buf_add(&t->b, p, sizeof p, e);
    if (!rc)
        t->n++;
    return rc;
}

vl_frame vl_seektab_get(const vl_seektab *t, uint32_t i)
{
    const uint8_t *p = t->b.p + (size_t)i * VL_SEEK_ENTRY;

    return (vl_frame){vl_le32(p), vl_le32(p + 4), vl_le32(p + 8)};
}

void vl_seektab_clear(vl_seektab *t)
{
    t->n = 0;
    t->b.n = 0;
}

int vl_seektab_build(const vl_seektab *t, vl_buf *out, vl_err *e)
{
    uint8_t head[HEADER], foot[FOOTER];
    int rc;

    vl_put_le32(head, VL_SEEK_MAGIC);
    vl_put_le32(head + 4, t->n * VL_SEEK_ENTRY + FOOTER);
    vl_put_le32(foot, t->n);
    foot[4] = DESCRIPTOR;
    vl_put_le32(foot + 5, FOOTER_MAGIC);
    rc = vl_buf_add(out, head, sizeof head, e);
    if (!rc)
        rc = vl_buf_add(out, t->b.p, t->b.n, e);
    if (!rc)
        rc = vl_buf_add(out, foot, sizeof foot, e);
    return rc;
}

/* ---- walking -------------------------------------------------------------------------------- */

/* Sum of the csizes of the n entries at `at`, read in pieces. */
static int sum_sizes(int fd, uint64_t at, uint32_t n, uint64_t *sum, vl_err *e)
{
    uint8_t piece[VL_SEEK_ENTRY * 1024];
    uint32_t i, k;
    int rc;

    for (*sum = 0; n; n -= k, at += k * VL_SEEK_ENTRY) {
        k = n < 1024 ? n : 1024;
        rc = vl_pread_all(fd, at, piece, k * VL_SEEK_ENTRY, e);
        if (rc)
            return rc;
        for (i = 0; i < k; i++)
            *sum += vl_le32(piece + i * VL_SEEK_ENTRY);
    }
    return VL_OK;
}

/* The span whose table ends at `end`. */
static int span_before(int fd, uint64_t end, void *span, uint64_t *start, vl_err *e)
{
    vl_span *s = span;
    uint8_t foot[FOOTER], head[HEADER];
    uint64_t bytes, sum;
    int rc;

    if (end < VL_SEEK_FIXED + VL_SEEK_ENTRY)
        return vl_fail(e, VL_EFORMAT, "no seek table ends at byte %" PRIu64, end);
    rc = vl_pread_all(fd, end - FOOTER, foot, FOOTER, e);
    if (rc)
        return rc;
    if (vl_le32(foot + 5) != FOOTER_MAGIC || foot[4] != DESCRIPTOR)
        return vl_fail(e, VL_EFORMAT, "no seek table ends at byte %" PRIu64, end);
    s->n = vl_le32(foot);
    if (s->n < 1 || s->n > VL_SEEK_FRAMES_MAX)
        return vl_fail(e, VL_EFORMAT, "seek table of %" PRIu32 " frames, 1 to %d allowed", s->n,
                       VL_SEEK_FRAMES_MAX);
    bytes = VL_SEEK_FIXED + (uint64_t)s->n * VL_SEEK_ENTRY;
    if (bytes > end)
        return vl_fail(e, VL_EFORMAT, "seek table is longer than the file before it");
    s->table = end - bytes;
    rc = vl_pread_all(fd, s->table, head, HEADER, e);
    if (rc)
        return rc;
    if (vl_le32(head) != VL_SEEK_MAGIC || vl_le32(head + 4) != bytes - HEADER)
        return vl_fail(e, VL_EFORMAT, "no seek table begins at byte %" PRIu64, s->table);
    rc = sum_sizes(fd, s->table + HEADER, s->n, &sum, e);
    if (rc)
        return rc;
    if (sum > s->table)
        return vl_fail(e, VL_EFORMAT, "frames of a seek table begin before the file");
    *start = s->start = s->table - sum;
    return VL_OK;
}

int vl_seektab_walk(int fd, uint64_t file_bytes, vl_span **spans, size_t *n, vl_err *e)
{
    void *all;
    int rc = vl_walk_back(fd, file_bytes, span_before, sizeof **spans, &all, n, e);

    if (!rc)
        *spans = all;
    return rc;
}

int vl_seektab_load(int fd, const vl_span *s, vl_seektab *t, vl_err *e)
{
    size_t bytes = (size_t)s->n * VL_SEEK_ENTRY;
    int rc;

    vl_seektab_clear(t);
    rc = vl_buf_room(&t->b, bytes, e);
    if (!rc)
        rc = vl_pread_all(fd, s->table + HEADER, t->b.p, bytes, e);
    if (rc)
        return rc;
    t->b.n = bytes;
    t->n = s->n;
    return VL_OK;
}
