/* SPDX-License-Identifier: MIT
 * dali_index.h -- the index that NVIDIA DALI's WebDataset reader wants beside a plain tar.
 *
 *   v1.2 SAMPLES
 *   EXT OFFSET SIZE NAME EXT OFFSET SIZE NAME ...      a line a record; OFFSET of the member's first byte
 *
 * Members of metadata are not in it. Source: DALI, tools/wds2idx.py, version v1.2 of the file. */
#ifndef VL_DALI_INDEX_H
#define VL_DALI_INDEX_H

#include "formats/err.h"

/* vl_dali_name -- NAME.idx for NAME.tar (or NAME.idx behind any other name). Gives it; NULL: VL_ENOMEM. */
char *vl_dali_name(const char *tar, vl_err *e) VL_MUST_USE;

/* vl_dali_index -- walks the headers of a finished plain shard and writes the index.
 * Errors: VL_EFORMAT no record, a name with a blank (the index is parted by them), not such a tar; VL_EIO. */
VL_MUST_USE int vl_dali_index(const char *tar, const char *idx, vl_err *e);

#endif
