/* SPDX-License-Identifier: MIT */
#include "pipeline/weights_dir.h"
#include "formats/manifest.h"
#include "formats/safetensors.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { JSON_MAX = 1 << 20 };

static const char config_name[] = "config.json", tensors_name[] = "model.safetensors";

struct vl_weights {
    char *folder;
    json_t *config;
    int fd; /* of the tensors */
    vl_st st;
    uint64_t data_at; /* of the first tensor's bytes */
};

/* Waits for no pipe; *bytes: how long the file is. Gives *fd. */
static int open_file(const char *folder, const char *name, int *fd, uint64_t *bytes, vl_err *e)
{
    size_t room = strlen(folder) + strlen(name) + 2;
    char *path = vl_alloc(room, 1, e);
    struct stat st;
    int rc = VL_OK;

    if (!path)
        return VL_ENOMEM;
    snprintf(path, room, "%s/%s", folder, name);
    *fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (*fd < 0 || fstat(*fd, &st))
        rc = vl_fail_errno(e, "%s", path);
    else if (!S_ISREG(st.st_mode))
        rc = vl_fail(e, VL_EIO, "%s: not a regular file", path);
    else
        *bytes = (uint64_t)st.st_size;
    if (rc && *fd >= 0)
        close(*fd);
    free(path);
    return rc;
}

static int read_at(int fd, uint64_t at, uint8_t *out, size_t n, vl_err *e)
{
    while (n) {
        ssize_t got = pread(fd, out, n, (off_t)at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return vl_fail_errno(e, "read");
        if (!got)
            return vl_fail(e, VL_EFORMAT, "the file ends at byte %llu", (unsigned long long)at);
        out += got;
        at += (uint64_t)got;
        n -= (size_t)got;
    }
    return VL_OK;
}

static int read_json(const char *folder, const char *name, json_t **out, vl_err *e)
{
    uint64_t bytes = 0;
    uint8_t *text = NULL;
    int fd = -1, rc = open_file(folder, name, &fd, &bytes, e);

    if (rc)
        return rc; /* with the path in front */
    if (bytes > JSON_MAX)
        rc = vl_fail(e, VL_EFORMAT, "%llu bytes, at most %d allowed", (unsigned long long)bytes, JSON_MAX);
    else if (!(text = vl_alloc((size_t)bytes + 1, 1, e)))
        rc = VL_ENOMEM;
    if (!rc)
        rc = read_at(fd, 0, text, (size_t)bytes, e);
    if (!rc)
        rc = vls_json_load(text, (size_t)bytes, out, e);
    free(text);
    close(fd);
    return rc ? vl_within(e, "%s/%s", folder, name) : VL_OK;
}

static int read_head(vl_weights *w, vl_err *e)
{
    uint8_t first[VL_ST_FIXED], *text = NULL;
    uint64_t bytes = 0;
    size_t n = 0;
    int rc = open_file(w->folder, tensors_name, &w->fd, &bytes, e);

    if (rc) {
        w->fd = -1;
        return rc;
    }
    rc = read_at(w->fd, 0, first, sizeof first, e);
    if (!rc)
        rc = vl_st_head_bytes(first, &n, e);
    if (!rc && n > bytes - VL_ST_FIXED)
        rc = vl_fail(e, VL_EFORMAT, "its header of %zu bytes is longer than the file", n);
    if (!rc && !(text = vl_alloc(n, 1, e)))
        rc = VL_ENOMEM;
    if (!rc)
        rc = read_at(w->fd, VL_ST_FIXED, text, n, e);
    w->data_at = VL_ST_FIXED + n;
    if (!rc)
        rc = vl_st_parse(text, n, bytes - w->data_at, &w->st, e);
    free(text);
    return rc ? vl_within(e, "%s/%s", w->folder, tensors_name) : VL_OK;
}

int vl_weights_open(const char *folder, vl_weights **out, vl_err *e)
{
    vl_weights *w = vl_alloc(1, sizeof *w, e);
    int rc;

    if (!w)
        return VL_ENOMEM;
    w->fd = -1;
    w->folder = vl_strdup(folder, e);
    rc = w->folder ? read_json(folder, config_name, &w->config, e) : VL_ENOMEM;
    if (!rc)
        rc = read_head(w, e);
    if (rc)
        vl_weights_close(w);
    else
        *out = w;
    return rc;
}

void vl_weights_close(vl_weights *w)
{
    if (!w)
        return;
    vl_st_free(&w->st);
    if (w->fd >= 0)
        close(w->fd);
    json_decref(w->config);
    free(w->folder);
    free(w);
}

int vl_weights_json(const vl_weights *w, const char *file, json_t **out, vl_err *e)
{
    return read_json(w->folder, file, out, e);
}

/* ---- config.json -------------------------------------------------------------------------------- */

static int bad_key(const vl_weights *w, const char *key, const char *wanted, vl_err *e)
{
    return vl_fail(e, VL_EFORMAT, "%s/%s: %s: %s wanted", w->folder, config_name, key, wanted);
}

int vl_weights_text(const vl_weights *w, const char *key, const char *fallback, const char **out, vl_err *e)
{
    const json_t *j = json_object_get(w->config, key);

    if (j ? !json_is_string(j) : !fallback)
        return bad_key(w, key, "a string", e);
    *out = j ? json_string_value(j) : fallback;
    return VL_OK;
}

int vl_weights_int(const vl_weights *w, const char *key, int fallback, int *out, vl_err *e)
{
    const json_t *j = json_object_get(w->config, key);
    json_int_t v = j ? json_integer_value(j) : fallback;

    if ((j && !json_is_integer(j)) || v < 0 || v > 1 << 24)
        return bad_key(w, key, "a whole number from 0 to 2^24", e);
    *out = (int)v;
    return VL_OK;
}

int vl_weights_real(const vl_weights *w, const char *key, double fallback, double *out, vl_err *e)
{
    const json_t *j = json_object_get(w->config, key);
    double v = j ? json_number_value(j) : fallback;

    if ((j && !json_is_number(j)) || !isfinite(v))
        return bad_key(w, key, "a number", e);
    *out = v;
    return VL_OK;
}

int vl_weights_flag(const vl_weights *w, const char *key, bool fallback, bool *out, vl_err *e)
{
    const json_t *j = json_object_get(w->config, key);

    if (j && !json_is_boolean(j))
        return bad_key(w, key, "true or false", e);
    *out = j ? json_is_true(j) : fallback;
    return VL_OK;
}

/* ---- tensors ------------------------------------------------------------------------------------ */

static const vl_st_tensor *find(const vl_weights *w, const char *tensor)
{
    for (size_t i = 0; i < w->st.n; i++)
        if (!strcmp(w->st.tensor[i].name, tensor))
            return &w->st.tensor[i];
    return NULL;
}

bool vl_weights_has(const vl_weights *w, const char *tensor)
{
    return find(w, tensor) != NULL;
}

static int check_shape(const vl_st_tensor *t, int rank, const size_t *dim, vl_err *e)
{
    bool same = t && t->a.rank == rank;
    char text[100] = "";
    size_t n = 0;

    for (int i = 0; same && i < rank; i++)
        same = t->a.shape[i] == dim[i];
    for (int i = 0; i < rank && n < sizeof text; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "%s%zu", i ? "," : "", dim[i]);
    return same ? VL_OK : vl_fail(e, VL_EFORMAT, t ? "not of shape [%s]" : "missing, shape [%s]", text);
}

static int read_values(const vl_weights *w, const vl_st_tensor *t, double **out, vl_err *e)
{
    uint8_t *raw = vl_alloc((size_t)t->bytes, 1, e);
    double *v = raw ? vl_alloc((size_t)t->a.n, sizeof *v, e) : NULL;
    vl_npy a = t->a;
    int rc = v ? read_at(w->fd, w->data_at + t->at, raw, (size_t)t->bytes, e) : VL_ENOMEM;

    a.data = raw;
    if (!rc)
        rc = vl_npy_doubles(&a, v, e);
    for (size_t i = 0; !rc && i < a.n; i++)
        if (!isfinite((float)v[i]))
            rc = vl_fail(e, VL_EFORMAT, "value %zu is not finite", i);
    free(raw);
    if (rc)
        free(v);
    else
        *out = v;
    return rc;
}

int vl_weights_read(const vl_weights *w, const char *tensor, int rank, const size_t *dim, double **out,
                    vl_err *e)
{
    const vl_st_tensor *t = find(w, tensor);
    int rc = check_shape(t, rank, dim, e);

    if (!rc)
        rc = read_values(w, t, out, e);
    return rc ? vl_within(e, "%s/%s: %s", w->folder, tensors_name, tensor) : VL_OK;
}
