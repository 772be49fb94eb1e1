/* SPDX-License-Identifier: MIT
 * source.h -- bytes of a file or a pipe, in order, with their position; seeking where the input
 * can. */
#ifndef VL_SOURCE_H
#define VL_SOURCE_H

#include "formats/err.h"
#include <stdbool.h>
#include <stdint.h>

typedef struct vl_source {
    int fd;
    bool close_fd;
    bool regular;  /* a regular file, opened at its first byte: size is known, seeking works */
    uint64_t size; /* bytes, when regular */
    uint64_t at;   /* bytes handed out so far; after a seek, the position */
    uint8_t *buf;
    size_t lo, hi; /* what buf holds beyond `at` */
} vl_source;

/* vl_source_open -- path "-" is standard input. Errors: VL_EIO, without the path. */
VL_MUST_USE int vl_source_open(const char *path, vl_source *s, vl_err *e);

/* vl_source_read -- n bytes into p; *got < n only at the end of the input. */
VL_MUST_USE int vl_source_read(vl_source *s, uint8_t *p, size_t n, size_t *got, vl_err *e);

/* vl_source_peek -- the next n bytes (at most 65536) without taking them; *got < n only where the input ends.
 * *p is the source's, valid until its next call. */
VL_MUST_USE int vl_source_peek(vl_source *s, size_t n, const uint8_t **p, size_t *got, vl_err *e);

/* vl_source_skip -- hands out n bytes to nobody; fewer at the end of the input. */
VL_MUST_USE int vl_source_skip(vl_source *s, uint64_t n, vl_err *e);

/* vl_source_unread -- the n bytes at p, which were handed out last, will be handed out again. */
VL_MUST_USE int vl_source_unread(vl_source *s, const uint8_t *p, size_t n, vl_err *e);

/* vl_source_seek -- the next byte handed out is byte `at`. Regular files only. */
VL_MUST_USE int vl_source_seek(vl_source *s, uint64_t at, vl_err *e);

void vl_source_close(vl_source *s); /* {.fd = -1} is harmless */

/* vl_pread_all -- n bytes at `at`, all of them there. Errors: VL_EIO, VL_EFORMAT past the end. */
VL_MUST_USE int vl_pread_all(int fd, uint64_t at, uint8_t *p, size_t n, vl_err *e);

#endif
