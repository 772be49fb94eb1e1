/* SPDX-License-Identifier: MIT */
#include "pipeline/pack.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void vl_packed_free(vl_packed *p)
{
    if (!p)
        return;
    json_decref(p->more);
    free(p->json);
    free(p->bytes);
    free(p->captions);
    free(p->member);
    free(p->text);
    free(p);
}

/* Copies s, n bytes and a NUL, to *to and moves it on. */
static char *lay(char **to, const void *s, size_t n)
{
    char *at = *to;

    if (n)
        memcpy(at, s, n);
    at[n] = 0;
    *to = at + n + 1;
    return at;
}

static size_t text_bytes(const vl_pair *pair, const char *image, const char *source)
{
    size_t n = strlen(pair->key) + strlen(pair->where) + strlen(image) + strlen(source) + 4;

    for (size_t i = 0; i < pair->n_captions; i++)
        n += pair->caption_bytes[i] + 1;
    for (size_t i = 0; i < pair->n_members; i++)
        n += strlen(pair->members[i].ext) + 1 + pair->members[i].n + 1;
    return n;
}

vl_packed *vl_packed_new(const vl_pair *pair, vl_err *e)
{
    vl_packed *p = vl_alloc(1, sizeof *p, e);
    const char *image = pair->image ? pair->image : "", *source = pair->source ? pair->source : "";
    char *to;

    if (!p || !(p->text = to = malloc(text_bytes(pair, image, source))) ||
        !(p->captions = vl_alloc(pair->n_captions, sizeof *p->captions, e)) ||
        !(p->member = vl_alloc(3 + pair->n_members, sizeof *p->member, e)) ||
        (pair->bytes && !(p->bytes = malloc(pair->n_bytes + 1)))) {
        vl_packed_free(p);
        vl_fail(e, VL_ENOMEM, "out of memory: %s", pair->where);
        return NULL;
    }
    p->key = lay(&to, pair->key, strlen(pair->key));
    p->where = lay(&to, pair->where, strlen(pair->where));
    p->image = lay(&to, image, strlen(image));
    p->source = lay(&to, source, strlen(source));
    for (size_t i = 0; i < pair->n_captions; i++)
        p->captions[i] = lay(&to, pair->captions[i], pair->caption_bytes[i]);
    p->n_captions = pair->n_captions;
    for (size_t i = 0; i < pair->n_members; i++) {
        const vls_member *m = &pair->members[i];
        p->member[3 + i].ext = lay(&to, m->ext, strlen(m->ext));
        p->member[3 + i].data = (uint8_t *)lay(&to, m->data, m->n);
        p->member[3 + i].n = m->n;
        p->held += m->n;
    }
    p->n_more = pair->n_members;
    if (pair->bytes)
        memcpy(p->bytes, pair->bytes, p->n = pair->n_bytes);
    p->held += p->n;
    p->more = json_incref(pair->more);
    return p;
}

vl_packed *vl_packed_bad(int rc, const vl_err *why, vl_err *e)
{
    vl_packed *p = vl_alloc(1, sizeof *p, e);

    if (p) {
        p->rc = rc;
        p->e = *why;
    }
    return p;
}

/* A file that is not there or not readable is this record's fault; a system that is out of
 * something is not, and leaving records out would only hide it. */
static int fault_of(int error)
{
    switch (error) {
    case ENOMEM:
    case EMFILE:
    case ENFILE:
    case EIO:
    case EINTR:
        return VL_EIO;
    default:
        return VL_EFORMAT;
    }
}

static int read_open(int fd, uint8_t **bytes, size_t *n, vl_err *e)
{
    struct stat st;
    size_t at = 0;

    if (fstat(fd, &st))
        return vl_fail(e, fault_of(errno), "%s", strerror(errno));
    if (!S_ISREG(st.st_mode))
        return vl_fail(e, VL_EFORMAT, "not a regular file");
    if ((uint64_t)st.st_size > VL_PACK_IMAGE_MAX)
        return vl_fail(e, VL_EFORMAT, "%" PRIu64 " bytes, at most %" PRIu64 " allowed", (uint64_t)st.st_size,
                       VL_PACK_IMAGE_MAX);
    *n = (size_t)st.st_size;
    if (!(*bytes = malloc(*n ? *n : 1)))
        return vl_fail(e, VL_ENOMEM, "out of memory: %zu bytes", *n);
    while (at < *n) {
        ssize_t got = read(fd, *bytes + at, *n - at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return vl_fail(e, fault_of(errno), "%s", strerror(errno));
        if (!got)
            return vl_fail(e, VL_EFORMAT, "ends at byte %zu, had %zu when it was opened", at, *n);
        at += (size_t)got;
    }
    return VL_OK;
}

/* O_NONBLOCK: a FIFO named x.jpg must be refused, not waited for. */
static int read_image(const char *path, uint8_t **bytes, size_t *n, vl_err *e)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY), rc;

    if (fd < 0)
        return vl_fail(e, fault_of(errno), "%s", strerror(errno));
    rc = read_open(fd, bytes, n, e);
    close(fd);
    return rc;
}

static int check_image(vl_packed *p, size_t n, const vl_pack_opts *opts)
{
    uint8_t *rgb = NULL;
    int rc;

    if (!opts->decode)
        return vl_image_check(p->bytes, n, opts->max_pixels, &p->info, &p->e);
    rc = vl_image_decode(p->bytes, n, opts->max_pixels, &rgb, &p->info, &p->e);
    free(rgb);
    return rc;
}

/* The check leaves the size as stored, the decoder turns it; the record tells the upright one. */
static int set_size(json_t *j, const vl_packed *p, bool decoded)
{
    bool swap = p->info.orientation >= 5 && !decoded;

    return json_object_set_new(j, "width", json_integer(swap ? p->info.height : p->info.width)) ||
           json_object_set_new(j, "height", json_integer(swap ? p->info.width : p->info.height));
}

static int build_json(vl_packed *p, const vl_pack_opts *opts)
{
    json_t *j = json_object(), *list = json_array();
    int bad = !j || !list || (p->more && json_object_update(j, p->more));

    for (size_t i = 0; i < p->n_captions && !bad; i++)
        bad = json_array_append_new(list, json_string(p->captions[i]));
    bad = bad || json_object_set(j, "captions", list) || set_size(j, p, opts->decode) ||
          (*p->source && json_object_set_new(j, "source", json_string(p->source))) ||
          (opts->split && !json_object_get(j, "split") &&
           json_object_set_new(j, "split", json_string(opts->split)));
    if (!bad)
        p->json = json_dumps(j, JSON_COMPACT | JSON_SORT_KEYS | JSON_REAL_PRECISION(17));
    json_decref(list);
    json_decref(j);
    return p->json ? VL_OK : vl_fail(&p->e, VL_ENOMEM, "out of memory: json");
}

void vl_packed_make(vl_packed *p, const vl_pack_opts *opts)
{
    if (p->rc)
        return;
    if (!p->bytes)
        p->rc = read_image(p->image, &p->bytes, &p->n, &p->e);
    if (!p->rc)
        p->rc = check_image(p, p->n, opts);
    if (!p->rc)
        p->rc = build_json(p, opts);
    if (p->rc) {
        vl_within(&p->e, "%s", p->where);
        return;
    }
    p->member[0] = (vls_member){vl_image_ext(p->info.kind), p->bytes, p->n};
    p->member[1] = (vls_member){"json", (uint8_t *)p->json, strlen(p->json)};
    p->member[2] = (vls_member){"txt", (uint8_t *)p->captions[0], strlen(p->captions[0])};
    p->record = (vls_record){.key = p->key, .members = p->member, .n_members = 3 + p->n_more};
}
