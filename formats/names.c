/* SPDX-License-Identifier: MIT */
#include "formats/names.h"
#include "formats/tarhead.h"

#include <stdbool.h>
#include <string.h>
#include <utf8proc.h>

static int check_utf8(const char *s, size_t n, int what, vl_err *e)
{
    utf8proc_int32_t c;
    utf8proc_ssize_t k;
    size_t at;

    for (at = 0; at < n; at += (size_t)k) {
        k = utf8proc_iterate((const utf8proc_uint8_t *)s + at, (utf8proc_ssize_t)(n - at), &c);
        if (k <= 0)
            return vl_fail(e, what, "key is not UTF-8 (byte %zu)", at);
        if (c < 0x20 || (c >= 0x7f && c < 0xa0) || c == '\\')
            return vl_fail(e, what, "key '%s' holds a control character or backslash", s);
    }
    return VL_OK;
}

int vls_key_check(const char *key, int what, vl_err *e)
{
    size_t n = strlen(key);
    const char *part = key, *end;
    int rc;

    if (!n || n > VL_TAR_NAME_MAX)
        return vl_fail(e, what, "key of %zu bytes, 1 to %d allowed", n, VL_TAR_NAME_MAX);
    rc = check_utf8(key, n, what, e);
    if (rc)
        return rc;
    for (;; part = end + 1) {
        end = part + strcspn(part, "/");
        if (end == part)
            return vl_fail(e, what, "key '%s' has an empty part", key);
        if (*part == '.' || !strncmp(part, "__", 2))
            return vl_fail(e, what, "key '%s': a part begins with '.' or '__'", key);
        if (!*end)
            break;
    }
    if (strchr(part, '.'))
        return vl_fail(e, what, "key '%s' has a '.' in its last part", key);
    return VL_OK;
}

static bool ext_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (c && strchr("._+-", c));
}

int vls_ext_check(const char *ext, int what, vl_err *e)
{
    size_t n = strlen(ext), i;

    if (!n || n > VLS_EXT_MAX)
        return vl_fail(e, what, "extension of %zu bytes, 1 to %d allowed", n, VLS_EXT_MAX);
    for (i = 0; i < n; i++)
        if (!ext_char(ext[i]))
            return vl_fail(e, what, "extension '%s': only a-z 0-9 . _ + - are allowed", ext);
    if (ext[0] == '.' || ext[n - 1] == '.' || strstr(ext, ".."))
        return vl_fail(e, what, "extension '%s' has an empty part", ext);
    return VL_OK;
}

int vls_name_split(const char *name, size_t *key_n, vl_err *e)
{
    const char *slash = strrchr(name, '/'), *dot = strchr(slash ? slash : name, '.');
    char key[VL_TAR_NAME_MAX + 1];
    int rc;

    if (!dot)
        return vl_fail(e, VL_EFORMAT, "member '%s' has no extension", name);
    if (strlen(name) > VL_TAR_NAME_MAX)
        return vl_fail(e, VL_EFORMAT, "member name is longer than %d bytes", VL_TAR_NAME_MAX);
    *key_n = (size_t)(dot - name);
    memcpy(key, name, *key_n);
    key[*key_n] = 0;
    rc = vls_key_check(key, VL_EFORMAT, e);
    if (!rc)
        rc = vls_ext_check(dot + 1, VL_EFORMAT, e);
    return rc ? vl_within(e, "member '%s'", name) : VL_OK;
}
