/* SPDX-License-Identifier: MIT */
#include "formats/tarhead.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* Fields of a ustar header that are not zero: offset and bytes. The last two are the same in every
 * header; name, size, checksum and type vary. */
enum { F_MODE = 100, F_UID = 108, F_GID = 116, F_SIZE = 124, F_MTIME = 136, F_SUM = 148 };
enum { F_TYPE = 156, F_MAGIC = 257, F_DEV = 329 };

/* With the checksum's own field as spaces, whatever it holds. */
static unsigned checksum(const uint8_t *h)
{
    unsigned sum = 8 * ' ', i;

    for (i = 0; i < VL_TAR_BLOCK; i++)
        sum += h[i];
    for (i = F_SUM; i < F_SUM + 8; i++)
        sum -= h[i];
    return sum;
}

static void put_octal(uint8_t *p, int digits, uint64_t v)
{
    while (digits--) {
        p[digits] = (uint8_t)('0' + (v & 7));
        v >>= 3;
    }
}

/* size < 2^33, so 11 octal digits hold it. */
static void ustar(const char *name, size_t name_n, uint64_t size, char type, uint8_t *h)
{
    memset(h, 0, VL_TAR_BLOCK);
    memcpy(h, name, name_n);
    memcpy(h + F_MODE, "0000444", 8);
    memcpy(h + F_UID, "0000000", 8);
    memcpy(h + F_GID, "0000000", 8);
    put_octal(h + F_SIZE, 11, size);
    memcpy(h + F_MTIME, "00000000000", 12);
    h[F_TYPE] = (uint8_t)type;
    memcpy(h + F_MAGIC,
           "ustar\0"
           "00",
           8);
    memcpy(h + F_DEV, "0000000", 8);
    memcpy(h + F_DEV + 8, "0000000", 8);
    put_octal(h + F_SUM, 6, checksum(h));
    h[F_SUM + 7] = ' ';
}

/* The longest start of a UTF-8 name that fits the ustar field: what tools without PAX show. */
static size_t short_name(const char *name)
{
    size_t n = VL_TAR_USTAR_NAME;

    while (n && ((uint8_t)name[n] & 0xC0) == 0x80)
        n--;
    return n;
}

/* "LEN path=NAME\n", where LEN counts its own digits. */
static size_t pax_body(const char *name, char out[VL_TAR_NAME_MAX + 16])
{
    size_t rest = strlen(name) + 7, len = rest + 3; /* " path=" and the newline */

    if (len > 999)
        len = rest + 4;
    return (size_t)snprintf(out, VL_TAR_NAME_MAX + 16, "%zu path=%s\n", len, name);
}

int vl_tar_build(const char *name, uint64_t size, uint8_t out[VL_TAR_HEAD_MAX], size_t *n, vl_err *e)
{
    static const char pax_name[] = "././@PaxHeader";
    char body[VL_TAR_NAME_MAX + 16];
    size_t len = strlen(name), body_n, body_blocks;

    if (!len || len > VL_TAR_NAME_MAX)
        return vl_fail(e, VL_EARG, "name of %zu bytes, 1 to %d allowed", len, VL_TAR_NAME_MAX);
    if (size > VL_TAR_SIZE_MAX)
        return vl_fail(e, VL_EARG, "member of %llu bytes, at most %llu allowed", (unsigned long long)size,
                       (unsigned long long)VL_TAR_SIZE_MAX);
    *n = 0;
    if (len > VL_TAR_USTAR_NAME) {
        body_n = pax_body(name, body);
        body_blocks = (body_n + VL_TAR_BLOCK - 1) / VL_TAR_BLOCK * VL_TAR_BLOCK;
        ustar(pax_name, sizeof pax_name - 1, body_n, 'x', out);
        memset(out + VL_TAR_BLOCK, 0, body_blocks);
        memcpy(out + VL_TAR_BLOCK, body, body_n);
        *n = VL_TAR_BLOCK + body_blocks;
        len = short_name(name);
    }
    ustar(name, len, size, '0', out + *n);
    *n += VL_TAR_BLOCK;
    return VL_OK;
}

int vl_tar_padding_check(const uint8_t *p, uint64_t size, vl_err *e)
{
    static const uint8_t zeros[VL_TAR_BLOCK];

    if (memcmp(p, zeros, (size_t)vl_tar_padding(size)))
        return vl_fail(e, VL_EFORMAT, "padding is not zero");
    return VL_OK;
}

/* ---- reading -------------------------------------------------------------------------------- */

static bool octal(const uint8_t *p, size_t digits, uint64_t *v)
{
    size_t i;

    for (*v = 0, i = 0; i < digits; i++) {
        if (p[i] < '0' || p[i] > '7')
            return false;
        *v = *v << 3 | (uint64_t)(p[i] - '0');
    }
    return true;
}

static int check_block(const uint8_t *h, uint64_t *size, vl_err *e)
{
    uint64_t sum;

    if (memcmp(h + F_MAGIC,
               "ustar\0"
               "00",
               8))
        return vl_fail(e, VL_EFORMAT, "no ustar header");
    if (!octal(h + F_SUM, 6, &sum) || sum != checksum(h))
        return vl_fail(e, VL_EFORMAT, "tar header: checksum is wrong");
    if (h[F_TYPE] != '0' && h[F_TYPE] != 'x')
        return vl_fail(e, VL_EFORMAT, "tar header: type '%c', only files are allowed", h[F_TYPE]);
    if (!octal(h + F_SIZE, 11, size) || *size > VL_TAR_SIZE_MAX)
        return vl_fail(e, VL_EFORMAT, "tar header: size is not octal or over %llu bytes",
                       (unsigned long long)VL_TAR_SIZE_MAX);
    return VL_OK;
}

/* The name out of a PAX body of n bytes: nothing but one "path" record. */
static int pax_name(const uint8_t *body, size_t n, char *name, vl_err *e)
{
    const uint8_t *p = memchr(body, '=', n < 16 ? n : 16);
    size_t len;

    if (!p)
        return vl_fail(e, VL_EFORMAT, "PAX header is no single path");
    len = n - (size_t)(p + 1 - body) - 1;
    if (n < 2 || len < 1 || len > VL_TAR_NAME_MAX)
        return vl_fail(e, VL_EFORMAT, "PAX header: name is longer than %d bytes", VL_TAR_NAME_MAX);
    memcpy(name, p + 1, len);
    name[len] = 0;
    return VL_OK;
}

int vl_tar_parse(const uint8_t *p, size_t n, char name[VL_TAR_NAME_MAX + 1], uint64_t *size, size_t *used,
                 vl_err *e)
{
    uint8_t want[VL_TAR_HEAD_MAX];
    size_t before = 0, want_n = 0, body_n, i;
    char got[VL_TAR_NAME_MAX + 1];
    uint64_t bytes;
    int rc;

    *used = 0;
    if (n < VL_TAR_BLOCK)
        return VL_OK;
    rc = check_block(p, &bytes, e);
    if (rc)
        return rc;
    if (p[F_TYPE] == 'x') {
        body_n = (size_t)bytes;
        if (body_n <= VL_TAR_USTAR_NAME || body_n > VL_TAR_NAME_MAX + 12)
            return vl_fail(e, VL_EFORMAT, "PAX header of %zu bytes is no single path", body_n);
        before = (size_t)(VL_TAR_BLOCK + bytes + vl_tar_padding(bytes));
        if (n < before + VL_TAR_BLOCK)
            return VL_OK;
        rc = pax_name(p + VL_TAR_BLOCK, body_n, got, e);
        if (!rc)
            rc = check_block(p + before, &bytes, e);
        if (rc)
            return rc;
    } else {
        memcpy(got, p, VL_TAR_USTAR_NAME);
        got[VL_TAR_USTAR_NAME] = 0;
    }
    rc = vl_tar_build(got, bytes, want, &want_n, e);
    if (rc)
        return vl_fail(e, VL_EFORMAT, "tar header: the name is empty");
    if (want_n != before + VL_TAR_BLOCK)
        return vl_fail(e, VL_EFORMAT, "tar header: the name does not need or lacks a PAX header");
    for (i = 0; memcmp(p, want, want_n) && i < want_n; i++)
        if (want[i] != p[i])
            return vl_fail(e, VL_EFORMAT, "tar header: byte %zu is 0x%02x, FORMAT.md fixes 0x%02x", i, p[i],
                           want[i]);
    strcpy(name, got);
    *size = bytes;
    *used = want_n;
    return VL_OK;
}
