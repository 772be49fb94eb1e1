/* SPDX-License-Identifier: MIT
 * vlix_check.c -- a reader that has given every record of a segment holds its record index against them, in
 * pieces: what the index says must be exactly what writing these records again would give. */
#include "formats/segment_read.h"

#include <inttypes.h>

enum { VLIX_PIECE = 1 << 16 };

/* n bytes of the payload, added to the sum of the whole and, where given, to that of a part. */
static int take(vls_reader *r, XXH64_state_t *all, XXH64_state_t *part, uint64_t n, vl_err *e)
{
    size_t k;
    int rc = VL_OK;

    for (; !rc && n; n -= k) {
        k = n < VLIX_PIECE ? (size_t)n : VLIX_PIECE;
        r->comp.n = 0;
        rc = vl_buf_room(&r->comp, k, e);
        if (!rc)
            rc = vls_read_exact(r, r->comp.p, k, e);
        if (rc)
            break;
        XXH64_update(all, r->comp.p, k);
        if (part)
            XXH64_update(part, r->comp.p, k);
    }
    return rc;
}

static int compare(vls_reader *r, const vls_vlix_digest *got, const XXH64_state_t *all, vl_err *e)
{
    const vls_vlix_digest *want = &r->places;
    uint8_t sum[8];
    int rc = vls_read_exact(r, sum, sizeof sum, e);

    if (rc)
        return rc;
    if (vl_le64(sum) != XXH64_digest(all))
        return vl_fail(e, VL_EFORMAT, "record index: its sum is wrong");
    if (r->gaps)
        return VL_OK;
    if (got->n != want->n || got->key_bytes != want->key_bytes ||
        XXH64_digest(got->entries) != XXH64_digest(want->entries) ||
        XXH64_digest(got->keys) != XXH64_digest(want->keys))
        return vl_fail(e, VL_EFORMAT, "record index disagrees with the %" PRIu64 " records that were read",
                       want->n);
    return VL_OK;
}

int vls_check_vlix(vls_reader *r, uint32_t bytes, vl_err *e)
{
    vl_frame f = {bytes + 8, 0, VL_EMPTY_SUM};
    vls_vlix_digest got = {0};
    XXH64_state_t *all = NULL;
    uint8_t head[VLS_VLIX_HEAD];
    uint32_t n = 0, k = 0;
    int rc;

    if (bytes < VLS_VLIX_FIXED || bytes > UINT32_MAX - 8)
        return vl_fail(e, VL_EFORMAT, "record index of %" PRIu32 " bytes", bytes);
    rc = vls_read_exact(r, head, sizeof head, e);
    if (!rc)
        rc = vls_vlix_head(head, bytes, &n, &k, e);
    if (!rc)
        rc = vls_vlix_digest_reset(&got, e);
    if (!rc && !(all = XXH64_createState()))
        rc = vl_fail(e, VL_ENOMEM, "out of memory: XXH64");
    if (rc)
        goto out;
    XXH64_reset(all, 0);
    XXH64_update(all, head, sizeof head);
    got.n = n;
    got.key_bytes = k;
    rc = take(r, all, got.entries, (uint64_t)n * VLS_VLIX_ENTRY, e);
    if (!rc)
        rc = take(r, all, got.keys, k, e);
    if (!rc)
        rc = compare(r, &got, all, e);
    if (!rc)
        rc = vl_seektab_add(&r->seen, &f, e);
    r->counts.frames++;
out:
    XXH64_freeState(all);
    vls_vlix_digest_free(&got);
    return rc;
}
