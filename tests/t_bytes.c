/* SPDX-License-Identifier: MIT
 * t_bytes.c -- loads, stores, cursor, buffer; and output files, which are complete or absent. */
#include "formats/bytes.h"
#include "formats/outfile.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void loads_and_stores(void **state)
{
    uint8_t b[9] = {0xff, 1, 2, 3, 4, 5, 6, 7, 0x88}; /* read at odd addresses, too */

    (void)state;
    assert_int_equal(vl_le16(b + 1), 0x0201);
    assert_int_equal(vl_le24(b + 1), 0x030201);
    assert_int_equal(vl_le32(b + 5), 0x88070605);
    assert_true(vl_le64(b + 1) == UINT64_C(0x8807060504030201));
    vl_put_le16(b + 1, 0xa1b2);
    assert_memory_equal(b, "\xff\xb2\xa1\x03", 4);
    vl_put_le32(b + 1, 0xa1b2c3d4);
    assert_memory_equal(b, "\xff\xd4\xc3\xb2\xa1\x05", 6);
    vl_put_le64(b + 1, UINT64_C(0x1122334455667788));
    assert_memory_equal(b, "\xff\x88\x77\x66\x55\x44\x33\x22\x11", 9);
}

static void cursor_stays_inside(void **state)
{
    const uint8_t b[] = {1, 2, 3, 4, 5, 6, 7};
    vl_cursor c = vl_cur(b, sizeof b);

    (void)state;
    assert_int_equal(vl_cur_u8(&c), 1);
    assert_int_equal(vl_cur_u16(&c), 0x0302);
    assert_int_equal(vl_cur_left(&c), 4);
    assert_int_equal(vl_cur_u64(&c), 0);
    assert_true(c.over);
    assert_int_equal(vl_cur_left(&c), 4); /* nothing moved */
    assert_int_equal(vl_cur_u8(&c), 0);   /* and it stays over */
    c = vl_cur(b, sizeof b);
    assert_null(vl_cur_bytes(&c, SIZE_MAX));
    c = vl_cur(b, sizeof b);
    assert_int_equal(vl_cur_u32(&c), 0x04030201);
    assert_ptr_equal(vl_cur_bytes(&c, 3), b + 4);
    assert_false(c.over);
}

static void buffer_grows_and_drops(void **state)
{
    vl_buf b = {0};
    vl_err e;
    char hex[9];
    int i;

    (void)state;
    for (i = 0; i < 1000; i++)
        assert_int_equal(vl_buf_fmt(&b, &e, "%03d,", i), VL_OK);
    assert_int_equal(b.n, 4000);
    vl_buf_drop(&b, 3992);
    assert_memory_equal(b.p, "998,999,", 8);
    vl_buf_drop(&b, 8);
    assert_int_equal(b.n, 0);
    assert_int_equal(vl_buf_add(&b, "xy", 2, &e), VL_OK);
    assert_int_equal(vl_buf_room(&b, SIZE_MAX, &e), VL_ENOMEM);
    assert_memory_equal(b.p, "xy", 2);
    free(b.p);
    vl_hex((const uint8_t *)"\x00\x9f\xab\xff", 4, hex);
    assert_string_equal(hex, "009fabff");
}

/* ---- output files --------------------------------------------------------------------------- */

static char dir[64];

static int enter(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/t_bytes.XXXXXX");
    return !mkdtemp(dir) || chdir(dir);
}

static int leave(void **state)
{
    char cmd[96];

    (void)state;
    snprintf(cmd, sizeof cmd, "cd / && rm -rf %s", dir);
    return system(cmd);
}

static void expect_file(const char *name, const char *text)
{
    char got[64] = {0};
    FILE *f = fopen(name, "r");

    assert_non_null(f);
    assert_int_equal(fread(got, 1, sizeof got - 1, f), strlen(text));
    fclose(f);
    assert_string_equal(got, text);
}

static int entries(void)
{
    FILE *p = popen("ls -A | wc -l", "r");
    int n = -1;

    assert_non_null(p);
    assert_int_equal(fscanf(p, "%d", &n), 1);
    pclose(p);
    return n;
}

static void appears_whole(void **state)
{
    vl_outfile *f;
    vl_err e;

    (void)state;
    assert_int_equal(vl_write_file("a", "old", 3, &e), VL_OK);
    expect_file("a", "old");
    assert_int_equal(symlink("a", "link"), 0);
    assert_int_equal(vl_outfile_open("link", &f, &e), VL_OK);
    assert_int_equal(vl_outfile_write(f, "new!", 4, &e), VL_OK);
    expect_file("a", "old"); /* until commit */
    assert_int_equal(entries(), 3);
    assert_int_equal(vl_outfile_commit(f, &e), VL_OK);
    expect_file("a", "new!"); /* the link's file, and the link is still one */
    assert_int_equal(entries(), 2);
    assert_int_equal(vl_outfile_open("a", &f, &e), VL_OK);
    assert_int_equal(vl_outfile_write(f, "half", 4, &e), VL_OK);
    vl_outfile_abort(f);
    expect_file("a", "new!");
    assert_int_equal(entries(), 2);
}

static void refuses_bad_targets(void **state)
{
    vl_outfile *f;
    vl_err e;

    (void)state;
    assert_int_equal(vl_outfile_open(".", &f, &e), VL_EIO);
    assert_string_equal(e.text, ".: is a folder");
    assert_int_equal(vl_outfile_open("no/such", &f, &e), VL_EIO);
    assert_string_equal(e.text, "no/such: No such file or directory");
    assert_int_equal(vl_write_file("/dev/full", "x", 1, &e), VL_EIO);
    assert_string_equal(e.text, "/dev/full: write at byte 0: No space left on device");
    assert_int_equal(vl_write_file("/dev/null", "x", 1, &e), VL_OK);
    assert_int_equal(entries(), 0);
}

static void on_term(int sig)
{
    vl_outfile_on_signal();
    signal(sig, SIG_DFL);
    raise(sig);
}

static void signal_unlinks(void **state)
{
    int status;
    pid_t pid;

    (void)state;
    pid = fork();
    if (pid == 0) {
        vl_outfile *f, *g;
        if (vl_outfile_open("a", &f, NULL) || vl_outfile_open("b", &g, NULL) ||
            vl_outfile_write(f, "x", 1, NULL) || entries() != 2)
            _exit(1);
        signal(SIGTERM, on_term);
        raise(SIGTERM);
        _exit(2);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
    assert_int_equal(entries(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loads_and_stores),
        cmocka_unit_test(cursor_stays_inside),
        cmocka_unit_test(buffer_grows_and_drops),
        cmocka_unit_test_setup_teardown(appears_whole, enter, leave),
        cmocka_unit_test_setup_teardown(refuses_bad_targets, enter, leave),
        cmocka_unit_test_setup_teardown(signal_unlinks, enter, leave),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
