/* SPDX-License-Identifier: MIT
 * f_ptzip.c -- any bytes as a zip. What opens has entries within the file, in order, that do not overlap. */
#include "formats/pt_zip.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    fuzz_file f = fuzz_open(data, n);
    uint64_t bytes = 0;
    vl_ptz z;
    vl_err e;

    if (!told(vl_ptz_open(f.path, &z, &e), &e)) {
        for (size_t i = 0; i < z.n; i++) {
            const vl_ptz_entry *x = &z.entry[i];
            uint8_t *p = malloc(x->n ? (size_t)x->n : 1);

            HOLDS(p && x->at <= n && x->n <= n - x->at);
            HOLDS(vl_ptz_find(&z, x->name) == x);
            HOLDS(!i || strcmp(z.entry[i - 1].name, x->name) < 0);
            if (!told(vl_ptz_read(&z, x, p, &e), &e))
                HOLDS(!memcmp(p, data + x->at, (size_t)x->n));
            bytes += x->n;
            free(p);
        }
        HOLDS(bytes <= n);
    }
    vl_ptz_close(&z);
    fuzz_close(&f);
    return 0;
}
