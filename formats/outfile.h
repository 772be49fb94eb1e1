/* SPDX-License-Identifier: MIT
 * outfile.h -- an output file that is either complete or absent.
 *
 * A regular file is written as NAME.tmp-PID-N beside its target, synced and renamed at commit;
 * failure, abort and signals unlink it. Standard output, devices and FIFOs are written directly.
 * What a later run can go on with is written as NAME.part instead, which stays (vl_outfile_open_part).
 * The program must ignore SIGPIPE and SIGXFSZ, so that a closed pipe and a file size limit arrive
 * here as errors with a text (cli_parse does). */
#ifndef VL_OUTFILE_H
#define VL_OUTFILE_H

#include "formats/err.h"
#include <stdbool.h>
#include <stdint.h>

typedef struct vl_outfile vl_outfile;

/* vl_outfile_open -- path NULL or "-" is standard output. A symbolic link is followed: the file
 * that it names is replaced, not the link. Errors: VL_EIO with the path in front. */
VL_MUST_USE int vl_outfile_open(const char *path, vl_outfile **out, vl_err *e);

/* vl_outfile_open_part -- as vl_outfile_open, but a regular file is written as NAME.part, a name that the next
 * run finds again: what such a file holds is kept when it is there already, vl_outfile_bytes says how much, and
 * writing goes on behind it. Abort and signals leave it when vl_outfile_keep was called, or when it was there
 * and was not cut to nothing. The file is locked: two runs cannot write it at once.
 * Errors: VL_EIO, also when another process has the lock or NAME.part is no regular file. */
VL_MUST_USE int vl_outfile_open_part(const char *path, vl_outfile **out, vl_err *e);

/* Of files from vl_outfile_open_part (no-ops for what is written directly):
 * vl_outfile_part -- the name NAME.part; NULL for all other files. Borrowed.
 * vl_outfile_cut -- the file ends at byte n, where writing goes on. Cut to 0 it is no longer kept.
 * vl_outfile_keep -- from now on abort and signals leave it (true) or remove it (false). */
const char *vl_outfile_part(const vl_outfile *f);
VL_MUST_USE int vl_outfile_cut(vl_outfile *f, uint64_t n, vl_err *e);
void vl_outfile_keep(vl_outfile *f, bool keep);

/* vl_outfile_write -- all n bytes or an error (short writes are continued). */
VL_MUST_USE int vl_outfile_write(vl_outfile *f, const void *p, size_t n, vl_err *e);

/* vl_outfile_sync -- a regular file reaches the disk; nothing to do for pipes and terminals. */
VL_MUST_USE int vl_outfile_sync(vl_outfile *f, vl_err *e);

uint64_t vl_outfile_bytes(const vl_outfile *f);   /* written so far */
const char *vl_outfile_name(const vl_outfile *f); /* for messages: the target's name */

/* vl_outfile_commit -- sync, close, rename, sync the folder. Frees f in any case; on failure the
 * temporary file is gone (unless it is kept) and the target is what it was before. */
VL_MUST_USE int vl_outfile_commit(vl_outfile *f, vl_err *e);

/* vl_outfile_abort -- closes, removes the temporary file (unless it is kept), frees f. NULL is harmless. */
void vl_outfile_abort(vl_outfile *f);

/* vl_outfile_on_signal -- unlinks every temporary file of this process. Async-signal-safe: call it
 * from a handler of SIGINT, SIGTERM, SIGHUP, then restore the default action and raise again. */
void vl_outfile_on_signal(void);

/* vl_write_file -- a whole small file through the functions above. */
VL_MUST_USE int vl_write_file(const char *path, const void *p, size_t n, vl_err *e);

#endif
