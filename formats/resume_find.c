/* SPDX-License-Identifier: MIT */
#include "formats/resume_find.h"
#include "formats/seektab.h"
#include "formats/shard.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* A run that ended early left the beginning of a shard. Anything else that has this name is not ours to cut. */
static int check_start(int fd, const char *path, vl_err *e)
{
    uint8_t want[4], have[4];
    ssize_t n = pread(fd, have, sizeof have, 0);

    vl_put_le32(want, VL_FRAME_MAGIC);
    if (n < 0)
        return vl_fail_errno(e, "%s", path);
    for (ssize_t i = 0; i < n; i++)
        if (have[i] != want[i])
            return vl_fail(e, VL_EFORMAT, "%s: is no part of a shard", path);
    return VL_OK;
}

/* Do the tables chain from the last byte to the first? */
static int ends_sealed(int fd, const char *path, bool *sealed, vl_err *e)
{
    struct stat st;
    vl_span *spans = NULL;
    size_t n = 0;
    vl_err own;
    int rc;

    if (fstat(fd, &st))
        return vl_fail_errno(e, "%s", path);
    rc = st.st_size ? vl_seektab_walk(fd, (uint64_t)st.st_size, &spans, &n, &own) : VL_EFORMAT;
    free(spans);
    *sealed = !rc;
    return !rc || rc == VL_EFORMAT ? VL_OK : vl_fail(e, rc, "%s: %s", path, own.text);
}

static int read_sealed(const char *path, bool whole, uint64_t *segments, uint64_t *bytes, vl_err *e)
{
    vls_reader *r = NULL;
    const vls_segment *seg;
    vls_record rec;
    int rc = vls_reader_open(path, NULL, &r, e);

    while (!rc && (rc = vls_next(r, &rec, &seg, e)) == 1)
        rc = VL_OK;
    if (r) {
        *segments = vls_reader_counts(r)->sealed_segments;
        *bytes = vls_reader_counts(r)->sealed_bytes;
    }
    vls_reader_close(r);
    return rc == VL_EFORMAT && !whole ? VL_OK : rc;
}

int vls_resume_find(const char *path, uint64_t *segments, uint64_t *bytes, vl_err *e)
{
    bool sealed = false;
    int fd = open(path, O_RDONLY | O_CLOEXEC), rc;

    *segments = *bytes = 0;
    if (fd < 0)
        return vl_fail_errno(e, "%s", path);
    rc = check_start(fd, path, e);
    if (!rc)
        rc = ends_sealed(fd, path, &sealed, e);
    close(fd);
    return rc ? rc : read_sealed(path, sealed, segments, bytes, e);
}

int vls_resume_keys(const char *path, vls_keyset *keys, vl_err *e)
{
    vls_reader *r = NULL;
    const vls_segment *seg;
    vls_record rec;
    int rc = vls_reader_open(path, NULL, &r, e), got;

    if (rc)
        return rc;
    while ((got = vls_next(r, &rec, &seg, e)) == 1 && rc >= 0)
        rc = vls_keyset_add(keys, seg->kind, rec.key, e);
    vls_reader_close(r);
    return got < 0 ? got : rc < 0 ? rc : VL_OK;
}
