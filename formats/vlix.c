/* SPDX-License-Identifier: MIT */
#include "formats/vlix.h"
#include "formats/frame.h"
#include "formats/tail.h"
#include "formats/tarhead.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static void put_entry(const vls_place *p, uint64_t key_end, uint8_t out[VLS_VLIX_ENTRY])
{
    vl_put_le64(out, p->offset);
    vl_put_le32(out + 8, (uint32_t)p->bytes);
    vl_put_le32(out + 12, p->frame);
    vl_put_le64(out + 16, p->sum);
    vl_put_le32(out + 24, (uint32_t)key_end);
}

/* ---- building ------------------------------------------------------------------------------- */

int vls_vlix_add(vls_vlix *x, const vls_place *p, const char *key, vl_err *e)
{
    uint8_t entry[VLS_VLIX_ENTRY];
    int rc = vl_buf_add(&x->keys, key, strlen(key), e);

    put_entry(p, x->keys.n, entry);
    return rc ? rc : vl_buf_add(&x->entries, entry, sizeof entry, e);
}

void vls_vlix_clear(vls_vlix *x)
{
    x->entries.n = x->keys.n = 0;
}

void vls_vlix_free(vls_vlix *x)
{
    free(x->entries.p);
    free(x->keys.p);
    *x = (vls_vlix){0};
}

vls_place vls_vlix_get(const vls_vlix *x, size_t i, size_t *key_at, size_t *key_n)
{
    const uint8_t *p = x->entries.p + i * VLS_VLIX_ENTRY;

    *key_at = i ? vl_le32(p - 4) : 0;
    *key_n = vl_le32(p + 24) - *key_at;
    return (vls_place){vl_le64(p), vl_le32(p + 8), vl_le32(p + 12), vl_le64(p + 16)};
}

int vls_vlix_build(const vls_vlix *x, vl_buf *out, vl_err *e)
{
    uint8_t head[8 + VLS_VLIX_HEAD], sum[8];
    size_t at = out->n + 8;
    int rc;

    vl_put_le32(head, VL_VLIX_MAGIC);
    vl_put_le32(head + 4, (uint32_t)(VLS_VLIX_FIXED + x->entries.n + x->keys.n));
    memcpy(head + 8, "VLIX", 4);
    vl_put_le32(head + 12, VLS_VLIX_VERSION);
    vl_put_le32(head + 16, (uint32_t)vls_vlix_n(x));
    vl_put_le32(head + 20, (uint32_t)x->keys.n);
    rc = vl_buf_add(out, head, sizeof head, e);
    if (!rc)
        rc = vl_buf_add(out, x->entries.p, x->entries.n, e);
    if (!rc)
        rc = vl_buf_add(out, x->keys.p, x->keys.n, e);
    if (rc)
        return rc;
    vl_put_le64(sum, XXH64(out->p + at, out->n - at, 0));
    return vl_buf_add(out, sum, sizeof sum, e);
}

/* ---- reading -------------------------------------------------------------------------------- */

int vls_vlix_head(const uint8_t *p, uint64_t bytes, uint32_t *n, uint32_t *key_bytes, vl_err *e)
{
    if (bytes < VLS_VLIX_FIXED || memcmp(p, "VLIX", 4))
        return vl_fail(e, VL_EFORMAT, "a skippable frame that is no record index");
    if (vl_le32(p + 4) != VLS_VLIX_VERSION)
        return vl_fail(e, VL_EFORMAT, "record index: version %" PRIu32 ", this program reads %d",
                       vl_le32(p + 4), VLS_VLIX_VERSION);
    *n = vl_le32(p + 8);
    *key_bytes = vl_le32(p + 12);
    if (*n > VLS_RECORDS_MAX || *key_bytes > (uint64_t)*n * VL_TAR_NAME_MAX ||
        bytes != VLS_VLIX_FIXED + (uint64_t)*n * VLS_VLIX_ENTRY + *key_bytes)
        return vl_fail(e, VL_EFORMAT,
                       "record index of %" PRIu64 " bytes: %" PRIu32 " records, %" PRIu32 " bytes of keys",
                       bytes, *n, *key_bytes);
    return VL_OK;
}

/* Records lie one behind the other and their keys do, too. */
static int check_entries(const vls_vlix *x, uint64_t data_bytes, vl_err *e)
{
    uint64_t at = 0;
    uint32_t key = 0;
    size_t i;

    for (i = 0; i < vls_vlix_n(x); i++) {
        const uint8_t *p = x->entries.p + i * VLS_VLIX_ENTRY;
        uint32_t end = vl_le32(p + 24);
        if (vl_le64(p) != at || !vl_le32(p + 8) || end <= key || end - key > VL_TAR_NAME_MAX ||
            end > x->keys.n)
            return vl_fail(e, VL_EFORMAT, "record index: entry %zu does not follow the one before", i);
        at += vl_le32(p + 8);
        key = end;
    }
    if (at > data_bytes || key != x->keys.n)
        return vl_fail(e, VL_EFORMAT, "record index: entries end at byte %" PRIu64 ", DATA has %" PRIu64, at,
                       data_bytes);
    return VL_OK;
}

int vls_vlix_parse(const uint8_t *p, size_t bytes, uint64_t data_bytes, vls_vlix *x, vl_err *e)
{
    uint32_t n = 0, k = 0;
    int rc;

    if (bytes < VLS_VLIX_FIXED)
        return vl_fail(e, VL_EFORMAT, "record index of %zu bytes", bytes);
    rc = vls_vlix_head(p, bytes, &n, &k, e);
    if (!rc && vl_le64(p + bytes - 8) != XXH64(p, bytes - 8, 0))
        rc = vl_fail(e, VL_EFORMAT, "record index: its sum is wrong");
    if (rc)
        return rc;
    vls_vlix_clear(x);
    rc = vl_buf_add(&x->entries, p + VLS_VLIX_HEAD, (size_t)n * VLS_VLIX_ENTRY, e);
    if (!rc)
        rc = vl_buf_add(&x->keys, p + VLS_VLIX_HEAD + (size_t)n * VLS_VLIX_ENTRY, k, e);
    return rc ? rc : check_entries(x, data_bytes, e);
}

/* ---- digest --------------------------------------------------------------------------------- */

int vls_vlix_digest_reset(vls_vlix_digest *d, vl_err *e)
{
    if (!d->entries)
        d->entries = XXH64_createState();
    if (!d->keys)
        d->keys = XXH64_createState();
    if (!d->entries || !d->keys)
        return vl_fail(e, VL_ENOMEM, "out of memory: XXH64");
    XXH64_reset(d->entries, 0);
    XXH64_reset(d->keys, 0);
    d->n = d->key_bytes = 0;
    return VL_OK;
}

void vls_vlix_digest_free(vls_vlix_digest *d)
{
    XXH64_freeState(d->entries);
    XXH64_freeState(d->keys);
    *d = (vls_vlix_digest){0};
}

void vls_vlix_digest_add(vls_vlix_digest *d, const vls_place *p, const char *key)
{
    uint8_t entry[VLS_VLIX_ENTRY];
    size_t n = strlen(key);

    d->key_bytes += n;
    put_entry(p, d->key_bytes, entry);
    XXH64_update(d->entries, entry, sizeof entry);
    XXH64_update(d->keys, key, n);
    d->n++;
}
