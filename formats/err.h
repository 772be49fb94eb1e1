/* SPDX-License-Identifier: MIT
 * err.h -- status codes, the message that gathers context, checked allocation.
 *
 * A library function returns VL_OK or one negative code and, on failure, has
 * filled the caller's vl_err. The place that detects says what was found and
 * what was allowed; each layer on the way out adds, in front, what only it
 * knows:  "train.tar.zst: record 381: caption is not UTF-8 (byte 17)".
 * No library code prints, exits or keeps a global error. */
#ifndef VL_ERR_H
#define VL_ERR_H

#include <stddef.h>

#define VL_MUST_USE     __attribute__((warn_unused_result))
#define VL_PRINTF(f, a) __attribute__((format(printf, f, a)))

enum {
    VL_OK = 0,
    VL_EARG = -1,    /* the caller asked for something impossible: shapes, ranges, options */
    VL_EIO = -2,     /* the system refused: open, read, write, fsync, rename */
    VL_EFORMAT = -3, /* bytes from outside are not what they claim to be */
    VL_ENOMEM = -4,  /* allocation failed, or a size passed its ceiling */
    VL_EDEVICE = -5, /* a compute device failed or lacks an op */
    VL_EMATH = -6    /* a number that must be finite is not */
};

enum { VL_ERR_TEXT = 512 };

typedef struct vl_err {
    int code;               /* VL_OK or one of the codes above */
    char text[VL_ERR_TEXT]; /* one line, no newline, always terminated; cut with "..." when full */
} vl_err;

/* vl_clean -- question marks for control characters (U+0000-001F, 007F-009F), in place: names and captions
 * come from strangers, and what is said of them stays one line and cannot drive a terminal. */
void vl_clean(char *text);

/* vl_cut -- ends a text that snprintf had no room for in size bytes (9 or more): "..." takes the place of its last
 * characters, none of which is cut in two. */
void vl_cut(char *text, size_t size);

/* vl_fail -- sets code and text; returns code. e may be NULL.
 * Control bytes in the formatted text (names come from strangers) become '?'. */
int vl_fail(vl_err *e, int code, const char *fmt, ...) VL_PRINTF(3, 4);

/* vl_within -- puts "<formatted>: " in front of e->text; returns e->code. */
int vl_within(vl_err *e, const char *fmt, ...) VL_PRINTF(2, 3);

/* vl_fail_errno -- as vl_fail with VL_EIO and ": <strerror(errno)>" behind. */
int vl_fail_errno(vl_err *e, const char *fmt, ...) VL_PRINTF(2, 3);

/* vl_alloc -- zeroed memory for n things of size bytes; the product is checked against overflow and
 * VL_ALLOC_MAX. NULL with *e filled on failure; never NULL for n * size == 0. Free with free(). */
#define VL_ALLOC_MAX ((size_t)1 << 40)
void *vl_alloc(size_t n, size_t size, vl_err *e) VL_MUST_USE;

/* vl_realloc -- the same check for growing; the old block stays valid on failure. Not zeroed. */
void *vl_realloc(void *p, size_t n, size_t size, vl_err *e) VL_MUST_USE;

/* vl_strdup -- a copy; NULL with *e filled on failure. Free with free(). */
char *vl_strdup(const char *s, vl_err *e) VL_MUST_USE;

#endif
