/* SPDX-License-Identifier: MIT
 * encoder_convnet.c -- the image branch of a student (pipeline/model.h), weights by seed or from a snapshot.
 *
 * A snapshot is read out of its shard alone: memory holds one set of weights however many experts the shard
 * has. The shard is read to its end all the same, for its content id and because only then is it whole. */
#include "distill/card.h"
#include "distill/encoder_model.h"
#include "distill/member.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH = 64 };

typedef vld_encoder_model convnet;

/* ---- weights of a snapshot ------------------------------------------------------------------------ */

/* Parameter p out of record rec, which the chain was given. */
static int take_param(const vl_chain *chain, const vls_record *rec, const vlm_param *p, vl_real *theta,
                      vl_err *e)
{
    char ext[VLD_EXT_MAX];
    vl_npy a;
    int rc = vld_tensor_find(chain, rec, p->name, p->rank, p->dim, ext, &a, e);

    return rc ? rc : vld_npy_reals(&a, ext, theta + p->offset, e);
}

/* The snapshot's network must be the one that was asked for; then c->model is it, whole. */
static int take_snapshot(convnet *c, const vls_segment *seg, const vl_chain *chain, const vls_record *rec,
                         vl_err *e)
{
    char wanted[sizeof c->model.spec];
    int rc;

    memcpy(wanted, c->model.spec, sizeof wanted);
    rc = vld_model_from_json(json_object_get(seg->manifest, "model"), &c->model, e);
    if (rc)
        return rc;
    if (strcmp(wanted, c->model.spec))
        return vl_fail(e, VL_EFORMAT, "its network is %s, asked for was %s", c->model.spec, wanted);
    if (!(c->theta = vl_alloc(c->model.n, sizeof *c->theta, e)))
        return VL_ENOMEM;
    for (int i = 0; !rc && i < c->model.n_params; i++)
        if (c->model.param[i].branch == VLM_IMAGE)
            rc = take_param(chain, rec, &c->model.param[i], c->theta, e);
    return rc;
}

static int read_snapshot(convnet *c, const char *path, const char *key, vls_parent *id, vl_err *e)
{
    vls_reader *r = NULL;
    vls_record rec;
    const vls_segment *seg;
    vl_chain chain = {0};
    int rc = vls_reader_open(path, NULL, &r, e), bad = VL_OK;

    if (rc)
        return rc;
    while (!bad && (rc = vls_next(r, &rec, &seg, e)) == 1) {
        if (c->theta || strcmp(seg->kind, "trajectory"))
            continue;
        bad = vl_chain_add(&chain, &rec, e); /* what the snapshot may refer to comes before it */
        if (!bad && !strcmp(rec.key, key))
            bad = take_snapshot(c, seg, &chain, &rec, e);
        if (bad)
            vl_within(e, "%s: %s", path, rec.key);
    }
    vl_chain_free(&chain);
    if (!bad && !rc && !c->theta)
        bad = vl_fail(e, VL_EFORMAT, "%s: no snapshot '%s'", path, key);
    if (!bad && !rc)
        vls_reader_id(r, id);
    vls_reader_close(r);
    return bad ? bad : rc;
}

/* ---- names ---------------------------------------------------------------------------------------- */

static int by_seed(vld_encoder *enc, const char *digits, vl_err *e)
{
    convnet *c = enc->state;
    unsigned long long seed = 0;
    int used = 0;

    if (*digits < '0' || *digits > '9' || sscanf(digits, "%18llu%n", &seed, &used) != 1 || digits[used])
        return vl_fail(e, VL_EARG, "'#seed=%.40s': a number of at most 18 digits wanted", digits);
    if (!(c->theta = vl_alloc(c->model.n, sizeof *c->theta, e)))
        return VL_ENOMEM;
    vlm_init(&c->model, seed, 0, c->theta);
    snprintf(enc->name, sizeof enc->name, "%s#seed=%llu", c->model.spec, seed);
    snprintf(enc->ext, sizeof enc->ext, "%s-seed%llu.img.npy", c->model.spec, seed);
    return VL_OK;
}

/* at: "FILE#expert-0000/snap-0003". The name says which content, not which file. */
static int by_snapshot(vld_encoder *enc, const char *at, vl_err *e)
{
    convnet *c = enc->state;
    const char *key = strrchr(at, '#');
    unsigned expert, snap;
    char again[40], *path;
    int rc;

    if (!key || key == at || sscanf(key, "#expert-%4u/snap-%4u", &expert, &snap) != 2 ||
        snprintf(again, sizeof again, "#expert-%04u/snap-%04u", expert, snap) < 0 || strcmp(key, again))
        return vl_fail(e, VL_EARG, "'@%.80s': @FILE#expert-NNNN/snap-NNNN wanted", at);
    if (!(path = vl_strdup(at, e)))
        return VL_ENOMEM;
    path[key - at] = 0;
    rc = strcmp(path, "-") ? read_snapshot(c, path, key + 1, &enc->weights, e)
                           : vl_fail(e, VL_EARG, "'@-': weights are read from a file");
    free(path);
    if (rc)
        return rc;
    snprintf(enc->name, sizeof enc->name, "%s@%s%s", c->model.spec, enc->weights.id, key);
    snprintf(enc->ext, sizeof enc->ext, "%s-expert-%04u-snap-%04u.img.npy", c->model.spec, expert, snap);
    return VL_OK;
}

int vld_encoder_convnet(const char *name, const vld_encoder_opts *o, vld_encoder *enc, vl_err *e)
{
    size_t n = strcspn(name, "#@");
    char spec[sizeof enc->model->spec] = "";
    convnet *c;
    int rc = vld_encoder_model_new(enc, e);

    if (rc)
        return rc;
    c = enc->state;
    if (n < sizeof spec)
        memcpy(spec, name, n);
    rc = vlm_parse(spec, o->size, VLD_ENCODER_TEXT_DIM, o->embed_dim, 1, &c->model, e);
    if (rc)
        return rc;
    if (!strncmp(name + n, "#seed=", 6))
        rc = by_seed(enc, name + n + 6, e);
    else if (name[n] == '@')
        rc = by_snapshot(enc, name + n + 1, e);
    else
        rc = vl_fail(e, VL_EARG, "'%.80s': which weights? %s#seed=1, or %s@FILE#expert-0000/snap-0003", name,
                     spec, spec);
    if (rc)
        return rc;
    enc->ext[strlen("convnet")] = '-'; /* no ':' in a member's name */
    return vld_encoder_model_ready(enc, BATCH, e);
}
