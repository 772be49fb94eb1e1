/* SPDX-License-Identifier: MIT
 * t_image.c -- the structure walk and the decoders, on files made here and broken here. */
#include "pipeline/image.h"
#include "tests/data/images.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

enum { W = 37, H = 23 };

/* Decodes b and gives the greatest difference to want, u8 [h,w,3]; -1 with the text when refused. */
static int worst(const blob *b, const uint8_t *want, uint32_t w, uint32_t h)
{
    vl_image_info info;
    vl_err e = {0};
    uint8_t *rgb = NULL;
    int most = 0;

    if (vl_image_decode(b->p, b->n, VL_IMAGE_MAX_PIXELS, &rgb, &info, &e)) {
        print_error("refused: %s\n", e.text);
        return -1;
    }
    assert_int_equal(info.width, w);
    assert_int_equal(info.height, h);
    for (size_t i = 0; i < (size_t)w * h * 3; i++) {
        int d = abs(rgb[i] - want[i]);
        most = d > most ? d : most;
    }
    free(rgb);
    return most;
}

/* The picture as a viewer shows it: what orientation o turns the stored test picture into. Written
 * as the definition of each value says, independent of the code under test. */
static uint8_t *upright(const uint8_t *rgb, uint32_t w, uint32_t h, int o)
{
    uint32_t W2 = o >= 5 ? h : w, H2 = o >= 5 ? w : h;
    uint8_t *out = must(malloc((size_t)w * h * 3));

    for (uint32_t y = 0; y < H2; y++)
        for (uint32_t x = 0; x < W2; x++) {
            uint32_t sx = o == 1 || o == 4   ? x
                          : o == 2 || o == 3 ? w - 1 - x
                          : o == 5 || o == 6 ? y
                                             : w - 1 - y;
            uint32_t sy = o == 1 || o == 2   ? y
                          : o == 3 || o == 4 ? h - 1 - y
                          : o == 5 || o == 8 ? x
                                             : h - 1 - x;
            memcpy(out + 3 * ((size_t)y * W2 + x), rgb + 3 * ((size_t)sy * w + sx), 3);
        }
    return out;
}

static void jpeg_kinds(void **state)
{
    static const struct {
        const char *name;
        jpeg_how how;
        int within; /* grey levels: quantisation at quality 95, half-resolution colour */
    } row[] = {
        {"baseline", {.stored = JCS_YCbCr}, 12},
        {"progressive", {.stored = JCS_YCbCr, .progressive = true}, 12},
        {"restarts", {.stored = JCS_YCbCr, .restart = 1}, 12},
        {"rgb", {.stored = JCS_RGB}, 6},
        {"cmyk", {.stored = JCS_CMYK}, 6},
        {"ycck", {.stored = JCS_YCCK}, 12},
    };
    uint8_t *rgb = test_picture(W, H);

    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        blob b = test_jpeg(rgb, W, H, row[i].how);
        int d = worst(&b, rgb, W, H);
        if (d < 0 || d > row[i].within)
            fail_msg("%s: worst difference %d, %d allowed", row[i].name, d, row[i].within);
        free(b.p);
    }
    blob grey = test_jpeg(rgb, W, H, (jpeg_how){.stored = JCS_GRAYSCALE});
    for (size_t i = 0; i < (size_t)W * H; i++)
        rgb[3 * i + 1] = rgb[3 * i + 2] = rgb[3 * i];
    assert_in_range(worst(&grey, rgb, W, H), 0, 6);
    free(grey.p);
    free(rgb);
}

static void turned(void **state)
{
    uint8_t *rgb = test_picture(W, H);

    (void)state;
    for (int o = 1; o <= 8; o++) {
        uint8_t *want = upright(rgb, W, H, o);
        uint32_t w = o >= 5 ? H : W, h = o >= 5 ? W : H;
        blob le = test_jpeg(rgb, W, H, (jpeg_how){.stored = JCS_RGB, .orientation = o});
        blob be = test_jpeg(rgb, W, H, (jpeg_how){.stored = JCS_RGB, .orientation = o, .big_endian = true});
        blob png = test_png(rgb, W, H, W * 3,
                            (png_how){.colour_type = PNG_COLOR_TYPE_RGB, .depth = 8, .orientation = o});
        assert_in_range(worst(&le, want, w, h), 0, 6);
        assert_in_range(worst(&be, want, w, h), 0, 6);
        assert_int_equal(worst(&png, want, w, h), 0);
        free(le.p);
        free(be.p);
        free(png.p);
        free(want);
    }
    /* An EXIF block that cannot be read means "as stored": any byte of it wrong, but those that say
     * how many entries there are (a greater number changes nothing here). */
    blob b = test_jpeg(rgb, W, H, (jpeg_how){.stored = JCS_RGB, .orientation = 6});
    uint8_t *exif = memmem(b.p, b.n, "Exif\0\0", 6);
    assert_non_null(exif);
    for (int byte = 6; byte < 26; byte++) {
        if (byte == 14 || byte == 15)
            continue;
        vl_image_info info;
        vl_err e;
        uint8_t was = exif[byte];
        exif[byte] ^= 0xff;
        assert_int_equal(vl_image_check(b.p, b.n, VL_IMAGE_MAX_PIXELS, &info, &e), VL_OK);
        assert_int_equal(info.orientation, 1);
        exif[byte] = was;
    }
    free(b.p);
    free(rgb);
}

/* PNG's samples for pixel value v (0 to 65535 a channel) of each kind, and what must come out. */
static void png_kinds(void **state)
{
    static const struct {
        const char *name;
        png_how how;
        int samples;
    } row[] = {
        {"grey 1", {0, 1, 0, 0, 0, 0}, 1},         {"grey 2", {0, 2, 0, 0, 0, 0}, 1},
        {"grey 4", {0, 4, 1, 0, 0, 0}, 1},         {"grey 8", {0, 8, 0, 0, 0, 0}, 1},
        {"grey 16", {0, 16, 0, 0, 0, 0}, 1},       {"grey trns", {0, 8, 0, 1, 0, 0}, 1},
        {"rgb 8", {2, 8, 0, 0, 0, 1}, 3},          {"rgb 8 adam7", {2, 8, 1, 0, 0, 0}, 3},
        {"rgb 16", {2, 16, 0, 0, 0, 0}, 3},        {"palette 1", {3, 1, 0, 0, 0, 0}, 1},
        {"palette 4", {3, 4, 0, 0, 0, 0}, 1},      {"palette 8", {3, 8, 1, 0, 0, 0}, 1},
        {"palette trns", {3, 8, 0, 1, 0, 0}, 1},   {"grey alpha", {4, 8, 0, 0, 0, 0}, 2},
        {"grey alpha 16", {4, 16, 1, 0, 0, 0}, 2}, {"rgba", {6, 8, 0, 0, 0, 0}, 4},
        {"rgba adam7", {6, 8, 1, 0, 0, 0}, 4},     {"rgba 16", {6, 16, 0, 0, 0, 0}, 4},
    };
    enum { STRIDE = W * 8 };

    (void)state;
    for (size_t r = 0; r < sizeof row / sizeof *row; r++) {
        const png_how how = row[r].how;
        uint8_t *rows = must(calloc(H, STRIDE)), *want = must(malloc(W * H * 3));
        uint32_t seed = 7 + (uint32_t)r;
        for (int i = 0; i < W * H; i++) {
            double v[4] = {0, 0, 0, 1}; /* R G B A, 0 to 1 */
            for (int c = 0; c < row[r].samples; c++) {
                int x = i % W, top = (1 << how.depth) - 1;
                int s = (int)((seed = seed * 1664525u + 1013904223u) >> 16) & top;
                uint8_t *p = rows + (size_t)(i / W) * STRIDE;
                if (how.depth == 16)
                    memcpy(p + 2 * (x * row[r].samples + c), (uint8_t[2]){(uint8_t)(s >> 8), (uint8_t)s}, 2);
                else if (how.depth == 8)
                    p[x * row[r].samples + c] = (uint8_t)s;
                else
                    p[x * how.depth / 8] |= (uint8_t)(s << (8 - how.depth - x * how.depth % 8));
                if (how.colour_type == 3) {
                    v[0] = s / 255.0, v[1] = (255 - s) / 255.0, v[2] = (s ^ 0x55) / 255.0;
                    v[3] = how.trns ? (255 - s) / 255.0 : 1;
                } else if (row[r].samples < 3 && c == 0) {
                    v[0] = v[1] = v[2] = (double)s / top;
                    v[3] = how.trns && s == 0 ? 0 : 1;
                } else {
                    v[row[r].samples == 2 ? 3 : c] = (double)s / top;
                }
            }
            for (int c = 0; c < 3; c++)
                want[3 * i + c] = (uint8_t)(255 * (v[c] * v[3] + 1 - v[3]) + 0.5);
        }
        blob b = test_png(rows, W, H, STRIDE, how);
        int d = worst(&b, want, W, H);
        /* 16 bits are rounded to 8 before alpha is applied; everything else is exact. */
        int within = how.depth == 16 && row[r].samples % 2 == 0 ? 1 : 0;
        if (d < 0 || d > within)
            fail_msg("%s: worst difference %d, %d allowed", row[r].name, d, within);
        free(b.p);
        free(rows);
        free(want);
    }
}

/* Whatever file comes: a clean answer, and never an accepted picture that is missing its end. */
static void cut_everywhere(const blob *b, size_t whole)
{
    for (size_t n = 0; n < whole; n++) {
        uint8_t *copy = must(malloc(n ? n : 1)), *rgb = NULL; /* exact size: ASan sees one byte over */
        vl_image_info info;
        vl_err e = {0};
        memcpy(copy, b->p, n);
        int rc = vl_image_decode(copy, n, VL_IMAGE_MAX_PIXELS, &rgb, &info, &e);
        if (rc != VL_EFORMAT || !e.text[0])
            fail_msg("cut at byte %zu of %zu: code %d, '%s'", n, whole, rc, e.text);
        free(copy);
    }
}

static void cuts(void **state)
{
    uint8_t *rgb = test_picture(W, H);
    blob files[4] = {
        test_jpeg(rgb, W, H, (jpeg_how){.stored = JCS_YCbCr, .restart = 1, .orientation = 6}),
        test_jpeg(rgb, W, H, (jpeg_how){.stored = JCS_YCCK, .progressive = true}),
        test_png(rgb, W, H, W * 3, (png_how){.colour_type = 2, .depth = 8, .interlaced = true}),
        test_png(rgb, W / 4, H, W * 3, (png_how){.colour_type = 6, .depth = 8, .profile = true}),
    };

    (void)state;
    for (int i = 0; i < 4; i++) {
        cut_everywhere(&files[i], files[i].n);
        free(files[i].p);
    }
    free(rgb);
}

/* Every bit flipped: never a crash, and a PNG is never accepted (its CRCs see one bit). */
static void flips(void **state)
{
    uint8_t *rgb = test_picture(W, H);
    blob jpeg = test_jpeg(rgb, W, H, (jpeg_how){.stored = JCS_YCbCr, .orientation = 3});
    blob png = test_png(rgb, 9, H, W * 3, (png_how){.colour_type = 6, .depth = 8});

    (void)state;
    for (size_t bit = 0; bit < 8 * jpeg.n; bit++) {
        vl_image_info info;
        vl_err e = {0};
        uint8_t *out = NULL;
        jpeg.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
        int rc = vl_image_decode(jpeg.p, jpeg.n, 1 << 20, &out, &info, &e);
        assert_true(rc == VL_OK || (rc == VL_EFORMAT && e.text[0]));
        free(out);
        jpeg.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (size_t bit = 0; bit < 8 * png.n; bit++) {
        vl_image_info info;
        vl_err e = {0};
        png.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
        if (vl_image_check(png.p, png.n, 1 << 20, &info, &e) != VL_EFORMAT)
            fail_msg("PNG with bit %zu flipped was accepted", bit);
        png.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    free(jpeg.p);
    free(png.p);
    free(rgb);
}

/* What each row does to a good file, and the words that must come back. */
static void refuse(const char *name, const blob *b, bool decode, const char *words)
{
    vl_image_info info;
    vl_err e = {0};
    uint8_t *rgb = NULL;
    int rc = decode ? vl_image_decode(b->p, b->n, VL_IMAGE_MAX_PIXELS, &rgb, &info, &e)
                    : vl_image_check(b->p, b->n, VL_IMAGE_MAX_PIXELS, &info, &e);

    if (rc != VL_EFORMAT || !strstr(e.text, words))
        fail_msg("%s: code %d, '%s', expected '%s'", name, rc, e.text, words);
}

static blob copy_of(const blob *b, size_t n)
{
    blob c = {must(malloc(n)), n};
    memcpy(c.p, b->p, n);
    return c;
}

static void bad_jpegs(void **state)
{
    uint8_t *rgb = test_picture(W, H);
    blob good = test_jpeg(rgb, W, H, (jpeg_how){.stored = JCS_YCbCr, .restart = 1});
    size_t sof = (size_t)((uint8_t *)memmem(good.p, good.n, "\xff\xc0", 2) - good.p);
    size_t sos = (size_t)((uint8_t *)memmem(good.p, good.n, "\xff\xda", 2) - good.p);
    size_t rst = (size_t)((uint8_t *)memmem(good.p + sos, good.n - sos, "\xff\xd0", 2) - good.p);
    const struct {
        const char *name;
        size_t at;
        int n; /* bytes to put there */
        uint8_t put[4];
        bool decode;
        const char *words;
    } row[] = {
        {"magic", 0, 1, {0}, false, "neither JPEG, PNG nor WebP (byte 0)"},
        {"second marker", 2, 1, {0}, false, "a marker expected, found 0x00 (byte 2)"},
        {"second SOI", 2, 2, {0xff, 0xd8}, false, "marker 0xd8 out of place"},
        {"length 1", 4, 2, {0, 1}, false, "length 1, at least 2 expected (byte 4)"},
        {"length past the end", 4, 2, {0xff, 0xff}, false, "truncated: inside a marker segment"},
        {"height 0", sof + 5, 2, {0, 0}, false, "height left open"},
        {"width 0", sof + 7, 2, {0, 0}, false, "no picture"},
        {"65535 x 65535",
         sof + 5,
         4,
         {0xff, 0xff, 0xff, 0xff},
         false,
         "65535 x 65535 pixels, more than 100000000 allowed"},
        {"12 bits", sof + 4, 1, {12}, false, "12 bits a sample, 8 expected"},
        {"2 components", sof + 9, 1, {2}, false, "frame header of"},
        {"lossless", sof, 2, {0xff, 0xc3}, false, "SOF3"},
        {"no frame header", sof, 2, {0xff, 0xee}, false, "a scan before the frame header"},
        {"scan header", sos + 4, 1, {9}, false, "scan header of"},
        {"restart order", rst + 1, 1, {0xd5}, false, "restart marker 5 out of turn"},
        {"end in the first scan", sos + 40, 2, {0xff, 0xd9}, true, "JPEG: "},
    };

    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        blob b = copy_of(&good, good.n);
        memcpy(b.p + row[i].at, row[i].put, (size_t)row[i].n);
        refuse(row[i].name, &b, row[i].decode, row[i].words);
        free(b.p);
    }
    blob half = copy_of(&good, (sos + good.n) / 2);
    refuse("half a scan", &half, false, "truncated: inside a scan, file ends at byte ");
    memcpy(half.p, "\xff\xd8\xff\xd9", half.n = 4);
    refuse("nothing inside", &half, false, "no image data before the end marker (byte 3)");
    free(half.p);
    /* The same last scan 101 times: small, well-formed, and a pass over all coefficients each. */
    size_t scan = good.n - 2 - sos;
    blob many = {must(malloc(sos + 101 * scan + 2)), 0};
    memcpy(many.p, good.p, sos);
    for (int i = 0; i < 101; i++)
        memcpy(many.p + sos + (size_t)i * scan, good.p + sos, scan);
    memcpy(many.p + sos + 101 * scan, "\xff\xd9", 2);
    many.n = sos + 101 * scan + 2;
    refuse("101 scans", &many, false, "more than 100 scans");
    free(many.p);
    free(good.p);
    free(rgb);
}

static void bad_pngs(void **state)
{
    uint8_t *rgb = test_picture(W, H);
    blob good = test_png(rgb, W, H, W * 3, (png_how){.colour_type = 2, .depth = 8});
    const uint8_t head[13] = {0, 0, 0, 4, 0, 0, 0, 4, 8, 2, 0, 0, 0};
    static const struct {
        const char *name;
        int at, value; /* in the 13 bytes of IHDR */
        const char *words;
    } row[] = {
        {"width 0", 3, 0, "0 x 4 pixels: no picture (byte 16)"},
        {"width 2^31", 0, 0x80, "2147483652 x 4 pixels (byte 16)"},
        {"depth 3", 8, 3, "colour type 2 with 3 bits"},
        {"depth 4 of RGB", 8, 4, "colour type 2 with 4 bits"},
        {"depth 0", 8, 0, "colour type 2 with 0 bits"},
        {"colour type 7", 9, 7, "colour type 7 with 8 bits"},
        {"palette missing", 9, 3, "no PLTE chunk before IDAT"},
        {"compression", 10, 1, "compression 1, filter 0, interlace 0"},
        {"interlace", 12, 2, "compression 0, filter 0, interlace 2"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        blob b = copy_of(&good, 8);
        uint8_t h[13];
        memcpy(h, head, 13);
        h[row[i].at] = (uint8_t)row[i].value;
        test_chunk(&b, "IHDR", h, 13);
        test_chunk(&b, "IDAT", "x", 1);
        test_chunk(&b, "IEND", NULL, 0);
        refuse(row[i].name, &b, false, row[i].words);
        free(b.p);
    }
    blob big = test_png_header(40000, 40000);
    refuse("40000 x 40000", &big, false, "PNG: 40000 x 40000 pixels, more than 100000000 allowed (byte 16)");
    free(big.p);

    static const struct {
        const char *name, *chunks[6], *words;
    } order[] = {
        {"no IHDR", {"IDAT", "IEND"}, "no IHDR chunk of 13 bytes first (byte 8)"},
        {"two IHDR", {"IHDR", "IHDR", "IDAT", "IEND"}, "critical chunk IHDR not known or out"},
        {"no IDAT", {"IHDR", "IEND"}, "no IDAT chunk before IEND"},
        {"split IDAT", {"IHDR", "IDAT", "tEXt", "IDAT", "IEND"}, "not in one run"},
        {"no IEND", {"IHDR", "IDAT"}, "truncated: no IEND chunk"},
        {"late PLTE", {"IHDR", "IDAT", "PLTE", "IEND"}, "PLTE out of place"},
        {"empty PLTE", {"IHDR", "PLTE", "IDAT", "IEND"}, "PLTE of 0 bytes"},
        {"unknown critical", {"IHDR", "QQQQ", "IDAT", "IEND"}, "critical chunk QQQQ not known"},
        {"not letters", {"IHDR", "I AT", "IEND"}, "chunk type is not four letters"},
    };
    for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
        blob b = copy_of(&good, 8);
        for (int k = 0; k < 6 && order[i].chunks[k]; k++) {
            bool is_head = !strcmp(order[i].chunks[k], "IHDR");
            test_chunk(&b, order[i].chunks[k], head, is_head ? 13 : 0);
        }
        refuse(order[i].name, &b, false, order[i].words);
        free(b.p);
    }
    good.p[good.n - 20] ^= 1;
    refuse("flipped bit", &good, false, "IDAT: CRC ");
    free(good.p);
    free(rgb);
}

/* Sound chunks around data that do not inflate, or stop early: only decoding can tell. */
static void bad_png_data(void **state)
{
    blob b = test_png_header(4, 4);
    vl_image_info info;
    vl_err e;

    (void)state;
    assert_int_equal(vl_image_check(b.p, b.n, VL_IMAGE_MAX_PIXELS, &info, &e), VL_OK);
    refuse("junk for IDAT", &b, true, "PNG: ");
    free(b.p);
    b = test_png_header(4, 4);
    uint8_t z[64], raw[4 * 13 - 1] = {0};
    uLongf n = sizeof z;
    assert_int_equal(compress(z, &n, raw, sizeof raw), Z_OK);
    b.n = 8 + 25;
    test_chunk(&b, "IDAT", z, (uint32_t)n);
    test_chunk(&b, "IEND", NULL, 0);
    refuse("one byte short", &b, true, "PNG: ");
    free(b.p);
}

static void trailing_bytes(void **state)
{
    uint8_t *rgb = test_picture(W, H);
    blob file[2] = {test_jpeg(rgb, W, H, (jpeg_how){.stored = JCS_YCbCr}),
                    test_png(rgb, W, H, W * 3, (png_how){.colour_type = 2, .depth = 8})};

    (void)state;
    for (int i = 0; i < 2; i++) {
        vl_image_info info;
        vl_err e;
        file[i].p = must(realloc(file[i].p, file[i].n + 5));
        memcpy(file[i].p + file[i].n, "extra", 5);
        file[i].n += 5;
        assert_int_equal(vl_image_check(file[i].p, file[i].n, 1 << 20, &info, &e), VL_OK);
        assert_int_equal(info.trailing, 5);
        assert_in_range(worst(&file[i], rgb, W, H), 0, 12);
        free(file[i].p);
    }
    free(rgb);
}

static void limit_is_exact(void **state)
{
    uint8_t *rgb = test_picture(W, H);
    blob b = test_jpeg(rgb, W, H, (jpeg_how){.stored = JCS_YCbCr});
    vl_image_info info;
    vl_err e;

    (void)state;
    assert_int_equal(vl_image_check(b.p, b.n, W * H, &info, &e), VL_OK);
    assert_int_equal(vl_image_check(b.p, b.n, W * H - 1, &info, &e), VL_EFORMAT);
    free(b.p);
    free(rgb);
}

static void png_round_trip(void **state)
{
    uint8_t *rgb = test_picture(W, H);
    blob a = {0}, b = {0};
    vl_err e;

    (void)state;
    assert_int_equal(vl_png_encode(rgb, W, H, &a.p, &a.n, &e), VL_OK);
    assert_int_equal(vl_png_encode(rgb, W, H, &b.p, &b.n, &e), VL_OK);
    assert_int_equal(a.n, b.n);
    assert_memory_equal(a.p, b.p, a.n);
    assert_int_equal(worst(&a, rgb, W, H), 0);
    assert_int_equal(vl_png_encode(rgb, 0, H, &b.p, &b.n, &e), VL_EARG);
    free(a.p);
    free(b.p);
    free(rgb);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(jpeg_kinds),     cmocka_unit_test(turned),         cmocka_unit_test(png_kinds),
        cmocka_unit_test(cuts),           cmocka_unit_test(flips),          cmocka_unit_test(bad_jpegs),
        cmocka_unit_test(bad_pngs),       cmocka_unit_test(bad_png_data),   cmocka_unit_test(trailing_bytes),
        cmocka_unit_test(limit_is_exact), cmocka_unit_test(png_round_trip),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
