/* SPDX-License-Identifier: MIT
 * vlt.c -- header and tiles of a .vlt file.
 *
 * A tile is 2^18 words: their byte planes lie behind each other, then comes the next tile. Inside, work goes
 * by blocks that stay in the first-level cache: difference into a small buffer, from there into the planes. */
#include "formats/vlt.h"
#include "formats/names.h"
#include "formats/vlt_filter.h"

#include <inttypes.h>
#include <string.h>
#include <xxhash.h>

enum { BLOCK = 8192 }; /* bytes; a multiple of 32 words of 8 */

bool vl_vlt_is(const char *ext)
{
    size_t n = strlen(ext);

    return n > 4 && !strcmp(ext + n - 4, ".vlt");
}

uint64_t vl_vlt_sum(const void *raw, size_t n)
{
    return XXH64(n ? raw : "", n, 0);
}

size_t vl_vlt_bytes(const vl_vlt *t)
{
    return (size_t)t->a.n * vl_dtype_size(t->a.dtype);
}

/* ---- filters ---------------------------------------------------------------------------------- */

/* Words [at, at + n) of a tile of m, which begins at out; raw and ref point at word `at`. */
static void filter_block(vl_vlt_filter f, size_t w, const uint8_t *raw, const uint8_t *ref, size_t n,
                         size_t m, uint8_t *out)
{
    uint8_t diff[BLOCK];

    if (f == VL_VLT_XOR)
        vl_xor(raw, ref, n * w, diff);
    else if (f == VL_VLT_SUB)
        vl_sub(raw, ref, n, w, diff);
    vl_shuffle(f == VL_VLT_SHUFFLE ? raw : diff, n, w, m, out);
}

static void unfilter_block(vl_vlt_filter f, size_t w, const uint8_t *in, const uint8_t *ref, size_t n,
                           size_t m, uint8_t *raw)
{
    uint8_t diff[BLOCK];

    vl_unshuffle(in, n, w, m, f == VL_VLT_SHUFFLE ? raw : diff);
    if (f == VL_VLT_XOR)
        vl_xor(diff, ref, n * w, raw);
    else if (f == VL_VLT_SUB)
        vl_add(diff, ref, n, w, raw);
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

void vl_vlt_filter_bytes(vl_vlt_filter f, size_t w, const uint8_t *raw, const uint8_t *ref, size_t n,
                         uint8_t *out)
{
    size_t words = n / w, tile = (size_t)1 << VL_VLT_TILE_LOG, block = BLOCK / w, t, m, i;

    if (f == VL_VLT_NONE) {
        if (n)
            memcpy(out, raw, n);
        return;
    }
    for (t = 0; t < words; t += m) {
        m = smaller(words - t, tile);
        for (i = 0; i < m; i += block)
            filter_block(f, w, raw + (t + i) * w, ref ? ref + (t + i) * w : NULL, smaller(m - i, block), m,
                         out + t * w + i);
    }
}

void vl_vlt_unfilter(vl_vlt_filter f, size_t w, const uint8_t *in, const uint8_t *ref, size_t n, uint8_t *raw)
{
    size_t words = n / w, tile = (size_t)1 << VL_VLT_TILE_LOG, block = BLOCK / w, t, m, i;

    if (f == VL_VLT_NONE) {
        if (n)
            memcpy(raw, in, n);
        return;
    }
    for (t = 0; t < words; t += m) {
        m = smaller(words - t, tile);
        for (i = 0; i < m; i += block)
            unfilter_block(f, w, in + t * w + i, ref ? ref + (t + i) * w : NULL, smaller(m - i, block), m,
                           raw + (t + i) * w);
    }
}

size_t vl_vlt_piece(const vl_vlt *t, size_t n, size_t at)
{
    size_t w = vl_dtype_word(t->a.dtype), tile = w << VL_VLT_TILE_LOG, head = n - vl_vlt_bytes(t), plane;

    if (at < head) /* nothing to tell apart in what is small or not in planes */
        return w == 1 || t->filter == VL_VLT_NONE || (n - head) / w < VL_VLT_PIECE_MIN ? n : head;
    plane = smaller(n - head - (at - head) / tile * tile, tile) / w;
    return plane < VL_VLT_PIECE_MIN ? n - at : plane;
}

/* ---- header ------------------------------------------------------------------------------------ */

static bool differential(vl_vlt_filter f)
{
    return f == VL_VLT_XOR || f == VL_VLT_SUB;
}

static size_t head_bytes(int rank, size_t ref_n)
{
    return (VL_VLT_FIXED + 8 * (size_t)rank + ref_n + VL_VLT_ALIGN - 1) / VL_VLT_ALIGN * VL_VLT_ALIGN;
}

/* A name that a member could have. */
static int check_name(const uint8_t *name, size_t n, char *out, vl_err *e)
{
    size_t key_n;

    if (!n || n > VL_VLT_REF_MAX || memchr(name, 0, n))
        return vl_fail(e, VL_EFORMAT, "vlt: the reference's name has %zu bytes, 1 to %d wanted", n,
                       VL_VLT_REF_MAX);
    memcpy(out, name, n);
    out[n] = 0;
    return vls_name_split(out, &key_n, e) ? vl_within(e, "vlt: reference") : VL_OK;
}

static int parse_reference(vl_cursor *c, size_t ref_n, vl_vlt *t, vl_err *e)
{
    const uint8_t *name = vl_cur_bytes(c, ref_n);

    if (!differential(t->filter))
        return ref_n || t->ref_sum ? vl_fail(e, VL_EFORMAT, "vlt: filter %d has no reference", t->filter)
                                   : VL_OK;
    return name ? check_name(name, ref_n, t->ref, e) : vl_fail(e, VL_EFORMAT, "vlt: its header is cut");
}

static int parse_shape(vl_cursor *c, vl_npy *a, vl_err *e)
{
    for (int i = 0; i < a->rank; i++)
        a->shape[i] = vl_cur_u64(c);
    return vl_npy_count(a, e) ? vl_fail(e, VL_EFORMAT, "vlt: shape has more elements than memory") : VL_OK;
}

static int parse_fixed(vl_cursor *c, vl_vlt *t, size_t *ref_n, vl_err *e)
{
    const uint8_t *magic = vl_cur_bytes(c, 4), *zeros;
    unsigned dtype = vl_cur_u8(c), filter = vl_cur_u8(c), rank = vl_cur_u8(c), tile = vl_cur_u8(c);

    t->sum = vl_cur_u64(c);
    t->ref_sum = vl_cur_u64(c);
    *ref_n = vl_cur_u16(c);
    zeros = vl_cur_bytes(c, 6);
    if (!magic || memcmp(magic, "VLT1", 4))
        return vl_fail(e, VL_EFORMAT, "vlt: no VLT1 magic");
    if (!zeros)
        return vl_fail(e, VL_EFORMAT, "vlt: its header is cut");
    if (memcmp(zeros, "\0\0\0\0\0", 6))
        return vl_fail(e, VL_EFORMAT, "vlt: reserved bytes are not 0");
    if (!vl_dtype_size((vl_dtype)dtype))
        return vl_fail(e, VL_EFORMAT, "vlt: dtype %u is not known", dtype);
    if (filter >= VL_VLT_FILTERS)
        return vl_fail(e, VL_EFORMAT, "vlt: filter %u is not known", filter);
    if (rank > VL_NPY_MAX_RANK)
        return vl_fail(e, VL_EFORMAT, "vlt: %u dimensions, at most %d allowed", rank, VL_NPY_MAX_RANK);
    if (tile != VL_VLT_TILE_LOG)
        return vl_fail(e, VL_EFORMAT, "vlt: tiles of 2^%u, 2^%d expected", tile, VL_VLT_TILE_LOG);
    t->a.dtype = (vl_dtype)dtype;
    t->filter = (vl_vlt_filter)filter;
    t->a.rank = (int)rank;
    return VL_OK;
}

int vl_vlt_parse(const uint8_t *bytes, size_t n, vl_vlt *out, vl_err *e)
{
    vl_cursor c = vl_cur(bytes, n);
    size_t ref_n = 0, head;
    vl_vlt t = {0};
    int rc = parse_fixed(&c, &t, &ref_n, e);

    if (!rc)
        rc = parse_shape(&c, &t.a, e);
    if (!rc)
        rc = parse_reference(&c, ref_n, &t, e);
    if (rc)
        return rc;
    head = head_bytes(t.a.rank, ref_n);
    if (c.over || head > n)
        return vl_fail(e, VL_EFORMAT, "vlt: its header is cut");
    while (c.at < head)
        if (vl_cur_u8(&c))
            return vl_fail(e, VL_EFORMAT, "vlt: padding is not 0");
    if (t.a.n * vl_dtype_size(t.a.dtype) != n - head)
        return vl_fail(e, VL_EFORMAT, "vlt: %" PRIu64 " bytes declared, %zu there",
                       t.a.n * vl_dtype_size(t.a.dtype), n - head);
    t.a.data = bytes + head;
    *out = t;
    return VL_OK;
}

int vl_vlt_decode(const vl_vlt *t, const vl_vlt_ref *ref, void *raw, vl_err *e)
{
    size_t n = vl_vlt_bytes(t);

    if (!differential(t->filter))
        ref = NULL;
    else if (!ref || strcmp(ref->name, t->ref))
        return vl_fail(e, VL_EFORMAT, "vlt: its reference '%s' is not there", t->ref);
    else if (ref->bytes != n || ref->sum != t->ref_sum)
        return vl_fail(e, VL_EFORMAT, "vlt: its reference '%s' has other bytes", t->ref);
    vl_vlt_unfilter(t->filter, vl_dtype_word(t->a.dtype), t->a.data, ref ? ref->raw : NULL, n, raw);
    if (vl_vlt_sum(raw, n) != t->sum)
        return vl_fail(e, VL_EFORMAT, "vlt: its bytes have not the sum that its header says");
    return VL_OK;
}

static void put_head(uint8_t *p, const vl_npy *a, vl_vlt_filter filter, const vl_vlt_ref *ref, uint64_t sum)
{
    memcpy(p, "VLT1", 4);
    p[4] = (uint8_t)a->dtype;
    p[5] = (uint8_t)filter;
    p[6] = (uint8_t)a->rank;
    p[7] = VL_VLT_TILE_LOG;
    vl_put_le64(p + 8, sum);
    vl_put_le64(p + 16, ref ? ref->sum : 0);
    vl_put_le16(p + 24, (uint16_t)(ref ? strlen(ref->name) : 0));
    for (int i = 0; i < a->rank; i++)
        vl_put_le64(p + VL_VLT_FIXED + 8 * i, a->shape[i]);
    if (ref)
        memcpy(p + VL_VLT_FIXED + 8 * a->rank, ref->name, strlen(ref->name));
}

int vl_vlt_build(const vl_npy *a, vl_vlt_filter filter, const vl_vlt_ref *ref, vl_buf *out, uint64_t *sum,
                 vl_err *e)
{
    vl_npy counted = *a;
    char name[VL_VLT_REF_MAX + 1];
    size_t head, size;
    uint64_t own;
    int rc;

    if (vl_npy_count(&counted, e) || (unsigned)filter >= VL_VLT_FILTERS ||
        differential(filter) != (ref != NULL))
        return vl_fail(e, VL_EARG, "vlt: dtype, shape, filter or reference out of range");
    size = (size_t)counted.n * vl_dtype_size(a->dtype);
    if (ref && (ref->bytes != size || check_name((const uint8_t *)ref->name, strlen(ref->name), name, e)))
        return vl_fail(e, VL_EARG, "vlt: the reference's size or name is not right");
    head = head_bytes(a->rank, ref ? strlen(ref->name) : 0);
    rc = vl_buf_room(out, head + size, e);
    if (rc)
        return rc;
    own = vl_vlt_sum(a->data, size);
    memset(out->p + out->n, 0, head);
    put_head(out->p + out->n, a, filter, ref, own);
    vl_vlt_filter_bytes(filter, vl_dtype_word(a->dtype), a->data, ref ? ref->raw : NULL, size,
                        out->p + out->n + head);
    out->n += head + size;
    if (sum)
        *sum = own;
    return VL_OK;
}
