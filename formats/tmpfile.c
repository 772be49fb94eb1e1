/* SPDX-License-Identifier: MIT */
#include "formats/tmpfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

const char *vl_tmp_folder(void)
{
    const char *folder = getenv("TMPDIR");

    return folder && *folder ? folder : "/tmp";
}

int vl_tmpfile(int *fd, vl_err *e)
{
    char path[4096];

    *fd = -1;
    if ((size_t)snprintf(path, sizeof path, "%s/vlkit.XXXXXX", vl_tmp_folder()) >= sizeof path)
        return vl_fail(e, VL_EIO, "TMPDIR is too long");
    *fd = mkostemp(path, O_CLOEXEC);
    if (*fd >= 0 && !unlink(path))
        return VL_OK;
    vl_fail_errno(e, "temporary copy in %s", vl_tmp_folder());
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
    return VL_EIO;
}

int vl_tmp_write(int fd, const void *p, size_t n, vl_err *e)
{
    const char *at = p;

    while (n) {
        ssize_t k = write(fd, at, n);
        if (k < 0 && errno == EINTR)
            continue;
        if (k < 0)
            return vl_fail_errno(e, "temporary copy in %s", vl_tmp_folder());
        at += k;
        n -= (size_t)k;
    }
    return VL_OK;
}
