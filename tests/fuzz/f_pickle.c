/* SPDX-License-Identifier: MIT
 * f_pickle.c -- any bytes as a pickle. What parses is a tree that can be walked in as many steps as it has
 * places. */
#include "formats/pickle.h"
#include "tests/fuzz/fuzz.h"

static const vl_pk_global allowed[] = {{"torch._utils", "_rebuild_tensor_v2"}, {"torch", "FloatStorage"}};

/* Without recursion: a pickle may nest as deep as it is long. Calls and ids may be shared and are not entered. */
static void walk(const vl_pickle *p)
{
    const vl_pk_node **stack = malloc((p->n_kids + 1) * sizeof *stack);
    size_t n = 0, steps = 0;

    HOLDS(stack);
    stack[n++] = vl_pk_root(p);
    while (n) {
        const vl_pk_node *x = stack[--n];
        HOLDS(steps++ <= p->n_kids);
        HOLDS(*vl_pk_type_name(x));
        vl_pk_get(p, x, "image");
        if (x->type != VL_PK_LIST && x->type != VL_PK_TUPLE && x->type != VL_PK_DICT)
            continue;
        HOLDS(x->n <= x->room && x->first + x->room <= p->n_kids);
        HOLDS(x->type != VL_PK_DICT || x->n % 2 == 0);
        for (uint32_t i = 0; i < x->n; i++)
            stack[n++] = vl_pk_kid(p, x, i);
    }
    free(stack);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    vl_pickle p;
    vl_err e;

    if (!told(vl_pickle_parse(data, n, allowed, 2, &p, &e), &e))
        walk(&p);
    vl_pickle_free(&p);
    return 0;
}
