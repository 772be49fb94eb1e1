/* SPDX-License-Identifier: MIT */
#include "formats/walk_back.h"

#include <stdlib.h>
#include <string.h>

static void swap(uint8_t *a, uint8_t *b, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint8_t byte = a[i];
        a[i] = b[i];
        b[i] = byte;
    }
}

int vl_walk_back(int fd, uint64_t file_bytes, vl_span_before *before, size_t span_bytes, void **spans,
                 size_t *n, vl_err *e)
{
    vl_buf found = {0};
    size_t k = 0;
    int rc = VL_OK;

    for (uint64_t at = file_bytes, start = 0; at; at = start, k++) {
        rc = vl_buf_room(&found, span_bytes, e);
        if (!rc)
            rc = before(fd, at, found.p + found.n, &start, e);
        if (rc) {
            free(found.p);
            return rc;
        }
        found.n += span_bytes;
    }
    for (size_t i = 0; i < k / 2; i++)
        swap(found.p + i * span_bytes, found.p + (k - 1 - i) * span_bytes, span_bytes);
    *spans = found.p;
    *n = k;
    return VL_OK;
}
