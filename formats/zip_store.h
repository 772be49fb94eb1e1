/* SPDX-License-Identifier: MIT
 * zip_store.h -- a ZIP of stored (not compressed) entries, which is what NumPy calls .npz. Written by
 * libarchive; the bytes depend on names and contents only. */
#ifndef VL_ZIP_STORE_H
#define VL_ZIP_STORE_H

#include "formats/err.h"
#include <stdint.h>

typedef struct vl_zip vl_zip;

/* vl_zip_open -- path NULL or "-": standard output; a file appears at vl_zip_close (outfile.h). */
VL_MUST_USE int vl_zip_open(const char *path, vl_zip **out, vl_err *e);

/* vl_zip_entry -- begins an entry of exactly `bytes` bytes; vl_zip_data gives them, in pieces. */
VL_MUST_USE int vl_zip_entry(vl_zip *z, const char *name, uint64_t bytes, vl_err *e);
VL_MUST_USE int vl_zip_data(vl_zip *z, const void *p, size_t n, vl_err *e);

/* vl_zip_close -- the directory, then the file's name; frees z in any case. */
VL_MUST_USE int vl_zip_close(vl_zip *z, vl_err *e);
void vl_zip_abort(vl_zip *z); /* NULL is harmless */

#endif
