/* SPDX-License-Identifier: MIT
 * layout_run.h -- any bytes as a source of pairs: it ends, every record has a legal key and captions, and a bad one
 * does not stop the rest. The source tells a table, annotations and tars apart by their first bytes. */
#ifndef FUZZ_LAYOUT_RUN_H
#define FUZZ_LAYOUT_RUN_H

#include "formats/names.h"
#include "pipeline/layout.h"
#include "pipeline/text_utf8.h"
#include "tests/fuzz/fuzz.h"

static inline void layout_pair(const vl_pair *pair)
{
    vl_err e;

    HOLDS(!vls_key_check(pair->key, VL_EARG, &e));
    HOLDS(pair->n_captions && pair->n_captions <= VL_LAYOUT_CAPTIONS_MAX);
    for (size_t i = 0; i < pair->n_captions; i++)
        HOLDS(!vl_caption_check(pair->captions[i], pair->caption_bytes[i], &e));
    HOLDS(pair->image || pair->bytes);
    HOLDS(pair->where && *pair->where);
    HOLDS(!pair->more || json_is_object(pair->more));
    for (size_t i = 0; i < pair->n_members; i++)
        HOLDS(!vls_ext_check(pair->members[i].ext, VL_EARG, &e));
}

/* Gives the records that were handed out or refused. */
static inline size_t layout_run(const uint8_t *data, size_t n, const char *root, const char *split)
{
    fuzz_file f = fuzz_open(data, n);
    vl_layout *l = NULL;
    size_t records = 0;
    vl_pair pair;
    int got = 0;
    vl_err e;

    if (!told(vl_layout_open(f.path, root, split, &l, &e), &e)) {
        while ((got = told(vl_layout_next(l, &pair, &e), &e)) == 1 || got == VL_EFORMAT) {
            HOLDS(records++ <= n);
            if (got == 1)
                layout_pair(&pair);
        }
        vl_layout_ignored(l);
    }
    vl_layout_close(l);
    fuzz_close(&f);
    return records;
}

#endif
