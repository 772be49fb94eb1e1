/* SPDX-License-Identifier: MIT
 * f_tsv.c -- tables of pairs: at most a record a line. */
#include "tests/fuzz/layout_run.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    size_t lines = 1;

    for (size_t i = 0; i < n; i++)
        lines += data[i] == '\n';
    if (n && data[0] != '{' && data[0] != '[')
        HOLDS(layout_run(data, n, "/nowhere", NULL) <= lines + n / 512); /* or it is a tar */
    return 0;
}
