/* SPDX-License-Identifier: MIT
 * zip_build.h -- a zip of stored entries with right checksums, so that what lies inside is what is fuzzed. */
#ifndef FUZZ_ZIP_BUILD_H
#define FUZZ_ZIP_BUILD_H

#include "tests/fuzz/fuzz.h"

#include <zlib.h>

typedef struct zip_part {
    const char *name;
    const uint8_t *p;
    size_t n;
} zip_part;

static inline void zip_fixed(vl_buf *b, uint32_t magic, bool central, const zip_part *x)
{
    uint8_t h[46] = {0}, *f = h + (central ? 10 : 8);
    vl_err e;

    vl_put_le32(h, magic);
    vl_put_le32(f + 6, (uint32_t)crc32(crc32(0, NULL, 0), x->p, (uInt)x->n));
    vl_put_le32(f + 10, (uint32_t)x->n);
    vl_put_le32(f + 14, (uint32_t)x->n);
    vl_put_le16(f + 18, (uint16_t)strlen(x->name));
    HOLDS(!vl_buf_add(b, h, central ? 46 : 30, &e));
}

/* Appends the archive of part[n] to out. */
static inline void zip_build(const zip_part *part, size_t n, vl_buf *out)
{
    vl_buf central = {0};
    uint8_t end[22] = "PK\5\6";
    vl_err e;

    for (size_t i = 0; i < n; i++) {
        uint32_t at = (uint32_t)out->n;
        zip_fixed(&central, 0x02014b50, true, &part[i]);
        vl_put_le32(central.p + central.n - 4, at);
        HOLDS(!vl_buf_add(&central, part[i].name, strlen(part[i].name), &e));
        zip_fixed(out, 0x04034b50, false, &part[i]);
        HOLDS(!vl_buf_add(out, part[i].name, strlen(part[i].name), &e));
        HOLDS(!vl_buf_add(out, part[i].p, part[i].n, &e));
    }
    vl_put_le16(end + 8, (uint16_t)n);
    vl_put_le16(end + 10, (uint16_t)n);
    vl_put_le32(end + 12, (uint32_t)central.n);
    vl_put_le32(end + 16, (uint32_t)out->n);
    HOLDS(!vl_buf_add(out, central.p, central.n, &e));
    HOLDS(!vl_buf_add(out, end, sizeof end, &e));
    free(central.p);
}

#endif
