/* SPDX-License-Identifier: MIT */
#include "formats/sign.h"
#include "formats/bytes.h"
#include "formats/digest.h"
#include "formats/manifest.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <string.h>

enum { KEY_BYTES = VL_SIGN_KEY_HEX / 2, VALUE_BYTES = VL_SIGN_HEX / 2, MESSAGE_MAX = 128 };

static const char algorithm[] = "ed25519";

/* libcrypto would ask the terminal. */
static int no_password(char *buf, int size, int writing, void *arg)
{
    (void)buf, (void)size, (void)writing, (void)arg;
    return -1;
}

static int load(const char *path, bool private, vl_sign_key **out, vl_err *e)
{
    const char *sort = private ? "private" : "public";
    FILE *f = fopen(path, "re");
    EVP_PKEY *key;
    int rc = VL_OK;

    if (!f)
        return vl_fail_errno(e, "%s", path);
    key = private ? PEM_read_PrivateKey(f, NULL, no_password, NULL)
                  : PEM_read_PUBKEY(f, NULL, no_password, NULL);
    fclose(f);
    ERR_clear_error();
    if (!key)
        rc = vl_fail(e, VL_EFORMAT, "%s: no %s key in PEM form, or one behind a password", path, sort);
    else if (EVP_PKEY_get_base_id(key) != EVP_PKEY_ED25519)
        rc = vl_fail(e, VL_EFORMAT, "%s: a %s key, but none of Ed25519", path, sort);
    if (rc)
        EVP_PKEY_free(key);
    else
        *out = key;
    return rc;
}

int vl_sign_key_private(const char *path, vl_sign_key **out, vl_err *e)
{
    return load(path, true, out, e);
}

int vl_sign_key_public(const char *path, vl_sign_key **out, vl_err *e)
{
    return load(path, false, out, e);
}

void vl_sign_key_free(vl_sign_key *key)
{
    EVP_PKEY_free(key);
}

int vl_sign_key_hex(const vl_sign_key *key, char hex[VL_SIGN_KEY_HEX + 1], vl_err *e)
{
    uint8_t raw[KEY_BYTES];
    size_t n = sizeof raw;

    if (EVP_PKEY_get_raw_public_key(key, raw, &n) != 1 || n != sizeof raw)
        return vl_fail(e, VL_EFORMAT, "libcrypto: no public key of %d bytes", KEY_BYTES);
    vl_hex(raw, n, hex);
    return VL_OK;
}

static int message(const char *content_id, const char *kind, char out[MESSAGE_MAX], size_t *n, vl_err *e)
{
    if (strlen(content_id) != VL_SHA_HEX || strlen(kind) > VLS_KIND_MAX)
        return vl_fail(e, VL_EARG, "'%.80s' is no content id, or '%.40s' no kind", content_id, kind);
    *n = (size_t)snprintf(out, MESSAGE_MAX, "vlkit content id v1\n%s %s\n", content_id, kind);
    return VL_OK;
}

int vl_sign(const vl_sign_key *key, const char *content_id, const char *kind, json_t **out, vl_err *e)
{
    char text[MESSAGE_MAX], pub[VL_SIGN_KEY_HEX + 1], value[VL_SIGN_HEX + 1];
    uint8_t raw[VALUE_BYTES];
    size_t n = 0, raw_n = sizeof raw;
    EVP_MD_CTX *c = NULL;
    int rc = message(content_id, kind, text, &n, e);

    if (!rc)
        rc = vl_sign_key_hex(key, pub, e);
    if (rc)
        return rc;
    c = EVP_MD_CTX_new();
    if (!c || EVP_DigestSignInit(c, NULL, NULL, NULL, (EVP_PKEY *)key) != 1 ||
        EVP_DigestSign(c, raw, &raw_n, (const uint8_t *)text, n) != 1 || raw_n != sizeof raw)
        rc = vl_fail(e, VL_ENOMEM, "libcrypto cannot sign");
    EVP_MD_CTX_free(c);
    if (rc)
        return rc;
    vl_hex(raw, raw_n, value);
    *out = json_pack("{s:s, s:s, s:s}", "algorithm", algorithm, "key", pub, "value", value);
    return *out ? VL_OK : vl_fail(e, VL_ENOMEM, "out of memory: signature");
}

static int digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool from_hex(const char *hex, uint8_t *out, size_t n)
{
    if (!hex || strlen(hex) != 2 * n)
        return false;
    for (size_t i = 0; i < n; i++) {
        int hi = digit(hex[2 * i]), lo = digit(hex[2 * i + 1]);
        if (hi < 0 || lo < 0)
            return false;
        out[i] = (uint8_t)(hi << 4 | lo);
    }
    return true;
}

int vl_verify(const vl_sign_key *key, const char *content_id, const char *kind, const json_t *signature,
              vl_err *e)
{
    const char *by = json_string_value(json_object_get(signature, "key"));
    const char *how = json_string_value(json_object_get(signature, "algorithm"));
    char text[MESSAGE_MAX], pub[VL_SIGN_KEY_HEX + 1];
    uint8_t raw[VALUE_BYTES];
    size_t n = 0;
    EVP_MD_CTX *c;
    int rc, ok;

    if (!signature)
        return vl_fail(e, VL_EFORMAT, "not signed");
    if (!how || strcmp(how, algorithm) || !from_hex(by, raw, KEY_BYTES) ||
        !from_hex(json_string_value(json_object_get(signature, "value")), raw, VALUE_BYTES))
        return vl_fail(e, VL_EFORMAT, "its signature is no Ed25519 signature");
    rc = vl_sign_key_hex(key, pub, e);
    if (!rc)
        rc = message(content_id, kind, text, &n, e);
    if (rc)
        return rc;
    if (strcmp(by, pub))
        return vl_fail(e, VL_EFORMAT, "signed by another key, %.16s...", by);
    c = EVP_MD_CTX_new();
    ok = c && EVP_DigestVerifyInit(c, NULL, NULL, NULL, (EVP_PKEY *)key) == 1 &&
         EVP_DigestVerify(c, raw, sizeof raw, (const uint8_t *)text, n) == 1;
    EVP_MD_CTX_free(c);
    ERR_clear_error();
    return ok ? VL_OK : vl_fail(e, VL_EFORMAT, "the signature does not fit the content");
}
