/* SPDX-License-Identifier: MIT
 * f_annotations.c -- annotations in JSON: Karpathy's, COCO's and BLIP's form. Asking for splits takes a part. */
#include "tests/fuzz/layout_run.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    size_t all = layout_run(data, n, "/nowhere", NULL);

    HOLDS(layout_run(data, n, "/nowhere", "train,val") <= all + 1); /* one for a file that has no splits */
    return 0;
}
