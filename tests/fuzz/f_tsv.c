/* SPDX-License-Identifier: MIT
 * f_tsv.c -- tables of pairs: at most a record a line. */
#include "tests/fuzz/layout_run.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    size_t lines = 1, at = 0;

    while (at < n && strchr(" \t\r\n", data[at]) && data[at])
        at++;
    for (size_t i = 0; i < n; i++)
        lines += data[i] == '\n';
    if (at < n && data[at] != '{' && data[at] != '[')                    /* those are annotations */
        HOLDS(layout_run(data, n, "/nowhere", NULL) <= lines + n / 512); /* or it is a tar */
    return 0;
}
