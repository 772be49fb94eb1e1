/* SPDX-License-Identifier: MIT
 * layout_tar.c -- records from a tar in WebDataset naming; layout.h states the rules.
 *
 *   input -> gzip or zstd, if any (t->raw) -> the tar's bytes, whose end is looked at -> members (t->a)
 *
 * libarchive unpacks and parses; it never writes a file. A record ends where a member of another key
 * begins, so one header is read ahead (`pending`) and its bytes are taken after the record was given out.
 *
 * Invariants
 *   1. A member's size is held against the bounds before anything is allocated for it, and the buffers of one
 *      record serve the next.
 *   2. A member that may not be in a shard spoils its record, which is given out as bad; members of one key
 *      stay together all the same.
 *   3. After damage the record that was open is bad, and so is the next one, whose first members may have been
 *      in the damage. */
#include "formats/names.h"
#include "formats/tail.h"
#include "formats/tarhead.h"
#include "pipeline/layout.h"
#include "pipeline/pack.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { BLOCK = 65536, END_ZEROS = 2 * VL_TAR_BLOCK, SHOWN = 120 };

typedef struct part { /* a member of the open record */
    char ext[VLS_EXT_MAX + 1];
    size_t at, n; /* of its bytes in data */
} part;

typedef struct tar {
    vl_layout base;
    vl_input *in;
    struct archive *raw, *a;
    struct archive_entry *entry; /* pending: its header was read, its bytes were not */
    bool pending, ended, damaged;
    int fault;      /* errno of a failed read */
    uint64_t bytes; /* read so far */
    size_t zeros;   /* the last bytes that were read, as far as they are zero */
    uint8_t block[BLOCK];
    char key[VL_TAR_NAME_MAX + 1]; /* of the open record */
    bool open;
    vl_err bad;  /* code != 0: what is wrong with it */
    part *parts; /* [room] */
    size_t n_parts, room;
    vl_buf data;
    vls_member *members; /* [room]: those that are given out */
    json_t *doc, *more;  /* its json, whose captions are borrowed; what is left of it */
    char where[4096], name[VL_TAR_NAME_MAX + 1];
    size_t name_bytes; /* of the whole name */
} tar;

static void close_tar(vl_layout *l)
{
    tar *t = (tar *)l;

    archive_read_free(t->a);
    archive_read_free(t->raw);
    vl_input_close(t->in);
    json_decref(t->more);
    json_decref(t->doc);
    free(t->members);
    free(t->data.p);
    free(t->parts);
    free(t);
}

/* ---- the archive ---------------------------------------------------------------------------------- */

/* Bytes of the file. */
static la_ssize_t read_file(struct archive *a, void *arg, const void **out)
{
    tar *t = arg;
    ssize_t got = vl_input_read(t->in, t->block, BLOCK);

    if (got < 0) {
        t->fault = errno;
        archive_set_error(a, errno, "%s", strerror(errno));
        return ARCHIVE_FATAL;
    }
    *out = t->block;
    return got;
}

/* Bytes of the tar. */
static la_ssize_t read_raw(struct archive *a, void *arg, const void **out)
{
    tar *t = arg;
    const uint8_t *p;
    size_t n = 0, zeros = 0;
    la_int64_t at;
    int rc = archive_read_data_block(t->raw, out, &n, &at);

    if (rc == ARCHIVE_EOF)
        return 0;
    if (rc != ARCHIVE_OK) {
        archive_set_error(a, archive_errno(t->raw), "%s", archive_error_string(t->raw));
        return ARCHIVE_FATAL;
    }
    p = *out;
    while (zeros < n && !p[n - 1 - zeros])
        zeros++;
    t->zeros = zeros == n ? t->zeros + zeros : zeros;
    t->bytes += n;
    return (la_ssize_t)n;
}

static int open_archive(tar *t, vl_err *e)
{
    struct archive_entry *whole;
    struct archive *a = NULL;

    if ((t->raw = archive_read_new()) && (t->a = archive_read_new()))
        a = t->raw;
    if (!a)
        return vl_fail(e, VL_ENOMEM, "out of memory: libarchive");
    if (archive_read_support_filter_gzip(a) == ARCHIVE_OK &&
        archive_read_support_filter_zstd(a) == ARCHIVE_OK &&
        archive_read_support_format_raw(a) == ARCHIVE_OK &&
        archive_read_open(a, t, NULL, read_file, NULL) == ARCHIVE_OK &&
        archive_read_next_header(a, &whole) == ARCHIVE_OK) {
        a = t->a;
        if (archive_read_support_format_tar(a) == ARCHIVE_OK &&
            archive_read_set_options(a, "read_concatenated_archives") == ARCHIVE_OK &&
            archive_read_open(a, t, NULL, read_raw, NULL) == ARCHIVE_OK)
            return VL_OK;
    }
    return vl_fail(e, t->fault ? VL_EIO : VL_EFORMAT, "%s: %s", t->in->name, archive_error_string(a));
}

/* What is wrong with the archive spoils the record that is open and the one behind (invariant 3). */
static void damage(tar *t, const vl_err *why)
{
    if (t->open && !t->bad.code)
        t->bad = *why;
    t->damaged = true;
}

/* libarchive's word for a fault, which may be that of a read. */
static int fault(tar *t, vl_err *e)
{
    const char *text = archive_error_string(t->a);
    vl_err why;

    if (t->fault)
        return vl_fail(e, VL_EIO, "%s: %s", t->in->name, strerror(t->fault));
    vl_fail(&why, VL_EFORMAT, "%s", text ? text : "damaged tar");
    damage(t, &why);
    return VL_OK;
}

/* The archive is at its end; is the file's? */
static void at_end(tar *t)
{
    vl_err why;

    t->ended = true;
    if (t->zeros >= END_ZEROS)
        return;
    vl_fail(&why, VL_EFORMAT, "truncated: the tar has no end, its bytes end at byte %" PRIu64, t->bytes);
    damage(t, &why);
}

/* Reads the next header, if none is pending. 1: there is one; 0: the end. */
static int next_header(tar *t, vl_err *e)
{
    while (!t->pending && !t->ended) {
        int rc = archive_read_next_header(t->a, &t->entry);
        if (rc == ARCHIVE_EOF) {
            at_end(t);
        } else if (rc == ARCHIVE_FATAL || rc == ARCHIVE_RETRY) { /* RETRY: no header; one may follow */
            t->ended = rc == ARCHIVE_FATAL;
            if ((rc = fault(t, e)))
                return rc;
        } else {
            t->pending = archive_entry_filetype(t->entry) != AE_IFDIR;
        }
    }
    return t->pending;
}

/* ---- members -------------------------------------------------------------------------------------- */

static bool is_image(const char *ext)
{
    return !strcasecmp(ext, "jpg") || !strcasecmp(ext, "jpeg") || !strcasecmp(ext, "png") ||
           !strcasecmp(ext, "webp");
}

/* The pending member's name, cut where it is too long to be one. */
static void take_name(tar *t)
{
    const char *name = archive_entry_pathname(t->entry);

    name = name ? name : "";
    name += strncmp(name, "./", 2) ? 0 : 2;
    t->name[VL_TAR_NAME_MAX] = 0;
    strncpy(t->name, name, VL_TAR_NAME_MAX);
    t->name_bytes = strlen(name);
}

/* Where the key of a name ends, whatever the name is. */
static size_t key_bytes(const char *name)
{
    const char *slash = strrchr(name, '/');
    const char *last = slash ? slash + 1 : name, *dot = strchr(last, '.');

    return dot ? (size_t)(dot - name) : strlen(name);
}

/* Behind the first bytes of a name in a message, which has room for its cause, too. */
static const char *dots(const char *name)
{
    return strlen(name) > SHOWN ? "..." : "";
}

/* Is the pending member fit for a record? */
static int check_member(const tar *t, const char *ext, vl_err *e)
{
    int64_t size = archive_entry_size(t->entry);
    uint64_t left = VLS_RECORD_BYTES_MAX - t->data.n;
    int rc;

    if (t->name_bytes > VL_TAR_NAME_MAX)
        return vl_fail(e, VL_EFORMAT, "a name of %zu bytes, at most %d allowed", t->name_bytes,
                       VL_TAR_NAME_MAX);
    if (t->name[0] == '/')
        return vl_fail(e, VL_EFORMAT, "absolute path");
    if (archive_entry_hardlink(t->entry))
        return vl_fail(e, VL_EFORMAT, "a hard link, only files are packed");
    if (archive_entry_filetype(t->entry) != AE_IFREG)
        return vl_fail(e, VL_EFORMAT,
                       archive_entry_filetype(t->entry) == AE_IFLNK
                           ? "a symbolic link, only files are packed"
                           : "a device, pipe or socket, only files are packed");
    rc = vls_key_check(t->key, VL_EFORMAT, e);
    if (!rc && !ext)
        rc = vl_fail(e, VL_EFORMAT, "no extension");
    if (!rc && !is_image(ext))
        rc = vls_ext_check(ext, VL_EFORMAT, e);
    if (rc)
        return rc;
    for (size_t i = 0; i < t->n_parts; i++)
        if (!strcmp(t->parts[i].ext, ext))
            return vl_fail(e, VL_EFORMAT, "is there twice");
    if (t->n_parts == VLS_RECORD_MEMBERS_MAX)
        return vl_fail(e, VL_EFORMAT, "more than %d members", VLS_RECORD_MEMBERS_MAX);
    if (is_image(ext) && left > VL_PACK_IMAGE_MAX)
        left = VL_PACK_IMAGE_MAX;
    if (!strcmp(ext, "txt"))
        left = VL_LAYOUT_LINE_MAX;
    if (!strcmp(ext, "json"))
        left = VL_LAYOUT_JSON_MAX;
    if (size < 0 || (uint64_t)size > left)
        return vl_fail(e, VL_EFORMAT, "%" PRId64 " bytes, at most %" PRIu64 " allowed", size, left);
    return VL_OK;
}

/* The pending member's n bytes behind t->data; where they are not all there, t->bad says so. */
static int read_bytes(tar *t, size_t n, vl_err *e)
{
    size_t at = 0;
    int rc = vl_buf_room(&t->data, n + 1, e);

    while (!rc && at < n && !t->bad.code) {
        la_ssize_t got = archive_read_data(t->a, t->data.p + t->data.n + at, n - at);
        if (got < 0) {
            t->ended = got == ARCHIVE_FATAL;
            rc = fault(t, e);
        } else if (!got) {
            vl_fail(&t->bad, VL_EFORMAT, "member '%s': %zu bytes of %zu", t->name, at, n);
        } else {
            at += (size_t)got;
        }
    }
    t->data.n += at;
    return rc;
}

static part *new_part(tar *t, vl_err *e)
{
    if (t->n_parts == t->room) {
        size_t room = t->room ? 2 * t->room : 8;
        part *p = vl_realloc(t->parts, room, sizeof *p, e);
        vls_member *m;
        if (!p)
            return NULL;
        t->parts = p;
        if (!(m = vl_realloc(t->members, room, sizeof *m, e)))
            return NULL;
        t->members = m;
        t->room = room;
    }
    return &t->parts[t->n_parts++];
}

/* Takes the pending member into the open record. */
static int add_member(tar *t, vl_err *e)
{
    const char *dot = t->name + strlen(t->key), *ext = *dot ? dot + 1 : NULL;
    part *p;

    t->pending = false;
    if (t->bad.code)
        return VL_OK; /* libarchive steps over the bytes */
    if (check_member(t, ext, &t->bad)) {
        vl_within(&t->bad, "member '%.*s%s'", SHOWN, t->name, dots(t->name));
        return VL_OK;
    }
    if (!(p = new_part(t, e)))
        return VL_ENOMEM;
    snprintf(p->ext, sizeof p->ext, "%s", ext);
    p->at = t->data.n;
    p->n = (size_t)archive_entry_size(t->entry);
    return read_bytes(t, p->n, e);
}

/* ---- records -------------------------------------------------------------------------------------- */

static const part *find(const tar *t, const char *ext)
{
    for (size_t i = 0; i < t->n_parts; i++)
        if (!strcmp(t->parts[i].ext, ext))
            return &t->parts[i];
    return NULL;
}

static int parse_json(tar *t, const part *p, vl_err *e)
{
    json_error_t why;

    t->doc = json_loadb((const char *)t->data.p + p->at, p->n, JSON_REJECT_DUPLICATES, &why);
    if (!t->doc)
        return vl_fail(e, VL_EFORMAT, "json: %s (byte %d)", why.text, why.position);
    if (!json_is_object(t->doc))
        return vl_fail(e, VL_EFORMAT, "json: no object");
    if (!(t->more = json_copy(t->doc)))
        return vl_fail(e, VL_ENOMEM, "out of memory: json");
    json_object_del(t->more, "captions");
    json_object_del(t->more, "caption");
    return VL_OK;
}

/* One caption of the json; *same: it is txt's, which was noted already. */
static int json_caption(tar *t, const json_t *s, const char *txt, size_t n, bool *same, vl_err *e)
{
    if (!json_is_string(s))
        return vl_fail(e, VL_EFORMAT, "json: a caption is no string");
    if (!*same && json_string_length(s) == n && txt && !memcmp(json_string_value(s), txt, n)) {
        *same = true;
        return VL_OK;
    }
    return vl_layout_caption(&t->base, json_string_value(s), json_string_length(s), e);
}

static int captions(tar *t, vl_err *e)
{
    const part *txt = find(t, "txt"), *json = find(t, "json");
    const char *s = txt ? (const char *)t->data.p + txt->at : NULL;
    size_t n = txt ? txt->n : 0, i;
    const json_t *list, *one;
    bool same = false;
    int rc = json ? parse_json(t, json, e) : VL_OK;

    n -= n && s[n - 1] == '\n';
    n -= n && s[n - 1] == '\r';
    if (!rc && txt)
        rc = vl_layout_caption(&t->base, s, n, e);
    list = json_object_get(t->doc, "captions");
    list = list ? list : json_object_get(t->doc, "caption");
    if (!rc && json_is_string(list))
        rc = json_caption(t, list, s, n, &same, e);
    else if (!rc && list && !json_is_array(list) && !json_is_null(list))
        rc = vl_fail(e, VL_EFORMAT, "json: captions: a string or a list of strings wanted");
    json_array_foreach (list, i, one) {
        if (!rc)
            rc = json_caption(t, one, s, n, &same, e);
    }
    if (!rc && !t->base.n_captions)
        rc = vl_fail(e, VL_EFORMAT, "no caption (txt, or json with captions)");
    return rc;
}

static int build(tar *t, vl_pair *pair, vl_err *e)
{
    const part *image = NULL;
    size_t n = 0;
    int rc;

    for (size_t i = 0; i < t->n_parts; i++) {
        const part *p = &t->parts[i];
        if (!image && is_image(p->ext))
            image = p;
        else if (strcmp(p->ext, "txt") && strcmp(p->ext, "json"))
            t->members[n++] = (vls_member){p->ext, t->data.p + p->at, p->n};
    }
    if (!image)
        return vl_fail(e, VL_EFORMAT, "no image (jpg, png or webp)");
    rc = captions(t, e);
    if (rc)
        return rc;
    snprintf(t->where, sizeof t->where, "%s: record %" PRIu64 ": %s.%s", t->in->name, pair->index, t->key,
             image->ext);
    *pair = (vl_pair){.index = pair->index,
                      .key = t->key,
                      .bytes = t->data.p + image->at,
                      .n_bytes = image->n,
                      .where = t->where,
                      .captions = t->base.caption,
                      .caption_bytes = t->base.caption_bytes,
                      .n_captions = t->base.n_captions,
                      .more = t->more,
                      .members = t->members,
                      .n_members = n};
    return VL_OK;
}

/* Gives out the open record. */
static int finish(tar *t, vl_pair *pair, vl_err *e)
{
    int rc = t->bad.code;

    *pair = (vl_pair){.index = t->base.index++};
    t->open = false;
    if (rc)
        *e = t->bad;
    else
        rc = build(t, pair, e);
    if (t->bad.code && t->ended) /* nothing follows that could be spoilt, too */
        t->damaged = false;
    return rc ? vl_within(e, "%s: record %" PRIu64 " '%.*s%s'", t->in->name, pair->index, SHOWN, t->key,
                          dots(t->key))
              : 1;
}

static void begin(tar *t, size_t key_n)
{
    memcpy(t->key, t->name, key_n);
    t->key[key_n] = 0;
    t->open = true;
    t->n_parts = t->data.n = 0;
    t->bad.code = VL_OK;
    if (t->damaged)
        vl_fail(&t->bad, VL_EFORMAT, "follows damage in the tar, which may hold some of its members");
    t->damaged = false;
}

static int next_tar(vl_layout *l, vl_pair *pair, vl_err *e)
{
    tar *t = (tar *)l;
    size_t key_n;
    int rc;

    json_decref(t->more);
    json_decref(t->doc);
    t->more = t->doc = NULL;
    while ((rc = next_header(t, e)) > 0) {
        take_name(t);
        key_n = key_bytes(t->name);
        if (t->open && (strlen(t->key) != key_n || strncmp(t->key, t->name, key_n)))
            return finish(t, pair, e);
        if (!t->open)
            begin(t, key_n);
        t->damaged = false; /* what was open goes on: the damage is all its own */
        if ((rc = add_member(t, e)))
            return rc;
    }
    if (rc)
        return rc;
    if (t->open)
        return finish(t, pair, e);
    if (!t->damaged)
        return 0;
    t->damaged = false; /* nothing was open that could have told of it */
    l->index++;
    return vl_fail(e, VL_EFORMAT,
                   "%s: the tar is damaged or cut behind %" PRIu64 " records (byte %" PRIu64 ")", t->in->name,
                   l->index - 1, t->bytes);
}

/* Packing a shard again would lose its sums, its parents and its licence. */
static int refuse_shard(tar *t, vl_err *e)
{
    int rc = next_header(t, e);

    if (rc <= 0)
        return rc;
    take_name(t);
    if (strncmp(t->name, VLS_META ".manifest.", strlen(VLS_META ".manifest.")))
        return VL_OK;
    return vl_fail(e, VL_EFORMAT, "%s: is a shard already", t->in->name);
}

int vl_layout_tar(vl_input *in, vl_layout **out, vl_err *e)
{
    tar *t = vl_alloc(1, sizeof *t, e);
    int rc;

    if (!t) {
        vl_input_close(in);
        return VL_ENOMEM;
    }
    t->base.next = next_tar;
    t->base.close = close_tar;
    t->in = in;
    rc = open_archive(t, e);
    if (!rc)
        rc = refuse_shard(t, e);
    if (rc)
        close_tar(&t->base);
    else
        *out = &t->base;
    return rc;
}
