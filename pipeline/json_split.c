/* SPDX-License-Identifier: MIT
 * json_split.c -- a cutter for JSON text. It knows strings and brackets, no more: what an element holds is
 * jansson's to judge, and what is stepped over is looked at for its end only. */
#include "pipeline/json_split.h"
#include "formats/bytes.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 65536, DEPTH_MAX = 512, END = -1, BROKEN = -2 };

/* Where in the file the next byte stands. */
typedef enum place { BEFORE, IN_OBJECT, IN_ARRAY, BEHIND } place;

struct vl_json_split {
    ssize_t (*read)(void *arg, void *to, size_t n);
    void *arg;
    uint8_t block[BLOCK];
    size_t n, at;
    uint64_t base; /* of the block in the file */
    int fault;     /* errno of a failed read */
    place place;
    bool nested; /* IN_ARRAY: of an object's member */
    bool first;  /* nothing stands before in this object or array: no comma is due */
    char name[VL_SPLIT_NAME_MAX + 1];
    vl_buf text; /* of the element at hand */
};

int vl_json_split_new(ssize_t (*read)(void *arg, void *to, size_t n), void *arg, vl_json_split **out,
                      vl_err *e)
{
    vl_json_split *s = vl_alloc(1, sizeof *s, e);

    if (!s)
        return VL_ENOMEM;
    s->read = read;
    s->arg = arg;
    *out = s;
    return VL_OK;
}

void vl_json_split_free(vl_json_split *s)
{
    if (s)
        free(s->text.p);
    free(s);
}

/* ---- bytes ---------------------------------------------------------------------------------------- */

/* The next byte, which stays; END, or BROKEN with s->fault. */
static int peek(vl_json_split *s)
{
    ssize_t got;

    if (s->at < s->n)
        return s->block[s->at];
    got = s->read(s->arg, s->block, BLOCK);
    if (got < 0) {
        s->fault = errno;
        return BROKEN;
    }
    s->base += s->n;
    s->n = (size_t)got;
    s->at = 0;
    return got ? s->block[0] : END;
}

static int peek_solid(vl_json_split *s)
{
    int c;

    while ((c = peek(s)) == ' ' || c == '\n' || c == '\r' || c == '\t')
        s->at++;
    return c;
}

static int unlike(const vl_json_split *s, int c, const char *want, vl_err *e)
{
    uint64_t at = s->base + s->at;

    if (c == BROKEN)
        return vl_fail(e, VL_EIO, "%s", strerror(s->fault));
    if (c == END)
        return vl_fail(e, VL_EFORMAT, "JSON: %s expected, the file ends at byte %" PRIu64, want, at);
    return vl_fail(e, VL_EFORMAT, "JSON: %s expected, found 0x%02x (byte %" PRIu64 ")", want, (unsigned)c,
                   at);
}

/* Takes the byte c, which must come next. */
static int take(vl_json_split *s, int want, const char *word, vl_err *e)
{
    int c = peek_solid(s);

    if (c != want)
        return unlike(s, c, word, e);
    s->at++;
    return VL_OK;
}

/* ---- values --------------------------------------------------------------------------------------- */

typedef struct cutter {
    int depth; /* of brackets */
    bool string, escaped, scalar;
} cutter;

typedef enum step { ON, ENDS_BEFORE, ENDS_HERE } step;

/* Looks at the next byte of a value. */
static step look(cutter *k, uint8_t c)
{
    if (k->string) {
        k->string = k->escaped || c != '"';
        k->escaped = !k->escaped && c == '\\';
        return k->string || k->depth ? ON : ENDS_HERE;
    }
    if (k->scalar)
        return strchr(" \n\r\t,]}", c) ? ENDS_BEFORE : ON; /* a NUL, too: nothing that jansson would take */
    k->string = c == '"';
    k->depth += (c == '{' || c == '[') - (c == '}' || c == ']');
    k->scalar = !k->depth && !k->string && c != '}' && c != ']';
    return k->depth || k->string || k->scalar ? ON : ENDS_HERE;
}

/* Goes through the block as far as the value and it allow. */
static step run(vl_json_split *s, cutter *k)
{
    step now = ON;

    while (now == ON && s->at < s->n && k->depth <= DEPTH_MAX) {
        now = look(k, s->block[s->at]);
        s->at += now != ENDS_BEFORE;
    }
    return now;
}

/* One value, beginning at the next byte; its text in s->text where it may have max bytes, not where max is 0. */
static int value(vl_json_split *s, size_t max, vl_err *e)
{
    cutter k = {0};
    step now = ON;
    int c = peek_solid(s), rc = VL_OK;

    s->text.n = 0;
    if (c < 0 || strchr(",:]}", c))
        return unlike(s, c, "a value", e);
    while (!rc && now == ON) {
        size_t from = s->at;
        now = run(s, &k);
        if (max && s->at - from > max - s->text.n)
            return vl_fail(e, VL_EFORMAT, "JSON: a value of more than %zu bytes (byte %" PRIu64 ")", max,
                           s->base + s->at);
        if (max)
            rc = vl_buf_add(&s->text, s->block + from, s->at - from, e);
        if (!rc && k.depth > DEPTH_MAX)
            rc = vl_fail(e, VL_EFORMAT, "JSON: more than %d levels (byte %" PRIu64 ")", DEPTH_MAX,
                         s->base + s->at - 1);
        if (!rc && now == ON && (c = peek(s)) < 0)
            rc = unlike(s, c, "the end of a value", e);
    }
    return rc;
}

static int element(vl_json_split *s, const char **name, json_t **out, vl_err *e)
{
    json_error_t why;
    uint64_t at;
    int rc;

    peek_solid(s);
    at = s->base + s->at;
    rc = value(s, VL_SPLIT_ELEMENT_MAX, e);
    if (rc)
        return rc;
    *out = json_loadb((const char *)s->text.p, s->text.n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &why);
    if (!*out)
        return vl_fail(e, VL_EFORMAT, "JSON: %s (byte %" PRIu64 ")", why.text,
                       at + (uint64_t)(why.position > 0 ? why.position : 0));
    *name = s->name;
    return 1;
}

/* ---- the two upper levels ------------------------------------------------------------------------- */

/* The comma between two things, or the bracket behind the last: 1 when another thing follows, 0 at the end. */
static int another(vl_json_split *s, int close, vl_err *e)
{
    int c = peek_solid(s), rc;
    bool first = s->first;

    s->first = false;
    if (c == close) {
        s->at++;
        return 0;
    }
    if (first)
        return 1;
    rc = take(s, ',', close == ']' ? "',' or ']'" : "',' or '}'", e);
    return rc ? rc : 1;
}

/* The name of a member and its colon. */
static int member(vl_json_split *s, vl_err *e)
{
    int c = peek_solid(s), rc = c == '"' ? value(s, VL_SPLIT_NAME_MAX + 2, e) : unlike(s, c, "a name", e);

    if (rc)
        return rc;
    memcpy(s->name, s->text.p + 1, s->text.n - 2);
    s->name[s->text.n - 2] = 0;
    return take(s, ':', "':'", e);
}

static int in_object(vl_json_split *s, vl_err *e)
{
    int rc = another(s, '}', e);

    if (rc <= 0) {
        s->place = BEHIND;
        return rc;
    }
    rc = member(s, e);
    if (rc)
        return rc;
    if (peek_solid(s) != '[')
        return value(s, 0, e);
    s->at++;
    s->place = IN_ARRAY;
    s->nested = s->first = true;
    return VL_OK;
}

static int begin(vl_json_split *s, vl_err *e)
{
    int c = peek_solid(s);

    if (c != '{' && c != '[')
        return unlike(s, c, "'{' or '['", e);
    s->at++;
    s->place = c == '{' ? IN_OBJECT : IN_ARRAY;
    s->first = true;
    return VL_OK;
}

int vl_json_split_next(vl_json_split *s, const char **name, json_t **out, vl_err *e)
{
    int rc = VL_OK, c;

    while (!rc && s->place != BEHIND) {
        if (s->place == BEFORE) {
            rc = begin(s, e);
        } else if (s->place == IN_OBJECT) {
            rc = in_object(s, e);
        } else if ((rc = another(s, ']', e)) > 0) {
            return element(s, name, out, e);
        } else if (!rc) {
            s->place = s->nested ? IN_OBJECT : BEHIND;
            s->first = false;
        }
    }
    if (!rc && (c = peek_solid(s)) != END)
        rc = unlike(s, c, "the end", e);
    return rc;
}
