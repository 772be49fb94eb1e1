/* SPDX-License-Identifier: MIT
 * t_format.c -- FORMAT.md's worked example is what the code writes and reads. */
#include "tests/shard_help.h"

#include <zstd.h>

#define EXAMPLE_ZSTD 10504 /* the version that FORMAT.md names */

static char top[4096];

/* The bytes of the page's ```hex block: offset, up to 16 pairs of digits, '|' and a comment. */
static void example(vl_buf *out)
{
    char line[256], path[sizeof top + 16], *at, *end;
    bool inside = false;
    vl_err e;
    FILE *f;

    snprintf(path, sizeof path, "%s/FORMAT.md", top);
    f = fopen(path, "r");
    assert_non_null(f);
    while (fgets(line, sizeof line, f)) {
        if (!strncmp(line, "```", 3)) {
            inside = !strncmp(line, "```hex", 6);
            continue;
        }
        if (!inside)
            continue;
        assert_int_equal(strtoul(line, &at, 16), out->n); /* the offsets are right, too */
        for (;;) {
            uint8_t byte = (uint8_t)strtoul(at, &end, 16);
            if (end == at)
                break;
            assert_int_equal(vl_buf_add(out, &byte, 1, &e), 0);
            at = end;
        }
    }
    fclose(f);
}

static void decode(const vl_buf *file, vl_buf *raw)
{
    size_t at = 0, n, cap = 1 << 16;
    vl_err e;

    assert_int_equal(vl_buf_room(raw, cap, &e), 0);
    while (at < file->n) {
        n = ZSTD_findFrameCompressedSize(file->p + at, file->n - at);
        assert_false(ZSTD_isError(n));
        size_t k = ZSTD_decompress(raw->p + raw->n, cap - raw->n, file->p + at, n);
        assert_false(ZSTD_isError(k));
        raw->n += k;
        at += n;
    }
}

static void write_boat(vl_buf *file)
{
    vls_member m = {"txt", (const uint8_t *)"a red boat", 10};
    vls_record rec = {"boat", &m, 1};
    json_t *manifest = json_pack("{s:s}", "kind", "pairs");
    vls_writer *w = writer("boat");
    vl_err e;

    assert_int_equal(vls_segment_begin(w, manifest, 0, &e), 0);
    assert_int_equal(vls_add(w, &rec, &e), 0);
    end_and_close(w);
    json_decref(manifest);
    slurp("boat", &file->p, &file->n);
}

static void worked_example(void **state)
{
    vl_buf page = {0}, mine = {0}, page_raw = {0}, mine_raw = {0};
    reading r;

    (void)state;
    example(&page);
    assert_int_equal(page.n, 655);
    spill("page", page.p, page.n);
    r = read_all("page", NULL);
    if (r.rc)
        fail_msg("%s", r.e.text);
    assert_int_equal(r.log.n, strlen("pairs boat txt=a red boat"));
    assert_memory_equal(r.log.p, "pairs boat txt=a red boat", r.log.n);
    assert_string_equal(r.id.id, "dedc889bec3d6bc179ac67e01f43b4dff02c1568538dea2aaa66d2420a472072");
    write_boat(&mine);
    decode(&page, &page_raw);
    decode(&mine, &mine_raw);
    assert_int_equal(page_raw.n, mine_raw.n); /* holds for every version of zstd */
    assert_memory_equal(page_raw.p, mine_raw.p, mine_raw.n);
    if (ZSTD_versionNumber() == EXAMPLE_ZSTD) {
        assert_int_equal(page.n, mine.n);
        assert_memory_equal(page.p, mine.p, mine.n);
    }
    free(page.p);
    free(mine.p);
    free(page_raw.p);
    free(mine_raw.p);
    free(r.log.p);
}

/* The terminator is the 52 bytes that the page gives: 1024 zero bytes and a table of one frame. */
static void terminator(void **state)
{
    static const uint8_t zeros[1024];
    uint8_t raw[1024];
    vl_frame f = {23, 1024, vl_le32(vl_term + 19)};
    vl_seektab t = {0};
    vl_buf out = {0};
    vl_err e;

    (void)state;
    assert_int_equal(ZSTD_decompress(raw, sizeof raw, vl_term, 23), 1024);
    assert_memory_equal(raw, zeros, 1024);
    assert_int_equal(f.sum, (uint32_t)XXH64(zeros, 1024, 0));
    assert_int_equal(vl_seektab_add(&t, &f, &e), 0);
    assert_int_equal(vl_seektab_build(&t, &out, &e), 0);
    assert_int_equal(out.n, VL_TERM_BYTES - 23);
    assert_memory_equal(out.p, vl_term + 23, out.n);
    free(t.b.p);
    free(out.p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(worked_example, enter, leave),
        cmocka_unit_test_setup_teardown(terminator, enter, leave),
    };

    if (!getcwd(top, sizeof top))
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
