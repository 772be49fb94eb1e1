/* SPDX-License-Identifier: MIT */
#include "cli/spool.h"

#include "formats/tmpfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BLOCK = 1 << 16 };

static int copy(int from, int to, vl_err *e)
{
    char block[BLOCK];

    for (;;) {
        int rc;
        ssize_t n = read(from, block, sizeof block);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return vl_fail_errno(e, "read");
        if (!n)
            return VL_OK;
        rc = vl_tmp_write(to, block, (size_t)n, e);
        if (rc)
            return rc;
    }
}

int cli_spool_open(const char *operand, cli_spool *s, vl_err *e)
{
    bool dash = !strcmp(operand, "-");
    struct stat st;
    int in, rc;

    *s = (cli_spool){.operand = operand, .name = dash ? "standard input" : operand, .fd = -1};
    if (!dash && (stat(operand, &st) || S_ISREG(st.st_mode) || S_ISDIR(st.st_mode)))
        return VL_OK; /* whoever opens it says what is wrong with it */
    in = dash ? STDIN_FILENO : open(operand, O_RDONLY | O_CLOEXEC);
    if (in < 0)
        rc = vl_fail_errno(e, "open");
    else if (!(rc = vl_tmpfile(&s->fd, e)))
        rc = copy(in, s->fd, e);
    if (!dash && in >= 0)
        close(in);
    snprintf(s->path, sizeof s->path, "/proc/self/fd/%d", s->fd);
    return rc ? vl_within(e, "%s", s->name) : VL_OK;
}

const char *cli_spool_path(const cli_spool *s)
{
    return s->path[0] ? s->path : s->operand;
}

void cli_spool_close(cli_spool *s)
{
    if (s->fd >= 0)
        close(s->fd);
    *s = (cli_spool){.fd = -1};
}
