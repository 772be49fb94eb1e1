/* SPDX-License-Identifier: MIT
 * t_image_webp.c -- WebP: the chunk walk and the decoder, on files made here and broken here. */
#include "formats/bytes.h"
#include "pipeline/image.h"
#include "tests/data/images.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

enum { W = 37, H = 23 };

static blob copy_of(const blob *b)
{
    blob c = {must(malloc(b->n)), b->n};
    memcpy(c.p, b->p, b->n);
    return c;
}

/* Appends a chunk, padded, and counts it into the RIFF. */
static void add_chunk(blob *b, const char *type, const void *data, uint32_t n)
{
    uint8_t *p = b->p = must(realloc(b->p, b->n + n + 9));

    p += b->n;
    memcpy(p, type, 4);
    vl_put_le32(p + 4, n);
    memcpy(p + 8, data, n);
    p[8 + n] = 0;
    b->n += 8 + n + n % 2;
    vl_put_le32(b->p + 4, (uint32_t)b->n - 8);
}

/* The file in the extended form: VP8X with these flags and sides, then the picture's chunk. */
static blob extended(const blob *simple, uint8_t flags, uint32_t w, uint32_t h)
{
    uint8_t x[10] = {flags, 0, 0, 0, (uint8_t)(w - 1), (uint8_t)((w - 1) >> 8), (uint8_t)((w - 1) >> 16)};
    blob b = {must(malloc(12)), 12};
    char type[5] = {0};

    x[7] = (uint8_t)(h - 1), x[8] = (uint8_t)((h - 1) >> 8), x[9] = (uint8_t)((h - 1) >> 16);
    memcpy(b.p, "RIFF\0\0\0\0WEBP", 12);
    add_chunk(&b, "VP8X", x, 10);
    memcpy(type, simple->p + 12, 4);
    add_chunk(&b, type, simple->p + 20, vl_le32(simple->p + 16));
    return b;
}

/* Greatest difference between what b decodes to and want, u8 [h,w,3]. */
static int worst(const blob *b, const uint8_t *want, uint32_t w, uint32_t h)
{
    vl_image_info info;
    vl_err e = {0};
    uint8_t *rgb = NULL;
    int most = 0;

    if (vl_image_decode(b->p, b->n, VL_IMAGE_MAX_PIXELS, &rgb, &info, &e))
        fail_msg("refused: %s", e.text);
    assert_int_equal(info.kind, VL_IMAGE_WEBP);
    assert_string_equal(vl_image_ext(info.kind), "webp");
    assert_int_equal(info.width, w);
    assert_int_equal(info.height, h);
    for (size_t i = 0; i < (size_t)w * h * 3; i++) {
        int d = abs(rgb[i] - want[i]);
        most = d > most ? d : most;
    }
    free(rgb);
    return most;
}

static void kinds(void **state)
{
    uint8_t *rgb = test_picture(W, H), *rgba = must(malloc(W * H * 4)), *want = must(malloc(W * H * 3));
    blob lossy = test_webp(rgb, W, H, (webp_how){0});
    blob exact = test_webp(rgb, W, H, (webp_how){.lossless = true});
    blob wide = extended(&lossy, 0, W, H);

    (void)state;
    assert_in_range(worst(&lossy, rgb, W, H), 1, 24); /* half-resolution colour */
    assert_int_equal(worst(&exact, rgb, W, H), 0);
    assert_in_range(worst(&wide, rgb, W, H), 1, 24);
    for (int i = 0; i < W * H; i++) {
        int a = 255 * (i % W) / (W - 1);
        memcpy(rgba + 4 * i, rgb + 3 * i, 3);
        rgba[4 * i + 3] = (uint8_t)a;
        for (int c = 0; c < 3; c++)
            want[3 * i + c] = (uint8_t)((rgb[3 * i + c] * a + 255 * (255 - a)) / 255.0 + 0.5);
    }
    blob alpha = test_webp(rgba, W, H, (webp_how){.lossless = true, .alpha = true});
    blob both = test_webp(rgba, W, H, (webp_how){.alpha = true});
    assert_int_equal(worst(&alpha, want, W, H), 0);
    assert_memory_equal(both.p + 12, "VP8X", 4);
    assert_in_range(worst(&both, want, W, H), 1, 24);
    free(both.p);
    free(alpha.p);
    free(wide.p);
    free(exact.p);
    free(lossy.p);
    free(want);
    free(rgba);
    free(rgb);
}

/* EXIF is read in the extended form, with and without the words that JPEG puts in front; the first counts. */
static void turned(void **state)
{
    uint8_t tiff[32] = "Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06";
    uint8_t *rgb = test_picture(W, H), *want = must(malloc(W * H * 3));
    blob simple = test_webp(rgb, W, H, (webp_how){.lossless = true});

    (void)state;
    for (uint32_t y = 0; y < W; y++) /* 6: the first row is the left column, read upward */
        for (uint32_t x = 0; x < H; x++)
            memcpy(want + 3 * (y * H + x), rgb + 3 * ((H - 1 - x) * W + y), 3);
    for (int bare = 0; bare < 2; bare++) {
        blob b = extended(&simple, 0x08, W, H);
        add_chunk(&b, "EXIF", tiff + 6 * bare, 32 - 6 * (uint32_t)bare);
        add_chunk(&b, "EXIF", "nonsense", 8);
        assert_int_equal(worst(&b, want, H, W), 0);
        free(b.p);
    }
    add_chunk(&simple, "EXIF", tiff, 32);
    assert_int_equal(worst(&simple, rgb, W, H), 0);
    free(simple.p);
    free(want);
    free(rgb);
}

static void refuse(const char *name, const blob *b, bool decode, const char *words)
{
    uint8_t *exact = must(malloc(b->n)), *rgb = NULL; /* exact size: ASan sees one byte over */
    vl_image_info info;
    vl_err e = {0};

    memcpy(exact, b->p, b->n);
    int rc = decode ? vl_image_decode(exact, b->n, VL_IMAGE_MAX_PIXELS, &rgb, &info, &e)
                    : vl_image_check(exact, b->n, VL_IMAGE_MAX_PIXELS, &info, &e);
    if (rc != VL_EFORMAT || !strstr(e.text, words))
        fail_msg("%s: code %d, '%s', expected '%s'", name, rc, e.text, words);
    free(exact);
}

static void broken(void **state)
{
    static const struct {
        const char *name;
        int form; /* 0 lossy, 1 lossless, 2 lossy with VP8X */
        size_t at;
        int n;
        uint8_t put[4];
        const char *words;
    } row[] = {
        {"magic", 0, 8, 1, {'X'}, "neither JPEG, PNG nor WebP (byte 0)"},
        {"RIFF of 3", 0, 4, 4, {3}, "WebP: RIFF of 3 bytes, at least 4 expected (byte 4)"},
        {"RIFF past the end", 0, 4, 4, {0xff, 0xff, 0xff, 0xff}, "WebP: truncated: RIFF of 4294967295 bytes"},
        {"empty RIFF", 0, 4, 4, {4}, "no picture in the RIFF, which ends at byte 12"},
        {"chunk cut", 0, 4, 4, {9}, "5 bytes left in the RIFF, too few for a chunk (byte 12)"},
        {"chunk too long", 0, 16, 4, {0xff, 0xff, 0xff, 0xff}, "chunk of 4294967295 bytes, "},
        {"unknown first", 0, 12, 4, {'J', 'U', 'N', 'K'}, "neither VP8, VP8L nor VP8X first (byte 12)"},
        {"ALPH first", 0, 12, 4, {'A', 'L', 'P', 'H'}, "neither VP8, VP8L nor VP8X first (byte 12)"},
        {"ANIM", 0, 12, 4, {'A', 'N', 'I', 'M'}, "an animation, one picture expected (byte 12)"},
        {"no key frame", 0, 20, 1, {0x31}, "no key frame that is shown (byte 20)"},
        {"start code", 0, 23, 1, {0}, "no key frame that is shown (byte 20)"},
        {"partition", 0, 20, 3, {0x10, 0xff, 0xff}, "first partition of "},
        {"width 0", 0, 26, 2, {0, 0}, "0 x 23 pixels: no picture (byte 20)"},
        {"scale bits are not width", 0, 26, 2, {37, 0xc0}, ""},
        {"signature", 1, 20, 1, {0x2e}, "VP8L: signature 0x2e, version 0 (byte 20)"},
        {"version", 1, 24, 1, {0x20}, "VP8L: signature 0x2f, version 1 (byte 20)"},
        {"animated flag", 2, 20, 1, {0x02}, "an animation, one picture expected (byte 20)"},
        {"canvas", 2, 24, 1, {W}, "a picture of 37 x 23 pixels on a canvas of 38 x 23 (byte 30)"},
        {"huge canvas", 2, 24, 4, {0xff, 0xff, 0xff, 0xff}, "16777216 x 256 pixels, more than 100000000"},
        {"no picture", 2, 30, 4, {'J', 'U', 'N', 'K'}, "no picture in the RIFF"},
        {"frame of an animation",
         2,
         30,
         4,
         {'A', 'N', 'M', 'F'},
         "an animation, one picture expected (byte 30)"},
        {"VP8X twice", 2, 30, 4, {'V', 'P', '8', 'X'}, "VP8X out of place (byte 30)"},
        {"short VP8X", 2, 16, 1, {8}, "VP8X of 8 bytes, 10 expected (byte 12)"},
    };
    uint8_t *rgb = test_picture(W, H);
    blob form[3] = {test_webp(rgb, W, H, (webp_how){0}), test_webp(rgb, W, H, (webp_how){.lossless = true})};

    (void)state;
    form[2] = extended(&form[0], 0, W, H);
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        blob b = copy_of(&form[row[i].form]);
        vl_image_info info;
        vl_err e;
        memcpy(b.p + row[i].at, row[i].put, (size_t)row[i].n);
        if (*row[i].words)
            refuse(row[i].name, &b, false, row[i].words);
        else
            assert_int_equal(vl_image_check(b.p, b.n, 1 << 20, &info, &e), VL_OK);
        free(b.p);
    }
    add_chunk(&form[0], "VP8 ", form[0].p + 20, 100);
    refuse("two pictures", &form[0], false, "a second picture");
    for (int i = 0; i < 3; i++)
        free(form[i].p);
    free(rgb);
}

/* A file cut anywhere is refused; every flipped bit gives a clean answer. */
static void cuts_and_flips(void **state)
{
    uint8_t *rgb = test_picture(W, H);
    blob file[3] = {test_webp(rgb, W, H, (webp_how){0}), test_webp(rgb, W, H, (webp_how){.lossless = true})};

    (void)state;
    file[2] = extended(&file[0], 0, W, H);
    for (int i = 0; i < 3; i++) {
        for (size_t n = 0; n < file[i].n; n++)
            refuse("cut", &(blob){file[i].p, n}, true, "");
        for (size_t bit = 0; bit < 8 * file[i].n; bit++) {
            uint8_t *out = NULL;
            vl_image_info info;
            vl_err e = {0};
            file[i].p[bit / 8] ^= (uint8_t)(1 << bit % 8);
            int rc = vl_image_decode(file[i].p, file[i].n, 1 << 16, &out, &info, &e);
            assert_true(rc == VL_OK || (rc == VL_EFORMAT && e.text[0]));
            free(out);
            file[i].p[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
        free(file[i].p);
    }
    free(rgb);
}

/* Bytes behind the RIFF are counted; a missing byte of padding at its end is let pass; damaged data show when
 * they are decoded. */
static void edges(void **state)
{
    uint8_t *rgb = test_picture(W, H);
    blob b = test_webp(rgb, W, H, (webp_how){.lossless = true});
    vl_image_info info;
    vl_err e;

    (void)state;
    b.p = must(realloc(b.p, b.n + 3));
    memcpy(b.p + b.n, "abc", 3);
    b.n += 3;
    assert_int_equal(vl_image_check(b.p, b.n, W * H, &info, &e), VL_OK);
    assert_int_equal(info.trailing, 3);
    assert_int_equal(info.orientation, 1);
    assert_int_equal(vl_image_check(b.p, b.n, W * H - 1, &info, &e), VL_EFORMAT);
    add_chunk(&b, "XMP ", "odd", 3); /* "abc" becomes part of the RIFF: three bytes are no chunk */
    refuse("junk between chunks", &b, false, "chunk of ");
    free(b.p);
    b = test_webp(rgb, W, H, (webp_how){.lossless = true});
    add_chunk(&b, "XMP ", "odd", 3);
    vl_put_le32(b.p + 4, (uint32_t)--b.n - 8);
    assert_int_equal(vl_image_check(b.p, b.n, W * H, &info, &e), VL_OK);
    memset(b.p + 26, 0xff, 40);
    refuse("damaged", &b, true, "WebP: the picture's data ");
    free(b.p);
    free(rgb);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kinds),          cmocka_unit_test(turned), cmocka_unit_test(broken),
        cmocka_unit_test(cuts_and_flips), cmocka_unit_test(edges),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
