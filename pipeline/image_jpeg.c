/* SPDX-License-Identifier: MIT
 * image_jpeg.c -- JPEG: the marker walk (ITU-T T.81, annex B) and decoding with libjpeg-turbo.
 *
 * The walk proves that the file is whole without touching a coefficient: SOI, marker segments whose
 * lengths stay inside the file, one frame header of a kind the decoder knows, scans of
 * entropy-coded data in which FF is stuffed (FF 00) or a restart marker in its turn, and EOI. A
 * file cut anywhere lacks its EOI; a flipped bit inside a scan may go unseen until the file is
 * decoded. */
#include "pipeline/image_codec.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>
#include <jerror.h>

enum {
    RST0 = 0xd0,
    RST7 = 0xd7,
    SOI = 0xd8,
    EOI = 0xd9,
    SOS = 0xda,
    DNL = 0xdc,
    DRI = 0xdd,
    APP1 = 0xe1,
    TEM = 0x01,
    /* A progressive scan costs a pass over all coefficients however few bytes it has: a file of
     * many tiny scans would keep a decoder busy for hours. Encoders write about ten. */
    MAX_SCANS = 100
};

typedef struct walk {
    const uint8_t *bytes;
    size_t n, at; /* at: the next byte to read */
    uint64_t max_pixels;
    vl_image_info *info;
    bool frame; /* SOFn was seen */
    bool exif;  /* the first Exif block was read; later ones do not count */
    int scans;
    unsigned restart; /* restart interval, in MCUs; 0: none */
} walk;

static int cut(const walk *w, const char *where, vl_err *e)
{
    return vl_fail(e, VL_EFORMAT, "truncated: %s, file ends at byte %zu", where, w->n);
}

/* The marker at w->at, any number of FF before it; w->at moves behind it. */
static int marker(walk *w, int *code, vl_err *e)
{
    size_t at = w->at;

    if (at >= w->n)
        return cut(w, "no end-of-image marker", e);
    if (w->bytes[at] != 0xff)
        return vl_fail(e, VL_EFORMAT, "a marker expected, found 0x%02x (byte %zu)", w->bytes[at], at);
    while (at < w->n && w->bytes[at] == 0xff)
        at++;
    if (at >= w->n)
        return cut(w, "no end-of-image marker", e);
    *code = w->bytes[at];
    w->at = at + 1;
    return VL_OK;
}

/* The payload of the segment whose length field is at w->at; w->at moves behind it. */
static int payload(walk *w, int code, const uint8_t **p, size_t *n, vl_err *e)
{
    size_t length;

    if (w->n - w->at < 2)
        return cut(w, "inside a marker segment", e);
    length = (size_t)w->bytes[w->at] << 8 | w->bytes[w->at + 1];
    if (length < 2)
        return vl_fail(e, VL_EFORMAT, "marker 0x%02x: length %zu, at least 2 expected (byte %zu)", code,
                       length, w->at);
    if (length > w->n - w->at)
        return cut(w, "inside a marker segment", e);
    *p = w->bytes + w->at + 2;
    *n = length - 2;
    w->at += length;
    return VL_OK;
}

static int frame_header(walk *w, int code, const uint8_t *p, size_t n, vl_err *e)
{
    size_t at = (size_t)(p - w->bytes);
    uint32_t width, height;

    if (w->frame)
        return vl_fail(e, VL_EFORMAT, "a second frame header (byte %zu)", at);
    if (n < 6 || n != 6 + 3 * (size_t)p[5])
        return vl_fail(e, VL_EFORMAT, "frame header of %zu bytes (byte %zu)", n, at);
    height = (uint32_t)p[1] << 8 | p[2];
    width = (uint32_t)p[3] << 8 | p[4];
    if (!height)
        return vl_fail(e, VL_EFORMAT, "height left open for a DNL marker (byte %zu)", at + 1);
    if (vl_image_limit(width, height, w->max_pixels, at + 1, e))
        return VL_EFORMAT;
    if (code > 0xc2 && code != 0xc9 && code != 0xca)
        return vl_fail(e, VL_EFORMAT, "lossless or hierarchical coding (SOF%d) (byte %zu)", code - 0xc0, at);
    if (p[0] != 8)
        return vl_fail(e, VL_EFORMAT, "%d bits a sample, 8 expected (byte %zu)", p[0], at);
    if (p[5] != 1 && p[5] != 3 && p[5] != 4)
        return vl_fail(e, VL_EFORMAT, "%d colour components, 1, 3 or 4 expected (byte %zu)", p[5], at + 5);
    w->info->width = width;
    w->info->height = height;
    w->frame = true;
    return VL_OK;
}

/* Steps over pieces of entropy-coded data in which each FF is stuffed: no marker begins there. One byte in 200 is
 * FF, so a search for the next one alone would find little but stuffing; this loop becomes vector code. */
static void skip_stuffed(walk *w)
{
    enum { PIECE = 64 };

    for (; w->n - w->at > PIECE; w->at += PIECE) {
        const uint8_t *p = w->bytes + w->at;
        uint8_t marker = 0;
        for (int i = 0; i < PIECE; i++)
            marker |= (uint8_t)((p[i] == 0xff) & (p[i + 1] != 0));
        if (marker)
            return;
    }
}

/* Steps over entropy-coded data; w->at stops on the FF of the marker that ends it. */
static int scan(walk *w, vl_err *e)
{
    int turn = 0;

    for (;;) {
        skip_stuffed(w);
        const uint8_t *ff = memchr(w->bytes + w->at, 0xff, w->n - w->at);
        size_t at = ff ? (size_t)(ff - w->bytes) : w->n;

        if (w->n - at < 2)
            return cut(w, "inside a scan", e);
        int code = w->bytes[at + 1];
        w->at = at + 2;
        if (!code)
            continue;
        if (code == 0xff) {
            w->at = at + 1;
            continue;
        }
        if (code < RST0 || code > RST7) {
            w->at = at;
            return VL_OK;
        }
        if (!w->restart || code != RST0 + turn)
            return vl_fail(e, VL_EFORMAT, "restart marker %d out of turn (byte %zu)", code - RST0, at);
        turn = (turn + 1) & 7;
    }
}

static int scan_header(walk *w, const uint8_t *p, size_t n, vl_err *e)
{
    size_t at = (size_t)(p - w->bytes);

    if (!w->frame)
        return vl_fail(e, VL_EFORMAT, "a scan before the frame header (byte %zu)", at);
    if (n < 1 || n != 4 + 2 * (size_t)p[0])
        return vl_fail(e, VL_EFORMAT, "scan header of %zu bytes (byte %zu)", n, at);
    if (++w->scans > MAX_SCANS)
        return vl_fail(e, VL_EFORMAT, "more than %d scans (byte %zu)", MAX_SCANS, at);
    return scan(w, e);
}

static int segment(walk *w, int code, vl_err *e)
{
    const uint8_t *p = NULL;
    size_t n = 0;
    int rc = payload(w, code, &p, &n, e);

    if (rc)
        return rc;
    if (code >= 0xc0 && code <= 0xcf && code != 0xc4 && code != 0xc8 && code != 0xcc)
        return frame_header(w, code, p, n, e);
    if (code == SOS)
        return scan_header(w, p, n, e);
    if (code == DRI && n == 2)
        w->restart = (unsigned)p[0] << 8 | p[1];
    if (code == APP1 && !w->exif && n >= 6 && !memcmp(p, "Exif\0\0", 6)) {
        w->info->orientation = vl_exif_orientation(p + 6, n - 6);
        w->exif = true;
    }
    return VL_OK;
}

int vl_jpeg_check(const uint8_t *bytes, size_t n, uint64_t max_pixels, vl_image_info *info, vl_err *e)
{
    walk w = {.bytes = bytes, .n = n, .at = 2, .max_pixels = max_pixels, .info = info};

    for (;;) {
        int code = 0, rc = marker(&w, &code, e);

        if (rc)
            return rc;
        if (code == EOI)
            break;
        if (code == TEM)
            continue;
        if (!code || code == SOI || code == DNL || (code >= RST0 && code <= RST7))
            return vl_fail(e, VL_EFORMAT, "marker 0x%02x out of place (byte %zu)", code, w.at - 1);
        rc = segment(&w, code, e);
        if (rc)
            return rc;
    }
    if (!w.scans)
        return vl_fail(e, VL_EFORMAT, "no image data before the end marker (byte %zu)", w.at - 1);
    info->trailing = n - w.at;
    return VL_OK;
}

/* ---- decoding ----------------------------------------------------------------------------------- */

/* libjpeg reports a fault by a call that may not return: it jumps back into vl_jpeg_decode, and all
 * state that must survive the jump lives in this struct. */
typedef struct decoder {
    struct jpeg_decompress_struct jpeg;
    struct jpeg_error_mgr errors; /* jpeg.err points here */
    jmp_buf fault;
    uint8_t *line; /* one CMYK row, or NULL */
    vl_err *e;
} decoder;

static void on_error(j_common_ptr c)
{
    decoder *d = c->client_data;
    char text[JMSG_LENGTH_MAX];

    c->err->format_message(c, text);
    vl_fail(d->e, c->err->msg_code == JERR_OUT_OF_MEMORY ? VL_ENOMEM : VL_EFORMAT, "%s", text);
    longjmp(d->fault, 1);
}

/* A warning means that the library went on with pixels of its own making, except these two, which
 * are about the header's wording. */
static void on_message(j_common_ptr c, int level)
{
    if (level < 0 && c->err->msg_code != JWRN_ADOBE_XFORM && c->err->msg_code != JWRN_JFIF_MAJOR)
        on_error(c);
}

/* CMYK in JPEG is stored inverted (Adobe's way; files without Adobe's marker are treated alike by
 * PIL and by browsers): ink c is stored as 255 - c, so R = C' K' / 255, rounded. */
static void cmyk_row(const uint8_t *cmyk, uint32_t width, uint8_t *rgb)
{
    for (uint32_t x = 0; x < width; x++, cmyk += 4, rgb += 3)
        for (int c = 0; c < 3; c++)
            rgb[c] = (uint8_t)((cmyk[c] * cmyk[3] + 127) / 255);
}

static int decode(decoder *d, const uint8_t *bytes, size_t n, const vl_image_info *info, uint8_t *rgb)
{
    j_decompress_ptr j = &d->jpeg;

    if (setjmp(d->fault))
        return d->e->code;
    jpeg_create_decompress(j); /* keeps err and client_data */
    jpeg_mem_src(j, bytes, n);
    jpeg_read_header(j, TRUE);
    if (j->image_width != info->width || j->image_height != info->height)
        return vl_fail(d->e, VL_EFORMAT, "the decoder sees %u x %u pixels, the header %u x %u",
                       j->image_width, j->image_height, info->width, info->height);
    bool cmyk = j->num_components == 4;
    j->out_color_space = cmyk ? JCS_CMYK : JCS_RGB;
    jpeg_start_decompress(j);
    if (cmyk && !(d->line = vl_alloc(info->width, 4, d->e)))
        return VL_ENOMEM;
    while (j->output_scanline < j->output_height) {
        JSAMPROW to = rgb + (size_t)j->output_scanline * info->width * 3;
        JSAMPROW row = cmyk ? d->line : to;
        jpeg_read_scanlines(j, &row, 1);
        if (cmyk)
            cmyk_row(d->line, info->width, to);
    }
    jpeg_finish_decompress(j);
    return VL_OK;
}

int vl_jpeg_decode(const uint8_t *bytes, size_t n, const vl_image_info *info, uint8_t *rgb, vl_err *e)
{
    vl_err own;
    decoder d = {.e = e ? e : &own};
    int rc;

    d.jpeg.err = jpeg_std_error(&d.errors);
    d.errors.error_exit = on_error;
    d.errors.emit_message = on_message;
    d.jpeg.client_data = &d;
    rc = decode(&d, bytes, n, info, rgb);
    jpeg_destroy_decompress(&d.jpeg);
    free(d.line);
    return rc;
}
