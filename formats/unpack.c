/* SPDX-License-Identifier: MIT */
#include "formats/unpack.h"
#include "formats/names.h"
#include "formats/tail.h"
#include "formats/tarhead.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

struct part {
    size_t ext;  /* offset into names */
    size_t data; /* offset behind rec0 */
    size_t n;
};

void vls_unpack_reset(vls_unpack *u)
{
    u->raw.n = u->rec0 = u->at = 0;
    u->base = 0;
    u->open = u->drop = u->check = false;
    u->lines.n = u->lines0 = 0;
    u->members = 0;
    u->at_want = 0;
    u->left_out = 0;
    u->resync = u->spoiled = u->lenient = false;
}

void vls_unpack_free(vls_unpack *u)
{
    free(u->raw.p);
    free(u->names.p);
    free(u->parts.p);
    free(u->given.p);
    free(u->key.p);
    free(u->lines.p);
    free(u->text.p);
    *u = (vls_unpack){0};
}

int vls_unpack_room(vls_unpack *u, size_t n, uint8_t **dst, vl_err *e)
{
    int rc;

    vl_buf_drop(&u->raw, u->rec0);
    u->base += u->rec0;
    u->at -= u->rec0;
    u->rec0 = 0;
    rc = vl_buf_room(&u->raw, n, e);
    if (!rc)
        *dst = u->raw.p + u->raw.n;
    return rc;
}

int vls_unpack_give(vls_unpack *u, vl_buf *b, size_t headroom, size_t n, vl_err *e)
{
    size_t rest = u->raw.n - u->rec0, rec0 = headroom - rest;
    vl_buf old = u->raw;
    uint8_t *dst;
    int rc;

    if (rest > headroom) {
        rc = vls_unpack_room(u, n, &dst, e);
        if (!rc)
            memcpy(dst, b->p + headroom, n);
        return rc;
    }
    if (rest)
        memcpy(b->p + rec0, old.p + u->rec0, rest);
    u->raw = *b;
    u->raw.n = headroom;
    u->base += u->rec0 - rec0;
    u->at += rec0 - u->rec0;
    u->rec0 = rec0;
    *b = old;
    b->n = 0;
    return VL_OK;
}

bool vls_unpack_at_member(const vls_unpack *u)
{
    return u->at == u->raw.n;
}

/* The open record will not be given: its members are as good as unread. */
static void forget_lines(vls_unpack *u)
{
    if (!u->open)
        return;
    u->members -= (u->lines.n - u->lines0) / sizeof(uint64_t);
    u->lines.n = u->lines0;
}

void vls_unpack_gap(vls_unpack *u)
{
    u->raw.n = u->rec0 = u->at = 0;
    forget_lines(u);
    u->open = false;
    u->drop = u->resync = true;
}

/* Turns offsets into pointers: from here on raw stays where it is until vls_unpack_room. */
static int hand_out(vls_unpack *u, vls_record *rec, vl_err *e)
{
    const struct part *part = (const struct part *)(const void *)u->parts.p;
    size_t n = u->parts.n / sizeof *part, i;
    vls_member *m;
    vl_buf swap;
    int rc;

    u->given.n = 0;
    rc = vl_buf_room(&u->given, n * sizeof *m, e);
    if (rc)
        return rc;
    swap = u->key; /* the next record's names go into the other block */
    u->key = u->names;
    u->names = swap;
    m = (vls_member *)(void *)u->given.p;
    for (i = 0; i < n; i++)
        m[i] = (vls_member){(char *)u->key.p + part[i].ext, u->raw.p + u->rec0 + part[i].data, part[i].n};
    *rec = (vls_record){(char *)u->key.p, m, n};
    u->place = (vls_place){u->base + u->rec0, u->at - u->rec0, 0, XXH64(u->text.p, u->text.n, 0)};
    u->rec0 = u->at;
    u->open = false;
    return 1;
}

/* The open record is whole. 1 handed out, 0 dropped, negative. */
static int close_record(vls_unpack *u, vls_record *rec, vl_err *e)
{
    if (!u->drop && !u->spoiled)
        return hand_out(u, rec, e);
    u->left_out += u->spoiled;
    forget_lines(u);
    u->drop = u->spoiled = false;
    u->open = false;
    u->rec0 = u->at;
    return 0;
}

static int begin_record(vls_unpack *u, const char *name, size_t key_n, vl_err *e)
{
    int rc;

    u->names.n = u->parts.n = u->text.n = 0;
    u->rec_bytes = 0;
    u->rec0 = u->at;
    u->lines0 = u->lines.n;
    u->spoiled = false;
    rc = vl_buf_add(&u->names, name, key_n, e);
    if (!rc)
        rc = vl_buf_add(&u->names, "", 1, e);
    u->open = !rc;
    return rc;
}

static int check_ext(const vls_unpack *u, const char *name, size_t key_n, vl_err *e)
{
    const struct part *part = (const struct part *)(const void *)u->parts.p;
    size_t n = u->parts.n / sizeof *part, i;

    if (n >= VLS_RECORD_MEMBERS_MAX)
        return vl_fail(e, VL_EFORMAT, "record '%.*s' has more than %d members", (int)key_n, name,
                       VLS_RECORD_MEMBERS_MAX);
    if (u->members >= VLS_MEMBERS_MAX)
        return vl_fail(e, VL_EFORMAT, "more than %" PRIu64 " members in a segment",
                       (uint64_t)VLS_MEMBERS_MAX);
    for (i = 0; i < n; i++)
        if (!strcmp((const char *)u->names.p + part[i].ext, name + key_n + 1))
            return vl_fail(e, VL_EFORMAT, "member '%s' is there twice", name);
    return VL_OK;
}

/* Is this line the next one of the segment's sums? Behind a gap, one of those that are to come? */
static bool agrees(vls_unpack *u, uint64_t hash)
{
    size_t i = u->at_want, end = u->resync ? u->n_want : i + 1;

    while (i < end && i < u->n_want && u->want[i] != hash)
        i++;
    if (i == end || i == u->n_want) {
        u->at_want += !u->resync; /* the member's header is sound, so its line is there */
        return false;
    }
    u->at_want = i + 1;
    u->resync = false;
    return true;
}

/* The member's header lies at u->at and all its bytes are there. */
static int take_member(vls_unpack *u, const char *name, size_t key_n, size_t used, size_t size, vl_err *e)
{
    const uint8_t *data = u->raw.p + u->at + used;
    struct part part = {u->names.n, u->at + used - u->rec0, size};
    const char *ext = name + key_n + 1;
    uint64_t hash = 0;
    size_t line = u->text.n;
    int rc = vl_tar_padding_check(data + size, size, e);

    if (rc &&
        u->lenient) { /* a stretch of the file may be missing, and this member has the next one's bytes */
        rc = VL_OK;
        u->spoiled = u->resync = true;
    }
    if (rc)
        vl_within(e, "member '%s'", name);
    else
        rc = vls_sums_line(name, XXH64(data, size, 0), &u->text, e);
    if (!rc)
        hash = XXH64(u->text.p + line, u->text.n - line - 1, 0);
    if (!rc && u->check && !agrees(u, hash)) {
        u->spoiled = u->spoiled || u->lenient;
        if (!u->lenient)
            rc = vl_fail(e, VL_EFORMAT, "member '%s': its bytes are not what the sums say", name);
    }
    if (!rc)
        rc = vl_buf_add(&u->lines, &hash, sizeof hash, e);
    if (!rc)
        rc = vl_buf_add(&u->names, ext, strlen(ext) + 1, e);
    if (!rc)
        rc = vl_buf_add(&u->parts, &part, sizeof part, e);
    if (rc)
        return rc;
    u->members++;
    u->rec_bytes += size;
    u->at += used + size + (size_t)vl_tar_padding(size);
    return VL_OK;
}

static bool same_key(const vls_unpack *u, const char *name, size_t key_n)
{
    const char *key = (const char *)u->names.p;

    return !strncmp(key, name, key_n) && !key[key_n];
}

int vls_unpack_next(vls_unpack *u, vls_record *rec, vl_err *e)
{
    char name[VL_TAR_NAME_MAX + 1];
    size_t used, key_n;
    uint64_t size;
    int rc;

    for (;;) {
        if (u->at == u->raw.n)
            return 0;
        rc = vl_tar_parse(u->raw.p + u->at, u->raw.n - u->at, name, &size, &used, e);
        if (rc || !used)
            return rc;
        rc = vls_name_split(name, &key_n, e);
        if (rc)
            return rc;
        if (u->open && !same_key(u, name, key_n)) {
            rc = close_record(u, rec, e);
            if (rc)
                return rc;
        }
        if (!u->open)
            rc = begin_record(u, name, key_n, e);
        if (!rc)
            rc = check_ext(u, name, key_n, e);
        if (rc)
            return rc;
        if (u->rec_bytes + size > VLS_RECORD_BYTES_MAX)
            return vl_fail(e, VL_EFORMAT, "record '%.*s' is over %" PRIu64 " bytes", (int)key_n, name,
                           (uint64_t)VLS_RECORD_BYTES_MAX);
        if (u->raw.n - u->at - used < size + vl_tar_padding(size))
            return 0;
        rc = take_member(u, name, key_n, used, (size_t)size, e);
        if (rc)
            return rc;
    }
}

int vls_unpack_finish(vls_unpack *u, vls_record *rec, vl_err *e)
{
    if (u->at != u->raw.n)
        return vl_fail(e, VL_EFORMAT, "the last member of the segment is cut");
    return u->open ? close_record(u, rec, e) : 0;
}
