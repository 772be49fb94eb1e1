/* SPDX-License-Identifier: MIT
 * layout.c -- picks the source, and what the sources share: captions and keys. */
#include "pipeline/layout.h"
#include "formats/names.h"
#include "pipeline/text_utf8.h"

#include <string.h>
#include <sys/stat.h>

static int open_dir(const char *path, const char *root, vl_layout **out, vl_err *e)
{
    if (root)
        return vl_fail(e, VL_EARG, "%s is a folder: a root is for TSV and JSON only", path);
    return vl_layout_dir(path, out, e);
}

static int open_tar(vl_input *in, const char *root, vl_layout **out, vl_err *e)
{
    int rc;

    if (!root)
        return vl_layout_tar(in, out, e);
    rc = vl_fail(e, VL_EARG, "%s is a tar: a root is for TSV and JSON only", in->name);
    vl_input_close(in);
    return rc;
}

int vl_layout_open(const char *path, const char *root, const char *split, vl_layout **out, vl_err *e)
{
    bool std = !strcmp(path, "-");
    vl_input *in = NULL;
    struct stat st;
    int rc;

    if (!std && stat(path, &st))
        return vl_fail_errno(e, "%s", path);
    if (!std && S_ISDIR(st.st_mode))
        return open_dir(path, root, out, e);
    rc = vl_input_open(path, &in, e);
    if (rc)
        return rc;
    switch (vl_input_sniff(in)) {
    case VL_INPUT_TAR:
        return open_tar(in, root, out, e);
    case VL_INPUT_JSON:
        return vl_layout_json(in, path, root, split, out, e);
    default:
        return vl_layout_tsv(in, path, root, out, e);
    }
}

int vl_layout_next(vl_layout *l, vl_pair *pair, vl_err *e)
{
    l->n_captions = 0;
    return l->next(l, pair, e);
}

uint64_t vl_layout_ignored(const vl_layout *l)
{
    return l->ignored;
}

void vl_layout_close(vl_layout *l)
{
    if (l)
        l->close(l);
}

char *vl_layout_root(const char *path, const char *root, vl_err *e)
{
    const char *slash = strrchr(path, '/'), *from = root ? root : strcmp(path, "-") ? path : "";
    size_t n = root ? strlen(root) : slash ? (size_t)(slash - path) + 1 : 0;
    char *p = vl_alloc(n + 2, 1, e);

    if (!p)
        return NULL;
    memcpy(p, from, n);
    if (n && p[n - 1] != '/')
        p[n] = '/';
    return p;
}

int vl_layout_caption(vl_layout *l, const char *s, size_t n, vl_err *e)
{
    if (l->n_captions == VL_LAYOUT_CAPTIONS_MAX)
        return vl_fail(e, VL_EFORMAT, "more than %d captions", VL_LAYOUT_CAPTIONS_MAX);
    if (vl_caption_check(s, n, e)) {
        char fault[VL_ERR_TEXT];
        if (!e)
            return VL_EFORMAT;
        memcpy(fault, e->text, sizeof fault);
        return vl_fail(e, VL_EFORMAT, "caption %zu %s", l->n_captions, fault);
    }
    l->caption[l->n_captions] = s;
    l->caption_bytes[l->n_captions++] = n;
    return VL_OK;
}

int vl_layout_key(const char *path, char *key, vl_err *e)
{
    const char *slash = strrchr(path, '/'), *dot = strrchr(slash ? slash : path, '.');
    size_t n = dot ? (size_t)(dot - path) : strlen(path);

    memcpy(key, path, n);
    key[n] = 0;
    return vls_key_check(key, VL_EFORMAT, e);
}
