/* SPDX-License-Identifier: MIT
 * tar_fix.h -- tar headers whose checksum field is right again after a mutation. */
#ifndef FUZZ_TAR_FIX_H
#define FUZZ_TAR_FIX_H

#include "tests/fuzz/fuzz.h"

/* Every block that calls itself ustar. */
static inline void tar_fix(uint8_t *p, size_t n)
{
    enum { BLOCK = 512, CHECKSUM = 148, MAGIC = 257 };

    for (; n >= BLOCK; p += BLOCK, n -= BLOCK) {
        char digits[8];
        unsigned sum = 0;

        if (memcmp(p + MAGIC, "ustar", 5))
            continue;
        memset(p + CHECKSUM, ' ', 8);
        for (int i = 0; i < BLOCK; i++)
            sum += p[i];
        snprintf(digits, sizeof digits, "%06o", sum);
        memcpy(p + CHECKSUM, digits, 7);
    }
}

#endif
