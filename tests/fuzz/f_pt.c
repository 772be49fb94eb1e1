/* SPDX-License-Identifier: MIT
 * f_pt.c -- any bytes as the pickle of a file of torch.save, beside four storages: whatever it says of tensors,
 * importing it ends in a shard or an error. */
#include "distill/import_pt.h"
#include "tests/fuzz/zip_build.h"

enum { STORAGE = 768 }; /* bytes: a picture of 8 x 8 floats */

static void import(const char *path, bool replay)
{
    vld_import_counts counts = {0};
    vls_writer *w = NULL;
    vl_err e;

    HOLDS(!vls_writer_open("/dev/null", &w, &e));
    if (replay ? vld_import_replay(path, path, "fuzz", w, &counts, &e)
               : vld_import_distilled(path, "fuzz", w, &counts, &e)) {
        told(e.code, &e);
        vls_writer_abort(w);
        return;
    }
    HOLDS(counts.tensors > 0 && counts.snapshots + counts.pairs > 0);
    HOLDS(!vls_writer_close(w, &e));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static uint8_t storage[STORAGE];
    const zip_part part[] = {{"a/data.pkl", data, n},
                             {"a/data/0", storage, STORAGE},
                             {"a/data/1", storage, 16},
                             {"a/data/2", storage, 8},
                             {"a/data/3", storage, 0}};
    vl_buf zip = {0};
    fuzz_file f;

    for (int i = 0; i < STORAGE; i++)
        storage[i] = (uint8_t)(i & 0x3f); /* no NaN among them */
    zip_build(part, sizeof part / sizeof *part, &zip);
    f = fuzz_open(zip.p, zip.n);
    import(f.path, true);
    import(f.path, false);
    fuzz_close(&f);
    free(zip.p);
    return 0;
}
