/* SPDX-License-Identifier: MIT
 * score_table.c -- have[i] says what of record i has come: IMAGE, TEXT or both (then the cosine is computed
 * and nothing waits any more), or SCORE. */
#include "distill/score_table.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { IMAGE = 1, TEXT = 2, BOTH = 3, SCORE = 4, FIRST_ROOM = 256 };

static int make_room(vld_scores *s, size_t number, vl_err *e)
{
    size_t room = s->room ? s->room : FIRST_ROOM;
    double *score;
    uint8_t *have;
    float **waiting;

    if (number < s->room)
        return VL_OK;
    while (room <= number)
        room *= 2;
    if (!(score = vl_realloc(s->score, room, sizeof *score, e)))
        return VL_ENOMEM;
    s->score = score;
    if (!(have = vl_realloc(s->have, room, sizeof *have, e)))
        return VL_ENOMEM;
    s->have = have;
    if (!s->member) {
        if (!(waiting = vl_realloc(s->waiting, room, sizeof *waiting, e)))
            return VL_ENOMEM;
        memset(waiting + s->room, 0, (room - s->room) * sizeof *waiting);
        s->waiting = waiting;
    }
    memset(have + s->room, 0, room - s->room);
    s->room = room;
    return VL_OK;
}

/* ---- cosine --------------------------------------------------------------------------------------- */

/* Rows are of unit norm, or zero: their cosine is taken as 0. */
static double cosine(const float *a, const float *b, size_t dim)
{
    double sum = 0;

    for (size_t k = 0; k < dim; k++)
        sum += (double)a[k] * (double)b[k];
    return sum;
}

static int add_side(vld_scores *s, int bit, const vls_record *rec, const json_t *manifest, size_t number,
                    vl_err *e)
{
    vld_feature_side *side = bit == IMAGE ? &s->image : &s->text;
    float *row;
    bool there;
    vl_npy a;
    int rc = vld_side_rows(side, bit == IMAGE ? VLD_IMAGE_ROWS : VLD_TEXT_ROWS, rec, manifest, &a, &there, e);

    if (rc || !there)
        return rc;
    if (s->image.dim && s->text.dim && s->image.dim != s->text.dim)
        return vl_fail(e, VL_EFORMAT, "no cosine of %s with %zu dimensions and %s with %zu", s->image.ext,
                       s->image.dim, s->text.ext, s->text.dim);
    if ((rc = make_room(s, number, e)) != VL_OK)
        return rc;
    if (s->have[number] & bit)
        return vl_fail(e, VL_EFORMAT, "%s: a second time for this record", side->ext);
    if (!(row = vl_alloc(side->dim, sizeof *row, e)))
        return VL_ENOMEM;
    if ((rc = vld_side_mean(side, &a, row, e)) != VL_OK) {
        free(row);
        return rc;
    }
    s->have[number] |= (uint8_t)bit;
    if (s->have[number] == BOTH) {
        s->score[number] = cosine(row, s->waiting[number], side->dim);
        free(s->waiting[number]);
        free(row);
        row = NULL;
    }
    s->waiting[number] = row;
    return VL_OK;
}

/* ---- a member ------------------------------------------------------------------------------------- */

static int read_number(const vls_member *m, const json_t *manifest, double *out, vl_err *e)
{
    vl_npy a;
    int rc = vl_npy_parse(m->data, m->n, &a, e);

    if (!rc)
        rc = vl_npy_schema(manifest, m->ext, &a, e);
    if (!rc && a.n != 1)
        rc = vl_fail(e, VL_EFORMAT, "one number wanted, there are %zu", (size_t)a.n);
    if (!rc)
        rc = vl_npy_doubles(&a, out, e);
    if (!rc && !isfinite(*out))
        rc = vl_fail(e, VL_EFORMAT, "the score is not finite");
    return rc;
}

static int add_member(vld_scores *s, const vls_record *rec, const json_t *manifest, size_t number, vl_err *e)
{
    const vls_member *m = vls_get(rec, s->member);
    int rc = m ? make_room(s, number, e) : VL_OK;

    if (rc || !m)
        return rc;
    rc = s->have[number] ? vl_fail(e, VL_EFORMAT, "a second time for this record")
                         : read_number(m, manifest, &s->score[number], e);
    if (rc)
        return vl_within(e, "%s", s->member);
    s->have[number] = SCORE;
    return VL_OK;
}

int vld_scores_add(vld_scores *s, const vls_record *rec, const json_t *manifest, size_t number, vl_err *e)
{
    int rc;

    if (s->member)
        return add_member(s, rec, manifest, number, e);
    rc = add_side(s, IMAGE, rec, manifest, number, e);
    return rc ? rc : add_side(s, TEXT, rec, manifest, number, e);
}

/* ---- all of them ---------------------------------------------------------------------------------- */

static int nothing_at_all(const vld_scores *s, vl_err *e)
{
    const vld_feature_side *side = s->image.ext ? &s->text : &s->image;
    bool image = side == &s->image;

    if (s->member)
        return vl_fail(e, VL_EFORMAT, "no scores (%s) in any shard", s->member);
    return vl_fail(e, VL_EFORMAT, "no %s embeddings (%s%s) in any shard", image ? "image" : "text",
                   side->want ? "" : "*",
                   side->want ? side->want
                   : image    ? VLD_IMAGE_ROWS
                              : VLD_TEXT_ROWS);
}

int vld_scores_take(const vld_scores *s, const uint32_t *order, size_t n, char *const *key, double *out,
                    vl_err *e)
{
    if (s->member ? !s->room : !s->image.ext || !s->text.ext)
        return nothing_at_all(s, e);
    for (size_t i = 0; i < n; i++) {
        int have = order[i] < s->room ? s->have[order[i]] : 0;
        if (s->member && have != SCORE)
            return vl_fail(e, VL_EFORMAT, "record '%s': no score (%s) in any shard", key[order[i]],
                           s->member);
        if (!s->member && have != BOTH)
            return vl_fail(e, VL_EFORMAT, "record '%s': no %s embedding (%s) in any shard", key[order[i]],
                           have & IMAGE ? "text" : "image", have & IMAGE ? s->text.ext : s->image.ext);
        out[i] = s->score[order[i]];
    }
    return VL_OK;
}

void vld_scores_free(vld_scores *s)
{
    for (size_t i = 0; s->waiting && i < s->room; i++)
        free(s->waiting[i]);
    free(s->waiting);
    free(s->have);
    free(s->score);
    free(s->image.ext);
    free(s->text.ext);
    memset(s, 0, sizeof *s);
}
