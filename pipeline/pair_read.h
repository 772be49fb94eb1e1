/* SPDX-License-Identifier: MIT
 * pair_read.h -- what is in a record of pairs: its image and its captions. The way back from pack.h. */
#ifndef VL_PAIR_READ_H
#define VL_PAIR_READ_H

#include "formats/shard.h"

enum { VL_PAIR_JSON_MAX = 4 << 20 }; /* bytes of a record's json that are looked at */

/* vl_pair_image -- the first jpg, jpeg, png or webp member, NULL where there is none. Borrowed from rec. */
const vls_member *vl_pair_image(const vls_record *rec);

/* vl_pair_captions -- "captions" of the record's json; where it has none, its txt as the only one. Each
 * is checked as vl_caption_check does.
 *   captions, n  out  1 to VL_LAYOUT_CAPTIONS_MAX strings; gives them, vl_captions_free
 * Errors: VL_EFORMAT (none; json that is no object, or whose captions are no list of strings), VL_ENOMEM;
 * the text goes on from "record 'KEY': ". */
VL_MUST_USE int vl_pair_captions(const vls_record *rec, char ***captions, size_t *n, vl_err *e);

void vl_captions_free(char **captions, size_t n); /* NULL is harmless */

#endif
