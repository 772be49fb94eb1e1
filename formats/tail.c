/* SPDX-License-Identifier: MIT */
#include "formats/tail.h"
#include "formats/names.h"
#include "formats/tarhead.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

enum { LINE_MAX_BYTES = 18 + VL_TAR_NAME_MAX, META_NAME = 64, LOST_MAX = 1 << 20 };

/* ---- building ------------------------------------------------------------------------------- */

static const char *const fixed[] = {"bytes",   "content_id", "frames",  "licence",
                                    "members", "parents",    "records", "signature"};

int vls_tail_reserved(const char *name)
{
    size_t i;

    for (i = 0; i < sizeof fixed / sizeof *fixed; i++)
        if (!strcmp(name, fixed[i]))
            return 1;
    return 0;
}

int vls_sums_line(const char *name, uint64_t xxh64, vl_buf *out, vl_err *e)
{
    size_t n = strlen(name);
    uint8_t *p;
    int rc = vl_buf_room(out, 16 + 2 + n + 1, e);

    if (rc)
        return rc;
    p = out->p + out->n;
    for (int i = 0; i < 16; i++)
        p[i] = (uint8_t) "0123456789abcdef"[xxh64 >> (60 - 4 * i) & 15];
    memcpy(p + 16, "  ", 2);
    memcpy(p + 18, name, n);
    p[18 + n] = '\n';
    out->n += 18 + n + 1;
    return VL_OK;
}

int vls_line_hash(const char *name, uint64_t xxh64, uint64_t *hash, vl_err *e)
{
    char line[LINE_MAX_BYTES + 1];
    int n = snprintf(line, sizeof line, "%016" PRIx64 "  %s", xxh64, name);

    if (n < 0 || n > LINE_MAX_BYTES)
        return vl_fail(e, VL_EFORMAT, "member name is longer than %d bytes", VL_TAR_NAME_MAX);
    *hash = XXH64(line, (size_t)n, 0);
    return VL_OK;
}

static json_t *tail_json(const vls_totals *t, const json_t *parents, const json_t *notes)
{
    json_t *j = notes ? json_copy((json_t *)(uintptr_t)notes) : json_object();
    json_t *p = parents ? json_deep_copy(parents) : json_array();

    if (json_object_set_new(j, "parents", p) ||
        json_object_set_new(j, "records", json_integer((json_int_t)t->records)) ||
        json_object_set_new(j, "members", json_integer((json_int_t)t->members)) ||
        json_object_set_new(j, "frames", json_integer((json_int_t)t->frames)) ||
        json_object_set_new(j, "bytes", json_integer((json_int_t)t->bytes)) ||
        json_object_set_new(j, "content_id", json_string(t->content_id))) {
        json_decref(j);
        return NULL;
    }
    return j;
}

int vls_tail_build(const char *id, vl_buf *sums, const vls_totals *t, const json_t *parents,
                   const json_t *notes, bool own_line, vl_buf *out, vl_err *e)
{
    json_t *j = tail_json(t, parents, notes);
    vl_buf text = {0};
    char sums_name[META_NAME], tail_name[META_NAME];
    int rc;

    if (!j)
        return vl_fail(e, VL_ENOMEM, "out of memory: tail");
    snprintf(sums_name, sizeof sums_name, VLS_META ".sums.%s", id);
    snprintf(tail_name, sizeof tail_name, VLS_META ".tail.%s.json", id);
    rc = vls_json_dump(j, &text, e);
    if (!rc && own_line)
        rc = vls_sums_line(tail_name, XXH64(text.p, text.n, 0), sums, e);
    if (!rc)
        rc = vls_meta_member(sums_name, sums->p, sums->n, out, e);
    if (!rc)
        rc = vls_meta_member(tail_name, text.p, text.n, out, e);
    free(text.p);
    json_decref(j);
    return rc;
}

/* ---- reading -------------------------------------------------------------------------------- */

enum { SUMS_HEAD, SUMS_BODY, SUMS_PAD, TAIL_JSON, DONE };

int vls_is_sums(const uint8_t *raw, size_t n, const char *id)
{
    char name[META_NAME];
    size_t k = (size_t)snprintf(name, sizeof name, VLS_META ".sums.%s", id);

    return n >= VL_TAR_BLOCK && !memcmp(raw, name, k + 1);
}

void vls_tail_start(vls_tail_reader *t, const char *id, const uint64_t *line, size_t n, bool gaps)
{
    vls_tail_free(t);
    memcpy(t->id, id, sizeof t->id);
    t->line = line;
    t->n_lines = n;
    t->gaps = gaps;
}

void vls_tail_free(vls_tail_reader *t)
{
    json_decref(t->json);
    free(t->b.p);
    free(t->lost.p);
    *t = (vls_tail_reader){0};
}

/* Parses the header at t->at, which must name the member. 1, 0 for more bytes, or an error. */
static int meta_head(vls_tail_reader *t, const char *what, const char *ext, uint64_t *size, size_t *used,
                     vl_err *e)
{
    char name[VL_TAR_NAME_MAX + 1], want[META_NAME];
    int rc = vl_tar_parse(t->b.p + t->at, t->b.n - t->at, name, size, used, e);

    if (rc || !*used)
        return rc;
    snprintf(want, sizeof want, VLS_META ".%s.%s%s", what, t->id, ext);
    if (strcmp(name, want))
        return vl_fail(e, VL_EFORMAT, "tail: member '%s' where '%s' belongs", name, want);
    return 1;
}

bool vls_line_names_tail(const uint8_t *p, size_t n)
{
    static const char tail[] = VLS_META ".tail.";

    return n > 18 + sizeof tail - 1 && !memcmp(p + 18, tail, sizeof tail - 1);
}

/* A line of which the member was not given: its key is kept, once. */
static int unseen(vls_tail_reader *t, const uint8_t *p, size_t n, vl_err *e)
{
    char name[VL_TAR_NAME_MAX + 1];
    const char *last = t->lost.n ? (const char *)t->lost.p + t->last_lost : "";
    size_t key_n;
    int rc;

    if (n < 18 || n - 18 > VL_TAR_NAME_MAX || t->lost.n > LOST_MAX)
        return VL_OK;
    memcpy(name, p + 18, n - 18);
    name[n - 18] = 0;
    if (vls_name_split(name, &key_n, NULL))
        return VL_OK; /* the line's own fault shows elsewhere */
    name[key_n] = 0;
    if (t->lost.n && !strcmp(last, name))
        return VL_OK;
    t->last_lost = t->lost.n;
    rc = vl_buf_add(&t->lost, name, key_n + 1, e);
    t->n_lost += !rc;
    return rc;
}

static int one_line(vls_tail_reader *t, const uint8_t *p, size_t n, vl_err *e)
{
    uint64_t h = XXH64(p, n, 0);

    if (t->own_line)
        return vl_fail(e, VL_EFORMAT, "sums: a line follows that of the tail");
    if (vls_line_names_tail(p, n)) {
        t->own_line = true;
        t->own_hash = h;
        return VL_OK;
    }
    if (t->i < t->n_lines && t->line[t->i] == h) {
        t->i++;
        return VL_OK;
    }
    if (t->gaps)
        return unseen(t, p, n, e);
    t->mismatch = true;
    return vl_fail(e, VL_EFORMAT, "sums: line %zu '%.*s' is not what the member's bytes give", t->i,
                   n < 300 ? (int)n : 300, (const char *)p);
}

static int sums_body(vls_tail_reader *t, vl_err *e)
{
    const uint8_t *p, *end;
    size_t n;
    int rc;

    while (t->left) {
        p = t->b.p + t->at;
        n = t->b.n - t->at < t->left ? t->b.n - t->at : (size_t)t->left;
        end = n ? memchr(p, '\n', n) : NULL;
        if (!end && (n == t->left || n > LINE_MAX_BYTES))
            return vl_fail(e, VL_EFORMAT, "sums: line %zu does not end", t->i);
        if (!end)
            return 0;
        rc = one_line(t, p, (size_t)(end - p), e);
        if (rc)
            return rc;
        t->at += (size_t)(end - p) + 1;
        t->left -= (uint64_t)(end - p) + 1;
    }
    t->mismatch = t->i != t->n_lines;
    if (t->mismatch)
        return vl_fail(e, VL_EFORMAT, "sums: %zu lines, %zu members were read", t->i, t->n_lines);
    return 1;
}

/* The tail's text against its line in the sums, where there is one. */
static int check_own_line(const vls_tail_reader *t, const uint8_t *text, size_t n, vl_err *e)
{
    char name[META_NAME];
    uint64_t h;
    int rc;

    if (!t->own_line)
        return VL_OK;
    snprintf(name, sizeof name, VLS_META ".tail.%s.json", t->id);
    rc = vls_line_hash(name, XXH64(text, n, 0), &h, e);
    if (!rc && h != t->own_hash)
        rc = vl_fail(e, VL_EFORMAT, "its bytes are not what its line in the sums says");
    return rc;
}

static int tail_body(vls_tail_reader *t, vl_err *e)
{
    uint64_t size, all;
    size_t used;
    int rc = meta_head(t, "tail", ".json", &size, &used, e);

    if (rc < 1)
        return rc;
    if (size > VLS_JSON_MAX)
        return vl_fail(e, VL_EFORMAT, "tail of %" PRIu64 " bytes, at most %d allowed", size, VLS_JSON_MAX);
    all = used + size + vl_tar_padding(size);
    if (t->b.n - t->at < all)
        return 0;
    if (t->b.n - t->at > all)
        return vl_fail(e, VL_EFORMAT, "tail: bytes follow its last member");
    rc = vl_tar_padding_check(t->b.p + t->at + used + size, size, e);
    if (!rc)
        rc = check_own_line(t, t->b.p + t->at + used, (size_t)size, e);
    if (rc)
        return vl_within(e, "tail");
    rc = vls_json_load(t->b.p + t->at + used, (size_t)size, &t->json, e);
    return rc ? vl_within(e, "tail") : 1;
}

static int sums_head(vls_tail_reader *t, vl_err *e)
{
    size_t used;
    int rc = meta_head(t, "sums", "", &t->left, &used, e);

    if (rc == 1)
        t->at += used;
    return rc;
}

/* Every member begins at a multiple of 512 of TAIL; what was dropped of it are such multiples. */
static int sums_pad(vls_tail_reader *t, vl_err *e)
{
    size_t n = (size_t)vl_tar_padding(t->at);
    int rc;

    if (t->b.n - t->at < n)
        return 0;
    rc = vl_tar_padding_check(t->b.p + t->at, t->at, e);
    if (rc)
        return vl_within(e, "sums");
    t->at += n;
    return 1;
}

int vls_tail_step(vls_tail_reader *t, vl_err *e)
{
    int rc = 1;

    while (rc == 1 && t->step != DONE) {
        if (t->step == SUMS_HEAD) {
            rc = sums_head(t, e);
        } else if (t->step == SUMS_BODY) {
            rc = sums_body(t, e);
        } else if (t->step == SUMS_PAD) {
            rc = sums_pad(t, e);
        } else {
            rc = tail_body(t, e);
        }
        t->step += rc == 1;
    }
    if (rc == 0) {
        size_t whole = t->at / VL_TAR_BLOCK * VL_TAR_BLOCK;
        vl_buf_drop(&t->b, whole);
        t->at -= whole;
    }
    return rc;
}

static int check_parents(const json_t *parents, vl_err *e)
{
    const json_t *id, *kind;
    size_t i;
    const char *s;
    int rc;

    if (!json_is_array(parents))
        return vl_fail(e, VL_EFORMAT, "tail has no parents");
    for (i = 0; i < json_array_size(parents); i++) {
        id = json_object_get(json_array_get(parents, i), "content_id");
        kind = json_object_get(json_array_get(parents, i), "kind");
        s = json_string_value(id);
        if (!s || strlen(s) != VL_SHA_HEX || strspn(s, "0123456789abcdef") != VL_SHA_HEX ||
            !json_is_string(kind))
            return vl_fail(e, VL_EFORMAT, "tail: parent %zu is no {content_id, kind}", i);
        rc = vls_kind_check(json_string_value(kind), VL_EFORMAT, e);
        if (rc)
            return rc;
    }
    return VL_OK;
}

static int check_count(const json_t *tail, const char *name, uint64_t got, vl_err *e)
{
    const json_t *j = json_object_get(tail, name);

    if (!json_is_integer(j) || json_integer_value(j) < 0)
        return vl_fail(e, VL_EFORMAT, "tail has no count of %s", name);
    if ((uint64_t)json_integer_value(j) != got)
        return vl_fail(e, VL_EFORMAT, "tail: %lld %s, %" PRIu64 " were read",
                       (long long)json_integer_value(j), name, got);
    return VL_OK;
}

int vls_tail_check(const json_t *tail, const vls_totals *got, bool gaps, bool plain, vl_err *e)
{
    const char *id = json_string_value(json_object_get(tail, "content_id"));
    int rc = check_parents(json_object_get(tail, "parents"), e);

    if (rc || gaps)
        return rc;
    if (!id)
        return vl_fail(e, VL_EFORMAT, "tail has no content id");
    rc = check_count(tail, "records", got->records, e);
    if (!rc)
        rc = check_count(tail, "members", got->members, e);
    if (!rc)
        rc = plain ? VL_OK : check_count(tail, "frames", got->frames, e);
    if (!rc)
        rc = check_count(tail, "bytes", got->bytes, e);
    if (!rc && *got->content_id && strcmp(id, got->content_id))
        rc = vl_fail(e, VL_EFORMAT, "content id is %s, the tail says %.80s", got->content_id, id);
    return rc;
}
