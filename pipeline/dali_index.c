/* SPDX-License-Identifier: MIT */
#include "pipeline/dali_index.h"

#include "formats/bytes.h"
#include "formats/names.h"
#include "formats/outfile.h"
#include "formats/source.h"
#include "formats/tarhead.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

char *vl_dali_name(const char *tar, vl_err *e)
{
    size_t n = strlen(tar);
    char *name = vl_alloc(n + 5, 1, e);

    if (!name)
        return NULL;
    if (n > 4 && !strcmp(tar + n - 4, ".tar"))
        n -= 4;
    memcpy(name, tar, n);
    strcpy(name + n, ".idx");
    return name;
}

typedef struct walk {
    vl_source src;
    vl_buf text; /* the index without its first line */
    uint64_t samples;
    char key[VL_TAR_NAME_MAX + 1]; /* of the line at hand */
} walk;

static int note(walk *w, const char *name, uint64_t size, vl_err *e)
{
    size_t n;
    bool more;
    int rc = vls_name_split(name, &n, e);

    if (rc)
        return rc;
    if (strchr(name, ' '))
        return vl_fail(e, VL_EFORMAT, "record '%.*s': a blank in a name, which the index cannot hold", (int)n,
                       name);
    more = w->samples && strlen(w->key) == n && !strncmp(w->key, name, n);
    if (!more) {
        w->samples++;
        memcpy(w->key, name, n);
        w->key[n] = 0;
    }
    return vl_buf_fmt(&w->text, e, "%s%s %" PRIu64 " %" PRIu64 " %s",
                      more             ? " "
                      : w->samples > 1 ? "\n"
                                       : "",
                      name + n + 1, w->src.at, size, name);
}

/* One member: its header, a line about it, a step over its bytes. */
static int member(walk *w, vl_err *e)
{
    uint8_t head[VL_TAR_HEAD_MAX];
    char name[VL_TAR_NAME_MAX + 1];
    size_t n = 0, got, used = 0;
    uint64_t size = 0;
    int rc = VL_OK;

    while (!rc && !used && n < sizeof head) {
        rc = vl_source_read(&w->src, head + n, VL_TAR_BLOCK, &got, e);
        if (!rc && got < VL_TAR_BLOCK)
            rc = vl_fail(e, VL_EFORMAT, "ends inside a header");
        n += VL_TAR_BLOCK;
        if (!rc)
            rc = vl_tar_parse(head, n, name, &size, &used, e);
    }
    if (!rc && !used)
        rc = vl_fail(e, VL_EFORMAT, "no tar header");
    if (!rc && strncmp(name, VLS_META, strlen(VLS_META)))
        rc = note(w, name, size, e);
    return rc ? rc : vl_source_seek(&w->src, w->src.at + size + vl_tar_padding(size), e);
}

static bool zeros_here(walk *w)
{
    uint8_t block[VL_TAR_BLOCK];

    if (vl_pread_all(w->src.fd, w->src.at, block, sizeof block, NULL))
        return false;
    for (size_t i = 0; i < sizeof block; i++)
        if (block[i])
            return false;
    return true;
}

static int write_index(const walk *w, const char *idx, vl_err *e)
{
    vl_outfile *f = NULL;
    vl_buf first = {0};
    int rc = vl_buf_fmt(&first, e, "v1.2 %" PRIu64 "\n", w->samples);

    if (!rc)
        rc = vl_outfile_open(idx, &f, e);
    if (!rc)
        rc = vl_outfile_write(f, first.p, first.n, e);
    if (!rc)
        rc = vl_outfile_write(f, w->text.p, w->text.n, e);
    if (!rc)
        rc = vl_outfile_write(f, "\n", 1, e);
    free(first.p);
    if (!rc)
        return vl_outfile_commit(f, e);
    vl_outfile_abort(f);
    return rc;
}

int vl_dali_index(const char *tar, const char *idx, vl_err *e)
{
    walk w = {.src = {.fd = -1}};
    int rc = vl_source_open(tar, &w.src, e);

    while (!rc && w.src.at < w.src.size && !zeros_here(&w)) /* zeros: sealed */
        rc = member(&w, e);
    if (!rc && !w.samples)
        rc = vl_fail(e, VL_EFORMAT, "no record for an index");
    if (rc)
        vl_within(e, "%s", tar);
    else
        rc = write_index(&w, idx, e);
    vl_source_close(&w.src);
    free(w.text.p);
    return rc;
}
