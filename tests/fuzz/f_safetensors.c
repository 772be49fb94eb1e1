/* SPDX-License-Identifier: MIT
 * f_safetensors.c -- any bytes as a file of tensors: what loads is written again, loads to the same tensors, and
 * written once more gives the same bytes. */
#include "formats/safetensors.h"
#include "tests/fuzz/fuzz.h"

/* The file of s's tensors; the header sorts them. */
static void write_file(vl_st *s, vl_buf *out)
{
    vl_err e;

    HOLDS(!vl_st_head(s->tensor, s->n, s->meta, out, &e));
    for (size_t i = 0; i < s->n; i++) {
        HOLDS(s->tensor[i].at == (i ? s->tensor[i - 1].at + s->tensor[i - 1].bytes : 0));
        HOLDS(!vl_buf_add(out, s->tensor[i].a.data, (size_t)s->tensor[i].bytes, &e));
    }
}

static const vl_st_tensor *find(const vl_st *s, const char *name)
{
    for (size_t i = 0; i < s->n; i++)
        if (!strcmp(s->tensor[i].name, name))
            return &s->tensor[i];
    return NULL;
}

static void same(const vl_st *s, const vl_st *t)
{
    HOLDS(s->n == t->n && s->data_bytes == t->data_bytes);
    HOLDS(!s->meta == !t->meta && (!s->meta || json_equal(s->meta, t->meta)));
    for (size_t i = 0; i < s->n; i++) {
        const vl_st_tensor *x = &s->tensor[i], *y = find(t, x->name);
        HOLDS(y && x->a.dtype == y->a.dtype && x->a.rank == y->a.rank && x->bytes == y->bytes);
        HOLDS(!memcmp(x->a.shape, y->a.shape, (size_t)x->a.rank * sizeof *x->a.shape));
        HOLDS(!x->bytes || !memcmp(x->a.data, y->a.data, (size_t)x->bytes));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    vl_buf once = {0}, twice = {0};
    vl_st s = {0}, t = {0};
    vl_err e;

    if (told(vl_st_load(data, n, &s, &e), &e))
        return 0;
    write_file(&s, &once);
    HOLDS(!vl_st_load(once.p, once.n, &t, &e));
    same(&s, &t);
    write_file(&t, &twice);
    HOLDS(once.n == twice.n && !memcmp(once.p, twice.p, once.n));
    free(twice.p);
    free(once.p);
    vl_st_free(&t);
    vl_st_free(&s);
    return 0;
}
