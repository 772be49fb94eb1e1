/* SPDX-License-Identifier: MIT
 * f_manifest.c -- any bytes as the JSON of a segment: as canonical text it says the same; as a manifest it goes
 * into HEAD and comes back; as a tail it is checked. */
#include "formats/manifest.h"
#include "formats/tail.h"
#include "tests/fuzz/fuzz.h"

static void canonical(const json_t *j)
{
    vl_buf once = {0}, twice = {0};
    json_t *again = NULL;
    vl_err e;

    HOLDS(!vls_json_dump(j, &once, &e));
    HOLDS(!vls_json_load(once.p, once.n, &again, &e));
    HOLDS(json_equal(j, again));
    HOLDS(!vls_json_dump(again, &twice, &e));
    HOLDS(once.n == twice.n && !memcmp(once.p, twice.p, once.n));
    json_decref(again);
    free(once.p);
    free(twice.p);
}

static void head(const json_t *j)
{
    char id[VLS_ID_HEX + 1], id2[VLS_ID_HEX + 1];
    json_t *back = NULL;
    vl_buf raw = {0};
    const char *key;
    json_t *v;
    vl_err e;

    if (!told(vls_head_build(j, 3, "a/b", &raw, id, &e), &e)) {
        HOLDS(!vls_head_parse(raw.p, raw.n, &back, id2, &e));
        HOLDS(!strcmp(id, id2));
        json_object_foreach ((json_t *)j, key, v) {
            if (strcmp(key, "format") && strcmp(key, "ordinal") && strcmp(key, "first_key"))
                HOLDS(json_equal(v, json_object_get(back, key)));
        }
        json_decref(back);
    }
    free(raw.p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    vls_totals none = {0};
    char id[VLS_ID_HEX + 1];
    json_t *j = NULL;
    vl_err e;

    if (!told(vls_head_parse(data, n, &j, id, &e), &e))
        json_decref(j);
    j = NULL;
    if (told(vls_json_load(data, n, &j, &e), &e))
        return 0;
    canonical(j);
    if (json_is_string(json_object_get(j, "kind")) &&
        !told(vls_kind_check(json_string_value(json_object_get(j, "kind")), VL_EARG, &e), &e))
        head(j); /* vls_segment_begin checks the kind first */
    told(vls_tail_check(j, &none, true, false, &e), &e);
    told(vls_tail_check(j, &none, false, true, &e), &e);
    json_decref(j);
    return 0;
}
