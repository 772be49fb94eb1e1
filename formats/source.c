/* SPDX-License-Identifier: MIT */
#include "formats/source.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SOURCE_BUF = 1 << 16 };

int vl_source_open(const char *path, vl_source *s, vl_err *e)
{
    struct stat st;

    *s = (vl_source){.fd = -1};
    s->buf = vl_alloc(SOURCE_BUF, 1, e);
    if (!s->buf)
        return VL_ENOMEM;
    if (!strcmp(path, "-")) {
        s->fd = STDIN_FILENO;
    } else {
        s->fd = open(path, O_RDONLY | O_CLOEXEC);
        s->close_fd = true;
    }
    if (s->fd < 0 || fstat(s->fd, &st)) {
        vl_fail_errno(e, "open");
        vl_source_close(s);
        return VL_EIO;
    }
    if (S_ISDIR(st.st_mode)) {
        vl_source_close(s);
        return vl_fail(e, VL_EIO, "is a folder");
    }
    if (S_ISREG(st.st_mode) && lseek(s->fd, 0, SEEK_CUR) == 0) {
        s->regular = true;
        s->size = (uint64_t)st.st_size;
    }
    return VL_OK;
}

/* As read(2), but interrupted calls go on. */
static int read_some(vl_source *s, uint8_t *p, size_t n, size_t *got, vl_err *e)
{
    ssize_t k;

    do
        k = read(s->fd, p, n);
    while (k < 0 && errno == EINTR);
    if (k < 0)
        return vl_fail_errno(e, "read at byte %" PRIu64, s->at);
    *got = (size_t)k;
    return VL_OK;
}

int vl_source_read(vl_source *s, uint8_t *p, size_t n, size_t *got, vl_err *e)
{
    size_t k = 0;
    int rc;

    for (*got = 0; n; n -= k, p += k, *got += k, s->at += k) {
        if (s->lo < s->hi) {
            k = s->hi - s->lo < n ? s->hi - s->lo : n;
            memcpy(p, s->buf + s->lo, k);
            s->lo += k;
            continue;
        }
        if (n >= SOURCE_BUF) {
            rc = read_some(s, p, n, &k, e);
        } else {
            s->lo = s->hi = 0;
            rc = read_some(s, s->buf, SOURCE_BUF, &s->hi, e);
            k = 0;
            if (!rc && s->hi)
                continue; /* k is 0: nothing moves, the next round copies */
        }
        if (rc)
            return rc;
        if (!k)
            return VL_OK;
    }
    return VL_OK;
}

int vl_source_peek(vl_source *s, size_t n, const uint8_t **p, size_t *got, vl_err *e)
{
    size_t k = 1;
    int rc;

    if (s->lo)
        memmove(s->buf, s->buf + s->lo, s->hi - s->lo);
    s->hi -= s->lo;
    s->lo = 0;
    while (k && s->hi < n) {
        rc = read_some(s, s->buf + s->hi, SOURCE_BUF - s->hi, &k, e);
        if (rc)
            return rc;
        s->hi += k;
    }
    *p = s->buf;
    *got = s->hi < n ? s->hi : n;
    return VL_OK;
}

int vl_source_skip(vl_source *s, uint64_t n, vl_err *e)
{
    uint8_t piece[4096];
    size_t k, got = 1;
    int rc = VL_OK;

    for (; !rc && n && got; n -= got) {
        k = n < sizeof piece ? (size_t)n : sizeof piece;
        rc = vl_source_read(s, piece, k, &got, e);
    }
    return rc;
}

int vl_source_unread(vl_source *s, const uint8_t *p, size_t n, vl_err *e)
{
    size_t rest = s->hi - s->lo, all = n + rest;
    uint8_t *buf = vl_alloc(all > SOURCE_BUF ? all : SOURCE_BUF, 1, e);

    if (!buf)
        return VL_ENOMEM;
    memcpy(buf, p, n);
    memcpy(buf + n, s->buf + s->lo, rest);
    free(s->buf);
    s->buf = buf;
    s->lo = 0;
    s->hi = all;
    s->at -= n;
    return VL_OK;
}

int vl_source_seek(vl_source *s, uint64_t at, vl_err *e)
{
    if (!s->regular)
        return vl_fail(e, VL_EARG, "a pipe cannot seek");
    if (lseek(s->fd, (off_t)at, SEEK_SET) < 0)
        return vl_fail_errno(e, "seek to byte %" PRIu64, at);
    s->at = at;
    s->lo = s->hi = 0;
    return VL_OK;
}

void vl_source_close(vl_source *s)
{
    if (s->close_fd && s->fd >= 0)
        close(s->fd);
    free(s->buf);
    *s = (vl_source){.fd = -1};
}

int vl_pread_all(int fd, uint64_t at, uint8_t *p, size_t n, vl_err *e)
{
    ssize_t k;

    while (n) {
        k = pread(fd, p, n, (off_t)at);
        if (k < 0 && errno == EINTR)
            continue;
        if (k < 0)
            return vl_fail_errno(e, "read at byte %" PRIu64, at);
        if (!k)
            return vl_fail(e, VL_EFORMAT, "truncated: file ends at byte %" PRIu64, at);
        p += k;
        n -= (size_t)k;
        at += (uint64_t)k;
    }
    return VL_OK;
}
