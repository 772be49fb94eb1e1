/* SPDX-License-Identifier: MIT
 * t_layout.c -- sources of records: what they give, in which order, and what they refuse in which words. */
#include "pipeline/layout.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

static char scratch[] = "/tmp/vlkit-layout.XXXXXX";

static int enter_scratch(void **state)
{
    (void)state;
    return !mkdtemp(scratch) || chdir(scratch);
}

static int remove_scratch(void **state)
{
    char command[64];

    (void)state;
    snprintf(command, sizeof command, "rm -rf %s", scratch);
    return chdir("/") || system(command);
}

static void put(const char *path, const char *bytes, size_t n)
{
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

/* Everything that a source gives, one line a record: "key|image|where|source|caption|..." or
 * "! message"; a fault that ends the source is "!! message". */
static char *all_of(const char *path, const char *root)
{
    static char out[65536];
    vl_layout *l = NULL;
    vl_pair p;
    vl_err e = {0};
    int rc = vl_layout_open(path, root, NULL, &l, &e);
    FILE *f = fmemopen(out, sizeof out, "w");

    assert_non_null(f);
    out[0] = 0;
    while (!rc && (rc = vl_layout_next(l, &p, &e)) != 0) {
        if (rc == VL_EFORMAT) {
            fprintf(f, "! %s\n", e.text);
        } else if (rc < 0) {
            break;
        } else {
            fprintf(f, "%s|%s|%s|%s", p.key, p.image, p.where, p.source ? p.source : "-");
            for (size_t i = 0; i < p.n_captions; i++)
                fprintf(f, "|%.*s", (int)p.caption_bytes[i], p.captions[i]);
            fprintf(f, "\n");
        }
        rc = 0;
    }
    if (rc)
        fprintf(f, "!! %s\n", e.text);
    else if (vl_layout_ignored(l))
        fprintf(f, "ignored %d\n", (int)vl_layout_ignored(l));
    assert_int_equal(fclose(f), 0);
    vl_layout_close(l);
    return out;
}

static void tsv(void **state)
{
    static const struct {
        const char *name, *bytes;
        size_t n; /* 0: strlen */
        const char *want;
    } row[] = {
        {"plain", "a/b.jpg\tone\ttwo\nc.png\tthree", 0,
         "a/b|a/b.jpg|x.tsv: record 0: a/b.jpg|-|one|two\nc|c.png|x.tsv: record 1: "
         "c.png|-|three\n"},
        {"no file name part", "a.jpg/b\tone\n", 0, "a.jpg/b|a.jpg/b|x.tsv: record 0: a.jpg/b|-|one\n"},
        {"CR LF and empty lines", "\r\na.jpg\tone\r\n\nb.jpg\ttwo\r\n\n", 0,
         "a|a.jpg|x.tsv: record 0: a.jpg|-|one\nb|b.jpg|x.tsv: record 1: b.jpg|-|two\n"},
        {"empty file", "\n", 0, ""},
        {"header",
         "key\tsource\timage\tcaption\nk1\tflickr\ta.b.jpg\tone\ttwo\n"
         "k2\t\t/abs/x.png\tthree\n",
         0,
         "k1|a.b.jpg|x.tsv: record 0: a.b.jpg|flickr|one|two\n"
         "k2|/abs/x.png|x.tsv: record 1: /abs/x.png|-|three\n"},
        {"header, captions between",
         "image\tcaption\tkey\na.jpg\tone\tk\nb.jpg\ttwo\tk\textra\n"
         "c.jpg\tthree\n",
         0,
         "k|a.jpg|x.tsv: record 0: a.jpg|-|one\n"
         "! x.tsv: record 1: 4 fields, at most 3 expected\n"
         "! x.tsv: record 2: 2 fields, at least 3 expected\n"},
        {"header, unknown column", "image\tcaption\tlabel\n", 0,
         "!! x.tsv: column 2 is 'label': image, caption, key or source expected\n"},
        {"header, twice", "image\timage\tcaption\n", 0, "!! x.tsv: column 1: a second 'image'\n"},
        {"header, no caption", "image\tkey\n", 0, "!! x.tsv: no column 'caption'\n"},
        {"header, no image", "key\tcaption\n", 0, "!! x.tsv: no column 'image'\n"},
        {"byte order mark",
         "\xef\xbb\xbf"
         "a.jpg\tone\n",
         0, "!! x.tsv: begins with a byte order mark\n"},
        {"no caption", "a.jpg\nb.jpg\ttwo\n", 0,
         "! x.tsv: record 0: 1 field, at least 2 expected\nb|b.jpg|x.tsv: record 1: b.jpg|-|two\n"},
        {"empty caption", "a.jpg\tone\t\n", 0, "! x.tsv: record 0: caption 1 is empty\n"},
        {"latin-1", "a.jpg\tcaf\xe9\nb.jpg\ttwo\n", 0,
         "! x.tsv: record 0: caption 0 is not UTF-8 (byte 3)\n"
         "b|b.jpg|x.tsv: record 1: b.jpg|-|two\n"},
        {"NUL in a caption", "a.jpg\to\0ne\n", 11,
         "! x.tsv: record 0: caption 0 holds the control character U+0000 (byte 1)\n"},
        {"NUL in a path", "a\0.jpg\tone\n", 11, "! x.tsv: record 0: image holds a NUL byte\n"},
        {"no path", "\tone\n", 0, "! x.tsv: record 0: image is empty\n"},
        {"dotted key", "my.dog.jpg\tone\n", 0,
         "! x.tsv: record 0: key 'my.dog' has a '.' in its last part\n"},
        {"parent folder", "../a.jpg\tone\n", 0,
         "! x.tsv: record 0: key '../a': a part begins with '.' or '__'\n"},
        {"absolute path as key", "/a.jpg\tone\n", 0, "! x.tsv: record 0: key '/a' has an empty part\n"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        put("x.tsv", row[i].bytes, row[i].n ? row[i].n : strlen(row[i].bytes));
        const char *got = all_of("x.tsv", "");
        if (strcmp(got, row[i].want) != 0)
            fail_msg("%s: got\n%sexpected\n%s", row[i].name, got, row[i].want);
    }
}

static void tsv_roots(void **state)
{
    (void)state;
    mkdir("d", 0777);
    put("d/x.tsv", "a.jpg\tone\n", 10);
    assert_string_equal(all_of("d/x.tsv", NULL), "a|d/a.jpg|d/x.tsv: record 0: a.jpg|-|one\n");
    assert_string_equal(all_of("d/x.tsv", "e"), "a|e/a.jpg|d/x.tsv: record 0: a.jpg|-|one\n");
    assert_string_equal(all_of("d/x.tsv", "/"), "a|/a.jpg|d/x.tsv: record 0: a.jpg|-|one\n");
    assert_string_equal(all_of("d", "e"), "!! d is a folder: a root is for TSV and JSON only\n");
    assert_string_equal(all_of("absent", NULL), "!! absent: No such file or directory\n");
}

/* Memory stays bounded whatever the lines are, and the source goes on behind a line too long. */
static void tsv_limits(void **state)
{
    size_t n = VL_LAYOUT_LINE_MAX + 10;
    char *s = malloc(n + 32);

    (void)state;
    assert_non_null(s);
    memset(s, 'x', n);
    memcpy(s, "a.jpg\tone\n", 10);
    memcpy(s + n, "xx\nb.jpg\ttwo\n", 13);
    put("x.tsv", s, n + 13);
    assert_string_equal(all_of("x.tsv", ""), "a|a.jpg|x.tsv: record 0: a.jpg|-|one\n"
                                             "! x.tsv: record 1: line of more than 1048576 bytes\n"
                                             "b|b.jpg|x.tsv: record 2: b.jpg|-|two\n");
    memcpy(s, "a.jpg", 5);
    for (n = 5; n < 5 + 2 * (VL_LAYOUT_CAPTIONS_MAX + 1); n += 2)
        memcpy(s + n, "\tc", 2);
    put("x.tsv", s, n);
    assert_string_equal(all_of("x.tsv", ""), "! x.tsv: record 0: more than 1024 captions\n");
    free(s);
}

static void folder(void **state)
{
    static const char *const files[] = {
        "f/a-b.jpg", "f/a-b.txt", "f/a.jpg",      "f/a.txt",      "f/a/c.PNG",      "f/a/c.txt",
        "f/b.jpeg",  "f/b.txt",   "f/a/notes.md", "f/readme.txt", "f/.hidden.jpg",  "f/__x.jpg",
        "f/__x.txt", "f/d.e.png", "f/d.e.txt",    "f/lonely.png", "f/a/.git/x.jpg",
    };

    (void)state;
    mkdir("f", 0777);
    mkdir("f/a", 0777);
    mkdir("f/a/.git", 0777);
    mkdir("f/empty", 0777);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        put(files[i], "one\n\ntwo\r\n", 10);
    put("f/b.txt", "caf\xe9", 4);
    put("f/a.txt", "\n\n", 2);
    const char *want = "! f/__x.jpg: key '__x': a part begins with '.' or '__'\n"
                       "a-b|f/a-b.jpg|f/a-b.jpg|-|one|two\n"
                       "! f/a.txt: holds no caption\n"
                       "a/c|f/a/c.PNG|f/a/c.PNG|-|one|two\n"
                       "! f/b.txt: caption 0 is not UTF-8 (byte 3)\n"
                       "! f/d.e.png: key 'd.e' has a '.' in its last part\n"
                       "! f/lonely.png: no lonely.txt beside it\n"
                       "ignored 6\n"; /* .git .hidden.jpg notes.md readme.txt __x.txt d.e.txt */
    assert_string_equal(all_of("f", NULL), want);
    char twice[4096];
    snprintf(twice, sizeof twice, "%s", all_of("f/", NULL));
    assert_string_equal(twice, want);
}

static void links(void **state)
{
    (void)state;
    mkdir("l", 0777);
    mkdir("l/sub", 0777);
    mkdir("outside", 0777);
    put("outside/o.jpg", "x", 1);
    put("outside/o.txt", "o\n", 2);
    put("l/in.jpg", "x", 1);
    put("l/in.txt", "in\n", 3);
    put("l/out.txt", "out\n", 4);
    put("l/words.jpg", "x", 1);
    assert_int_equal(symlink("../in.jpg", "l/sub/near.jpg"), 0);
    assert_int_equal(symlink("../in.txt", "l/sub/near.txt"), 0);
    assert_int_equal(symlink("../outside/o.jpg", "l/out.jpg"), 0);
    assert_int_equal(symlink("../outside/o.txt", "l/words.txt"), 0);
    assert_int_equal(symlink("../outside", "l/folder"), 0);
    assert_int_equal(symlink("..", "l/sub/loop"), 0);
    assert_int_equal(symlink("nothing", "l/sub/dangling.jpg"), 0);
    put("l/sub/dangling.txt", "d\n", 2);
    assert_string_equal(all_of("l", NULL), "in|l/in.jpg|l/in.jpg|-|in\n"
                                           "! l/out.jpg: symbolic link leads out of l\n"
                                           "! l/sub/dangling.jpg: No such file or directory\n"
                                           "sub/near|l/sub/near.jpg|l/sub/near.jpg|-|in\n"
                                           "! l/words.txt: symbolic link leads out of l\n"
                                           "ignored 2\n"); /* the two links to folders */
}

static void too_deep(void **state)
{
    char path[512] = "deep";

    (void)state;
    for (int i = 0; i < 70; i++) {
        assert_int_equal(mkdir(path, 0777), 0);
        memcpy(path + strlen(path), "/d", 3);
    }
    assert_non_null(strstr(all_of("deep", NULL), "more than 64 folders deep"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tsv),    cmocka_unit_test(tsv_roots), cmocka_unit_test(tsv_limits),
        cmocka_unit_test(folder), cmocka_unit_test(links),     cmocka_unit_test(too_deep),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, enter_scratch, remove_scratch);
}
