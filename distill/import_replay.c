/* SPDX-License-Identifier: MIT
 * import_replay.c -- replay buffers to trajectories, snapshot by snapshot: only what one record holds is in
 * memory, beside the two trees of the pickles. */
#include "distill/import_pt.h"
#include "distill/import_tensor.h"
#include "distill/trajectory.h"
#include "formats/manifest.h"
#include "formats/version.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { IMAGE, TEXT, BRANCHES, EXPAND_MAX = 256, TENSORS_MAX = 4000 };

typedef struct branch {
    const char *path, *name; /* "image", "text" */
    vl_pt pt;
} branch;

typedef struct importer {
    branch b[BRANCHES];
    vld_gather g;
    json_t *manifest; /* that of the first snapshot; all others must be the same */
    const char *tool;
    vls_writer *w;
    vld_import_counts *counts;
} importer;

/* A list, or a tuple in its stead, of 1 to max things. */
static int check_list(const vl_pk_node *x, uint32_t max, const char *what, vl_err *e)
{
    if (x->type != VL_PK_LIST && x->type != VL_PK_TUPLE)
        return vl_fail(e, VL_EFORMAT, "a %s, a list of %s expected", vl_pk_type_name(x), what);
    if (!x->n || x->n > max)
        return vl_fail(e, VL_EFORMAT, "%u %s, 1 to %u expected", x->n, what, max);
    return VL_OK;
}

/* ---- the parameters of one branch --------------------------------------------------------------- */

/* nn.Linear(D, H), nn.Linear(H, H), nn.LayerNorm(H): each a weight and a bias, in this order. */
static bool is_head(const vl_pt_tensor *t, uint32_t n)
{
    static const int rank[] = {2, 1, 2, 1, 1, 1};
    uint64_t h = n == 6 && t[0].rank == 2 ? t[0].shape[0] : 0;

    for (uint32_t i = 0; h && i < n; i++)
        if (t[i].rank != rank[i] || t[i].shape[0] != h)
            return false;
    return h && t[2].shape[1] == h;
}

static int gather_named(importer *im, branch *b, const vl_pt_tensor *t, uint32_t n, vl_err *e)
{
    static const char *const head[] = {"projection.weight", "projection.bias",   "fc.weight",
                                       "fc.bias",           "layer_norm.weight", "layer_norm.bias"};
    bool named = is_head(t, n);
    char name[VLD_GATHER_EXT];

    for (uint32_t i = 0; i < n; i++) {
        if (named)
            snprintf(name, sizeof name, "%s.%s", b->name, head[i]);
        else
            snprintf(name, sizeof name, "%s.%04u", b->name, i);
        if (vld_gather_tensor(&im->g, name, &b->pt, &t[i], false, e))
            return vl_within(e, "tensor %u", i);
    }
    return VL_OK;
}

static int gather_branch(importer *im, branch *b, const vl_pk_node *snap, vl_err *e)
{
    vl_pt_tensor *t;
    int rc = check_list(snap, TENSORS_MAX / BRANCHES, "tensors", e);

    if (rc)
        return rc;
    t = vl_alloc(snap->n, sizeof *t, e);
    if (!t)
        return VL_ENOMEM;
    for (uint32_t i = 0; !rc && i < snap->n; i++) {
        rc = vl_pt_tensor_of(&b->pt, vl_pk_kid(&b->pt.pickle, snap, i), &t[i], e);
        if (rc)
            vl_within(e, "tensor %u", i);
    }
    if (!rc)
        rc = gather_named(im, b, t, snap->n, e);
    free(t);
    return rc;
}

/* ---- one snapshot ------------------------------------------------------------------------------- */

/* Every segment has the same manifest; takes the schema of what was gathered. */
static int check_manifest(importer *im, vl_err *e)
{
    json_t *m;

    if (json_object_set_new(im->g.schema, "json", json_pack("{s:s}", "type", "json")))
        return vl_fail(e, VL_ENOMEM, "out of memory: schema");
    if (im->manifest)
        return json_equal(json_object_get(im->manifest, "schema"), im->g.schema)
                   ? VL_OK
                   : vl_fail(e, VL_EFORMAT, "not the network of the first snapshot");
    m = json_pack("{s:s, s:{s:s, s:s}, s:{s:s}, s:O}", "kind", "trajectory", "tool", "name", im->tool,
                  "version", VL_VERSION, "import", "from", "replay buffers of torch.save", "schema",
                  im->g.schema);
    im->manifest = m;
    return m ? VL_OK : vl_fail(e, VL_ENOMEM, "out of memory: manifest");
}

static int add_stats(importer *im, uint32_t snap, vl_err *e)
{
    json_t *j = json_pack("{s:I}", "epoch", (json_int_t)snap);
    vl_buf text = {0};
    int rc = j ? vls_json_dump(j, &text, e) : vl_fail(e, VL_ENOMEM, "out of memory: json");

    json_decref(j);
    if (rc)
        free(text.p);
    return rc ? rc : vld_gather_bytes(&im->g, "json", text.p, text.n, e);
}

static int write_segment(importer *im, uint64_t expert, uint32_t snap, vl_err *e)
{
    char key[40];
    vls_record rec = {key, im->g.m, im->g.n};
    int rc = vls_segment_begin(im->w, im->manifest, 0, e);

    snprintf(key, sizeof key, "expert-%04" PRIu64 "/snap-%04u", expert, snap);
    if (!rc)
        rc = vls_add(im->w, &rec, e);
    return rc ? rc : vls_segment_end(im->w, e);
}

static int import_snapshot(importer *im, const vl_pk_node *const snaps[BRANCHES], uint32_t snap, vl_err *e)
{
    int rc = vld_gather_clear(&im->g, e);

    for (int k = 0; !rc && k < BRANCHES; k++) {
        rc = gather_branch(im, &im->b[k], vl_pk_kid(&im->b[k].pt.pickle, snaps[k], snap), e);
        if (rc)
            vl_within(e, "%s", im->b[k].name);
    }
    if (!rc)
        rc = check_manifest(im, e);
    if (!rc)
        rc = add_stats(im, snap, e);
    if (!rc)
        rc = write_segment(im, im->counts->experts, snap, e);
    if (!rc)
        im->counts->snapshots++;
    return rc;
}

/* ---- experts ------------------------------------------------------------------------------------ */

static int import_expert(importer *im, const vl_pk_node *const roots[BRANCHES], uint32_t expert, vl_err *e)
{
    const vl_pk_node *snaps[BRANCHES];
    int rc = VL_OK;

    for (int k = 0; !rc && k < BRANCHES; k++) {
        snaps[k] = vl_pk_kid(&im->b[k].pt.pickle, roots[k], expert);
        rc = check_list(snaps[k], VLD_MAX_SNAPS, "snapshots", e);
        if (rc)
            vl_within(e, "%s", im->b[k].name);
    }
    if (!rc && snaps[IMAGE]->n != snaps[TEXT]->n)
        rc = vl_fail(e, VL_EFORMAT, "%u snapshots of the image branch, %u of the text branch",
                     snaps[IMAGE]->n, snaps[TEXT]->n);
    for (uint32_t s = 0; !rc && s < snaps[IMAGE]->n; s++) {
        rc = import_snapshot(im, snaps, s, e);
        if (rc)
            vl_within(e, "snapshot %u", s);
    }
    if (!rc)
        im->counts->experts++;
    return rc;
}

static int import_experts(importer *im, vl_err *e)
{
    const vl_pk_node *roots[BRANCHES];
    int rc = VL_OK;

    for (int k = 0; !rc && k < BRANCHES; k++) {
        roots[k] = vl_pk_root(&im->b[k].pt.pickle);
        rc = check_list(roots[k], VLD_MAX_EXPERTS, "experts", e);
        if (rc)
            vl_within(e, "%s", im->b[k].path);
    }
    if (!rc && roots[IMAGE]->n != roots[TEXT]->n)
        rc = vl_fail(e, VL_EFORMAT, "%s: %u experts, %u in %s", im->b[IMAGE].path, roots[IMAGE]->n,
                     roots[TEXT]->n, im->b[TEXT].path);
    if (!rc && im->counts->experts + roots[IMAGE]->n > VLD_MAX_EXPERTS)
        rc = vl_fail(e, VL_EFORMAT, "%s: more than %d experts in all", im->b[IMAGE].path, VLD_MAX_EXPERTS);
    for (uint32_t x = 0; !rc && x < roots[IMAGE]->n; x++) {
        rc = import_expert(im, roots, x, e);
        if (rc)
            vl_within(e, "%s, %s: expert %u", im->b[IMAGE].path, im->b[TEXT].path, x);
    }
    return rc;
}

int vld_import_replay(const char *image, const char *text, const char *tool, vls_writer *w,
                      vld_import_counts *counts, vl_err *e)
{
    importer im = {.b = {{.path = image, .name = "image", .pt = {.zip.src.fd = -1}},
                         {.path = text, .name = "text", .pt = {.zip.src.fd = -1}}},
                   .tool = tool,
                   .w = w,
                   .counts = counts};
    int rc = VL_OK;

    for (int k = 0; !rc && k < BRANCHES; k++) {
        rc = vl_pt_open(im.b[k].path, &im.b[k].pt, e);
        if (rc)
            vl_within(e, "%s", im.b[k].path);
        im.g.limit += EXPAND_MAX * im.b[k].pt.zip.src.size;
    }
    if (!rc)
        rc = import_experts(&im, e);
    counts->tensors += im.g.tensors;
    counts->bytes += im.g.bytes;
    json_decref(im.manifest);
    vld_gather_free(&im.g);
    for (int k = 0; k < BRANCHES; k++)
        vl_pt_close(&im.b[k].pt);
    return rc;
}
