/* SPDX-License-Identifier: MIT
 * import_distilled.c -- distilled_IT.pt to a distilled shard: the set's own tensors first, then its pairs. */
#include "distill/import_pt.h"
#include "distill/import_tensor.h"
#include "formats/manifest.h"
#include "formats/names.h"
#include "formats/version.h"
#include "pipeline/image.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHANNELS = 3, PAIRS_MAX = 1 << 20, SIDE_MAX = 4096, EXPAND_MAX = 256 };

/* What these projects normalise images with: CLIP's statistics, for every encoder. */
static const double mean[CHANNELS] = {0.48145466, 0.4578275, 0.40821073};
static const double sd[CHANNELS] = {0.26862954, 0.26130258, 0.27577711};

typedef struct importer {
    vl_pt pt;
    const vl_pk_node *root;
    vl_pt_tensor image, text;
    vld_gather g;
    json_t *values; /* of the set's json */
    float *texts;   /* [M,D]: read at once, so that the image's storage stays where it is */
    uint8_t *rgb;
    vls_writer *w;
} importer;

/* ---- the set's own record ------------------------------------------------------------------------ */

/* A number, or a tensor of one float. */
static int read_rate(importer *im, const vl_pk_node *x, double *out, vl_err *e)
{
    vl_npy a = {0};
    uint8_t one[16];
    vl_pt_tensor t;
    int rc;

    if (x->type == VL_PK_FLOAT || x->type == VL_PK_INT) {
        *out = x->type == VL_PK_FLOAT ? x->u.f : (double)x->u.i;
        return VL_OK;
    }
    rc = vl_pt_tensor_of(&im->pt, x, &t, e);
    if (!rc && t.n != 1)
        rc = vl_fail(e, VL_EFORMAT, "%" PRIu64 " elements, one expected", t.n);
    if (!rc)
        rc = vl_pt_read(&im->pt, &t, one, e);
    a = (vl_npy){.dtype = rc ? VL_F64 : t.dtype, .n = 1, .data = one};
    return rc ? rc : vl_npy_doubles(&a, out, e);
}

static int gather_rates(importer *im, vl_err *e)
{
    static const char *const name[] = {"syn_lr_img", "syn_lr_txt"};
    double rate[2];
    vl_npy a = {.dtype = VL_F64, .rank = 1, .shape = {2}, .n = 2, .data = rate};

    for (int i = 0; i < 2; i++) {
        const vl_pk_node *x = vl_pk_get(&im->pt.pickle, im->root, name[i]);
        if (!x)
            return vl_fail(e, VL_EFORMAT, "no %s in it", name[i]);
        if (read_rate(im, x, &rate[i], e))
            return vl_within(e, "%s", name[i]);
    }
    return vld_gather_array(&im->g, "rates", &a, e);
}

static int gather_one(importer *im, const char *name, const vl_pk_node *x, vl_err *e)
{
    vl_pt_tensor t;
    int rc = vls_ext_check(name, VL_EFORMAT, e);

    if (!rc)
        rc = vl_pt_tensor_of(&im->pt, x, &t, e);
    return rc ? rc : vld_gather_tensor(&im->g, name, &im->pt, &t, false, e);
}

/* [diagonal, left, right], or other lists of tensors, numbered. */
static int gather_list(importer *im, const char *name, const vl_pk_node *x, vl_err *e)
{
    static const char *const factor[] = {"similarity.diag", "similarity.left", "similarity.right"};
    bool factors = !strcmp(name, "similarity_params") && x->n == 3;
    char numbered[VLD_GATHER_EXT];
    int rc = VL_OK;

    if (x->n > 64)
        return vl_fail(e, VL_EFORMAT, "a list of %u", x->n);
    for (uint32_t i = 0; !rc && i < x->n; i++) {
        snprintf(numbered, sizeof numbered, "%.60s.%u", name, i);
        rc = gather_one(im, factors ? factor[i] : numbered, vl_pk_kid(&im->pt.pickle, x, i), e);
    }
    return rc;
}

static int keep_value(importer *im, const char *name, const vl_pk_node *x, vl_err *e)
{
    char odd[32];
    json_t *j;

    switch (x->type) {
    case VL_PK_NONE:
        j = json_null();
        break;
    case VL_PK_BOOL:
        j = json_boolean(x->u.i);
        break;
    case VL_PK_INT:
        j = json_integer((json_int_t)x->u.i);
        break;
    case VL_PK_FLOAT:
        snprintf(odd, sizeof odd, "%g", x->u.f); /* "nan", "inf": JSON has no number for them */
        j = isfinite(x->u.f) ? json_real(x->u.f) : json_string(odd);
        break;
    case VL_PK_TEXT:
        j = x->n <= 4096 ? json_stringn((const char *)x->u.text, x->n) : NULL;
        break;
    default:
        return vl_fail(e, VL_EFORMAT, "a %s, which is not understood", vl_pk_type_name(x));
    }
    if (!j || json_object_set_new(im->values, name, j))
        return vl_fail(e, VL_EFORMAT, "a %s that JSON cannot hold", vl_pk_type_name(x));
    return VL_OK;
}

static int gather_item(importer *im, const vl_pk_node *key, const vl_pk_node *x, vl_err *e)
{
    static const char *const known[] = {"image", "text", "syn_lr_img", "syn_lr_txt"};
    char name[VLD_GATHER_EXT];
    int rc;

    if (key->type != VL_PK_TEXT || !key->n || key->n >= sizeof name - 8)
        return vl_fail(e, VL_EFORMAT, "a key that is no short text");
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (vl_pk_is(key, known[i]))
            return VL_OK;
    snprintf(name, sizeof name, "%.*s", (int)key->n, (const char *)key->u.text);
    if (vl_pt_is_tensor(x))
        rc = gather_one(im, strcmp(name, "similarity_mat") ? name : "similarity", x, e);
    else if (x->type == VL_PK_LIST || x->type == VL_PK_TUPLE)
        rc = gather_list(im, name, x, e);
    else
        rc = keep_value(im, name, x, e);
    if (rc)
        vl_within(e, "%s", name);
    return rc;
}

static int gather_json(importer *im, vl_err *e)
{
    json_t *j = json_pack("{s:O}", "values", im->values);
    vl_buf text = {0};
    int rc = j ? vls_json_dump(j, &text, e) : vl_fail(e, VL_ENOMEM, "out of memory: json");

    json_decref(j);
    if (rc)
        free(text.p);
    return rc ? rc : vld_gather_bytes(&im->g, "json", text.p, text.n, e);
}

static int gather_set(importer *im, vl_err *e)
{
    int rc = gather_rates(im, e);

    for (uint32_t i = 0; !rc && i < im->root->n; i += 2)
        rc = gather_item(im, vl_pk_kid(&im->pt.pickle, im->root, i),
                         vl_pk_kid(&im->pt.pickle, im->root, i + 1), e);
    return rc ? rc : gather_json(im, e);
}

/* ---- pairs --------------------------------------------------------------------------------------- */

/* image [M,3,H,W] and text [M,D], floats, of equally many pairs. */
static int find_pairs(importer *im, vl_err *e)
{
    const vl_pk_node *image, *text;

    im->root = vl_pk_root(&im->pt.pickle);
    image = vl_pk_get(&im->pt.pickle, im->root, "image");
    text = vl_pk_get(&im->pt.pickle, im->root, "text");
    if (!image || !text)
        return vl_fail(e, VL_EFORMAT, "a %s without image and text: no distilled set",
                       vl_pk_type_name(im->root));
    if (vl_pt_tensor_of(&im->pt, image, &im->image, e))
        return vl_within(e, "image");
    if (vl_pt_tensor_of(&im->pt, text, &im->text, e))
        return vl_within(e, "text");
    if (im->image.rank != 4 || im->image.shape[1] != CHANNELS || !im->image.n ||
        im->image.shape[2] > SIDE_MAX || im->image.shape[3] > SIDE_MAX)
        return vl_fail(e, VL_EFORMAT, "image: not of shape [pairs,3,height,width] with sides up to %d",
                       SIDE_MAX);
    if (im->text.rank != 2 || !im->text.n || im->text.shape[0] != im->image.shape[0])
        return vl_fail(e, VL_EFORMAT, "text: not of shape [pairs,D] with as many pairs as images");
    if (im->image.shape[0] > PAIRS_MAX)
        return vl_fail(e, VL_EFORMAT, "more than %d pairs", PAIRS_MAX);
    return VL_OK;
}

static int read_texts(importer *im, vl_err *e)
{
    vl_npy a = {.dtype = im->text.dtype, .n = im->text.n};
    void *raw;
    int rc = vld_gather_count(&im->g, a.n * vl_dtype_size(a.dtype), e);

    if (rc)
        return vl_within(e, "text");
    im->texts = vl_alloc((size_t)a.n, sizeof *im->texts, e);
    raw = im->texts ? vl_alloc((size_t)a.n, vl_dtype_size(a.dtype), e) : NULL;
    a.data = raw;
    rc = raw ? vl_pt_read(&im->pt, &im->text, raw, e) : VL_ENOMEM;
    if (!rc)
        rc = vl_npy_floats(&a, im->texts, e);
    free(raw);
    return rc ? vl_within(e, "text") : VL_OK;
}

/* The pixels were gathered last: a picture of them. */
static int gather_preview(importer *im, vl_err *e)
{
    size_t h = (size_t)im->image.shape[2], w = (size_t)im->image.shape[3], n = 0;
    uint8_t *png = NULL;
    vl_npy a;
    int rc = vl_npy_parse(im->g.m[im->g.n - 1].data, im->g.m[im->g.n - 1].n, &a, e);

    if (rc)
        return rc;
    for (size_t i = 0; i < h * w; i++)
        for (size_t c = 0; c < CHANNELS; c++) {
            float x;
            double v;
            memcpy(&x, (const uint8_t *)a.data + (c * h * w + i) * sizeof x, sizeof x);
            v = 255 * ((double)x * sd[c] + mean[c]);
            im->rgb[CHANNELS * i + c] = v >= 255 ? 255 : v > 0 ? (uint8_t)(v + 0.5) : 0;
        }
    rc = vl_png_encode(im->rgb, (uint32_t)w, (uint32_t)h, &png, &n, e);
    return rc ? rc : vld_gather_bytes(&im->g, "png", png, n, e);
}

static int write_record(importer *im, const char *key, vl_err *e)
{
    vls_record rec = {key, im->g.m, im->g.n};

    return vls_add(im->w, &rec, e);
}

static int write_pair(importer *im, uint64_t i, vl_err *e)
{
    uint64_t d = im->text.shape[1];
    vl_npy text = {.dtype = VL_F32, .rank = 1, .shape = {d}, .n = d, .data = im->texts + i * d};
    vl_pt_tensor part = vl_pt_part(&im->image, i);
    char key[32];
    int rc = vld_gather_clear(&im->g, e);

    snprintf(key, sizeof key, "syn-%05" PRIu64, i);
    if (!rc)
        rc = vld_gather_tensor(&im->g, "pixels", &im->pt, &part, true, e);
    if (!rc)
        rc = gather_preview(im, e);
    if (!rc)
        rc = vld_gather_array(&im->g, "text", &text, e);
    if (!rc)
        rc = write_record(im, key, e);
    return rc ? vl_within(e, "%s", key) : VL_OK;
}

/* ---- the whole ----------------------------------------------------------------------------------- */

/* The schema of the set's record and of the pairs, which no tensor of the set may contradict. */
static int begin(importer *im, const char *tool, vl_err *e)
{
    json_int_t h = (json_int_t)im->image.shape[2], w = (json_int_t)im->image.shape[3];
    json_t *m = json_pack("{s:s, s:{s:s, s:s}, s:{s:s}, s:{s:[f,f,f], s:[f,f,f]}, s:O}", "kind", "distilled",
                          "tool", "name", tool, "version", VL_VERSION, "import", "from",
                          "distilled set of torch.save", "pixels", "mean", mean[0], mean[1], mean[2], "sd",
                          sd[0], sd[1], sd[2], "schema", im->g.schema);
    json_t *schema = m ? json_object_get(m, "schema") : NULL;
    int rc = m ? VL_OK : vl_fail(e, VL_ENOMEM, "out of memory: manifest");

    if (!rc && (json_object_get(schema, "pixels.npy") || json_object_get(schema, "text.npy")))
        rc = vl_fail(e, VL_EFORMAT, "tensors named pixels or text beside image and text");
    if (!rc && (json_object_set_new(schema, "pixels.npy",
                                    json_pack("{s:s, s:s, s:[i,I,I]}", "type", "npy", "dtype", "<f4", "shape",
                                              CHANNELS, h, w)) ||
                json_object_set_new(schema, "text.npy",
                                    json_pack("{s:s, s:s, s:[I]}", "type", "npy", "dtype", "<f4", "shape",
                                              (json_int_t)im->text.shape[1])) ||
                json_object_set_new(schema, "png", json_pack("{s:s}", "type", "png")) ||
                json_object_set_new(schema, "json", json_pack("{s:s}", "type", "json"))))
        rc = vl_fail(e, VL_ENOMEM, "out of memory: manifest");
    if (!rc)
        rc = vls_segment_begin(im->w, m, 0, e);
    json_decref(m);
    return rc;
}

static int import(importer *im, const char *tool, vl_err *e)
{
    int rc = find_pairs(im, e);

    if (!rc)
        rc = vld_gather_clear(&im->g, e);
    if (!rc && !(im->values = json_object()))
        rc = vl_fail(e, VL_ENOMEM, "out of memory: json");
    if (!rc)
        rc = gather_set(im, e);
    if (!rc)
        rc = read_texts(im, e);
    if (!rc && !(im->rgb = vl_alloc((size_t)(im->image.shape[2] * im->image.shape[3]), CHANNELS, e)))
        rc = VL_ENOMEM;
    if (!rc)
        rc = begin(im, tool, e);
    if (!rc)
        rc = write_record(im, "set", e);
    for (uint64_t i = 0; !rc && i < im->image.shape[0]; i++)
        rc = write_pair(im, i, e);
    return rc ? rc : vls_segment_end(im->w, e);
}

int vld_import_distilled(const char *path, const char *tool, vls_writer *w, vld_import_counts *counts,
                         vl_err *e)
{
    importer im = {.w = w};
    int rc = vl_pt_open(path, &im.pt, e);

    im.g.limit = EXPAND_MAX * im.pt.zip.src.size;
    if (!rc)
        rc = import(&im, tool, e);
    if (!rc)
        counts->pairs += im.image.shape[0];
    counts->tensors += im.g.tensors;
    counts->bytes += im.g.bytes;
    free(im.rgb);
    free(im.texts);
    json_decref(im.values);
    vld_gather_free(&im.g);
    vl_pt_close(&im.pt);
    return rc ? vl_within(e, "%s", path) : VL_OK;
}
