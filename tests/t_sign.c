/* SPDX-License-Identifier: MIT
 * t_sign.c -- a known signature (RFC 8032's key of test 1), and everything that makes one invalid. */
#include "formats/sign.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

/* PKCS #8 of the secret key 9d61b19d...7f60, and its public key d75a9801...511a. */
static const char private_pem[] = "-----BEGIN PRIVATE KEY-----\n"
                                  "MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n"
                                  "-----END PRIVATE KEY-----\n";
static const char public_pem[] = "-----BEGIN PUBLIC KEY-----\n"
                                 "MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n"
                                 "-----END PUBLIC KEY-----\n";
static const char key_hex[] = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
static const char id[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

static vl_sign_key *key_of(const char *pem, int (*load)(const char *, vl_sign_key **, vl_err *))
{
    char path[] = "/tmp/vlkit-sign.XXXXXX";
    int fd = mkstemp(path);
    vl_sign_key *key = NULL;
    vl_err e;

    assert_true(fd >= 0);
    assert_int_equal(write(fd, pem, strlen(pem)), strlen(pem));
    close(fd);
    if (load(path, &key, &e))
        fail_msg("%s", e.text);
    unlink(path);
    return key;
}

static void round_trip(void **state)
{
    vl_sign_key *own = key_of(private_pem, vl_sign_key_private),
                *pub = key_of(public_pem, vl_sign_key_public);
    json_t *a = NULL, *b = NULL;
    char hex[VL_SIGN_KEY_HEX + 1];
    vl_err e;

    (void)state;
    assert_int_equal(vl_sign_key_hex(own, hex, &e), VL_OK);
    assert_string_equal(hex, key_hex);
    assert_int_equal(vl_sign_key_hex(pub, hex, &e), VL_OK);
    assert_string_equal(hex, key_hex);
    assert_int_equal(vl_sign(own, id, "pairs", &a, &e), VL_OK);
    assert_int_equal(vl_sign(own, id, "pairs", &b, &e), VL_OK);
    assert_true(json_equal(a, b));
    assert_int_equal(vl_verify(pub, id, "pairs", a, &e), VL_OK);
    assert_int_equal(vl_sign(own, "short", "pairs", &b, &e), VL_EARG);
    json_decref(a);
    json_decref(b);
    vl_sign_key_free(own);
    vl_sign_key_free(pub);
}

static void refused(void **state)
{
    vl_sign_key *own = key_of(private_pem, vl_sign_key_private),
                *pub = key_of(public_pem, vl_sign_key_public);
    static const struct {
        const char *name, *value, *words; /* value: NULL takes the name away */
    } row[] = {
        {"algorithm", "ed448", "no Ed25519 signature"},
        {"algorithm", NULL, "no Ed25519 signature"},
        {"key", "00", "no Ed25519 signature"},
        {"key", "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511b",
         "signed by another key, d75a98"},
        {"key", "D75A980182B10AB7D54BFED3C964073A0EE172F3DAA62325AF021A68F707511A", "no Ed25519 signature"},
        {"value", "", "no Ed25519 signature"},
        {"value", NULL, "no Ed25519 signature"},
    };
    json_t *good = NULL, *bad;
    char other[sizeof id];
    vl_err e;

    (void)state;
    assert_int_equal(vl_sign(own, id, "pairs", &good, &e), VL_OK);
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        bad = json_deep_copy(good);
        if (row[i].value)
            json_object_set_new(bad, row[i].name, json_string(row[i].value));
        else
            json_object_del(bad, row[i].name);
        assert_int_equal(vl_verify(pub, id, "pairs", bad, &e), VL_EFORMAT);
        if (!strstr(e.text, row[i].words))
            fail_msg("row %zu: '%s', expected '%s'", i, e.text, row[i].words);
        json_decref(bad);
    }
    assert_int_equal(vl_verify(pub, id, "pairs", NULL, &e), VL_EFORMAT);
    assert_string_equal(e.text, "not signed");
    assert_int_equal(vl_verify(pub, id, "embeddings", good, &e), VL_EFORMAT);
    assert_string_equal(e.text, "the signature does not fit the content");
    memcpy(other, id, sizeof id);
    other[63] = 'e';
    assert_int_equal(vl_verify(pub, other, "pairs", good, &e), VL_EFORMAT);
    bad = json_string("ed25519");
    assert_int_equal(vl_verify(pub, id, "pairs", bad, &e), VL_EFORMAT);
    json_decref(bad);
    /* any digit of the value changed */
    for (int i = 0; i < VL_SIGN_HEX; i++) {
        char value[VL_SIGN_HEX + 1];
        bad = json_deep_copy(good);
        strcpy(value, json_string_value(json_object_get(good, "value")));
        value[i] = value[i] == '0' ? '1' : '0';
        json_object_set_new(bad, "value", json_string(value));
        assert_int_equal(vl_verify(pub, id, "pairs", bad, &e), VL_EFORMAT);
        json_decref(bad);
    }
    json_decref(good);
    vl_sign_key_free(own);
    vl_sign_key_free(pub);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(round_trip), cmocka_unit_test(refused)};

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
