/* SPDX-License-Identifier: MIT
 * outfolder.h -- an output folder that is either complete or absent.
 *
 * Files go into NAME.tmp-PID beside the target, which takes its name at commit; failure, abort and signals
 * remove it with all that is in it. Nothing is ever written outside of it: names are taken apart, and each
 * part is opened inside the one before, following no link. */
#ifndef VL_OUTFOLDER_H
#define VL_OUTFOLDER_H

#include "formats/err.h"
#include <stdint.h>

typedef struct vl_outfolder vl_outfolder;

/* vl_outfolder_open -- the target must not exist or be an empty folder. One at a time in a process.
 * Errors: VL_EIO with the path in front. */
VL_MUST_USE int vl_outfolder_open(const char *path, vl_outfolder **out, vl_err *e);

/* vl_outfolder_put -- a whole file. name: relative, parted by '/'; folders on the way are made.
 * Errors: VL_EARG a part is empty, "." or "..", or the file is there already; VL_EIO. */
VL_MUST_USE int vl_outfolder_put(vl_outfolder *f, const char *name, const void *p, size_t n, vl_err *e);

/* vl_outfolder_commit -- synced and renamed; frees f in any case, nothing stays on failure. */
VL_MUST_USE int vl_outfolder_commit(vl_outfolder *f, vl_err *e);

void vl_outfolder_abort(vl_outfolder *f); /* NULL is harmless */

/* vl_outfolder_on_signal -- removes the open folder. Async-signal-safe, as vl_outfile_on_signal. */
void vl_outfolder_on_signal(void);

#endif
