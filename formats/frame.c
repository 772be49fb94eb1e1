/* SPDX-License-Identifier: MIT
 * frame.c -- a frame's end is found from its block headers alone, so a pipe splits into frames
 * without decoding and without a table; libzstd then decodes one whole frame that is known to fit. */
#include "formats/frame.h"

#include <assert.h>
#include <stdlib.h>
#include <zstd.h>

_Static_assert(ZSTD_COMPRESSBOUND(VL_FRAME_RAW_MAX) <= VL_FRAME_COMP_MAX, "bound of a frame");

struct vl_codec {
    ZSTD_CCtx *enc;
    ZSTD_DCtx *dec;
    vl_buf out;
};

/* ---- structure ------------------------------------------------------------------------------ */

enum { FHD_SINGLE = 0x20, FHD_UNUSED = 0x10, FHD_RESERVED = 8, FHD_CHECKSUM = 4, FHD_DICT = 3 };

/* Bytes of the frame header, from its descriptor byte. */
static size_t head_bytes(uint8_t fhd)
{
    static const uint8_t fcs[4] = {0, 2, 4, 8};
    size_t n = fcs[fhd >> 6];

    if (!n && (fhd & FHD_SINGLE))
        n = 1;
    return 5 + !(fhd & FHD_SINGLE) + n; /* no dictionary id */
}

static int check_descriptor(const uint8_t *p, vl_err *e)
{
    uint8_t fhd = p[4];

    if (vl_le32(p) != VL_FRAME_MAGIC)
        return vl_fail(e, VL_EFORMAT, "no zstd frame: begins %02x %02x %02x %02x", p[0], p[1], p[2], p[3]);
    if (fhd & (FHD_UNUSED | FHD_RESERVED))
        return vl_fail(e, VL_EFORMAT, "frame header has reserved bits set");
    if (fhd & FHD_DICT)
        return vl_fail(e, VL_EFORMAT, "frame needs a dictionary");
    if (!(fhd & FHD_CHECKSUM))
        return vl_fail(e, VL_EFORMAT, "frame has no content checksum");
    if (!(fhd & FHD_SINGLE) && !(fhd >> 6))
        return vl_fail(e, VL_EFORMAT, "frame does not state its content size");
    return VL_OK;
}

static int check_sizes(const uint8_t *p, uint32_t *dsize, vl_err *e)
{
    const uint8_t *at = p + 5;
    uint64_t window = 0, n;

    if (!(p[4] & FHD_SINGLE)) {
        window = (uint64_t)1 << (10 + (*at >> 3));
        window += window / 8 * (*at & 7);
        at++;
    }
    if (p[4] >> 6 == 0)
        n = *at;
    else if (p[4] >> 6 == 1)
        n = vl_le16(at) + 256u;
    else
        n = p[4] >> 6 == 2 ? vl_le32(at) : vl_le64(at);
    if (window > VL_FRAME_RAW_MAX)
        return vl_fail(e, VL_EFORMAT, "frame window of %llu bytes, at most %d allowed",
                       (unsigned long long)window, VL_FRAME_RAW_MAX);
    if (n < 1 || n > VL_FRAME_RAW_MAX)
        return vl_fail(e, VL_EFORMAT, "frame content of %llu bytes, 1 to %d allowed", (unsigned long long)n,
                       VL_FRAME_RAW_MAX);
    *dsize = (uint32_t)n;
    return VL_OK;
}

/* Steps over the frame header; *need as in vl_frame_step. */
static int step_head(vl_frame_walk *w, const uint8_t *p, size_t have, size_t *need, vl_err *e)
{
    int rc;

    *need = 5;
    if (have < *need)
        return VL_OK;
    rc = check_descriptor(p, e);
    if (rc)
        return rc;
    *need = head_bytes(p[4]);
    if (have < *need)
        return VL_OK;
    rc = check_sizes(p, &w->dsize, e);
    w->at = *need;
    w->head = true;
    return rc;
}

/* Steps over the block whose 3-byte header is at w->at. */
static int step_block(vl_frame_walk *w, const uint8_t *p, vl_err *e)
{
    uint32_t b = vl_le24(p + w->at), size = b >> 3, type = b >> 1 & 3;

    if (type == 3)
        return vl_fail(e, VL_EFORMAT, "zstd block of a reserved type");
    if (size > ZSTD_BLOCKSIZE_MAX)
        return vl_fail(e, VL_EFORMAT, "zstd block of %u bytes, at most %d allowed", size, ZSTD_BLOCKSIZE_MAX);
    w->last = b & 1;
    w->at += 3 + (type == 1 ? 1 : size);
    if (w->at + 7 > VL_FRAME_COMP_MAX)
        return vl_fail(e, VL_EFORMAT, "frame is longer than %d bytes", VL_FRAME_COMP_MAX);
    return VL_OK;
}

int vl_frame_step(vl_frame_walk *w, const uint8_t *p, size_t have, size_t *need, vl_frame *f, vl_err *e)
{
    int rc;

    if (!w->head) {
        rc = step_head(w, p, have, need, e);
        if (rc || !w->head)
            return rc;
    }
    while (!w->last) {
        *need = w->at + 3;
        if (have < *need)
            return VL_OK;
        rc = step_block(w, p, e);
        if (rc)
            return rc;
    }
    *need = w->at + 4;
    if (have < *need)
        return VL_OK;
    *f = (vl_frame){(uint32_t)*need, w->dsize, vl_le32(p + w->at)};
    *need = have;
    return VL_OK;
}

int vl_frame_pull(vl_source *s, vl_buf *comp, vl_frame *f, int *more, vl_err *e)
{
    vl_frame_walk w = {0};
    size_t need = 0, got;
    int rc;

    comp->n = 0;
    *more = 1;
    for (;;) {
        rc = vl_frame_step(&w, comp->p, comp->n, &need, f, e);
        if (rc || need == comp->n)
            return rc;
        rc = vl_buf_room(comp, need - comp->n, e);
        if (!rc)
            rc = vl_source_read(s, comp->p + comp->n, need - comp->n, &got, e);
        if (rc)
            return rc;
        comp->n += got;
        if (comp->n < need) {
            *more = 0;
            return VL_OK;
        }
    }
}

/* ---- content -------------------------------------------------------------------------------- */

int vl_codec_new(vl_codec **out, vl_err *e)
{
    vl_codec *c = vl_alloc(1, sizeof *c, e);

    if (!c)
        return VL_ENOMEM;
    *out = c;
    return VL_OK;
}

void vl_codec_free(vl_codec *c)
{
    if (!c)
        return;
    ZSTD_freeCCtx(c->enc);
    ZSTD_freeDCtx(c->dec);
    free(c->out.p);
    free(c);
}

/* Far steps between attempts at a match (targetLength), and literals are coded although zstd would not do so at
 * this speed. The latter has no stable name in zstd.h; where a library refuses the number, frames get larger. */
static int planes_ready(ZSTD_CCtx *enc)
{
    enum { LITERALS = ZSTD_c_experimentalParam5, CODED = 1, STEP = 16 };
    int bad = ZSTD_isError(ZSTD_CCtx_setParameter(enc, ZSTD_c_compressionLevel, 1));

    if (!bad && !ZSTD_isError(ZSTD_CCtx_setParameter(enc, (ZSTD_cParameter)LITERALS, CODED)))
        bad = ZSTD_isError(ZSTD_CCtx_setParameter(enc, ZSTD_c_targetLength, STEP));
    return bad;
}

static int encoder_ready(vl_codec *c, int level, vl_err *e)
{
    int bad;

    if (!c->enc)
        c->enc = ZSTD_createCCtx();
    if (!c->enc)
        return vl_fail(e, VL_ENOMEM, "out of memory: zstd encoder");
    bad = ZSTD_isError(ZSTD_CCtx_reset(c->enc, ZSTD_reset_session_and_parameters));
    if (!bad && level == VL_LEVEL_PLANES)
        bad = planes_ready(c->enc);
    else if (!bad)
        bad = ZSTD_isError(ZSTD_CCtx_setParameter(c->enc, ZSTD_c_compressionLevel, level));
    if (bad || ZSTD_isError(ZSTD_CCtx_setParameter(c->enc, ZSTD_c_checksumFlag, 1)) ||
        ZSTD_isError(ZSTD_CCtx_setParameter(c->enc, ZSTD_c_contentSizeFlag, 1)))
        return vl_fail(e, VL_EARG, "zstd: level %d refused", level);
    return VL_OK;
}

int vl_frame_encode(vl_codec *c, const uint8_t *raw, size_t n, int level, const uint8_t **comp, vl_frame *f,
                    vl_err *e)
{
    return vl_frame_encode_seams(c, raw, n, level, NULL, 0, comp, f, e);
}

/* One piece after the other, each flushed: a flush ends the block. */
static size_t encode_pieces(ZSTD_CCtx *enc, const uint8_t *raw, size_t n, const uint32_t *seam,
                            size_t n_seams, vl_buf *to)
{
    ZSTD_outBuffer out = {to->p, to->cap, 0};
    ZSTD_inBuffer in = {raw, 0, 0};
    size_t left = ZSTD_CCtx_setPledgedSrcSize(enc, n);

    for (size_t i = 0; i <= n_seams && !ZSTD_isError(left); i++) {
        in.size = i < n_seams ? seam[i] : n;
        left = ZSTD_compressStream2(enc, &out, &in, i < n_seams ? ZSTD_e_flush : ZSTD_e_end);
    }
    return left ? left : out.pos; /* an error; 0 is left when there was room for all of it */
}

int vl_frame_encode_seams(vl_codec *c, const uint8_t *raw, size_t n, int level, const uint32_t *seam,
                          size_t n_seams, const uint8_t **comp, vl_frame *f, vl_err *e)
{
    size_t k;
    int rc;

    assert(n >= 1 && n <= VL_FRAME_RAW_MAX);
    if (level != VL_LEVEL_PACKED && (level < 1 || (level > 19 && level != VL_LEVEL_PLANES)))
        return vl_fail(e, VL_EARG, "zstd level %d, 1 to 19 allowed", level);
    rc = encoder_ready(c, level, e);
    if (rc)
        return rc;
    c->out.n = 0;
    rc = vl_buf_room(&c->out, ZSTD_compressBound(n) + 8 * n_seams, e);
    if (rc)
        return rc;
    if (n_seams)
        k = encode_pieces(c->enc, raw, n, seam, n_seams, &c->out);
    else
        k = ZSTD_compress2(c->enc, c->out.p, c->out.cap, raw, n);
    if (ZSTD_isError(k))
        return vl_fail(e, VL_ENOMEM, "zstd: %s", ZSTD_getErrorName(k));
    *f = (vl_frame){(uint32_t)k, (uint32_t)n, vl_le32(c->out.p + k - 4)};
    *comp = c->out.p;
    return VL_OK;
}

int vl_frame_decode(vl_codec *c, const uint8_t *comp, const vl_frame *f, uint8_t *raw, vl_err *e)
{
    size_t k;

    if (!c->dec)
        c->dec = ZSTD_createDCtx();
    if (!c->dec)
        return vl_fail(e, VL_ENOMEM, "out of memory: zstd decoder");
    k = ZSTD_decompressDCtx(c->dec, raw, f->dsize, comp, f->csize);
    if (ZSTD_isError(k))
        return vl_fail(e, VL_EFORMAT, "does not decode: %s", ZSTD_getErrorName(k));
    if (k != f->dsize)
        return vl_fail(e, VL_EFORMAT, "decodes to %zu bytes, %u declared", k, f->dsize);
    return VL_OK;
}
