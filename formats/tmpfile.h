/* SPDX-License-Identifier: MIT
 * tmpfile.h -- a temporary file without a name: nothing can be left behind, however the program ends. */
#ifndef VL_TMPFILE_H
#define VL_TMPFILE_H

#include "formats/err.h"
#include <stdint.h>

/* vl_tmpfile -- an empty file in $TMPDIR or /tmp, open for reading and writing; close(*fd) ends it.
 * Errors: VL_EIO naming the folder; *fd is -1 then. */
VL_MUST_USE int vl_tmpfile(int *fd, vl_err *e);

/* vl_tmp_folder -- where such files lie, for messages. */
const char *vl_tmp_folder(void);

/* vl_tmp_write -- all n bytes at the file's position. Errors: VL_EIO naming the folder. */
VL_MUST_USE int vl_tmp_write(int fd, const void *p, size_t n, vl_err *e);

#endif
