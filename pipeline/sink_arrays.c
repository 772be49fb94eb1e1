/* SPDX-License-Identifier: MIT
 * sink_arrays.c -- the .npy members of all records as the tensors of one .safetensors or .npz.
 *
 * Both formats say first how long a tensor is, and safetensors says so of all of them, so the data wait in a
 * temporary file; memory holds names and shapes. A tensor is made of pieces: one, or with `stack` one for each
 * record, in the order of the records. The manifests go along: as "vlkit" in the metadata of safetensors, as
 * the entry __vl__/manifest.json of the zip. */
#include "formats/outfile.h"
#include "formats/safetensors.h"
#include "formats/zip_store.h"
#include "pipeline/carry.h"
#include "pipeline/keytab.h"
#include "pipeline/sink.h"
#include "pipeline/spill.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COPY = 1 << 16 };

typedef struct tensor {
    vl_npy a;     /* of one piece */
    uint64_t *at; /* [n_at] where the pieces lie */
    size_t n_at, room;
} tensor;

typedef struct arrays {
    vl_sink s;
    vl_arrays_opts o;
    vl_spill *spill;
    vl_keytab names; /* of tensors, by number */
    tensor *tensor;
    size_t room;
    json_t *segments; /* [{manifest, parents}], equal neighbours once */
    uint8_t block[COPY];
} arrays;

/* ---- taking in ------------------------------------------------------------------------------------ */

static int add_piece(arrays *s, size_t i, const vl_npy *a, bool added, vl_err *e)
{
    tensor *t;
    int rc;

    if (i >= s->room) {
        size_t room = s->room ? 2 * s->room : 256;
        tensor *more = vl_realloc(s->tensor, room, sizeof *more, e);
        if (!more)
            return VL_ENOMEM;
        s->tensor = more;
        s->room = room;
    }
    t = &s->tensor[i];
    if (added)
        *t = (tensor){.a = *a};
    else if (t->a.dtype != a->dtype || t->a.rank != a->rank ||
             memcmp(t->a.shape, a->shape, (size_t)a->rank * sizeof *a->shape))
        return vl_fail(e, VL_EFORMAT, "another dtype or shape than in the records before");
    if (t->n_at == t->room) {
        size_t room = t->room ? 2 * t->room : 1;
        uint64_t *more = vl_realloc(t->at, room, sizeof *more, e);
        if (!more)
            return VL_ENOMEM;
        t->at = more;
        t->room = room;
    }
    rc = vl_spill_add(s->spill, a->data, (size_t)a->n * vl_dtype_size(a->dtype), &t->at[t->n_at], e);
    t->n_at += !rc;
    return rc;
}

static int add_member(arrays *s, const char *key, const vls_member *m, vl_err *e)
{
    char name[VL_ST_NAME_MAX + 1];
    bool bare = s->o.bare || s->o.stack;
    size_t i = 0, stem = strlen(m->ext) - strlen(".npy"); /* is_array() saw it */
    vl_npy a;
    int added, rc = vl_npy_parse(m->data, m->n, &a, e);

    if (!rc && !s->o.npz) /* .npz is .npy again, which has no bf16 */
        rc = vl_npy_schema(s->s.manifest, m->ext, &a, e);
    if (!rc && (size_t)snprintf(name, sizeof name, "%s%s%.*s", bare ? "" : key, bare ? "" : ".", (int)stem,
                                m->ext) >= sizeof name)
        rc = vl_fail(e, VL_EFORMAT, "the tensor's name is over %d bytes", VL_ST_NAME_MAX);
    if (rc)
        return vl_within(e, "record '%s': %s", key, m->ext);
    added = vl_keytab_add(&s->names, name, &i, e);
    if (added < 0)
        return added;
    if (!added && !s->o.stack)
        rc = vl_fail(e, VL_EFORMAT, "two tensors are called '%s'", name);
    if (!rc)
        rc = add_piece(s, i, &a, added, e);
    return rc ? vl_within(e, "record '%s': %s", key, m->ext) : VL_OK;
}

static bool is_array(const char *ext)
{
    size_t n = strlen(ext);

    return n > 4 && !strcmp(ext + n - 4, ".npy");
}

static int arrays_add(vl_sink *sink, const vls_record *rec, vl_err *e)
{
    arrays *s = (arrays *)sink;
    int rc = VL_OK;

    for (size_t i = 0; !rc && i < rec->n_members; i++) {
        if (is_array(rec->members[i].ext))
            rc = add_member(s, rec->key, &rec->members[i], e);
        else if (s->s.counts)
            s->s.counts->left_out++;
    }
    return rc;
}

/* Kept is what a copy of the records would carry. */
static int arrays_begin(vl_sink *sink, vl_err *e)
{
    json_t *kept = vl_carry_manifest(sink->manifest, e);

    json_decref(sink->manifest);
    sink->manifest = kept;
    return kept ? VL_OK : VL_ENOMEM;
}

static int arrays_end(vl_sink *sink, vl_err *e)
{
    arrays *s = (arrays *)sink;
    size_t n = json_array_size(s->segments);
    json_t *now = json_pack("{s:O, s:o}", "manifest", s->s.manifest, "parents",
                            s->s.parents ? json_incref(s->s.parents) : json_array());
    int bad = !now;

    if (!bad && !(n && json_equal(json_array_get(s->segments, n - 1), now)))
        bad = json_array_append(s->segments, now);
    json_decref(now);
    return bad ? vl_fail(e, VL_ENOMEM, "out of memory: manifest") : VL_OK;
}

/* ---- writing -------------------------------------------------------------------------------------- */

typedef int (*put_fn)(void *to, const void *p, size_t n, vl_err *e);

static int put_file(void *to, const void *p, size_t n, vl_err *e)
{
    return vl_outfile_write(to, p, n, e);
}

static int put_zip(void *to, const void *p, size_t n, vl_err *e)
{
    return vl_zip_data(to, p, n, e);
}

static int copy_pieces(arrays *s, const tensor *t, put_fn put, void *to, vl_err *e)
{
    uint64_t size = t->a.n * vl_dtype_size(t->a.dtype);
    int rc = VL_OK;

    for (size_t i = 0; !rc && i < t->n_at; i++)
        for (uint64_t at = 0; !rc && at < size; at += COPY) {
            size_t n = size - at < COPY ? (size_t)(size - at) : COPY;
            rc = vl_spill_read(s->spill, t->at[i] + at, s->block, n, e);
            if (!rc)
                rc = put(to, s->block, n, e);
        }
    return rc;
}

/* The tensor's own shape: with stack, a row for each piece in front. */
static int whole(const arrays *s, const tensor *t, vl_npy *a, vl_err *e)
{
    *a = t->a;
    if (!s->o.stack)
        return VL_OK;
    if (a->rank == VL_NPY_MAX_RANK)
        return vl_fail(e, VL_EFORMAT, "a stack of more than %d dimensions", VL_NPY_MAX_RANK);
    memmove(a->shape + 1, a->shape, (size_t)a->rank * sizeof *a->shape);
    a->shape[0] = t->n_at;
    a->rank++;
    return vl_npy_count(a, e);
}

static char *segments_text(const arrays *s, vl_err *e)
{
    char *text = json_dumps(s->segments, JSON_COMPACT | JSON_SORT_KEYS | JSON_REAL_PRECISION(17));

    if (!text)
        vl_fail(e, VL_ENOMEM, "out of memory: manifest");
    return text;
}

static int safetensors_head(const arrays *s, vl_st_tensor *st, vl_buf *head, vl_err *e)
{
    char *text = segments_text(s, e);
    json_t *meta = text ? json_pack("{s:s}", "vlkit", text) : NULL;
    int rc = meta ? VL_OK : vl_fail(e, VL_ENOMEM, "out of memory: manifest");

    for (size_t i = 0; !rc && i < s->names.n; i++) {
        st[i].name = s->names.key[i];
        rc = whole(s, &s->tensor[i], &st[i].a, e);
    }
    if (!rc)
        rc = vl_st_head(st, s->names.n, meta, head, e);
    json_decref(meta);
    free(text);
    return rc;
}

static int write_safetensors(arrays *s, vl_err *e)
{
    vl_st_tensor *st = vl_alloc(s->names.n, sizeof *st, e);
    vl_outfile *f = NULL;
    vl_buf head = {0};
    size_t at = 0;
    int rc = st ? safetensors_head(s, st, &head, e) : VL_ENOMEM;

    if (!rc)
        rc = vl_outfile_open(s->o.path, &f, e);
    if (!rc)
        rc = vl_outfile_write(f, head.p, head.n, e);
    for (size_t i = 0; !rc && i < s->names.n; i++) /* st is in the order of the file now */
        if (vl_keytab_find(&s->names, st[i].name, &at))
            rc = copy_pieces(s, &s->tensor[at], put_file, f, e);
    free(head.p);
    free(st);
    if (!rc)
        return vl_outfile_commit(f, e);
    vl_outfile_abort(f);
    return rc;
}

static int zip_tensor(arrays *s, vl_zip *z, size_t i, vl_err *e)
{
    char name[VL_ST_NAME_MAX + 8];
    uint8_t head[VL_NPY_HEAD_MAX];
    vl_npy a;
    size_t n = 0;
    int rc = whole(s, &s->tensor[i], &a, e);

    snprintf(name, sizeof name, "%s.npy", s->names.key[i]);
    if (!rc)
        rc = vl_npy_head(&a, head, &n, e);
    if (!rc)
        rc = vl_zip_entry(z, name, n + a.n * vl_dtype_size(a.dtype), e);
    if (!rc)
        rc = vl_zip_data(z, head, n, e);
    return rc ? rc : copy_pieces(s, &s->tensor[i], put_zip, z, e);
}

static int write_npz(arrays *s, vl_err *e)
{
    char *text = segments_text(s, e);
    vl_zip *z = NULL;
    int rc = text ? vl_zip_open(s->o.path, &z, e) : VL_ENOMEM;

    for (size_t i = 0; !rc && i < s->names.n; i++)
        rc = zip_tensor(s, z, i, e);
    if (!rc)
        rc = vl_zip_entry(z, "__vl__/manifest.json", strlen(text), e);
    if (!rc)
        rc = vl_zip_data(z, text, strlen(text), e);
    free(text);
    if (!rc)
        return vl_zip_close(z, e);
    vl_zip_abort(z);
    return rc;
}

static void arrays_abort(vl_sink *sink)
{
    arrays *s = (arrays *)sink;

    for (size_t i = 0; i < s->names.n && i < s->room; i++)
        free(s->tensor[i].at);
    free(s->tensor);
    vl_keytab_free(&s->names);
    vl_spill_free(s->spill);
    vl_sink_clear(sink);
    json_decref(s->segments);
    free(s);
}

static int arrays_close(vl_sink *sink, vl_err *e)
{
    arrays *s = (arrays *)sink;
    int rc = VL_OK;

    if (!s->names.n)
        rc = vl_fail(e, VL_EFORMAT, "no record holds an array (.npy)");
    if (!rc)
        rc = s->o.npz ? write_npz(s, e) : write_safetensors(s, e);
    if (!rc && s->s.counts)
        s->s.counts->files = 1;
    arrays_abort(sink);
    return rc;
}

int vl_arrays_open(const vl_arrays_opts *o, vl_sink_counts *counts, vl_sink **out, vl_err *e)
{
    arrays *s = vl_alloc(1, sizeof *s, e);
    int rc;

    if (!s)
        return VL_ENOMEM;
    s->s = (vl_sink){.begin = arrays_begin,
                     .add = arrays_add,
                     .end = arrays_end,
                     .close = arrays_close,
                     .abort = arrays_abort};
    s->o = *o;
    s->s.counts = counts;
    s->segments = json_array();
    rc = s->segments ? vl_spill_new(&s->spill, e) : vl_fail(e, VL_ENOMEM, "out of memory: manifest");
    if (rc)
        arrays_abort(&s->s);
    else
        *out = &s->s;
    return rc;
}
