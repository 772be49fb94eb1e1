/* SPDX-License-Identifier: MIT */
#include "distill/trajectory.h"
#include "distill/member.h"
#include "formats/manifest.h"
#include "formats/vlt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EXT_MAX = sizeof((vlm_param *)0)->name + 4 };
_Static_assert((int)EXT_MAX <= (int)VLD_EXT_MAX, "a parameter's name and .vlt");

static const vl_dtype REAL = sizeof(vl_real) == 8 ? VL_F64 : VL_F32;

static void param_ext(const vlm_param *p, char ext[EXT_MAX])
{
    snprintf(ext, EXT_MAX, "%s.vlt", p->name);
}

void vld_snapshot_key(int expert, int snap, char key[VLD_KEY_MAX])
{
    snprintf(key, VLD_KEY_MAX, "expert-%04d/snap-%04d", expert, snap);
}

/* ---- writing --------------------------------------------------------------------------------- */

int vld_trajectory_schema(const vlm_model *m, json_t **out, vl_err *e)
{
    json_t *schema = json_pack("{s:{s:s}}", "json", "type", "json");
    int bad = !schema;

    for (int i = 0; !bad && i < m->n_params; i++) {
        const vlm_param *p = &m->param[i];
        json_t *shape = json_array();
        char ext[EXT_MAX];

        for (int k = 0; k < p->rank; k++)
            bad |= json_array_append_new(shape, json_integer((json_int_t)p->dim[k]));
        param_ext(p, ext);
        bad |= json_object_set_new(
            schema, ext,
            json_pack("{s:s, s:s, s:o}", "type", "vlt", "dtype", vl_dtype_descr(REAL), "shape", shape));
    }
    if (bad) {
        json_decref(schema);
        return vl_fail(e, VL_ENOMEM, "out of memory: schema");
    }
    *out = schema;
    return VL_OK;
}

/* What is written: the tensors behind each other in `bytes`, which grows. */
typedef struct snapshot {
    const vlm_model *m;
    const char *key, *key_before; /* key_before: NULL for a keyframe */
    const vl_real *theta, *before;
    vl_buf bytes;
} snapshot;

static int put_param(snapshot *s, const vlm_param *p, const char *ext, vl_err *e)
{
    char name[VLD_KEY_MAX + EXT_MAX];
    vl_npy a = {.dtype = REAL, .rank = p->rank, .data = s->theta + p->offset};
    vl_vlt_ref ref = {.name = name};

    for (int i = 0; i < p->rank; i++)
        a.shape[i] = p->dim[i];
    if (!s->key_before)
        return vl_vlt_build(&a, VL_VLT_SHUFFLE, NULL, &s->bytes, NULL, e);
    snprintf(name, sizeof name, "%.*s.%.*s", VLD_KEY_MAX - 1, s->key_before, EXT_MAX - 1, ext);
    ref.raw = s->before + p->offset;
    ref.bytes = p->n * sizeof(vl_real);
    ref.sum = vl_vlt_sum(ref.raw, ref.bytes);
    return vl_vlt_build(&a, VL_VLT_SUB, &ref, &s->bytes, NULL, e);
}

static int write_record(vls_writer *w, snapshot *s, const json_t *stats, vl_err *e)
{
    const int n = s->m->n_params;
    vls_member member[VLM_MAX_PARAMS + 1];
    char ext[VLM_MAX_PARAMS][EXT_MAX];
    size_t start[VLM_MAX_PARAMS + 2];
    vls_record rec = {s->key, member, (size_t)n + 1};
    int rc = VL_OK;

    for (int i = 0; !rc && i < n; i++) {
        param_ext(&s->m->param[i], ext[i]);
        start[i] = s->bytes.n;
        rc = put_param(s, &s->m->param[i], ext[i], e);
    }
    if (rc)
        return rc;
    start[n] = s->bytes.n;
    rc = vls_json_dump(stats, &s->bytes, e);
    if (rc)
        return rc;
    start[n + 1] = s->bytes.n;
    for (int i = 0; i <= n; i++) /* the bytes move no more */
        member[i] = (vls_member){i < n ? ext[i] : "json", s->bytes.p + start[i], start[i + 1] - start[i]};
    return vls_add(w, &rec, e);
}

int vld_snapshot_put(vls_writer *w, const json_t *manifest, const vlm_model *m, int expert, int snap,
                     const vl_real *theta, const vl_real *before, const json_t *stats, vl_err *e)
{
    char key[VLD_KEY_MAX], key_before[VLD_KEY_MAX];
    snapshot s = {.m = m, .key = key, .theta = theta, .before = before};
    int rc;

    if (expert < 0 || expert >= VLD_MAX_EXPERTS || snap < 0 || snap >= VLD_MAX_SNAPS)
        return vl_fail(e, VL_EARG, "expert %d, snapshot %d: 0 to %d and 0 to %d allowed", expert, snap,
                       VLD_MAX_EXPERTS - 1, VLD_MAX_SNAPS - 1);
    vld_snapshot_key(expert, snap, key);
    if (before && snap % VLD_KEYFRAMES) {
        vld_snapshot_key(expert, snap - 1, key_before);
        s.key_before = key_before;
    }
    rc = vls_segment_begin(w, manifest, 0, e);
    if (!rc)
        rc = write_record(w, &s, stats, e);
    free(s.bytes.p);
    return rc;
}

int vld_snapshot_write(vls_writer *w, const json_t *manifest, const vlm_model *m, int expert, int snap,
                       const vl_real *theta, const vl_real *before, const json_t *stats,
                       const vls_parent *parents, size_t n_parents, vl_err *e)
{
    int rc = vld_snapshot_put(w, manifest, m, expert, snap, theta, before, stats, e);

    for (size_t i = 0; !rc && i < n_parents; i++)
        rc = vls_add_parent(w, &parents[i], e);
    return rc ? rc : vls_segment_end(w, e);
}

/* ---- reading --------------------------------------------------------------------------------- */

/* Snapshots seen of an expert of the shard that is being read; the shard's own number for it. */
typedef struct run {
    int number, seen;
    bool ended;       /* a snapshot is lost: what follows is passed over */
    const char *name; /* of the shard, for messages */
} run;

typedef struct loader {
    vld_experts x;
    run *runs; /* [x.n]; those from `first` on belong to this shard */
    int first, max_snaps;
    const char *path, *first_path;
    const vls_segment *seg; /* whose manifest was checked last */
    vl_chain chain;         /* of the snapshot before */
    const vls_left_out *left_out;
} loader;

static int same_model(const vlm_model *a, const vlm_model *b)
{
    return !strcmp(a->spec, b->spec) && a->size == b->size && a->text_dim == b->text_dim &&
           a->embed_dim == b->embed_dim && a->scale == b->scale;
}

/* The first segment says what the network is, all others must say the same. */
static int take_manifest(loader *l, const vls_segment *seg, vl_err *e)
{
    vlm_model m;
    vl_augment a;

    if (l->seg == seg)
        return VL_OK;
    if (vld_model_from_json(json_object_get(seg->manifest, "model"), &m, e) ||
        vld_augment_from_json(json_object_get(seg->manifest, "augment"), &a, e))
        return VL_EFORMAT;
    if (!l->x.manifest) {
        l->x.model = m;
        l->x.augment = a;
        l->first_path = l->path;
        l->x.manifest = json_deep_copy(seg->manifest);
        if (!l->x.manifest)
            return vl_fail(e, VL_ENOMEM, "out of memory: manifest");
    }
    if (!same_model(&m, &l->x.model))
        return vl_fail(e, VL_EFORMAT, "its network is not that of %s", l->first_path);
    if (!vl_augment_equal(&a, &l->x.augment))
        return vl_fail(e, VL_EFORMAT, "its augmentation is not that of %s", l->first_path);
    l->seg = seg;
    return VL_OK;
}

static int parse_key(const char *key, int *expert, int *snap, vl_err *e)
{
    unsigned x = 0, s = 0;
    char again[VLD_KEY_MAX];

    if (sscanf(key, "expert-%4u/snap-%4u", &x, &s) == 2 && x < VLD_MAX_EXPERTS && s < VLD_MAX_SNAPS) {
        vld_snapshot_key((int)x, (int)s, again);
        if (!strcmp(key, again)) {
            *expert = (int)x;
            *snap = (int)s;
            return VL_OK;
        }
    }
    return vl_fail(e, VL_EFORMAT, "a snapshot's key is expert-NNNN/snap-NNNN, numbers below %d and %d",
                   VLD_MAX_EXPERTS, VLD_MAX_SNAPS);
}

static int add_expert(loader *l, int number, vl_err *e)
{
    vld_experts *x = &l->x;

    if (x->n == VLD_MAX_EXPERTS)
        return vl_fail(e, VL_EFORMAT, "more than %d experts", VLD_MAX_EXPERTS);
    if (!x->theta && (!(x->theta = vl_alloc(VLD_MAX_EXPERTS, sizeof *x->theta, e)) ||
                      !(x->n_snaps = vl_alloc(VLD_MAX_EXPERTS, sizeof *x->n_snaps, e)) ||
                      !(l->runs = vl_alloc(VLD_MAX_EXPERTS, sizeof *l->runs, e))))
        return VL_ENOMEM;
    l->runs[x->n++] = (run){.number = number, .name = strcmp(l->path, "-") ? l->path : "standard input"};
    return VL_OK;
}

/* Which expert this snapshot belongs to; it must be the next one of it. -1: behind one that is lost. */
static int find_expert(loader *l, int number, int snap, int *out, vl_err *e)
{
    int i = l->x.n - 1;

    while (i >= l->first && l->runs[i].number != number)
        i--;
    if (i < l->first) {
        int rc = add_expert(l, number, e);
        if (rc)
            return rc;
        i = l->x.n - 1;
    }
    if (l->left_out && snap > l->runs[i].seen)
        l->runs[i].ended = true;
    if (snap != l->runs[i].seen && !l->runs[i].ended)
        return vl_fail(e, VL_EFORMAT, "snapshot %d expected here", l->runs[i].seen);
    *out = l->runs[i].ended ? -1 : i;
    l->runs[i].seen += !l->runs[i].ended;
    return VL_OK;
}

/* Room for one more snapshot: doubled, so that a long run is not copied at each. */
static int grow(vld_experts *x, int expert, vl_err *e)
{
    int n = x->n_snaps[expert];
    vl_real *p;

    if (n & (n - 1))
        return VL_OK;
    p = vl_realloc(x->theta[expert], n ? 2 * (size_t)n : 1, x->model.n * sizeof *p, e);
    if (!p)
        return VL_ENOMEM;
    x->theta[expert] = p;
    return VL_OK;
}

/* Every member is held to its shape before anything is allocated for it: the manifest's numbers alone
 * reserve no memory. Snapshots that are not kept are not decoded: no kept one refers to them. */
static int load_theta(loader *l, const vls_record *rec, int expert, vl_err *e)
{
    vld_experts *x = &l->x;
    vl_npy a;
    char ext[VLD_EXT_MAX];
    int rc = VL_OK;

    for (int i = 0; !rc && i < x->model.n_params; i++) {
        const vlm_param *p = &x->model.param[i];
        rc = vld_tensor_find(NULL, rec, p->name, p->rank, p->dim, ext, &a, e);
    }
    if (rc || (l->max_snaps && x->n_snaps[expert] >= l->max_snaps))
        return rc;
    rc = vl_chain_add(&l->chain, rec, e);
    if (!rc)
        rc = grow(x, expert, e);
    for (int i = 0; !rc && i < x->model.n_params; i++) {
        const vlm_param *p = &x->model.param[i];
        vl_real *theta = x->theta[expert] + (size_t)x->n_snaps[expert] * x->model.n;
        rc = vld_tensor_find(&l->chain, rec, p->name, p->rank, p->dim, ext, &a, e);
        if (!rc)
            rc = vld_npy_reals(&a, ext, theta + p->offset, e);
    }
    if (!rc)
        x->n_snaps[expert]++;
    return rc;
}

static int take_record(loader *l, const vls_record *rec, const vls_segment *seg, vl_err *e)
{
    int number = 0, snap = 0, expert = 0, rc;

    if (strcmp(seg->kind, "trajectory"))
        return VL_OK; /* a stream may carry other kinds, for other tools */
    rc = take_manifest(l, seg, e);
    if (!rc)
        rc = parse_key(rec->key, &number, &snap, e);
    if (!rc)
        rc = find_expert(l, number, snap, &expert, e);
    if (!rc && expert >= 0)
        rc = load_theta(l, rec, expert, e);
    return rc ? vl_within(e, "%s", rec->key) : VL_OK;
}

static int load_shard(loader *l, vls_parent *parent, vl_err *e)
{
    const vls_read_opts how = {.skip_bad = l->left_out != NULL};
    vls_reader *r = NULL;
    const vls_segment *seg;
    vls_record rec;
    int rc, got;

    l->first = l->x.n;
    l->seg = NULL;
    vl_chain_free(&l->chain);
    rc = vls_reader_open(l->path, &how, &r, e);
    if (rc)
        return rc; /* with the path in front */
    while ((got = vls_next(r, &rec, &seg, e)) == 1 && !(rc = take_record(l, &rec, seg, e)))
        ;
    if (got < 0)
        rc = got;
    else if (rc)
        vl_within(e, "%s", vls_reader_name(r));
    else if (l->x.n == l->first)
        rc = vl_fail(e, VL_EFORMAT, "%s: no trajectory in it, its kind is %s", vls_reader_name(r),
                     vls_reader_segment(r, 0) ? vls_reader_segment(r, 0)->kind : "empty");
    if (!rc && l->left_out)
        rc = l->left_out->shard(l->left_out->arg, r, e);
    if (!rc && parent)
        vls_reader_id(r, parent);
    vls_reader_close(r);
    return rc;
}

static int tell(const loader *l, int i, int need, vl_err *e)
{
    const run *r = &l->runs[i];
    char key[VLD_KEY_MAX];
    vl_err why;

    snprintf(key, sizeof key, "expert-%04d", r->number);
    vl_fail(&why, VL_EFORMAT, "%s: %s: %d snapshots in a row from the first, %d needed", r->name, key,
            l->x.n_snaps[i], need);
    return l->left_out->record(l->left_out->arg, key, why.text, e);
}

/* Experts that lost too much go; the others move up. */
static int close_up(loader *l, vl_err *e)
{
    vld_experts *x = &l->x;
    int need = l->max_snaps ? l->max_snaps : 1, kept = 0, rc = VL_OK, n = x->n;

    for (int i = 0; i < n; i++) {
        if (x->n_snaps[i] < need) {
            rc = rc ? rc : tell(l, i, need, e);
            free(x->theta[i]);
        } else {
            x->theta[kept] = x->theta[i];
            x->n_snaps[kept++] = x->n_snaps[i];
        }
    }
    x->n = kept;
    return rc || kept ? rc : vl_fail(e, VL_EFORMAT, "none of %d experts has its first %d snapshots", n, need);
}

int vld_experts_read(const char *const *paths, size_t n_paths, int max_snaps, vld_experts *out,
                     vls_parent *parents, vl_err *e)
{
    return vld_experts_salvage(paths, n_paths, max_snaps, NULL, out, parents, e);
}

int vld_experts_salvage(const char *const *paths, size_t n_paths, int max_snaps, const vls_left_out *left_out,
                        vld_experts *out, vls_parent *parents, vl_err *e)
{
    loader l = {.max_snaps = max_snaps, .left_out = left_out};
    int rc = n_paths ? VL_OK : vl_fail(e, VL_EARG, "no trajectories given");

    for (size_t i = 0; !rc && i < n_paths; i++) {
        l.path = paths[i];
        rc = load_shard(&l, parents ? &parents[i] : NULL, e);
    }
    if (!rc && left_out)
        rc = close_up(&l, e);
    free(l.runs);
    vl_chain_free(&l.chain);
    if (rc)
        vld_experts_free(&l.x);
    else
        *out = l.x;
    return rc;
}

void vld_experts_free(vld_experts *x)
{
    for (int i = 0; i < x->n; i++)
        free(x->theta[i]);
    free(x->theta);
    free(x->n_snaps);
    json_decref(x->manifest);
    memset(x, 0, sizeof *x);
}
