/* SPDX-License-Identifier: MIT
 * outfile.h -- an output file that is either complete or absent.
 *
 * A regular file is written as NAME.tmp-PID-N beside its target, synced and renamed at commit;
 * failure, abort and signals unlink it. Standard output, devices and FIFOs are written directly.
 * The program must ignore SIGPIPE and SIGXFSZ, so that a closed pipe and a file size limit arrive
 * here as errors with a text (cli_parse does). */
#ifndef VL_OUTFILE_H
#define VL_OUTFILE_H

#include "formats/err.h"
#include <stdint.h>

typedef struct vl_outfile vl_outfile;

/* vl_outfile_open -- path NULL or "-" is standard output. A symbolic link is followed: the file
 * that it names is replaced, not the link. Errors: VL_EIO with the path in front. */
VL_MUST_USE int vl_outfile_open(const char *path, vl_outfile **out, vl_err *e);

/* vl_outfile_write -- all n bytes or an error (short writes are continued). */
VL_MUST_USE int vl_outfile_write(vl_outfile *f, const void *p, size_t n, vl_err *e);

/* vl_outfile_sync -- a regular file reaches the disk; nothing to do for pipes and terminals. */
VL_MUST_USE int vl_outfile_sync(vl_outfile *f, vl_err *e);

uint64_t vl_outfile_bytes(const vl_outfile *f);   /* written so far */
const char *vl_outfile_name(const vl_outfile *f); /* for messages: the target's name */

/* vl_outfile_commit -- sync, close, rename, sync the folder. Frees f in any case; on failure the
 * temporary file is gone and the target is what it was before. */
VL_MUST_USE int vl_outfile_commit(vl_outfile *f, vl_err *e);

/* vl_outfile_abort -- closes, removes the temporary file, frees f. NULL is harmless. */
void vl_outfile_abort(vl_outfile *f);

/* vl_outfile_on_signal -- unlinks every temporary file of this process. Async-signal-safe: call it
 * from a handler of SIGINT, SIGTERM, SIGHUP, then restore the default action and raise again. */
void vl_outfile_on_signal(void);

/* vl_write_file -- a whole small file through the functions above. */
VL_MUST_USE int vl_write_file(const char *path, const void *p, size_t n, vl_err *e);

#endif
