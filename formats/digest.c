/* SPDX-License-Identifier: MIT */
#include "formats/digest.h"
#include "formats/bytes.h"

#include <openssl/evp.h>

int vl_sha_new(vl_sha **out, vl_err *e)
{
    vl_sha *s = EVP_MD_CTX_new();
    int rc;

    if (!s)
        return vl_fail(e, VL_ENOMEM, "out of memory: SHA-256");
    rc = vl_sha_reset(s, e);
    if (rc)
        vl_sha_free(s);
    else
        *out = s;
    return rc;
}

int vl_sha_reset(vl_sha *s, vl_err *e)
{
    if (EVP_DigestInit_ex(s, EVP_sha256(), NULL) != 1)
        return vl_fail(e, VL_ENOMEM, "libcrypto refuses SHA-256");
    return VL_OK;
}

int vl_sha_add(vl_sha *s, const void *p, size_t n, vl_err *e)
{
    if (n && EVP_DigestUpdate(s, p, n) != 1)
        return vl_fail(e, VL_ENOMEM, "libcrypto: SHA-256 failed");
    return VL_OK;
}

int vl_sha_hex(const vl_sha *s, char hex[VL_SHA_HEX + 1], vl_err *e)
{
    uint8_t sum[EVP_MAX_MD_SIZE];
    EVP_MD_CTX *copy = EVP_MD_CTX_new();
    int ok = copy && EVP_MD_CTX_copy_ex(copy, s) == 1 && EVP_DigestFinal_ex(copy, sum, NULL) == 1;

    EVP_MD_CTX_free(copy);
    if (!ok)
        return vl_fail(e, VL_ENOMEM, "libcrypto: SHA-256 failed");
    vl_hex(sum, VL_SHA_HEX / 2, hex);
    return VL_OK;
}

void vl_sha_free(vl_sha *s)
{
    EVP_MD_CTX_free(s);
}
