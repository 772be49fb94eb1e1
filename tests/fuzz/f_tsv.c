/* SPDX-License-Identifier: MIT
 * f_tsv.c -- any bytes as a table of pairs: it ends, every record has a legal key and a caption, and bad lines do
 * not stop the rest. */
#include "formats/names.h"
#include "pipeline/layout.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    fuzz_file f = fuzz_open(data, n);
    size_t lines = 1, records = 0;
    vl_layout *l = NULL;
    vl_pair pair;
    int got;
    vl_err e;

    for (size_t i = 0; i < n; i++)
        lines += data[i] == '\n';
    if (!told(vl_layout_open(f.path, "/nowhere", &l, &e), &e)) {
        while ((got = told(vl_layout_next(l, &pair, &e), &e)) == 1 || got == VL_EFORMAT) {
            HOLDS(records++ < lines);
            if (got != 1)
                continue;
            HOLDS(!vls_key_check(pair.key, VL_EARG, &e));
            HOLDS(pair.n_captions && pair.n_captions <= VL_LAYOUT_CAPTIONS_MAX);
            for (size_t i = 0; i < pair.n_captions; i++)
                HOLDS(pair.caption_bytes[i] && !memchr(pair.captions[i], '\t', pair.caption_bytes[i]));
            HOLDS(!strncmp(pair.image, "/nowhere/", 9) || pair.image[0] == '/');
        }
        HOLDS(!got);
    }
    vl_layout_close(l);
    fuzz_close(&f);
    return 0;
}
