#!/bin/sh
# SPDX-License-Identifier: MIT
# fuzz.sh -- every fuzz target over its committed corpus and over mutants of each input, without a fuzzer
# (tests/fuzz/driver.c): no crash, no leak, nothing that a target says must hold is broken.
. "$(dirname "$0")/cli/lib.sh"
BUILD=${BUILD:-$TOP/build}

# A driver that sees nothing would pass everything: three planted faults that it must see.
cat >planted.c <<'C'
#include "tests/fuzz/fuzz.h"
static char *volatile lost;
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n && *data == 'L')
        lost = malloc(10);
    if (n && *data == 'S')
        *(volatile char *)0 = 1;
    HOLDS(!n || *data != 'H');
    return 0;
}
C
plant() { ${CC:-cc} -std=c11 -D_GNU_SOURCE -I"$TOP" -o planted planted.c "$TOP/tests/fuzz/driver.c"; }
ok 'the driver compiles with any target' plant
printf L >leaks
printf S >crashes
printf H >breaks
printf . >good
for fault in leaks crashes breaks; do
    no "an input that $fault fails" ./planted "$fault"
done
ok 'a good one does not' ./planted good
no 'no input at all fails' ./planted
no 'an input that is not there fails' ./planted missing

for f in "$TOP"/tests/fuzz/f_*.c; do
    name=$(basename "$f" .c)
    corpus=$TOP/tests/fuzz/corpus/${name#f_}
    ok "$name has a corpus" test -n "$(ls "$corpus" 2>/dev/null)"
    ok "$name takes its corpus and 30 mutants of each" "$BUILD/fuzz/$name" -m 30 "$corpus"
done
