/* SPDX-License-Identifier: MIT
 * f_foreign.c -- tars of other makers as pairs, in their WebDataset naming: at most a record a member. */
#include "tests/fuzz/layout_run.h"
#include "tests/fuzz/tar_fix.h"

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t n, size_t max, unsigned seed)
{
    n = LLVMFuzzerMutate(data, n, max);
    if (seed % 8)
        tar_fix(data, n);
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    layout_run(data, n, NULL, NULL);
    return 0;
}
