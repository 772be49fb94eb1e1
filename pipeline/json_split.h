/* SPDX-License-Identifier: MIT
 * json_split.h -- a JSON file of any length, one element of its arrays at a time.
 *
 * Annotation files are one object whose members are long arrays of short objects, or one such array. The file is
 * cut at the brackets and commas of its two upper levels; each element of an array is parsed by itself, what is
 * no array is stepped over. Memory: one element and 64 KiB. */
#ifndef VL_JSON_SPLIT_H
#define VL_JSON_SPLIT_H

#include "formats/err.h"
#include <jansson.h>
#include <stdint.h>
#include <sys/types.h>

enum {
    VL_SPLIT_ELEMENT_MAX = 4 << 20, /* bytes of an element */
    VL_SPLIT_NAME_MAX = 255         /* bytes of a member's name, as it is written */
};

typedef struct vl_json_split vl_json_split;

/* vl_json_split_new -- read: as read(2), called with arg; both are kept. */
VL_MUST_USE int vl_json_split_new(ssize_t (*read)(void *arg, void *to, size_t n), void *arg,
                                  vl_json_split **out, vl_err *e);

/* vl_json_split_next -- the next element.
 *   name      out  the member whose array it is in, "" in a file that is one array; borrowed until the next call
 *   element   out  gives it
 * Returns 1, 0 at the end of the file, VL_EFORMAT with the byte where the file is not JSON, VL_EIO. After an
 * error only vl_json_split_free may follow. */
VL_MUST_USE int vl_json_split_next(vl_json_split *s, const char **name, json_t **element, vl_err *e);

void vl_json_split_free(vl_json_split *s); /* NULL is harmless */

#endif
