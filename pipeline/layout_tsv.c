/* SPDX-License-Identifier: MIT
 * layout_tsv.c -- records from tab-separated lines; layout.h states the grammar. */
#include "pipeline/layout.h"
#include "formats/names.h"
#include "pipeline/text_utf8.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef enum column { IMAGE, CAPTION, KEY, SOURCE, COLUMNS } column;
static const char *const column_name[COLUMNS] = {"image", "caption", "key", "source"};
enum { FIELDS_MAX = VL_LAYOUT_CAPTIONS_MAX + COLUMNS };

typedef struct tsv {
    vl_layout base;
    vl_input *in;
    FILE *f; /* reads it */
    const char *name;
    char *root; /* "" or a folder with a slash behind */
    char *line; /* [VL_LAYOUT_LINE_MAX + 1] */
    size_t line_n;
    bool unread; /* the line at hand was no header and is the first record */
    column columns[FIELDS_MAX];
    size_t n_columns, least; /* fields that a line must have */
    char *field[FIELDS_MAX];
    size_t field_n[FIELDS_MAX], n_fields;
    char *key, *image, *where; /* of the record at hand */
} tsv;

static void close_tsv(vl_layout *l)
{
    tsv *t = (tsv *)l;

    if (t->f)
        fclose(t->f);
    vl_input_close(t->in);
    free(t->where);
    free(t->image);
    free(t->key);
    free(t->line);
    free(t->root);
    free(t);
}

/* A line without its end into t->line. Returns 1; 0 at the end; VL_EFORMAT when it is too long (and
 * then it was passed over); VL_EIO. */
static int read_line(tsv *t, vl_err *e)
{
    size_t n = 0;
    bool too_long = false;
    int c;

    while ((c = getc_unlocked(t->f)) != EOF && c != '\n') {
        if (n == VL_LAYOUT_LINE_MAX)
            too_long = true;
        else
            t->line[n++] = (char)c;
    }
    if (c == EOF && ferror(t->f))
        return vl_fail_errno(e, "%s", t->name);
    if (too_long)
        return vl_fail(e, VL_EFORMAT, "line of more than %d bytes", VL_LAYOUT_LINE_MAX);
    if (c == EOF && !n)
        return 0;
    n -= n && t->line[n - 1] == '\r';
    t->line[n] = 0;
    t->line_n = n;
    return 1;
}

static int split(tsv *t, vl_err *e)
{
    char *p = t->line, *end = t->line + t->line_n;

    t->n_fields = 0;
    for (;;) {
        char *tab = memchr(p, '\t', (size_t)(end - p));
        if (t->n_fields == FIELDS_MAX)
            return vl_fail(e, VL_EFORMAT, "more than %d fields", FIELDS_MAX);
        t->field[t->n_fields] = p;
        t->field_n[t->n_fields++] = (size_t)((tab ? tab : end) - p);
        if (!tab)
            return VL_OK;
        *tab = 0;
        p = tab + 1;
    }
}

static void set_column(tsv *t, column c)
{
    t->columns[t->n_columns++] = c;
}

/* The fields at hand as a header line. */
static int header(tsv *t, vl_err *e)
{
    size_t count[COLUMNS] = {0};

    for (size_t i = 0; i < t->n_fields; i++) {
        int c = 0;
        while (c < COLUMNS && strcmp(t->field[i], column_name[c]) != 0)
            c++;
        if (c == COLUMNS)
            return vl_fail(e, VL_EFORMAT, "column %zu is '%s': image, caption, key or source expected", i,
                           t->field[i]);
        if (count[c]++ && c != CAPTION)
            return vl_fail(e, VL_EFORMAT, "column %zu: a second '%s'", i, column_name[c]);
        set_column(t, (column)c);
        if (c != CAPTION || count[c] == 1)
            t->least = i + 1;
    }
    if (!count[IMAGE] || !count[CAPTION])
        return vl_fail(e, VL_EFORMAT, "no column '%s'", column_name[count[IMAGE] ? CAPTION : IMAGE]);
    return VL_OK;
}

/* Looks at the first line, which may be a header. */
static int begin(tsv *t, vl_err *e)
{
    int rc = read_line(t, e);

    if (rc <= 0)
        return rc;
    if (t->line_n >= 3 && !memcmp(t->line, "\xef\xbb\xbf", 3))
        return vl_fail(e, VL_EFORMAT, "begins with a byte order mark");
    size_t first = strcspn(t->line, "\t");
    if ((first == 3 && !memcmp(t->line, "key", 3)) || (first == 5 && !memcmp(t->line, "image", 5)))
        return (rc = split(t, e)) ? rc : header(t, e);
    set_column(t, IMAGE);
    set_column(t, CAPTION);
    t->least = 2;
    t->unread = true;
    return VL_OK;
}

/* What a path or key in a C string must not hide. */
static int no_nul(const tsv *t, size_t i, const char *what, vl_err *e)
{
    if (!t->field_n[i])
        return vl_fail(e, VL_EFORMAT, "%s is empty", what);
    if (strlen(t->field[i]) != t->field_n[i])
        return vl_fail(e, VL_EFORMAT, "%s holds a NUL byte", what);
    return VL_OK;
}

static int take_field(tsv *t, size_t i, vl_pair *pair, vl_err *e)
{
    column c = t->columns[i < t->n_columns ? i : t->n_columns - 1];
    int rc;

    switch (c) {
    case CAPTION:
        return vl_layout_caption(&t->base, t->field[i], t->field_n[i], e);
    case KEY:
        if ((rc = no_nul(t, i, "key", e)))
            return rc;
        pair->key = t->field[i];
        return vls_key_check(pair->key, VL_EFORMAT, e);
    case SOURCE:
        if (!t->field_n[i])
            return VL_OK;
        pair->source = t->field[i];
        return vl_caption_check(t->field[i], t->field_n[i], e) ? vl_within(e, "source") : VL_OK;
    default:
        pair->image = t->field[i];
        return no_nul(t, i, "image", e);
    }
}

/* The fields at hand as a record; strings of the pair point into t. */
static int record(tsv *t, vl_pair *pair, vl_err *e)
{
    int rc = VL_OK;

    if (t->n_fields < t->least)
        return vl_fail(e, VL_EFORMAT, "%zu field%s, at least %zu expected", t->n_fields,
                       t->n_fields == 1 ? "" : "s", t->least);
    if (t->n_fields > t->n_columns && t->columns[t->n_columns - 1] != CAPTION)
        return vl_fail(e, VL_EFORMAT, "%zu fields, at most %zu expected", t->n_fields, t->n_columns);
    for (size_t i = 0; i < t->n_fields && !rc; i++)
        rc = take_field(t, i, pair, e);
    if (rc)
        return rc;
    const char *name = pair->image;
    bool absolute = name[0] == '/';
    snprintf(t->where, VL_ERR_TEXT, "%s: record %" PRIu64 ": %s", t->name, pair->index, name);
    snprintf(t->image, strlen(t->root) + VL_LAYOUT_LINE_MAX + 1, "%s%s", absolute ? "" : t->root, name);
    pair->where = t->where;
    pair->image = t->image;
    if (!pair->key) {
        pair->key = t->key;
        rc = vl_layout_key(name, t->key, e);
    }
    pair->captions = t->base.caption;
    pair->caption_bytes = t->base.caption_bytes;
    pair->n_captions = t->base.n_captions;
    return rc;
}

static int next_tsv(vl_layout *l, vl_pair *pair, vl_err *e)
{
    tsv *t = (tsv *)l;
    int rc = 1;

    do {
        if (!t->unread && (rc = read_line(t, e)) == 0)
            return 0;
        t->unread = false;
    } while (rc == 1 && !t->line_n);
    if (rc == VL_EIO)
        return rc;
    *pair = (vl_pair){.index = l->index++};
    if (rc == 1)
        rc = split(t, e);
    if (!rc)
        rc = record(t, pair, e);
    return rc ? vl_within(e, "%s: record %" PRIu64, t->name, pair->index) : 1;
}

static ssize_t read_input(void *in, char *to, size_t n)
{
    return vl_input_read(in, to, n);
}

int vl_layout_tsv(vl_input *in, const char *path, const char *root, vl_layout **out, vl_err *e)
{
    tsv *t = vl_alloc(1, sizeof *t, e);
    int rc = VL_ENOMEM;

    if (!t) {
        vl_input_close(in);
        return rc;
    }
    t->in = in;
    t->name = in->name;
    t->base.next = next_tsv;
    t->base.close = close_tsv;
    if (!(t->root = vl_layout_root(path, root, e)) || !(t->line = vl_alloc(VL_LAYOUT_LINE_MAX + 1, 1, e)) ||
        !(t->key = vl_alloc(VL_LAYOUT_LINE_MAX + 1, 1, e)) ||
        !(t->image = vl_alloc(strlen(t->root) + VL_LAYOUT_LINE_MAX + 1, 1, e)) ||
        !(t->where = vl_alloc(VL_ERR_TEXT, 1, e)))
        goto out;
    t->f = fopencookie(in, "r", (cookie_io_functions_t){.read = read_input});
    if (!t->f) {
        rc = vl_fail_errno(e, "%s", t->name);
        goto out;
    }
    rc = begin(t, e);
    if (rc == VL_EFORMAT)
        vl_within(e, "%s", t->name);
out:
    if (rc)
        close_tsv(&t->base);
    else
        *out = &t->base;
    return rc;
}
