/* SPDX-License-Identifier: MIT
 * f_tarhead.c -- any bytes as a member's header: what parses is what would be built from it, byte for byte. */
#include "formats/tarhead.h"
#include "tests/fuzz/tar_fix.h"

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t n, size_t max, unsigned seed)
{
    n = LLVMFuzzerMutate(data, n, max);
    if (seed % 4)
        tar_fix(data, n);
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    char name[VL_TAR_NAME_MAX + 1];
    uint8_t again[VL_TAR_HEAD_MAX];
    uint64_t size = 0;
    size_t used = 0, m = 0;
    vl_err e;

    if (told(vl_tar_parse(data, n, name, &size, &used, &e), &e) || !used)
        return 0;
    HOLDS(used <= n && size <= VL_TAR_SIZE_MAX && strlen(name) <= VL_TAR_NAME_MAX);
    HOLDS(!vl_tar_build(name, size, again, &m, &e));
    HOLDS(m == used && !memcmp(again, data, m));
    return 0;
}
