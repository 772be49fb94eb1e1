/* SPDX-License-Identifier: MIT */
#include "formats/zip_store.h"

#include "formats/outfile.h"

#include <archive.h>
#include <archive_entry.h>
#include <stdlib.h>

struct vl_zip {
    struct archive *a;
    vl_outfile *f;
    vl_err why; /* what the file said, which libarchive would not pass on */
};

static la_ssize_t put(struct archive *a, void *ctx, const void *p, size_t n)
{
    vl_zip *z = ctx;

    (void)a;
    return vl_outfile_write(z->f, p, n, &z->why) ? -1 : (la_ssize_t)n;
}

static int said(vl_zip *z, vl_err *e)
{
    const char *text = archive_error_string(z->a);

    if (z->why.code) {
        if (e)
            *e = z->why;
        return z->why.code;
    }
    return vl_fail(e, VL_EIO, "%s: zip: %s", vl_outfile_name(z->f), text ? text : "libarchive failed");
}

int vl_zip_open(const char *path, vl_zip **out, vl_err *e)
{
    vl_zip *z = vl_alloc(1, sizeof *z, e);
    int rc;

    if (!z)
        return VL_ENOMEM;
    rc = vl_outfile_open(path, &z->f, e);
    if (!rc && !(z->a = archive_write_new()))
        rc = vl_fail(e, VL_ENOMEM, "out of memory: zip");
    if (!rc &&
        (archive_write_set_format_zip(z->a) || archive_write_zip_set_compression_store(z->a) ||
         archive_write_set_bytes_in_last_block(z->a, 1) || archive_write_open(z->a, z, NULL, put, NULL)))
        rc = said(z, e);
    if (rc)
        vl_zip_abort(z);
    else
        *out = z;
    return rc;
}

/* No time is set: libarchive then writes the earliest that the format knows, in every time zone. */
int vl_zip_entry(vl_zip *z, const char *name, uint64_t bytes, vl_err *e)
{
    struct archive_entry *entry = archive_entry_new();
    int rc = VL_OK;

    if (!entry)
        return vl_fail(e, VL_ENOMEM, "out of memory: zip");
    archive_entry_set_pathname_utf8(entry, name);
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_entry_set_perm(entry, 0644);
    archive_entry_set_size(entry, (la_int64_t)bytes);
    if (archive_write_header(z->a, entry) < ARCHIVE_WARN)
        rc = said(z, e);
    archive_entry_free(entry);
    return rc;
}

int vl_zip_data(vl_zip *z, const void *p, size_t n, vl_err *e)
{
    const char *at = p;

    while (n) {
        la_ssize_t k = archive_write_data(z->a, at, n);
        if (k <= 0)
            return said(z, e);
        at += k;
        n -= (size_t)k;
    }
    return VL_OK;
}

int vl_zip_close(vl_zip *z, vl_err *e)
{
    vl_outfile *f = z->f;
    int rc = archive_write_close(z->a) ? said(z, e) : VL_OK;

    if (!rc) {
        z->f = NULL;
        rc = vl_outfile_commit(f, e);
    }
    vl_zip_abort(z);
    return rc;
}

void vl_zip_abort(vl_zip *z)
{
    if (!z)
        return;
    if (z->a && z->f)
        archive_write_fail(z->a); /* nothing more is written */
    archive_write_free(z->a);
    vl_outfile_abort(z->f);
    free(z);
}
