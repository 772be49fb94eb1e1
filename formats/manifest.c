/* SPDX-License-Identifier: MIT */
#include "formats/manifest.h"
#include "formats/names.h"
#include "formats/tarhead.h"
#include "formats/version.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

int vls_json_dump(const json_t *j, vl_buf *out, vl_err *e)
{
    size_t flags = JSON_COMPACT | JSON_SORT_KEYS | JSON_REAL_PRECISION(17);
    size_t n = json_dumpb(j, NULL, 0, flags);
    int rc;

    if (!n || n >= VLS_JSON_MAX)
        return vl_fail(e, VL_EARG, "JSON of %zu bytes, 1 to %d allowed", n, VLS_JSON_MAX - 1);
    rc = vl_buf_room(out, n + 1, e);
    if (rc)
        return rc;
    if (json_dumpb(j, (char *)out->p + out->n, n, flags) != n)
        return vl_fail(e, VL_ENOMEM, "out of memory: JSON");
    out->p[out->n + n] = '\n';
    out->n += n + 1;
    return VL_OK;
}

int vls_json_load(const uint8_t *p, size_t n, json_t **out, vl_err *e)
{
    json_error_t je;
    json_t *j;

    if (n > VLS_JSON_MAX)
        return vl_fail(e, VL_EFORMAT, "JSON of %zu bytes, at most %d allowed", n, VLS_JSON_MAX);
    j = json_loadb((const char *)p, n, JSON_REJECT_DUPLICATES, &je);
    if (!j)
        return vl_fail(e, VL_EFORMAT, "JSON: %s (byte %d)", je.text, je.position);
    if (!json_is_object(j)) {
        json_decref(j);
        return vl_fail(e, VL_EFORMAT, "JSON is not an object");
    }
    *out = j;
    return VL_OK;
}

void vls_manifest_id(const uint8_t *text, size_t n, char id[VLS_ID_HEX + 1])
{
    snprintf(id, VLS_ID_HEX + 1, "%016" PRIx64, (uint64_t)XXH64(text, n, 0));
}

int vls_kind_check(const char *kind, int what, vl_err *e)
{
    size_t n = strlen(kind);

    if (n < 1 || n > VLS_KIND_MAX || strspn(kind, "abcdefghijklmnopqrstuvwxyz-") != n)
        return vl_fail(e, what, "kind '%.40s' is not 1 to %d of a-z and '-'", kind, VLS_KIND_MAX);
    return VL_OK;
}

int vls_meta_member(const char *name, const void *body, size_t n, vl_buf *out, vl_err *e)
{
    static const uint8_t zeros[VL_TAR_BLOCK];
    uint8_t head[VL_TAR_HEAD_MAX];
    size_t head_n;
    int rc = vl_tar_build(name, n, head, &head_n, e);

    if (!rc)
        rc = vl_buf_add(out, head, head_n, e);
    if (!rc)
        rc = vl_buf_add(out, body, n, e);
    if (!rc)
        rc = vl_buf_add(out, zeros, (size_t)vl_tar_padding(n), e);
    return rc;
}

int vls_head_build(const json_t *manifest, uint64_t ordinal, const char *first_key, vl_buf *out,
                   char id[VLS_ID_HEX + 1], vl_err *e)
{
    json_t *m = json_deep_copy(manifest);
    vl_buf text = {0};
    char name[64];
    int rc = VL_ENOMEM;

    if (!m || json_object_set_new(m, "format", json_integer(VL_FORMAT_VERSION)) ||
        json_object_set_new(m, "ordinal", json_integer((json_int_t)ordinal)) ||
        json_object_set_new(m, "first_key", first_key ? json_string(first_key) : json_null())) {
        vl_fail(e, VL_ENOMEM, "out of memory: manifest");
        goto out;
    }
    rc = vls_json_dump(m, &text, e);
    if (rc) {
        vl_within(e, "manifest");
        goto out;
    }
    vls_manifest_id(text.p, text.n, id);
    snprintf(name, sizeof name, VLS_META ".manifest.%s.json", id);
    rc = vls_meta_member(name, text.p, text.n, out, e);
out:
    free(text.p);
    json_decref(m);
    return rc;
}

static int check_manifest(const json_t *m, vl_err *e)
{
    const json_t *format = json_object_get(m, "format"), *kind = json_object_get(m, "kind");
    const json_t *ordinal = json_object_get(m, "ordinal"), *key = json_object_get(m, "first_key");

    if (!json_is_integer(format))
        return vl_fail(e, VL_EFORMAT, "manifest has no format number");
    if (json_integer_value(format) != VL_FORMAT_VERSION)
        return vl_fail(e, VL_EFORMAT, "shard format %lld, this program reads %d",
                       (long long)json_integer_value(format), VL_FORMAT_VERSION);
    if (!json_is_string(kind))
        return vl_fail(e, VL_EFORMAT, "manifest has no kind");
    if (!json_is_integer(ordinal) || json_integer_value(ordinal) < 0)
        return vl_fail(e, VL_EFORMAT, "manifest has no ordinal");
    if (!json_is_string(key) && !json_is_null(key))
        return vl_fail(e, VL_EFORMAT, "manifest has no first_key");
    return vls_kind_check(json_string_value(kind), VL_EFORMAT, e);
}

int vls_head_parse(const uint8_t *raw, size_t n, json_t **manifest, char id[VLS_ID_HEX + 1], vl_err *e)
{
    char name[VL_TAR_NAME_MAX + 1], want[64];
    uint64_t size;
    size_t used;
    json_t *m = NULL;
    int rc = vl_tar_parse(raw, n, name, &size, &used, e);

    if (rc)
        return rc;
    if (!used || strncmp(name, VLS_META ".manifest.", 17))
        return vl_fail(e, VL_EFORMAT, "the first member is no manifest");
    if (size > VLS_JSON_MAX || used + size + vl_tar_padding(size) != n)
        return vl_fail(e, VL_EFORMAT, "the manifest does not fill its frame");
    rc = vl_tar_padding_check(raw + used + size, size, e);
    if (rc)
        return vl_within(e, "manifest");
    vls_manifest_id(raw + used, (size_t)size, id);
    snprintf(want, sizeof want, VLS_META ".manifest.%s.json", id);
    if (strcmp(name, want))
        return vl_fail(e, VL_EFORMAT, "manifest '%s' has the id %s", name, id);
    rc = vls_json_load(raw + used, (size_t)size, &m, e);
    if (!rc)
        rc = check_manifest(m, e);
    if (rc) {
        json_decref(m);
        return vl_within(e, "manifest");
    }
    *manifest = m;
    return VL_OK;
}
