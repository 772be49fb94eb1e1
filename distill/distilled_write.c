/* SPDX-License-Identifier: MIT
 * distilled_write.c -- a set and its members to records. */
#include "distill/distilled_part.h"
#include "distill/member.h"
#include "formats/manifest.h"
#include "pipeline/image.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SET_MEMBERS = 2 + VLD_SET_PARTS, PAIR_MEMBERS = 6 };

/* [S,S,3] to [3,S,S], as other tools expect pictures. */
static void to_planes(const vl_real *pixels, size_t n, vl_real *planes)
{
    for (size_t i = 0; i < n; i++)
        for (size_t c = 0; c < 3; c++)
            planes[c * n + i] = pixels[3 * i + c];
}

/* Part p of the set as a member, if the set has it; the bytes are the caller's. */
static int similarity_member(const vld_distilled *d, vld_set_part p, vls_member *m, uint8_t **bytes,
                             vl_err *e)
{
    size_t width = vld_set_width(&d->model, &d->objective, d->set.n, p);

    m->ext = vld_similarity_members[p].ext;
    return vld_npy_build(vld_set_part_of(&d->set, p), vld_similarity_members[p].rank,
                         (size_t[]){d->set.n, width}, bytes, &m->n, e);
}

static int write_set(vls_writer *w, const vld_distilled *d, vl_err *e)
{
    vl_npy a = {.dtype = VL_F64, .rank = 1, .shape = {VLM_BRANCHES}, .data = d->set.rate};
    vls_member member[SET_MEMBERS] = {{.ext = "rates.npy"}};
    vls_record rec = {"set", member, 1};
    uint8_t *bytes[SET_MEMBERS] = {0};
    vl_buf text = {0};
    int rc = vl_npy_build(&a, &bytes[0], &member[0].n, e);

    for (vld_set_part p = 0; !rc && p < VLD_SET_PARTS; p++)
        if (vld_similarity_members[p].ext && vld_set_part_of(&d->set, p)) {
            rc = similarity_member(d, p, &member[rec.n_members], &bytes[rec.n_members], e);
            rec.n_members++;
        }
    if (!rc)
        rc = vls_json_dump(d->about, &text, e);
    for (size_t i = 0; i < rec.n_members; i++)
        member[i].data = bytes[i];
    member[rec.n_members++] = (vls_member){"json", text.p, text.n};
    if (!rc)
        rc = vls_add(w, &rec, e);
    free(text.p);
    for (size_t i = 0; i < SET_MEMBERS; i++)
        free(bytes[i]);
    return rc;
}

static int pair_json(const vld_distilled *d, size_t i, vl_buf *out, vl_err *e)
{
    json_t *j = json_pack("{s:s, s:I}", "init", d->init_key[i], "init_caption", (json_int_t)d->init_cap[i]);
    int rc = j ? vls_json_dump(j, out, e) : vl_fail(e, VL_EARG, "init: not UTF-8");

    json_decref(j);
    return rc;
}

/* A record that is put together member by member; bytes are freed with it. */
typedef struct parts {
    vls_member m[PAIR_MEMBERS];
    uint8_t *own[PAIR_MEMBERS];
    size_t n;
} parts;

static void put(parts *p, const char *ext, uint8_t *bytes, size_t n)
{
    p->own[p->n] = bytes;
    p->m[p->n++] = (vls_member){ext, bytes, n};
}

static int put_npy(parts *p, const char *ext, const vl_real *x, int rank, const size_t *dim, vl_err *e)
{
    uint8_t *bytes = NULL;
    size_t n = 0;
    int rc = vld_npy_build(x, rank, dim, &bytes, &n, e);

    put(p, ext, bytes, n);
    return rc;
}

static int put_png(parts *p, const char *ext, const uint8_t *rgb, size_t size, vl_err *e)
{
    uint8_t *bytes = NULL;
    size_t n = 0;
    int rc = vl_png_encode(rgb, (uint32_t)size, (uint32_t)size, &bytes, &n, e);

    put(p, ext, bytes, n);
    return rc;
}

/* What pair i is, and pictures of it for people. scratch: planes [3,S,S]; rgb [S,S,3] */
static int put_pair(parts *p, const vld_distilled *d, size_t i, vl_real *planes, uint8_t *rgb, vl_err *e)
{
    const vlm_model *m = vld_distilled_images(d);
    const vl_real *image = d->set.image + i * m->image_n, *text = d->set.text + i * d->model.text_dim;
    size_t S = m->size;
    int rc;

    if (m->kind == VLM_HEADS) {
        rc = put_npy(p, "feature.npy", image, 1, &m->image_n, e);
        return rc ? rc : put_npy(p, "text.npy", text, 1, &d->model.text_dim, e);
    }
    to_planes(image, S * S, planes);
    vld_preview(image, S, rgb);
    rc = put_npy(p, "pixels.npy", planes, 3, (size_t[]){3, S, S}, e);
    if (!rc)
        rc = put_npy(p, "text.npy", text, 1, &d->model.text_dim, e);
    if (!rc)
        rc = put_png(p, "png", rgb, S, e);
    return rc ? rc : put_png(p, "init.png", d->init_pixels + i * S * S * 3, S, e);
}

static int write_pair(vls_writer *w, const vld_distilled *d, size_t i, vl_real *planes, uint8_t *rgb,
                      vl_err *e)
{
    vl_buf json = {0};
    parts p = {0};
    char key[24];
    int rc = put_pair(&p, d, i, planes, rgb, e);

    snprintf(key, sizeof key, "syn-%05zu", i);
    if (!rc)
        rc = pair_json(d, i, &json, e);
    if (d->nearest && d->nearest[i])
        p.m[p.n++] = (vls_member){"txt", (const uint8_t *)d->nearest[i], strlen(d->nearest[i])};
    p.m[p.n++] = (vls_member){"json", json.p, json.n};
    if (!rc)
        rc = vls_add(w, &(vls_record){key, p.m, p.n}, e);
    for (size_t k = 0; k < PAIR_MEMBERS; k++)
        free(p.own[k]);
    free(json.p);
    return rc;
}

static int write_records(vls_writer *w, const vld_distilled *d, vl_err *e)
{
    size_t reals = vld_distilled_images(d)->image_n;
    vl_real *planes = vl_alloc(reals, sizeof *planes, e);
    uint8_t *rgb = planes ? vl_alloc(reals, 1, e) : NULL;
    int rc = rgb ? write_set(w, d, e) : VL_ENOMEM;

    for (size_t i = 0; !rc && i < d->set.n; i++)
        rc = write_pair(w, d, i, planes, rgb, e);
    free(rgb);
    free(planes);
    return rc;
}

int vld_distilled_write(vls_writer *w, const vld_distilled *d, const vls_parent *parents, size_t n_parents,
                        vl_err *e)
{
    int rc = vls_segment_begin(w, d->manifest, 0, e);

    if (!rc)
        rc = write_records(w, d, e);
    for (size_t i = 0; !rc && i < n_parents; i++)
        rc = vls_add_parent(w, &parents[i], e);
    if (!rc && d->input_loss)
        rc = vls_segment_note(w, "input_loss", json_deep_copy(d->input_loss), e);
    return rc ? rc : vls_segment_end(w, e);
}
