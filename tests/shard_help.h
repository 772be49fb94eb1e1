/* SPDX-License-Identifier: MIT
 * shard_help.h -- what the tests of shards share: a scratch folder, small shards, whole readings. */
#ifndef T_SHARD_HELP_H
#define T_SHARD_HELP_H

#include "formats/seektab.h"
#include "formats/shard.h"
#include "formats/tail.h"
#include "formats/tarhead.h"

#include <fcntl.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <xxhash.h>

#include <cmocka.h>

static char dir[64];              /* the scratch folder a test works in */
static vls_write_opts write_opts; /* of writer(); {0} unless a test sets it */

static inline int enter(void **state)
{
    (void)state;
    write_opts = (vls_write_opts){0};
    /* many small files and syncs: in memory where the system has such a folder */
    strcpy(dir, access("/dev/shm", W_OK) ? "/tmp/t_shard.XXXXXX" : "/dev/shm/t_shard.XXXXXX");
    return !mkdtemp(dir) || chdir(dir);
}

static inline int leave(void **state)
{
    char cmd[96];

    (void)state;
    snprintf(cmd, sizeof cmd, "cd / && rm -rf %s", dir);
    return system(cmd);
}

/* ---- helpers -------------------------------------------------------------------------------- */

static inline void slurp(const char *path, uint8_t **p, size_t *n)
{
    FILE *f = fopen(path, "rb");
    long size;

    assert_non_null(f);
    assert_int_equal(fseek(f, 0, SEEK_END), 0);
    size = ftell(f);
    rewind(f);
    *p = malloc((size_t)size + 1);
    assert_non_null(*p);
    *n = fread(*p, 1, (size_t)size, f);
    assert_int_equal(*n, size);
    fclose(f);
}

static inline void spill(const char *path, const uint8_t *p, size_t n)
{
    FILE *f = fopen(path, "wb");

    assert_non_null(f);
    assert_int_equal(fwrite(p, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

static inline vls_writer *writer(const char *path)
{
    vls_writer *w = NULL;
    vl_err e;

    if (vls_writer_open_opts(path, &write_opts, &w, &e))
        fail_msg("%s", e.text);
    return w;
}

static inline void begin(vls_writer *w, const char *kind)
{
    json_t *m = json_pack("{s:s, s:s}", "kind", kind, "tool", "t_shard");
    vl_err e;

    if (vls_segment_begin(w, m, 0, &e))
        fail_msg("%s", e.text);
    json_decref(m);
}

static inline int try_add(vls_writer *w, const char *key, const char *ext, const void *p, size_t n, vl_err *e)
{
    vls_member m[2] = {{ext, p, n}, {"txt", (const uint8_t *)key, strlen(key)}};
    vls_record rec = {key, m, 2};

    return vls_add(w, &rec, e);
}

static inline void add(vls_writer *w, const char *key, const char *ext, const void *p, size_t n)
{
    vl_err e;

    if (try_add(w, key, ext, p, n, &e))
        fail_msg("%s", e.text);
}

static inline void end_and_close(vls_writer *w)
{
    vl_err e;

    if (vls_segment_end(w, &e) || vls_writer_close(w, &e))
        fail_msg("%s", e.text);
}

/* n records k-00000000 ... of `bytes` bytes that do not compress, in each of `segments` segments. */
static inline void make(const char *path, int segments, int n, size_t bytes)
{
    vls_writer *w = writer(path);
    uint8_t *noise = malloc(bytes + 1);
    uint32_t x = 1;
    char key[64];
    vl_err e;
    int s, i;
    size_t k;

    assert_non_null(noise);
    for (s = 0; s < segments; s++) {
        begin(w, "pairs");
        for (i = 0; i < n; i++) {
            for (k = 0; k < bytes; k++)
                noise[k] = (uint8_t)((x = x * 1664525 + 1013904223) >> 24);
            snprintf(key, sizeof key, "k-%08d", s * n + i);
            add(w, key, "bin", noise, bytes);
        }
        if (vls_segment_end(w, &e))
            fail_msg("%s", e.text);
    }
    free(noise);
    if (vls_writer_close(w, &e))
        fail_msg("%s", e.text);
}

/* What a reading gave: every record's bytes as one text, and how it ended. */
typedef struct reading {
    vl_buf log;
    int rc; /* 0 or the error */
    vl_err e;
    vls_read_counts counts;
    vls_parent id;
} reading;

static inline void note(vl_buf *log, const vls_record *rec, const vls_segment *seg)
{
    vl_err e;
    size_t i;
    int rc = vl_buf_fmt(log, &e, "%s %s", seg->kind, rec->key);

    for (i = 0; !rc && i < rec->n_members; i++) {
        rc = vl_buf_fmt(log, &e, " %s=", rec->members[i].ext);
        if (!rc)
            rc = vl_buf_add(log, rec->members[i].data, rec->members[i].n, &e);
    }
    assert_int_equal(rc, 0);
}

static inline reading read_all(const char *path, const vls_read_opts *opts)
{
    reading out = {.rc = 0};
    vls_reader *r = NULL;
    vls_record rec;
    const vls_segment *seg;

    out.rc = vls_reader_open(path, opts, &r, &out.e);
    if (out.rc)
        return out;
    while ((out.rc = vls_next(r, &rec, &seg, &out.e)) == 1)
        note(&out.log, &rec, seg);
    if (out.rc) { /* stays so, with the same text */
        vl_err again;
        assert_int_equal(vls_next(r, &rec, &seg, &again), out.rc);
        assert_string_equal(again.text, out.e.text);
    }
    out.counts = *vls_reader_counts(r);
    vls_reader_id(r, &out.id);
    vls_reader_close(r);
    return out;
}

/* The same bytes, written into a pipe on standard input by a child. */
static inline reading read_pipe(const uint8_t *p, size_t n)
{
    int fd[2], keep = dup(STDIN_FILENO), status;
    reading out;
    pid_t pid;

    assert_int_equal(pipe(fd), 0);
    pid = fork();
    if (pid == 0) {
        close(fd[0]);
        while (n) {
            ssize_t k = write(fd[1], p, n < 777 ? n : 777);
            if (k <= 0)
                break;
            p += k;
            n -= (size_t)k;
        }
        _exit(0);
    }
    close(fd[1]);
    assert_int_equal(dup2(fd[0], STDIN_FILENO), STDIN_FILENO);
    close(fd[0]);
    out = read_all("-", NULL);
    assert_int_equal(dup2(keep, STDIN_FILENO), STDIN_FILENO);
    close(keep);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return out;
}

/* ---- damage --------------------------------------------------------------------------------- */

/* What a look at the damaged file "c" may say of it; at: the byte it is cut at, the bit that is flipped. */
typedef void (*look_fn)(const reading *whole, size_t at);

/* Every cut of a file, as file "c". */
static inline void each_cut(const char *path, look_fn look)
{
    reading whole = read_all(path, NULL);
    uint8_t *p;
    size_t n;

    assert_int_equal(whole.rc, 0);
    slurp(path, &p, &n);
    for (size_t k = 0; k < n; k++) {
        spill("c", p, k);
        look(&whole, k);
    }
    free(whole.log.p);
    free(p);
}

/* A file with each of its bits flipped in turn, as file "c". Gives the number of bits. */
static inline size_t each_bit(const char *path, look_fn look)
{
    reading whole = read_all(path, NULL);
    uint8_t *p;
    size_t n;

    assert_int_equal(whole.rc, 0);
    slurp(path, &p, &n);
    for (size_t k = 0; k < 8 * n; k++) {
        p[k / 8] ^= (uint8_t)(1 << k % 8);
        spill("c", p, n);
        look(&whole, k);
        p[k / 8] ^= (uint8_t)(1 << k % 8);
    }
    free(whole.log.p);
    free(p);
    return 8 * n;
}

/* What was given is a beginning of the true records. */
static inline void is_beginning(const reading *whole, const reading *r, const char *what, size_t at)
{
    if (r->log.n > whole->log.n || (r->log.n && memcmp(r->log.p, whole->log.p, r->log.n)))
        fail_msg("%s %zu: wrong records were released", what, at);
}

/* An error is one of format, and its message names a place. */
static inline void complains_well(const reading *r, const char *what, size_t at)
{
    if (r->rc && (r->rc != VL_EFORMAT || !strstr(r->e.text, ":")))
        fail_msg("%s %zu: code %d '%s'", what, at, r->rc, r->e.text);
}

static inline void same_log(const reading *a, const reading *b)
{
    assert_int_equal(a->log.n, b->log.n);
    if (a->log.n)
        assert_memory_equal(a->log.p, b->log.p, a->log.n);
}

#endif
