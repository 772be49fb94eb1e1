/* SPDX-License-Identifier: MIT
 * distilled_part.h -- the inside of distilled sets on disk; only distilled*.c include this. */
#ifndef VLD_DISTILLED_PART_H
#define VLD_DISTILLED_PART_H

#include "distill/distilled.h"

enum { VLD_DISTILLED_MAX = 1 << 20 }; /* pairs */

/* The members of the record "set" that hold a learned similarity; ext NULL: that part is no similarity. */
typedef struct vld_similarity_member {
    const char *ext;
    int rank; /* 1: [M]; 2: [M, width] */
} vld_similarity_member;
extern const vld_similarity_member vld_similarity_members[VLD_SET_PARTS];

#endif
