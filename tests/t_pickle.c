/* SPDX-License-Identifier: MIT
 * t_pickle.c -- pickles good and bad, byte by byte. What torch.save writes is read by t_pt.c. */
#include "formats/pickle.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const vl_pk_global allowed[] = {{"m", "f"}, {"m", "g"}};

/* The tree as text: numbers, 'texts', [lists], (tuples), {dicts}, <row>(arguments), #ids. */
static void show(const vl_pickle *p, const vl_pk_node *x, char *out, size_t n)
{
    static const char open[] = "[({", shut[] = "])}";
    size_t k = strlen(out);

    switch ((vl_pk_type)x->type) {
    case VL_PK_NONE:
        snprintf(out + k, n - k, "None");
        return;
    case VL_PK_BOOL:
        snprintf(out + k, n - k, x->u.i ? "True" : "False");
        return;
    case VL_PK_INT:
        snprintf(out + k, n - k, "%lld", (long long)x->u.i);
        return;
    case VL_PK_FLOAT:
        snprintf(out + k, n - k, "%g", x->u.f);
        return;
    case VL_PK_TEXT:
        snprintf(out + k, n - k, "'%.*s'", (int)x->n, (const char *)x->u.text);
        return;
    case VL_PK_GLOBAL:
        snprintf(out + k, n - k, "<%lld>", (long long)x->u.i);
        return;
    case VL_PK_CALL:
        snprintf(out + k, n - k, "<%lld>", (long long)x->u.i);
        show(p, vl_pk_kid(p, x, 0), out, n);
        return;
    case VL_PK_PERSID:
        snprintf(out + k, n - k, "#");
        show(p, vl_pk_kid(p, x, 0), out, n);
        return;
    default:
        break;
    }
    snprintf(out + k, n - k, "%c", open[x->type - VL_PK_LIST]);
    for (uint32_t i = 0; i < x->n; i++) {
        if (i)
            strncat(out, x->type == VL_PK_DICT && i % 2 ? ":" : ",", n - strlen(out) - 1);
        show(p, vl_pk_kid(p, x, i), out, n);
    }
    k = strlen(out);
    snprintf(out + k, n - k, "%c", shut[x->type - VL_PK_LIST]);
}

#define BYTES(s) (const uint8_t *)(s), sizeof(s) - 1

static const struct {
    const uint8_t *p;
    size_t n;
    const char *shown; /* the tree, or what the error says */
    bool bad;
} table[] = {
    {BYTES("N."), "None", false},
    {BYTES("\x80\2\x88."), "True", false},
    {BYTES("\x80\2\x89."), "False", false},
    {BYTES("K\xff."), "255", false},
    {BYTES("M\0\1."), "256", false},
    {BYTES("J\xff\xff\xff\xff."), "-1", false},
    {BYTES("\x8a\0."), "0", false},
    {BYTES("\x8a\1\xff."), "-1", false},
    {BYTES("\x8a\5\0\0\0\0\1."), "4294967296", false},
    {BYTES("\x8a\x08\0\0\0\0\0\0\0\x80."), "-9223372036854775808", false},
    {BYTES("\x8a\x09\0\0\0\0\0\0\0\0\0."), "an integer of 9 bytes", true},
    {BYTES("G\x3f\xf8\0\0\0\0\0\0."), "1.5", false},
    {BYTES("X\2\0\0\0ab."), "'ab'", false},
    {BYTES("\x8c\0."), "''", false},
    {BYTES("X\4\0\0\0ab."), "pickle: byte 0: a text of 4 bytes", true},
    {BYTES("]."), "[]", false},
    {BYTES("](K\1K\2e."), "[1,2]", false},
    {BYTES("]K\1aK\2a(K\3K\4eK\5a."), "[1,2,3,4,5]", false},
    {BYTES("]q\0(h\0."), "1 marks are left", true},
    {BYTES("}K\1K\2s(K\3K\4u."), "{1:2,3:4}", false},
    {BYTES("}(K\1u."), "a key without a value", true},
    {BYTES(")."), "()", false},
    {BYTES("K\1K\2\x86."), "(1,2)", false},
    {BYTES("K\1\x85\x85."), "((1))", false},
    {BYTES("K\1K\2K\3\x87."), "(1,2,3)", false},
    {BYTES("K\1\x86."), "the stack is empty", true},
    {BYTES("(K\1(K\2\x86t."), "the stack is empty", true}, /* not from below a mark */
    {BYTES("(K\1t."), "(1)", false},
    {BYTES("(t."), "()", false},
    {BYTES("](e."), "[]", false},
    {BYTES("X\1\0\0\0aq\0h\0\x86."), "('a','a')", false}, /* leaves may be shared */
    {BYTES("X\1\0\0\0a\x94h\0\x86."), "('a','a')", false},
    {BYTES(")q\0h\0\x86."), "((),())", false}, /* an empty tuple, too: Python has one of it */
    {BYTES("K\1\x85q\0h\0\x86."), "a tuple in two places", true},
    {BYTES("]q\0h\0\x86."), "a list in two places", true},
    {BYTES("}q\0h\0\x86."), "a dict in two places", true},
    {BYTES("]q\0h\0a."), "the list holds itself", true},
    {BYTES("Nq\1."), "memo place 1, 0 expected", true},
    {BYTES("Nq\0q\0."), "None", false},
    {BYTES("h\0."), "memo place 0 of 0", true},
    {BYTES("cm\nf\n."), "<0>", false},
    {BYTES("\x8c\1m\x8c\1g\x93."), "<1>", false},
    {BYTES("\x8c\1mK\1\x93."), "name is no text", true},
    {BYTES("cm\nF\n."), "global 'm.F' is not one", true},
    {BYTES("cm\nff\n."), "global 'm.ff' is not one", true},
    {BYTES("c\n\n."), "global '.' is not one", true},
    {BYTES("cm\nf"), "a global without its name", true},
    {BYTES("cm"), "a global without its name", true},
    {BYTES("ccollections\nOrderedDict\n."), "<-1>", false},
    {BYTES("ccollections\nOrderedDict\n)RK\1K\2s."), "{1:2}", false},
    {BYTES("ccollections\nOrderedDict\n)R}X\1\0\0\0aK\1sb."), "{}", false},
    {BYTES("}}b."), "attributes for a dict", true},
    {BYTES("ccollections\nOrderedDict\n]\x85R."), "OrderedDict called with", true},
    {BYTES("cm\nf\nK\1\x85R."), "<0>(1)", false},
    {BYTES("cm\nf\n]R."), "a call of a global with a list", true},
    {BYTES("K\1)R."), "a call of a number with a tuple", true},
    {BYTES("K\1\x85Q."), "#(1)", false},
    {BYTES("\x95\2\0\0\0\0\0\0\0N."), "None", false},
    {BYTES("\x95\3\0\0\0\0\0\0\0N."), "a frame of 3 bytes is cut", true},
    {BYTES("\x80\1N."), "protocol 1", true},
    {BYTES("NN."), "2 values and 0 marks", true},
    {BYTES("."), "0 values", true},
    {BYTES(""), "it ends before STOP", true},
    {BYTES("K"), "opcode 0x4b is cut", true},
    {BYTES("N.N"), "1 bytes behind STOP", true},
    {BYTES("t."), "no mark", true},
    {BYTES("(N(a."), "the stack is empty", true},
    {BYTES("NNa."), "items for a None", true},
    {BYTES("I1\n."), "opcode 0x49 is not one", true},
    {BYTES("]2."), "opcode 0x32 is not one", true},
    {BYTES("\x8b\1\0\0\0\1."), "opcode 0x8b is not one", true},
    {BYTES("\xff"), "opcode 0xff is not one", true},
};

static void rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        /* In a block of exactly its size, so that a sanitizer sees a read too far. */
        uint8_t *copy = malloc(table[i].n ? table[i].n : 1);
        char got[VL_ERR_TEXT] = "";
        vl_pickle p;
        vl_err e = {0};
        int rc;

        assert_non_null(copy);
        memcpy(copy, table[i].p, table[i].n);
        rc = vl_pickle_parse(copy, table[i].n, allowed, 2, &p, &e);
        if (rc)
            snprintf(got, sizeof got, "%s", e.text);
        else
            show(&p, vl_pk_root(&p), got, sizeof got);
        if (rc ? !strstr(got, table[i].shown) : strcmp(got, table[i].shown) || table[i].bad)
            fail_msg("row %zu: '%s', '%s' expected", i, got, table[i].shown);
        if (rc)
            assert_int_equal(rc, VL_EFORMAT);
        vl_pickle_free(&p);
        free(copy);
    }
}

/* Nothing recurses: a million lists within each other are a few megabytes, not a stack overflow. */
static void deep(void **state)
{
    enum { N = 1000000 };
    uint8_t *b = malloc(2 * N + 2);
    const vl_pk_node *x;
    vl_pickle p;
    vl_err e;
    size_t depth = 1;

    (void)state;
    assert_non_null(b);
    memset(b, ']', N + 1);
    memset(b + N + 1, 'a', N);
    b[2 * N + 1] = '.';
    assert_int_equal(vl_pickle_parse(b, 2 * N + 2, NULL, 0, &p, &e), VL_OK);
    for (x = vl_pk_root(&p); x->n; x = vl_pk_kid(&p, x, 0))
        depth++;
    assert_int_equal(depth, N + 1);
    vl_pickle_free(&p);
    free(b);
}

/* One byte each, a value each: more than the ceiling is refused before the memory is asked for. */
static void ceilings(void **state)
{
    static const char op[] = {'N', '(', ']', 0};
    static const char *const why[] = {"values on the stack", "values on the stack",
                                      "more than 4194304 values"};
    size_t n = VL_PICKLE_KIDS_MAX + 2;
    uint8_t *b = malloc(n);
    vl_pickle p;
    vl_err e;

    (void)state;
    assert_non_null(b);
    for (int i = 0; op[i]; i++) {
        memset(b, op[i], n);
        assert_int_equal(vl_pickle_parse(b, n, NULL, 0, &p, &e), VL_EFORMAT);
        if (!strstr(e.text, why[i]))
            fail_msg("'%c': %s", op[i], e.text);
        assert_null(p.node);
    }
    free(b);
    assert_int_equal(vl_pickle_parse((const uint8_t *)"N.", (size_t)VL_PICKLE_MAX + 1, NULL, 0, &p, &e),
                     VL_EFORMAT);
    assert_non_null(strstr(e.text, "67108865 bytes"));
}

static void dicts(void **state)
{
    static const uint8_t b[] = "}(\x8c\1aK\1K\7K\2\x8c\1aK\3\x8c\1bK\4u.";
    vl_pickle p;
    vl_err e;

    (void)state;
    assert_int_equal(vl_pickle_parse(b, sizeof b - 1, NULL, 0, &p, &e), VL_OK);
    assert_int_equal(vl_pk_get(&p, vl_pk_root(&p), "a")->u.i, 3); /* the later one, as in Python */
    assert_int_equal(vl_pk_get(&p, vl_pk_root(&p), "b")->u.i, 4);
    assert_null(vl_pk_get(&p, vl_pk_root(&p), "c"));
    assert_null(vl_pk_get(&p, vl_pk_get(&p, vl_pk_root(&p), "a"), "a")); /* a number has no keys */
    vl_pickle_free(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(rows), cmocka_unit_test(deep),
                                       cmocka_unit_test(ceilings), cmocka_unit_test(dicts)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
