/* SPDX-License-Identifier: MIT
 * import_pt.c -- which file is what: by its name, as the official code names it. Both halves of an expert come
 * from the same number: taking the files in the order of a folder would mix experts. */
#include "distill/import_pt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct half {
    const char *path;
    bool text;
    unsigned number;
} half;

/* img_replay_buffer_N.pt or txt_replay_buffer_N.pt: true with *h set. */
static bool is_replay(const char *path, half *h)
{
    const char *name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
    char again[48];
    unsigned n = 0;

    h->path = path;
    h->text = !strncmp(name, "txt_", 4);
    if (sscanf(name + (strlen(name) > 4 ? 4 : 0), "replay_buffer_%9u.pt", &n) != 1)
        return false;
    h->number = n;
    snprintf(again, sizeof again, "%s_replay_buffer_%u.pt", h->text ? "txt" : "img", n);
    return !strcmp(name, again);
}

static int by_number(const void *a, const void *b)
{
    const half *x = a, *y = b;

    if (x->number != y->number)
        return x->number < y->number ? -1 : 1;
    return x->text - y->text;
}

static int import_halves(half *h, size_t n, const char *tool, vls_writer *w, vld_import_counts *counts,
                         vl_err *e)
{
    int rc = VL_OK;

    qsort(h, n, sizeof *h, by_number);
    for (size_t i = 0; !rc && i < n; i += 2) {
        if (i + 1 == n || h[i].text || !h[i + 1].text || h[i].number != h[i + 1].number)
            return vl_fail(e, VL_EARG,
                           "%s: img_replay_buffer_%u.pt and txt_replay_buffer_%u.pt go together, once",
                           h[i].path, h[i].number, h[i].number);
    }
    for (size_t i = 0; !rc && i < n; i += 2)
        rc = vld_import_replay(h[i].path, h[i + 1].path, tool, w, counts, e);
    return rc;
}

int vld_import_pt(const char *const *paths, size_t n, const char *tool, vls_writer *w,
                  vld_import_counts *counts, vl_err *e)
{
    half *h = vl_alloc(n, sizeof *h, e);
    size_t n_halves = 0;
    int rc = h ? VL_OK : VL_ENOMEM;

    *counts = (vld_import_counts){0};
    for (size_t i = 0; h && i < n; i++)
        n_halves += is_replay(paths[i], &h[n_halves]);
    if (!rc && !n)
        rc = vl_fail(e, VL_EARG, "no files given");
    if (!rc && n_halves && n_halves < n)
        rc = vl_fail(e, VL_EARG, "replay buffers and other files: a shard holds one of them");
    if (!rc && !n_halves && n > 1)
        rc = vl_fail(e, VL_EARG, "%s, %s: a shard holds one distilled set", paths[0], paths[1]);
    if (!rc)
        rc = n_halves ? import_halves(h, n, tool, w, counts, e)
                      : vld_import_distilled(paths[0], tool, w, counts, e);
    free(h);
    return rc;
}
