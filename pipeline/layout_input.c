/* SPDX-License-Identifier: MIT
 * layout_input.c -- the file behind a source, and what it is by its first bytes. */
#include "pipeline/layout.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static ssize_t read_again(int fd, void *to, size_t n)
{
    ssize_t got;

    do
        got = read(fd, to, n);
    while (got < 0 && errno == EINTR);
    return got;
}

int vl_input_open(const char *path, vl_input **out, vl_err *e)
{
    bool std = !strcmp(path, "-");
    vl_input *in = vl_alloc(1, sizeof *in, e);
    ssize_t got = 1;
    int rc = VL_ENOMEM;

    if (!in)
        return rc;
    in->fd = STDIN_FILENO;
    if (!(in->name = vl_strdup(std ? "standard input" : path, e)))
        goto out;
    rc = VL_OK;
    if (!std) {
        in->fd = open(path, O_RDONLY | O_CLOEXEC);
        in->close_fd = in->fd >= 0;
        if (in->fd < 0) {
            rc = vl_fail_errno(e, "%s", path);
            goto out;
        }
    }
    while (got > 0 && in->n < sizeof in->head) {
        got = read_again(in->fd, in->head + in->n, sizeof in->head - in->n);
        if (got < 0)
            rc = vl_fail_errno(e, "%s", in->name);
        else
            in->n += (size_t)got;
    }
out:
    if (rc)
        vl_input_close(in);
    else
        *out = in;
    return rc;
}

ssize_t vl_input_read(vl_input *in, void *to, size_t n)
{
    size_t left = in->n - in->at;

    if (!left)
        return read_again(in->fd, to, n);
    n = n < left ? n : left;
    memcpy(to, in->head + in->at, n);
    in->at += n;
    return (ssize_t)n;
}

void vl_input_close(vl_input *in)
{
    if (!in)
        return;
    if (in->close_fd)
        close(in->fd);
    free(in->name);
    free(in);
}

/* The sum over a tar header with its own eight digits as spaces; old writers added signed bytes. */
static bool tar_header(const uint8_t *p)
{
    char digits[9] = {0};
    long sum = 0, plain = 0;

    for (int i = 0; i < 512; i++) {
        bool own = i >= 148 && i < 156;
        sum += own ? ' ' : p[i];
        plain += own ? ' ' : (int8_t)p[i];
    }
    memcpy(digits, p + 148, 8);
    long said = strtol(digits, NULL, 8);
    return said && (said == sum || said == plain);
}

static size_t blanks(const vl_input *in, size_t at)
{
    while (at < in->n && memchr(" \t\r\n", in->head[at], 4))
        at++;
    return at;
}

/* An object with a member, or an array of objects. A path in a TSV may hold any byte, but not begin like this. */
static bool json(const vl_input *in)
{
    size_t at = blanks(in, 0), next = blanks(in, at + 1);

    return next < in->n &&
           ((in->head[at] == '{' && in->head[next] == '"') || (in->head[at] == '[' && in->head[next] == '{'));
}

vl_input_kind vl_input_sniff(const vl_input *in)
{
    const uint8_t *p = in->head;

    if (in->n >= 2 && !memcmp(p, "\x1f\x8b", 2))
        return VL_INPUT_TAR;
    if (in->n >= 4 &&
        (!memcmp(p, "\x28\xb5\x2f\xfd", 4) || ((p[0] & 0xf0) == 0x50 && !memcmp(p + 1, "\x2a\x4d\x18", 3))))
        return VL_INPUT_TAR;
    if (in->n == sizeof in->head && (tar_header(p) || (!*p && !memcmp(p, p + 1, 511))))
        return VL_INPUT_TAR;
    return json(in) ? VL_INPUT_JSON : VL_INPUT_TSV;
}
